"""Whether a method can tell which images differ, and which of two is better.

After Krasula, Fliegel, Le Callet and Klima, *On the accuracy of objective image and video quality models*, QoMEX 2016.
Pairs of images are split by their opinions and the uncertainty of these: *different* if the difference of the two
means passes a z-test, else *similar*.

* different/similar: the area under the ROC curve (AUC) of the method's absolute difference telling the two apart.
* better/worse: over the different pairs, the AUC of the signed difference telling which image is the better one, and
  the share of pairs in the right order, ``correct`` (the authors' C0). A tie is not right.

No mapping to opinions is needed, the uncertainty of opinions counts, and pairs of several datasets may be pooled.

Variance of AUCs: DeLong, DeLong and Clarke-Pearson (Biometrics 44, 1988), by ranks (Sun and Xu, IEEE Signal Process.
Lett. 21(11), 2014), as the authors use it. It takes pairs as independent, though each image is in many of them and, for
better/worse, each pair is counted both ways round: its errors are far too small. So the errors to rely on are over
references: DeLong's structural components are summed over all pairs that touch a reference, which is the AUC's
derivative to that reference's weight (infinitesimal jackknife; Efron, *The Jackknife, the Bootstrap and Other
Resampling Plans*, 1982), and the variance is taken over references.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from causaliqa.errors import ConfigError, DataError
from causaliqa.evaluate.comparison import Correction, decide, rows_of, two_sided
from causaliqa.evaluate.intervals import MINIMUM_REFERENCES
from causaliqa.evaluate.paired import Paired, pairs_of
from causaliqa.seeding import generator

#: Analyses, in the order of tables.
ANALYSES = ("different_similar", "better_worse")
#: Columns of the table of values.
#:
#: auc : in [0, 1], 0.5 for a method that knows nothing
#: error, low, high : standard error over references and interval of the AUC; NaN with too few references
#: error_delong : standard error that takes pairs as independent
#: correct : share of different pairs in the right order, NaN for different/similar
#: threshold : difference of scores that 95 % of the similar pairs stay below, NaN for better/worse
#: n_pairs : pairs in the analysis; n_different : of these, different in opinion
ROC_COLUMNS = [
    "dataset", "analysis", "method", "auc", "error", "low", "high", "error_delong", "correct", "threshold", "n_pairs",
    "n_different", "n_images", "n_references",
]  # fmt: skip
#: Share of similar pairs below ``threshold``.
THRESHOLD = 0.95


def standard_error(std: np.ndarray, ratings: np.ndarray | float) -> np.ndarray:
    """Return the standard deviation of each mean opinion, shape (N,).

    Databases differ in what they publish: the spread of ratings (divide it by the root of their number, as here) or
    already that of their mean (then pass it on as it is).

    Parameters
    ----------
    std : standard deviation of the ratings of each image, shape (N,), at least 0.
    ratings : number of ratings of each image, shape (N,), or one number for all; at least 1.

    Raises
    ------
    DataError
        If a standard deviation is negative or not finite, or a number of ratings is below 1.
    """
    std, ratings = np.asarray(std, dtype=np.float64), np.asarray(ratings, dtype=np.float64)
    _check_error(std, "standard deviation")
    if not (np.isfinite(ratings) & (ratings >= 1)).all():
        raise DataError("number of ratings: must be at least 1 for every image; repair the label file")
    return np.asarray(std / np.sqrt(ratings))


def _check_error(error: np.ndarray, what: str) -> None:
    if bad := np.flatnonzero(~(np.isfinite(error) & (error >= 0))).tolist():
        raise DataError(f"{what} number {bad[0]}: is {error[bad[0]]}; it must be finite and not negative")


@dataclass(frozen=True)
class OpinionPairs:
    """Pairs of images and what their opinions say.

    Attributes
    ----------
    first, second : indices of images, shape (P,).
    order : int8 (P,): 1 if the first image is better, -1 if worse, 0 if they are similar.
    """

    first: np.ndarray
    second: np.ndarray
    order: np.ndarray


def opinion_pairs(
    opinion: np.ndarray, error: np.ndarray, *, confidence: float = 0.95, limit: int = 1_000_000, seed: int = 0
) -> OpinionPairs:
    """Return pairs of images with the outcome of a z-test of their opinions.

    Parameters
    ----------
    opinion : larger is better, shape (N,).
    error : standard deviation of each mean opinion, shape (N,); 0 means that any difference counts.
    confidence : a pair differs if the normal distribution function at the size of z reaches it. This is the authors'
        form: at 0.95 a difference from 1.645 errors on counts, which two-sided is a level of 10 %.
    limit : with more pairs than this, one is drawn from each of so many equal stretches of the list of all pairs.
    seed : of that draw.

    Raises
    ------
    DataError
        If lengths differ, there are not two images, or an error is negative or not finite.
    ConfigError
        If `confidence` is not in (0.5, 1) or `limit` is below 1.
    """
    opinion, error = np.asarray(opinion, dtype=np.float64), np.asarray(error, dtype=np.float64)
    if opinion.ndim != 1 or opinion.shape != error.shape or len(opinion) < 2:
        raise DataError(
            f"opinions {opinion.shape} and their errors {error.shape}: need two equal lists of two and more"
        )
    _check_error(error, "error of opinion")
    if not 0.5 < confidence < 1 or limit < 1:
        raise ConfigError(f"confidence {confidence}, limit {limit}: must be in (0.5, 1), and at least 1")
    first, second = _some_pairs(len(opinion), limit, seed)
    difference = opinion[first] - opinion[second]
    least = stats.norm.ppf(confidence) * np.sqrt(error[first] ** 2 + error[second] ** 2)
    order = np.where(np.abs(difference) >= least, np.sign(difference), 0).astype(np.int8)
    return OpinionPairs(first, second, order)


def _some_pairs(count: int, limit: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    total = count * (count - 1) // 2
    if total <= limit:
        first, second = np.triu_indices(count, k=1)
        return first, second
    edges = np.arange(limit + 1) * total // limit
    width = np.diff(edges)
    place = edges[:-1] + generator("opinion_pairs", count, limit, seed).integers(0, width)
    # Row of the triangle from the place counted from its end; the root is right within one.
    back = total - 1 - place
    row = ((np.sqrt(8.0 * back + 1.0) - 1.0) / 2.0).astype(np.int64)
    row += (row + 1) * (row + 2) // 2 <= back
    row -= row * (row + 1) // 2 > back
    first = count - 2 - row
    second = count - 1 - (back - row * (row + 1) // 2)
    return first, second


def delong(positive: np.ndarray, negative: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return AUCs and DeLong's structural components.

    Parameters
    ----------
    positive, negative : what K methods give to the items of each class, shapes (K, m) and (K, n); larger speaks for
        positive, a tie counts half.

    Returns
    -------
    auc : shape (K,).
    over : shape (K, m), share of negatives below each positive; its mean is the AUC.
    under : shape (K, n), share of positives above each negative; its mean is the AUC.
    """
    m, n = positive.shape[1], negative.shape[1]
    over, under = np.empty(positive.shape), np.empty(negative.shape)
    for index, (p, q) in enumerate(zip(positive, negative, strict=True)):
        joined = stats.rankdata(np.concatenate([p, q]))
        over[index] = (joined[:m] - stats.rankdata(p)) / n
        under[index] = 1.0 - (joined[m:] - stats.rankdata(q)) / m
    return over.mean(axis=1), over, under


