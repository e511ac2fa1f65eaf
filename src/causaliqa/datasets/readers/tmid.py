"""TMID (Yeganeh, Wang, IEEE Trans. Image Process. 22, 2013): 15 HDR scenes, 8 tone-mapped images of each.

A table with an image and a score column, and the tone-mapped images. The HDR originals are no reference that an image
can be compared with, so the set is blind. The published scores are mean ranks within a scene: the registry states
which direction is better.

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
    chosen = parse_options(LabelOptions, options, "tmid")
    yield from read_labels(Files(folder), "tmid", chosen, "images")
