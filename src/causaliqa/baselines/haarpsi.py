"""Haar wavelet-based perceptual similarity index.

R. Reisenhofer, S. Bosse, G. Kutyniok and T. Wiegand, "A Haar wavelet-based perceptual similarity index for image
quality assessment", Signal Processing: Image Communication 61, 2018, 33-43. arXiv:1607.06140.

* Local similarity of the magnitudes of horizontal and vertical Haar coefficients at the two finest of three scales,
  Eq. (5)-(7); weight: the larger magnitude at the third scale, Eq. (8).
* Colour: in YIQ, a third map holds the mean similarity of I and Q, weighted by the mean of the two others, Section 2.3.
* Score: weighted mean of the logistic function of the similarities, mapped back and squared, Eq. (9)-(10).

Variants, both with one 2 x 2 block mean before and zeros outside the image, as in the authors' code:

* :func:`haarpsi`: C = 30 and alpha = 4.2, fitted to natural images by the authors;
* :func:`haarpsi_med`: C = 5 and alpha = 4.9, fitted to chest X-ray and photoacoustic images by C. Karner et al.,
  "Parameter choices in HaarPSI for IQA with medical images", ISBI 2025, arXiv:2410.24098. All else is equal. The
  smaller C makes it more sensitive to weak structure.

Range: [0, 1]; 1 for identical images. Higher is better. Symmetric. A pair whose channels are all equal is scored as
gray, by two maps, so that a gray image and its RGB copy have one score; the authors' code would add a third map of ones
to the RGB copy. Where no pixel has a weight (both images black) the mean is unweighted: HaarPSI(black, black) = 1.
"""

from __future__ import annotations

import math

import numpy as np

from causaliqa.baselines.arrays import block_mean, mix, prepare, similarity

_C, _ALPHA = 30.0, 4.2
_C_MED, _ALPHA_MED = 5.0, 4.9
_Y = (0.299, 0.587, 0.114)
_I = (0.596, -0.274, -0.322)
_Q = (0.211, -0.523, 0.312)


def _haar(image: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return the magnitudes of three scales of Haar coefficients, vertical and horizontal differences, each (H, W)."""
    height, width = image.shape
    # Scale s at pixel i covers i - 2^(s-1) + 1 ... i + 2^(s-1): three zeros before and four after serve all scales.
    padded = np.zeros((height + 7, width + 7))
    padded[3:-4, 3:-4] = image
    vertical, horizontal = [], []
    box = padded  # sums over half x half pixels, indexed by their upper left corner
    for scale in (1, 2, 3):
        half = 2 ** (scale - 1)
        start = 4 - half
        rows, columns = slice(start, start + height), slice(start, start + width)
        below, right = slice(rows.start + half, rows.stop + half), slice(columns.start + half, columns.stop + half)
        wide = box[:, :-half] + box[:, half:]
        tall = box[:-half] + box[half:]
        difference = wide[below, columns] - wide[rows, columns]
        vertical.append(np.abs(difference, out=difference) * 2.0**-scale)
        difference = tall[rows, right] - tall[rows, columns]
        horizontal.append(np.abs(difference, out=difference) * 2.0**-scale)
        box = wide[:-half] + wide[half:]
    return vertical, horizontal


def _chroma(image: np.ndarray) -> np.ndarray:
    """Return the magnitude of the 2 x 2 means at every pixel, zeros outside the image."""
    height, width = image.shape
    padded = np.zeros((height + 1, width + 1))
    padded[:-1, :-1] = image
    rows = padded[:-1] + padded[1:]
    means: np.ndarray = rows[:, :-1] + rows[:, 1:]
    means *= 0.25
    np.abs(means, out=means)
    return means


def _logistic(values: np.ndarray, alpha: float) -> np.ndarray:
    out = np.exp(values * -alpha)
    out += 1
    return np.divide(1.0, out, out=out)


def _score(
    reference: np.ndarray, distorted: np.ndarray, data_range: float, c: float, alpha: float, metric: str
) -> float:
    first, second = prepare(reference, distorted, data_range, metric=metric)
    if first.ndim == 3 and all(np.array_equal(image[0], image[plane]) for image in (first, second) for plane in (1, 2)):
        first, second = first[0], second[0]
    colour = first.ndim == 3
    first, second = block_mean(first, 2), block_mean(second, 2)

    maps, weights = [], []
    y_r, y_d = (first, second) if not colour else (mix(first, _Y), mix(second, _Y))
    for levels_r, levels_d in zip(_haar(y_r), _haar(y_d), strict=True):
        weights.append(np.maximum(levels_r[2], levels_d[2]))
        maps.append(0.5 * (similarity(levels_r[0], levels_d[0], c) + similarity(levels_r[1], levels_d[1], c)))
    if colour:
        i_map = similarity(_chroma(mix(first, _I)), _chroma(mix(second, _I)), c)
        q_map = similarity(_chroma(mix(first, _Q)), _chroma(mix(second, _Q)), c)
        maps.append(0.5 * (i_map + q_map))
        weights.append(0.5 * (weights[0] + weights[1]))

    total = sum(float(weight.sum()) for weight in weights)
    if total > 0:
        mean = (
            sum(float((_logistic(one, alpha) * weight).sum()) for one, weight in zip(maps, weights, strict=True))
            / total
        )
    else:
        mean = sum(float(_logistic(one, alpha).mean()) for one in maps) / len(maps)
    # Rounding may leave the mean a last digit above the logistic function of 1.
    return min(1.0, (math.log(mean / (1 - mean)) / alpha) ** 2)


def haarpsi(reference: np.ndarray, distorted: np.ndarray, *, data_range: float = 255.0) -> float:
    """Return the Haar wavelet-based perceptual similarity index in [0, 1]; higher is better.

    Parameters
    ----------
    reference, distorted : arrays (H, W) or (H, W, 3) of equal shape, integer or float, in [0, `data_range`].
    data_range : largest value a pixel can have.

    Raises
    ------
    DataError
        If the shapes differ or a pixel is NaN, infinite or out of range.
    """
    return _score(reference, distorted, data_range, _C, _ALPHA, "HaarPSI")


def haarpsi_med(reference: np.ndarray, distorted: np.ndarray, *, data_range: float = 255.0) -> float:
    """Return the Haar wavelet-based perceptual similarity index with the constants for medical images, in [0, 1].

    Higher is better. Parameters and errors are those of :func:`haarpsi`.
    """
    return _score(reference, distorted, data_range, _C_MED, _ALPHA_MED, "HaarPSI-MED")
