"""Tests that need no opinion scores.

D-, L- and P-test after Ma et al., "Waterloo Exploration Database: New Challenges for Image Quality Assessment
Models", IEEE TIP 26(2), 2017; severity correlations by type and the composition test are ours.
Everywhere `quality` is oriented so that larger is better.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from causaliqa.seeding import generator

#: Distortion name of visually lossless copies: they stand for the pristine class in the D-test.
IMPERCEPTIBLE = "imperceptible"
#: At most this many pairs are enumerated; larger sets are sampled.
_ENUMERATE = 4_000_000


def d_test(quality: np.ndarray, pristine: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """D-test: best separation of pristine from distorted images by one threshold.

    ``D = max_T 1/2 (|{pristine: q > T}| / |pristine| + |{distorted: q <= T}| / |distorted|)``,
    in [0.5, 1]. For a full-reference metric the pristine image against itself is trivially perfect: visually
    lossless copies take its place.

    Parameters
    ----------
    quality : shape (N,), larger is better.
    pristine : bool, shape (N,); False means distorted.
    weights : multiplicities of the images, shape (B, N); default once each.

    Returns
    -------
    array (B,) : NaN where one of the classes is empty.
    """
    counts = np.ones((1, len(quality))) if weights is None else np.asarray(weights, dtype=np.float64)
    order = np.argsort(quality, kind="stable")
    ordered = quality[order]
    # A threshold cannot part equal scores: look only after the last of each tie.
    last = np.flatnonzero(np.concatenate([ordered[1:] != ordered[:-1], [True]]))
    good = counts[:, order] * pristine[order]
    bad = counts[:, order] * ~pristine[order]
    good_total, bad_total = good.sum(axis=1), bad.sum(axis=1)
    good_above = good_total[:, None] - np.cumsum(good, axis=1)[:, last]
    bad_below = np.cumsum(bad, axis=1)[:, last]
    with np.errstate(invalid="ignore", divide="ignore"):
        rate = 0.5 * (good_above / good_total[:, None] + bad_below / bad_total[:, None])
    return np.where((good_total > 0) & (bad_total > 0), np.maximum(rate.max(axis=1), 0.5), np.nan)


@dataclass(frozen=True)
class Ladders:
    """Images of one reference and type ordered by level.

    Attributes
    ----------
    keys : reference index and type of each ladder; K rows.
    groups : for each ladder length, (positions in `keys` (G,), image indices (G, L), levels (G, L)).
    """

    keys: list[tuple[int, str]]
    groups: list[tuple[np.ndarray, np.ndarray, np.ndarray]]


def ladders(images: pd.DataFrame, cluster: np.ndarray) -> Ladders:
    """Collect ladders: same reference and type, at least two levels >= 1.

    Parameters
    ----------
    images : columns ``distortion, level``; N rows.
    cluster : reference index of each image, shape (N,).
    """
    table = pd.DataFrame(
        {"reference": cluster, "distortion": images["distortion"].to_numpy(), "level": images["level"].to_numpy()}
    )
    table["row"] = np.arange(len(table))
    table = table[table["level"] >= 1].sort_values(["reference", "distortion", "level", "row"])
    keys: list[tuple[int, str]] = []
    by_length: dict[int, list[tuple[int, np.ndarray, np.ndarray]]] = {}
    for key, ladder in table.groupby(["reference", "distortion"], sort=True):
        reference, distortion = np.asarray(key, dtype=object)
        if ladder["level"].nunique() < 2:
            continue
        entry = (len(keys), ladder["row"].to_numpy(), ladder["level"].to_numpy())
        by_length.setdefault(len(ladder), []).append(entry)
        keys.append((int(reference), str(distortion)))
    groups = [
        (np.array([e[0] for e in entries]), np.stack([e[1] for e in entries]), np.stack([e[2] for e in entries]))
        for _, entries in sorted(by_length.items())
    ]
    return Ladders(keys, groups)


def severity_srcc(quality: np.ndarray, found: Ladders) -> np.ndarray:
    """Return each ladder's SRCC between level and loss of quality, shape (K,), in [-1, 1]; 0 for constant scores."""
    values = np.zeros(len(found.keys))
    for position, rows, levels in found.groups:
        x = rankdata(-quality[rows], axis=1)
        y = rankdata(levels, axis=1)
        x = x - x.mean(axis=1, keepdims=True)
        y = y - y.mean(axis=1, keepdims=True)
        scale = (x * x).sum(axis=1) * (y * y).sum(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            values[position] = np.where(scale > 0, (x * y).sum(axis=1) / np.sqrt(scale), 0.0)
    return values


def l_test(quality: np.ndarray, images: pd.DataFrame, cluster: np.ndarray) -> float:
    """L-test: mean over (reference, type) of the SRCC with severity, in [-1, 1]."""
    values = severity_srcc(quality, ladders(images, cluster))
    return float(values.mean()) if values.size else float("nan")


def clear_pairs(members: np.ndarray, gap: float, limit: int, *seed: str | int) -> np.ndarray:
    """Pairs of images on which every consensus member agrees by at least `gap` in normalised rank.

    Parameters
    ----------
    members : quality by each of M metrics, shape (M, N), larger is better.
    gap : distance in [0, 1] of ranks divided by N - 1.
    limit : pairs kept at the most; a seeded sample beyond it.

    Returns
    -------
    int array (P, 2) : better image first, sorted, no pair twice.
    """
    count = members.shape[1]
    if count < 2:
        return np.zeros((0, 2), dtype=np.int64)
    ranks = (rankdata(members, axis=1) - 1.0) / (count - 1.0)
    random = generator("preference", *seed)

    def agreed(i: np.ndarray, j: np.ndarray) -> np.ndarray:
        difference = ranks[:, i] - ranks[:, j]
        better, worse = difference.min(axis=0) >= gap, difference.max(axis=0) <= -gap
        return np.concatenate(
            [np.stack([i[better], j[better]], axis=1), np.stack([j[worse], i[worse]], axis=1)], axis=0
        )

    if count * (count - 1) // 2 <= _ENUMERATE:
        i, j = np.triu_indices(count, 1)
        pairs = agreed(i, j)
        if len(pairs) > limit:
            pairs = pairs[random.choice(len(pairs), size=limit, replace=False)]
    else:
        pairs = np.zeros((0, 2), dtype=np.int64)
        for _ in range(50):
            i, j = random.integers(0, count, size=(2, 4 * limit))
            fresh = agreed(i[i != j], j[i != j])
            merged = np.concatenate([pairs, fresh])
            _, first = np.unique(merged[:, 0] * count + merged[:, 1], return_index=True)
            pairs = merged[np.sort(first)][:limit]
            if len(pairs) >= limit:
                break
    return pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]


def p_test(quality: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """P-test: which of `pairs` (P, 2), better first, the metric orders likewise; bool (P,). A tie is not agreement.

    The share of True is the pairwise preference consistency of the paper.
    """
    return np.asarray(quality[pairs[:, 0]] > quality[pairs[:, 1]])


def composition_pairs(image: Sequence[str], parent: Sequence[str]) -> np.ndarray:
    """Return (composition, parent) image indices, int (C, 2), for every composition whose parent is there."""
    position = {name: index for index, name in enumerate(image)}
    pairs = [(index, position[start]) for index, start in enumerate(parent) if start and start in position]
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


def c_test(quality: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """C-test: is a composition judged worse than what it started from? bool (C,). A tie counts as no."""
    return np.asarray(quality[pairs[:, 0]] < quality[pairs[:, 1]])
