import numpy as np
import pandas as pd
import pytest
from compared import toy
from scipy import stats

from causaliqa.errors import ConfigError, DataError
from causaliqa.evaluate import roc
from causaliqa.evaluate.comparison import COMPARISON_COLUMNS
from causaliqa.evaluate.paired import paired_arrays
from causaliqa.seeding import generator

NOISE = {"good": 0.2, "twin": 0.2, "bad": 1.5}


def errors(paired, size=0.3):
    return np.full(len(paired.opinion), size)


# ---- pairs -----------------------------------------------------------------------------------------------------------


def test_all_pairs_below_the_limit():
    found = roc.opinion_pairs(np.arange(5.0), np.zeros(5), limit=10)
    assert list(zip(found.first.tolist(), found.second.tolist(), strict=True)) == [
        (i, j) for i in range(5) for j in range(i + 1, 5)
    ]
    assert (found.order == -1).all()


def test_outcome_is_a_one_sided_z_test_as_in_the_authors_code():
    # Differences of 1.6449 and 1.64 errors; the normal distribution reaches .95 at 1.64485.
    opinion, error = np.array([0.0, 1.6449, 3.2849]), np.full(3, np.sqrt(0.5))
    assert roc.opinion_pairs(opinion, error).order.tolist() == [-1, -1, 0]
    assert roc.opinion_pairs(opinion[::-1].copy(), error).order.tolist() == [0, 1, 1]


def test_without_uncertainty_any_difference_counts_and_equal_opinions_are_similar():
    assert roc.opinion_pairs(np.array([1.0, 1.0, 1.001]), np.zeros(3)).order.tolist() == [0, -1, -1]


@pytest.mark.parametrize(("count", "limit"), [(7, 20), (50, 100), (300, 44849), (20000, 1000)])
def test_drawn_pairs_are_different_and_spread_over_all(count, limit):
    first, second = roc._some_pairs(count, limit, 0)
    assert len(first) == limit
    assert ((first >= 0) & (first < second) & (second < count)).all()
    assert len(set(zip(first.tolist(), second.tolist(), strict=True))) == limit
    again = roc._some_pairs(count, limit, 0)
    assert np.array_equal(again[0], first)
    if limit < count * count / 4:
        assert not np.array_equal(roc._some_pairs(count, limit, 1)[1], second)
    # Uniform over pairs: the mean of an index over all pairs is (count - 2) / 3 for the first.
    assert first.mean() == pytest.approx((count - 2) / 3, rel=0.25)


def test_every_pair_can_be_drawn():
    seen = set()
    for seed in range(300):
        seen |= set(zip(*(end.tolist() for end in roc._some_pairs(6, 4, seed)), strict=True))
    assert len(seen) == 15


@pytest.mark.parametrize(
    ("opinion", "error", "message"),
    [
        (np.arange(3.0), np.zeros(2), "two equal lists"),
        (np.zeros(1), np.zeros(1), "two equal lists"),
        (np.arange(3.0), np.array([0, -1.0, 0]), "number 1: is -1.0"),
        (np.arange(3.0), np.array([0, 0, np.nan]), "number 2: is nan"),
    ],
)
def test_opinions_that_cannot_be_paired_are_refused(opinion, error, message):
    with pytest.raises(DataError, match=message):
        roc.opinion_pairs(opinion, error)


@pytest.mark.parametrize("options", [{"confidence": 0.5}, {"confidence": 1.0}, {"limit": 0}])
def test_options_out_of_range_are_refused(options):
    with pytest.raises(ConfigError):
        roc.opinion_pairs(np.arange(3.0), np.zeros(3), **options)


def test_error_of_the_mean():
    assert roc.standard_error(np.array([2.0, 3.0]), 4).tolist() == [1.0, 1.5]
    assert roc.standard_error(np.array([2.0, 3.0]), np.array([1, 9])).tolist() == [2.0, 1.0]
    with pytest.raises(DataError, match="at least 1"):
        roc.standard_error(np.ones(2), np.array([3, 0]))
    with pytest.raises(DataError, match="standard deviation number 0"):
        roc.standard_error(np.array([-1.0]), 3)


# ---- DeLong ----------------------------------------------------------------------------------------------------------


def brute(positive, negative):
    return np.sign(positive[:, None] - negative[None, :]) / 2 + 0.5


def test_components_equal_their_definition_with_ties():
    random = generator("delong")
    positive, negative = np.round(random.normal(0.5, 1, (3, 40)), 1), np.round(random.normal(0, 1, (3, 25)), 1)
    auc, over, under = roc.delong(positive, negative)
    covariance = roc.delong_covariance(over, under)
    kernels = [brute(p, q) for p, q in zip(positive, negative, strict=True)]
    rows, columns = np.stack([k.mean(axis=1) for k in kernels]), np.stack([k.mean(axis=0) for k in kernels])
    assert auc == pytest.approx([k.mean() for k in kernels])
    assert over == pytest.approx(rows)
    assert under == pytest.approx(columns)
    assert covariance == pytest.approx(np.cov(rows) / 40 + np.cov(columns) / 25)


