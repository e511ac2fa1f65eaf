import numpy as np
import pytest
from scipy import stats

from causaliqa.evaluate import intervals
from causaliqa.seeding import generator


@pytest.fixture
def sample():
    random = generator("intervals")
    cluster = np.repeat(np.arange(4), [5, 7, 6, 4])
    x = np.round(random.normal(size=22) + cluster, 1)
    y = np.round(x + random.normal(size=22), 1)
    return x, y, cluster, intervals.draw_multiplicities(4, 40, "test")


def repeated(values, cluster, row):
    return np.concatenate([np.tile(values[cluster == c], n) for c, n in enumerate(row)])


def test_draws_are_seeded_and_keep_the_number_of_references():
    draws = intervals.draw_multiplicities(5, 200, "a", 0)
    assert draws.shape == (200, 5)
    assert (draws.sum(axis=1) == 5).all()
    assert np.array_equal(draws, intervals.draw_multiplicities(5, 200, "a", 0))
    assert not np.array_equal(draws, intervals.draw_multiplicities(5, 200, "a", 1))
    # Each reference is expected once a draw.
    assert np.allclose(draws.mean(axis=0), 1, atol=0.25)


def test_ranks_equal_those_of_the_repeated_list(sample):
    x, _, cluster, draws = sample
    weights = draws[:, cluster]
    ranks = intervals.weighted_ranks(x, weights)
    for row, weight, found in zip(draws, weights, ranks, strict=True):
        expected = np.sort(stats.rankdata(repeated(x, cluster, row)))
        assert np.allclose(np.sort(np.repeat(found, weight)), expected)


def test_srcc_and_krcc_equal_those_of_the_repeated_list(sample):
    x, y, cluster, draws = sample
    rank = intervals.RankBootstrap(y, cluster, draws)(x)
    tau = intervals.tau_b(intervals.pair_sums(x, y, cluster, 4), draws)
    for row, r, t in zip(draws, rank, tau, strict=True):
        xs, ys = repeated(x, cluster, row), repeated(y, cluster, row)
        assert r == pytest.approx(stats.spearmanr(xs, ys).statistic, abs=1e-12)
        assert t == pytest.approx(stats.kendalltau(xs, ys).statistic, abs=1e-12)


def test_plcc_and_rmse_equal_those_of_the_repeated_list(sample):
    x, y, cluster, draws = sample
    value, error = intervals.linear_from_moments(intervals.moments(x, y, cluster, 4), draws)
    for row, r, e in zip(draws, value, error, strict=True):
        xs, ys = repeated(x, cluster, row), repeated(y, cluster, row)
        assert r == pytest.approx(stats.pearsonr(xs, ys).statistic, abs=1e-10)
        assert e == pytest.approx(np.sqrt(np.mean((xs - ys) ** 2)), abs=1e-10)


def test_constant_scores_give_zero_not_nan(sample):
    x, y, cluster, draws = sample
    flat = np.full_like(x, 0.1)
    assert (intervals.RankBootstrap(y, cluster, draws)(flat) == 0).all()
    assert (intervals.tau_b(intervals.pair_sums(flat, y, cluster, 4), draws) == 0).all()
    assert (intervals.linear_from_moments(intervals.moments(flat, y, cluster, 4), draws)[0] == 0).all()


def test_a_dataset_without_drawn_references_has_no_value(sample):
    x, y, cluster, _ = sample
    nothing = np.zeros((1, 4), dtype=np.int64)
    assert np.isnan(intervals.RankBootstrap(y, cluster, nothing)(x)).all()
    assert np.isnan(intervals.tau_b(intervals.pair_sums(x, y, cluster, 4), nothing)).all()


def test_distinct_draws_restore_all_rows_up_to_proportion():
    rows, inverse = intervals.distinct_draws(np.array([[2, 0], [1, 1], [3, 0], [1, 1], [0, 0]]))
    assert rows.tolist() == [[0, 0], [1, 0], [1, 1]]
    assert rows[inverse].tolist() == [[1, 0], [1, 1], [1, 0], [1, 1], [0, 0]]


def test_percentile_interval_leaves_missing_draws_out():
    samples = np.concatenate([np.linspace(0, 1, 101), [np.nan] * 50])
    assert intervals.percentile_interval(samples, 0.9) == pytest.approx((0.05, 0.95))
    assert np.isnan(intervals.percentile_interval(np.array([np.nan]), 0.9)).all()


def test_interval_covers_the_truth_about_as_often_as_it_says():
    # Mean of clustered data: 30 references, interval of 90 %.
    hits = 0
    for trial in range(200):
        values = generator("coverage", trial).normal(size=30)
        draws = intervals.draw_multiplicities(30, 300, trial)
        low, high = intervals.percentile_interval(draws @ values / 30, 0.9)
        hits += low <= 0 <= high
    assert 0.83 <= hits / 200 <= 0.95
