"""Information content weighted structural similarity.

Z. Wang and Q. Li, "Information content weighting for perceptual image quality assessment", IEEE Transactions on Image
Processing 20(5), 2011, 1185-1198.

* Laplacian pyramid of five scales; contrast-structure factor of SSIM in every band, with the luminance factor in the
  last, the low-pass residual (11 x 11 Gaussian window of sigma 1.5, K1 = 0.01, K2 = 0.03).
* Weight of each position at scales 1 to 4: the information that the two images hold about the scene there, under a
  Gaussian scale mixture of 3 x 3 neighbours and, at scales 1 to 3, the parent one scale up; noise variance 0.4.
* The weighted means, and the plain mean at scale 5, to the powers of MS-SSIM's weights (their sum made 1), multiplied.

Variant: that of the authors' MATLAB code: pyramid by the five-tap binomial filter, scaled by the root of 2, its borders
mirrored about the edge pixel; windows inside the band only; the parent brought to its child's size by ``imresize``
(bilinear); eigenvalues that are not positive dropped.

Range: [0, 1]; 1 for identical images. Higher is better. **Not symmetric**: the mixture is fitted to the reference, so
reference first. Colour: BT.601 luma, not rounded. A negative weighted mean counts as 0: its fractional power is not
real. Where the authors' code divides by zero, at a reference without structure, only the distorted image's information
weighs; where that is zero too, all positions weigh the same. Defined from 161 x 161 pixels on (the authors' code
from 176): below, the fifth scale is smaller than the window.
"""

from __future__ import annotations

import functools

import numpy as np

from causaliqa.baselines.arrays import Region, luma, prepare
from causaliqa.baselines.neighbours import OFFSETS, neighbour_products
from causaliqa.baselines.ssim import smooth

_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_SMALLEST = 161
_C1 = (0.01 * 255) ** 2
_C2 = (0.03 * 255) ** 2
_NOISE = 0.4
_TINY = 1e-15  # variance that counts as none
_SCALE = np.sqrt(2) / 16  # of the binomial filter 1, 4, 6, 4, 1
# Windows of 11 x 11 lie five pixels inside a band, blocks of 3 x 3 one.
_INSIDE = 5
# Rows worked on at a time, so that intermediate results stay in the cache.
_STRIP = 8


def _mirror(image: np.ndarray) -> np.ndarray:
    """Return (H, W) with two rows more on either side, mirrored about the edge row."""
    return np.concatenate([image[2:3], image[1:2], image, image[-2:-1], image[-3:-2]])