def delong_covariance(over: np.ndarray, under: np.ndarray) -> np.ndarray:
    """Return the covariance (K, K) of AUCs from their components, items being independent; NaN with a class of one."""
    m, n = over.shape[1], under.shape[1]
    if min(m, n) < 2:
        return np.full((len(over), len(over)), np.nan)
    total = np.zeros((len(over), len(over)))
    for part, size in ((over, m), (under, n)):
        centred = part - part.mean(axis=1, keepdims=True)
        total += np.einsum("ik,jk->ij", centred, centred) / ((size - 1) * size)
    return total


def _influence(values: np.ndarray, ends: tuple[np.ndarray, np.ndarray], references: int) -> np.ndarray:
    """Return the derivative of the mean of `values` (K, P) to each reference's weight, shape (K, references).

    A pair weighs the product of the weights of its two references, `ends`, so one within a reference counts twice.
    """
    centred = (values - values.mean(axis=1, keepdims=True)) / values.shape[1]
    return np.stack([np.bincount(ends[0], v, references) + np.bincount(ends[1], v, references) for v in centred])


def _over_references(influence: np.ndarray) -> np.ndarray:
    """Return the covariance (K, K) from influences (K, R)."""
    count = influence.shape[1]
    centred = influence - influence.mean(axis=1, keepdims=True)
    return np.asarray(np.einsum("ir,jr->ij", centred, centred) * count / (count - 1))


