"""Blur: optics out of focus, motion, smoothing.

Every function takes a float32 image in [0, 1], (H, W) or (H, W, 3), and returns the same shape and range. Borders
are mirrored.
"""

from __future__ import annotations

import numpy as np
from scipy import fft, ndimage


def gaussian_blur(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Convolve with a Gaussian.

    `strength` is the standard deviation in pixels. Source: KADID-10k type 1 (Lin, Hosu, Saupe, QoMEX 2019).
    """
    return blur_channels(image, strength)


def lens_blur(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Convolve with a uniform disk: the point spread of a defocused lens with a circular aperture (geometric optics).

    `strength` is the radius of the disk in pixels; its rim is area-sampled, so the radius is continuous. Source:
    KADID-10k type 2.
    """
    return _convolve(image, _disk(strength))


def motion_blur(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Average along a horizontal path: a camera panned at constant speed while the shutter is open.

    `strength` is the length of the path in pixels; the ends of the path weigh fractionally, so the length is
    continuous. Source: KADID-10k type 3, with the direction fixed.
    """
    half = max(strength - 1.0, 0.0) / 2.0
    whole = int(np.floor(half))
    end = half - whole
    kernel = np.concatenate([[end], np.ones(2 * whole + 1), [end]])
    blurred = ndimage.correlate1d(image, kernel / kernel.sum(), axis=1, mode="reflect")
    return np.asarray(blurred, dtype=np.float32)


def blur_channels(image: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian filter over the two spatial axes only; `sigma` in pixels."""
    return np.asarray(ndimage.gaussian_filter(image, sigma, mode="reflect", axes=(0, 1)), dtype=np.float32)


def _disk(radius: float, oversampling: int = 11) -> np.ndarray:
    """Kernel (2n+1, 2n+1) of a uniform disk, each weight the share of the pixel that the disk covers; sum 1."""
    reach = int(np.ceil(radius - 0.5)) if radius > 0.5 else 0
    fine = (np.arange((2 * reach + 1) * oversampling) + 0.5) / oversampling - reach - 0.5
    inside = (fine[:, None] ** 2 + fine[None, :] ** 2 <= radius**2).astype(np.float64)
    side = 2 * reach + 1
    kernel: np.ndarray = inside.reshape(side, oversampling, side, oversampling).mean(axis=(1, 3))
    return np.asarray(kernel / kernel.sum())


def _convolve(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Convolve with a symmetric kernel of odd side through the Fourier transform, mirrored borders."""
    reach = kernel.shape[0] // 2
    if reach == 0:
        return image.copy()
    height, width = image.shape[:2]
    padded = np.pad(image, [(reach, reach), (reach, reach)] + [(0, 0)] * (image.ndim - 2), mode="symmetric")
    shape = [fft.next_fast_len(side, real=True) for side in padded.shape[:2]]
    spectrum = fft.rfft2(kernel, shape)
    if image.ndim == 3:
        spectrum = spectrum[..., None]
    full = fft.irfft2(fft.rfft2(padded.astype(np.float64), shape, axes=(0, 1)) * spectrum, shape, axes=(0, 1))
    # Linear convolution of the mirrored image: the valid part starts at twice the reach.
    valid = full[2 * reach : 2 * reach + height, 2 * reach : 2 * reach + width]
    return np.asarray(np.clip(valid, 0.0, 1.0), dtype=np.float32)
