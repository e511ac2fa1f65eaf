"""Write scale_oracle.json: what independent implementations say about MS-GMSD, IW-SSIM, NLPD and wavelet-domain VIF.

    pip install 'causaliqa[oracle]' scikit-image && pip install --no-deps torchvision pyrtools
    python tests/golden/make_scale_oracle.py [FOLDER_WITH_tid2013]

Run by hand when a pair is added; the tests read the JSON only.

* MS-GMSD, MS-GMSDc: piq. Its YIQ coefficients have four digits; repaired to three, the plain value stands beside.
* IW-SSIM: piq ("plain"), and the paper's formulas on the compiled pyramid of pyrtools, by Simoncelli's laboratory. piq
  has another tolerance for flat regions and other borders at odd sizes.
* Wavelet-domain VIF: the paper's formulas on the compiled correlation and the filters of pyrtools.
* NLPD: the paper's formulas by SciPy's two-dimensional filters.
"""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path

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
from pyrtools.pyramids.c.wrapper import corrDn, upConv  # noqa: E402
from pyrtools.pyramids.filters import named_filter  # noqa: E402
from scipy import ndimage, signal  # noqa: E402

#: Originals (not regenerated ones) of a partial TID2013.
TID2013 = ["i01_06_5", "i01_10_3", "i01_23_4"]
TINY = 1e-15


def _tensor(image: np.ndarray) -> torch.Tensor:
    planes = np.stack([image] * 3) if image.ndim == 2 else image.transpose(2, 0, 1)
    return torch.from_numpy(np.ascontiguousarray(planes, dtype=np.float64))[None]


def _luma(image: np.ndarray) -> np.ndarray:
    return np.asarray(image if image.ndim == 2 else image @ np.array([0.299, 0.587, 0.114]), dtype=np.float64)


def _reduce(image: np.ndarray, kernel: np.ndarray, step: int = 1) -> np.ndarray:
    return corrDn(np.ascontiguousarray(image), np.ascontiguousarray(kernel), "reflect1", (step, step))


def _laplacian(image: np.ndarray, levels: int) -> list[np.ndarray]:
    line = np.sqrt(2) * np.array([[1.0, 4, 6, 4, 1]]) / 16
    kernel = line.T @ line
    bands = []
    for _ in range(levels - 1):
        low = _reduce(image, kernel, 2)
        tall = upConv(low, np.ascontiguousarray(line.T), "reflect1", (2, 1), (0, 0), (image.shape[0], low.shape[1]))
        bands.append(image - upConv(tall, line, "reflect1", (1, 2), (0, 0), image.shape))
        image = low
    return [*bands, image]


def _regress(sums: list[np.ndarray], count: int, scale: int) -> tuple[np.ndarray, np.ndarray]:
    """Gain and noise from the sums of x, y, xx, yy, xy over `count` pixels; energies divided by `scale`."""
    x, y, xx, yy, xy = sums
    energy_x = np.maximum(xx - x * x / count, 0) / scale
    energy_y = np.maximum(yy - y * y / count, 0) / scale
    both = (xy - x * y / count) / scale
    gain = both / (energy_x + TINY)
    noise = (energy_y - gain * both) * scale / count
    noise = np.where(energy_x < TINY, energy_y, noise)
    noise = np.where(energy_y < TINY, 0, noise)
    return np.where((energy_x < TINY) | (energy_y < TINY), 0, gain), noise


def _enlarge(image: np.ndarray) -> np.ndarray:
    for _ in range(2):
        old = image.shape[0]
        place = (np.arange(4 * old - 3) + 0.5) * old / (4 * old - 3) - 0.5
        fine = np.stack([np.interp(place, np.arange(old), column) for column in image.T], axis=1)
        fine = np.concatenate([2 * fine[:1] - fine[1:2], fine, 2 * fine[-1:] - fine[-2:-1]])
        image = fine[::2].T
    return image


