"""Perceptual distance by a normalised Laplacian pyramid, on opponent colours.

After Laparra, Balle, Berardino, Simoncelli, "Perceptual image quality assessment using a normalized Laplacian
pyramid" (Human Vision and Electronic Imaging 2016): band-pass coefficients are divided by a local average of their
own amplitude, as in the early visual system, and compared by root mean square. Ours differs in that it adds two
chroma channels, and in its constants (one pooling filter, one constant a kind of band). It is used to place and to
verify ladders, not as a reported metric.
"""

from __future__ import annotations

import numpy as np

from causaliqa.errors import DataError

#: Additive constants of the normalisation: about the contrast threshold of a band, and half of mid grey's amplitude.
_BAND_CONSTANT = np.float32(0.02)
_RESIDUAL_CONSTANT = np.float32(0.3)
_LEVELS = 5
#: Weight of each chroma channel and of the low-pass residual relative to a luminance band.
_CHROMA_WEIGHT = 0.4
_RESIDUAL_WEIGHT = 0.5
#: RGB to Y'CbCr (ITU-R BT.601, full range), chroma centred on 0.
_OPPONENT = np.array(
    [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]], dtype=np.float32
)

Pyramid = list[np.ndarray]


def pyramid(stimulus: np.ndarray) -> Pyramid:
    """Return the normalised pyramid of a uint8 image: arrays (C, h, w), finest first, residual last.

    C is 1 for gray (H, W) and 3 for RGB (H, W, 3). Images with a side below 32 pixels have fewer levels.
    """
    if stimulus.dtype != np.uint8 or stimulus.ndim not in (2, 3):
        raise DataError(f"expected a uint8 image (H, W) or (H, W, 3), got {stimulus.dtype} {stimulus.shape}")
    values = stimulus.astype(np.float32) / np.float32(255)
    current = values[None] if values.ndim == 2 else np.ascontiguousarray(np.moveaxis(values @ _OPPONENT.T, 2, 0))
    bands: Pyramid = []
    for _ in range(_LEVELS):
        if min(current.shape[1:]) < 4:
            break
        low = _halve(_halve(current, 1), 2)
        band = current - _double(_double(low, 1, current.shape[1]), 2, current.shape[2])
        bands.append(band / (_BAND_CONSTANT + _pool(np.abs(band))))
        current = low
    bands.append(current / (_RESIDUAL_CONSTANT + _pool(np.abs(current))))
    return bands


def distance(reference: np.ndarray, distorted: np.ndarray) -> float:
    """Return the distance of two uint8 images of one shape: 0 for equal ones, about 1 for severe degradation.

    Raises
    ------
    DataError
        If the shapes differ.
    """
    if reference.shape != distorted.shape:
        raise DataError(f"the images have the shapes {reference.shape} and {distorted.shape}")
    return pyramid_distance(pyramid(reference), pyramid(distorted))


def pyramid_distance(reference: Pyramid, distorted: Pyramid) -> float:
    """Return the distance of two images given by their pyramids: weighted mean over scales of the RMS difference."""
    total = weight = 0.0
    for i, (a, b) in enumerate(zip(reference, distorted, strict=True)):
        energy = np.square(a - b, dtype=np.float32).mean(axis=(1, 2), dtype=np.float64)
        root = float(np.sqrt(energy[0] + _CHROMA_WEIGHT * energy[1:].sum()))
        share = _RESIDUAL_WEIGHT if i == len(reference) - 1 else 1.0
        total, weight = total + share * root, weight + share
    return total / weight


def _take(array: np.ndarray, axis: int, start: int, stop: int, step: int = 1) -> np.ndarray:
    index = [slice(None)] * array.ndim
    index[axis] = slice(start, stop, step)
    return array[tuple(index)]


def _pad(array: np.ndarray, axis: int, width: int) -> np.ndarray:
    return np.pad(array, [(width, width) if i == axis else (0, 0) for i in range(array.ndim)], mode="reflect")


def _halve(array: np.ndarray, axis: int) -> np.ndarray:
    """Filter with (1, 4, 6, 4, 1)/16 and keep every second sample."""
    padded = _pad(array, axis, 2)
    size = array.shape[axis]
    tap = [_take(padded, axis, i, i + size, 2) for i in range(5)]
    result: np.ndarray = (tap[0] + tap[4] + 4 * (tap[1] + tap[3]) + 6 * tap[2]) / np.float32(16)
    return result


def _double(array: np.ndarray, axis: int, size: int) -> np.ndarray:
    """Interpolate to `size` samples with the filter of :func:`_halve`."""
    padded = np.pad(array, [(1, 1) if i == axis else (0, 0) for i in range(array.ndim)], mode="edge")
    count = array.shape[axis]
    before, here, after = (_take(padded, axis, i, i + count) for i in range(3))
    shape = list(array.shape)
    shape[axis] = 2 * count
    result = np.empty(shape, dtype=np.float32)
    even, odd = [slice(None)] * array.ndim, [slice(None)] * array.ndim
    even[axis], odd[axis] = slice(0, None, 2), slice(1, None, 2)
    result[tuple(even)] = (before + 6 * here + after) / np.float32(8)
    result[tuple(odd)] = (here + after) / np.float32(2)
    return _take(result, axis, 0, size)


def _pool(amplitude: np.ndarray) -> np.ndarray:
    """Average over 5 x 5 neighbours with (1, 4, 6, 4, 1)/16 along each axis."""
    for axis in (1, 2):
        size = amplitude.shape[axis]
        padded = np.pad(amplitude, [(2, 2) if i == axis else (0, 0) for i in range(3)], mode="edge")
        tap = [_take(padded, axis, i, i + size) for i in range(5)]
        amplitude = (tap[0] + tap[4] + 4 * (tap[1] + tap[3]) + 6 * tap[2]) / np.float32(16)
    return amplitude
