"""Agreement of a metric with opinion scores: rank correlations, and linear correlation after a logistic mapping.

Signs are reported as they are: an absolute value would let a polarity error look like success. A constant score
orders nothing, so its correlation is 0, never NaN.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.optimize import least_squares
from scipy.stats import kendalltau, rankdata

from causaliqa.errors import DataError

Kind = Literal["5p", "4p"]

#: Largest argument of exp that is used: beyond it a logistic is flat to double precision.
_EXP_LIMIT = 60.0
#: Range of steepness and of the centre (at least), on standardised scores. A fit that ends at its border is a straight
#: line or a step, where the parameters mean nothing: it is flagged as not converged, its error still counts.
_STEEPNESS = (0.05, 50.0)
_CENTRE = 8.0


def _paired(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    x = np.asarray(x, dtype=np.float64)
    y = np.asarray(y, dtype=np.float64)
    if x.ndim != 1 or x.shape != y.shape:
        raise DataError(f"correlation needs two vectors of equal length, not the shapes {x.shape} and {y.shape}")
    if x.size < 2:
        raise DataError(f"correlation needs at least two images, found {x.size}")
    for name, values in (("score", x), ("opinion", y)):
        if not np.isfinite(values).all():
            raise DataError(
                f"{name} number {int(np.flatnonzero(~np.isfinite(values))[0])} is not finite; repair the score table"
            )
    return x, y


def _is_constant(values: np.ndarray) -> bool:
    return bool(values.max() == values.min())


def plcc(x: np.ndarray, y: np.ndarray) -> float:
    """Return Pearson's linear correlation of raw values, in [-1, 1]; 0 if one of them is constant.

    Parameters
    ----------
    x, y : arrays of shape (N,), N >= 2, finite.

    Raises
    ------
    DataError
        If the shapes differ, N < 2 or a value is not finite.
    """
    x, y = _paired(x, y)
    if _is_constant(x) or _is_constant(y):
        return 0.0
    # Scaling first keeps the squares of huge or tiny scores in range.
    x = (x - x.mean()) / np.abs(x - x.mean()).max()
    y = (y - y.mean()) / np.abs(y - y.mean()).max()
    return float(np.clip(x @ y / np.sqrt((x @ x) * (y @ y)), -1.0, 1.0))


def srcc(x: np.ndarray, y: np.ndarray) -> float:
    """Return Spearman's rank correlation with average ranks for ties, in [-1, 1]; 0 if one side is constant.

    Parameters and errors as in :func:`plcc`.
    """
    x, y = _paired(x, y)
    return plcc(rankdata(x), rankdata(y))


def krcc(x: np.ndarray, y: np.ndarray) -> float:
    """Return Kendall's tau-b, in [-1, 1]; 0 if one side is constant.

    tau-b = (concordant - discordant) / sqrt((pairs untied in x) (pairs untied in y)). Parameters and errors as in
    :func:`plcc`.
    """
    x, y = _paired(x, y)
    if _is_constant(x) or _is_constant(y):
        return 0.0
    return float(kendalltau(x, y, variant="b").statistic)


def logistic5(x: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return ``b1 (1/2 - 1/(1 + exp(b2 (x - b3)))) + b4 x + b5`` (Sheikh, Sabir, Bovik, IEEE TIP 15(11), 2006)."""
    z = np.clip(b[1] * (x - b[2]), -_EXP_LIMIT, _EXP_LIMIT)
    return np.asarray(b[0] * (0.5 - 1.0 / (1.0 + np.exp(z))) + b[3] * x + b[4])


