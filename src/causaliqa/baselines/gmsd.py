"""Gradient magnitude similarity deviation.

W. Xue, L. Zhang, X. Mou and A. C. Bovik, "Gradient magnitude similarity deviation: a highly efficient perceptual image
quality index", IEEE Transactions on Image Processing 23(2), 2014, 684-695. arXiv:1308.3052.

* Prewitt gradient magnitudes, Eq. (1)-(3); their similarity with c = 170 on [0, 255], Eq. (4).
* Pooling by the standard deviation of the similarity map, Eq. (6).

Variant: 2 x 2 block means first, zeros outside the image, as in the authors' MATLAB code; the deviation divides by N as
Eq. (6) does, where the code's ``std2`` divides by N - 1 (relative difference 1 / 2N, 1e-5 at 512 x 384).

Range: [0, 0.5]; 0 for identical images. **Lower is better.** Symmetric. Colour: BT.601 luma, not rounded.
"""

from __future__ import annotations

import numpy as np

from causaliqa.baselines.arrays import PREWITT, Region, block_mean, gradients, luma, prepare, similarity

_C = 170.0


def gmsd(
    reference: np.ndarray, distorted: np.ndarray, *, data_range: float = 255.0, mask: np.ndarray | None = None
) -> float:
    """Return the gradient magnitude similarity deviation, 0 for identical images; lower is better.

    Parameters
    ----------
    reference, distorted : arrays (H, W) or (H, W, 3) of equal shape, integer or float, in [0, `data_range`].
    data_range : largest value a pixel can have.
    mask : bool array (H, W); only 2 x 2 blocks count that are at least half True; default: all.

    Raises
    ------
    DataError
        If the shapes differ, a pixel is NaN, infinite or out of range, or the mask does not fit or leaves no block.
    """
    pair = prepare(reference, distorted, data_range, metric="GMSD")
    region = Region.of(mask, pair[0].shape[-2:], "GMSD").shrunk(2)
    magnitudes = []
    for image in pair:
        across, down = gradients(block_mean(luma(image), 2), PREWITT)
        magnitudes.append(np.sqrt(across * across + down * down))
    return float(region.pick(similarity(magnitudes[0], magnitudes[1], _C)).std())
