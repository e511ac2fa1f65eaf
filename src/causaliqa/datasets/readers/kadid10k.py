"""KADID-10k (Lin, Hosu, Saupe, QoMEX 2019): 81 references x 25 types x 5 levels.

``images/I01.png`` and ``images/I01_01_01.png``, ``dmos.csv`` (dist_img, ref_img, dmos, var). Despite its name the
column ``dmos`` is a mean opinion, 1 to 5, **higher is better**. Despite its name ``var`` is a standard deviation: of
votes that are whole numbers, hundreds of rows have the smallest one that their mean allows, as 0.4 for a mean of 1.2.
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
    read_table,
    with_references,
)
from causaliqa.errors import DataError

#: Names of the types 1 to 25: those of :mod:`causaliqa.degradations`, which follow this database.
TYPES = (
    "gaussian_blur",
    "lens_blur",
    "motion_blur",
    "colour_diffusion",
    "colour_shift",
    "colour_quantisation",
    "saturation_hsv",
    "saturation_lab",
    "jpeg2000",
    "jpeg",
    "white_noise",
    "white_noise_ycbcr",
    "impulse_noise",
    "multiplicative_noise",
    "denoise",
    "brighten",
    "darken",
    "mean_shift",
    "jitter",
    "non_eccentricity_patch",
    "pixelate",
    "quantisation",
    "colour_block",
    "high_sharpen",
    "contrast_change",
)
_NAME = re.compile(r"(i\d\d)_(\d\d)_(\d\d)\.png", re.IGNORECASE)


class Kadid10kOptions(Options):
    """The layout has no options."""


def read(folder: Path, options: dict[str, Any]) -> Iterator[Row]:
    """Yield the rows; see :func:`causaliqa.datasets.readers.read_layout`."""
    parse_options(Kadid10kOptions, options, "kadid10k")
    yield from with_references(_distorted(Files(folder)))


def _distorted(files: Files) -> Iterator[tuple[Row, str]]:
    path = files.need("dmos.csv", "kadid10k")
    unique = Unique()
    for values in read_table(path, ["dist_img", "ref_img", "dmos", "var"]):
        name = values["dist_img"].strip()
        where = f"{path}: {name}"
        match = _NAME.fullmatch(unique.add(name, where))
        if match is None or values["ref_img"].strip().lower() != f"{match[1]}.png".lower():
            raise DataError(f"{where}: cannot tell its reference; names are like I01_01_01.png, of I01.png")
        kind, level = int(match[2]), int(match[3])
        if not (1 <= kind <= len(TYPES) and 1 <= level <= 5):
            raise DataError(f"{where}: types are 1 to 25, levels 1 to 5; repair the line")
        row = Row(
            files.path(f"images/{name}", where),
            match[1].lower(),
            TYPES[kind - 1],
            level,
            number(values["dmos"], where),
            number(values["var"], where),
        )
        yield row, files.path(f"images/{values['ref_img'].strip()}", where)
