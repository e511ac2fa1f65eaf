"""Feature similarity index, for luminance (FSIM) and for colour (FSIMc).

L. Zhang, L. Zhang, X. Mou and D. Zhang, "FSIM: a feature similarity index for image quality assessment", IEEE
Transactions on Image Processing 20(8), 2011, 2378-2386; phase congruency by P. Kovesi, "Image features from phase
congruency", Videre 1(3), 1999.

* Phase congruency of each image: log-Gabor filters at 4 scales and 4 orientations; energy above a noise threshold,
  summed over orientations, over the summed amplitude, Eq. (1)-(3).
* Similarities of phase congruency and of Scharr gradients of Y, Eq. (4)-(5), multiplied and averaged with the larger
  phase congruency as weight, Eq. (6)-(8).
* FSIMc multiplies the similarities of I and of Q, to the power of 0.03, Eq. (9)-(13).

Variant: that of the authors' MATLAB code: T1 = 0.85, T2 = 160, T3 = T4 = 200; wavelengths 6, 12, 24 and 48 pixels,
bandwidth ratio 0.55, angular ratio 1.2, noise threshold two deviations over the mean, divided by 1.7; frequencies of
odd sizes divided by size - 1; block means by ``max(1, round(min(H, W) / 256))`` and zeros outside the image.

Range: [0, 1]; 1 for identical images. Higher is better. Symmetric. Colour: YIQ; FSIM uses Y alone. A gray image has no
chrominance, so that FSIMc is FSIM; its RGB copy has the same score. Where no pixel has a weight (both images of one
colour) all pixels weigh the same. Defined from 8 x 8 pixels on, where the finest filter fits.
"""

from __future__ import annotations

import functools
import math

import numpy as np
from scipy import fft

from causaliqa.baselines.arrays import (
    SCHARR,
    block_mean,
    gradients,
    luma,
    matlab_factor,
    mix,
    prepare,
    similarity,
)

_I = (0.596, -0.274, -0.322)
_Q = (0.211, -0.523, 0.312)
_C_PHASE, _C_GRADIENT, _C_CHROMA = 0.85, 160.0, 200.0
_LAMBDA = 0.03
_SMALLEST = 8

_SCALES, _ORIENTATIONS = 4, 4
_WAVELENGTH = 6.0
_BANDWIDTH = 0.55
_ANGULAR = math.pi / _ORIENTATIONS / 1.2
_CUTOFF, _SHARPNESS = 0.45, 15
_NOISE_DEVIATIONS, _NOISE_SCALE = 2.0, 1.7
_EPSILON = 1e-4
# Summed amplitude, for pixels up to 255, that is nothing but rounding error of the transform.
_FLAT = 1e-10
# Filters of larger images are made anew each time: they take 128 bytes a pixel. After the block means only images more
# than 1.8 times as long as wide can be larger.
_CACHED = 2**18


