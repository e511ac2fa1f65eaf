"""CID2013 (Virtanen et al., IEEE Trans. Image Process. 24, 2015): 474 photographs by 79 cameras, in six sets.

``IS1/co1/IS_I_C01_D01.jpg`` and ``CID2013 data - version 12112014.xlsx``, whose sheet ``CID2013 MOS`` has the columns
Source_ID and Realigned MOS; or ``source_id_iq_score_pairs.txt`` with lines of Source_ID and score. Scores are about 0
to 100, higher is better; there are no references. Layout after public code that reads the archive; not verified
against it, so images are found by name in any folder.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from causaliqa.datasets.names import AUTHENTIC
from causaliqa.datasets.readers.base import Files, Options, Row, Unique, number, parse_options, read_lines, read_sheet
from causaliqa.errors import DataError

PAIRS = "source_id_iq_score_pairs.txt"
_SETS = ("I", "II", "III", "IV", "V", "VI")


class Cid2013Options(Options):
    """Options of the layout.

    Attributes
    ----------
    table, sheet, image, score : the workbook, its sheet and the columns of the image's name and of its score.
    """

    table: str = "CID2013 data - version 12112014.xlsx"
    sheet: str = "CID2013 MOS"
    image: str = "Source_ID"
    score: str = "Realigned MOS"


def read(folder: Path, options: dict[str, Any]) -> Iterator[Row]:
    """Yield the rows; see :func:`causaliqa.datasets.readers.read_layout`."""
    chosen = parse_options(Cid2013Options, options, "cid2013")
    files = Files(folder)
    unique = Unique()
    for where, name, score in _labels(files, chosen):
        name = unique.add(re.sub(r"\.jpe?g$", "", name, flags=re.IGNORECASE), where)
        match = re.fullmatch(r"IS_([IV]+)_C0?(\d+)_D\d+", name, re.IGNORECASE)
        if match is None or match[1].upper() not in _SETS:
            raise DataError(f"{where}: {name!r} is no name like IS_I_C01_D01; repair the label file")
        likely = f"IS{_SETS.index(match[1].upper()) + 1}/co{match[2]}/{name}.jpg"
        yield Row(files.locate(f"{name}.jpg", likely, where), "", AUTHENTIC, score=number(score, where))


def _labels(files: Files, options: Cid2013Options) -> Iterator[tuple[str, str, str]]:
    """Yield (where, name, score)."""
    pairs = files.find(PAIRS)
    if files.find(options.table) is None and pairs is not None:
        for where, text in read_lines(files.folder / pairs):
            fields = text.split()
            if len(fields) != 2:
                raise DataError(f"{where}: {len(fields)} fields, not 2 (image and score); repair the line")
            yield where, fields[0], fields[1]
        return
    path = files.need(options.table, "cid2013")
    for row in read_sheet(path, options.sheet, [options.image, options.score]):
        yield f"{path}: {row[options.image]}", row[options.image], row[options.score]
