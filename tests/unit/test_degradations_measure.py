"""The perceptual distance that ladders are verified with, and the arithmetic that places them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from causaliqa.degradations.calibrate import Scale, calibrate_type, invert, round_strength
from causaliqa.degradations.measure import distance, pyramid
from causaliqa.degradations.registry import TYPES
from causaliqa.errors import DataError


def texture(shape: tuple[int, ...] = (64, 64, 3)) -> np.ndarray:
    return np.random.default_rng(0).integers(60, 200, shape).astype(np.uint8)


def test_zero_for_equal_images_and_symmetric() -> None:
    a = texture()
    b = np.clip(a.astype(int) + 5, 0, 255).astype(np.uint8)
    assert distance(a, a) == 0
    assert distance(a, b) == pytest.approx(distance(b, a), rel=1e-6)
    assert distance(a, b) > 0


@pytest.mark.parametrize("shape", [(1, 1), (3, 50), (33, 47), (37, 21, 3), (256, 300)])
def test_any_size(shape: tuple[int, ...]) -> None:
    a = texture(shape)
    assert np.isfinite(distance(a, 255 - a))
    assert distance(a, 255 - a) > 0


def test_pyramid_halves_and_keeps_channels() -> None:
    shapes = [band.shape for band in pyramid(texture((50, 64, 3)))]
    assert shapes == [(3, 50, 64), (3, 25, 32), (3, 13, 16), (3, 7, 8), (3, 4, 4), (3, 2, 2)]
    assert pyramid(texture((64, 64)))[0].shape == (1, 64, 64)


def test_grey_as_rgb_has_the_distance_of_grey() -> None:
    a, b = texture((64, 64)), texture((64, 64))[::-1].copy()
    stacked = distance(np.stack([a] * 3, axis=2), np.stack([b] * 3, axis=2))
    assert stacked == pytest.approx(distance(a, b), rel=1e-4)


def test_masking_and_slow_shifts_weigh_less() -> None:
    flat = np.full((64, 64), 128, np.uint8)
    noise = np.random.default_rng(1).normal(0, 6, (64, 64))
    busy = texture((64, 64))
    added = distance(flat, np.clip(flat + noise, 0, 255).astype(np.uint8))
    masked = distance(busy, np.clip(busy + noise, 0, 255).astype(np.uint8))
    shifted = distance(busy, (busy + 6).astype(np.uint8))
    assert added > 2 * masked > 2 * shifted


def test_refuses_what_cannot_be_compared() -> None:
    with pytest.raises(DataError, match="shapes"):
        distance(texture(), texture((64, 60, 3)))
    with pytest.raises(DataError, match="uint8"):
        pyramid(texture().astype(float))


def test_scale_reads_positions_between_and_beyond_anchors() -> None:
    scale = Scale(np.array([[1.0, 10.0], [2.0, 20.0], [4.0, 30.0], [8.0, 40.0], [10.0, 50.0]]))
    assert scale.position(np.array([2.0, 20.0])) == 2
    assert scale.position(np.array([3.0, 30.0])) == pytest.approx(2.75)
    assert scale.position(np.array([0.0, 5.0])) == pytest.approx(0.25)
    assert scale.position(np.array([12.0, 60.0])) == pytest.approx(6)


@pytest.mark.parametrize("strengths", [[1.0, 2.0, 4.0, 8.0], [8.0, 4.0, 2.0, 1.0]])
def test_invert_in_either_direction(strengths: list[float]) -> None:
    assert invert(strengths, [1, 2, 3, 4], 2.5, True) == pytest.approx(8**0.5)
    assert invert(strengths, [1, 2, 3, 4], 9.0, True) == pytest.approx(strengths[-1])


def test_a_type_that_reaches_the_top_gets_levels_one_to_five() -> None:
    strengths, positions = calibrate_type(TYPES["gaussian_blur"], lambda sigma: 2.5 * (sigma - 0.3) ** 0.8)
    assert positions == pytest.approx([1, 2, 3, 4, 5], abs=0.02)
    assert strengths == pytest.approx([0.3 + (level / 2.5) ** 1.25 for level in range(1, 6)], rel=0.02)


def test_a_type_that_does_not_gets_equal_steps() -> None:
    item = TYPES["mean_shift"]
    strengths, positions = calibrate_type(item, lambda offset: 5 * offset)
    assert positions == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0], abs=0.01)
    assert strengths[-1] == 0.2


def test_whole_numbers_stay_distinct() -> None:
    item = TYPES["jpeg"]
    strengths, _ = calibrate_type(item, lambda quality: 5 if quality < 50 else 0.0)
    assert all(a > b for a, b in itertools.pairwise(strengths))
    assert round_strength(item, 12.4) == 12
    assert round_strength(TYPES["darken"], 1.234567) == 1.235
