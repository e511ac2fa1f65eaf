"""Which of two methods is better on the same images, and how sure that is.

Four families of tests, from the one to rely on to those that are reported because the field knows them:

* ``bootstrap_srcc``: difference of SRCC under draws of references, each with all its images. It is the only one that
  allows for images of one reference not being independent.
* ``williams_*``, ``steiger_*``: tests of two correlations that share a variable (Williams, J. R. Stat. Soc. B 21(2),
  1959; Steiger, Psychol. Bull. 87(2), 1980), for ranks (``srcc``, an approximation) and for scores after the
  5-parameter logistic (``plcc``). They take every image as independent, so their p is too small.
* ``f_residuals``: ratio of the residual variances after that logistic (Sheikh, Sabir, Bovik, IEEE Trans. Image Process.
  15(11), 2006). It also takes the two sets of residuals as independent of each other and as Gaussian; as in that
  paper, a kurtosis between 2 and 4 passes for Gaussian, and ``assumption`` says whether both do.

Signs follow the declared polarities and no absolute value is taken: a method that runs against its polarity has
negative correlations, and its mapping is the constant, not a curve that turns it round.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from scipy import stats

from causaliqa.errors import ConfigError, DataError
from causaliqa.evaluate import intervals
from causaliqa.evaluate.correlation import fit_logistic, plcc, srcc
from causaliqa.evaluate.paired import Paired, pairs_of

Correction = Literal["holm", "benjamini_hochberg", "none"]

#: Tests, in the order of tables.
TESTS = ("bootstrap_srcc", "williams_srcc", "steiger_srcc", "williams_plcc", "steiger_plcc", "f_residuals")
#: Columns of a table of comparisons.
#:
#: value_a, value_b : SRCC or PLCC, or for ``f_residuals`` the standard deviation of the residuals
#: difference : oriented: positive where `method_a` is better; low, high : its interval, NaN where a test has none
#: statistic : t, z or F; p : two-sided; p_corrected : for all pairs of methods of this test and dataset
#: better : the better method if p_corrected is below 1 - confidence, else empty
#: assumption : whether the data pass the test's own check; True where it makes none
COMPARISON_COLUMNS = [
    "dataset", "method_a", "method_b", "test", "value_a", "value_b", "difference", "low", "high", "statistic", "p",
    "p_corrected", "better", "assumption", "n_images", "n_references",
]  # fmt: skip
#: Kurtosis that passes for Gaussian (Sheikh et al., 2006); a normal distribution has 3.
KURTOSIS = (2.0, 4.0)
#: More datasets and more methods than these are needed before Friedman's chi-square can be trusted (Demsar, J. Mach.
#: Learn. Res. 7, 2006).
MINIMUM_DATASETS, MINIMUM_METHODS = 10, 5
_LARGEST_R = 1.0 - 1e-12


def holm(p: np.ndarray) -> np.ndarray:
    """Return p-values corrected after Holm (Scand. J. Stat. 6(2), 1979): family-wise error. Shape (K,)."""
    p = np.asarray(p, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    steps = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    corrected = np.empty_like(p)
    corrected[order] = np.minimum(steps, 1.0)
    return corrected


def benjamini_hochberg(p: np.ndarray) -> np.ndarray:
    """Return p-values corrected after Benjamini and Hochberg (J. R. Stat. Soc. B 57(1), 1995): false discovery rate."""
    p = np.asarray(p, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    steps = p[order] * len(p) / np.arange(1, len(p) + 1)
    corrected = np.empty_like(p)
    corrected[order] = np.minimum(np.minimum.accumulate(steps[::-1])[::-1], 1.0)
    return corrected


_CORRECTIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "holm": holm,
    "benjamini_hochberg": benjamini_hochberg,
    "none": lambda p: np.asarray(p, dtype=np.float64),
}


def two_sided(statistic: np.ndarray, degrees: float = np.inf) -> np.ndarray:
    """Return the two-sided p of t values with `degrees` of freedom, of z values if infinite."""
    return np.asarray(2.0 * stats.t.sf(np.abs(statistic), degrees))


def williams(r_a: np.ndarray, r_b: np.ndarray, r_ab: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return Williams' t for two correlations with the same variable, and its two-sided p (n - 3 degrees of freedom).

    Parameters
    ----------
    r_a, r_b : correlation of each method with the opinions, shape (K,).
    r_ab : correlation of the two methods, shape (K,).
    n : number of images, at least 4.
    """
    r_a, r_b, r_ab = (np.asarray(r, dtype=np.float64) for r in (r_a, r_b, r_ab))
    determinant = np.maximum(1.0 - r_a**2 - r_b**2 - r_ab**2 + 2.0 * r_a * r_b * r_ab, 0.0)
    mean = (r_a + r_b) / 2.0
    scale = 2.0 * determinant * (n - 1) / (n - 3) + mean**2 * (1.0 - r_ab) ** 3
    t = _over(r_a - r_b, np.sqrt(scale / ((n - 1) * (1.0 + np.maximum(r_ab, -_LARGEST_R)))))
    return t, two_sided(t, n - 3)


