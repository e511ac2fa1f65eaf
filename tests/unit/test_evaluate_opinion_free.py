import numpy as np
import pandas as pd
import pytest
from scipy import stats

from causaliqa.evaluate import opinion_free
from causaliqa.seeding import generator


def test_d_test_of_separable_and_of_constant_scores():
    pristine = np.array([True, True, False, False])
    assert opinion_free.d_test(np.array([4.0, 3.0, 2.0, 1.0]), pristine) == 1
    assert opinion_free.d_test(np.array([1.0, 1.0, 1.0, 1.0]), pristine) == 0.5
    # Reversed polarity is no success: the best threshold is then to call everything distorted.
    assert opinion_free.d_test(np.array([1.0, 2.0, 3.0, 4.0]), pristine) == 0.5


def test_d_test_is_the_best_of_all_thresholds():
    random = generator("d-test")
    quality = np.round(random.normal(size=40), 1)
    pristine = random.random(40) < 0.3
    quality[pristine] += 0.7
    rates = [
        0.5 * ((quality[pristine] > t).mean() + (quality[~pristine] <= t).mean())
        for t in [*np.unique(quality), -np.inf]
    ]
    assert opinion_free.d_test(quality, pristine)[0] == pytest.approx(max(rates))


def test_d_test_weights_repeat_images():
    random = generator("d-weights")
    quality, pristine = random.normal(size=30), np.arange(30) < 8
    weights = random.integers(0, 3, size=(10, 30))
    found = opinion_free.d_test(quality, pristine, weights)
    for row, value in zip(weights, found, strict=True):
        expected = opinion_free.d_test(np.repeat(quality, row), np.repeat(pristine, row))[0]
        assert value == pytest.approx(expected, nan_ok=True)


@pytest.fixture
def ladder_images():
    rows = [(r, t, level) for r in range(3) for t in ("blur", "jpeg") for level in range(1, 6)]
    rows += [(0, "imperceptible", 0), (1, "blur@2+jpeg@3", 0), (2, "noise", 3)]
    table = pd.DataFrame(rows, columns=["reference", "distortion", "level"]).sample(frac=1, random_state=3)
    return table.reset_index(drop=True)


def test_severity_srcc_is_spearman_of_each_ladder(ladder_images):
    quality = np.round(generator("ladder").normal(size=len(ladder_images)), 1) - 0.4 * ladder_images["level"].to_numpy()
    found = opinion_free.ladders(ladder_images, ladder_images["reference"].to_numpy())
    values = opinion_free.severity_srcc(quality, found)
    # One level of noise is no ladder; copies and compositions have no level.
    assert len(found.keys) == 6
    for (reference, distortion), value in zip(found.keys, values, strict=True):
        rows = ladder_images[(ladder_images["reference"] == reference) & (ladder_images["distortion"] == distortion)]
        expected = stats.spearmanr(rows["level"], -quality[rows.index]).statistic
        assert value == pytest.approx(expected)
    assert opinion_free.l_test(quality, ladder_images, ladder_images["reference"].to_numpy()) == pytest.approx(
        values.mean()
    )


def test_l_test_ends(ladder_images):
    cluster, level = ladder_images["reference"].to_numpy(), ladder_images["level"].to_numpy(dtype=float)
    assert opinion_free.l_test(-level, ladder_images, cluster) == pytest.approx(1)
    assert opinion_free.l_test(level, ladder_images, cluster) == pytest.approx(-1)
    assert opinion_free.l_test(np.zeros_like(level), ladder_images, cluster) == 0


def test_clear_pairs_need_every_member_and_the_gap():
    members = np.array([[0.0, 1.0, 2.0, 3.0, 4.0], [0.0, 1.0, 3.0, 2.0, 4.0]])
    pairs = opinion_free.clear_pairs(members, 0.5, 100, "x")
    # Ranks / 4: images 2 and 3 change places, so 2 beats 0 and 4 beats 1 by two or more ranks in both, and so on.
    assert {tuple(pair) for pair in pairs.tolist()} == {(2, 0), (3, 0), (4, 0), (4, 1)}


def test_clear_pairs_are_sampled_by_seed_without_repetition():
    members = np.stack([np.arange(100.0), np.arange(100.0)])
    pairs = opinion_free.clear_pairs(members, 0.25, 50, "x")
    assert len(pairs) == len(np.unique(pairs, axis=0)) == 50
    assert np.array_equal(pairs, opinion_free.clear_pairs(members, 0.25, 50, "x"))
    assert not np.array_equal(pairs, opinion_free.clear_pairs(members, 0.25, 50, "y"))


def test_clear_pairs_of_large_sets_obey_the_same_rule(monkeypatch):
    monkeypatch.setattr(opinion_free, "_ENUMERATE", 10)
    members = generator("large").normal(size=(3, 200)) * 0.2 + np.arange(200) / 20
    pairs = opinion_free.clear_pairs(members, 0.25, 300, "x")
    ranks = (stats.rankdata(members, axis=1) - 1) / 199
    assert len(pairs) == len(np.unique(pairs, axis=0)) == 300
    assert ((ranks[:, pairs[:, 0]] - ranks[:, pairs[:, 1]]).min(axis=0) >= 0.25).all()


def test_p_test_counts_ties_as_wrong():
    pairs = np.array([[0, 1], [1, 2], [0, 2]])
    assert opinion_free.p_test(np.array([3.0, 2.0, 1.0]), pairs).tolist() == [True, True, True]
    assert opinion_free.p_test(np.array([3.0, 3.0, 1.0]), pairs).tolist() == [False, True, True]
    assert opinion_free.p_test(np.zeros(3), pairs).mean() == 0


def test_c_test_compares_with_the_parent():
    pairs = opinion_free.composition_pairs(["a/blur/2", "a/blur@2+jpeg@3/0", "b/x@1+y@1/0"], ["", "a/blur/2", "b/x/1"])
    assert pairs.tolist() == [[1, 0]]
    assert opinion_free.c_test(np.array([5.0, 4.0, 0.0]), pairs).tolist() == [True]
    assert opinion_free.c_test(np.array([5.0, 5.0, 0.0]), pairs).tolist() == [False]
