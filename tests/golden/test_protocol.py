"""Known values of the protocol: published scores give published correlations; closed forms and scipy agree."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from causaliqa.errors import DataError
from causaliqa.evaluate.correlation import fit_logistic, krcc, logistic4, logistic5, plcc, srcc
from causaliqa.seeding import generator


@pytest.fixture(scope="module")
def published():
    folder = os.environ.get("CAUSALIQA_TEST_SCORES")
    if not folder:
        pytest.skip(
            "set CAUSALIQA_TEST_SCORES to the folder of published per-image scores (live.csv, tid2013.csv, ...)"
        )

    def read(database, column):
        table = pd.read_csv(Path(folder) / f"{database}.csv")
        return table[column].to_numpy(), table["score_in_file"].to_numpy()

    return read


# LIVE and CSIQ hold DMOS (higher is worse) and the distances grow with distortion: positive. The others hold MOS.
@pytest.mark.parametrize(
    ("database", "column", "images", "expected"),
    [
        ("live", "DeepWSD_VGG", 982, 0.9625),
        ("csiq", "DeepWSD_VGG", 750, 0.965),
        ("tid2013", "DeepWSD_VGG", 3000, -0.8806),
        ("kadid10k", "DeepWSD_VGG", 10125, -0.9016),
        ("pipal", "DeepWSD_VGG", 23200, -0.633),
    ],
)
def test_srcc_of_published_scores(published, database, column, images, expected):
    x, y = published(database, column)
    assert len(x) == images
    assert srcc(x, y) == pytest.approx(expected, abs=5.1e-4 if len(f"{abs(expected)}") < 6 else 5.1e-5)


def test_live_982_range_over_twelve_columns(published):
    columns = [f"Deep{m}_{n}" for m in ("JSD", "KLD", "WSD") for n in ("EfficientNet", "MobileNet", "Squeeze", "VGG")]
    values = [srcc(*published("live", column)) for column in columns]
    assert round(min(values), 4) == 0.9584
    assert round(max(values), 4) == 0.9659


def test_five_parameter_plcc_of_published_scores(published):
    assert fit_logistic(*published("tid2013", "DeepWSD_VGG")).plcc == pytest.approx(0.9022, abs=5.1e-5)


@pytest.mark.parametrize(
    ("database", "column", "raw", "fitted"),
    [("kadid10k", "DeepWSD_EfficientNet", 0.482, 0.901), ("live", "DeepJSD_VGG", 0.720, 0.944)],
)
def test_fit_leaves_the_linear_trap_on_published_scores(published, database, column, raw, fitted):
    x, y = published(database, column)
    assert abs(plcc(x, y)) == pytest.approx(raw, abs=1e-3)
    assert fit_logistic(x, y).plcc == pytest.approx(fitted, abs=1.5e-3)


@pytest.mark.parametrize("database", ["live", "csiq", "tid2013", "kadid10k", "ivc"])
def test_four_and_five_parameters_agree_and_never_fall_below_linear(published, database):
    x, y = published(database, "DeepWSD_VGG")
    five, four = fit_logistic(x, y, "5p"), fit_logistic(x, y, "4p")
    assert abs(five.plcc - four.plcc) < 0.003
    assert five.rmse <= four.rmse + 1e-9
    assert five.plcc >= abs(plcc(x, y)) - 1e-9


def test_tau_b_by_hand():
    # x has one tied pair, y has one other tied pair: 4 concordant, 0 discordant of 6; 4 / sqrt(5 * 5).
    assert krcc(np.array([1.0, 1.0, 2.0, 3.0]), np.array([1.0, 2.0, 3.0, 3.0])) == pytest.approx(0.8)


def test_spearman_with_ties_by_hand():
    # Ranks 1.5 1.5 3 4 and 1 2 3.5 3.5; sum of products 4, sums of squares 4.5 each.
    assert srcc(np.array([1.0, 1.0, 2.0, 3.0]), np.array([1.0, 2.0, 3.0, 3.0])) == pytest.approx(4 / 4.5)


@pytest.mark.parametrize("seed", range(5))
def test_equal_to_scipy(seed):
    random = generator("protocol", seed)
    x = np.round(random.normal(size=80), 1)
    y = np.round(0.6 * x + random.normal(size=80), 1)
    assert srcc(x, y) == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-12)
    assert krcc(x, y) == pytest.approx(stats.kendalltau(x, y).statistic, abs=1e-12)
    assert plcc(x, y) == pytest.approx(stats.pearsonr(x, y).statistic, abs=1e-12)


def test_sign_is_reported_as_is():
    x = np.arange(9.0)
    for correlation in (srcc, krcc, plcc):
        assert correlation(x, -x) == pytest.approx(-1)


@pytest.mark.parametrize("constant", [0.0, 3.5, 1e300])
def test_constant_scores_order_nothing(constant):
    x, y = np.full(10, constant), np.arange(10.0)
    for correlation in (srcc, krcc, plcc):
        assert correlation(x, y) == 0
        assert correlation(y, x) == 0
    for kind in ("5p", "4p"):
        fit = fit_logistic(x, y, kind)
        assert (fit.plcc, fit.converged) == (0.0, False)
        assert fit.rmse == pytest.approx(y.std())
        assert np.allclose(fit(np.array([constant, 0.0])), 4.5)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused_by_position(bad):
    x = np.arange(5.0)
    x[3] = bad
    with pytest.raises(DataError, match="score number 3 is not finite"):
        srcc(x, np.arange(5.0))


@pytest.mark.parametrize(("x", "y"), [(np.zeros(3), np.zeros(4)), (np.zeros(1), np.zeros(1))])
def test_vectors_that_cannot_be_paired_are_refused(x, y):
    with pytest.raises(DataError):
        fit_logistic(x, y)


@pytest.mark.parametrize("true", [(4.0, 3.0, 0.4, 0.5, 2.0), (-60.0, 0.2, 25.0, -0.1, 50.0)])
def test_logistic5_recovers_known_curve(true):
    x = np.linspace(true[2] - 4 / true[1], true[2] + 4 / true[1], 400)
    fit = fit_logistic(x, logistic5(x, np.array(true)), "5p")
    assert fit.converged
    assert fit.parameters == pytest.approx(true, rel=1e-3)
    assert fit.rmse < 1e-4 * np.ptp(logistic5(x, np.array(true)))


@pytest.mark.parametrize("true", [(5.0, 1.0, 30.0, 4.0), (0.0, 100.0, -0.2, 0.01)])
def test_logistic4_recovers_known_curve(true):
    x = np.linspace(true[2] - 5 * true[3], true[2] + 6 * true[3], 400)
    fit = fit_logistic(x, logistic4(x, np.array(true)), "4p")
    assert fit.converged
    assert fit.parameters == pytest.approx(true, rel=1e-3, abs=1e-3)


@pytest.mark.parametrize(("scale", "shift"), [(1e-6, 0.0), (1e6, 0.0), (1.0, 1e5), (-1.0, 0.0)])
def test_fit_does_not_depend_on_units(scale, shift):
    random = generator("units")
    x = random.normal(size=200)
    y = 1 / (1 + np.exp(-3 * x)) + 0.05 * random.normal(size=200)
    base, moved = fit_logistic(x, y), fit_logistic(scale * x + shift, y)
    assert moved.plcc == pytest.approx(base.plcc, abs=1e-5)
    assert np.allclose(moved(scale * x + shift), base(x), atol=2e-3)


def test_fit_with_outlying_scores_beats_the_line():
    # Most scores lie close together and a few far out, as with distances in deep feature spaces.
    random = generator("outliers")
    x = np.concatenate([random.uniform(0, 1, 300), random.uniform(5, 50, 20)])
    y = np.tanh(6 * (0.5 - x)) + 0.1 * random.normal(size=320)
    assert abs(plcc(x, y)) < 0.8
    assert fit_logistic(x, y).plcc > 0.95


def test_fit_keeps_the_direction_of_the_data():
    random = generator("direction")
    for _ in range(20):
        x = random.normal(size=25)
        y = 0.8 * x + 0.4 * random.normal(size=25)
        logistic = fit_logistic(x, y).parameters
        assert logistic[0] >= 0


@pytest.mark.parametrize("count", [2, 3, 4, 5])
def test_fewer_images_than_parameters_give_finite_results(count):
    x, y = np.arange(count, dtype=float), np.array([0.0, 2.0, 1.0, 3.0, 5.0])[:count]
    for kind in ("5p", "4p"):
        fit = fit_logistic(x, y, kind)
        assert np.isfinite([*fit.parameters, fit.plcc, fit.rmse]).all()
