"""What every reader of a published layout shares: its rows, its options, and how it finds and reads files."""

from __future__ import annotations

import csv
import itertools
import json
import math
import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from causaliqa.datasets.names import REFERENCE
from causaliqa.errors import ConfigError, DataError

#: What a provenance.csv may say of an image.
PROVENANCES = ("real", "exact", "near", "resynth")
#: Bytes of the largest text table that is read (it is streamed), and of the largest .mat, .xlsx and .json file, both
#: as it is and unpacked. Published label files are far smaller; the limits keep a forged one from filling the memory.
MAX_TEXT = 256 * 2**20
MAX_BINARY = 64 * 2**20
#: Rows and columns of a sheet that are looked at: a forged cell in the last row would stand for a million empty ones.
MAX_SHEET = (200_000, 64)


@dataclass(frozen=True)
class Row:
    """One image as the authors list it; nothing has been opened yet.

    Attributes
    ----------
    image : path relative to the dataset's folder, as it is on disk, or as listed if it is not there.
    reference : name of the content, equal for a reference and its distorted images; empty for blind datasets.
    distortion : ``reference`` for references, ``authentic`` for blind datasets, else the type's name in snake case.
    level : 0 for references and where there is none; larger is more severe.
    score, score_std : as published, NaN if there is none. Polarity is declared by the registry.
    provenance : of partial copies: real, exact, near, resynth; else empty.
    data_range : value that means white, if the layout states it image by image.
    """

    image: str
    reference: str
    distortion: str
    level: int = 0
    score: float = float("nan")
    score_std: float = float("nan")
    provenance: str = ""
    data_range: float | None = None


class Options(BaseModel):
    """Options of a reader; unknown ones are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


AnyOptions = TypeVar("AnyOptions", bound=Options)


def parse_options(model: type[AnyOptions], values: dict[str, Any], layout: str) -> AnyOptions:
    """Validate a reader's options.

    Raises
    ------
    ConfigError
        Naming the option and what it may be.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        known = ", ".join(model.model_fields) or "none"
        raise ConfigError(f"layout {layout}: option {key}: {first['msg']}; its options are: {known}") from None


