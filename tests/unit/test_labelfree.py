import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata, spearmanr

from causaliqa.errors import DataError
from causaliqa.labelfree.anchors import consensus_pairs, fit_weights, severity_pairs
from causaliqa.labelfree.manifolds import inductive, transductive
from causaliqa.labelfree.projections import fit

NAMES = ["d0_rms_0", "d0_rms_1", "d1_rms_0", "d1_mean_0"]
ROOT2 = math.sqrt(2.0)


def features(seed: int = 0, n: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Features that grow with a hidden severity, each with its own unit and noise."""
    rng = np.random.default_rng(seed)
    severity = rng.uniform(0.1, 3.0, n)
    return severity, severity[:, None] * np.array([1.0, 5.0, 0.1, 3.0]) * rng.uniform(0.8, 1.2, (n, 4))


@pytest.mark.parametrize("method", ["pc1", "norm", "mahalanobis"])
def test_an_identical_pair_scores_zero_and_severity_is_ordered(method: str) -> None:
    severity, values = features()
    projection = fit(method, values, NAMES)
    distance = projection.distance(values)
    assert projection.distance(np.zeros((1, 4))) == pytest.approx([0.0])
    assert np.corrcoef(severity, distance)[0, 1] > 0.9
    assert projection.distance(2 * values) == pytest.approx(2 * distance)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.floats(1e-3, 1e3))
def test_mahalanobis_does_not_ask_for_the_unit_of_a_feature(seed: int, unit: float) -> None:
    _, values = features(seed)
    other = values * np.array([unit, 1.0, 1.0, 1.0])
    distances = [fit("mahalanobis", item, NAMES).distance(item) for item in (values, other)]
    assert distances[0] == pytest.approx(distances[1], rel=1e-6)


def test_norm_is_the_sum_over_scales_of_the_length_of_the_rms_features() -> None:
    values = np.array([[3.0, 4.0, 0.0, 99.0], [0.0, 0.0, 2.0, 99.0], [3.0, 4.0, 2.0, 99.0]])
    assert fit("norm", values, NAMES).distance(values) == pytest.approx([5.0, 2.0, 7.0])


def test_pc1_grows_with_the_norm_whatever_the_sign_of_the_decomposition() -> None:
    _, values = features()
    for data in (values, values[::-1]):
        projection = fit("pc1", data, NAMES)
        assert np.corrcoef(projection.distance(data), fit("norm", data, NAMES).distance(data))[0, 1] > 0.9


def test_mahalanobis_discounts_what_varies_together() -> None:
    rng = np.random.default_rng(1)
    shared = rng.uniform(0, 1, (500, 1))
    values = np.hstack([shared, shared + 1e-3 * rng.standard_normal((500, 1)), rng.uniform(0, 1, (500, 1))])
    distance = fit("mahalanobis", values, NAMES[:3]).distance(np.array([[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]))
    # Two features of one scale count as root two of one; what always comes together counts as little more than one.
    norm = fit("norm", values, NAMES[:3]).distance(np.array([[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]))
    assert norm[0] / norm[1] == pytest.approx(ROOT2)
    assert distance[0] / distance[1] < 1.2


def test_a_dead_channel_gets_no_weight() -> None:
    _, values = features()
    values[:, 2] = 0.0
    for method in ("pc1", "norm", "mahalanobis"):
        assert np.isfinite(fit(method, values, NAMES).matrix).all()
    dead = np.array([[0.0, 0.0, 5.0, 0.0]])
    assert fit("mahalanobis", values, NAMES).distance(dead) == pytest.approx([0.0])


def test_a_collapsed_code_is_named() -> None:
    with pytest.raises(DataError, match="has collapsed"):
        fit("norm", np.zeros((5, 3)), NAMES[:3])
    with pytest.raises(DataError, match="at least two pairs"):
        fit("norm", np.ones((1, 3)), NAMES[:3])
    with pytest.raises(DataError, match="no projection 'pc2'"):
        fit("pc2", features()[1], NAMES)


def synthetic_rows() -> tuple[pd.DataFrame, np.ndarray]:
    """Two references with two types at three levels each, one composition of each reference; three features.

    The first feature grows with severity, the second falls with it, the third is noise.
    """
    rows, values = [], []
    rng = np.random.default_rng(0)
    for reference in ("a", "b"):
        for kind in ("blur", "noise"):
            for level in (1, 2, 3):
                rows.append((reference, f"{reference}/{kind}/{level}", kind, level, ""))
                values.append((level * rng.uniform(0.9, 1.1), 4 - level, rng.uniform(1, 2)))
        rows.append((reference, f"{reference}/chain/0", "blur+noise", 0, f"{reference}/blur/2"))
        values.append((4.0, 0.5, rng.uniform(1, 2)))
    table = pd.DataFrame(rows, columns=["reference", "image", "distortion", "level", "parent"]).assign(dataset="toy")
    return table, np.array(values)


def test_severity_pairs_are_levels_of_one_type_and_compositions() -> None:
    table, _ = synthetic_rows()
    pairs = {(table["image"][a], table["image"][b]) for a, b in severity_pairs(table)}
    assert len(pairs) == 2 * (2 * 3 + 1)
    assert ("a/blur/1", "a/blur/3") in pairs
    assert ("b/blur/2", "b/chain/0") in pairs
    assert not any({"blur", "noise"} <= set("/".join(pair).split("/")) for pair in pairs)


def test_anchored_weights_are_non_negative_and_put_pairs_in_order() -> None:
    table, values = synthetic_rows()
    pairs = severity_pairs(table)
    weights = fit_weights(values, pairs)
    assert (weights >= 0).all()
    assert weights[0] > 10 * weights[1]
    distance = values @ weights
    assert (distance[pairs[:, 1]] > distance[pairs[:, 0]]).all()
    equal = values @ (1 / np.sqrt(np.square(values).mean(axis=0)))
    assert not (equal[pairs[:, 1]] > equal[pairs[:, 0]]).all()
    with pytest.raises(DataError, match="needs synthetic pairs whose order is known"):
        fit_weights(values, np.empty((0, 2), dtype=np.int64))


def test_consensus_pairs_are_clearly_apart_and_better_first() -> None:
    quality = np.random.default_rng(0).permutation(200).astype(float)
    datasets = np.repeat(["a", "b"], [50, 150])
    pairs = consensus_pairs(quality, datasets)
    assert len(pairs) > 1000
    assert (quality[pairs[:, 0]] > quality[pairs[:, 1]]).all()
    assert (datasets[pairs[:, 0]] == datasets[pairs[:, 1]]).all()
    for name in ("a", "b"):
        ranks = rankdata(np.where(datasets == name, quality, np.nan), nan_policy="omit")
        own = pairs[datasets[pairs[:, 0]] == name]
        assert (ranks[own[:, 0]] - ranks[own[:, 1]] >= 0.1 * (datasets == name).sum()).all()
    assert np.array_equal(pairs, consensus_pairs(quality, datasets))


@pytest.mark.parametrize("method", ["isomap", "tsne"])
def test_a_line_through_the_test_pairs_follows_their_severity(method: str) -> None:
    # More than two hundred: the default solver of Isomap would draw at random there.
    severity, values = features(n=260)
    scale = np.sqrt(np.square(values).mean(axis=0))
    sizes = fit("norm", values, NAMES).distance(values)
    line = transductive(method, values, sizes, scale, seed=0)
    assert line.shape == severity.shape
    assert spearmanr(line, severity).statistic > 0.5
    assert np.array_equal(line, transductive(method, values, sizes, scale, seed=0))
    with pytest.raises(DataError, match=f"{method} needs more than 12 pairs, found 3"):
        transductive(method, values[:3], sizes[:3], scale, seed=0)


def test_an_inductive_line_places_a_pair_whatever_else_is_scored() -> None:
    _, train = features(1, 300)
    severity, test = features(2, 80)
    sizes = fit("norm", train, NAMES).distance(train)
    line = inductive(train, sizes, test, points=200, seed=0)
    assert spearmanr(line, severity).statistic > 0.9
    assert line[:5] == pytest.approx(inductive(train, sizes, test[:5], points=200, seed=0))
    assert not np.array_equal(line, inductive(train, sizes, test, points=200, seed=1))
