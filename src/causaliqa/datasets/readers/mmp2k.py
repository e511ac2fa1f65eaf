"""MMP-2k: macro photographs with authentic distortions.

``labels.csv`` (image, mos, n_ratings) with paths relative to the folder, as in a partial copy. Scores are MOS, 0 to
100, higher is better; there are no references.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from causaliqa.datasets.names import AUTHENTIC
from causaliqa.datasets.readers.base import Files, Options, Row, Unique, number, parse_options, read_table


class Mmp2kOptions(Options):
    """The layout has no options."""


def read(folder: Path, options: dict[str, Any]) -> Iterator[Row]:
    """Yield the rows; see :func:`causaliqa.datasets.readers.read_layout`."""
    parse_options(Mmp2kOptions, options, "mmp2k")
    files = Files(folder)
    path = files.need("labels.csv", "mmp2k")
    unique = Unique()
    for row in read_table(path, ["image", "mos"]):
        where = f"{path}: {row['image']}"
        image = files.path(unique.add(row["image"], where), where)
        yield Row(image, "", AUTHENTIC, score=number(row["mos"], where))