class Files:
    """The files of a dataset's folder, found without regard to case, as Windows' authors wrote them.

    Names are those of the published layout. Where an archive wraps everything in one more folder, they are looked for
    in there as well.

    Raises
    ------
    DataError
        If there is no such folder, or two files differ in case alone: then a listing names either.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        self._by_lower: dict[str, str] = {}
        self._by_name: dict[str, list[str]] | None = None
        if not self.folder.is_dir():
            raise DataError(f"{self.folder}: no such folder; fetch the dataset first")
        for path in sorted(self.folder.rglob("*")):
            if path.is_file():
                name = path.relative_to(self.folder).as_posix()
                if (other := self._by_lower.setdefault(name.lower(), name)) != name:
                    raise DataError(
                        f"{self.folder}: holds both {other} and {name}, which differ in case alone; "
                        "keep the one that belongs to the dataset"
                    )
        # The folder that all files share, with a slash, or nothing.
        parents = [name.split("/")[:-1] for name in self._by_lower]
        shared = [parts[0] for parts in itertools.takewhile(lambda p: len(set(p)) == 1, zip(*parents, strict=False))]
        self._wrap = "".join(f"{part}/" for part in shared)

    def find(self, name: str) -> str | None:
        """Return the path on disk, relative to the folder, or None."""
        return self._by_lower.get(name.lower()) or self._by_lower.get(self._wrap + name.lower())

    def path(self, name: str, where: str = "") -> str:
        """Return the path on disk if the file is there, else `name`: the manifest then reports it missing.

        Raises
        ------
        DataError
            If `name` leaves the folder; the message starts with `where` (label file, line), else with the folder.
        """
        name = inside(name, where or str(self.folder))
        return self.find(name) or name

    def locate(self, name: str, likely: str, where: str) -> str:
        """Return the path of a file of which only the name is sure.

        Returns
        -------
        str
            The one at `likely`, else the only file of that name in any folder, else `likely`.

        Raises
        ------
        DataError
            If several files have that name, or a path leaves the folder.
        """
        if found := self.find(inside(likely, where)):
            return found
        if self._by_name is None:
            self._by_name = {}
            for path in self._by_lower.values():
                self._by_name.setdefault(path.rpartition("/")[2].lower(), []).append(path)
        several = self._by_name.get(inside(name, where).lower(), [])
        if len(several) > 1:
            raise DataError(f"{where}: {name} is {several[0]} and {several[1]}; keep the one that belongs here")
        return several[0] if several else likely

    def need(self, name: str, layout: str) -> Path:
        """Return the absolute path of a file without which the layout is not what it should be.

        Raises
        ------
        DataError
            If it is not there.
        """
        found = self.find(name)
        if found is None:
            raise DataError(
                f"{self.folder}: not in the layout {layout!r}: {name} is missing; "
                "check that the archive is whole and the layout right"
            )
        return self.folder / found

    def matching(self, folder: str, suffixes: tuple[str, ...]) -> list[str]:
        """Return the files under `folder` ('' for all) with one of `suffixes` (lower case), sorted."""
        start = f"{folder.lower()}/" if folder else ""
        starts = (start, self._wrap + start)
        return sorted(
            name for lower, name in self._by_lower.items() if lower.startswith(starts) and lower.endswith(suffixes)
        )


def inside(name: str, where: str) -> str:
    """Return a path of a label file with forward slashes, if it stays inside the dataset's folder.

    Raises
    ------
    DataError
        If it is empty, absolute, climbs out of the folder, or holds control characters.
    """
    text = name.strip().replace("\\", "/")
    path = PurePosixPath(text)
    if not path.name or path.is_absolute() or ".." in path.parts or not text.isprintable() or re.match(r"\w:", text):
        raise DataError(f"{where}: {name!r} is no file inside the dataset's folder; repair the label file")
    return path.as_posix()


def _limited(path: Path, limit: int) -> Path:
    try:
        size = path.stat().st_size
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check the path and its permissions") from None
    if size > limit:
        raise DataError(f"{path}: {size} bytes are too many for a label file, at most {limit}; download it again")
    return path


class Unique:
    """Tells when a label file lists an image twice, also in another case."""

    def __init__(self) -> None:
        self._seen: set[str] = set()

    def add(self, name: str, where: str) -> str:
        """Return `name`.

        Raises
        ------
        DataError
            If it was added before.
        """
        if name.lower() in self._seen:
            raise DataError(f"{where}: {name} is listed twice; remove one of the lines")
        self._seen.add(name.lower())
        return name


def with_references(rows: Iterable[tuple[Row, str]]) -> Iterator[Row]:
    """Yield rows, and before the first of each content the row of its reference.

    Parameters
    ----------
    rows : distorted image, path of its reference image.
    """
    seen = set()
    for row, image in rows:
        if row.reference not in seen:
            seen.add(row.reference)
            yield Row(image, row.reference, REFERENCE)
        yield row


def read_lines(path: Path) -> Iterator[tuple[str, str]]:
    """Yield (where, text) of the lines of a text file that are not empty; `where` names file and line.

    Raises
    ------
    DataError
        If the file is not text, or too large for a label file.
    """
    try:
        with _limited(path, MAX_TEXT).open(encoding="utf-8-sig") as handle:
            for count, line in enumerate(handle, start=1):
                if text := line.strip():
                    yield f"{path}: line {count}", text
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not a readable text file ({error.reason}); download it again") from None


def read_table(path: Path, columns: list[str], delimiter: str = ",") -> Iterator[dict[str, str]]:
    """Yield the rows of a delimited text file, one at a time.

    Raises
    ------
    DataError
        If a column is missing, a row is too short or too long, or the file is not text.
    """
    try:
        with _limited(path, MAX_TEXT).open(newline="", encoding="utf-8-sig") as handle:
            rows = csv.DictReader(handle, delimiter=delimiter)
            if missing := [name for name in columns if name not in (rows.fieldnames or [])]:
                found = ", ".join(rows.fieldnames or []) or "nothing"
                raise DataError(f"{path}: lacks the columns {', '.join(missing)}; it has {found}")
            for row in rows:
                if any(row[name] is None for name in columns):
                    raise DataError(f"{path}: line {rows.line_num} has too few fields; repair the line")
                if None in row:
                    raise DataError(f"{path}: line {rows.line_num} has too many fields; repair the line")
                yield row
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: not a readable text table ({error}); download it again") from None


def number(text: str, where: str) -> float:
    """Return a finite number.

    Raises
    ------
    DataError
        Naming `where` (file, image, column) if it is not one.
    """
    try:
        # Python also takes 1_000 for a number; in a table it is a typing error.
        value = float(text.replace("_", "?"))
    except ValueError:
        raise DataError(f"{where}: {text!r} is not a number; repair the label file") from None
    if not math.isfinite(value):
        raise DataError(f"{where}: the score is {text}; remove the row or give it a finite score")
    return value


def whole(text: str, where: str) -> int:
    """Return the whole number that a text is.

    Raises
    ------
    DataError
        If it is another.
    """
    value = number(text, where)
    if value != int(value):
        raise DataError(f"{where}: {text!r} is not a whole number; repair the label file")
    return int(value)


def finite(value: Any, where: str) -> float:
    """Return a parsed value as a float.

    Raises
    ------
    DataError
        If it is no number, or NaN or infinite.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise DataError(f"{where}: {str(value)[:40]!r} is not a number; repair the label file")
    return number(repr(value), where)


