"""Agreement of one method with one set of opinions: every coefficient, and each under bootstrap draws."""

from __future__ import annotations

import numpy as np

from causaliqa.evaluate import intervals
from causaliqa.evaluate.correlation import fit_logistic, krcc, plcc, srcc

#: Tests, in the order of tables. ``plcc`` and ``rmse`` follow the 5-parameter logistic, ``plcc_4p`` the other one.
TESTS = ("srcc", "krcc", "plcc", "rmse", "plcc_4p", "plcc_raw")


class Agreement:
    """Agreement of quality `x` with opinion `y`.

    Parameters
    ----------
    x, y : shape (N,), larger is better in both.
    cluster : shape (N,), index of each image's reference in [0, size).
    size : number of references.

    Attributes
    ----------
    values : value by test, see :data:`TESTS`.
    fits : the 5- and the 4-parameter logistic.
    """

    def __init__(self, x: np.ndarray, y: np.ndarray, cluster: np.ndarray, size: int) -> None:
        five, four = fit_logistic(x, y, "5p"), fit_logistic(x, y, "4p")
        self.fits = (five, four)
        self.values: dict[str, float] = {
            "srcc": srcc(x, y), "krcc": krcc(x, y), "plcc": five.plcc, "rmse": five.rmse,
            "plcc_4p": four.plcc, "plcc_raw": plcc(x, y),
        }  # fmt: skip
        self._x = x
        self._mapped = intervals.moments(five(x), y, cluster, size)
        self._mapped4 = intervals.moments(four(x), y, cluster, size)
        self._plain = intervals.moments((x - x.mean()) / (np.abs(x - x.mean()).max() or 1.0), y, cluster, size)
        self._pairs = intervals.pair_sums(x, y, cluster, size)

    def drawn(self, multiplicities: np.ndarray, ranks: intervals.RankBootstrap) -> dict[str, np.ndarray]:
        """Return each test's values (B,) under `multiplicities` (B, size), those that `ranks` was made with."""
        linear, rmse = intervals.linear_from_moments(self._mapped, multiplicities)
        return {
            "srcc": ranks(self._x),
            "krcc": intervals.tau_b(self._pairs, multiplicities),
            "plcc": linear,
            "rmse": rmse,
            "plcc_4p": intervals.linear_from_moments(self._mapped4, multiplicities)[0],
            "plcc_raw": intervals.linear_from_moments(self._plain, multiplicities)[0],
        }
