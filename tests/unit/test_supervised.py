import warnings

import numpy as np
import pytest
from scipy.stats import spearmanr

from causaliqa.errors import DataError
from causaliqa.supervised.regressors import fit_regressor
from causaliqa.supervised.stage import draw_labelled


def problem(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    references = np.repeat([f"r{i}" for i in range(8)], 15)
    severity = rng.uniform(0.05, 3, len(references))
    values = severity[:, None] * rng.uniform(0.7, 1.4, (len(references), 6))
    return values, -np.log(severity), references


@pytest.mark.parametrize("name", ["ridge", "svr"])
def test_regressors_learn_and_are_deterministic(name: str) -> None:
    values, labels, references = problem(0)
    new_values, new_labels, _ = problem(1)
    predictions = [fit_regressor(name, values, labels, references).predict(new_values) for _ in range(2)]
    assert np.array_equal(*predictions)
    assert spearmanr(predictions[0], new_labels).statistic > 0.95


@pytest.mark.parametrize("name", ["ridge", "svr"])
@pytest.mark.parametrize("count", [2, 5])
def test_few_labels_of_one_reference_are_enough_to_fit(name: str, count: int) -> None:
    values, labels, _ = problem(0)
    model = fit_regressor(name, values[:count], labels[:count], np.array(["one"] * count))
    assert np.isfinite(model.predict(values)).all()


@pytest.mark.parametrize("name", ["ridge", "svr"])
def test_single_labels_of_few_references_choose_by_error(name: str) -> None:
    """Folds of one pair have no R^2; the choice must still rest on numbers."""
    values, labels, references = problem(0)
    few = np.arange(0, 75, 15)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = fit_regressor(name, values[few], labels[few], references[few])
    assert np.isfinite(model.predict(values)).all()


def test_bad_calls_are_named() -> None:
    values, labels, references = problem(0)
    with pytest.raises(DataError, match="at least two labelled pairs, found 1"):
        fit_regressor("ridge", values[:1], labels[:1], references[:1])
    with pytest.raises(DataError, match="no regressor 'forest'"):
        fit_regressor("forest", values, labels, references)


@pytest.mark.parametrize("count", [3, 20, 100])
def test_a_draw_spreads_over_references(count: int) -> None:
    references = problem(0)[2]
    chosen = draw_labelled(references, count, 0, 0)
    assert len(chosen) == len(set(chosen)) == count
    sizes = np.unique(references[chosen], return_counts=True)[1]
    assert len(sizes) == min(count, 8)
    assert sizes.max() - sizes.min() <= 1


def test_draws_differ_by_number_and_repeat_by_seed() -> None:
    references = problem(0)[2]
    assert np.array_equal(draw_labelled(references, 10, 0, 0), draw_labelled(references, 10, 0, 0))
    assert not np.array_equal(draw_labelled(references, 10, 0, 0), draw_labelled(references, 10, 1, 0))
    assert not np.array_equal(draw_labelled(references, 10, 0, 0), draw_labelled(references, 10, 0, 1))


def test_a_supervised_draw_takes_whole_references() -> None:
    references = problem(0)[2]
    chosen = draw_labelled(references, None, 0, 0)
    assert len(np.unique(references[chosen])) == round(0.8 * 8)
    assert len(chosen) == 15 * round(0.8 * 8)


def test_more_labels_than_images_take_all() -> None:
    assert len(draw_labelled(np.array(["a", "b", "b"]), 10, 0, 0)) == 3
