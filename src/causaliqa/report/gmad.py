"""Pairs of images on which two methods disagree, with their pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from causaliqa.datasets.shards import DegradedSet
from causaliqa.errors import DataError
from causaliqa.io import read_parquet


def load_pairs(evaluate: Path | str) -> pd.DataFrame:
    """Read the pairs: :data:`causaliqa.evaluate.gmad.GMAD_COLUMNS`."""
    return read_parquet(Path(evaluate) / "gmad.parquet")


def load_pictures(pairs: pd.DataFrame, folders: Mapping[str, Path | str]) -> dict[str, np.ndarray]:
    """Return the pictures of pairs for :func:`causaliqa.figures.comparison.gmad_figure`.

    Parameters
    ----------
    pairs : columns ``dataset, image_a, image_b``.
    folders : dataset -> ``data/degraded/<dataset>``.

    Returns
    -------
    Image name -> uint8 (H, W) or (H, W, 3); each shard is read once.

    Raises
    ------
    DataError
        If a dataset has no folder, a picture is missing or damaged, or two datasets name an image alike: draw them in
        two figures then.
    """
    named = pd.concat(
        [pairs[["dataset", f"image_{side}"]].set_axis(["dataset", "image"], axis=1) for side in "ab"]
    ).drop_duplicates()
    if named["image"].duplicated().any():
        twice = named.loc[named["image"].duplicated(), "image"].iloc[0]
        raise DataError(f"image {twice!r}: in two datasets of these pairs; draw each dataset by itself")
    pictures: dict[str, np.ndarray] = {}
    for dataset, rows in named.groupby("dataset", sort=True):
        if str(dataset) not in folders:
            raise DataError(f"{dataset}: no folder of its images is given; name its folder of degraded images")
        stored = DegradedSet(Path(folders[str(dataset)]))
        for image in sorted(rows["image"]):
            pictures[image] = stored.stimulus(image)
    return pictures


def folders(paths: Sequence[Path | str]) -> dict[str, Path]:
    """Return folders of degraded images by their dataset, which is the folder's name."""
    return {Path(path).name: Path(path) for path in paths}


def by_dataset(pairs: pd.DataFrame, most: int = 3) -> list[tuple[str, pd.DataFrame]]:
    """Return the pairs of each dataset, of the first `most` of them: pictures make a page heavy."""
    return [(str(name), rows) for name, rows in pairs.groupby("dataset", sort=True)][:most]


def table(pairs: pd.DataFrame) -> pd.DataFrame:
    """Return what a reader needs of the pairs: who says what of which two images."""
    gaps = {side: [f"{gap:.0%}" for gap in pairs[f"{side}_gap"]] for side in ("defender", "attacker")}
    return pd.DataFrame(
        {
            "dataset": pairs["dataset"],
            "defender": pairs["defender"],
            "attacker": pairs["attacker"],
            "better, says the attacker": pairs["image_a"],
            "worse": pairs["image_b"],
            "apart by (defender)": gaps["defender"],
            "apart by (attacker)": gaps["attacker"],
        }
    )
