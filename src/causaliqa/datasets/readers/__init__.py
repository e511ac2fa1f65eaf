"""Readers of published layouts: a folder in, rows out. One module a layout; see :mod:`.base` for what they share."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from causaliqa.datasets.readers.base import Row
from causaliqa.errors import ConfigError

#: Layouts; each is a module of this package with ``read(folder, options) -> Iterator[Row]``.
LAYOUTS = (
    "agudelo_pansharp",
    "cid2013",
    "clive",
    "csiq",
    "espl_live_hdr",
    "exposure_ladder",
    "folder",
    "kadid10k",
    "koniq10k",
    "ldctiqac2023",
    "live",
    "mmp2k",
    "pipal",
    "pristine",
    "saud",
    "scid",
    "siqad",
    "tid2013",
    "tiqa_mri",
    "tmid",
    "uid2021",
)


def read_layout(layout: str, folder: Path, options: dict[str, Any]) -> Iterator[Row]:
    """Yield the rows of a dataset, a reference before the first of its distorted images, one image once.

    Raises
    ------
    ConfigError
        If the layout or an option is unknown.
    DataError
        If the folder is not in that layout; the message names what is missing or wrong.
    """
    if layout not in LAYOUTS:
        close = difflib.get_close_matches(layout, LAYOUTS, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(LAYOUTS)}"
        raise ConfigError(f"unknown layout {layout!r}; {hint}")
    module = importlib.import_module(f"causaliqa.datasets.readers.{layout}")
    rows: Iterator[Row] = module.read(Path(folder), options)
    return rows
