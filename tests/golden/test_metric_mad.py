"""Values of MAD against the authors' code and against an independent implementation."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from metric_pairs import digest, pairs
from PIL import Image

from causaliqa.baselines.mad import mad

ORACLE: dict[str, Any] = json.loads(Path(__file__).with_name("metric_mad_oracle.json").read_text())["pairs"]
PAIRS = pairs()


def pattern(kind: int, width: int, height: int) -> np.ndarray:
    """Return one of five textures made of integers."""
    y, x = np.mgrid[:height, :width]
    product, mixed = (37 * x + 91 * y + x * y) % 256, ((17 * x ^ 29 * y) + 3 * x + 5 * y) % 256
    patch = (x >= 20) & (x < 40) & (y >= 10) & (y < 30)
    kinds = [product, mixed, (x + 2 * y) % 256, np.where(patch, mixed, product), np.full((height, width), 128)]
    return kinds[kind - 1].astype(np.uint8)


#: Detection and appearance by the authors' hi_index.m and lo_index.m under GNU Octave, as imazen/zenmetrics publishes
#: them in crates/mad-iqa/src/tests.rs: patterns, width, height, values. That release of hi_index.m, of 2011 for video,
#: multiplies by 10 where the one for images multiplies by 200.
AUTHORS = [
    (1, 2, 64, 64, 131572.283897184563, 9.688765373323),
    (1, 2, 65, 63, 132302.255032831221, 9.384997604771),
    (4, 2, 96, 80, 102819.537075095577, 8.893306321210),
    (1, 2, 256, 256, 101143.088739909173, 9.065290225621),
    (2, 3, 256, 256, 64478.986671323131, 16.523224071463),
    (1, 4, 300, 260, 5168.494644471720, 0.662500927369),
    (3, 2, 37, 41, 218003.466036476486, 13.090370420302),
    (1, 2, 48, 40, 128490.494412795029, 10.559435780623),
    (5, 3, 512, 512, 246576.072716682946, 21.979369283852),
    (1, 2, 34, 34, 112251.749213334246, 5.846236835626),
    (5, 1, 64, 64, 149462.479444795055, 16.601442321003),
]


@pytest.mark.parametrize(("first", "second", "width", "height", "detection", "appearance"), AUTHORS)
def test_equals_the_authors_code(
    first: int, second: int, width: int, height: int, detection: float, appearance: float
) -> None:
    visible = 20 * detection
    share = 1 / (1 + math.exp(-2.55 / 3.35) * visible ** (1 / (3.35 * math.log(10))))
    expected = visible**share * appearance ** (1 - share)
    assert mad(pattern(first, width, height), pattern(second, width, height)) == pytest.approx(expected, rel=1e-11)


def check(name: str, reference: np.ndarray, distorted: np.ndarray) -> None:
    case = ORACLE[name]
    assert [digest(reference), digest(distorted)] == case["sha256"], "the images are not those of the golden values"
    assert mad(reference, distorted) == pytest.approx(case["expected"]["mad"], rel=1e-12)


@pytest.mark.parametrize("name", [name for name in ORACLE if "/" not in name])
def test_equals_independent_implementation(name: str) -> None:
    check(name, *PAIRS[name])


@pytest.mark.parametrize("name", [name for name in ORACLE if "/" in name])
def test_equals_independent_implementation_on_tid2013(name: str, test_data: Path) -> None:
    folder, stem = test_data / "tid2013", name.removeprefix("tid2013/")
    paths = folder / "reference_images/I01.BMP", folder / f"distorted_images/{stem}.bmp"
    for path in paths:
        if not path.is_file():
            pytest.skip(f"{path} is missing")
    check(name, *(np.asarray(Image.open(path)) for path in paths))


def test_repairs_of_the_oracle_matter() -> None:
    """Unchanged viqa masks by other deviations: its scores are lower, by half where an image is smooth."""
    for case in ORACLE.values():
        assert 0.4 < case["plain"]["mad"] / case["expected"]["mad"] < 1