def iw_ssim(reference: np.ndarray, distorted: np.ndarray) -> float:
    """Score with the paper's formulas, without any shortcut."""
    weights = np.array([0.0448, 0.2856, 0.3001, 0.2363, 0.1333])
    line = np.exp(-(np.arange(-5, 6) ** 2) / 4.5)
    window = np.outer(line, line) / line.sum() ** 2
    c1, c2 = 2.55**2, 7.65**2
    bands, others = _laplacian(reference, 5), _laplacian(distorted, 5)
    means = []
    for scale, (x, y) in enumerate(zip(bands, others, strict=True)):
        a, b, aa, bb, ab = (signal.correlate2d(i, window, "valid") for i in (x, y, x * x, y * y, x * y))
        quality = (2 * (ab - a * b) + c2) / (aa - a * a + bb - b * b + c2)
        if scale == 4:
            means.append((quality * (2 * a * b + c1) / (a * a + b * b + c1)).mean())
            continue
        # Not uniform_filter: its running sums carry rounding into flat regions.
        sums = [signal.correlate2d(i, np.ones((3, 3)), "valid") for i in (x, y, x * x, y * y, x * y)]
        gain, noise = _regress(sums, 9, 9)
        rows, columns = x.shape[0] - 2, x.shape[1] - 2
        near = [x[i : i + rows, j : j + columns].ravel() for i in range(3) for j in range(3)]
        if scale < 3:
            near.append(_enlarge(bands[scale + 1])[: x.shape[0], : x.shape[1]][1:-1, 1:-1].ravel())
        vectors = np.stack(near)
        covariance = vectors @ vectors.T / vectors.shape[1]
        field = (vectors * np.linalg.solve(covariance, vectors)).mean(0).reshape(rows, columns)
        weight = sum(
            np.log2(1 + ((noise + (1 + gain**2) * 0.4) * field * value + 0.4 * noise) / 0.16)
            for value in np.linalg.eigvalsh(covariance)
        )
        weight = weight[4:-4, 4:-4]
        means.append((quality * weight).sum() / weight.sum())
    return float(np.prod(np.array(means) ** (weights / weights.sum())))


