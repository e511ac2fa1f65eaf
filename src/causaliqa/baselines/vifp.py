"""Visual information fidelity in the pixel domain.

H. R. Sheikh and A. C. Bovik, "Image information and visual quality", IEEE Transactions on Image Processing 15(2), 2006,
430-444; the multi-scale form on pixels instead of wavelet coefficients is that of the authors' ``vifp_mscale``.

* Local variances and covariance in a Gaussian window; the distorted image is modelled as gain times reference plus
  noise, Eq. (7).
* Information about the reference that reaches the eye through the distorted image, over the one that reaches it through
  the reference, both summed over windows and four scales, Eq. (13)-(15); the eye's own noise has variance 2.

Variant: that of the authors' MATLAB code: windows of 17, 9, 5 and 3 pixels with sigma a fifth of the size, inside the
image; from scale to scale the image is smoothed by the next window and every second pixel kept. The code's guards of
1e-10 against division by zero are left out where nothing is divided by zero, so that identical images score exactly 1;
other scores move by less than 1e-10.

Range: [0, inf); 1 for identical images, above 1 where the contrast was enhanced. Higher is better. **Not symmetric**:
reference first. Colour: BT.601 luma, not rounded. Blind to a constant offset. A reference without any structure has no
information: the score is then 1 if the distorted image has none either, else 0. Defined from 41 x 41 pixels on, where
the fourth scale has a window.
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from causaliqa.baselines.arrays import luma, prepare

_WINDOWS = (17, 9, 5, 3)
_SMALLEST = 41
_NOISE = 2.0
# Variance below which a window counts as flat; pixels are up to 255.
_FLAT = 1e-10


@functools.cache
def _gaussian(size: int) -> np.ndarray:
    offsets = np.arange(size) - (size - 1) / 2
    weights = np.exp(-(offsets**2) / (2 * (size / 5) ** 2))
    return np.asarray(weights / weights.sum())


def _smooth(image: np.ndarray, size: int, step: int = 1) -> np.ndarray:
    """Return the Gaussian means of every `step`-th window inside (H, W), along both axes."""
    weights = _gaussian(size)
    rows = np.einsum("ijk,k->ij", sliding_window_view(image, size, axis=0)[::step], weights)
    return np.asarray(np.einsum("ijk,k->ij", sliding_window_view(rows, size, axis=1)[:, ::step], weights))


def _information(first: np.ndarray, second: np.ndarray, size: int) -> tuple[float, float, float]:
    """Return the information through the distorted image and through the reference, and the largest variance of both.

    The unit of information cancels in the score.
    """
    mean_r, mean_d = _smooth(first, size), _smooth(second, size)
    covariance = _smooth(first * second, size)
    covariance -= mean_r * mean_d
    variance_r = _smooth(first * first, size)
    variance_r -= np.multiply(mean_r, mean_r, out=mean_r)
    variance_d = _smooth(second * second, size)
    variance_d -= np.multiply(mean_d, mean_d, out=mean_d)
    variance_r[variance_r < _FLAT] = 0
    largest = max(float(variance_r.max()), float(variance_d.max()))
    # Where a window is flat or its structure inverted the distorted image tells nothing: the gain is 0.
    gain = np.zeros_like(covariance)
    np.divide(covariance, variance_r, out=gain, where=(variance_r > 0) & (variance_d >= _FLAT) & (covariance > 0))
    noise = variance_d
    noise -= gain * covariance
    np.maximum(noise, 0, out=noise)
    noise += _NOISE
    gain *= gain
    gain *= variance_r
    gain /= noise
    gain += 1
    variance_r *= 1 / _NOISE
    variance_r += 1
    return float(np.log(gain, out=gain).sum()), float(np.log(variance_r, out=variance_r).sum()), largest


def vifp(reference: np.ndarray, distorted: np.ndarray, *, data_range: float = 255.0) -> float:
    """Return the visual information fidelity in the pixel domain, 1 for identical images; higher is better.

    Parameters
    ----------
    reference, distorted : arrays (H, W) or (H, W, 3) of equal shape, integer or float, in [0, `data_range`].
    data_range : largest value a pixel can have.

    Raises
    ------
    DataError
        If the shapes differ, a pixel is NaN, infinite or out of range, or an image is smaller than 41 x 41.
    """
    first, second = map(luma, prepare(reference, distorted, data_range, smallest=_SMALLEST, metric="VIFp"))
    # Variances do not depend on the mean, and without it they lose fewer digits.
    first, second = first - first.mean(), second - second.mean()
    received = sent = largest = 0.0
    for scale, size in enumerate(_WINDOWS):
        if scale:
            first, second = _smooth(first, size, 2), _smooth(second, size, 2)
        one, other, variance = _information(first, second, size)
        received, sent, largest = received + one, sent + other, max(largest, variance)
    if sent == 0:
        return 1.0 if largest < _FLAT else 0.0
    return received / sent