def steiger(r_a: np.ndarray, r_b: np.ndarray, r_ab: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return Steiger's z (pooled correlation, Fisher's transformation) and its two-sided p; parameters as above."""
    r_a, r_b, r_ab = (np.clip(np.asarray(r, dtype=np.float64), -_LARGEST_R, _LARGEST_R) for r in (r_a, r_b, r_ab))
    mean = (r_a + r_b) / 2.0
    covariance = r_ab * (1.0 - 2.0 * mean**2) - mean**2 * (1.0 - 2.0 * mean**2 - r_ab**2) / 2.0
    share = np.minimum(covariance / (1.0 - mean**2) ** 2, 1.0)
    z = _over(np.arctanh(r_a) - np.arctanh(r_b), np.sqrt((2.0 - 2.0 * share) / (n - 3)))
    return z, two_sided(z)


def _over(difference: np.ndarray, error: np.ndarray) -> np.ndarray:
    """Return difference / error; equal values differ by 0 errors, whatever the error."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(difference == 0.0, 0.0, difference / np.maximum(error, np.finfo(float).tiny))


@dataclass(frozen=True)
class Residuals:
    """What is left of the opinions after each method's 5-parameter logistic.

    Attributes
    ----------
    mapped : predicted opinions, shape (M, N); the mean opinion where a method runs against its polarity.
    plcc : correlation of mapped scores and opinions with the sign of the SRCC, shape (M,).
    deviation : standard deviation of the residuals (N - 1 in the denominator), shape (M,).
    kurtosis : fourth over squared second moment of the residuals, shape (M,); a normal distribution has 3.
    """

    mapped: np.ndarray
    plcc: np.ndarray
    deviation: np.ndarray
    kurtosis: np.ndarray

    @property
    def gaussian(self) -> np.ndarray:
        """Whether the kurtosis lies within :data:`KURTOSIS`, shape (M,)."""
        return (self.kurtosis >= KURTOSIS[0]) & (self.kurtosis <= KURTOSIS[1])


def residuals(paired: Paired) -> Residuals:
    """Fit each method's logistic and describe what it leaves."""
    opinion = paired.opinion
    mapped, values = [], []
    for quality in paired.quality:
        right_way = srcc(quality, opinion) > 0
        curve = fit_logistic(quality, opinion)
        mapped.append(curve(quality) if right_way else np.full_like(opinion, opinion.mean()))
        values.append(curve.plcc if right_way else -curve.plcc)
    stacked = np.stack(mapped)
    error = opinion - stacked
    error = error - error.mean(axis=1, keepdims=True)
    # A method that equals the opinions leaves rounding; a floor keeps ratios of two such finite.
    variance = np.maximum(error.var(axis=1, ddof=1), 1e-24 * opinion.var(ddof=1))
    kurtosis = (error**4).mean(axis=1) / np.maximum((error**2).mean(axis=1), 1e-24 * opinion.var()) ** 2
    return Residuals(stacked, np.array(values), np.sqrt(variance), kurtosis)


