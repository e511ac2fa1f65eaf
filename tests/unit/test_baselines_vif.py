"""Wavelet-domain VIF: filters, windows and the meaning of the score."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage
from skimage import data

from causaliqa.baselines import vif as module
from causaliqa.baselines.vif import vif

PHOTO = data.astronaut()[100:276, 120:312, 1].astype(np.float64)


def full(quadrant: np.ndarray, *, odd_rows: bool = False, odd_columns: bool = False) -> np.ndarray:
    """Return the whole filter that a quadrant stands for."""
    half = np.concatenate([quadrant[:0:-1], quadrant * (-1 if odd_rows else 1)])
    return np.concatenate([half[:, :0:-1], half * (-1 if odd_columns else 1)], axis=1)


@pytest.mark.parametrize("size", [(64, 80), (63, 81), (17, 16)], ids=str)
@pytest.mark.parametrize(
    ("quadrant", "options"),
    [
        (module._FIRST, {}),
        (module._LOW, {"step": 2}),
        (module._ORIENTED, {"odd_rows": True}),
        (module._ORIENTED.T, {"odd_columns": True}),
    ],
    ids=["first", "low", "rows", "columns"],
)
def test_correlation(size: tuple[int, int], quadrant: np.ndarray, options: dict[str, int]) -> None:
    image = np.random.default_rng(0).uniform(0, 255, size)
    step = options.get("step", 1)
    odd = {key: bool(value) for key, value in options.items() if key != "step"}
    expected = ndimage.correlate(image, full(quadrant, **odd), mode="mirror")[::step, ::step]
    np.testing.assert_allclose(module._correlate(image, quadrant, step=step, **odd), expected, atol=1e-10)


def test_filters_are_those_of_a_steerable_pyramid() -> None:
    """The low-pass filters keep a constant (the second doubles it), the oriented one removes it and its own turn."""
    assert full(module._FIRST).sum() == pytest.approx(1, abs=1e-3)
    assert full(module._LOW).sum() == pytest.approx(2, abs=2e-3)
    oriented = full(module._ORIENTED, odd_rows=True)
    assert oriented.sum() == pytest.approx(0, abs=1e-15)
    assert (oriented * oriented.T).sum() == pytest.approx(0, abs=1e-12)
    for even in (module._FIRST, module._LOW):
        np.testing.assert_array_equal(even, even.T)


@pytest.mark.parametrize("level", range(4))
@pytest.mark.parametrize("size", [(60, 63), (72, 60)], ids=str)
def test_window_sums(level: int, size: tuple[int, int]) -> None:
    image = np.random.default_rng(0).normal(0, 1, size)
    window = module._WINDOWS[level]
    side = 2 ** (4 - level) + 1
    margin = -(-(side // 2) // 3)
    expected = (
        ndimage.uniform_filter(image, side, mode="constant")[1::3, 1::3][margin:-margin, margin:-margin] * side**2
    )
    assert window[2] == margin
    np.testing.assert_allclose(module._sums(image, window), expected, atol=1e-10)


def test_contrast_enhancement_scores_above_one() -> None:
    middle = 0.5 * PHOTO + 64
    stretched = (middle - 128) * 1.4 + 128
    assert vif(middle, stretched) > 1.05
    assert vif(stretched, middle) < 0.95


def test_offset_is_not_seen() -> None:
    assert vif(0.8 * PHOTO, 0.8 * PHOTO + 40) == pytest.approx(1, abs=1e-9)


def test_inverted_image_carries_nothing() -> None:
    assert vif(PHOTO, 255 - PHOTO) < 1e-6


def test_no_information_in_the_reference() -> None:
    flat = np.full((80, 90), 77.0)
    assert vif(flat, flat + 30) == 1.0
    assert vif(flat, flat + np.random.default_rng(0).normal(0, 5, flat.shape)) == 0.0
    assert vif(PHOTO, np.full_like(PHOTO, 77.0)) == 0.0
