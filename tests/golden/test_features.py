"""Values of FSIM, SR-SIM, DSS, VIFp and HaarPSI-MED against independent code and against published numbers."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from metric_pairs import digest, pairs
from PIL import Image

from causaliqa.baselines.dss import dss
from causaliqa.baselines.fsim import fsim, fsimc
from causaliqa.baselines.haarpsi import haarpsi_med
from causaliqa.baselines.sr_sim import sr_sim
from causaliqa.baselines.vifp import vifp

ORACLE: dict[str, Any] = json.loads(Path(__file__).with_name("feature_oracle.json").read_text())["pairs"]
PAIRS = pairs()
METRICS = {metric.__name__: metric for metric in (fsim, fsimc, sr_sim, dss, vifp, haarpsi_med)}
#: Largest difference allowed from piq. VIFp: piq keeps a guard beside the variances. SR-SIM: its weights for resizing
#: have fewer digits. DSS: the roots of variances that rounding left above zero.
TOLERANCE = {"vifp": 5e-8, "sr_sim": 2e-8, "dss": 2e-8}
TIGHT = 2e-12
#: What changes where piq is repaired, see make_feature_oracle.py.
REPAIR = 1e-3


@pytest.mark.parametrize("name", PAIRS)
def test_equals_independent_implementation(name: str) -> None:
    reference, distorted = PAIRS[name]
    expected = ORACLE[name]
    assert [digest(reference), digest(distorted)] == expected["sha256"], "the images are not those of the golden values"
    assert set(expected["repaired"]) == set(METRICS)
    for metric, value in expected["repaired"].items():
        found = METRICS[metric](reference, distorted)
        assert found == pytest.approx(value, abs=TOLERANCE.get(metric, TIGHT)), metric
        assert value == pytest.approx(expected["plain"][metric], abs=REPAIR), metric


def _image(folder: Path, name: str) -> np.ndarray:
    path = folder / "tid2013" / name
    if not path.is_file():
        pytest.skip(f"{path} is missing")
    return np.asarray(Image.open(path))


def _provenance(folder: Path, name: str) -> str:
    """Return how this copy came by an image: "real" (the authors' file) unless provenance.csv says otherwise."""
    path = folder / "tid2013/provenance.csv"
    if not path.is_file():
        return "real"
    with path.open(newline="") as handle:
        return {row["image"]: row["provenance"] for row in csv.DictReader(handle)}[f"{name}.bmp"]


def _ycbcr(image: np.ndarray) -> np.ndarray:
    """Return the studio-range luma (16 to 235) rounded to a byte: TID2013's FSIM and VIFP were computed on it."""
    values = image.astype(np.float64) @ np.array([65.481, 128.553, 24.966]) / 255 + 16
    return np.floor(values + 0.5).astype(np.uint8)


#: FSIM, FSIMc and VIFP of the fifth level of each distortion type of image 1, from the folder metrics_values that
#: TID2013 comes with, computed by the authors' MATLAB code; four digits.
TID2013 = {
    4: (0.9892, 0.9836, 0.3701),
    5: (0.9245, 0.8980, 0.2107),
    6: (0.9402, 0.9231, 0.3295),
    7: (0.8907, 0.8665, 0.3330),
    8: (0.7423, 0.7285, 0.1125),
    9: (0.7688, 0.7492, 0.1305),
    10: (0.8412, 0.8148, 0.1613),
    11: (0.7472, 0.7307, 0.0858),
    12: (0.9109, 0.9038, 0.2217),
    13: (0.9112, 0.9037, 0.3617),
    14: (0.9247, 0.9222, 0.6190),
    15: (0.9666, 0.9654, 0.9770),
    16: (0.9910, 0.9864, 0.9343),
    17: (0.8787, 0.8680, 0.7091),
    18: (1.0000, 0.9661, 1.0000),
    20: (0.9312, 0.9233, 0.1897),
    21: (0.8886, 0.8743, 0.1819),
    22: (0.8229, 0.8010, 0.1853),
    23: (0.8375, 0.8180, 0.1619),
    24: (0.7334, 0.7153, 0.0930),
}


@pytest.mark.parametrize("kind", TID2013)
def test_equals_the_values_published_with_tid2013(kind: int, test_data: Path) -> None:
    name = f"i01_{kind:02d}_5"
    reference = _image(test_data, "reference_images/I01.BMP")
    distorted = _image(test_data, f"distorted_images/{name}.bmp")
    if _provenance(test_data, name) not in ("real", "exact"):
        pytest.skip(f"{name} of this copy is not the authors' file")
    luma = _ycbcr(reference), _ycbcr(distorted)
    found = fsim(*luma), fsimc(reference, distorted), vifp(*luma)
    assert found == pytest.approx(TID2013[kind], abs=6e-5)


#: Values of the authors' MATLAB code for I01 and i01_01_5, as piq's tests publish them; DSS on rounded gray.
MATLAB = {"fsim": 0.93674, "fsimc": 0.92587, "sr_sim": 0.9659730, "dss": 0.77177436}


@pytest.mark.parametrize("metric", MATLAB)
def test_equals_matlab(metric: str, test_data: Path) -> None:
    """i01_01_5 is additive noise: a copy that drew it anew has other pixels and a nearby score."""
    pair = _image(test_data, "reference_images/I01.BMP"), _image(test_data, "distorted_images/i01_01_5.bmp")
    if metric == "dss":
        pair = tuple(np.floor(image @ np.array([0.2989, 0.5870, 0.1140]) + 0.5).astype(np.uint8) for image in pair)  # type: ignore[assignment]
    tolerance = 1e-4 if _provenance(test_data, "i01_01_5") == "real" else 1e-2
    assert METRICS[metric](*pair) == pytest.approx(MATLAB[metric], abs=tolerance)
