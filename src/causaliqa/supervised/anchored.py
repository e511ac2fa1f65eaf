"""A head for few labels: the label-free distance, corrected by what labels say about kinds of degradation.

With few labels a free regressor is worse than no label at all. Here the label-free distance stays the backbone, and
labels only bend it: quality = a - b log distance + f(profile), with b > 0 and f a Gaussian process (kernel ridge) on
features from which the size of the degradation is removed. Without support for f the order is the label-free one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.model_selection import GroupKFold

from causaliqa.errors import DataError
from causaliqa.labelfree.projections import Projection, fit

#: Noise over signal of f: small bends much, the last leaves the label-free order as it is.
NOISE = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, float("inf"))
#: Directions that tell types of degradation apart, at the most.
DIRECTIONS = 15
_FOLDS = 10
#: Least number of labels that may bend anything.
_LEAST = 5
#: Keeps an identical pair finite.
_OFFSET = 1e-3
#: Least slope on the log distance, in standard deviations of the labels: labels may not turn the distance around.
_SLOPE = 1e-3
#: Shrinkage of the scatter within types towards a multiple of the identity.
_SHRINKAGE = 0.05


@dataclass(frozen=True)
class Space:
    """Coordinates of pairs, learnt from synthetic pairs without any label.

    Attributes
    ----------
    length : the label-free distance.
    centre, scale : (F,), of the profile: log features less the log distance.
    types : (F, D), standardised profile to the directions that tell types of degradation apart; D may be 0.
    types_centre : (F,), what is subtracted before.
    base_centre, base_scale : of the log distance.
    """

    length: Projection
    centre: np.ndarray
    scale: np.ndarray
    types: np.ndarray
    types_centre: np.ndarray
    base_centre: float
    base_scale: float

    def base(self, features: np.ndarray) -> np.ndarray:
        """Return the standardised negative log distance of features (N, F), shape (N,): larger is better."""
        return -(_log_length(features, self.length) - self.base_centre) / self.base_scale

    def profile(self, features: np.ndarray) -> np.ndarray:
        """Return the standardised profile, shape (N, F)."""
        return np.asarray((_profile(features, self.length) - self.centre) / self.scale)

    def kernel(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Return the similarity of profiles (N, F) and (M, F) in [0, 1], shape (N, M).

        The mean of two Gaussian kernels: on the directions that tell types apart, where labels of one content speak for
        others, and on the whole profile, for what synthetic types do not hold.
        """
        whole = _gaussian(a, b)
        if self.types.shape[1] == 0:
            return whole
        turned = [(item - self.types_centre) @ self.types for item in (a, b)]
        return np.asarray((_gaussian(*turned) + whole) / 2)


