"""MS-GMSD and MS-GMSDc against their definition."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import signal
from skimage import data

from causaliqa.baselines.ms_gmsd import ms_gmsd, ms_gmsdc

PHOTO = data.astronaut()[100:276, 120:312]


def reference_deviations(first: np.ndarray, second: np.ndarray) -> list[float]:
    """Standard deviations of the masked similarity at four scales, by plain convolutions."""
    kernel = np.array([[1, 0, -1]] * 3) / 3
    out = []
    for scale in range(4):
        if scale:
            first, second = (
                signal.convolve2d(np.pad(i, ((0, 1), (0, 1))), np.full((2, 2), 0.25), "valid")[::2, ::2]
                for i in (first, second)
            )
        a, b = (
            np.hypot(signal.convolve2d(i, kernel, "same"), signal.convolve2d(i, kernel.T, "same"))
            for i in (first, second)
        )
        out.append(float(((1.5 * a * b + 170) / (a * a + b * b - 0.5 * a * b + 170)).std()))
    return out


@pytest.mark.parametrize("size", [(176, 192), (175, 190), (171, 193), (17, 18)], ids=str)
def test_equals_definition(size: tuple[int, int]) -> None:
    first = PHOTO[: size[0], : size[1], 1].astype(np.float64)
    second = np.clip(first * 0.8 + np.random.default_rng(0).normal(0, 9, first.shape), 0, 255)
    weights = np.array([0.096, 0.596, 0.289, 0.019])
    expected = np.sqrt(weights @ np.square(reference_deviations(first, second)))
    assert ms_gmsd(first, second) == pytest.approx(expected, abs=1e-12)
    share = 2 / (1 + 0.32 * np.exp(-15 * expected)) - 1
    assert ms_gmsdc(first, second) == pytest.approx(share * expected, abs=1e-12)


def test_colour_counts_where_luma_is_equal() -> None:
    """Equal luma, I and Q changed by known constants: the score is the colour term alone."""
    first = np.full((32, 48, 3), 120.0)
    # Solve for a change of RGB that leaves the luma and moves I and Q by 10 and -6.
    yiq = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
    second = first + np.linalg.solve(yiq, [0.0, 10.0, -6.0])
    assert ms_gmsd(first, second) == pytest.approx(0, abs=1e-9)
    share = 2 / 1.32 - 1
    assert ms_gmsdc(first, second) == pytest.approx((1 - share) * 0.01 * np.hypot(10, 6), abs=1e-9)


def test_colour_is_compared_at_the_fourth_scale() -> None:
    """Chromatic noise of one pixel averages out over 8 x 8 pixels: it costs an eighth of its deviation."""
    first = np.full((256, 256, 3), 120.0)
    yiq = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
    change = np.random.default_rng(2).normal(0, 8, (256, 256))
    second = first + change[..., None] * np.linalg.solve(yiq, [0.0, 1.0, 0.0])
    share = 2 / 1.32 - 1
    assert ms_gmsdc(first, second) == pytest.approx((1 - share) * 0.01 * 1.0, rel=0.1)


def test_recoloured_photograph_is_seen_only_with_colour() -> None:
    swapped = PHOTO[..., ::-1].astype(np.float64)
    weights = np.array([0.299, 0.587, 0.114])
    # Bring the luma back by a gray offset: only colour differs.
    swapped += ((PHOTO - swapped) @ weights)[..., None]
    keep = (swapped >= 0).all(axis=2, keepdims=True) & (swapped <= 255).all(axis=2, keepdims=True)
    swapped = np.where(keep, swapped, PHOTO)
    assert ms_gmsd(PHOTO, swapped) == pytest.approx(0, abs=1e-6)
    assert ms_gmsdc(PHOTO, swapped) > 0.02
