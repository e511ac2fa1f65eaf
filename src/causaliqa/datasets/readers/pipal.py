"""PIPAL (Gu et al., ECCV 2020), its training part: 200 references, 116 processed images of each, 23,200 in all.

``Train_Ref/A0001.bmp``; ``A0001_00_00.bmp`` ... in ``Train_Dist`` or in several folders like ``Distortion_1``; and
``Train_Label/A0001.txt`` with lines ``A0001_00_00.bmp,1520.06``, or all of these lines in ``pipal22_train.txt``. Scores
are Elo ratings, higher is better.

The second number of a name is the class, the third counts methods and parameters within it in no order of severity, so
the level is always 0. The names of the classes follow the sizes that the paper states (12, 16, 10, 24, 13, 14, 27).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from causaliqa.datasets.readers.base import (
    Files,
    Options,
    Row,
    Unique,
    number,
    parse_options,
    read_lines,
    with_references,
)
from causaliqa.errors import DataError

#: Names of the classes 0 to 6.
TYPES = (
    "traditional_super_resolution",
    "psnr_super_resolution",
    "super_resolution_kernel_mismatch",
    "gan_super_resolution",
    "denoising",
    "super_resolution_and_denoising",
    "traditional",
)
JOINED = "pipal22_train.txt"
_NAME = re.compile(r"(a\d{4})_(\d\d)_(\d\d)\.bmp", re.IGNORECASE)


class PipalOptions(Options):
    """The layout has no options."""


def read(folder: Path, options: dict[str, Any]) -> Iterator[Row]:
    """Yield the rows; see :func:`causaliqa.datasets.readers.read_layout`."""
    parse_options(PipalOptions, options, "pipal")
    yield from with_references(_distorted(Files(folder)))


def _distorted(files: Files) -> Iterator[tuple[Row, str]]:
    tables = [files.folder / name for name in files.matching("Train_Label", (".txt",))]
    unique = Unique()
    for path in tables or [files.need(JOINED, "pipal")]:
        for where, text in read_lines(path):
            fields = [field.strip() for field in text.split(",")]
            if len(fields) != 2:
                raise DataError(f"{where}: {len(fields)} fields, not 2 (image, score); repair the line")
            name = unique.add(fields[0], where)
            if (match := _NAME.fullmatch(name)) is None:
                raise DataError(f"{where}: cannot tell the reference of {name!r}; names are like A0001_00_00.bmp")
            if int(match[2]) >= len(TYPES):
                raise DataError(f"{where}: {name}: classes are 00 to 06; repair the line")
            row = Row(
                files.locate(name, f"Train_Dist/{name}", where),
                match[1].lower(),
                TYPES[int(match[2])],
                score=number(fields[1], where),
            )
            yield row, files.path(f"Train_Ref/{match[1]}.bmp")
