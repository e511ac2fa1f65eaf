"""ESPL-LIVE HDR (Kundu et al., IEEE Trans. Image Process. 26, 2017): 1,811 tone-mapped and fused images.

``Images/*.PNG`` and a text file of lines with image, MOS and standard deviation. Scores are from 0 to 100, higher is
better; there are no references. Layout after public code that reads the archive; not verified against it, so the label
file is the only .txt that is no readme, or the one that the options name, and images are found by name in any folder.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from causaliqa.datasets.names import AUTHENTIC
from causaliqa.datasets.readers.base import Files, Options, Row, Unique, number, parse_options, read_lines
from causaliqa.datasets.readers.labels import label_file
from causaliqa.errors import DataError


class EsplLiveHdrOptions(Options):
    """Options of the layout.

    Attributes
    ----------
    table : the label file; null: the only .txt file that is no readme.
    """

    table: str | None = None


def read(folder: Path, options: dict[str, Any]) -> Iterator[Row]:
    """Yield the rows; see :func:`causaliqa.datasets.readers.read_layout`."""
    chosen = parse_options(EsplLiveHdrOptions, options, "espl_live_hdr")
    files = Files(folder)
    unique = Unique()
    for where, text in read_lines(label_file(files, "espl_live_hdr", chosen.table, (".txt",))):
        fields = text.replace(",", " ").split()
        if len(fields) not in (2, 3):
            raise DataError(f"{where}: {len(fields)} fields, not 3 (image, MOS, standard deviation); repair the line")
        name = unique.add(fields[0], where)
        std = number(fields[2], where) if len(fields) == 3 else float("nan")
        image = files.locate(name, f"Images/{name}", where)
        yield Row(image, "", AUTHENTIC, 0, number(fields[1], where), std)
