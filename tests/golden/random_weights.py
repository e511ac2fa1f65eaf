"""Weights drawn by a fixed seed, in the form of the published files: golden values are made with them."""

from __future__ import annotations

import math

import numpy as np

from causaliqa.baselines.deep.layouts import LAYOUTS
from causaliqa.seeding import generator


def random_weights(name: str) -> dict[str, np.ndarray]:
    """Return float32 tensors of weights by the names of this project."""
    drawn = {}
    for key, shape in LAYOUTS[name].shapes.items():
        rng = generator("random weights", name, key)
        if name.startswith(("lpips", "dists")):
            values = rng.random(shape)
        elif key.endswith("bias"):
            values = rng.normal(0, 0.02, shape)
        else:
            # The scale that keeps the size of activations from layer to layer.
            values = rng.normal(0, math.sqrt(2 / math.prod(shape[1:])), shape)
        drawn[key] = values.astype(np.float32)
    return drawn


def published(name: str) -> dict[str, np.ndarray]:
    """Return the same tensors by the names of the published PyTorch file."""
    names = LAYOUTS[name].names["torch"]
    return {names[key]: values for key, values in random_weights(name).items()}
