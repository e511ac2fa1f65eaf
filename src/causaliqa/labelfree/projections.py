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
from causaliqa.labelfree import SIGNED


@dataclass(frozen=True)
class Projection:
    """A fitted projection.

    Attributes
    ----------
    method : see :func:`fit`.
    matrix : (F, R); the distance is computed from ``features @ matrix``.
    groups : (R,), int: the distance is the sum over groups of the lengths of their columns; all -1: the signed sum
        of the columns.
    """

    method: str
    matrix: np.ndarray
    groups: np.ndarray

    def distance(self, features: np.ndarray) -> np.ndarray:
        """Return the distance of pairs, shape (N,), from features (N, F)."""
        projected = np.asarray(features, dtype=np.float64) @ self.matrix
        if (self.groups == SIGNED).all():
            return np.asarray(projected.sum(axis=1))
        members = self.groups[:, None] == np.unique(self.groups)
        return np.asarray(np.sqrt(np.square(projected) @ members).sum(axis=1))


def _norm(names: Sequence[str]) -> Projection:
    picked = [(index, name) for index, name in enumerate(names) if "_rms_" in name]
    matrix = np.zeros((len(names), len(picked)))
    matrix[[index for index, _ in picked], range(len(picked))] = 1.0
    scales = [int(name.split("_", 1)[0].removeprefix("d")) for _, name in picked]
    return Projection("norm", matrix, np.array(scales, dtype=np.int64))


def fit(method: str, features: np.ndarray, names: Sequence[str]) -> Projection:
    """Fit a projection on features (N, F) of synthetic pairs.

    norm
        Size of the degradation difference: the sum over scales of the length of their RMS features. Nothing is fitted;
        the bottleneck's unit noise already gives all scales and channels one unit, the just noticeable.
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
    norm = _norm(names)
    if method == "norm":
        return norm
    if method == "pc1":
        _, _, directions = np.linalg.svd(values - values.mean(axis=0), full_matrices=False)
        scores, lengths = values @ directions[0], norm.distance(values)
        # Orientation by the norm alone.
        sign = -1.0 if np.dot(scores - scores.mean(), lengths) < 0 else 1.0
        return Projection(method, sign * directions[0][:, None], np.array([SIGNED]))
    if method == "mahalanobis":
        scale = np.sqrt(np.square(values).mean(axis=0))
        # A channel that never responds carries nothing: it gets no weight rather than an infinite one.
        inverse = np.divide(1.0, scale, out=np.zeros_like(scale), where=scale > 1e-12)
        moment, _ = ledoit_wolf(values * inverse, assume_centered=True)
        eigenvalues, vectors = np.linalg.eigh(moment)
        root = vectors / np.sqrt(np.maximum(eigenvalues, 1e-12 * eigenvalues.max()))
        return Projection(method, inverse[:, None] * root / np.sqrt(len(scale)), np.zeros(len(scale), dtype=np.int64))
    raise DataError(f"no projection {method!r}; known are norm, pc1, mahalanobis")
