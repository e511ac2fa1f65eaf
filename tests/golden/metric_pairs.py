"""Image pairs of the golden values: photographs bundled with scikit-image, distorted by NumPy alone."""

from __future__ import annotations

import hashlib

import numpy as np
from skimage import data


def _to_uint8(values: np.ndarray) -> np.ndarray:
    return np.floor(np.clip(values, 0, 255) + 0.5).astype(np.uint8)


def _noise(image: np.ndarray, sigma: float) -> np.ndarray:
    return _to_uint8(image + np.random.Generator(np.random.PCG64(7)).normal(0, sigma, image.shape))


def _blur(image: np.ndarray) -> np.ndarray:
    """5 x 5 box."""
    values = image.astype(np.float64)
    for axis in (0, 1):
        values = np.mean([np.roll(values, shift, axis) for shift in range(-2, 3)], axis=0)
    return _to_uint8(values)


def _quantise(image: np.ndarray) -> np.ndarray:
    return _to_uint8(np.floor(image / 40.0) * 40.0 + 10)


def _recolour(image: np.ndarray) -> np.ndarray:
    return _to_uint8((image.astype(np.float64) * (1.1, 0.95, 0.8))[..., (1, 0, 2)])


def pairs() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return (reference, distorted), uint8, by name: square, wide, tall, odd, gray, above and below each size rule."""
    astronaut, camera = data.astronaut(), data.camera()
    wide, tall, odd = astronaut[:384], astronaut[40:340, 60:284], astronaut[:403, :511]
    return {
        "square_noise": (astronaut, _noise(astronaut, 20)),
        "wide_blur": (wide, _blur(wide)),
        "tall_recoloured": (tall, _recolour(tall)),
        "odd_quantised": (odd, _quantise(odd)),
        "gray_quantised": (camera, _quantise(camera)),
        "gray_noise": (camera[:320, :480], _noise(camera[:320, :480], 12)),
    }


def digest(image: np.ndarray) -> str:
    """Return the SHA-256 of an image's pixels."""
    return hashlib.sha256(np.ascontiguousarray(image).tobytes()).hexdigest()
