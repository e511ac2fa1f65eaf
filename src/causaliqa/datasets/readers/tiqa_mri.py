"""Pairs of MR images from TIQA-MRI (Igorles/TIQA-MRI): odd files of high quality, even files accelerated.

``labels.csv`` (image, mos, pair, role, max_value, pair_same_size, reference), ``images/01.png``. Scores are MOS, 1 to
5, higher is better, and the references have one too. The pairing is inferred, not published.

The 16-bit files use a small part of their range, and how much differs by file, so each row has a ``data_range``: the
larger of the pair's two largest values. One scale for both keeps the difference in brightness between them; each
file's own would hide it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from causaliqa.datasets.names import REFERENCE
from causaliqa.datasets.readers.base import Files, Options, Row, Unique, number, parse_options, read_table, whole
from causaliqa.errors import DataError

#: Distortion name of the even files.
ACCELERATED = "accelerated_acquisition"
_COLUMNS = ["image", "mos", "pair", "role", "max_value", "pair_same_size", "reference"]


class TiqaMriOptions(Options):
    """Options of the layout.

    Attributes
    ----------
    unequal : what happens to pairs of unequal size, which no full-reference metric can compare: skip both images, or
        stop with an error.
    """

    unequal: Literal["skip", "error"] = "skip"


def read(folder: Path, options: dict[str, Any]) -> Iterator[Row]:
    """Yield the rows; see :func:`causaliqa.datasets.readers.read_layout`."""
    chosen = parse_options(TiqaMriOptions, options, "tiqa_mri")
    files = Files(folder)
    path = files.need("labels.csv", "tiqa_mri")
    for pair, (high, low) in sorted(_pairs(path).items()):
        where = f"{path}: {low['image']}"
        if high["pair_same_size"] != "1" or low["pair_same_size"] != "1":
            if chosen.unequal == "error":
                raise DataError(f"{where}: its size is not that of {high['image']}; set unequal: skip")
            continue
        if low["reference"].lower() != high["image"].lower():
            raise DataError(f"{where}: the reference is {low['reference']!r}, not {high['image']}; repair the line")
        white = max(number(row["max_value"], f"{path}: {row['image']}: max_value") for row in (high, low))
        if white <= 0:
            raise DataError(f"{where}: max_value is not above 0; repair the line")
        for row, distortion, level in ((high, REFERENCE, 0), (low, ACCELERATED, 1)):
            where = f"{path}: {row['image']}"
            image = files.path(f"images/{row['image']}", where)
            score = number(row["mos"], where)
            yield Row(image, f"pair_{pair:02d}", distortion, level, score, data_range=white)


def _pairs(path: Path) -> dict[int, tuple[dict[str, str], dict[str, str]]]:
    """Return pair -> (row of the high-quality image, row of the other)."""
    unique = Unique()
    roles: dict[int, dict[str, dict[str, str]]] = {}
    for row in read_table(path, _COLUMNS):
        where = f"{path}: {row['image']}"
        unique.add(row["image"], where)
        if row["role"] not in ("odd_hq", "even_lq"):
            raise DataError(f"{where}: role {row['role']!r} is unknown; it is odd_hq or even_lq")
        pair = roles.setdefault(whole(row["pair"], where), {})
        if pair.setdefault(row["role"], row) is not row:
            raise DataError(f"{where}: pair {row['pair']} has two images of role {row['role']}; repair the line")
    for number_of, pair in roles.items():
        if len(pair) != 2:
            raise DataError(f"{path}: pair {number_of} has one image; add the other or remove the line")
    return {number_of: (pair["odd_hq"], pair["even_lq"]) for number_of, pair in roles.items()}
