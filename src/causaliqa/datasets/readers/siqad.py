"""SIQAD (Yang, Fang, Lin, IEEE Trans. Image Process. 24, 2015): 20 screen images x 7 types x 7 levels.

``references/cim1.bmp``, ``DistortedImages/cim1_1_1.bmp`` and ``DMOS_SIQAD.mat`` with ``DMOS``, 49 x 20. Scores are
DMOS, higher is worse. A column is a reference; its rows are the types one after the other, each with levels 1 to 7:
averaged over references, each run of 7 rises with the level, but for the fourth, contrast change, whose levels are in
no order of severity.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from causaliqa.datasets.readers.base import Files, Options, Row, parse_options, read_mat, read_vector, with_references
from causaliqa.errors import DataError

#: Names of the types 1 to 7.
TYPES = (
    "gaussian_noise",
    "gaussian_blur",
    "motion_blur",
    "contrast_change",
    "jpeg",
    "jpeg2000",
    "layer_segmentation_coding",
)
REFERENCES, LEVELS = 20, 7


class SiqadOptions(Options):
    """The layout has no options."""


def read(folder: Path, options: dict[str, Any]) -> Iterator[Row]:
    """Yield the rows; see :func:`causaliqa.datasets.readers.read_layout`."""
    parse_options(SiqadOptions, options, "siqad")
    yield from with_references(_distorted(Files(folder)))


def _distorted(files: Files) -> Iterator[tuple[Row, str]]:
    path = files.need("DMOS_SIQAD.mat", "siqad")
    shape = read_mat(path, "DMOS")["DMOS"].shape
    if shape != (len(TYPES) * LEVELS, REFERENCES):
        raise DataError(f"{path}: DMOS is {shape}, not {(len(TYPES) * LEVELS, REFERENCES)}; download it again")
    scores = read_vector(path, "DMOS").reshape(shape)
    for content in range(1, REFERENCES + 1):
        for index, score in enumerate(scores[:, content - 1].tolist()):
            kind, level = divmod(index, LEVELS)
            image = files.path(f"DistortedImages/cim{content}_{kind + 1}_{level + 1}.bmp")
            row = Row(image, f"cim{content:02d}", TYPES[kind], level + 1, score)
            yield row, files.path(f"references/cim{content}.bmp")
