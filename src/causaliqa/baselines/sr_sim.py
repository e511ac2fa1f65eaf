"""Spectral residual based similarity.

L. Zhang and H. Li, "SR-SIM: a fast and high performance IQA index based on spectral residual", IEEE International
Conference on Image Processing, 2012, 1473-1476; saliency by X. Hou and L. Zhang, "Saliency detection: a spectral
residual approach", CVPR 2007.

* Saliency of each image at a quarter of its size: its spectrum with the amplitude divided by the local geometric mean
  of 3 x 3 amplitudes, back in space, squared, smoothed, stretched to [0, 1] and enlarged, Eq. (1)-(5).
* Similarities of saliency and of Scharr gradients, the latter to the power of 0.5, multiplied and averaged with the
  larger saliency as weight, Eq. (6)-(10).

Variant: that of the authors' MATLAB code: C1 = 0.40, C2 = 225; 10 x 10 Gaussian of sigma 3.8 with zeros outside the
image; block means by ``max(1, round(min(H, W) / 256))`` and zeros outside the image; MATLAB's ``imresize`` (bicubic,
antialiased where it shrinks).

Range: about [0, 1]; 1 for identical images. Higher is better. Symmetric. Colour: BT.601 luma, not rounded. Frequencies
without energy stay without (MATLAB takes the logarithm of 0 there and returns NaN, or amplifies rounding errors): an
image of one colour has no saliency, and where both have none all pixels weigh the same. Defined from 16 x 16 pixels on:
saliency is computed on 4 x 4.
"""

from __future__ import annotations

import functools

import numpy as np
from scipy import fft, ndimage, sparse

from causaliqa.baselines.arrays import SCHARR, block_mean, gradients, luma, matlab_factor, prepare, similarity

_C_SALIENCY, _C_GRADIENT = 0.40, 225.0
_SCALE = 0.25
_SMALLEST = 16
_GAUSSIAN = np.exp(-((np.arange(10) - 4.5) ** 2) / (2 * 3.8**2))
_GAUSSIAN /= _GAUSSIAN.sum()
# Amplitude relative to the largest that is rounding error of the transform.
_FLAT = 1e-12


def _cubic(distance: np.ndarray) -> np.ndarray:
    """Return Keys' cubic convolution kernel, a = -0.5."""
    near, far = np.minimum(distance, 1), np.clip(distance, 1, 2)
    inner = (1.5 * near - 2.5) * near**2 + 1
    outer = ((-0.5 * far + 2.5) * far - 4) * far + 2
    return np.asarray(np.where(distance <= 1, inner, outer))


@functools.lru_cache(maxsize=32)
def _resizer(source: int, target: int, scale: float) -> sparse.csr_array:
    """Return MATLAB's bicubic ``imresize`` along one axis as a sparse matrix (target, source), borders mirrored."""
    stretch = min(1.0, scale)  # shrinking widens the kernel, which removes aliasing
    centre = (np.arange(target) + 0.5) / scale - 0.5
    taps = int(np.ceil(4 / stretch)) + 2
    index = np.floor(centre - 2 / stretch).astype(np.int64)[:, None] + np.arange(taps)
    weight = _cubic(np.abs(stretch * (centre[:, None] - index)))
    weight /= weight.sum(axis=1, keepdims=True)
    mirrored = index % (2 * source)
    mirrored = np.where(mirrored < source, mirrored, 2 * source - 1 - mirrored)
    rows = np.repeat(np.arange(target), taps)
    matrix = sparse.coo_array((weight.ravel(), (rows, mirrored.ravel())), shape=(target, source)).tocsr()
    matrix.eliminate_zeros()
    return matrix


def _resize(image: np.ndarray, down: sparse.csr_array, across: sparse.csr_array) -> np.ndarray:
    # A sparse matrix multiplies from the left: transpose for the second axis.
    return np.asarray((across @ np.ascontiguousarray((down @ image).T)).T)


def spectral_residual(image: np.ndarray) -> np.ndarray:
    """Return the spectral residual saliency of a gray image.

    Parameters
    ----------
    image : array (H, W) in [0, 255].

    Returns
    -------
    Array (H, W), about [0, 1] (enlarging may overshoot); zeros if the image has one colour only.
    """
    height, width = image.shape
    small = [int(np.ceil(_SCALE * size)) for size in image.shape]
    shrunk = _resize(image, _resizer(height, small[0], _SCALE), _resizer(width, small[1], _SCALE))
    spectrum = fft.fft2(shrunk)
    amplitude = np.abs(spectrum)
    floor = _FLAT * float(amplitude.max())
    present = amplitude > floor
    if np.count_nonzero(present) < 2:  # the mean alone
        return np.zeros(image.shape)
    np.maximum(amplitude, floor, out=amplitude)
    # Phase kept, logarithm of the amplitude less its local mean: the amplitude over its local geometric mean.
    residual = spectrum * np.exp(-ndimage.uniform_filter(np.log(amplitude), 3, mode="nearest"))
    residual[~present] = 0
    back = fft.ifft2(residual)
    energy = back.real**2 + back.imag**2
    for axis in (0, 1):
        # MATLAB's centre of ten values is the fifth, SciPy's the sixth.
        energy = ndimage.correlate1d(energy, _GAUSSIAN, axis=axis, mode="constant", origin=-1)
    energy -= energy.min()
    energy *= 1 / float(energy.max())
    return _resize(energy, _resizer(small[0], height, height / small[0]), _resizer(small[1], width, width / small[1]))


def sr_sim(reference: np.ndarray, distorted: np.ndarray, *, data_range: float = 255.0) -> float:
    """Return the spectral residual based similarity, 1 for identical images; higher is better.

    Parameters
    ----------
    reference, distorted : arrays (H, W) or (H, W, 3) of equal shape, integer or float, in [0, `data_range`].
    data_range : largest value a pixel can have.

    Raises
    ------
    DataError
        If the shapes differ, a pixel is NaN, infinite or out of range, or an image is smaller than 16 x 16.
    """
    pair = prepare(reference, distorted, data_range, smallest=_SMALLEST, metric="SR-SIM")
    factor = matlab_factor(*pair[0].shape[-2:])
    first, second = (block_mean(luma(image), factor) for image in pair)
    salient_r, salient_d = spectral_residual(first), spectral_residual(second)
    across, down = gradients(first, SCHARR)
    edge_r = np.sqrt(across * across + down * down)
    across, down = gradients(second, SCHARR)
    edge_d = np.sqrt(across * across + down * down)
    local = np.sqrt(similarity(edge_r, edge_d, _C_GRADIENT))
    local *= similarity(salient_r, salient_d, _C_SALIENCY)
    weight = np.maximum(salient_r, salient_d)
    total = float(weight.sum())
    return float((local * weight).sum()) / total if total > 0 else float(local.mean())
