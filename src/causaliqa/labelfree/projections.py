"""Projections of pair features to one distance: zero for an identical pair, larger is worse.

All are inductive: fitted on the synthetic pairs of a scenario's train references. The sign comes from the norm (more
degradation, lower quality), never from a test score.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.covariance import ledoit_wolf

from causaliqa.errors import DataError


@dataclass(frozen=True)
class Projection:
    """A fitted projection.

    Attributes
    ----------
    method : ``norm``, ``pc1`` or ``mahalanobis``.
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


def fit(method: str, features: np.ndarray, names: Sequence[str]) -> Projection:
    """Fit a projection on features (N, F) of synthetic pairs.

    norm
        Length of the degradation difference: root of the summed squares of its RMS features. Nothing is fitted; the
        bottleneck's unit noise already gives all scales and channels one unit, the just noticeable.
    pc1
        First principal component of the features in the same unit, through the origin (an identical pair scores
        zero), oriented so that it grows with the norm.
    mahalanobis
        Distance from the pristine pair (zero) under the Ledoit-Wolf shrunk second moment (Ledoit and Wolf, 2004) of the
        features, each in units of its root mean square.

    Parameters
    ----------
    names : names of the features, see :func:`causaliqa.disentangle.features.feature_names`.

    Raises
    ------
    DataError
        If there are fewer than two pairs or no feature ever differs from zero.
    """
    values = np.asarray(features, dtype=np.float64)
    if values.ndim != 2 or len(values) < 2:
        raise DataError(f"a projection is fitted on at least two pairs, found {len(values)}")
    if not values.any():
        raise DataError("no feature differs from zero on any training pair: the model's degradation code has collapsed")
    length = np.diag(["_rms_" in name for name in names]).astype(np.float64)
    if method == "norm":
        return Projection(method, length)
    if method == "pc1":
        _, _, directions = np.linalg.svd(values - values.mean(axis=0), full_matrices=False)
        scores, lengths = values @ directions[0], np.linalg.norm(values @ length, axis=1)
        # Orientation by the norm alone.
        sign = -1.0 if np.dot(scores - scores.mean(), lengths) < 0 else 1.0
        return Projection(method, sign * directions[0][:, None])
    if method == "mahalanobis":
        scale = np.sqrt(np.square(values).mean(axis=0))
        # A channel that never responds carries nothing: it gets no weight rather than an infinite one.
        inverse = np.divide(1.0, scale, out=np.zeros_like(scale), where=scale > 1e-12)
        moment, _ = ledoit_wolf(values * inverse, assume_centered=True)
        eigenvalues, vectors = np.linalg.eigh(moment)
        root = vectors / np.sqrt(np.maximum(eigenvalues, 1e-12 * eigenvalues.max()))
        return Projection(method, inverse[:, None] * root / np.sqrt(len(scale)))
    raise DataError(f"no projection {method!r}; known are norm, pc1, mahalanobis")
