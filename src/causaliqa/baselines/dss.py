"""DCT subband similarity.

A. Balanov, A. Schwartz, Y. Moshe and N. Peleg, "Image quality assessment based on DCT subband similarity", IEEE
International Conference on Image Processing, 2015, 2105-2109.

* 8 x 8 block DCT; all coefficients of one frequency form a subband, 1/8 of the image in height and width.
* Similarity of the local standard deviations of each subband, for the DC subband times that of the local structure
  (covariance over the product of deviations), in a 3 x 3 Gaussian window of sigma 1.5.
* Each subband's score is the mean of the worst 5 % of its similarities; the scores are averaged with Gaussian weights
  that fall with frequency (sigma 1.55), leaving out weights below 0.01.

Variant: that of the authors' MATLAB code: C = 1000 for the DC and 300 for the other subbands, zeros outside the
subband, incomplete blocks at the right and lower border cut off. Where 5 % of a small subband round to no value, the
worst one is taken.

Range: [-0.25, 1], since the DC subband alone can be negative; 1 for identical images. Higher is better. Symmetric.
Colour: BT.601 luma, not rounded. Defined from 8 x 8 pixels on, one block.
"""

from __future__ import annotations

import functools

import numpy as np

from causaliqa.baselines.arrays import luma, prepare, similarity

_BLOCK = 8
_SIGMA_FREQUENCY = 1.55
_LEAST_WEIGHT = 0.01
_C_DC, _C_AC = 1000.0, 300.0
_WORST = 0.05
#: Outer and middle weight of a Gaussian of 3 pixels and sigma 1.5.
_OUTER = float(np.exp(-1 / (2 * 1.5**2)) / (1 + 2 * np.exp(-1 / (2 * 1.5**2))))
_MIDDLE = 1 - 2 * _OUTER


@functools.cache
def _weights() -> dict[tuple[int, int], float]:
    """Return the weights of the subbands (vertical, horizontal frequency) that count; they sum to 1."""
    squares = (np.arange(_BLOCK) + 0.5) ** 2
    weights = np.exp(-(squares[:, None] + squares[None, :]) / (2 * _SIGMA_FREQUENCY**2))
    weights[weights < _LEAST_WEIGHT] = 0
    weights /= weights.sum()
    return {(int(row), int(column)): float(weights[row, column]) for row, column in np.argwhere(weights)}


@functools.cache
def _basis() -> np.ndarray:
    """Return the orthonormal DCT of eight values, shape (frequency, position)."""
    frequency, position = np.arange(_BLOCK)[:, None], np.arange(_BLOCK)[None, :]
    basis = np.cos(np.pi / _BLOCK * (position + 0.5) * frequency) * np.sqrt(2 / _BLOCK)
    basis[0] = np.sqrt(1 / _BLOCK)
    return np.asarray(basis)


def _subbands(image: np.ndarray) -> np.ndarray:
    """Return the DCT subbands that count, shape (number, H // 8, W // 8), in the order of :func:`_weights`."""
    height, width = (size // _BLOCK for size in image.shape)
    blocks = image[: height * _BLOCK, : width * _BLOCK].reshape(height, _BLOCK, width, _BLOCK)
    count = 1 + max(row for row, _ in _weights())
    basis = _basis()[:count]
    # einsum without optimisation stays clear of BLAS.
    rows = np.einsum("uk,hkwl->ulhw", basis, blocks)
    bands = np.empty((len(_weights()), height, width))
    for band, (row, column) in zip(bands, _weights(), strict=True):
        np.einsum("l,lhw->hw", basis[column], rows[row], out=band)
    return bands


def _smooth(planes: np.ndarray) -> np.ndarray:
    """Return the 3 x 3 Gaussian means of (N, H, W), zeros outside."""
    count, height, width = planes.shape
    padded = np.zeros((count, height + 2, width + 2))
    padded[:, 1:-1, 1:-1] = planes
    rows = padded[:, :-2] + padded[:, 2:]
    rows *= _OUTER
    rows += padded[:, 1:-1] * _MIDDLE
    means: np.ndarray = rows[..., :-2] + rows[..., 2:]
    means *= _OUTER
    means += rows[..., 1:-1] * _MIDDLE
    return means


def _worst(values: np.ndarray) -> np.ndarray:
    """Return the mean of the smallest 5 % of each plane of (N, H, W), rounded half up as MATLAB does."""
    flat = values.reshape(len(values), -1)
    count = max(1, int(np.floor(_WORST * flat.shape[1] + 0.5)))
    # Sorting the chosen ones makes their sum independent of the order that the partition left.
    return np.asarray(np.sort(np.partition(flat, count - 1, axis=1)[:, :count], axis=1).mean(axis=1))


def dss(reference: np.ndarray, distorted: np.ndarray, *, data_range: float = 255.0) -> float:
    """Return the DCT subband similarity in [-0.25, 1]; higher is better.

    Parameters
    ----------
    reference, distorted : arrays (H, W) or (H, W, 3) of equal shape, integer or float, in [0, `data_range`].
    data_range : largest value a pixel can have.

    Raises
    ------
    DataError
        If the shapes differ, a pixel is NaN, infinite or out of range, or an image is smaller than 8 x 8.
    """
    pair = prepare(reference, distorted, data_range, smallest=_BLOCK, metric="DSS")
    bands_r, bands_d = (_subbands(luma(image)) for image in pair)
    means_r, means_d = _smooth(bands_r), _smooth(bands_d)
    variance_r = np.maximum(_smooth(bands_r * bands_r) - means_r * means_r, 0)
    variance_d = np.maximum(_smooth(bands_d * bands_d) - means_d * means_d, 0)
    # The first band is DC.
    covariance = _smooth(bands_r[:1] * bands_d[:1])[0] - means_r[0] * means_d[0]
    deviation_r, deviation_d = np.sqrt(variance_r), np.sqrt(variance_d)
    structure = (covariance + _C_DC) / (deviation_r[0] * deviation_d[0] + _C_DC)
    deviations = similarity(deviation_r[1:], deviation_d[1:], _C_AC)
    dc = similarity(deviation_r[0], deviation_d[0], _C_DC)
    scores = _worst(np.concatenate([dc[None], deviations, structure[None]]))
    scores[0] *= scores[-1]
    return float((scores[:-1] * list(_weights().values())).sum())
