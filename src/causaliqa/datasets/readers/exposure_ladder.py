"""Neutron radiographs of the same objects at rising exposure times, from WaterInSand (ImagingLectures, CC0).

``labels.csv`` (image, reference, scene, crop, exposure_s, is_reference, relative_dose), ``images/*.png``. The longest
exposure of an object is the reference. The score is the dose relative to the reference's, above 0 to 1, higher is
better: it is physics (fewer neutrons, more counting noise), nobody's opinion. Level 1 is the longest exposure below
the reference's.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from causaliqa.datasets.names import REFERENCE
from causaliqa.datasets.readers.base import Files, Options, Row, Unique, number, parse_options, read_table
from causaliqa.errors import DataError

#: Distortion name of the shorter exposures.
LOW_EXPOSURE = "low_exposure"
_COLUMNS = ["image", "reference", "scene", "crop", "exposure_s", "is_reference", "relative_dose"]


class ExposureLadderOptions(Options):
    """The layout has no options."""


def read(folder: Path, options: dict[str, Any]) -> Iterator[Row]:
    """Yield the rows; see :func:`causaliqa.datasets.readers.read_layout`."""
    parse_options(ExposureLadderOptions, options, "exposure_ladder")
    files = Files(folder)
    path = files.need("labels.csv", "exposure_ladder")
    for content, rows in _ladders(path).items():
        references = [row for row in rows if row["is_reference"] == "1"]
        if len(references) != 1:
            raise DataError(f"{path}: {content} has {len(references)} references, not one; repair is_reference")
        steps = {row["image"]: number(row["exposure_s"], f"{path}: {row['image']}: exposure_s") for row in rows}
        longest = steps[references[0]["image"]]
        ranks = sorted({seconds for image, seconds in steps.items() if image != references[0]["image"]}, reverse=True)
        if ranks and ranks[0] >= longest:
            raise DataError(f"{path}: {content}: the reference is not the longest exposure; repair is_reference")
        for row in references + [row for row in rows if row is not references[0]]:
            where = f"{path}: {row['image']}"
            if row["reference"].lower() != references[0]["image"].lower():
                raise DataError(f"{where}: the reference is {row['reference']!r}, not {references[0]['image']}")
            own = row is references[0]
            yield Row(
                files.path(f"images/{row['image']}", where),
                content,
                REFERENCE if own else LOW_EXPOSURE,
                0 if own else 1 + ranks.index(steps[row["image"]]),
                number(row["relative_dose"], where),
            )


def _ladders(path: Path) -> dict[str, list[dict[str, str]]]:
    """Return content -> its rows, in the order of the table."""
    unique = Unique()
    ladders: dict[str, list[dict[str, str]]] = {}
    for row in read_table(path, _COLUMNS):
        unique.add(row["image"], str(path))
        ladders.setdefault(f"{row['scene']}_{row['crop']}", []).append(row)
    return ladders
