"""UID2021 (Hou et al., ACM TOMM 19, 2023): 60 underwater images and 900 enhanced ones by fifteen methods, with MOS.

A table with an image and a score column, and the images. No image is a reference of another: the raw ones are the
degraded ones.

Layout not verified against the archive: what public sources say of it does not name the files. Titles of the table
are found, or given by the options; images are found by name in any folder.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from causaliqa.datasets.readers.base import Files, Row, parse_options
from causaliqa.datasets.readers.labels import LabelOptions, read_labels


def read(folder: Path, options: dict[str, Any]) -> Iterator[Row]:
    """Yield the rows; see :func:`causaliqa.datasets.readers.read_layout`."""
    chosen = parse_options(LabelOptions, options, "uid2021")
    yield from read_labels(Files(folder), "uid2021", chosen, "images")