def vif(reference: np.ndarray, distorted: np.ndarray) -> float:
    """Score with the paper's formulas, without any shortcut."""
    filters = named_filter("sp5_filters")
    lows = [_reduce(image, filters["lo0filt"]) for image in (reference, distorted)]
    received = available = 0.0
    for level in range(4):
        side = 2 ** (4 - level) + 1
        margin = -(-(side // 2) // 3)
        inside = slice(margin, -margin)
        for orientation in (0, 3):
            kernel = filters["bfilts"][:, orientation].reshape(7, 7).T
            x, y = (_reduce(low, kernel)[: low.shape[0] // 3 * 3, : low.shape[1] // 3 * 3] for low in lows)
            window = np.ones((side, side))
            sums = [_reduce(i, window)[1::3, 1::3][inside, inside] for i in (x, y, x * x, y * y, x * y)]
            gain, noise = _regress(sums, side**2, 1)
            energy = np.maximum(sums[3] - sums[1] ** 2 / side**2, 0)
            noise = np.maximum(np.where(gain < 0, energy, noise), TINY)
            gain = np.maximum(gain, 0)
            near = [x[i : x.shape[0] - 2 + i, j : x.shape[1] - 2 + j].ravel() for i in range(3) for j in range(3)]
            covariance = np.cov(np.stack(near), bias=True)
            blocks = np.stack([x[i::3, j::3] for i in range(3) for j in range(3)])[:, inside, inside]
            flat = blocks.reshape(9, -1)
            field = (flat * np.linalg.solve(covariance, flat)).mean(0).reshape(blocks.shape[1:])
            for value in np.linalg.eigvalsh(covariance):
                received += np.log2(1 + gain**2 * field * value / (noise + 0.4)).sum()
                available += np.log2(1 + field * value / 0.4).sum()
        lows = [_reduce(low, filters["lofilt"], 2) for low in lows]
    return float(received / available)


def nlpd(reference: np.ndarray, distorted: np.ndarray) -> float:
    """Score with the paper's formulas, without any shortcut."""
    low = np.outer([0.05, 0.25, 0.4, 0.25, 0.05], [0.05, 0.25, 0.4, 0.25, 0.05])
    constants = (0.0248, 0.0185, 0.0179, 0.0191, 0.0220, 0.2782)
    # Above, left, right, below and two to the right of the centre of a convolution kernel.
    weights = (
        (0.1011, 0.1493, 0.1460, 0.1015, 0.0072),
        (0.0757, 0.1986, 0.1846, 0.0837, 0),
        (0.0477, 0.2138, 0.2243, 0.0467, 0),
        (0, 0.2503, 0.2616, 0, 0),
        (0, 0.2598, 0.2552, 0, 0),
        (0, 0.2215, 0.0717, 0, 0),
    )
    pair, errors = [reference / 255, distorted / 255], []
    for scale in range(6):
        kernel = np.zeros((5, 5))
        kernel[1, 2], kernel[2, 1], kernel[2, 3], kernel[3, 2], kernel[2, 4] = weights[scale]
        normalized = []
        for index, image in enumerate(pair):
            band = image
            if scale < 5:
                pair[index] = ndimage.correlate(image, low, mode="reflect")[::2, ::2]
                padded = np.pad(pair[index], 1, mode="edge")
                spread = np.zeros((2 * padded.shape[0], 2 * padded.shape[1]))
                spread[::2, ::2] = 4 * padded
                smooth = ndimage.correlate(spread, low, mode="constant")[2:, 2:]
                band = image - smooth[: image.shape[0], : image.shape[1]]
            normalized.append(band / (constants[scale] + signal.convolve2d(np.abs(band), kernel, "same")))
        errors.append(np.sqrt(((normalized[0] - normalized[1]) ** 2).mean()))
    return float(np.mean(errors))


def _rgb2yiq(x: torch.Tensor) -> torch.Tensor:
    weights = torch.tensor([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]], dtype=x.dtype)
    return torch.einsum("nchw,kc->nkhw", x, weights)


def main() -> None:
    """Write the file."""
    cases = dict(pairs())
    if len(sys.argv) > 1:
        tid = Path(sys.argv[1]) / "tid2013"
        reference = np.asarray(Image.open(tid / "reference_images" / "I01.BMP"))
        for name in TID2013:
            cases[f"tid2013/{name}"] = reference, np.asarray(Image.open(tid / "distorted_images" / f"{name}.bmp"))
    content = {}
    module = sys.modules["piq.gmsd"]
    original = module.rgb2yiq  # type: ignore[attr-defined]
    for name, case in cases.items():
        r, d = map(_tensor, case)
        luma = [_luma(image) for image in case]
        plain = {"ms_gmsdc": piq.multi_scale_gmsd(r, d, data_range=255, chromatic=True)}
        gray = [torch.from_numpy(image)[None, None] for image in luma]
        plain["iw_ssim"] = piq.information_weighted_ssim(gray[1], gray[0], data_range=255)
        module.rgb2yiq = _rgb2yiq  # type: ignore[attr-defined]
        repaired = {
            "ms_gmsd": piq.multi_scale_gmsd(r, d, data_range=255),
            "ms_gmsdc": piq.multi_scale_gmsd(r, d, data_range=255, chromatic=True),
            "iw_ssim": iw_ssim(*luma),
            "nlpd": nlpd(*luma),
            "vif": vif(*luma),
        }
        module.rgb2yiq = original  # type: ignore[attr-defined]
        content[name] = {
            "sha256": [digest(image) for image in case],
            "expected": {metric: round(float(value), 12) for metric, value in repaired.items()},
            "plain": {metric: round(float(value), 12) for metric, value in plain.items()},
        }
    oracle = f"piq {piq.__version__}, pyrtools, SciPy, float64; see make_scale_oracle.py"
    target = Path(__file__).with_name("scale_oracle.json")
    target.write_text(
        json.dumps({"oracle": oracle, "pairs": content}, indent=2, sort_keys=True) + "\n", encoding="utf-8"
    )


if __name__ == "__main__":
    main()
