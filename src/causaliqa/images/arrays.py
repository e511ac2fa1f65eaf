"""Arithmetic between stimuli (uint8) and linear values (float32 in [0, 1])."""

from __future__ import annotations

import numpy as np

from causaliqa.errors import DataError


def to_uint8(values: np.ndarray) -> np.ndarray:
    """Round float values in [0, 1] to uint8 (half away from zero); values outside are clipped."""
    return np.asarray(np.floor(np.clip(values, 0.0, 1.0) * 255.0 + 0.5), dtype=np.uint8)


def to_float(stimulus: np.ndarray) -> np.ndarray:
    """Return a uint8 stimulus as float32 in [0, 1]."""
    if stimulus.dtype != np.uint8:
        raise DataError(f"a stimulus is uint8, not {stimulus.dtype}")
    return np.asarray(stimulus.astype(np.float32) / np.float32(255))


def as_rgb(image: np.ndarray) -> np.ndarray:
    """Return (H, W, 3): gray is repeated, RGB returned as it is."""
    return np.repeat(image[..., None], 3, axis=2) if image.ndim == 2 else image