def snake(text: str) -> str:
    """Return a name in lower case with underscores for everything but letters and digits."""
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")


def read_provenance(files: Files) -> dict[str, str] | None:
    """Return image (lower case) -> provenance of a partial copy's provenance.csv, None if there is none.

    Raises
    ------
    DataError
        If a provenance is none of :data:`PROVENANCES`, or an image is listed twice.
    """
    if (name := files.find("provenance.csv")) is None:
        return None
    path = files.folder / name
    unique = Unique()
    provenance = {}
    for row in read_table(path, ["image", "provenance"]):
        if row["provenance"] not in PROVENANCES:
            raise DataError(
                f"{path}: {row['image']}: provenance {row['provenance']!r} is unknown; it is {', '.join(PROVENANCES)}"
            )
        provenance[unique.add(row["image"], str(path)).lower()] = row["provenance"]
    return provenance


def provenance_of(image: str, provenance: dict[str, str] | None) -> str:
    """Return an image's provenance, empty if the copy is whole.

    Raises
    ------
    DataError
        If there is a provenance.csv that does not list it.
    """
    if provenance is None:
        return ""
    if image.lower() not in provenance:
        raise DataError(f"provenance.csv: lacks {image}; add it, or delete the file if the copy is whole")
    return provenance[image.lower()]


def read_json(path: Path) -> list[tuple[str, Any]]:
    """Return the (key, value) pairs of a JSON file that holds one object, in order, doubled keys twice.

    Raises
    ------
    DataError
        If it is no JSON object, or larger than :data:`MAX_BINARY` bytes.
    """
    try:
        pairs = json.loads(_limited(path, MAX_BINARY).read_text(encoding="utf-8-sig"), object_pairs_hook=list)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not a readable JSON file ({error}); download it again") from None
    if not isinstance(pairs, list) or not all(isinstance(pair, tuple) for pair in pairs):
        raise DataError(f"{path}: does not hold an object of names and values; check that it is the published file")
    return pairs


def _inflated(path: Path) -> int:
    """Bytes that the compressed elements of a MAT 5 file unpack to, counted no further than the limit."""
    total = 0
    with path.open("rb") as handle:
        head = handle.read(128)
        order: Literal["little", "big"] = "little" if head[126:128] == b"IM" else "big"
        while len(tag := handle.read(8)) == 8 and total <= MAX_BINARY:
            kind, size = (int.from_bytes(tag[k : k + 4], order) for k in (0, 4))
            data = handle.read(size)
            if kind != 15:  # not compressed
                continue
            unpack = zlib.decompressobj()
            while data and total <= MAX_BINARY:
                total += len(unpack.decompress(data, 2**20))
                data = unpack.unconsumed_tail
    return total


def read_mat(path: Path, *variables: str) -> dict[str, np.ndarray]:
    """Read arrays of a MATLAB file (version 7 or older); only data are read, nothing is executed.

    Returns
    -------
    dict
        Variable -> array as stored: numbers, or objects for cells.

    Raises
    ------
    DataError
        If the file is no such file, is or unpacks to more than :data:`MAX_BINARY` bytes, or lacks a variable.
    """
    from scipy.io import loadmat, whosmat

    _limited(path, MAX_BINARY)
    try:
        size = _inflated(path)
        if size <= MAX_BINARY:
            # An array's header alone can ask for any memory.
            size = max((8 * math.prod(shape) for name, shape, _ in whosmat(path) if name in variables), default=0)
        if size <= MAX_BINARY:
            values = loadmat(path, struct_as_record=True, variable_names=list(variables))
    except Exception as error:  # the parser raises many types on bytes that are no MAT file
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise DataError(
            f"{path}: not a readable .mat file ({reason}); download it again, or save it as version 7"
        ) from None
    if size > MAX_BINARY:
        raise DataError(f"{path}: unpacks to more than {MAX_BINARY} bytes; download it again")
    for name in variables:
        if not isinstance(values.get(name), np.ndarray):
            raise DataError(f"{path}: lacks the array {name}; check that it is the published file")
    return {name: values[name] for name in variables}


