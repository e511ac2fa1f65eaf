"""Parts of MAD against slow, plain computations, and the inputs on which the authors' formula is singular."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from skimage import data

from causaliqa.baselines import mad as module
from causaliqa.baselines.mad import mad

RNG = np.random.default_rng(5)
PHOTO = data.camera()[100:228, 150:310].astype(np.float64)


@pytest.mark.parametrize(("apart", "window"), [((1, 2), 16), ((1,), 8)])
@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_block_moments_are_those_of_every_block(apart: tuple[int, ...], window: int, offset: float) -> None:
    image = RNG.gamma(2.0, 1.0, (28, 36))
    mean, *powers = module._block_moments(image + offset, apart)
    assert mean.shape == ((28 - window) // 4 + 1, (36 - window) // 4 + 1)
    for row, column in np.ndindex(mean.shape):
        block = image[4 * row : 4 * row + window, 4 * column : 4 * column + window]
        assert mean[row, column] - offset == pytest.approx(block.mean(), rel=1e-9)
        for power, found in zip((2, 3, 4), powers, strict=True):
            expected = ((block - block.mean()) ** power).sum()
            # Plain sums of fourth powers would lose all digits at the offset of a million.
            assert found[row, column] == pytest.approx(expected, rel=1e-12 if offset == 0 else 1e-7)


def test_statistics_are_those_of_scipy() -> None:
    image = RNG.gamma(2.0, 1.0, (16, 20))
    found = module._statistics(image)
    assert found.shape == (3, 1, 2)
    for column in range(2):
        block = image[:, 4 * column : 4 * column + 16].ravel()
        expected = block.std(ddof=1), 2 * stats.skew(block), stats.kurtosis(block, fisher=False)
        np.testing.assert_allclose(found[:, 0, column], expected, rtol=1e-12)


def test_flat_blocks_have_no_statistics() -> None:
    np.testing.assert_array_equal(module._statistics(3 + RNG.normal(0, 1e-13, (20, 20))), 0)


def test_rounding_of_flat_images_is_not_taken_for_structure() -> None:
    """The transform of a constant leaves rounding errors, whose skewness and kurtosis would be those of noise."""
    distorted = RNG.integers(0, 256, (50, 60)).astype(np.float64)
    _, radial, angular = module._filters(50, 60)
    found = [module._appearance(np.full((50, 60), level), distorted, radial, angular) for level in (0.0, 100.0, 77.7)]
    assert found[1:] == pytest.approx([found[0]] * 2, rel=1e-12)


def test_box_means() -> None:
    image = RNG.random((20, 31))
    windows = np.lib.stride_tricks.sliding_window_view(image, (16, 16))
    np.testing.assert_allclose(module._box(image), windows.mean(axis=(2, 3)), rtol=1e-13)


@pytest.mark.parametrize("shape", [(40, 52), (41, 52), (40, 53), (41, 53)])
def test_filters_leave_frequency_zero_out(shape: tuple[int, int]) -> None:
    sensitivity, radial, angular = module._filters(*shape)
    assert sensitivity.shape == (shape[0], shape[1] // 2 + 1)
    assert radial.shape == (5, *shape)
    assert angular.shape == (4, *shape)
    np.testing.assert_array_equal(radial[:, 0, 0], 0)
    assert ((angular > 0) & (angular <= 1)).all()
    # The real filter has real coefficients: the same at opposite frequencies.
    np.testing.assert_allclose(sensitivity[1:, 0], sensitivity[:0:-1, 0], rtol=1e-12)
    assert sensitivity[0, 0] == pytest.approx(0.9809)


def test_real_part_of_the_authors_filtered_image() -> None:
    """Half a plane of an even filter gives what the authors get as the real part of the whole plane of any."""
    height, width = PHOTO.shape
    down = (np.arange(height) - (height - 1) / 2)[:, None] / width * 64
    across = (np.arange(width) - (width - 1) / 2)[None, :] / width * 64
    angle = np.angle(across + 1j * down)
    frequency = np.hypot(down, across) / (0.15 * np.cos(4 * angle) + 0.85)
    filtered = 2.6 * (0.0192 + 0.114 * frequency) * np.exp(-((0.114 * frequency) ** 1.1))
    filtered[frequency < 7.8909] = 0.9809
    expected = np.fft.ifft2(np.fft.ifftshift(np.fft.fftshift(np.fft.fft2(PHOTO)) * filtered)).real
    found = np.fft.irfft2(np.fft.rfft2(PHOTO) * module._sensitivity(height, width), s=PHOTO.shape)
    np.testing.assert_allclose(found, expected, atol=1e-11)


def test_black_reference_hides_everything() -> None:
    black = np.zeros_like(PHOTO)
    assert mad(black, PHOTO) == 0
    assert mad(PHOTO, black) > 50


def test_one_dark_half_does_not_count_in_the_detection() -> None:
    scene = PHOTO.copy()
    scene[:, :80] = 20
    noisy = scene.copy()
    noisy[:, :60] += RNG.normal(0, 5, (128, 60))
    assert mad(scene, np.clip(noisy, 0, 255)) == 0


def test_rounding_below_black_is_black() -> None:
    below = PHOTO.copy()
    below[60:70, 60:70] = -1e-5
    at = np.maximum(below, 0)
    assert mad(below, PHOTO) == pytest.approx(mad(at, PHOTO), rel=1e-6)
    assert np.isfinite(mad(PHOTO, below))


def test_only_two_sizes_of_filters_stay_in_memory() -> None:
    for size in (40, 44, 48, 52):
        mad(PHOTO[:size, :size], PHOTO[:size, :size] / 2)
    assert module._cached_filters.cache_info().currsize <= 2


def test_large_images_are_not_cached(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = mad(PHOTO, PHOTO / 2)
    module._cached_filters.cache_clear()
    monkeypatch.setattr(module, "_CACHED", PHOTO.size - 1)
    assert mad(PHOTO, PHOTO / 2) == expected
    assert module._cached_filters.cache_info().currsize == 0
