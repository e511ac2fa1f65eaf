"""Parts of IW-SSIM against independent filters."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage
from skimage import data

from causaliqa.baselines import iw_ssim as module
from causaliqa.baselines.iw_ssim import iw_ssim
from causaliqa.baselines.ms_ssim import ms_ssim

PHOTO = data.astronaut()[100:276, 120:312]
BINOMIAL = np.array([1, 4, 6, 4, 1]) * np.sqrt(2) / 16


def binomial(image: np.ndarray) -> np.ndarray:
    return ndimage.correlate1d(ndimage.correlate1d(image, BINOMIAL, 0, mode="mirror"), BINOMIAL, 1, mode="mirror")


@pytest.mark.parametrize("size", [(162, 180), (161, 179), (163, 164)], ids=str)
def test_pyramid(size: tuple[int, int]) -> None:
    image = np.random.default_rng(0).uniform(0, 255, size)
    *bands, residual = module._pyramid(image)
    for band in bands:
        low = binomial(image)[::2, ::2]
        spread = np.zeros(image.shape)
        spread[::2, ::2] = low
        np.testing.assert_allclose(band, image - binomial(spread), atol=1e-10)
        image = low
    np.testing.assert_allclose(residual, image, atol=1e-10)


@pytest.mark.parametrize("size", [(11, 23), (12, 22)], ids=str)
def test_enlarged_parent(size: tuple[int, int]) -> None:
    """As the authors do it: to 4 n - 3 pixels, one more on either side by extrapolation, every second kept."""
    image = np.random.default_rng(0).normal(0, 20, size)
    expected = image
    for axis in (0, 1):
        old = expected.shape[axis]
        new = 4 * old - 3
        place = (np.arange(new) + 0.5) * old / new - 0.5
        fine = np.apply_along_axis(
            lambda line, place=place: np.interp(place, np.arange(len(line)), line), axis, expected
        )
        fine = np.moveaxis(fine, axis, 0)
        fine = np.concatenate([2 * fine[:1] - fine[1:2], fine, 2 * fine[-1:] - fine[-2:-1]])
        expected = np.moveaxis(fine[::2], 0, axis)
    height, width = 2 * size[0] - 1, 2 * size[1]
    np.testing.assert_allclose(module._enlarge(image, height, width), expected[:height, :width], atol=1e-12)


def test_weights_do_not_depend_on_strips(monkeypatch: pytest.MonkeyPatch) -> None:
    distorted = PHOTO // 2 + 40
    score = iw_ssim(PHOTO, distorted)
    monkeypatch.setattr(module, "_STRIP", 1000)
    assert iw_ssim(PHOTO, distorted) == pytest.approx(score, abs=1e-13)


def test_structure_outweighs_flat_regions() -> None:
    """The same noise costs more where the information is than where the picture is flat."""
    image = np.full((192, 384), 128.0)
    texture = np.random.default_rng(3).normal(0, 1, (192, 192))
    image[:, :192] += 40 * ndimage.gaussian_filter(texture, 2) / ndimage.gaussian_filter(texture, 2).std()
    image = np.clip(image, 0, 255)
    left, right = image.copy(), image.copy()
    left[:, :192] = ndimage.gaussian_filter(image[:, :192], 2.5)
    right[:, 192:] += np.random.default_rng(4).normal(0, 4, (192, 192))
    assert iw_ssim(image, left) - iw_ssim(image, right) < ms_ssim(image, left) - ms_ssim(image, right)


def test_inverted_structure_scores_zero() -> None:
    image = 128 + 100 * np.sin(np.arange(192) * 0.8)[:, None] * np.cos(np.arange(200) * 0.9)
    assert iw_ssim(image, 256 - image) == 0.0