def _gaussian(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    squares = np.square(a).sum(axis=1)[:, None] + np.square(b).sum(axis=1)[None] - 2 * a @ b.T
    return np.asarray(np.exp(-np.maximum(squares, 0.0) / (2 * a.shape[1])))


def _log_length(features: np.ndarray, length: Projection) -> np.ndarray:
    return np.asarray(np.log(np.maximum(length.distance(features), _OFFSET)))


def _profile(features: np.ndarray, length: Projection) -> np.ndarray:
    values = np.asarray(features, dtype=np.float64)
    return np.asarray(np.log(np.maximum(values, 0.0) + _OFFSET) - _log_length(values, length)[:, None])


def _positive(values: np.ndarray) -> np.ndarray:
    """Return scales with 1 where nothing varies: such a feature is then zero, not infinite."""
    return np.where(values > 1e-9, values, 1.0)


def fit_space(features: np.ndarray, names: Sequence[str], types: np.ndarray) -> Space:
    """Learn the coordinates of pairs from synthetic pairs.

    Directions: linear discriminants (Fisher 1936; Rao 1948), that is principal directions of the types' means once the
    scatter within types, of contents and levels, is white.

    Parameters
    ----------
    features : (N, F) of the scenario's synthetic train pairs.
    names : of the features.
    types : (N,), type of degradation of each; empty for pairs that are of no single type. With fewer than two types
        the space has no directions.

    Raises
    ------
    DataError
        If there are fewer than two pairs or no feature ever differs from zero.
    """
    length = fit("norm", features, names)
    logs = _log_length(features, length)
    raw = _profile(features, length)
    centre, scale = raw.mean(axis=0), _positive(raw.std(axis=0))
    profile = (raw - centre) / scale
    directions, middle = _discriminants(profile, np.asarray(types, dtype=str))
    return Space(length, centre, scale, directions, middle, float(logs.mean()), float(_positive(logs.std())))


def _discriminants(profile: np.ndarray, types: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the directions, shape (F, D), in units of the pairs' root mean square, and the middle of the types."""
    single = types != ""
    names, which = np.unique(types[single], return_inverse=True)
    count = profile.shape[1]
    if len(names) < 2:
        return np.zeros((count, 0)), np.zeros(count)
    means = np.stack([profile[single][which == number].mean(axis=0) for number in range(len(names))])
    middle = means.mean(axis=0)
    inside = profile[single] - means[which]
    scatter = inside.T @ inside / len(inside)
    ridge = max(_SHRINKAGE * float(np.trace(scatter)) / count, 1e-9)
    eigenvalues, vectors = np.linalg.eigh(scatter + ridge * np.eye(count))
    white = vectors / np.sqrt(eigenvalues)
    kept = min(DIRECTIONS, len(names) - 1, count)
    directions = white @ np.linalg.svd((means - middle) @ white, full_matrices=False)[2][:kept].T
    spread = np.sqrt(np.square((profile - middle) @ directions).sum(axis=1).mean() / kept)
    return directions / float(_positive(spread)), middle


class Anchored:
    """The head, fitted on labelled pairs.

    The amount of bending is not chosen but averaged over :data:`NOISE`, each weighted by MSE^(-n/2), the likelihood of
    its error on left-out references (at most ten folds). With fewer than two references or five labels nothing speaks
    for bending, and the order stays the label-free one.

    Parameters
    ----------
    space : from :func:`fit_space`.
    features : (n, F), n >= 2.
    labels : (n,), larger is better.
    references : (n,), content of each: folds never share one.

    Raises
    ------
    DataError
        If there are fewer than two labelled pairs.
    """

    def __init__(self, space: Space, features: np.ndarray, labels: np.ndarray, references: np.ndarray) -> None:
        if len(features) != len(labels) or len(labels) < 2:
            raise DataError(f"a regressor needs at least two labelled pairs, found {len(labels)}; label more images")
        self._space = space
        self._centre, self._scale = float(np.mean(labels)), float(_positive(np.std(labels)))
        target = (np.asarray(labels, dtype=np.float64) - self._centre) / self._scale
        self._profile = space.profile(features)
        base = space.base(features)
        kernel = space.kernel(self._profile, self._profile)
        #: (K,), weight of each noise.
        self.weights = self._weigh(kernel, base, target, np.asarray(references, dtype=str))
        line, bend = _solve(kernel, base, target)
        #: (2,), intercept and slope, the latter always positive.
        self.line = self.weights @ line
        self._bend = self.weights @ bend

    @staticmethod
    def _weigh(kernel: np.ndarray, base: np.ndarray, target: np.ndarray, references: np.ndarray) -> np.ndarray:
        groups = len(np.unique(references))
        if groups < 2 or len(target) < _LEAST:
            return np.asarray(np.eye(len(NOISE))[-1])
        error = np.zeros(len(NOISE))
        for seen, left in GroupKFold(min(_FOLDS, groups)).split(base, target, references):
            line, bend = _solve(kernel[np.ix_(seen, seen)], base[seen], target[seen])
            found = line[:, :1] + line[:, 1:] * base[left] + bend @ kernel[np.ix_(seen, left)]
            error += np.square(found - target[left]).sum(axis=1)
        evidence = -0.5 * len(target) * np.log(np.maximum(error / len(target), 1e-12))
        weights = np.exp(evidence - evidence.max())
        return np.asarray(weights / weights.sum())

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Return the quality of pairs (N, F) in units of the labels, shape (N,)."""
        bend = self._space.kernel(self._space.profile(features), self._profile) @ self._bend
        found = self.line[0] + self.line[1] * self._space.base(features) + bend
        return np.asarray(self._centre + self._scale * found)


def _solve(kernel: np.ndarray, base: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return lines (K, 2) and weights of the kernel's columns (K, n) of each noise, by one eigendecomposition."""
    values, vectors = np.linalg.eigh(kernel)
    design = np.stack([np.ones_like(base), base], axis=1)
    turned, aim = vectors.T @ design, vectors.T @ target
    lines, bends = [], []
    for noise in NOISE:
        rigid = np.isinf(noise)
        inverse = np.ones_like(values) if rigid else 1.0 / (np.maximum(values, 0.0) + noise)
        weighted = turned * inverse[:, None]
        # Two equal distances leave the slope open; the tiny ridge then takes none.
        line = np.linalg.solve(turned.T @ weighted + 1e-9 * np.eye(2), weighted.T @ aim)
        if line[1] < _SLOPE:
            left = aim - _SLOPE * turned[:, 1]
            line = np.array([float(weighted[:, 0] @ left) / float(weighted[:, 0] @ turned[:, 0]), _SLOPE])
        lines.append(line)
        bends.append(np.zeros_like(aim) if rigid else vectors @ (inverse * (aim - turned @ line)))
    return np.stack(lines), np.stack(bends)