def read_vector(path: Path, variable: str, length: int | None = None) -> np.ndarray:
    """Read a list of finite numbers of a MATLAB file, (n,) float64, whatever way it lies in the file.

    Raises
    ------
    DataError
        If it holds anything else than `length` finite numbers (None: any length).
    """
    values = read_mat(path, variable)[variable]
    if values.dtype.kind not in "fiub":
        raise DataError(f"{path}: {variable} does not hold numbers; check that it is the published file")
    vector: np.ndarray = values.astype(np.float64).ravel()
    if length is not None and len(vector) != length:
        raise DataError(f"{path}: {variable} has {len(vector)} numbers, not {length}; download it again")
    if bad := np.flatnonzero(~np.isfinite(vector)).tolist():
        raise DataError(f"{path}: {variable}: number {bad[0] + 1} is {vector[bad[0]]}; download it again")
    return vector


def read_names(path: Path, variable: str, length: int | None = None) -> list[str]:
    """Read a cell array of names of a MATLAB file.

    Raises
    ------
    DataError
        If it holds anything else than `length` names (None: any length).
    """
    cells = read_mat(path, variable)[variable]
    names = [cell.item() if isinstance(cell, np.ndarray) and cell.size == 1 else cell for cell in cells.ravel()]
    if not all(isinstance(name, str) for name in names):
        raise DataError(f"{path}: {variable} does not hold names; check that it is the published file")
    if length is not None and len(names) != length:
        raise DataError(f"{path}: {variable} has {len(names)} names, not {length}; download it again")
    return names


def _open_sheet(path: Path, sheet: str | None) -> Iterator[list[str]]:
    from openpyxl import load_workbook

    with zipfile.ZipFile(path) as archive:
        size = sum(member.file_size for member in archive.infolist())
    if size > MAX_BINARY:
        raise DataError(f"{path}: unpacks to {size} bytes, at most {MAX_BINARY} are read; download it again")
    book = load_workbook(path, read_only=True, data_only=True, keep_links=False)
    try:
        if sheet is not None and sheet not in book.sheetnames:
            raise DataError(f"{path}: lacks the sheet {sheet!r}; it has {', '.join(book.sheetnames)}")
        table = book[sheet] if sheet is not None else book.worksheets[0]
        for values in table.iter_rows(max_row=MAX_SHEET[0], max_col=MAX_SHEET[1], values_only=True):
            yield ["" if value is None else str(value).strip() for value in values]
    finally:
        book.close()


def sheet_rows(path: Path, sheet: str | None = None) -> Iterator[list[str]]:
    """Yield the rows of a sheet (None: the first) of an .xlsx file as text, empty cells as "", one at a time.

    Raises
    ------
    DataError
        If the file is no .xlsx file, is or unpacks to more than :data:`MAX_BINARY` bytes, or lacks the sheet.
    """
    rows = _open_sheet(_limited(path, MAX_BINARY), sheet)
    while True:
        try:
            cells = next(rows)
        except StopIteration:
            return
        except DataError:
            raise
        except Exception as error:  # the parser raises many types on bytes that are no workbook
            raise DataError(f"{path}: not a readable .xlsx file ({type(error).__name__}); download it again") from None
        yield cells


def read_sheet(path: Path, sheet: str | None, columns: list[str]) -> Iterator[dict[str, str]]:
    """Yield the rows of a sheet below the one that holds the titles `columns`, as text, without empty rows.

    Raises
    ------
    DataError
        As :func:`sheet_rows`, and if no row holds the titles.
    """
    places: dict[str, int] | None = None
    for cells in sheet_rows(path, sheet):
        if places is None:
            if set(columns) <= set(cells):
                places = {name: cells.index(name) for name in columns}
        elif any(cells):
            yield {name: cells[k] if k < len(cells) else "" for name, k in places.items()}
    if places is None:
        raise DataError(f"{path}: no row of the sheet holds the titles {', '.join(columns)}; name the right sheet")
