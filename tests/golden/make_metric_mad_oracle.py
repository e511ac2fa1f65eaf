"""Write metric_mad_oracle.json: what viqa, an independent implementation, says about MAD on the golden image pairs.

    pip install viqa 'numpy<2'
    python tests/golden/make_metric_mad_oracle.py [FOLDER_WITH_tid2013]

In an environment of its own, as viqa 3.0.1 needs NumPy below 2. Run by hand when a pair is added; the tests read the
JSON only. Pairs of odd size are left out: viqa makes their filters on another grid than the authors. In these places
viqa differs from the authors' code, which are repaired here; the values of unchanged viqa stand beside them:

* the deviation that masks is the least of four 8 x 8 windows that lie four pixels apart, where viqa takes the quarters
  of the 16 x 16 block;
* one row and one column more are left out at the end of either mean;
* the two betas have all their digits.
"""

from __future__ import annotations

import importlib
import inspect
import json
import sys
import types
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from metric_pairs import digest, pairs
from PIL import Image

#: Originals (not regenerated ones) of a partial TID2013: type and level, reference I01.
TID2013 = ["i01_06_5", "i01_10_3"]


def _luma(image: np.ndarray) -> np.ndarray:
    return image.astype(np.float64) if image.ndim == 2 else image @ np.array([0.299, 0.587, 0.114])


def _least_deviation(image: np.ndarray, block: int, step: int) -> np.ndarray:
    """Return the masking deviation where viqa's own function would, by the authors' rule."""
    height, width = image.shape
    last = [size - block for size in image.shape]
    single = {
        (y, x): image[y : y + 8, x : x + 8].std(ddof=1)
        for y in range(0, last[0] + 1, step)
        for x in range(0, last[1] + 1, step)
    }
    out = np.zeros((height, width))
    for y, x in single:
        # Five pixels on, which belong to the block four pixels on, and only where a block could start.
        near = [(y, x), (y + 5, x), (y, x + 5), (y + 5, x + 5)]
        found = [single[v // step * step, u // step * step] for v, u in near if v <= last[0] and u <= last[1]]
        out[y : y + step, x : x + step] = min(found)
    return out


def _repair(mad: Any) -> dict[str, float]:
    """Repair viqa's module and return the arguments to call it with."""
    mad.statisticscalc = types.SimpleNamespace(minstd=_least_deviation, getstatistics=mad.statisticscalc.getstatistics)
    old, new = "BLOCK_SIZE:-BLOCK_SIZE", "BLOCK_SIZE:-BLOCK_SIZE-1"
    for name in ("_high_quality", "_low_quality"):
        text = inspect.getsource(getattr(mad, name))
        if text.count(old) != 2:
            raise SystemExit(f"{name}: no two {old!r}; adapt this script to viqa {version('viqa')}")
        exec(text.replace(old, new), mad.__dict__)  # viqa's own source: nothing from outside
    return {"thresh_1": 2.55, "thresh_2": 3.35}


def main() -> None:
    """Write the file."""
    mad = importlib.import_module("viqa.fr_metrics.mad")
    cases = {name: pair for name, pair in pairs().items() if not any(size % 2 for size in pair[0].shape[:2])}
    if len(sys.argv) > 1:
        tid = Path(sys.argv[1]) / "tid2013"
        reference = np.asarray(Image.open(tid / "reference_images" / "I01.BMP"))
        for name in TID2013:
            cases[f"tid2013/{name}"] = reference, np.asarray(Image.open(tid / "distorted_images" / f"{name}.bmp"))
    # viqa takes the distorted image first.
    grays = {name: [_luma(image) for image in reversed(case)] for name, case in cases.items()}
    plain = {name: float(mad.most_apparent_distortion(*case)) for name, case in grays.items()}
    betas = _repair(mad)
    content = {
        "oracle": f"viqa {version('viqa')}; see make_metric_mad_oracle.py",
        "pairs": {
            name: {
                "sha256": [digest(image) for image in case],
                "expected": {"mad": float(mad.most_apparent_distortion(*grays[name], **betas))},
                "plain": {"mad": plain[name]},
            }
            for name, case in cases.items()
        },
    }
    target = Path(__file__).with_name("metric_mad_oracle.json")
    target.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
