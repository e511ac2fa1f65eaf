"""LDCTIQAC 2023, the low-dose CT image quality challenge of MICCAI 2023: 1,000 training images.

``train.json``, an object of file name and score like ``{"0000.tif": 2.4}``, and ``image/0000.tif``. Scores are means of
radiologists' opinions, 0 to 4, higher is better; there are no references. The test part has the same form under other
names, which the options state. Layout after public code that reads the archive; not verified against it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from causaliqa.datasets.names import AUTHENTIC
from causaliqa.datasets.readers.base import Files, Options, Row, Unique, finite, parse_options, read_json


class Ldctiqac2023Options(Options):
    """Options of the layout.

    Attributes
    ----------
    labels : the label file.
    images : folder of the images.
    """

    labels: str = "train.json"
    images: str = "image"


def read(folder: Path, options: dict[str, Any]) -> Iterator[Row]:
    """Yield the rows; see :func:`causaliqa.datasets.readers.read_layout`."""
    chosen = parse_options(Ldctiqac2023Options, options, "ldctiqac2023")
    files = Files(folder)
    path = files.need(chosen.labels, "ldctiqac2023")
    unique = Unique()
    for name, score in read_json(path):
        where = f"{path}: {name}"
        image = files.path(f"{chosen.images}/{unique.add(name, where)}", where)
        yield Row(image, "", AUTHENTIC, score=finite(score, where))
