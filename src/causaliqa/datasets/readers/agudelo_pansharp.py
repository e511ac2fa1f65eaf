"""Pan-sharpened satellite images (Agudelo-Medina et al., Remote Sens. 11, 877, 2019).

``labels.csv`` (image, reference, view, scene, method, distortion, level, dmos), images beside it. Views are true colour
(TC) and near-infrared false colour (PC). Scores are DMOS, higher is worse. The distortion is the fusion method and what
was done to its result: ``pca_blr``, ``pca_awgn``, or ``pca_ud`` for the undistorted fused image, which has level 0.
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
    read_table,
    snake,
    with_references,
)
from causaliqa.datasets.readers.folder import level_of
from causaliqa.errors import DataError

_COLUMNS = ["image", "reference", "view", "scene", "method", "distortion", "level", "dmos"]


class AgudeloOptions(Options):
    """The layout has no options."""


def read(folder: Path, options: dict[str, Any]) -> Iterator[Row]:
    """Yield the rows; see :func:`causaliqa.datasets.readers.read_layout`."""
    parse_options(AgudeloOptions, options, "agudelo_pansharp")
    yield from with_references(_distorted(Files(folder)))


def _distorted(files: Files) -> Iterator[tuple[Row, str]]:
    path = files.need("labels.csv", "agudelo_pansharp")
    unique = Unique()
    references: dict[str, str] = {}
    for row in read_table(path, _COLUMNS):
        where = f"{path}: {row['image']}"
        content = f"{snake(row['view'])}_{snake(row['scene'])}"
        reference = files.path(row["reference"], where)
        if references.setdefault(content, reference) != reference:
            raise DataError(f"{where}: {content} has the references {references[content]} and {reference}; repair one")
        undistorted = row["level"].strip().upper() == "UD"
        distorted = Row(
            files.path(unique.add(row["image"], where), where),
            content,
            f"{snake(row['method'])}_{snake(row['distortion'])}",
            0 if undistorted else level_of(row["level"], where),
            number(row["dmos"], where),
        )
        yield distorted, reference