@dataclass
class _Pool:
    """Differences of scores of pairs of one or several datasets, shape (M, P), and the references at their ends."""

    difference: np.ndarray
    order: np.ndarray
    ends: tuple[np.ndarray, np.ndarray]
    paired: Paired


def _pool(sets: Sequence[tuple[Paired, np.ndarray]], confidence: float, limit: int, seed: int, within: bool) -> _Pool:
    parts: list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]] = []
    offset = 0
    for paired, error in sets:
        if paired.methods != sets[0][0].methods:
            raise DataError(
                f"{paired.dataset}: other methods than {sets[0][0].dataset}; pool the same methods, in order"
            )
        found = opinion_pairs(paired.opinion, error, confidence=confidence, limit=limit, seed=seed)
        i, j, order = found.first, found.second, found.order
        if within:
            same = paired.cluster[i] == paired.cluster[j]
            i, j, order = i[same], j[same], order[same]
        difference = paired.quality[:, i] - paired.quality[:, j]
        parts.append((difference, order, paired.cluster[i] + offset, paired.cluster[j] + offset))
        offset += paired.references
    difference, order, left, right = (np.concatenate(column, axis=-1) for column in zip(*parts, strict=True))
    first = sets[0][0]
    joined = Paired(
        "+".join(paired.dataset for paired, _ in sets),
        first.methods,
        np.concatenate([paired.quality for paired, _ in sets], axis=1),
        np.concatenate([paired.opinion for paired, _ in sets]),
        np.concatenate([paired.cluster for paired, _ in sets]),
        offset,
    )
    return _Pool(difference, order, (left, right), joined)


