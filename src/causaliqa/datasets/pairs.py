"""Pairs of a reference and a distorted image, from a degraded set or from a fetched set with scores."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import pandas as pd

from causaliqa.datasets.names import REFERENCE
from causaliqa.datasets.raw import MANIFEST, RawRow, RawSet, read_raw_manifest
from causaliqa.errors import DataError
from causaliqa.images import as_rgb


class Pair(NamedTuple):
    """One pair.

    Attributes
    ----------
    image : name of the distorted image, unique in its set.
    reference, distorted : arrays (H, W) or (H, W, 3) of equal shape, values as stored.
    data_range : the value that means white, for both.
    """

    image: str
    reference: np.ndarray
    distorted: np.ndarray
    data_range: float


class PairSet(Protocol):
    """What methods need of a set: a manifest with ``MANIFEST_COLUMNS`` and the pairs of each reference."""

    @property
    def name(self) -> str:
        """Name of the dataset."""

    @property
    def manifest(self) -> pd.DataFrame:
        """One row an image, references included."""

    @property
    def references(self) -> list[str]:
        """Names of the references, sorted."""

    def pairs(self, reference: str) -> Iterator[Pair]:
        """Yield the pairs of a reference, in the manifest's order, the reference with itself included."""


def open_pairs(folder: Path) -> PairSet:
    """Open ``data/degraded/<set>`` or ``data/raw/<labelled set>``.

    Raises
    ------
    DataError
        If the folder is neither.
    """
    from causaliqa.datasets.shards import DegradedSet

    if (Path(folder) / "manifest.parquet").is_file():
        return DegradedSet(folder)
    if (Path(folder) / MANIFEST).is_file():
        return LabelledSet(folder)
    raise DataError(f"{folder}: holds no manifest; run the stage that makes it (snakemake stage_fetch stage_degrade)")


class LabelledSet:
    """A fetched full-reference dataset with scores.

    All its images have the partition ``test``: no model is trained on them here; splits for fitting on scores are in
    ``splits.json``.

    Raises
    ------
    DataError
        If the dataset is not one of full-reference pairs.
    """

    def __init__(self, folder: Path) -> None:
        self._raw = RawSet(folder)
        if self._raw.about["kind"] != "full_reference":
            raise DataError(
                f"{folder}: dataset {self._raw.name} is of kind {self._raw.about['kind']}, without pairs; "
                "name it under fetch.datasets (pristine) or fetch.blind"
            )
        table = read_raw_manifest(folder)
        self.about = self._raw.about
        self.manifest = table.assign(parent="", partition="test")
        self._rows: dict[str, list[RawRow]] = {}
        for row in self._raw.rows():
            self._rows.setdefault(row.reference, []).append(row)

    @property
    def name(self) -> str:
        """Name of the dataset."""
        return self._raw.name

    @property
    def references(self) -> list[str]:
        """Names of the references, sorted."""
        return sorted(self._rows)

    def pairs(self, reference: str) -> Iterator[Pair]:
        """Yield the pairs of a reference, itself included.

        A gray image beside a colour one is repeated in three channels. The data range is the larger of the two
        images' (they are equal in all known datasets).

        Raises
        ------
        DataError
            If an image is missing, changed or unreadable, or the two use different containers.
        """
        rows = self._rows[reference]
        own = next((row for row in rows if row.distortion == REFERENCE), None)
        if own is None:
            raise DataError(f"{self._raw.folder}: reference {reference!r} has no image; fetch the dataset again")
        pristine = self._raw.read(own).values
        for row in rows:
            distorted = pristine if row is own else self._raw.read(row).values
            if row.bit_depth != own.bit_depth:
                raise DataError(
                    f"{self._raw.folder / row.image}: has {row.bit_depth} bits and its reference {own.image} "
                    f"{own.bit_depth}; store both alike"
                )
            first = pristine if pristine.ndim == distorted.ndim else as_rgb(pristine)
            second = distorted if pristine.ndim == distorted.ndim else as_rgb(distorted)
            yield Pair(row.image, first, second, max(row.data_range, own.data_range))