def residual_table(paired: Paired, found: Residuals | None = None) -> pd.DataFrame:
    """Return ``dataset, method, plcc, deviation, kurtosis, gaussian, n_images``, one row a method."""
    found = found or residuals(paired)
    return pd.DataFrame(
        {
            "dataset": paired.dataset, "method": paired.methods, "plcc": found.plcc, "deviation": found.deviation,
            "kurtosis": found.kurtosis, "gaussian": found.gaussian, "n_images": len(paired.opinion),
        }
    )  # fmt: skip


def bootstrap_srcc(paired: Paired, draws: int, seed: int) -> np.ndarray:
    """Return the SRCC of every method under the same draws of references, shape (M, draws)."""
    multiplicities = intervals.draw_multiplicities(paired.references, draws, paired.dataset, seed)
    ranks = intervals.RankBootstrap(paired.opinion, paired.cluster, multiplicities)
    return np.stack([ranks(quality) for quality in paired.quality])


def rows_of(
    paired: Paired, test: str, values: np.ndarray, difference: np.ndarray, statistic: np.ndarray, p: np.ndarray,
    *, low: np.ndarray | None = None, high: np.ndarray | None = None, assumption: np.ndarray | None = None,
) -> pd.DataFrame:  # fmt: skip
    """Return one row for each pair of methods; the correction is still to come.

    Parameters
    ----------
    values : of each method, shape (M,).
    difference, statistic, p, low, high, assumption : of each pair, shape (M (M - 1) / 2,).
    """
    first, second = pairs_of(len(paired.methods))
    names = np.array(paired.methods, dtype=object)
    nothing = np.full(len(first), np.nan)
    return pd.DataFrame(
        {
            "dataset": paired.dataset, "method_a": names[first], "method_b": names[second], "test": test,
            "value_a": values[first], "value_b": values[second], "difference": difference,
            "low": nothing if low is None else low, "high": nothing if high is None else high,
            "statistic": statistic, "p": p, "p_corrected": p, "better": "",
            "assumption": np.ones(len(first), bool) if assumption is None else assumption,
            "n_images": len(paired.opinion), "n_references": paired.references,
        },
        columns=COMPARISON_COLUMNS,
    )  # fmt: skip


def decide(table: pd.DataFrame, correction: Correction, confidence: float) -> pd.DataFrame:
    """Correct p over the pairs of each dataset and test, and name the better method.

    Raises
    ------
    ConfigError
        If the correction is unknown.
    """
    if correction not in _CORRECTIONS:
        raise ConfigError(f"correction: {correction!r} is unknown; choose one of {', '.join(_CORRECTIONS)}")
    table = table.reset_index(drop=True)
    corrected = np.ones(len(table))
    for _, part in table.groupby(["dataset", "test"], sort=False):
        corrected[part.index] = _CORRECTIONS[correction](part["p"].to_numpy())
    sure = corrected < 1.0 - confidence
    difference = table["difference"].to_numpy()
    better = np.where(
        sure & (difference > 0), table["method_a"], np.where(sure & (difference < 0), table["method_b"], "")
    )
    return table.assign(p_corrected=corrected, better=better.astype(str))


