"""Mean deviation similarity index.

H. Ziaei Nafchi, A. Shahkolaei, R. Hedjam and M. Cheriet, "Mean deviation similarity index: efficient and reliable
full-reference image quality evaluator", IEEE Access 4, 2016, 5579-5590. arXiv:1608.07433.

* Gradient magnitudes of the luminance by Prewitt filters, Eq. (1)-(2); gradient similarity of reference and distorted
  and of each with their mean (the fused image F), combined to GS + GS_DF - GS_RF, Eq. (3)-(6).
* Chromaticity similarity of both opponent channels in one quotient, Eq. (8).
* 0.6 gradient similarity + 0.4 chromaticity similarity, Eq. (9); deviation pooling: the mean absolute deviation of the
  fourth roots, raised to 1/4, Eq. (14).

Variant: that of the authors' MATLAB code: sum combination, C1 = 140, C2 = 55, C3 = 550, block means by
``max(1, round(min(H, W) / 256))``, zeros outside the image.

Range: [0, inf), in practice below 1; 0 for identical images. **Lower is better. Not symmetric**: the fused image is
compared with reference and distorted with opposite signs. Colour: opponent channels of RGB; gray is taken as R = G = B.
"""

from __future__ import annotations

import numpy as np

from causaliqa.baselines.arrays import PREWITT, block_mean, gradients, matlab_factor, mix, prepare, similarity

_LUMINANCE = (0.2989, 0.5870, 0.1140)
_OPPONENT_H = (0.30, 0.04, -0.35)
_OPPONENT_M = (0.34, -0.60, 0.17)
_C1, _C2, _C3 = 140.0, 55.0, 550.0
_ALPHA = 0.6


def mdsi(reference: np.ndarray, distorted: np.ndarray, *, data_range: float = 255.0) -> float:
    """Return the mean deviation similarity index, 0 for identical images; lower is better.

    Parameters
    ----------
    reference, distorted : arrays (H, W) or (H, W, 3) of equal shape, integer or float, in [0, `data_range`].
    data_range : largest value a pixel can have.

    Raises
    ------
    DataError
        If the shapes differ or a pixel is NaN, infinite or out of range.
    """
    first, second = prepare(reference, distorted, data_range, metric="MDSI")
    factor = matlab_factor(*first.shape[-2:])
    first, second = block_mean(first, factor), block_mean(second, factor)

    across_r, down_r = gradients(mix(first, _LUMINANCE), PREWITT)
    across_d, down_d = gradients(mix(second, _LUMINANCE), PREWITT)
    edge_r = np.sqrt(across_r * across_r + down_r * down_r)
    edge_d = np.sqrt(across_d * across_d + down_d * down_d)
    # The gradient of the fused image is the mean of the gradients: filters are linear.
    across_f, down_f = 0.5 * (across_r + across_d), 0.5 * (down_r + down_d)
    edge_f = np.sqrt(across_f * across_f + down_f * down_f)
    combined = similarity(edge_r, edge_d, _C1)
    combined += similarity(edge_d, edge_f, _C2)
    combined -= similarity(edge_r, edge_f, _C2)
    combined *= _ALPHA

    h_r, h_d = mix(first, _OPPONENT_H), mix(second, _OPPONENT_H)
    m_r, m_d = mix(first, _OPPONENT_M), mix(second, _OPPONENT_M)
    # Grouped by image: the quotient is then exactly 1 for equal images, and the fourth root amplifies any other error.
    chroma = 2 * (h_r * h_d + m_r * m_d) + _C3
    chroma /= (h_r * h_r + m_r * m_r) + (h_d * h_d + m_d * m_d) + _C3
    chroma *= 1 - _ALPHA
    combined += chroma

    # Opposed gradients or colours make the map negative; its fourth root is then complex, as in the authors' code.
    roots = np.sqrt(np.sqrt(combined if combined.min() >= 0 else combined.astype(np.complex128)))
    return float(np.abs(roots - roots.mean()).mean() ** 0.25)
