"""Classical metrics behind do(light)."""

import numpy as np
import pytest

from causaliqa.baselines.registry import LIT, METRICS, get
from causaliqa.errors import DataError


@pytest.fixture
def image() -> np.ndarray:
    """A photograph-like texture away from black and white."""
    rng = np.random.default_rng(0)
    coarse = np.kron(rng.uniform(size=(12, 12, 3)), np.ones((16, 16, 1)))
    return np.clip(128 + 60 * (coarse - 0.5) + rng.normal(0, 6, (192, 192, 3)), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("name", list(LIT))
def test_a_gain_is_forgiven_and_other_changes_score_as_ever(name: str, image: np.ndarray) -> None:
    plain, lit = METRICS[name.removesuffix("_light")], get(name)
    sign = 1 if plain.higher_is_better else -1
    gained = np.clip((image - image.mean()) * 1.6 + image.mean(), 0, 255).round().astype(np.uint8)
    assert sign * lit.score(image, gained) > sign * plain.score(image, gained)
    assert lit.score(image, gained) == pytest.approx(plain.score(image, image), abs=0.1)
    noisy = np.clip(image + np.random.default_rng(1).normal(0, 12, image.shape), 0, 255).astype(np.uint8)
    weak = np.clip((image - image.mean()) * 0.6 + image.mean(), 0, 255).astype(np.uint8)
    for other in (noisy, weak, image):
        assert lit.score(image, other) == plain.score(image, other)


def test_gray_and_other_ranges_are_taken_and_shapes_must_agree(image: np.ndarray) -> None:
    gray = image[..., 0]
    gained = np.clip((gray - gray.mean()) * 1.5 + gray.mean(), 0, 255)
    lit = get("mdsi_light")
    assert lit.score(gray, gained) < METRICS["mdsi"].score(gray, gained)
    assert lit.score(gray / 255, gained / 255, data_range=1.0) == pytest.approx(
        lit.score(gray.astype(float), gained), abs=1e-6
    )
    with pytest.raises(DataError, match="shape"):
        lit.score(image, image[:-1])
