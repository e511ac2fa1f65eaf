"""SAUD (Jiang et al., IEEE Trans. Circuits Syst. Video Technol. 32, 2022): 1,000 enhanced underwater images.

A table with an image and a score column, and the images of 100 scenes by ten methods. Scores are Bradley-Terry values
of pair comparisons, higher is better. No image is a reference of another.

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
    chosen = parse_options(LabelOptions, options, "saud")
    yield from read_labels(Files(folder), "saud", chosen, "images")
