"""A fetched dataset on disk: ``manifest.csv``, ``dataset.json``, ``splits.json`` and the images, as published."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import ValidationError

from causaliqa.datasets.names import REFERENCE
from causaliqa.datasets.pack import PackReader, is_packed
from causaliqa.errors import DataError
from causaliqa.images import SourceImage, decode_image
from causaliqa.images.rules import ImageRules
from causaliqa.io import atomic_path, read_json, sha256_bytes

MANIFEST = "manifest.csv"
ABOUT = "dataset.json"
SPLITS = "splits.json"
#: Folder of the images; what lies in it keeps the layout in which the authors publish it.
IMAGES = "images"


@dataclass(frozen=True)
class RawRow:
    """One line of ``manifest.csv``.

    Attributes
    ----------
    image : path relative to the dataset's folder; ``<shard>!<name>`` where images are packed.
    reference : the content; a reference and its distorted images share it. Empty for blind sets.
    distortion : ``reference``, ``authentic``, or the type.
    level : 0 for references and where the authors give none; larger is more severe.
    score, score_std : as published; NaN where there is none.
    provenance : of partial copies: real, exact, near, resynth; else empty.
    bit_depth : of the container: 8, 16 or 32 (float).
    data_range : the stored value that means full scale (white).
    sha256 : of the file.
    """

    dataset: str
    domain: str
    image: str
    reference: str
    distortion: str
    level: int
    score: float
    score_std: float
    provenance: str
    grayscale: bool
    bit_depth: int
    data_range: float
    width: int
    height: int
    licence: str
    source: str
    sha256: str


#: Columns of ``manifest.csv``, in order.
RAW_COLUMNS = [item.name for item in fields(RawRow)]
_TEXT = {"dataset", "domain", "image", "reference", "distortion", "provenance", "licence", "source", "sha256"}


def _written(value: Any) -> str:
    if isinstance(value, float):
        # As short as it can be read back exactly; NaN is an empty field.
        return "" if value != value else repr(float(value)).removesuffix(".0")
    return str(value)


def write_manifest(path: Path, rows: Iterable[RawRow]) -> int:
    """Write rows one by one, so that memory stays bounded; return how many."""
    count = 0
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(RAW_COLUMNS)
        for row in rows:
            writer.writerow([_written(value) for value in asdict(row).values()])
            count += 1
    return count


def iterate_manifest(folder: Path) -> Iterator[RawRow]:
    """Yield the rows of a fetched dataset one by one.

    Raises
    ------
    DataError
        If the file is missing, lacks a column or a field is not what it should be.
    """
    path = Path(folder) / MANIFEST
    remedy = f"delete {folder} and fetch it again"
    try:
        with path.open(newline="", encoding="utf-8") as handle:
            reader = csv.DictReader(handle)
            if missing := [name for name in RAW_COLUMNS if name not in (reader.fieldnames or [])]:
                raise DataError(f"{path}: lacks the columns {', '.join(missing)}; {remedy}")
            for record in reader:
                try:
                    yield _parse(record)
                except (TypeError, ValueError) as error:
                    raise DataError(f"{path}: line {reader.line_num}: {error}; {remedy}") from None
    except FileNotFoundError:
        raise DataError(f"{path}: missing; fetch the dataset first (snakemake stage_fetch)") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: not a readable CSV ({error}); {remedy}") from None


def _parse(record: dict[str, str]) -> RawRow:
    if any(record[name] is None for name in RAW_COLUMNS):
        raise ValueError("too few fields")
    if record["grayscale"].lower() not in ("true", "false"):
        raise ValueError(f"grayscale is {record['grayscale']!r}; it must be True or False")

    def optional(name: str) -> float:
        return float(record[name]) if record[name] else float("nan")

    return RawRow(
        **{name: record[name] for name in _TEXT},
        level=int(record["level"]),
        score=optional("score"),
        score_std=optional("score_std"),
        grayscale=record["grayscale"].lower() == "true",
        bit_depth=int(record["bit_depth"]),
        data_range=float(record["data_range"]),
        width=int(record["width"]),
        height=int(record["height"]),
    )


def read_raw_manifest(folder: Path) -> pd.DataFrame:
    """Return ``manifest.csv`` as a table. See :func:`iterate_manifest` for the errors and the streaming form."""
    return pd.DataFrame([asdict(row) for row in iterate_manifest(folder)], columns=RAW_COLUMNS)


class RawSet:
    """A fetched dataset.

    Raises
    ------
    DataError
        If its description is missing or damaged.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        self.about: dict[str, Any] = read_json(self.folder / ABOUT)
        try:
            self.rules = ImageRules.model_validate(self.about["image_rules"])
        except (KeyError, TypeError, ValidationError):
            raise DataError(
                f"{self.folder / ABOUT}: is not the description of a fetched dataset; "
                f"delete {self.folder} and fetch the dataset again"
            ) from None
        self._packs = PackReader(self.folder)

    @property
    def name(self) -> str:
        """Name of the dataset."""
        return str(self.about["name"])

    def content(self, row: RawRow) -> bytes:
        """Return the bytes of an image's file, checked.

        Raises
        ------
        DataError
            If the file is missing or is not the one that was fetched.
        """
        remedy = f"delete {self.folder} and fetch the dataset again"
        if is_packed(row.image):
            content = self._packs.read(row.image)
        else:
            try:
                content = (self.folder / row.image).read_bytes()
            except FileNotFoundError:
                raise DataError(f"{self.folder / row.image}: no such image; {remedy}") from None
        if sha256_bytes(content) != row.sha256:
            raise DataError(f"{self.folder / row.image}: does not match its checksum in {MANIFEST}; {remedy}")
        return content

    def read(self, row: RawRow) -> SourceImage:
        """Return an image, values as stored. See :func:`causaliqa.images.decode_image` for the errors."""
        return decode_image(self.content(row), str(self.folder / row.image), self.rules)

    def rows(self) -> Iterator[RawRow]:
        """Yield the rows of the manifest."""
        return iterate_manifest(self.folder)

    def references(self) -> dict[str, RawRow]:
        """Return the references' rows by content."""
        return {row.reference: row for row in self.rows() if row.distortion == REFERENCE}
