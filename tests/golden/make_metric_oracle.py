"""Write metric_oracle.json: what piq, an independent implementation, says about the golden image pairs.

    pip install 'causaliqa[oracle]' scikit-image && pip install --no-deps torchvision
    python tests/golden/make_metric_oracle.py [FOLDER_WITH_tid2013]

Run by hand when a pair is added; the tests read the JSON only. piq differs from the authors' code in four places,
which are repaired here so that the comparison can be tight; the values of unchanged piq stand beside them:

* HaarPSI: YIQ coefficients with four digits instead of the authors' three;
* VSI: saliency is computed on an image shrunk without antialiasing, unlike ``imresize``;
* VSI: saliency is enlarged with the corner pixels aligned, unlike ``imresize``;
* VSI: the block means are shifted by one pixel at even factors and repeat the border, unlike ``conv2``.

For odd sizes piq's SSIM drops the last row and column and its MS-SSIM adds zeros, where the authors mirror: these two
are left out for such pairs. piq's MDSI takes the distorted image first.
"""

from __future__ import annotations

import contextlib
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
from PIL import Image  # noqa: E402

#: Originals (not regenerated ones) of a partial TID2013: type and level, reference I01.
TID2013 = ["i01_06_5", "i01_10_3", "i01_23_4"]


def _tensor(image: np.ndarray) -> torch.Tensor:
    planes = image[None] if image.ndim == 2 else image.transpose(2, 0, 1)
    return torch.from_numpy(np.ascontiguousarray(planes, dtype=np.float64))[None]


def _luma(image: np.ndarray) -> torch.Tensor:
    return _tensor(image if image.ndim == 2 else image @ np.array([0.299, 0.587, 0.114]))


def _scores(reference: np.ndarray, distorted: np.ndarray) -> dict[str, float]:
    r, d, y_r, y_d = _tensor(reference), _tensor(distorted), _luma(reference), _luma(distorted)
    values = {
        "psnr": piq.psnr(r, d, data_range=255),
        "gmsd": piq.gmsd(y_r, y_d, data_range=255),
        "mdsi": piq.mdsi(d, r, data_range=255),
        "haarpsi": piq.haarpsi(r, d, data_range=255),
        "vsi": piq.vsi(r, d, data_range=255),
        "ssim": piq.ssim(y_r, y_d, data_range=255, downsample=False),
    }
    height, width = reference.shape[:2]
    if height % 2 == width % 2 == 0:
        values["ssim_downsampled"] = piq.ssim(y_r, y_d, data_range=255, downsample=True)
    if height % 16 == width % 16 == 0:
        values["ms_ssim"] = piq.multi_scale_ssim(y_r, y_d, data_range=255)
    return {name: round(float(value), 9) for name, value in values.items()}


def _repair() -> None:
    haarpsi, vsi = sys.modules["piq.haarpsi"], sys.modules["piq.vsi"]

    def rgb2yiq(x: torch.Tensor) -> torch.Tensor:
        weights = torch.tensor([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]], dtype=x.dtype)
        return torch.einsum("nchw,kc->nkhw", x, weights)

    def interpolate(input: torch.Tensor, size: Any, mode: str, align_corners: bool) -> torch.Tensor:
        return torch.nn.functional.interpolate(input, size=size, mode=mode, align_corners=False, antialias=True)

    def pad(x: torch.Tensor, pad: list[int], mode: str) -> torch.Tensor:
        return torch.nn.functional.pad(x, [pad[1], pad[0], pad[3], pad[2]])

    haarpsi.rgb2yiq = rgb2yiq  # type: ignore[attr-defined]
    vsi.interpolate, vsi.pad = interpolate, pad  # type: ignore[attr-defined]


def main() -> None:
    """Write the file."""
    cases = dict(pairs())
    tid = Path(sys.argv[1]) / "tid2013" if len(sys.argv) > 1 else None
    if tid:
        reference = np.asarray(Image.open(tid / "reference_images" / "I01.BMP"))
        for name in TID2013:
            cases[f"tid2013/{name}"] = reference, np.asarray(Image.open(tid / "distorted_images" / f"{name}.bmp"))
    plain = {name: _scores(*case) for name, case in cases.items()}
    _repair()
    content = {
        "oracle": f"piq {piq.__version__}, torch {torch.__version__.split('+')[0]}, float64; see make_metric_oracle.py",
        "pairs": {
            name: {
                "sha256": [digest(image) for image in case],
                "repaired": _scores(*case),
                "plain": plain[name],
            }
            for name, case in cases.items()
        },
    }
    target = Path(__file__).with_name("metric_oracle.json")
    target.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
