import numpy as np
import pandas as pd
import pytest
from compared import images_of, scored, toy
from scipy import stats

from causaliqa.errors import ConfigError, DataError
from causaliqa.evaluate import comparison as c
from causaliqa.evaluate.paired import paired_arrays, paired_scores
from causaliqa.seeding import generator


def names(paired):
    return [f"r{index:02d}" for index in paired.cluster]


NOISE = {"good": 0.3, "twin": 0.3, "bad": 1.5}


@pytest.fixture(scope="module")
def found():
    return c.compare(toy(0, NOISE), draws=400)


def row(table, test, a="good", b="bad"):
    part = table[(table["test"] == test) & (table["method_a"] == a) & (table["method_b"] == b)]
    assert len(part) == 1
    return part.iloc[0]


# ---- alignment -------------------------------------------------------------------------------------------------------


def test_scores_are_turned_and_put_in_the_order_of_images():
    images = images_of()
    up = images["score"].to_numpy()
    shuffled = generator("order").permutation(len(images))
    table = pd.concat([scored(images, up, "up"), scored(images, 5 - up, "down", higher_is_better=False).iloc[shuffled]])
    paired = paired_scores(table, images, higher_is_better=True)
    assert paired.methods == ("down", "up")
    assert np.array_equal(paired.quality[1], up)
    assert np.array_equal(paired.quality[0], up - 5)
    assert paired.references == 4
    turned = paired_scores(table, images, higher_is_better=False)
    assert np.array_equal(turned.opinion, -up)


def test_references_and_unrated_images_are_left_out():
    images = images_of()
    images.loc[0, "distortion"] = "reference"
    images.loc[1, "score"] = np.nan
    paired = paired_scores(scored(images, np.arange(24.0), "m"), images, higher_is_better=True)
    assert len(paired.opinion) == 22


def test_configurations_of_one_method_get_labels_of_their_own():
    images = images_of()
    values = np.arange(24.0)
    table = pd.concat([scored(images, values, "m", seed=seed, setting="supervised") for seed in (1, 2)])
    table = pd.concat([table, scored(images, values, "psnr")])
    assert paired_scores(table, images, higher_is_better=True).methods == ("m · 1", "m · 2", "psnr")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop(columns="seed"), "lacks seed"),
        (lambda t: t[t["image"] != "i003.png"], "no score for image 'i003.png'"),
        (lambda t: pd.concat([t, t.iloc[:1]]), "scores image 'i000.png' twice"),
        (lambda t: t.assign(dataset="other"), "toy: no scores"),
    ],
)
def test_score_tables_that_do_not_fit_are_refused(change, message):
    images = images_of()
    with pytest.raises(DataError, match=message):
        paired_scores(change(scored(images, np.arange(24.0), "m")), images, higher_is_better=True)


def test_two_datasets_need_a_name():
    images = pd.concat([images_of(), images_of().assign(dataset="b")])
    table = scored(images, np.arange(48.0), "m")
    with pytest.raises(DataError, match="name one with dataset"):
        paired_scores(table, images, higher_is_better=True)
    assert paired_scores(table, images, higher_is_better=True, dataset="b").dataset == "b"


@pytest.mark.parametrize(
    ("quality", "opinion", "message"),
    [
        (np.zeros((2, 5)), np.arange(4.0), "do not fit"),
        (np.zeros((1, 4)), np.arange(4.0), "do not fit"),
        (np.zeros((2, 3)), np.arange(3.0), "at least four"),
        (np.full((2, 4), np.nan), np.arange(4.0), "a number 0 is not finite"),
        (np.zeros((2, 4)), np.ones(4), "all opinions are equal"),
    ],
)
def test_arrays_that_cannot_be_compared_are_refused(quality, opinion, message):
    with pytest.raises(DataError, match=message):
        paired_arrays("toy", ["a", "b"], quality, opinion, [str(i) for i in range(len(opinion))])


def test_methods_of_one_name_are_refused():
    with pytest.raises(DataError, match="'a' is given twice"):
        paired_arrays("toy", ["a", "a"], np.zeros((2, 4)), np.arange(4.0), list("abcd"))


# ---- corrections -----------------------------------------------------------------------------------------------------


def test_holm_by_hand():
    assert c.holm(np.array([0.01, 0.04, 0.03, 0.005])) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_corrections_keep_order_and_bounds():
    p = generator("p").uniform(size=200) ** 3
    for correction in (c.holm, c.benjamini_hochberg):
        corrected = correction(p)
        assert (corrected >= p).all()
        assert corrected.max() <= 1
        assert (np.diff(corrected[np.argsort(p)]) >= 0).all()
    assert (c.benjamini_hochberg(p) <= c.holm(p)).all()


