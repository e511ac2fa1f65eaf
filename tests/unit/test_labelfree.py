import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causaliqa.errors import DataError
from causaliqa.labelfree.projections import fit


def features(seed: int = 0, n: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Features that grow with a hidden severity, each with its own unit and noise."""
    rng = np.random.default_rng(seed)
    severity = rng.uniform(0.1, 3.0, n)
    return severity, severity[:, None] * np.array([1.0, 50.0, 0.01, 3.0]) * rng.uniform(0.8, 1.2, (n, 4))


@pytest.mark.parametrize("method", ["pc1", "norm", "mahalanobis"])
def test_an_identical_pair_scores_zero_and_severity_is_ordered(method: str) -> None:
    severity, values = features()
    projection = fit(method, values)
    distance = projection.distance(values)
    assert projection.distance(np.zeros((1, 4))) == pytest.approx([0.0])
    assert np.corrcoef(severity, distance)[0, 1] > 0.9
    assert projection.distance(2 * values) == pytest.approx(2 * distance)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.floats(1e-3, 1e3))
def test_the_unit_of_a_feature_does_not_matter(seed: int, unit: float) -> None:
    _, values = features(seed)
    other = values * np.array([unit, 1.0, 1.0, 1.0])
    for method in ("pc1", "norm"):
        assert fit(method, other).distance(other) == pytest.approx(fit(method, values).distance(values), rel=1e-6)


def test_norm_by_hand() -> None:
    values = np.array([[3.0, 0.0], [0.0, 4.0]])
    # Root mean squares are 3/sqrt(2) and 4/sqrt(2): each pair has one feature of size sqrt(2) in these units.
    assert fit("norm", values).distance(values) == pytest.approx([1.0, 1.0])


def test_mahalanobis_discounts_what_varies_together() -> None:
    rng = np.random.default_rng(1)
    shared = rng.uniform(0, 1, (500, 1))
    values = np.hstack([shared, shared + 1e-3 * rng.standard_normal((500, 1)), rng.uniform(0, 1, (500, 1))])
    distance = fit("mahalanobis", values).distance(np.array([[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]))
    norm = fit("norm", values).distance(np.array([[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]))
    assert norm[0] / norm[1] > 1.3
    assert distance[0] / distance[1] < norm[0] / norm[1]


def test_a_dead_channel_gets_no_weight() -> None:
    _, values = features()
    values[:, 2] = 0.0
    for method in ("pc1", "norm", "mahalanobis"):
        projection = fit(method, values)
        assert np.isfinite(projection.matrix).all()
        assert projection.distance(np.array([[0.0, 0.0, 5.0, 0.0]])) == pytest.approx([0.0])


def test_a_collapsed_code_is_named() -> None:
    with pytest.raises(DataError, match="has collapsed"):
        fit("norm", np.zeros((5, 3)))
    with pytest.raises(DataError, match="at least two pairs"):
        fit("norm", np.ones((1, 3)))
    with pytest.raises(DataError, match="no projection 'pc2'"):
        fit("pc2", features()[1])