def test_auc_equals_scikit_learn():
    from sklearn.metrics import roc_auc_score

    random = generator("sklearn")
    positive, negative = random.normal(1, 1, (1, 60)), random.normal(0, 1, (1, 90))
    expected = roc_auc_score(np.repeat([1, 0], [60, 90]), np.concatenate([positive[0], negative[0]]))
    assert roc.delong(positive, negative)[0][0] == pytest.approx(expected)


def test_variance_is_that_of_repeated_samples():
    random = generator("variance")
    values, estimates = [], []
    for _ in range(1500):
        auc, over, under = roc.delong(random.normal(1, 1, (1, 30)), random.normal(0, 1, (1, 50)))
        values.append(auc[0])
        estimates.append(roc.delong_covariance(over, under)[0, 0])
    assert np.mean(estimates) == pytest.approx(np.var(values), rel=0.12)


def test_a_class_of_one_has_no_variance():
    _, over, under = roc.delong(np.ones((2, 1)), np.zeros((2, 5)))
    assert np.isnan(roc.delong_covariance(over, under)).all()


# ---- the analysis ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def analysed():
    paired = toy(0, NOISE)
    return paired, *roc.roc_analysis([(paired, errors(paired))])


def test_values_equal_their_definition(analysed):
    paired, values, _ = analysed
    assert list(values.columns) == roc.ROC_COLUMNS
    first, second = np.triu_indices(len(paired.opinion), 1)
    gap = paired.opinion[first] - paired.opinion[second]
    different = stats.norm.cdf(np.abs(gap) / np.hypot(0.3, 0.3)) >= 0.95
    for index, method in enumerate(paired.methods):
        delta = paired.quality[index][first] - paired.quality[index][second]
        part = values[values["method"] == method].set_index("analysis")
        ds, bw = part.loc["different_similar"], part.loc["better_worse"]
        assert ds["auc"] == pytest.approx(brute(np.abs(delta[different]), np.abs(delta[~different])).mean())
        signed = delta[different] * np.sign(gap[different])
        assert bw["auc"] == pytest.approx(brute(signed, -signed).mean())
        assert bw["correct"] == pytest.approx((signed > 0).mean())
        assert ds["threshold"] == pytest.approx(np.quantile(np.abs(delta[~different]), 0.95))
        assert (ds["n_pairs"], bw["n_pairs"], ds["n_different"]) == (len(first), different.sum(), different.sum())
        assert np.isnan(ds["correct"])
        assert np.isnan(bw["threshold"])


def test_the_better_method_is_named(analysed):
    _, values, table = analysed
    assert list(table.columns) == COMPARISON_COLUMNS
    assert set(table["test"]) == {
        "different_similar", "better_worse", "correct", "different_similar_delong", "better_worse_delong",
    }  # fmt: skip
    against_bad = table[table["method_b"] == "bad"]
    assert set(against_bad["better"]) <= {"good", "twin"}
    assert (against_bad["low"] > 0).all()
    twins = table[(table["method_b"] == "twin") & ~table["test"].str.endswith("_delong")]
    assert (twins["better"] == "").all()
    auc = values.set_index(["analysis", "method"])["auc"]
    assert (auc.xs("bad", level="method") < auc.xs("good", level="method")).all()


def test_errors_over_references_match_a_bootstrap_of_references():
    # Draw references and weigh each pair by the product of the multiplicities of its ends.
    paired = toy(3, {"a": 0.5, "b": 0.8}, references=25, each=6, shared=0.6)
    values, table = roc.roc_analysis([(paired, errors(paired))])
    random = generator("bootstrap of pairs")
    found = roc.opinion_pairs(paired.opinion, errors(paired))
    different = found.order != 0
    delta = paired.quality[:, found.first] - paired.quality[:, found.second]
    signed = delta[:, different] * found.order[different]
    ends = paired.cluster[found.first], paired.cluster[found.second]
    draws = {"different_similar": [], "better_worse": [], "correct": []}
    for _ in range(300):
        count = np.bincount(random.integers(0, 25, 25), minlength=25)
        weight = (count[ends[0]] * count[ends[1]]).astype(float)
        far, near = weight[different], weight[~different]
        draws["correct"].append([np.average(s > 0, weights=far) for s in signed])
        for test, positive, negative, w in (
            ("different_similar", np.abs(delta[:, different]), np.abs(delta[:, ~different]), near),
            ("better_worse", signed, -signed, far),
        ):
            line = []
            for p, q in zip(positive, negative, strict=True):
                order = np.argsort(q)
                below = np.concatenate([[0], np.cumsum(w[order])])[np.searchsorted(q[order], p)]
                line.append((far * below).sum() / (far.sum() * w.sum()))
            draws[test].append(line)
    for test in ("different_similar", "better_worse"):
        drawn = np.array(draws[test])
        mine = values[values["analysis"] == test]["error"].to_numpy()
        assert mine == pytest.approx(drawn.std(axis=0), rel=0.2)
        assert (mine > 2 * values[values["analysis"] == test]["error_delong"].to_numpy()).all()
    for test, samples in draws.items():
        row = table[table["test"] == test].iloc[0]
        drawn = np.array(samples)
        assert abs(row["difference"] / row["statistic"]) == pytest.approx((drawn[:, 0] - drawn[:, 1]).std(), rel=0.2)


