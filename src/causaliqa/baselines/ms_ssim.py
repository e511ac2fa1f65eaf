"""Multi-scale structural similarity.

Z. Wang, E. P. Simoncelli and A. C. Bovik, "Multiscale structural similarity for image quality assessment", Asilomar
Conference on Signals, Systems and Computers, 2003, 1398-1402.

Mean contrast-structure factor at scales 1 to 4 and mean SSIM at scale 5, each to the power of its weight (0.0448,
0.2856, 0.3001, 0.2363, 0.1333), multiplied, Eq. (7). Windows as in :mod:`causaliqa.baselines.ssim`; from scale to scale
2 x 2 block means with mirrored borders, as in the authors' code.

Range: [0, 1]; 1 for identical images. Higher is better. Symmetric. Colour: BT.601 luma, not rounded. A negative mean
factor (structure inverted on average) counts as 0: its fractional power is not real. Defined from 161 x 161 pixels on:
below, the fifth scale is smaller than the window.
"""

from __future__ import annotations

import numpy as np

from causaliqa.baselines.arrays import Region, block_mean, luma, prepare
from causaliqa.baselines.ssim import moments

_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_SMALLEST = 161


def ms_ssim(
    reference: np.ndarray, distorted: np.ndarray, *, data_range: float = 255.0, mask: np.ndarray | None = None
) -> float:
    """Return the multi-scale structural similarity in [0, 1]; higher is better.

    Parameters
    ----------
    reference, distorted : arrays (H, W) or (H, W, 3) of equal shape, integer or float, in [0, `data_range`].
    data_range : largest value a pixel can have.
    mask : bool array (H, W); at every scale only windows count whose middle pixel is at least half True; default: all.

    Raises
    ------
    DataError
        If the shapes differ, a pixel is NaN, infinite or out of range, an image is smaller than 161 x 161, or the mask
        does not fit or leaves no window at a scale (at the fifth none has its middle within 80 pixels of the border).
    """
    pair = prepare(reference, distorted, data_range, smallest=_SMALLEST, metric="MS-SSIM")
    first, second = luma(pair[0]), luma(pair[1])
    region = Region.of(mask, pair[0].shape[-2:], "MS-SSIM")
    score = 1.0
    for scale, weight in enumerate(_WEIGHTS, start=1):
        full, contrast = moments(first, second, region)
        score *= max(0.0, full if scale == len(_WEIGHTS) else contrast) ** weight
        if scale < len(_WEIGHTS):
            first, second = block_mean(first, 2, "symmetric"), block_mean(second, 2, "symmetric")
            region = region.shrunk(2)
    return score
