"""Noise, and what removing it leaves.

The random fields do not depend on the strength: a stronger level is the same pattern, larger or denser.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

#: RGB to Y'CbCr (ITU-R BT.601, full range), chroma centred on 0.
_YCBCR = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]], dtype=np.float32)
_RGB = np.linalg.inv(_YCBCR.astype(np.float64)).astype(np.float32)


def white_noise(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Add independent Gaussian noise to every channel.

    `strength` is the standard deviation as a fraction of full range. Source: KADID-10k type 11 (Lin, Hosu, Saupe,
    QoMEX 2019).
    """
    return _clip(image + np.float32(strength) * _normal(image.shape, rng))


def white_noise_ycbcr(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Add independent Gaussian noise to Y', Cb and Cr ("white noise in colour component"); needs colour.

    `strength` is the standard deviation in each component as a fraction of full range. Source: KADID-10k type 12.
    """
    # The transform is linear: noise added in Y'CbCr is that noise transformed, added in RGB.
    return _clip(image + np.float32(strength) * (_normal(image.shape, rng) @ _RGB.T))


def impulse_noise(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Set random samples to black or white ("salt and pepper"), each channel for itself.

    `strength` is the expected share of samples that are hit. Source: KADID-10k type 13.
    """
    order = rng.random(image.shape, dtype=np.float32)
    salt = rng.random(image.shape, dtype=np.float32) < 0.5
    return np.where(order < strength, salt.astype(np.float32), image)


def multiplicative_noise(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Multiply by 1 plus Gaussian noise (speckle).

    `strength` is the standard deviation of the noise, relative to the signal. Source: KADID-10k type 14.
    """
    return _clip(image * (1 + np.float32(strength) * _normal(image.shape, rng)))


def denoise(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Add Gaussian noise, then remove it with an edge-preserving filter: smeared texture, mottled flat parts.

    `strength` is the standard deviation of the noise as a fraction of full range; the filter is told it. Source:
    KADID-10k type 15, with a self-guided filter (He, Sun, Tang, TPAMI 2013) of radius 3 pixels in place of the
    neural denoiser used there.
    """
    noisy = white_noise(image, strength, rng)
    once = _guided(noisy, 3, (2.0 * strength) ** 2)
    return _clip(_guided(once, 3, strength**2))


def _guided(image: np.ndarray, radius: int, epsilon: float) -> np.ndarray:
    """Self-guided filter, each channel for itself; structure of variance well below `epsilon` is smoothed away."""
    size = (2 * radius + 1, 2 * radius + 1) + (1,) * (image.ndim - 2)
    # In double precision: the variance is a difference of nearly equal numbers.
    values = image.astype(np.float64)
    mean = ndimage.uniform_filter(values, size, mode="reflect")
    variance = np.maximum(ndimage.uniform_filter(values * values, size, mode="reflect") - mean * mean, 0.0)
    gain = variance / (variance + max(epsilon, 1e-12))
    offset = mean * (1.0 - gain)
    smooth = ndimage.uniform_filter(gain, size, mode="reflect") * values + ndimage.uniform_filter(
        offset, size, mode="reflect"
    )
    return np.asarray(smooth, dtype=np.float32)


def _normal(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    return rng.standard_normal(shape, dtype=np.float32)


def _clip(image: np.ndarray) -> np.ndarray:
    return np.asarray(np.clip(image, 0.0, 1.0), dtype=np.float32)