def test_polarity_is_kept():
    paired = toy(1, {"a": 0.2})
    turned = paired_arrays("toy", ["a"], -paired.quality, paired.opinion, [f"{i:02d}" for i in paired.cluster])
    values, table = roc.roc_analysis([(turned, errors(turned))])
    assert table.empty
    assert list(table.columns) == COMPARISON_COLUMNS
    better = values[values["analysis"] == "better_worse"].iloc[0]
    assert better["auc"] < 0.1
    assert better["correct"] < 0.1


def test_a_constant_method_knows_nothing():
    paired = toy(2, {"a": 0.2, "b": 0.4})
    constant = paired_arrays(
        "toy", ["constant", "b"], paired.quality * [[0], [1]], paired.opinion, [f"{i:02d}" for i in paired.cluster]
    )
    values, table = roc.roc_analysis([(constant, errors(constant))])
    rows = values[values["method"] == "constant"]
    assert rows["auc"].tolist() == [0.5, 0.5]
    assert rows["correct"].iloc[1] == 0
    assert rows["error"].tolist() == [0.0, 0.0]
    assert set(table["better"]) == {"b"}
    assert np.isfinite(table["statistic"]).all()


def test_datasets_are_pooled_without_pairs_across_them():
    one, two = toy(4, NOISE, references=6), toy(5, NOISE, references=5)
    joined, _ = roc.roc_analysis([(one, errors(one)), (two, errors(two))])
    parts = [roc.roc_analysis([(p, errors(p))])[0] for p in (one, two)]
    assert joined["dataset"].unique().tolist() == ["toy+toy"]
    assert joined["n_pairs"].iloc[0] == sum(part["n_pairs"].iloc[0] for part in parts)
    assert joined["n_references"].iloc[0] == 11
    # The share in the right order is the mean over pairs, whichever dataset they are from.
    shares = [part[part["analysis"] == "better_worse"] for part in parts]
    expected = sum((part["correct"] * part["n_pairs"]).to_numpy() for part in shares) / sum(
        part["n_pairs"].to_numpy() for part in shares
    )
    assert joined[joined["analysis"] == "better_worse"]["correct"].to_numpy(float) == pytest.approx(expected)


def test_pairs_within_references_only():
    paired = toy(6, NOISE, references=6, each=8)
    values, _ = roc.roc_analysis([(paired, errors(paired))], within_references=True)
    assert values["n_pairs"].iloc[0] == 6 * 28


def test_deterministic_and_close_to_all_pairs_when_drawn():
    paired = toy(7, NOISE, references=20)
    every, _ = roc.roc_analysis([(paired, errors(paired))])
    some, table = roc.roc_analysis([(paired, errors(paired))], limit=5000)
    again, table_again = roc.roc_analysis([(paired, errors(paired))], limit=5000)
    pd.testing.assert_frame_equal(some, again)
    pd.testing.assert_frame_equal(table, table_again)
    assert some["n_pairs"].iloc[0] == 5000
    assert some["auc"].to_numpy() == pytest.approx(every["auc"].to_numpy(), abs=0.02)


def test_two_references_leave_delong_alone():
    paired = toy(8, NOISE, references=2, each=20)
    values, table = roc.roc_analysis([(paired, errors(paired))])
    assert values["error"].isna().all()
    assert set(table["test"]) == {"different_similar_delong", "better_worse_delong"}


def test_sets_that_cannot_be_analysed_are_refused():
    paired = toy(9, NOISE, references=4)
    with pytest.raises(DataError, match="no pair of images is different"):
        roc.roc_analysis([(paired, errors(paired, 1e6))])
    with pytest.raises(DataError, match="no pair of images is similar"):
        roc.roc_analysis([(paired, errors(paired, 0.0))])
    with pytest.raises(DataError, match="other methods than toy"):
        roc.roc_analysis([(paired, errors(paired)), (toy(9, {"x": 0.1}), np.ones(120))])
    with pytest.raises(DataError, match="no dataset"):
        roc.roc_analysis([])
