"""Anchored projections: the non-negative combination of features that best puts synthetic pairs in order.

Anchors are free of human labels: severity and composition (``severity``), or the rank consensus of classical metrics
(``consensus``), which is a teacher and named so.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from scipy.special import expit
from scipy.stats import rankdata

from causaliqa.errors import DataError
from causaliqa.seeding import generator

#: The projections that are fitted here.
ANCHORED = ("severity", "consensus")
#: Slope of the ranking loss on the log-distance difference, and the difference that it asks for, as in training.
_SLOPE, _MARGIN = 4.0, 0.1
#: Pull of the weights towards equal ones: what no pair asks about stays as it is.
_PULL = 0.01
#: Keeps the distance of an identical pair finite under the logarithm, in units of the mean distance.
_QUIET = 1e-3
#: Pairs used at the most, and the least difference of normalised consensus ranks that orders one.
_MOST, _CLEAR = 50_000, 0.1


def severity_pairs(rows: pd.DataFrame) -> np.ndarray:
    """Return pairs of rows (better, worse), shape (P, 2): levels of one type, and compositions with their parent.

    Parameters
    ----------
    rows : synthetic pairs with ``dataset, image, reference, distortion, level, parent``.
    """
    table = rows.reset_index(drop=True)
    found: list[tuple[int, int]] = []
    levels = table[(table["level"] > 0) & (table["parent"] == "")]
    for _, part in levels.groupby(["dataset", "reference", "distortion"], sort=True):
        ordered = part.sort_values("level").index.to_numpy()
        found += [(int(a), int(b)) for place, a in enumerate(ordered) for b in ordered[place + 1 :]]
    where = {key: int(index) for index, key in enumerate(zip(table["dataset"], table["image"], strict=True))}
    for index, row in table[table["parent"] != ""].iterrows():
        parent = where.get((row["dataset"], row["parent"]))
        if parent is not None:
            found.append((parent, int(str(index))))
    return _at_most(np.array(found, dtype=np.int64).reshape(-1, 2))


def consensus_pairs(quality: np.ndarray, datasets: np.ndarray) -> np.ndarray:
    """Return pairs of rows (better, worse), shape (P, 2), whose consensus ranks are clearly apart.

    Parameters
    ----------
    quality : (N,), rank consensus of the rows, larger is better.
    datasets : (N,), dataset of each: the consensus ranks within one, so pairs never cross.
    """
    found = []
    names, counts = np.unique(datasets, return_counts=True)
    for name, count in zip(names.tolist(), counts.tolist(), strict=True):
        rows = np.flatnonzero(datasets == name)
        ranks = rankdata(quality[rows]) / count
        wanted = max(1, round(_MOST * count / len(quality)))
        draws = generator("consensus pairs", name).integers(count, size=(2 * wanted, 2))
        gap = ranks[draws[:, 0]] - ranks[draws[:, 1]]
        draws[gap < 0] = draws[gap < 0][:, ::-1]
        found.append(rows[draws[np.abs(gap) >= _CLEAR][:wanted]])
    return np.concatenate(found) if found else np.empty((0, 2), dtype=np.int64)


def _at_most(pairs: np.ndarray) -> np.ndarray:
    if len(pairs) <= _MOST:
        return pairs
    return pairs[np.sort(generator("anchor pairs").permutation(len(pairs))[:_MOST])]


def fit_weights(features: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Return non-negative weights (F,), so that ``features @ weights`` is larger for the worse of each pair.

    Parameters
    ----------
    features : (N, F), non-negative.
    pairs : (P, 2), rows (better, worse).

    Raises
    ------
    DataError
        If there is no pair, or no feature ever differs from zero or grows with damage.
    """
    if len(pairs) == 0:
        raise DataError("an anchored projection needs synthetic pairs whose order is known, found none")
    scale = np.sqrt(np.square(features).mean(axis=0))
    heard = scale > 1e-12
    if not heard.any():
        raise DataError("no feature differs from zero on any training pair: the model's degradation code has collapsed")
    x = features[:, heard] / scale[heard]
    count = x.shape[1]
    quiet = _QUIET * float(x.mean()) * count
    better, worse = x[pairs[:, 0]], x[pairs[:, 1]]

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        low, high = better @ weights + quiet, worse @ weights + quiet
        lead = _SLOPE * (np.log(low) - np.log(high) + _MARGIN)
        push = expit(lead) / len(pairs)
        value = float(np.logaddexp(0.0, lead).mean() / _SLOPE + _PULL * np.square(weights - 1).mean())
        return value, better.T @ (push / low) - worse.T @ (push / high) + 2 * _PULL * (weights - 1) / count

    found = minimize(loss, np.ones(count), jac=True, method="L-BFGS-B", bounds=[(0.0, None)] * count)
    weights = np.zeros(features.shape[1])
    weights[heard] = found.x / scale[heard]
    if not weights.any():
        raise DataError("the anchored projection is zero: no feature grows with damage on the synthetic pairs")
    return weights