def _halve(image: np.ndarray) -> np.ndarray:
    """Filter the columns of (H, W) and keep every second row: (ceil(H / 2), W)."""
    padded = _mirror(image)
    count = -(-len(image) // 2)
    low: np.ndarray = padded[1::2][:count] + padded[3::2][:count]
    low *= 4
    low += padded[0::2][:count]
    low += padded[4::2][:count]
    low += 6 * padded[2::2][:count]
    low *= _SCALE
    return low


def _double(image: np.ndarray, size: int) -> np.ndarray:
    """Put zeros between the rows of (H, W) and filter the columns: (size, W), size 2 H or 2 H - 1."""
    count = len(image)
    # Mirrored about the last of the rows with zeros between: about the zero after the last row, or about that row.
    after = image[-1:] if size == 2 * count else image[-2:-1]
    padded = np.concatenate([image[1:2], image, after])
    sums = padded[:-1] + padded[1:]
    out = np.empty((size, image.shape[1]))
    even, odd = out[0::2], out[1::2]
    np.multiply(image, 4, out=even)
    even += sums[:-1]
    even += sums[1:]
    even *= _SCALE
    np.multiply(sums[1 : 1 + len(odd)], 4 * _SCALE, out=odd)
    return out


def _pyramid(image: np.ndarray) -> list[np.ndarray]:
    """Return the Laplacian pyramid of (H, W): four bands and the residual."""
    bands = []
    for _ in _WEIGHTS[1:]:
        height, width = image.shape
        low = np.ascontiguousarray(_halve(np.ascontiguousarray(_halve(image).T)).T)
        across = np.ascontiguousarray(_double(np.ascontiguousarray(low.T), width).T)
        bands.append(image - _double(across, height))
        image = low
    return [*bands, image]


@functools.lru_cache(maxsize=64)
def _samples(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return where 2 `size` samples lie among `size`: index of the lower neighbour, and weight of the upper one.

    The authors enlarge to 4 n - 3 samples, add one on either side and keep every second. The samples added lie where
    the interpolation is constant, beyond the outermost pixel, so that all follow one rule.
    """
    place = np.clip((2 * np.arange(2 * size) - 0.5) * size / (4 * size - 3) - 0.5, 0, size - 1)
    lower = np.minimum(place.astype(np.int64), size - 2)
    return lower, place - lower


def _enlarge(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Double a band and cut it to the size of its child."""
    lower, weight = _samples(image.shape[1])
    lower, weight = lower[:width], weight[:width]
    steps = np.diff(image, axis=1)
    wide = image[:, lower] + steps[:, lower] * weight
    lower, weight = _samples(image.shape[0])
    lower, weight = lower[:height], weight[:height, None]
    return np.asarray(wide[lower] + np.diff(wide, axis=0)[lower] * weight)


def _second_moments(band: np.ndarray, parent: np.ndarray | None, region: Region) -> np.ndarray:
    """Return the mean products (N, N) of the 3 x 3 neighbours, row by row, and the parent, over all blocks inside.

    Of a region, blocks count whose middle does.
    """
    if region.cover is not None:
        rows, columns = band.shape[0] - 2, band.shape[1] - 2
        blocks = [region.pick(band[down : down + rows, across : across + columns]) for down, across in OFFSETS]
        if parent is not None:
            blocks.append(region.pick(parent[1:-1, 1:-1]))
        return np.array([[np.einsum("i,i->", one, other) / one.size for other in blocks] for one in blocks])
    neighbours = neighbour_products(band)
    if parent is None:
        return neighbours
    rows, columns = band.shape[0] - 2, band.shape[1] - 2
    moments = np.empty((10, 10))
    moments[:9, :9] = neighbours
    centre = parent[1:-1, 1:-1]
    for index, (down, across) in enumerate(OFFSETS):
        block = band[down : down + rows, across : across + columns]
        moments[index, 9] = moments[9, index] = np.einsum("ij,ij->", block, centre) / (rows * columns)
    moments[9, 9] = np.einsum("ij,ij->", centre, centre) / (rows * columns)
    return moments


def _box(image: np.ndarray) -> np.ndarray:
    """Return the 3 x 3 means inside (H, W): shape (H - 2, W - 2)."""
    rows = image[:-2] + image[1:-1]
    rows += image[2:]
    means: np.ndarray = rows[:, :-2] + rows[:, 1:-1]
    means += rows[:, 2:]
    means *= 1 / 9
    return means


def _channel(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return gain and noise variance that turn `first` into `second`, from 3 x 3 windows: shapes (H - 2, W - 2)."""
    mean_1, mean_2 = _box(first), _box(second)
    covariance = _box(first * second) - mean_1 * mean_2
    variance_1 = np.maximum(_box(first * first) - mean_1 * mean_1, 0)
    variance_2 = np.maximum(_box(second * second) - mean_2 * mean_2, 0)
    gain = covariance / (variance_1 + _TINY)
    noise = variance_2 - gain * covariance
    flat = variance_1 < _TINY
    gain[flat] = 0
    noise[flat] = variance_2[flat]
    flat = variance_2 < _TINY
    gain[flat] = 0
    noise[flat] = 0
    return gain, noise


def _information(first: np.ndarray, second: np.ndarray, parent: np.ndarray | None, region: Region) -> np.ndarray:
    """Return the information weights of a band where the windows of SSIM lie: shape (H - 10, W - 10)."""
    height, width = first.shape
    if parent is not None:
        parent = _enlarge(parent, height, width)
    values, vectors = np.linalg.eigh(_second_moments(first, parent, region))
    kept = values > max(float(values[-1]) * 1e-14, 0.0)
    values = np.where(kept, values, 0.0) * (values.sum() / values[kept].sum()) if kept.any() else np.zeros_like(values)

    # Rows (eigenvectors) that make the neighbours uncorrelated and of variance 1.
    whiten = vectors[:, kept].T / np.sqrt(values[kept])[:, None]
    rows = height - 2 * _INSIDE
    weights = np.empty((rows, width - 2 * _INSIDE))
    for top in range(0, rows, _STRIP):
        # The strip with the one row and column around it that the blocks need.
        around = slice(top + _INSIDE - 1, min(top + _STRIP, rows) + _INSIDE + 1), slice(_INSIDE - 1, 1 - _INSIDE)
        above = None if parent is None else parent[around][1:-1, 1:-1]
        weights[top : top + _STRIP] = _strip(first[around], second[around], above, whiten, values)
    return weights


def _strip(
    first: np.ndarray, second: np.ndarray, parent: np.ndarray | None, whiten: np.ndarray, values: np.ndarray
) -> np.ndarray:
    """Return the information weights of (H, W) at its inside, (H - 2, W - 2); `parent` has the inside's shape."""
    rows, columns = first.shape[0] - 2, first.shape[1] - 2
    blocks = [first[y : y + rows, x : x + columns] for y, x in OFFSETS]
    if parent is not None:
        blocks.append(parent)
    white = np.einsum("ij,rjk->irk", whiten, np.stack(blocks, axis=1))
    gain, noise = _channel(first, second)
    # The scene's local variance times what the channel lets through.
    signal = np.einsum("irk,irk->rk", white, white)
    signal *= 1 / (len(blocks) * _NOISE**2)
    gain *= gain
    gain += 1
    gain *= _NOISE
    gain += noise
    signal *= gain
    noise *= 1 / _NOISE
    noise += 1
    # The sum of logarithms as logarithms of products, in two halves that cannot overflow.
    total = np.zeros((rows, columns))
    for half in (values[:5], values[5:]):
        product = np.ones((rows, columns))
        for value in half:
            term = signal * value
            term += noise
            product *= term
        total += np.log2(product, out=product)
    total[total < _TINY] = 0
    return total


def iw_ssim(
    reference: np.ndarray, distorted: np.ndarray, *, data_range: float = 255.0, mask: np.ndarray | None = None
) -> float:
    """Return the information content weighted structural similarity in [0, 1]; higher is better.

    Parameters
    ----------
    reference, distorted : arrays (H, W) or (H, W, 3) of equal shape, integer or float, in [0, `data_range`].
    data_range : largest value a pixel can have.
    mask : bool array (H, W); at every scale only windows count, and only 3 x 3 blocks make the mixture, whose middle
        is at least half True; default: all.

    Raises
    ------
    DataError
        If the shapes differ, a pixel is NaN, infinite or out of range, an image is smaller than 161 x 161, or the mask
        does not fit or leaves no window at a scale (at the fifth none has its middle within 80 pixels of the border).
    """
    pair = prepare(reference, distorted, data_range, smallest=_SMALLEST, metric="IW-SSIM")
    bands_1, bands_2 = _pyramid(luma(pair[0])), _pyramid(luma(pair[1]))
    region = Region.of(mask, pair[0].shape[-2:], "IW-SSIM")
    last = len(_WEIGHTS) - 1
    score = 1.0
    for scale, (first, second) in enumerate(zip(bands_1, bands_2, strict=True)):
        mean_1, mean_2 = smooth(first), smooth(second)
        product = mean_1 * mean_2
        squares = mean_1 * mean_1 + mean_2 * mean_2
        quality = 2 * (smooth(first * second) - product) + _C2
        quality /= smooth(first * first + second * second) - squares + _C2
        if scale == last:
            mean = float(region.pick(quality * (2 * product + _C1) / (squares + _C1)).mean())
        else:
            weight = _information(first, second, bands_1[scale + 1] if scale < last - 1 else None, region)
            weight, quality = region.pick(weight), region.pick(quality)
            total = float(weight.sum())
            mean = float((quality * weight).sum()) / total if total > 0 else float(quality.mean())
        score *= max(0.0, mean) ** (_WEIGHTS[scale] / sum(_WEIGHTS))
        region = region.shrunk(2)
    return score
