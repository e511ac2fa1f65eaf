"""LIVE In the Wild Image Quality Challenge (Ghadiyaram, Bovik, IEEE Trans. Image Process. 25, 2016).

``Images/3.bmp``, ``Images/trainingImages/t1.bmp``, and ``Data/AllImages_release.mat``, ``Data/AllMOS_release.mat`` and
``Data/AllStdDev_release.mat`` with 1,169 entries in one order, or a .csv (image, mos). Scores are MOS, 0 to 100, higher
is better; there are no references. The first 7, t1 to t7, trained the observers; 1,162 remain.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from causaliqa.datasets.names import AUTHENTIC
from causaliqa.datasets.readers.base import (
    Files,
    Options,
    Row,
    Unique,
    number,
    parse_options,
    read_names,
    read_table,
    read_vector,
)


class CliveOptions(Options):
    """Options of the layout.

    Attributes
    ----------
    training : keep the 7 images that observers were trained with.
    table : a .csv with the columns image and mos instead of the .mat files.
    """

    training: bool = False
    table: str | None = None


def read(folder: Path, options: dict[str, Any]) -> Iterator[Row]:
    """Yield the rows; see :func:`causaliqa.datasets.readers.read_layout`."""
    chosen = parse_options(CliveOptions, options, "clive")
    files = Files(folder)
    unique = Unique()
    for where, name, score, std in _labels(files, chosen):
        unique.add(name, where)
        training = re.fullmatch(r"t\d+\.\w+", name, re.IGNORECASE) is not None
        if training and not chosen.training:
            continue
        image = files.path(f"Images/{'trainingImages/' if training else ''}{name}", where)
        yield Row(image, "", AUTHENTIC, 0, score, std)


def _labels(files: Files, options: CliveOptions) -> Iterator[tuple[str, str, float, float]]:
    if options.table is not None:
        path = files.need(options.table, "clive")
        for row in read_table(path, ["image", "mos"]):
            where = f"{path}: {row['image']}"
            yield where, row["image"], number(row["mos"], where), float("nan")
        return
    names_path, score_path, std_path = (
        files.need(f"Data/{name}_release.mat", "clive") for name in ("AllImages", "AllMOS", "AllStdDev")
    )
    names = read_names(names_path, "AllImages_release")
    scores = read_vector(score_path, "AllMOS_release", len(names)).tolist()
    stds = read_vector(std_path, "AllStdDev_release", len(names)).tolist()
    for name, score, std in zip(names, scores, stds, strict=True):
        yield f"{names_path}: {name}", name, score, std