def test_benjamini_hochberg_equals_scipy():
    p = generator("bh").uniform(size=50)
    p[3] = p[7]
    assert c.benjamini_hochberg(p) == pytest.approx(stats.false_discovery_control(p, method="bh"), abs=1e-15)


# ---- correlations that share a variable ------------------------------------------------------------------------------


def test_williams_equals_the_worked_example():
    # Steiger (1980): n = 103, r = .5 and .4 with a common variable, .1 between: t = .89, p = .37.
    t, p = c.williams(np.array([0.5]), np.array([0.4]), np.array([0.1]), 103)
    assert t[0] == pytest.approx(0.89, abs=0.005)
    assert p[0] == pytest.approx(0.37, abs=0.006)


def test_williams_equals_the_documented_value_of_psych():
    # Examples of r.test in the R package psych: "p < 0.1000759".
    r_a, r_b, between = (np.array([r]) for r in (0.693458895410494, 0.695966022434845, 0.988475791500198))
    t, p = c.williams(r_a, r_b, between, 5105)
    assert p[0] == pytest.approx(0.1000759, abs=5e-8)
    assert t[0] < 0


@pytest.mark.parametrize("test", [c.williams, c.steiger])
def test_exchange_turns_the_sign_and_equal_methods_do_not_differ(test):
    a, b, between = np.array([0.9, 0.8, 1.0]), np.array([0.7, 0.8, 1.0]), np.array([0.6, 1.0, 1.0])
    one, p = test(a, b, between, 50)
    other, q = test(b, a, between, 50)
    assert one == pytest.approx(-other)
    assert p == pytest.approx(q)
    assert one[0] > 0
    assert (one[1], p[1], one[2], p[2]) == (0, 1, 0, 1)
    assert np.isfinite([*one, *p]).all()


@pytest.mark.parametrize("test", [c.williams, c.steiger])
def test_size_is_right_for_independent_gaussian_images(test):
    random = generator("size")
    n, trials = 60, 4000
    y = random.normal(size=(trials, n))
    a, b = (y + random.normal(size=(trials, n)) for _ in range(2))

    def correlation(u, v):
        u, v = u - u.mean(axis=1, keepdims=True), v - v.mean(axis=1, keepdims=True)
        return (u * v).sum(axis=1) / np.sqrt((u * u).sum(axis=1) * (v * v).sum(axis=1))

    p = test(correlation(a, y), correlation(b, y), correlation(a, b), n)[1]
    # Five standard errors of a share of .05 over 4000 trials.
    assert (p < 0.05).mean() == pytest.approx(0.05, abs=0.0173)


# ---- the table -------------------------------------------------------------------------------------------------------


def test_table_is_tidy_and_every_test_finds_the_better_method(found):
    assert list(found.columns) == c.COMPARISON_COLUMNS
    assert len(found) == 3 * len(c.TESTS)
    assert list(dict.fromkeys(found["test"])) == list(c.TESTS)
    for test in c.TESTS:
        best = row(found, test)
        assert best["better"] == "good"
        assert best["difference"] > 0
        twins = row(found, test, b="twin")
        assert twins["better"] == ""
        assert twins["p_corrected"] >= twins["p"]
    assert np.isfinite(found[["value_a", "value_b", "difference", "statistic", "p", "p_corrected"]]).all(axis=None)


def test_order_of_methods_changes_signs_only(found):
    paired = toy(0, NOISE)
    turned = c.compare(
        paired_arrays("toy", paired.methods[::-1], paired.quality[::-1], paired.opinion, names(paired)),
        draws=400,
    )  # fmt: skip
    for test in c.TESTS:
        one, other = row(found, test), row(turned, test, "bad", "good")
        assert other["difference"] == pytest.approx(-one["difference"], abs=1e-12)
        assert other["p"] == pytest.approx(one["p"], rel=1e-6)
        assert other["better"] == one["better"]


def test_bootstrap_interval_holds_the_difference_of_two_srcc(found):
    paired = toy(0, NOISE)
    best = row(found, "bootstrap_srcc")
    values = [stats.spearmanr(paired.quality[i], paired.opinion).statistic for i in (0, 2)]
    assert best["difference"] == pytest.approx(values[0] - values[1], abs=1e-12)
    assert best["low"] < best["difference"] < best["high"]
    assert best["low"] > 0


