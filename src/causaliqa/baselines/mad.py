"""Most apparent distortion.

E. C. Larson and D. M. Chandler, "Most apparent distortion: full-reference image quality assessment and the role of
strategy", Journal of Electronic Imaging 19(1), 2010, 011006.

* Detection, for distortions near the threshold: perceived luminance ``0.02874 * pixel ** (2.2 / 3)``, filtered with a
  contrast sensitivity function; in blocks of 16 x 16, four pixels apart, the contrast of the error against that of the
  reference (the least of four 8 x 8 deviations) tells by how much the error exceeds its threshold; times the local mean
  squared error of the pixels; root mean square over the image, times 200: D.
* Appearance, for distortions that anyone sees: magnitudes of log-Gabor responses at 5 scales and 4 orientations;
  absolute differences of their standard deviation, skewness (twice) and kurtosis in the same blocks, scales weighted by
  0.5, 0.75, 1, 5 and 6 over 13.25; root mean square over the image: A.
* MAD = D ** a * A ** (1 - a) with a = 1 / (1 + 0.467 D ** 0.130).

Variant: that of the authors' MATLAB code of October 2011 with its compiled block statistics:

* No downsampling; 64 pixels a degree. Vertical frequencies are divided by the width, too, in the contrast sensitivity:
  turned by 90 degrees a pair that is not square has another score.
* Statistics of a block stand at its first 4 x 4 pixels, the mean squared error in the middle of its window. Sixteen
  rows and columns at the start and seventeen at the end are left out of both means: no window reaches over a border.
* Deviations divide by N - 1; those inside skewness and kurtosis by N. Kurtosis is not reduced by 3.
* The two betas are exp(-2.55 / 3.35) and 1 / (3.35 ln 10), of which the paper prints three digits.
* Blocks where the filtered reference is darker than 0.5 (pixels below about 49) have no detectable error.

Range: [0, inf), in practice below 400; 0 for identical images. **Lower is better. Not symmetric**: the reference masks,
so reference first. Colour: BT.601 luma, not rounded (the authors round it to a byte). By the authors' formula MAD is 0
where D is 0, whatever A is: on a black reference, or between two flat images of different gray. Deviations below 1e-10,
which rounding leaves on flat images, count as none, as exact zeros do in the authors' code. Defined from 34 x 34 pixels
on: below, nothing lies inside the borders.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
from scipy import fft

from causaliqa.baselines.arrays import luma, prepare

_BLOCK, _STEP = 16, 4
_BEFORE, _AFTER = _BLOCK, _BLOCK + 1  # rows and columns left out at the start and at the end
_SMALLEST = _BEFORE + _AFTER + 1

_LUMINANCE, _GAMMA = 0.02874, 2.2 / 3
_DARK = 0.5
_THRESHOLD = -5.0  # natural logarithm of the contrast from which on an error is seen, and from which on it is masked
_GAIN = 200.0
_BETA1 = math.exp(-2.55 / 3.35)
_BETA2 = 1 / (3.35 * math.log(10))

_WAVELENGTHS = (3, 9, 27, 81, 243)
_WEIGHTS = tuple(weight / 13.25 for weight in (0.5, 0.75, 1.0, 5.0, 6.0))
_ORIENTATIONS = 4
_BANDWIDTH = 0.55
_ANGULAR = math.pi / _ORIENTATIONS / 1.5
_FLAT = 1e-10
_TINY = 1e-300
# Filters of larger images are made anew each time: they take 76 bytes a pixel, 40 MB at this size.
_CACHED = 2**19

#: Means and sums of the second, third and fourth powers of the differences from them.
Moments = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def _sensitivity(height: int, width: int) -> np.ndarray:
    """Return the contrast sensitivity at the frequencies of ``rfft2``: array (H, W // 2 + 1)."""
    down = (np.arange(height)[:, None] - (height - 1) / 2) * (64 / width)
    across = (np.arange(width)[None, :] - (width - 1) / 2) * (64 / width)
    # Three decibels less along the diagonals.
    angle = np.arctan2(down, across)
    frequency = np.hypot(down, across) / (0.15 * np.cos(4 * angle) + 0.85)
    scaled = 0.114 * frequency
    sensitivity = np.where(frequency < 7.8909, 0.9809, 2.6 * (0.0192 + scaled) * np.exp(-(scaled**1.1)))
    sensitivity = np.fft.ifftshift(sensitivity)
    # The authors take the real part of the filtered image: only what is even about frequency 0 counts.
    opposite = np.roll(sensitivity[::-1, ::-1], 1, axis=(0, 1))
    return np.ascontiguousarray(0.5 * (sensitivity + opposite)[:, : width // 2 + 1])


def _log_gabor(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the radial (5, H, W) and the angular parts (4, H, W) of the log-Gabor filters, frequency 0 first."""
    # The axis of an odd size has no sample at 0; the authors drop the one that the shift brings to frequency 0.
    down = ((np.arange(height) - height / 2) / (height / 2))[:, None]
    across = ((np.arange(width) - width / 2) / (width / 2))[None, :]
    radius = np.hypot(down, across)
    centre = (height + 1) // 2, (width + 1) // 2
    radius[centre] = 1
    logarithm = np.log(radius)
    radial = np.stack(
        [
            np.exp(-((logarithm - math.log(2 / wavelength)) ** 2) / (2 * math.log(_BANDWIDTH) ** 2))
            for wavelength in _WAVELENGTHS
        ]
    )
    radial[:, centre[0], centre[1]] = 0
    angle = np.arctan2(-down, across)
    angular = np.empty((_ORIENTATIONS, height, width))
    for orientation in range(_ORIENTATIONS):
        distance = np.abs(angle - orientation * math.pi / _ORIENTATIONS)
        distance = np.minimum(distance, 2 * math.pi - distance)
        angular[orientation] = np.exp(-(distance**2) / (2 * _ANGULAR**2))
    return np.fft.fftshift(radial, axes=(1, 2)), np.fft.fftshift(angular, axes=(1, 2))


def _filters(height: int, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return (_sensitivity(height, width), *_log_gabor(height, width))


@functools.lru_cache(maxsize=2)
def _cached_filters(height: int, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return _filters(height, width)


def _merge(first: Moments, second: Moments, count: int) -> Moments:
    """Return the moments of two sets of `count` values together.

    Merging sets by differences of their means keeps all digits, which sums of powers of the values themselves would
    lose where a magnitude hardly varies.
    """
    step = second[0] - first[0]
    square = step * step
    sum_2 = first[1] + second[1]
    mean = first[0] + 0.5 * step
    fourth = second[2] - first[2]
    fourth *= step
    fourth *= 2
    rest = (count / 8) * square
    rest += 1.5 * sum_2
    rest *= square
    fourth += rest
    fourth += first[3]
    fourth += second[3]
    third = second[1] - first[1]
    third *= step
    third *= 1.5
    third += first[2]
    third += second[2]
    square *= count / 2
    sum_2 += square
    return mean, sum_2, third, fourth


def _pairs(values: np.ndarray) -> Moments:
    """Return the moments of every two rows of (H, W): shape (H / 2, W)."""
    step = values[1::2] - values[::2]
    mean = 0.5 * step
    mean += values[::2]
    step *= step
    step *= 0.5
    return mean, step, np.zeros_like(step), 0.5 * step * step


def _part(moments: Moments, index: Any) -> Moments:
    mean, second, third, fourth = moments
    return mean[index], second[index], third[index], fourth[index]


def _block_moments(values: np.ndarray, apart: tuple[int, ...] = (1, 2)) -> Moments:
    """Return the moments of the blocks, four pixels apart, of (H, W), both multiples of 4.

    `apart` (1, 2) stands for blocks of 16 x 16, (1,) for blocks of 8 x 8. Only blocks inside the array have moments.
    """
    moments = _pairs(values)
    count = 2
    for even, odd in ((np.s_[::2], np.s_[1::2]), *2 * ((np.s_[:, ::2], np.s_[:, 1::2]),)):
        moments = _merge(_part(moments, even), _part(moments, odd), count)
        count *= 2
    # Cells of 4 x 4, each merged with its followers.
    for step in apart:
        moments = _merge(_part(moments, np.s_[:-step]), _part(moments, np.s_[step:]), count)
        count *= 2
        moments = _merge(_part(moments, np.s_[:, :-step]), _part(moments, np.s_[:, step:]), count)
        count *= 2
    return moments


def _box(values: np.ndarray) -> np.ndarray:
    """Return the 16 x 16 means inside (H, W): shape (H - 15, W - 15)."""
    reach = 1
    while reach < _BLOCK:
        values = values[:-reach] + values[reach:]
        values = values[:, :-reach] + values[:, reach:]
        reach *= 2
    return values * (1 / _BLOCK**2)


def _blocks(size: int) -> int:
    """Return how many blocks along an axis start within the borders left out."""
    return -(-(size - _BEFORE - _AFTER) // _STEP)


def _crop(image: np.ndarray, more: int) -> np.ndarray:
    """Return (H, W) from the first block on, with `more` pixels after the first four of the last ones."""
    rows, columns = (_STEP * _blocks(size) + more for size in image.shape)
    return image[_BEFORE : _BEFORE + rows, _BEFORE : _BEFORE + columns]


def _least(deviations: np.ndarray, size: int) -> np.ndarray:
    """Return the lesser of each deviation and the next one down, where the authors' code reaches it: one row less.

    They look five pixels on, and only if a block could start there in an image of height `size`.
    """
    rows = len(deviations) - 1
    reached = _BEFORE + _STEP * np.arange(rows) + _STEP + 1 < size - _BLOCK + 1
    return np.where(reached[:, None], np.minimum(deviations[:-1], deviations[1:]), deviations[:-1])


def _detection(first: np.ndarray, second: np.ndarray, sensitivity: np.ndarray) -> float:
    """Return the visibility of the difference between two gray images (H, W)."""
    height, width = first.shape
    # The check of the input lets rounding errors below zero pass.
    seen = np.maximum(np.stack([first, second]), 0) ** _GAMMA
    spectra = fft.rfft2(seen)
    spectra *= _LUMINANCE * sensitivity
    reference, distorted = fft.irfft2(spectra, s=(height, width))

    mean = _block_moments(_crop(reference, _BLOCK - _STEP))[0]
    error = np.sqrt(_block_moments(_crop(distorted - reference, _BLOCK - _STEP))[1] / (_BLOCK**2 - 1))
    scene = np.sqrt(_block_moments(_crop(reference, 8), (1,))[1] / (8**2 - 1))
    scene = _least(_least(scene, height).T, width).T

    # Logarithms of the contrasts; a deviation of zero becomes one far below every threshold.
    limit = np.log(np.maximum(scene, _TINY) / np.maximum(mean, _DARK))
    excess = np.log(np.maximum(error, _TINY) / np.maximum(mean, _DARK)) - np.maximum(limit, _THRESHOLD)
    excess[mean < _DARK] = 0
    np.maximum(excess, 0, out=excess)

    difference = first - second
    inside = np.s_[_BEFORE - 7 : 8 - _AFTER]
    squares = _box((difference * difference)[inside, inside])
    squares *= excess.repeat(_STEP, 0).repeat(_STEP, 1)[: len(squares), : squares.shape[1]]
    return _GAIN * math.sqrt(np.einsum("ij,ij->", squares, squares) / squares.size)


def _statistics(magnitude: np.ndarray) -> np.ndarray:
    """Return deviation, twice the skewness, and kurtosis of the blocks of (H, W): shape (3, rows, columns)."""
    _, second, third, fourth = _block_moments(magnitude)
    count = _BLOCK**2
    variance = second / count
    flat = variance < _FLAT**2
    variance[flat] = 1
    found = np.stack([np.sqrt(second / (count - 1)), third, fourth])
    found[1] *= 2 / count
    found[1] /= variance * np.sqrt(variance)
    found[2] /= count * variance * variance
    found[:, flat] = 0
    return found


def _appearance(first: np.ndarray, second: np.ndarray, radial: np.ndarray, angular: np.ndarray) -> float:
    """Return the difference between the log-Gabor statistics of two gray images (H, W)."""
    # One image after the other: their arrays stay in the cache.
    spectra = [fft.fft2(image) for image in (first, second)]
    total = np.zeros([_blocks(size) for size in first.shape])
    product = np.empty_like(spectra[0])
    for spread in angular:
        turned = [spectrum * spread for spectrum in spectra]
        for band, weight in zip(radial, _WEIGHTS, strict=True):
            found = []
            for spectrum in turned:
                response = fft.ifft2(np.multiply(spectrum, band, out=product), overwrite_x=True)
                found.append(_statistics(np.abs(_crop(response, _BLOCK - _STEP))))
            total += weight * np.abs(found[0] - found[1]).sum(axis=0)
    # The last cells of either axis may reach into the border left out.
    sizes = []
    for length, blocks in zip(first.shape, total.shape, strict=True):
        cells = np.full(blocks, float(_STEP))
        cells[-1] += length - _BEFORE - _AFTER - _STEP * blocks
        sizes.append(cells)
    mean_square = np.einsum("i,j,ij->", *sizes, total * total) / (sizes[0].sum() * sizes[1].sum())
    return math.sqrt(float(mean_square))


def mad(reference: np.ndarray, distorted: np.ndarray, *, data_range: float = 255.0) -> float:
    """Return the most apparent distortion, 0 for identical images; lower is better.

    Parameters
    ----------
    reference, distorted : arrays (H, W) or (H, W, 3) of equal shape, integer or float, in [0, `data_range`].
    data_range : largest value a pixel can have.

    Raises
    ------
    DataError
        If the shapes differ, a pixel is NaN, infinite or out of range, or an image is smaller than 34 x 34.
    """
    pair = prepare(reference, distorted, data_range, smallest=_SMALLEST, metric="MAD")
    first, second = luma(pair[0]), luma(pair[1])
    sensitivity, radial, angular = (_cached_filters if first.size <= _CACHED else _filters)(*first.shape)
    detection = _detection(first, second, sensitivity)
    if detection == 0:
        return 0.0
    appearance = _appearance(first, second, radial, angular)
    share = 1 / (1 + _BETA1 * detection**_BETA2)
    return float(detection**share * appearance ** (1 - share))
