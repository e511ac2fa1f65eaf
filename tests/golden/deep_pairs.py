"""Image pairs of the golden values of deep metrics: small crops of those of :mod:`metric_pairs`, RGB."""

from __future__ import annotations

import numpy as np
from metric_pairs import pairs


def deep_pairs() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return (reference, distorted), uint8 RGB, by name: even and odd sizes, the least that is allowed."""
    crops = {
        "square_noise": (slice(60, 188), slice(170, 298)),
        "wide_blur": (slice(100, 197), slice(200, 331)),
        "tall_recoloured": (slice(20, 116), slice(30, 94)),
        "odd_quantised": (slice(10, 42), slice(200, 232)),
    }
    made = pairs()
    return {name: (made[name][0][crop], made[name][1][crop]) for name, crop in crops.items()}
