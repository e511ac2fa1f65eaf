"""Peak signal-to-noise ratio.

PSNR = 10 log10(L² / MSE), the mean over all pixels and, for colour, over the three channels together.

Range: [0, inf] dB; identical images give inf, the one infinity among these metrics. Higher is better. Symmetric.
"""

from __future__ import annotations

import math

import numpy as np

from causaliqa.baselines.arrays import Region, check_pair

#: PSNR in a score table is at most this. Identical images have an infinite one, which no correlation survives; at
#: 100 dB one byte in 150,000 differs by one.
PSNR_CAP_DB = 100.0


def psnr(
    reference: np.ndarray, distorted: np.ndarray, *, data_range: float = 255.0, mask: np.ndarray | None = None
) -> float:
    """Return the peak signal-to-noise ratio in dB.

    Parameters
    ----------
    reference, distorted : arrays (H, W) or (H, W, 3) of equal shape, integer or float, in [0, `data_range`].
    data_range : largest value a pixel can have.
    mask : bool array (H, W), True where a pixel counts; default: everywhere.

    Returns
    -------
    Decibels in [0, inf]; inf for identical images.

    Raises
    ------
    DataError
        If the shapes differ, a pixel is NaN, infinite or out of range, or the mask does not fit.
    """
    first, second = check_pair(reference, distorted, data_range)
    region = Region.of(mask, first.shape[:2], "PSNR")
    if region.cover is not None:
        first, second = (
            region.pick(image if image.ndim == 2 else image.transpose(2, 0, 1)) for image in (first, second)
        )
    squares: float
    if first.dtype == second.dtype == np.uint8:
        # Exact, and four times as fast: a difference of bytes fits a byte, its square 16 bits.
        error = np.maximum(first, second)
        error -= np.minimum(first, second)
        squares = int(np.multiply(error, error, dtype=np.uint16).sum(dtype=np.uint64))
    else:
        difference = np.subtract(first, second, dtype=np.float64).ravel()
        squares = float(np.einsum("i,i->", difference, difference))
    return math.inf if squares == 0 else 10 * math.log10(data_range**2 * first.size / squares)
