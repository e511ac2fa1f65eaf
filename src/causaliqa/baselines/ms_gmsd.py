"""Gradient magnitude similarity deviation on multiple scales, for luma (MS-GMSD) and for colour (MS-GMSDc).

B. Zhang, P. V. Sander and A. Bermak, "Gradient magnitude similarity deviation on multiple scales for color image
quality assessment", ICASSP 2017, 1253-1257.

* Similarity of Prewitt gradient magnitudes with masking: (1.5 ab + c) / (a² + b² - 0.5 ab + c), c = 170 on [0, 255].
* Its standard deviation at four scales, the first at full resolution; the root of their squares' weighted mean with
  weights 0.096, 0.596, 0.289 and 0.019 is MS-GMSD.
* Colour: the root mean squared difference of I and Q together at the fourth scale, R. MS-GMSDc = g D + (1 - g) 0.01 R
  with D = MS-GMSD and g = 2 / (1 + 0.32 exp(-15 D)) - 1: the smaller the luma distortion, the more colour counts.

Variant: 2 x 2 block means from scale to scale with zeros outside the image, as in GMSD; deviations divide by N; YIQ
with the three-digit coefficients that FSIM and HaarPSI use. No code of the authors was at hand: constants and the scale
at which colour is compared are those of the independent implementation in piq.

Range: MS-GMSD [0, 0.5]; MS-GMSDc [0, 2), in practice below 1; 0 for identical images. **Lower is better.** Symmetric.
Gray is taken as R = G = B: its colour difference is 0, and its MS-GMSDc is g D. Defined from 17 x 17 pixels on: below,
the fourth scale is smaller than the 3 x 3 gradient filters.
"""

from __future__ import annotations

import math

import numpy as np

from causaliqa.baselines.arrays import Region, block_mean, luma, mix, prepare

_WEIGHTS = (0.096, 0.596, 0.289, 0.019)
_SMALLEST = 2 ** len(_WEIGHTS) + 1
_C = 170.0
_ALPHA = 0.5
_BETA1, _BETA2, _BETA3 = 0.01, 0.32, 15.0
_I = (0.596, -0.274, -0.322)
_Q = (0.211, -0.523, 0.312)


def _energy(image: np.ndarray) -> np.ndarray:
    """Return nine times the squared Prewitt gradient magnitude of (H, W), zeros outside the image."""
    height, width = image.shape
    padded = np.zeros((height + 2, width + 2))
    padded[1:-1, 1:-1] = image
    across = padded[:, 2:] - padded[:, :-2]
    down = padded[2:] - padded[:-2]
    horizontal = across[2:] + across[:-2]
    horizontal += across[1:-1]
    vertical = down[:, 2:] + down[:, :-2]
    vertical += down[:, 1:-1]
    horizontal *= horizontal
    vertical *= vertical
    horizontal += vertical
    return np.asarray(horizontal)


def _deviation(first: np.ndarray, second: np.ndarray, region: Region) -> float:
    """Return the standard deviation of the masked gradient similarity of two gray images."""
    energy_1, energy_2 = _energy(first), _energy(second)
    # Only the product of the magnitudes is needed: one root instead of two. It is exactly a where a = b.
    product = energy_1 * energy_2
    np.sqrt(product, out=product)
    energy_1 += energy_2
    energy_1 -= np.multiply(product, _ALPHA, out=energy_2)
    energy_1 += 9 * _C
    product *= 2 - _ALPHA
    product += 9 * _C
    product /= energy_1
    return float(region.pick(product).std())


def _luma_score(first: np.ndarray, second: np.ndarray, region: Region) -> float:
    total = 0.0
    for scale, weight in enumerate(_WEIGHTS):
        if scale:
            first, second, region = block_mean(first, 2), block_mean(second, 2), region.shrunk(2)
        total += weight * _deviation(first, second, region) ** 2
    return math.sqrt(total)


def ms_gmsd(
    reference: np.ndarray, distorted: np.ndarray, *, data_range: float = 255.0, mask: np.ndarray | None = None
) -> float:
    """Return the multi-scale gradient magnitude similarity deviation of the luma, in [0, 0.5]; lower is better.

    Parameters
    ----------
    reference, distorted : arrays (H, W) or (H, W, 3) of equal shape, integer or float, in [0, `data_range`].
    data_range : largest value a pixel can have.
    mask : bool array (H, W); at every scale only pixels count that are at least half True; default: all.

    Raises
    ------
    DataError
        If the shapes differ, a pixel is NaN, infinite or out of range, an image is smaller than 17 x 17, or the mask
        does not fit or leaves nothing at a scale.
    """
    first, second = prepare(reference, distorted, data_range, smallest=_SMALLEST, metric="MS-GMSD")
    return _luma_score(luma(first), luma(second), Region.of(mask, first.shape[-2:], "MS-GMSD"))


def ms_gmsdc(
    reference: np.ndarray, distorted: np.ndarray, *, data_range: float = 255.0, mask: np.ndarray | None = None
) -> float:
    """Return the multi-scale gradient magnitude similarity deviation of luma and colour, in [0, 2); lower is better.

    Parameters and errors are those of :func:`ms_gmsd`.
    """
    first, second = prepare(reference, distorted, data_range, smallest=_SMALLEST, metric="MS-GMSDc")
    region = Region.of(mask, first.shape[-2:], "MS-GMSDc")
    score = _luma_score(luma(first), luma(second), region)
    share = 2 / (1 + _BETA2 * math.exp(-_BETA3 * score)) - 1
    if first.ndim == 2:
        return share * score
    # Block means and YIQ are linear: the difference alone is brought to the fourth scale.
    change = first - second
    for _ in _WEIGHTS[1:]:
        change, region = block_mean(change, 2), region.shrunk(2)
    squares = sum(float((region.pick(mix(change, weights)) ** 2).mean()) for weights in (_I, _Q))
    return share * score + (1 - share) * _BETA1 * math.sqrt(squares)
