import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causaliqa.errors import DataError
from causaliqa.labelfree.projections import fit

NAMES = ["d0_rms_0", "d0_rms_1", "d1_rms_0", "d1_mean_0"]


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


def test_norm_is_the_length_of_the_rms_features() -> None:
    values = np.array([[3.0, 4.0, 0.0, 99.0], [0.0, 0.0, 2.0, 99.0]])
    assert fit("norm", values, NAMES).distance(values) == pytest.approx([5.0, 2.0])


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
    norm = fit("norm", values, NAMES[:3]).distance(np.array([[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]))
    assert norm[0] / norm[1] > 1.3
    assert distance[0] / distance[1] < norm[0] / norm[1]


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