def roc_analysis(
    sets: Sequence[tuple[Paired, np.ndarray]], *, confidence: float = 0.95, limit: int = 1_000_000,
    within_references: bool = False, correction: Correction = "holm", seed: int = 0,
    analyses: Sequence[str] = ANALYSES,
) -> tuple[pd.DataFrame, pd.DataFrame]:  # fmt: skip
    """Return AUCs of every method and their comparison.

    Parameters
    ----------
    sets : one or several datasets, each with the standard deviation of its mean opinions, shape (N,), see
        :func:`standard_error`. Pairs are formed within a dataset and pooled.
    confidence : of the z-test that splits pairs, see :func:`opinion_pairs`; also of intervals and decisions.
    limit : pairs a dataset at the most. All pairs of up to 1,414 images are below the default. Memory grows with it:
        about 0.8 kB a pair for twelve methods.
    within_references : keep only pairs of one reference, a task without the comparison across contents.
    correction : over pairs of methods, for each test.
    seed : of the draw of pairs.
    analyses : some of :data:`ANALYSES`. Without errors of opinions (all 0) only ``better_worse`` can be asked: every
        difference then counts.

    Returns
    -------
    values : :data:`ROC_COLUMNS`, one row an analysis and method.
    comparisons : :data:`causaliqa.evaluate.comparison.COMPARISON_COLUMNS`; tests ``different_similar``,
        ``better_worse`` and ``correct`` with errors over references (t with R - 1 degrees of freedom) and, for the
        AUCs, ``*_delong`` (z). Empty for a single method; without the tests over references if there are fewer than
        three.

    Raises
    ------
    DataError
        If no pair is different, or none is similar for the analysis that needs it, or the methods of the datasets
        differ.
    ConfigError
        As in :func:`opinion_pairs`; if an analysis is unknown.
    """
    if not sets:
        raise DataError("sets: no dataset; give at least one with the errors of its opinions")
    if not analyses or (unknown := [name for name in analyses if name not in ANALYSES]):
        raise ConfigError(f"analyses: {unknown[0] if analyses else 'none'!r}; choose some of {', '.join(ANALYSES)}")
    pool = _pool(sets, confidence, limit, seed, within_references)
    different = pool.order != 0
    if (different.all() and ANALYSES[0] in analyses) or not different.any():
        what = "similar" if different.any() else "different"
        raise DataError(
            f"{pool.paired.dataset}: no pair of images is {what} in opinion; check the scale of the errors, "
            "or choose another confidence"
        )
    references = pool.paired.references
    enough = references >= MINIMUM_REFERENCES
    near, far = (tuple(end[chosen] for end in pool.ends) for chosen in (~different, different))
    absolute = np.abs(pool.difference)
    signed = pool.difference[:, different] * pool.order[different]
    cases = []
    for analysis, positive, negative, ends in (
        (ANALYSES[0], absolute[:, different], absolute[:, ~different], near),
        (ANALYSES[1], signed, -signed, far),
    ):
        if analysis not in analyses:
            continue
        auc, over, under = delong(positive, negative)
        influence = _influence(over, (far[0], far[1]), references) + _influence(under, (ends[0], ends[1]), references)
        cases.append((analysis, auc, influence, delong_covariance(over, under)))
    right = (signed > 0).astype(np.float64)
    correct = right.mean(axis=1)
    threshold = np.nan if different.all() else np.quantile(absolute[:, ~different], THRESHOLD, axis=1)
    quantile = float(stats.t.ppf((1.0 + confidence) / 2.0, references - 1)) if enough else float("nan")
    rows = []
    for analysis, auc, influence, delong_cov in cases:
        error = np.sqrt(np.diag(_over_references(influence))) if enough else np.full(len(auc), np.nan)
        better = analysis == ANALYSES[1]
        rows.append(
            pd.DataFrame(
                {
                    "dataset": pool.paired.dataset, "analysis": analysis, "method": pool.paired.methods, "auc": auc,
                    "error": error, "low": np.maximum(auc - quantile * error, 0.0),
                    "high": np.minimum(auc + quantile * error, 1.0), "error_delong": np.sqrt(np.diag(delong_cov)),
                    "correct": correct if better else np.nan, "threshold": np.nan if better else threshold,
                    "n_pairs": int(different.sum()) if better else len(different),
                    "n_different": int(different.sum()), "n_images": len(pool.paired.opinion),
                    "n_references": references,
                },
                columns=ROC_COLUMNS,
            )
        )  # fmt: skip
    if len(pool.paired.methods) < 2:
        return pd.concat(rows, ignore_index=True), decide(rows_of_none(pool.paired), correction, confidence)
    parts = []
    if enough:
        influence = _influence(right, (far[0], far[1]), references)
        tests = [(c[0], c[1], c[2]) for c in cases]
        for test, values, part in [*tests, ("correct", correct, influence)] if ANALYSES[1] in analyses else tests:
            parts.append(_compared(pool.paired, test, values, _over_references(part), references - 1, quantile))
    normal = float(stats.norm.ppf((1.0 + confidence) / 2.0))
    for analysis, auc, _, delong_cov in cases:
        parts.append(_compared(pool.paired, f"{analysis}_delong", auc, delong_cov, np.inf, normal))
    table = pd.concat(parts, ignore_index=True)
    return pd.concat(rows, ignore_index=True), decide(table, correction, confidence)


def rows_of_none(paired: Paired) -> pd.DataFrame:
    """Return a table of comparisons without rows."""
    nothing = np.empty(0)
    return rows_of(paired, "", np.empty(len(paired.methods)), nothing, nothing, nothing)


def _compared(
    paired: Paired, test: str, values: np.ndarray, covariance: np.ndarray, degrees: float, quantile: float
) -> pd.DataFrame:
    first, second = pairs_of(len(paired.methods))
    variance = np.diag(covariance)
    between = variance[first] + variance[second] - 2.0 * covariance[first, second]
    difference = values[first] - values[second]
    # Two methods that order all pairs alike leave rounding in both; their difference is none.
    difference = np.where(np.abs(difference) < 1e-14, 0.0, difference)
    error = np.sqrt(np.maximum(between, 0.0))
    statistic = np.where(difference == 0.0, 0.0, difference / np.maximum(error, np.finfo(float).tiny))
    return rows_of(
        paired, test, values, difference, statistic, two_sided(statistic, degrees),
        low=difference - quantile * error, high=difference + quantile * error,
    )  # fmt: skip