def compare(
    paired: Paired, *, draws: int = 1000, confidence: float = 0.95, correction: Correction = "holm", seed: int = 0,
    tests: Sequence[str] = TESTS,
) -> pd.DataFrame:  # fmt: skip
    """Compare every two methods by every test.

    Parameters
    ----------
    paired : at least two methods.
    draws : of the bootstrap. Its interval holds the central percentiles; its p is of t = difference / standard
        deviation over draws with R - 1 degrees of freedom, since counting draws could not give a p small enough to
        survive a correction for many pairs.
    confidence : of intervals; the better method is named where ``p_corrected < 1 - confidence``.
    correction : over the pairs of one test.
    tests : some of :data:`TESTS`.

    Returns
    -------
    DataFrame
        :data:`COMPARISON_COLUMNS`, by test, then in the order of methods. With fewer than
        :data:`causaliqa.evaluate.intervals.MINIMUM_REFERENCES` references there are no rows of the bootstrap.

    Raises
    ------
    DataError
        If there are not two methods.
    ConfigError
        If a test or the correction is unknown.
    """
    if unknown := [test for test in tests if test not in TESTS]:
        raise ConfigError(f"tests: {unknown[0]!r} is unknown; choose some of {', '.join(TESTS)}")
    paired.need_two()
    first, second = pairs_of(len(paired.methods))
    n = len(paired.opinion)
    parts = []
    rank = np.stack([stats.rankdata(quality) for quality in paired.quality])
    monotone = np.array([srcc(quality, paired.opinion) for quality in paired.quality])
    if "bootstrap_srcc" in tests and paired.references >= intervals.MINIMUM_REFERENCES:
        samples = bootstrap_srcc(paired, draws, seed)
        spread = samples[first] - samples[second]
        difference = monotone[first] - monotone[second]
        t = _over(difference, spread.std(axis=1, ddof=1))
        tail = (1.0 - confidence) / 2.0
        low, high = np.quantile(spread, [tail, 1.0 - tail], axis=1)
        p = two_sided(t, paired.references - 1)
        parts.append(rows_of(paired, "bootstrap_srcc", monotone, difference, t, p, low=low, high=high))
    found = residuals(paired) if any(test.endswith(("plcc", "residuals")) for test in tests) else None
    for kind, values, scores in (
        ("srcc", monotone, rank),
        ("plcc", found.plcc if found else None, found.mapped if found else None),
    ):
        chosen = [
            (name, test) for name, test in (("williams", williams), ("steiger", steiger)) if f"{name}_{kind}" in tests
        ]
        if not chosen or values is None or scores is None:
            continue
        between = np.array([plcc(scores[a], scores[b]) for a, b in zip(first, second, strict=True)])
        for name, test in chosen:
            statistic, p = test(values[first], values[second], between, n)
            parts.append(rows_of(paired, f"{name}_{kind}", values, values[first] - values[second], statistic, p))
    if found is not None and "f_residuals" in tests:
        ratio = (found.deviation[first] / found.deviation[second]) ** 2
        p = np.minimum(1.0, 2.0 * np.minimum(stats.f.cdf(ratio, n - 1, n - 1), stats.f.sf(ratio, n - 1, n - 1)))
        parts.append(
            rows_of(
                paired, "f_residuals", found.deviation, found.deviation[second] - found.deviation[first], ratio, p,
                assumption=found.gaussian[first] & found.gaussian[second],
            )
        )  # fmt: skip
    table = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=COMPARISON_COLUMNS)
    return decide(table, correction, confidence) if len(table) else table


def significance_matrix(table: pd.DataFrame, test: str, methods: Sequence[str] | None = None) -> pd.DataFrame:
    """Return who beats whom: int8, 1 where the row's method is better than the column's, -1 where worse, 0 for a tie.

    Parameters
    ----------
    table : comparisons of one dataset.
    test : one of its tests.
    methods : order of rows and columns; None: as in the table.

    Raises
    ------
    DataError
        If the table holds several datasets, or no row of the test.
    """
    rows = table[table["test"] == test]
    if rows.empty or rows["dataset"].nunique() != 1:
        found = "no rows" if rows.empty else f"{rows['dataset'].nunique()} datasets"
        raise DataError(f"comparisons: {found} of test {test!r}; give the rows of one dataset and a test it has")
    names = list(dict.fromkeys([*rows["method_a"], *rows["method_b"]])) if methods is None else list(methods)
    place = {name: index for index, name in enumerate(names)}
    matrix = np.zeros((len(names), len(names)), dtype=np.int8)
    for a, b, better in zip(rows["method_a"], rows["method_b"], rows["better"], strict=True):
        if better and a in place and b in place:
            sign = 1 if better == a else -1
            matrix[place[a], place[b]], matrix[place[b], place[a]] = sign, -sign
    return pd.DataFrame(matrix, index=names, columns=names)


