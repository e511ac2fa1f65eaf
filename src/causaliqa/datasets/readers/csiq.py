"""CSIQ (Larson, Chandler, J. Electron. Imaging 19, 2010): 30 references, 6 types, 4 to 5 levels, 866 images.

``src_imgs/1600.png``, ``dst_imgs/awgn/1600.AWGN.1.png``, and ``csiq.DMOS.xlsx`` whose sheet ``all_by_image`` has the
columns image, dst_idx, dst_type, dst_lev, dmos_std, dmos below some empty rows. Scores are DMOS, 0 to 1, higher is
worse. The variant of 750 images leaves out the contrast changes.
"""

from __future__ import annotations

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
    read_sheet,
    read_table,
    whole,
    with_references,
)
from causaliqa.errors import DataError

#: Type in the label file, without spaces -> (name, folder, middle of the file name).
TYPES = {
    "noise": ("white_noise", "awgn", "AWGN"),
    "jpeg": ("jpeg", "jpeg", "JPEG"),
    "jpeg2000": ("jpeg2000", "jpeg2000", "jpeg2000"),
    "fnoise": ("pink_noise", "fnoise", "fnoise"),
    "blur": ("gaussian_blur", "blur", "BLUR"),
    "contrast": ("contrast_change", "contrast", "contrast"),
}
_COLUMNS = ["image", "dst_type", "dst_lev", "dmos_std", "dmos"]


class CsiqOptions(Options):
    """Options of the layout.

    Attributes
    ----------
    contrast : keep the contrast changes: 866 images; else 750.
    table : the label file; one that ends in .csv has the same columns.
    """

    contrast: bool = True
    table: str = "csiq.DMOS.xlsx"


def read(folder: Path, options: dict[str, Any]) -> Iterator[Row]:
    """Yield the rows; see :func:`causaliqa.datasets.readers.read_layout`."""
    chosen = parse_options(CsiqOptions, options, "csiq")
    yield from with_references(_distorted(Files(folder), chosen))


def _distorted(files: Files, options: CsiqOptions) -> Iterator[tuple[Row, str]]:
    path = files.need(options.table, "csiq")
    csv = path.suffix.lower() == ".csv"
    unique = Unique()
    for values in read_table(path, _COLUMNS) if csv else read_sheet(path, "all_by_image", _COLUMNS):
        content, kind = values["image"].strip(), values["dst_type"].replace(" ", "").lower()
        where = f"{path}: {content} {kind} {values['dst_lev']}"
        if kind not in TYPES:
            raise DataError(f"{where}: type {values['dst_type']!r} is unknown; known are {', '.join(TYPES)}")
        level = whole(values["dst_lev"], where)
        if not content or not 1 <= level <= 5:
            raise DataError(f"{where}: needs an image, and a level from 1 to 5; repair the line")
        name, folder, middle = TYPES[kind]
        image = unique.add(files.path(f"dst_imgs/{folder}/{content}.{middle}.{level}.png", where), where)
        if name == "contrast_change" and not options.contrast:
            continue
        row = Row(image, content.lower(), name, level, number(values["dmos"], where), number(values["dmos_std"], where))
        yield row, files.path(f"src_imgs/{content}.png", where)