def test_same_seed_same_bytes_other_seed_other_draws():
    paired = toy(1, NOISE, references=5)
    one, again, other = (c.compare(paired, draws=100, seed=seed) for seed in (3, 3, 4))
    pd.testing.assert_frame_equal(one, again)
    assert one["low"].iloc[0] != other["low"].iloc[0]


def test_a_method_against_its_polarity_is_the_worst_not_the_best():
    paired = toy(2, {"good": 0.3, "upside_down": 0.05})
    paired = paired_arrays("toy", paired.methods, paired.quality * [[1], [-1]], paired.opinion, names(paired))
    table = c.compare(paired, draws=200)
    assert (table["better"] == "good").all()
    assert (table.loc[table["test"] != "f_residuals", "value_b"] < -0.9).all()
    left = c.residual_table(paired)
    # The best mapping that does not turn it round is the mean: all of the opinions' spread is left.
    assert left.loc[1, "deviation"] == pytest.approx(paired.opinion.std(ddof=1))


def test_f_test_equals_its_definition(found):
    paired = toy(0, NOISE)
    left = c.residuals(paired)
    best = row(found, "f_residuals")
    error = [paired.opinion - left.mapped[i] for i in (0, 2)]
    ratio = error[0].var(ddof=1) / error[1].var(ddof=1)
    n = len(paired.opinion)
    assert best["statistic"] == pytest.approx(ratio)
    assert best["p"] == pytest.approx(2 * stats.f.cdf(ratio, n - 1, n - 1))
    kurtosis = stats.kurtosis(error[0], fisher=False)
    assert left.kurtosis[0] == pytest.approx(kurtosis)
    assert left.gaussian[0] == (2 <= kurtosis <= 4)


def test_heavy_tails_are_flagged():
    random = generator("tails")
    opinion = random.normal(size=400)
    quality = np.stack([opinion + 0.3 * random.normal(size=400), opinion + 0.1 * random.standard_cauchy(size=400)])
    paired = paired_arrays("toy", ["normal", "cauchy"], quality, opinion, [str(i % 20) for i in range(400)])
    assert c.residual_table(paired)["gaussian"].tolist() == [True, False]
    table = c.compare(paired, tests=["f_residuals", "steiger_plcc"])
    assert table.set_index("test")["assumption"].to_dict() == {"f_residuals": False, "steiger_plcc": True}


def test_size_of_the_bootstrap_where_images_of_a_reference_hang_together():
    # Two equally good methods, much of whose noise is common to a reference.
    p = {"bootstrap_srcc": [], "williams_srcc": []}
    for seed in range(150):
        table = c.compare(toy(seed, {"a": 0.6, "b": 0.6}, references=20, each=8, shared=0.7), draws=100, tests=list(p))
        for test, values in p.items():
            values.append(table.set_index("test").loc[test, "p"])
    # 5 % are due; four standard errors over 150 sets. Williams takes 160 independent images where there are 20.
    assert np.mean(np.array(p["bootstrap_srcc"]) < 0.05) < 0.05 + 4 * np.sqrt(0.05 * 0.95 / 150)
    assert np.mean(np.array(p["williams_srcc"]) < 0.05) > 0.15


def test_constant_and_perfect_methods_give_finite_rows():
    paired = toy(5, {"a": 0.5, "b": 0.5})
    quality = np.stack([np.zeros_like(paired.opinion), paired.opinion, paired.opinion.copy()])
    table = c.compare(
        paired_arrays("toy", ["constant", "perfect", "same"], quality, paired.opinion, names(paired)),
        draws=100,
    )
    numbers = ["value_a", "value_b", "difference", "statistic", "p", "p_corrected"]
    assert np.isfinite(table[numbers]).all(axis=None)
    for test in c.TESTS:
        assert row(table, test, "constant", "perfect")["better"] == "perfect"
        assert row(table, test, "perfect", "same")["better"] == ""


def test_two_references_give_no_bootstrap():
    table = c.compare(toy(6, NOISE, references=2, each=30), draws=100)
    assert "bootstrap_srcc" not in set(table["test"])
    assert len(table) == 3 * (len(c.TESTS) - 1)


def test_choices_that_do_not_exist_are_refused():
    paired = toy(7, NOISE, references=4)
    with pytest.raises(ConfigError, match="tests: 't' is unknown"):
        c.compare(paired, tests=["t"])
    with pytest.raises(ConfigError, match="correction: 'bonferroni' is unknown"):
        c.compare(paired, correction="bonferroni", tests=["f_residuals"])
    with pytest.raises(DataError, match="at least two"):
        c.compare(toy(7, {"alone": 0.1}))