@dataclass(frozen=True)
class AverageRanks:
    """Average ranks of K methods over D datasets.

    Attributes
    ----------
    table : ``method, average_rank, n_datasets``, best first; rank 1 is best, ties share the mean of their ranks.
    friedman, p : Friedman's chi-square, corrected for ties, with K - 1 degrees of freedom, and its p.
    iman_davenport, p_iman_davenport : the less conservative F form, with K - 1 and (K - 1)(D - 1) degrees of freedom.
    critical_difference : of Nemenyi's test: two average ranks that differ by less are not told apart.
    groups : first and last row of `table` of each largest run of methods that are not told apart.
    descriptive : True with too few datasets or methods for these tests, see :func:`average_ranks`.
    """

    table: pd.DataFrame
    friedman: float
    p: float
    iman_davenport: float
    p_iman_davenport: float
    critical_difference: float
    groups: tuple[tuple[int, int], ...]
    descriptive: bool


def average_ranks(values: pd.DataFrame, *, confidence: float = 0.95) -> AverageRanks:
    """Rank methods within each dataset, average, and test after Friedman and Nemenyi (Demsar, JMLR 7, 2006).

    Datasets are the units here. The usual handful of quality databases is far from the more than ten (with more than
    five methods) for which the chi-square approximation was found good, and databases share contents and distortions,
    so they are no sample either: `descriptive` is then True, and the ranks and the critical difference only describe
    the table.

    Parameters
    ----------
    values : columns ``dataset, method, value``, larger is better; one row for each dataset and method.
    confidence : of the critical difference.

    Raises
    ------
    DataError
        If a dataset lacks a method or has it twice, a value is not finite, or there are not two of each.
    """
    if values.duplicated(["dataset", "method"]).any():
        twice = values[values.duplicated(["dataset", "method"])].iloc[0]
        raise DataError(f"{twice['dataset']}: two values for method {twice['method']!r}; give one")
    grid = values.pivot(index="dataset", columns="method", values="value").sort_index(axis=0).sort_index(axis=1)
    table = grid.to_numpy(dtype=np.float64)
    if not np.isfinite(table).all():
        row, column = np.argwhere(~np.isfinite(table))[0]
        raise DataError(
            f"{grid.index[row]}: no finite value for method {grid.columns[column]!r}; leave one of them out"
        )
    count, k = table.shape
    if count < 2 or k < 2:
        raise DataError(f"values: {count} datasets and {k} methods; average ranks need at least two of each")
    ranks = stats.rankdata(-table, axis=1)
    mean = ranks.mean(axis=0)
    spread = float((ranks**2).sum() - count * k * (k + 1) ** 2 / 4)
    friedman = float((k - 1) * count**2 * ((mean - (k + 1) / 2) ** 2).sum() / spread) if spread > 0 else 0.0
    rest = count * (k - 1) - friedman
    largest = float(np.finfo(float).max)
    f = float((count - 1) * friedman / rest) if rest > 1e-12 * count * k else (largest if friedman > 0 else 0.0)
    order = np.argsort(mean, kind="stable")
    critical = float(
        stats.studentized_range.ppf(confidence, k, np.inf) / np.sqrt(2) * np.sqrt(k * (k + 1) / (6 * count))
    )
    return AverageRanks(
        table=pd.DataFrame({"method": grid.columns[order], "average_rank": mean[order], "n_datasets": count}),
        friedman=friedman,
        p=float(stats.chi2.sf(friedman, k - 1)),
        iman_davenport=f,
        p_iman_davenport=float(stats.f.sf(f, k - 1, (k - 1) * (count - 1))),
        critical_difference=critical,
        groups=_groups(mean[order], critical),
        descriptive=count <= MINIMUM_DATASETS or k <= MINIMUM_METHODS,
    )


def _groups(ordered: np.ndarray, critical: float) -> tuple[tuple[int, int], ...]:
    """Return the largest runs (first, last) of sorted ranks within the critical difference, of two methods and more."""
    last = np.searchsorted(ordered, ordered + critical, side="left") - 1
    runs: list[tuple[int, int]] = []
    for start, stop in enumerate(last.tolist()):
        if stop > start and (not runs or stop > runs[-1][1]):
            runs.append((start, stop))
    return tuple(runs)
