"""Normalized Laplacian pyramid distance.

V. Laparra, J. Balle, A. Berardino and E. P. Simoncelli, "Perceptual image quality assessment using a normalized
Laplacian pyramid", Electronic Imaging 2016(16), Human Vision and Electronic Imaging, 1-6.

* Laplacian pyramid of five bands and the low-pass residual, of luma in [0, 1], with the filter (1, 5, 8, 5, 1) / 20.
* Each coefficient divided by a constant plus a weighted sum of its neighbours' magnitudes; constants and weights, for
  every scale, are those the authors fitted to natural images.
* Root mean squared difference of the normalized coefficients in each of the six bands; their mean.

Variant: that of the authors' MATLAB code ``NLP_dist``: borders mirrored with the edge pixel doubled before shrinking,
repeated before enlarging, zeros outside the band when normalizing; pixels as they are stored, without a model of the
display (that is the authors' work of 2017). Their finest band has a fifth neighbour, two pixels to the left with weight
0.0072, which the usual Python ports leave out: they differ by about 1e-3.

Range: [0, inf), in practice below 1; 0 for identical images. **Lower is better.** Symmetric. Colour: BT.601 luma, not
rounded: this distance sees the noise that ``rgb2gray`` adds, up to 0.01 where two colour images differ by a constant.
Defined from 32 x 32 pixels on: below, the residual has no pixel of its own.
"""

from __future__ import annotations

import numpy as np

from causaliqa.baselines.arrays import luma, prepare

_SMALLEST = 32
_Weights = tuple[float, float, float, float, float]
#: Constant, and weights of the neighbours above, below, left, right and two to the left; finest band to residual.
_NORMALIZATION: tuple[tuple[float, _Weights], ...] = (
    (0.0248, (0.1015, 0.1011, 0.1460, 0.1493, 0.0072)),
    (0.0185, (0.0837, 0.0757, 0.1846, 0.1986, 0.0)),
    (0.0179, (0.0467, 0.0477, 0.2243, 0.2138, 0.0)),
    (0.0191, (0.0, 0.0, 0.2616, 0.2503, 0.0)),
    (0.0220, (0.0, 0.0, 0.2552, 0.2598, 0.0)),
    (0.2782, (0.0, 0.0, 0.0717, 0.2215, 0.0)),
)


def _halve(image: np.ndarray) -> np.ndarray:
    """Filter the columns of (H, W), edge rows doubled, and keep every second row: (ceil(H / 2), W)."""
    count = -(-len(image) // 2)
    padded = np.concatenate([image[1::-1], image, image[:-3:-1]])
    low: np.ndarray = padded[1::2][:count] + padded[3::2][:count]
    low *= 5
    low += padded[0::2][:count]
    low += padded[4::2][:count]
    low += 8 * padded[2::2][:count]
    low *= 1 / 20
    return low


def _double(image: np.ndarray, size: int) -> np.ndarray:
    """Enlarge the columns of (H, W), edge rows repeated, to `size` rows, 2 H or 2 H - 1."""
    padded = np.concatenate([image[:1], image, image[-1:]])
    sums = padded[:-1] + padded[1:]
    out = np.empty((size, image.shape[1]))
    even, odd = out[0::2], out[1::2]
    np.multiply(image, 6, out=even)
    even += sums[:-1]
    even += sums[1:]
    even *= 1 / 10
    np.multiply(sums[1 : 1 + len(odd)], 1 / 2, out=odd)
    return out


def _normalize(band: np.ndarray, constant: float, weights: _Weights) -> np.ndarray:
    above, below, left, right, far_left = weights
    size = np.abs(band)
    divisor = np.full_like(band, constant)
    divisor[:, 1:] += left * size[:, :-1]
    divisor[:, :-1] += right * size[:, 1:]
    if far_left:
        divisor[:, 2:] += far_left * size[:, :-2]
    if above or below:
        divisor[1:] += above * size[:-1]
        divisor[:-1] += below * size[1:]
    return np.asarray(np.divide(band, divisor, out=divisor))


def _pyramid(image: np.ndarray) -> list[np.ndarray]:
    """Return the normalized Laplacian pyramid of (H, W) in [0, 1]: five bands and the residual."""
    bands = []
    for constant, weights in _NORMALIZATION[:-1]:
        height, width = image.shape
        low = np.ascontiguousarray(_halve(np.ascontiguousarray(_halve(image).T)).T)
        across = np.ascontiguousarray(_double(np.ascontiguousarray(low.T), width).T)
        bands.append(_normalize(image - _double(across, height), constant, weights))
        image = low
    return [*bands, _normalize(image, *_NORMALIZATION[-1])]


def nlpd(reference: np.ndarray, distorted: np.ndarray, *, data_range: float = 255.0) -> float:
    """Return the normalized Laplacian pyramid distance, 0 for identical images; lower is better.

    Parameters
    ----------
    reference, distorted : arrays (H, W) or (H, W, 3) of equal shape, integer or float, in [0, `data_range`].
    data_range : largest value a pixel can have.

    Raises
    ------
    DataError
        If the shapes differ, a pixel is NaN, infinite or out of range, or an image is smaller than 32 x 32.
    """
    first, second = prepare(reference, distorted, data_range, smallest=_SMALLEST, metric="NLPD")
    total = 0.0
    bands = _pyramid(luma(first) * (1 / 255)), _pyramid(luma(second) * (1 / 255))
    for one, other in zip(*bands, strict=True):
        one -= other
        one *= one
        total += float(one.mean()) ** 0.5
    return total / len(_NORMALIZATION)