def _frequencies(size: int) -> np.ndarray:
    """Return the frequencies of one axis in the order of the transform, as Kovesi's code has them."""
    return np.fft.ifftshift(np.arange(size) - size // 2) / (size - size % 2)


def _filters(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the log-Gabor filters of an image size and the noise threshold of each orientation.

    Returns
    -------
    filters : array (4 orientations, even and odd, 4 scales, H, W // 2 + 1). The response to a filter is complex: the
        symmetric half of the filter gives its real part, the antisymmetric half times -i its imaginary part. Both are
        real images, so that half of the frequency plane is enough.
    thresholds : array (4,); times the square root of the median energy at the finest scale they are the threshold.
    """
    down, across = _frequencies(height)[:, None], _frequencies(width)[None, :]
    radius = np.sqrt(down**2 + across**2)
    low_pass = 1 / (1 + (radius / _CUTOFF) ** (2 * _SHARPNESS))
    radius[0, 0] = 1
    bands = np.stack(
        [
            np.exp(-(np.log(radius * (_WAVELENGTH * 2.0**scale)) ** 2) / (2 * math.log(_BANDWIDTH) ** 2)) * low_pass
            for scale in range(_SCALES)
        ]
    )
    bands[:, 0, 0] = 0
    angle = np.arctan2(-down, across)
    half = width // 2 + 1
    filters = np.empty((_ORIENTATIONS, 2, _SCALES, height, half))
    thresholds = np.empty(_ORIENTATIONS)
    for orientation in range(_ORIENTATIONS):
        distance = np.abs(angle - orientation * math.pi / _ORIENTATIONS)
        distance = np.minimum(distance, 2 * math.pi - distance)
        full = bands * np.exp(-(distance**2) / (2 * _ANGULAR**2))
        # The filter at the opposite frequency: index -k modulo the size.
        opposite = np.roll(full[:, ::-1, ::-1], 1, axis=(1, 2))
        even = 0.5 * (full + opposite)
        filters[orientation, 0] = even[..., :half]
        filters[orientation, 1] = (0.5 * (full - opposite))[..., :half]
        # The energy of white noise after all scales: by Parseval the sum over all pairs of scales of the products of
        # the filters' real parts. Mean and deviation are those of a Rayleigh distribution; its median gives its scale.
        noise = float((even.sum(axis=0) ** 2).sum()) / float((full[0] ** 2).sum()) / math.log(2)
        spread = math.sqrt(math.pi / 2) + _NOISE_DEVIATIONS * math.sqrt(2 - math.pi / 2)
        thresholds[orientation] = math.sqrt(noise) * spread / _NOISE_SCALE
    return filters, thresholds


@functools.lru_cache(maxsize=2)
def _cached_filters(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    return _filters(height, width)


def _inverse(spectra: np.ndarray, width: int) -> np.ndarray:
    """Return the real images (N, H, W) of half planes (N, H, W // 2 + 1), which are overwritten."""
    # The two steps of irfft2; it would copy in between.
    columns = fft.ifft(spectra, axis=1, overwrite_x=True)
    return np.asarray(fft.irfft(columns, n=width, axis=2))


def _median(values: np.ndarray) -> float:
    # One partition and a maximum: six times as fast as numpy.median, which partitions at both middles.
    middle = values.size // 2
    parted = np.partition(values, middle, axis=None)
    upper = float(parted[middle])
    return upper if values.size % 2 else 0.5 * (upper + float(parted[:middle].max()))


def phase_congruency(image: np.ndarray) -> np.ndarray:
    """Return the phase congruency of a gray image.

    Parameters
    ----------
    image : array (H, W) in [0, 255], at least 2 x 2.

    Returns
    -------
    Array (H, W) in [0, 1]; 0 where the image is flat.
    """
    filters, thresholds = (_cached_filters if image.size <= _CACHED else _filters)(*image.shape)
    spectrum = fft.rfft2(image)
    turned = spectrum * -1j
    energies, amplitudes = np.zeros(image.shape), np.zeros(image.shape)
    square, other = np.empty(image.shape), np.empty(image.shape)
    product = np.empty(filters.shape[2:], dtype=np.complex128)
    for (even_filters, odd_filters), threshold in zip(filters, thresholds, strict=True):
        evens = _inverse(np.multiply(spectrum, even_filters, out=product), image.shape[1])
        odds = _inverse(np.multiply(turned, odd_filters, out=product), image.shape[1])
        # With (e, o) the sum over scales and r its length, the energy is sum(E e + O o - |E o - O e|) / r, and the
        # first two terms sum to r squared.
        sum_even, sum_odd = evens.sum(axis=0), odds.sum(axis=0)
        energy = sum_even * sum_even
        energy += np.multiply(sum_odd, sum_odd, out=square)
        length = np.sqrt(energy)
        length += _EPSILON
        # Scale by scale and in place: the arrays of one scale stay in the cache of the processor.
        for scale, (even, odd) in enumerate(zip(evens, odds, strict=True)):
            np.multiply(even, even, out=square)
            square += np.multiply(odd, odd, out=other)
            if scale == 0:
                noise = threshold * math.sqrt(_median(square))
            amplitudes += np.sqrt(square, out=square)
            even *= sum_odd
            odd *= sum_even
            even -= odd
            energy -= np.abs(even, out=even)
        energy /= length
        energy -= noise
        energies += np.maximum(energy, 0, out=energy)
    energies[amplitudes <= _FLAT] = 0
    energies /= np.maximum(amplitudes, _FLAT)
    return energies


def _maps(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return local similarity and weight of two luminances (H, W)."""
    phase_r, phase_d = phase_congruency(first), phase_congruency(second)
    across, down = gradients(first, SCHARR)
    edge_r = np.sqrt(across * across + down * down)
    across, down = gradients(second, SCHARR)
    edge_d = np.sqrt(across * across + down * down)
    local = similarity(edge_r, edge_d, _C_GRADIENT)
    local *= similarity(phase_r, phase_d, _C_PHASE)
    return local, np.maximum(phase_r, phase_d)


def _pool(local: np.ndarray, weight: np.ndarray) -> float:
    total = float(weight.sum())
    return float((local * weight).sum()) / total if total > 0 else float(local.mean())


def fsim(reference: np.ndarray, distorted: np.ndarray, *, data_range: float = 255.0) -> float:
    """Return the feature similarity index of the luminance in [0, 1]; higher is better.

    Parameters
    ----------
    reference, distorted : arrays (H, W) or (H, W, 3) of equal shape, integer or float, in [0, `data_range`].
    data_range : largest value a pixel can have.

    Raises
    ------
    DataError
        If the shapes differ, a pixel is NaN, infinite or out of range, or an image is smaller than 8 x 8.
    """
    pair = prepare(reference, distorted, data_range, smallest=_SMALLEST, metric="FSIM")
    factor = matlab_factor(*pair[0].shape[-2:])
    return _pool(*_maps(*(block_mean(luma(image), factor) for image in pair)))


def fsimc(reference: np.ndarray, distorted: np.ndarray, *, data_range: float = 255.0) -> float:
    """Return the feature similarity index of luminance and chrominance in [0, 1]; higher is better.

    Parameters and errors are those of :func:`fsim`.
    """
    pair = prepare(reference, distorted, data_range, smallest=_SMALLEST, metric="FSIMc")
    factor = matlab_factor(*pair[0].shape[-2:])
    first, second = block_mean(pair[0], factor), block_mean(pair[1], factor)
    local, weight = _maps(luma(first), luma(second))
    if first.ndim == 3:
        chroma = similarity(mix(first, _I), mix(second, _I), _C_CHROMA)
        chroma *= similarity(mix(first, _Q), mix(second, _Q), _C_CHROMA)
        # Opposed chrominances make the product negative; the authors take the real part of its complex power.
        powered = np.abs(chroma) ** _LAMBDA
        powered[chroma < 0] *= math.cos(math.pi * _LAMBDA)
        local *= powered
    return _pool(local, weight)