def logistic4(x: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return ``(b1 - b2) / (1 + exp(-(x - b3)/|b4|)) + b2`` (VQEG, final report on FR-TV phase I, 2000)."""
    z = np.clip((x - b[2]) / max(abs(b[3]), 1e-12), -_EXP_LIMIT, _EXP_LIMIT)
    return np.asarray((b[0] - b[1]) / (1.0 + np.exp(-z)) + b[1])


def _sigmoid(z: np.ndarray) -> np.ndarray:
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(z, -_EXP_LIMIT, _EXP_LIMIT))))


@dataclass(frozen=True)
class LogisticFit:
    """A fitted mapping from scores to opinions.

    Attributes
    ----------
    kind : ``5p`` or ``4p``.
    parameters : b1 to b5, or b1 to b4, in the units of the scores.
    converged : whether the optimiser ended at an interior minimum; False also for a fit that degenerates to a line or a
        step, and for constant scores, where there is nothing to fit.
    plcc : linear correlation of mapped scores and opinions, in [-1, 1].
    rmse : root mean square of (mapped score - opinion), in units of the opinions.
    """

    kind: Kind
    parameters: tuple[float, ...]
    converged: bool
    plcc: float
    rmse: float

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Map scores of any shape (N,) to opinions, shape (N,)."""
        function = logistic5 if self.kind == "5p" else logistic4
        return function(np.asarray(x, dtype=np.float64), np.asarray(self.parameters))


def _design(kind: Kind, z: np.ndarray, steepness: float, centre: float) -> np.ndarray:
    """Columns in which the mapping is linear once steepness and centre are fixed; shape (N, 3) or (N, 2)."""
    s = _sigmoid(steepness * (z - centre))
    columns = [s - 0.5, z, np.ones_like(z)] if kind == "5p" else [s, 1.0 - s]
    return np.stack(columns, axis=1)


def _solve(design: np.ndarray, y: np.ndarray, sign: float) -> tuple[np.ndarray, np.ndarray]:
    """Return linear coefficients and residuals; the logistic part may not run against `sign`, that of the SRCC."""
    coefficients = np.linalg.lstsq(design, y, rcond=None)[0]
    rise = coefficients[0] if design.shape[1] == 3 else coefficients[0] - coefficients[1]
    if rise * sign < 0:
        # Else a few images at one end could bend the mapping back into a spike; a line or a mean is left.
        rest = design[:, 1:] if design.shape[1] == 3 else np.ones((len(y), 1))
        left = np.linalg.lstsq(rest, y, rcond=None)[0]
        coefficients = np.array([0.0, *left]) if design.shape[1] == 3 else np.repeat(left, 2)
    return coefficients, design @ coefficients - y


def fit_logistic(x: np.ndarray, y: np.ndarray, kind: Kind = "5p") -> LogisticFit:
    """Fit a logistic mapping by least squares from several starts and keep the best.

    Both mappings are linear in all parameters but steepness and centre. So scores are standardised, the linear part
    is solved exactly (variable projection: Golub and Pereyra, SIAM J. Numer. Anal. 10(2), 1973), and only two
    parameters are searched: a grid of starts, then a bounded trust region from the best ones. The logistic part
    keeps the sign of the SRCC. A poor single start is the classical trap: from (10, 0, mean, .1, .1), as in some
    public code, the gradient in b1 and b3 is zero and the fit silently stays linear.

    Parameters
    ----------
    x : scores, shape (N,), N >= 2.
    y : opinions, shape (N,).
    kind : ``5p``, :func:`logistic5`, or ``4p``, :func:`logistic4`.

    Raises
    ------
    DataError
        As in :func:`plcc`.
    """
    x, y = _paired(x, y)
    if _is_constant(x) or _is_constant(y):
        mean = float(y.mean())
        flat = (0.0, 0.0, 0.0, 0.0, mean) if kind == "5p" else (mean, mean, 0.0, 1.0)
        return LogisticFit(kind, flat, False, 0.0, float(y.std()))
    centre = float(x.mean())
    scale = float(np.abs(x - centre).max())
    # Half the scores set the unit: a few far ones, common with distances, must not flatten all others.
    quarter, three_quarters = np.quantile((x - centre) / scale, [0.25, 0.75])
    spread = float(three_quarters - quarter) / 1.349
    deviation = (spread if spread > 1e-6 else float(((x - centre) / scale).std())) * scale
    z = (x - centre) / deviation
    sign = -1.0 if srcc(x, y) < 0 else 1.0

    def residual(theta: np.ndarray) -> np.ndarray:
        return _solve(_design(kind, z, float(np.exp(theta[0])), float(theta[1])), y, sign)[1]

    lower = np.array([np.log(_STEEPNESS[0]), min(-_CENTRE, z.min())])
    upper = np.array([np.log(_STEEPNESS[1]), max(_CENTRE, z.max())])
    centres = sorted(
        {*np.quantile(z, [0.05, 0.25, 0.5, 0.75, 0.95]).tolist(), -1.5, 1.5, float(z.min()), float(z.max())}
    )
    starts = []
    for steepness in (0.15, 0.6, 2.0, 8.0):
        # One start a steepness, the best of its centres: basins differ mainly in steepness.
        candidates = [np.array([np.log(steepness), at]) for at in centres]
        starts.append(min(candidates, key=lambda theta: float(np.square(residual(theta)).sum())))
    best: tuple[float, np.ndarray, bool] | None = None
    for start in starts:
        start = np.clip(start, lower + 1e-6, upper - 1e-6)
        found = least_squares(residual, start, bounds=(lower, upper), xtol=1e-9, ftol=1e-10, gtol=1e-10, max_nfev=100)
        inside = not np.any(found.active_mask)
        if np.isfinite(found.cost) and (best is None or found.cost < best[0] * (1 - 1e-9)):
            best = (float(found.cost), np.asarray(found.x), bool(found.success) and inside)
    if best is None:
        raise DataError("the logistic fit found no finite solution; look for extreme values in the score table")
    _, theta, converged = best
    steepness, middle = float(np.exp(theta[0])), float(theta[1])
    design = _design(kind, z, steepness, middle)
    b, error = _solve(design, y, sign)
    if kind == "5p":
        # In units of the scores; 1/2 - 1/(1 + e^u) = sigmoid(u) - 1/2.
        parameters = [
            b[0],
            steepness / deviation,
            centre + deviation * middle,
            b[1] / deviation,
            b[2] - b[1] * centre / deviation,
        ]
    else:
        parameters = [b[0], b[1], centre + deviation * middle, deviation / steepness]
    mapped = error + y
    rmse = float(np.sqrt(np.mean(error**2)))
    return LogisticFit(kind, tuple(float(value) for value in parameters), converged, plcc(mapped, y), rmse)
