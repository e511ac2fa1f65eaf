"""SCID (Ni et al., IEEE Trans. Image Process. 26, 2017): 40 screen images x 9 types x 5 levels.

``ReferenceSCIs/SCI01.bmp``, ``DistortedSCIs/SCI01_1_1.bmp`` and ``MOS_SCID.mat`` with ``MOS_SCID``, 1800 x 1. Scores
are MOS, higher is better. They run over levels first, then types, then references: averaged over references, each run
of 5 falls with the level, but for the fourth, contrast change, whose levels are in no order of severity.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from causaliqa.datasets.readers.base import Files, Options, Row, parse_options, read_vector, with_references

#: Names of the types 1 to 9.
TYPES = (
    "gaussian_noise",
    "gaussian_blur",
    "motion_blur",
    "contrast_change",
    "jpeg",
    "jpeg2000",
    "colour_saturation_change",
    "hevc_screen_content",
    "colour_quantization_with_dither",
)
REFERENCES, LEVELS = 40, 5


class ScidOptions(Options):
    """The layout has no options."""


def read(folder: Path, options: dict[str, Any]) -> Iterator[Row]:
    """Yield the rows; see :func:`causaliqa.datasets.readers.read_layout`."""
    parse_options(ScidOptions, options, "scid")
    yield from with_references(_distorted(Files(folder)))


def _distorted(files: Files) -> Iterator[tuple[Row, str]]:
    path = files.need("MOS_SCID.mat", "scid")
    scores = read_vector(path, "MOS_SCID", REFERENCES * len(TYPES) * LEVELS).tolist()
    for index, score in enumerate(scores):
        content, rest = divmod(index, len(TYPES) * LEVELS)
        kind, level = divmod(rest, LEVELS)
        image = files.path(f"DistortedSCIs/SCI{content + 1:02d}_{kind + 1}_{level + 1}.bmp")
        row = Row(image, f"sci{content + 1:02d}", TYPES[kind], level + 1, score)
        yield row, files.path(f"ReferenceSCIs/SCI{content + 1:02d}.bmp")
