"""Cluster bootstrap over references.

Images of one reference are not independent, so references are drawn with replacement and each brings all its images.
A draw is a vector of multiplicities. Each statistic below is computed for all draws at once: sums over a reference
once, then a product with the multiplicities; only ranks need a pass over the images for each distinct draw.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata

from causaliqa.seeding import generator

#: Fewer references than this give no interval: two can only reproduce themselves.
MINIMUM_REFERENCES = 3


def draw_multiplicities(references: int, draws: int, *seed: str | int) -> np.ndarray:
    """Return how often each reference is drawn, int64 of shape (draws, references); each row sums to `references`."""
    chosen = generator("bootstrap", *seed).integers(0, references, size=(draws, references))
    rows = np.arange(draws)[:, None] * references
    counts = np.bincount((chosen + rows).ravel(), minlength=draws * references)
    return counts.reshape(draws, references)


def percentile_interval(samples: np.ndarray, confidence: float) -> tuple[float, float]:
    """Return the central percentile interval of `samples`, shape (draws,); NaN samples are left out.

    Returns (NaN, NaN), "no interval", if nothing is left.
    """
    kept = samples[np.isfinite(samples)]
    if kept.size == 0:
        return float("nan"), float("nan")
    tail = (1.0 - confidence) / 2.0
    low, high = np.quantile(kept, [tail, 1.0 - tail])
    return float(low), float(high)


def distinct_draws(multiplicities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct rows, each divided by its greatest common divisor, and the index that restores all rows.

    Rank statistics depend on proportions only; with few references most draws repeat one another.
    """
    divisor = np.gcd.reduce(multiplicities, axis=1)
    reduced = multiplicities // np.maximum(divisor, 1)[:, None]
    rows, inverse = np.unique(reduced, axis=0, return_inverse=True)
    return rows, inverse.ravel()


def weighted_ranks(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return average ranks of `values` (N,) when item n stands there ``weights[b, n]`` times; shape (B, N).

    Equals ``scipy.stats.rankdata`` of the repeated list.
    """
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    new_group = np.concatenate([[True], ordered[1:] != ordered[:-1]])
    group = np.cumsum(new_group) - 1
    last = np.flatnonzero(np.concatenate([new_group[1:], [True]]))
    above = np.cumsum(weights[:, order], axis=1)[:, last].astype(np.float64)
    below = np.concatenate([np.zeros((len(weights), 1)), above[:, :-1]], axis=1)
    ranks = np.empty(weights.shape, dtype=np.float64)
    ranks[:, order] = ((below + above + 1.0) / 2.0)[:, group]
    return ranks


def weighted_correlation(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return Pearson's correlation in each row, shape (B,); 0 where a side is constant. All inputs (B, N)."""
    total = weights.sum(axis=1)
    safe = np.where(total > 0, total, 1)
    x = x - (np.einsum("bn,bn->b", weights, x) / safe)[:, None]
    y = y - (np.einsum("bn,bn->b", weights, y) / safe)[:, None]
    weighted = weights * x
    xy = np.einsum("bn,bn->b", weighted, y)
    scale = np.einsum("bn,bn->b", weighted, x) * np.einsum("bn,bn->b", weights * y, y)
    with np.errstate(invalid="ignore", divide="ignore"):
        value = np.where(scale > 0, xy / np.sqrt(scale), 0.0)
    return np.where(total > 0, np.clip(value, -1.0, 1.0), np.nan)


class RankBootstrap:
    """SRCC for every draw against one fixed target, whose ranks are computed once.

    Parameters
    ----------
    target : opinions, shape (N,).
    cluster : index of each image's reference, shape (N,).
    multiplicities : shape (B, R).
    """

    #: Draws handled at once: bounds memory at about this many times N doubles.
    _BLOCK = 128

    def __init__(self, target: np.ndarray, cluster: np.ndarray, multiplicities: np.ndarray) -> None:
        rows, self._inverse = distinct_draws(multiplicities)
        self._blocks = [
            (weights, weighted_ranks(target, weights))
            for weights in (rows[start : start + self._BLOCK][:, cluster] for start in range(0, len(rows), self._BLOCK))
        ]

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Return the SRCC of `values` (N,) in each draw, shape (B,); NaN where no reference of the set was drawn."""
        dense = rankdata(values, method="dense").astype(np.float64)
        parts = [
            weighted_correlation(weighted_ranks(dense, weights), ranks, weights) for weights, ranks in self._blocks
        ]
        return np.asarray(np.concatenate(parts)[self._inverse])


def pair_sums(x: np.ndarray, y: np.ndarray, cluster: np.ndarray, references: int) -> np.ndarray:
    """Return, for each two references, what Kendall's tau-b adds up over their ordered pairs of images.

    Returns
    -------
    array (3, R, R) : concordant minus discordant, pairs untied in x, pairs untied in y.
    """
    order = np.argsort(cluster, kind="stable")
    x, y, cluster = x[order], y[order], cluster[order]
    present, starts = np.unique(cluster, return_index=True)
    ends = np.append(starts[1:], len(cluster))
    sums = np.zeros((3, references, references))
    for reference, start, end in zip(present, starts, ends, strict=True):
        dx = np.sign(x[start:end, None] - x[None, :])
        dy = np.sign(y[start:end, None] - y[None, :])
        for index, product in enumerate((dx * dy, dx * dx, dy * dy)):
            sums[index, reference, present] = np.add.reduceat(product.sum(axis=0), starts)
    return sums


def tau_b(sums: np.ndarray, multiplicities: np.ndarray) -> np.ndarray:
    """Return Kendall's tau-b of each draw from :func:`pair_sums`, shape (B,); 0 where a side is constant."""
    m = multiplicities.astype(np.float64)
    s, a, b = (np.einsum("br,rs,bs->b", m, part, m, optimize=True) for part in sums)
    with np.errstate(invalid="ignore", divide="ignore"):
        value = np.where(a * b > 0, s / np.sqrt(a * b), 0.0)
    return np.where(m.sum(axis=1) > 0, value, np.nan)


def moments(x: np.ndarray, y: np.ndarray, cluster: np.ndarray, references: int) -> np.ndarray:
    """Return sums over each reference's images: count, x, y, xx, yy, xy, (x-y)^2 of centred values; shape (R, 7)."""
    error = (x - y) ** 2
    x, y = x - x.mean(), y - y.mean()
    columns = (np.ones_like(x), x, y, x * x, y * y, x * y, error)
    return np.stack([np.bincount(cluster, weights=column, minlength=references) for column in columns], axis=1)


def linear_from_moments(sums: np.ndarray, multiplicities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return Pearson's correlation and RMSE of each draw from :func:`moments`, each of shape (B,)."""
    n, x, y, xx, yy, xy, error = (multiplicities @ sums).T
    with np.errstate(invalid="ignore", divide="ignore"):
        vx, vy = xx - x * x / n, yy - y * y / n
        value = np.where((vx > 1e-12 * xx) & (vy > 1e-12 * yy), (xy - x * y / n) / np.sqrt(vx * vy), 0.0)
        return np.where(n > 0, np.clip(value, -1, 1), np.nan), np.sqrt(np.where(n > 0, error / n, np.nan))


def ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Return numerator / denominator, NaN where the denominator is 0."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(denominator > 0, numerator / denominator, np.nan)
