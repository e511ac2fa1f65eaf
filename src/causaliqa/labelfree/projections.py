"""Projections of pair features to one distance: zero for an identical pair, larger is worse.

All are inductive: fitted on the synthetic pairs of a scenario's train references. The sign comes from the norm (more
degradation, lower quality), never from a test score.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.covariance import ledoit_wolf

from causaliqa.errors import DataError


@dataclass(frozen=True)
class Projection:
    """A fitted projection.

    Attributes
    ----------
    method : ``pc1``, ``norm`` or ``mahalanobis``.
    matrix : (F, R); the distance is computed from ``features @ matrix``.
    """

    method: str
    matrix: np.ndarray

    def distance(self, features: np.ndarray) -> np.ndarray:
        """Return the distance of pairs, shape (N,), from features (N, F). pc1 is signed, the others are lengths."""
        projected = np.asarray(features, dtype=np.float64) @ self.matrix
        if self.method == "pc1":
            return np.asarray(projected[:, 0])
        return np.asarray(np.sqrt(np.square(projected).sum(axis=1)))


def fit(method: str, features: np.ndarray) -> Projection:
    """Fit a projection on features (N, F) of synthetic pairs.

    pc1
        First principal component of the features in units of their root mean square, through the origin (an
        identical pair scores zero), oriented so that it grows with the norm.
    norm
        Length of the features in the same units.
    mahalanobis
        Distance from the pristine pair (zero) under the Ledoit-Wolf shrunk second moment of the features in the
        same units (Ledoit and Wolf, 2004).

    Raises
    ------
    DataError
        If there are fewer than two pairs or a feature never differs from zero.
    """
    values = np.asarray(features, dtype=np.float64)
    if values.ndim != 2 or len(values) < 2:
        raise DataError(f"a projection is fitted on at least two pairs, found {len(values)}")
    scale = np.sqrt(np.square(values).mean(axis=0))
    # A channel that never responds carries nothing: it gets no weight rather than an infinite one.
    inverse = np.divide(1.0, scale, out=np.zeros_like(scale), where=scale > 1e-12)
    if not inverse.any():
        raise DataError("no feature differs from zero on any training pair: the model's degradation code has collapsed")
    units = values * inverse
    if method == "norm":
        return Projection(method, np.diag(inverse) / np.sqrt(len(scale)))
    if method == "pc1":
        _, _, directions = np.linalg.svd(units - units.mean(axis=0), full_matrices=False)
        direction = directions[0]
        # Orientation by the norm alone.
        if np.dot(units @ direction - (units @ direction).mean(), np.linalg.norm(units, axis=1)) < 0:
            direction = -direction
        return Projection(method, (inverse * direction / np.sqrt(len(scale)))[:, None])
    if method == "mahalanobis":
        # Deterministic by a symmetric square root of the inverse second moment.
        moment, _ = ledoit_wolf(units, assume_centered=True)
        eigenvalues, vectors = np.linalg.eigh(moment)
        root = vectors / np.sqrt(np.maximum(eigenvalues, 1e-12 * eigenvalues.max()))
        return Projection(method, inverse[:, None] * root / np.sqrt(len(scale)))
    raise DataError(f"no projection {method!r}; known are pc1, norm, mahalanobis")
