"""Write feature_oracle.json: what piq says about FSIM, SR-SIM, DSS, VIFp and HaarPSI-MED on the golden image pairs.

    pip install 'causaliqa[oracle]' scikit-image && pip install --no-deps torchvision
    python tests/golden/make_feature_oracle.py

Run by hand when a pair is added; the tests read the JSON only. piq differs from the authors' code in these places,
which are repaired here so that the comparison can be tight; the values of unchanged piq stand beside them:

* FSIMc, HaarPSI: YIQ coefficients with four digits instead of the authors' three;
* FSIM: rows and columns are exchanged when the filters are made, which changes the highest frequency of even sizes;
  the lower of two middle values as median; 2e-16 instead of 1e-4 beside the energy; the last row and column of odd
  sizes dropped;
* FSIMc: the magnitude of a complex power instead of its real part;
* VIFp: 1e-8 instead of 1e-10 beside the variances;
* DSS: summed in single precision, and the 5 % rounded half to even.
"""

from __future__ import annotations

import contextlib
import inspect
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

# torchvision without its compiled operators (CPU wheels of torch have no partner): declare the two it looks for.
_LIBRARY = torch.library.Library("torchvision", "DEF")
for _name in ("nms", "qnms"):
    with contextlib.suppress(RuntimeError):  # a complete torchvision has declared it
        _LIBRARY.define(f"{_name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

import piq  # noqa: E402
from metric_pairs import digest, pairs  # noqa: E402


def _tensor(image: np.ndarray) -> torch.Tensor:
    planes = image[None] if image.ndim == 2 else image.transpose(2, 0, 1)
    return torch.from_numpy(np.ascontiguousarray(planes, dtype=np.float64))[None]


def _luma(image: np.ndarray) -> torch.Tensor:
    return _tensor(image if image.ndim == 2 else image @ np.array([0.299, 0.587, 0.114]))


def _scores(reference: np.ndarray, distorted: np.ndarray) -> dict[str, float]:
    r, d, y_r, y_d = _tensor(reference), _tensor(distorted), _luma(reference), _luma(distorted)
    values = {
        "fsim": piq.fsim(y_r, y_d, data_range=255, chromatic=False),
        "fsimc": piq.fsim(r, d, data_range=255, chromatic=reference.ndim == 3),
        "sr_sim": piq.srsim(y_r, y_d, data_range=255),
        "dss": piq.dss(y_r, y_d, data_range=255),
        # piq takes the distorted image first.
        "vifp": piq.vif_p(y_d, y_r, data_range=255),
        "haarpsi_med": piq.haarpsi(r, d, data_range=255, c=5.0, alpha=4.9),
    }
    return {name: round(float(value), 12) for name, value in values.items()}


def _change(module: Any, function: str, **changes: tuple[str, str]) -> None:
    """Compile a function of piq again with parts of its text exchanged; each must occur."""
    text = inspect.getsource(getattr(module, function))
    for old, new in changes.values():
        if old not in text:
            raise SystemExit(f"{module.__name__}.{function}: no {old!r}; adapt this script to piq {piq.__version__}")
        text = text.replace(old, new)
    exec(text, module.__dict__)  # piq's own source: nothing from outside
    setattr(piq, function, getattr(module, function))


def _repair() -> None:
    torch.set_default_dtype(torch.float64)
    fsim, haarpsi, vif, dss = (sys.modules[f"piq.{name}"] for name in ("fsim", "haarpsi", "vif", "dss"))
    grid = fsim.get_meshgrid  # type: ignore[attr-defined]

    def rgb2yiq(x: torch.Tensor) -> torch.Tensor:
        weights = torch.tensor([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]], dtype=x.dtype)
        return torch.einsum("nchw,kc->nkhw", x, weights)

    def get_meshgrid(*args: Any, **kwargs: Any) -> Any:
        rows, columns = grid(*args, **kwargs)
        return columns, rows

    def pool(x: torch.Tensor, size: int) -> torch.Tensor:
        padded = torch.nn.functional.pad(x, [(size - 1) // 2, size // 2] * 2)
        return torch.nn.functional.avg_pool2d(padded, size)

    fsim.rgb2yiq = haarpsi.rgb2yiq = rgb2yiq  # type: ignore[attr-defined]
    fsim.get_meshgrid, fsim.pool = get_meshgrid, pool  # type: ignore[attr-defined]
    _change(
        fsim,
        "_phase_congruency",
        epsilon=("sum_o ** 2) + EPS", "sum_o ** 2) + 1e-4"),
        median=(
            "torch.median(abs_eo ** 2, dim=-1, keepdim=True).values",
            "torch.quantile(abs_eo ** 2, 0.5, dim=-1, keepdim=True)",
        ),
    )
    _change(
        fsim,
        "fsim",
        pool=("torch.nn.functional.avg_pool2d(", "pool("),
        power=(
            "score * torch.abs(S_I * S_Q) ** lmbda",
            "score * torch.real((S_I * S_Q).to(torch.complex128) ** lmbda)",
        ),
    )
    _change(vif, "vif_p", epsilon=("EPS = 1e-8", "EPS = 1e-10"))
    count = "percentile * (left_term.size(-2) * left_term.size(-1))"
    _change(dss, "_subband_similarity", count=(f"round({count})", f"int({count} + 0.5)"))


def main() -> None:
    """Write the file."""
    cases = pairs()
    plain = {name: _scores(*case) for name, case in cases.items()}
    _repair()
    content = {
        "oracle": f"piq {piq.__version__}, torch {torch.__version__.split('+')[0]}; see make_feature_oracle.py",
        "pairs": {
            name: {
                "sha256": [digest(image) for image in case],
                "repaired": _scores(*case),
                "plain": plain[name],
            }
            for name, case in cases.items()
        },
    }
    target = Path(__file__).with_name("feature_oracle.json")
    target.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