# ---- significance matrix ---------------------------------------------------------------------------------------------


def test_matrix_is_antisymmetric_and_follows_the_table(found):
    matrix = c.significance_matrix(found, "bootstrap_srcc")
    assert matrix.loc["good"].tolist() == [0, 0, 1]
    assert matrix.loc["bad"].tolist() == [-1, -1, 0]
    assert (matrix.to_numpy() == -matrix.to_numpy().T).all()
    assert list(c.significance_matrix(found, "bootstrap_srcc", ["bad", "good"]).index) == ["bad", "good"]


def test_matrix_of_no_rows_or_two_datasets_is_refused(found):
    with pytest.raises(DataError, match="no rows of test 'x'"):
        c.significance_matrix(found, "x")
    with pytest.raises(DataError, match="2 datasets"):
        c.significance_matrix(pd.concat([found, found.assign(dataset="b")]), "f_residuals")


# ---- ranks over datasets ---------------------------------------------------------------------------------------------


def long(grid):
    return pd.DataFrame(
        [(f"d{i:02d}", f"m{j}", value) for i, line in enumerate(grid) for j, value in enumerate(line)],
        columns=["dataset", "method", "value"],
    )


def test_friedman_equals_scipy():
    grid = np.round(generator("friedman").normal(size=(9, 4)), 1)
    found = c.average_ranks(long(grid))
    expected = stats.friedmanchisquare(*grid.T)
    assert found.friedman == pytest.approx(expected.statistic)
    assert found.p == pytest.approx(expected.pvalue)
    ranks = stats.rankdata(-grid, axis=1).mean(axis=0)
    assert found.table.set_index("method").loc["m2", "average_rank"] == pytest.approx(ranks[2])


def test_critical_difference_of_the_published_example():
    # Demsar (2006), 3.2.2: four methods on 14 datasets, 2.569 sqrt(4 * 5 / (6 * 14)) = 1.25.
    found = c.average_ranks(long(generator("demsar").normal(size=(14, 4))))
    assert found.critical_difference == pytest.approx(1.25, abs=0.005)
    assert found.descriptive  # only four methods


@pytest.mark.parametrize(
    ("k", "q"),
    [(2, 1.960), (3, 2.343), (4, 2.569), (5, 2.728), (6, 2.850), (7, 2.949), (8, 3.031), (9, 3.102), (10, 3.164)],
)
def test_nemenyi_uses_the_published_critical_values(k, q):
    found = c.average_ranks(long(generator("q", k).normal(size=(12, k))))
    assert found.critical_difference / np.sqrt(k * (k + 1) / (6 * 12)) == pytest.approx(q, abs=1.1e-3)
    assert found.descriptive == (k <= 5)


def test_groups_are_the_largest_runs_within_the_difference():
    assert c._groups(np.array([1.0, 1.5, 2.2, 4.0]), 1.0) == ((0, 1), (1, 2))
    assert c._groups(np.array([1.0, 3.0, 5.0]), 1.0) == ()
    assert c._groups(np.array([1.0, 1.2, 1.4]), 9.0) == ((0, 2),)
    assert c._groups(np.array([1.0, 2.0]), 1.0) == ()  # a difference of just the critical one is one


def test_few_datasets_are_descriptive_and_ties_everywhere_are_no_difference():
    grid = np.tile([1.0, 1.0, 1.0], (4, 1))
    found = c.average_ranks(long(grid))
    assert (found.friedman, found.p, found.iman_davenport) == (0.0, 1.0, 0.0)
    assert found.descriptive
    same = c.average_ranks(long(np.tile([3.0, 2.0, 1.0], (4, 1))))
    assert same.table["method"].tolist() == ["m0", "m1", "m2"]
    assert np.isfinite([same.iman_davenport, same.p_iman_davenport]).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.iloc[1:], "d00: no finite value for method 'm0'"),
        (lambda t: pd.concat([t, t.iloc[:1]]), "d00: two values for method 'm0'"),
        (lambda t: t[t["dataset"] == "d00"], "1 datasets and 3 methods"),
    ],
)
def test_incomplete_values_are_refused(change, message):
    with pytest.raises(DataError, match=message):
        c.average_ranks(change(long(np.arange(12.0).reshape(4, 3))))
