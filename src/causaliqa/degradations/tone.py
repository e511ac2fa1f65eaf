"""Tone: brightness, mean, contrast, sharpness, number of grey levels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from causaliqa.degradations.blur import blur_channels
from causaliqa.degradations.colour import from_lab, to_lab
from causaliqa.images import to_uint8


def brighten(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Lift lightness by a power law that keeps black and white.

    `strength` is the exponent on L*/100 (grey images: on the code value), below 1. Source: KADID-10k type 16 (Lin,
    Hosu, Saupe, QoMEX 2019), whose curve is a spline with the same fixed ends.
    """
    return _power(image, strength)


def darken(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Lower lightness by a power law that keeps black and white.

    `strength` is the exponent on L*/100 (grey images: on the code value), above 1. Source: KADID-10k type 17.
    """
    return _power(image, strength)


def mean_shift(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Add a constant to every sample, clipped at white.

    `strength` is the constant as a fraction of full range. Source: KADID-10k type 18, which shifts both ways; here
    upwards only, :func:`darken` goes the other way.
    """
    return np.asarray(np.clip(image + np.float32(strength), 0.0, 1.0))


def quantisation(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Show samples with few grey levels, placed where they lose least variance: false contours.

    `strength` is the number of levels, an integer of 2 to 256, shared by the channels. Thresholds minimise the
    variance within classes, a class is shown by its mean. Source: KADID-10k type 22, whose multi-level Otsu
    thresholds are the same optimum.
    """
    samples = to_uint8(image)
    table = _least_squares_levels(np.bincount(samples.ravel(), minlength=256), int(strength))
    return np.asarray(table[samples])


def high_sharpen(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Sharpen by an unsharp mask (Gaussian of 1 pixel): overshoot at edges, amplified grain.

    `strength` is the gain on the difference from the blurred image. Source: KADID-10k type 24.
    """
    sharp = image + np.float32(strength) * (image - blur_channels(image, 1.0))
    return np.asarray(np.clip(sharp, 0.0, 1.0))


def contrast_change(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Compress the tonal range towards mid grey: loss of contrast.

    `strength` is the factor on the distance from 0.5, below 1. Source: the contrast decrements of CSIQ (Larson,
    Chandler, JEI 2010); KADID-10k type 25 changes contrast in both directions with a sigmoid.
    """
    return np.asarray(np.float32(0.5) + np.float32(strength) * (image - np.float32(0.5)))


def _power(image: np.ndarray, exponent: float) -> np.ndarray:
    if image.ndim == 2:
        return np.asarray(np.power(image, np.float32(exponent)))
    lab = to_lab(image)
    lab[..., 0] = 100 * np.power(np.clip(lab[..., 0] / 100, 0.0, 1.0), np.float32(exponent))
    return from_lab(lab)


def _least_squares_levels(histogram: npt.NDArray[np.int64], levels: int) -> np.ndarray:
    """Return a table (256,) of class means in [0, 1]: the best partition of the values into `levels` intervals.

    Exact, by dynamic programming over the upper ends of the intervals (Otsu, IEEE Trans. SMC 1979, for many classes).
    """
    value = np.arange(256) / 255.0
    count = np.concatenate([[0.0], np.cumsum(histogram, dtype=np.float64)])
    first = np.concatenate([[0.0], np.cumsum(histogram * value)])
    second = np.concatenate([[0.0], np.cumsum(histogram * value**2)])
    # cost[i, j]: squared error of showing the values i ... j-1 by their mean; infinite for empty intervals of values.
    number = count[None, :] - count[:, None]
    error = second[None, :] - second[:, None] - (first[None, :] - first[:, None]) ** 2 / np.maximum(number, 1.0)
    cost = np.where(np.arange(257)[:, None] < np.arange(257)[None, :], np.maximum(error, 0.0), np.inf)
    best, choices = cost[0], []
    for _ in range(levels - 1):
        total = best[:, None] + cost
        choices.append(total.argmin(axis=0))
        best = total.min(axis=0)
    table = np.zeros(256, dtype=np.float32)
    stop = 256
    for choice in [*reversed(choices), np.zeros(257, dtype=np.int64)]:
        start = int(choice[stop])
        if number[start, stop] > 0:
            table[start:stop] = (first[stop] - first[start]) / number[start, stop]
        stop = start
    return table
