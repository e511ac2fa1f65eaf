"""Scores of a region: what counts, what does not, and masks that do not fit."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage import data

from causaliqa.baselines.arrays import Region
from causaliqa.baselines.psnr import psnr
from causaliqa.baselines.registry import METRICS, Metric, get
from causaliqa.baselines.ssim import ssim
from causaliqa.errors import ConfigError, DataError

MASKED = [metric for metric in METRICS.values() if metric.takes_mask]
ALL = pytest.mark.parametrize("metric", MASKED, ids=[metric.name for metric in MASKED])
PHOTO = data.astronaut()[:420, 30:446]
IDENTICAL = {"psnr": np.inf, "gmsd": 0.0, "ms_gmsd": 0.0, "ms_gmsdc": 0.0}
#: The region of most tests: far enough from the border for the fifth scale of MS-SSIM.
SPOT = (slice(96, 140), slice(100, 150))
#: Everything that is farther from it than any window reaches, at any scale.
FAR = 300


def noisy(image: np.ndarray, sigma: float = 20, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, sigma, image.shape)
    return np.clip(np.round(image + noise), 0, 255).astype(np.uint8)


def spot(shape: tuple[int, ...] = PHOTO.shape) -> np.ndarray:
    mask = np.zeros(shape[:2], dtype=bool)
    mask[SPOT] = True
    return mask


def test_the_flag_is_the_signature() -> None:
    takes = {name for name, metric in METRICS.items() if "mask" in inspect.signature(metric.function).parameters}
    assert takes == {metric.name for metric in MASKED}
    assert takes == {"psnr", "ssim", "ssim_downsampled", "ms_ssim", "iw_ssim", "gmsd", "ms_gmsd", "ms_gmsdc"}


@ALL
@pytest.mark.parametrize("shape", [(420, 416, 3), (401, 415), (170, 300, 3)], ids=str)
def test_a_mask_of_ones_changes_no_digit(metric: Metric, shape: tuple[int, ...]) -> None:
    image = (PHOTO if len(shape) == 3 else PHOTO[..., 1])[: shape[0], : shape[1]]
    distorted = noisy(image)
    whole = metric.function(image, distorted)
    assert metric.score(image, distorted, mask=np.ones(shape[:2], dtype=bool)) == whole
    assert metric.score(image, distorted, mask=None) == whole


@ALL
@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 2**32), rows=st.booleans(), level=st.integers(0, 255))
def test_pixels_far_outside_do_not_count(metric: Metric, seed: int, rows: bool, level: int) -> None:
    distorted = noisy(PHOTO)
    score = metric.score(PHOTO, distorted, mask=spot())
    reference, changed = PHOTO.copy(), distorted.copy()
    far = np.s_[FAR:] if rows else np.s_[:, FAR:]
    reference[far] = level
    changed[far] = np.random.default_rng(seed).integers(0, 256, changed[far].shape)
    assert metric.score(reference, changed, mask=spot()) == pytest.approx(score, rel=1e-12)


@ALL
def test_pixels_inside_count(metric: Metric) -> None:
    harmed = PHOTO.copy()
    harmed[SPOT] = noisy(PHOTO[SPOT], 40)
    inside = metric.score(PHOTO, harmed, mask=spot())
    whole = metric.score(PHOTO, harmed)
    outside = np.zeros(PHOTO.shape[:2], dtype=bool)
    outside[FAR:, 100:300] = True
    # At the fifth scale the middles of all windows lie within 80 pixels of the border.
    beyond = metric.score(PHOTO, harmed, mask=outside)
    quality = np.array([inside, whole, beyond]) * (1 if metric.higher_is_better else -1)
    assert quality[0] < quality[1] < quality[2]
    assert beyond == pytest.approx(IDENTICAL.get(metric.name, 1.0), abs=1e-12)


@ALL
def test_the_score_of_a_region_is_that_of_its_surroundings(metric: Metric) -> None:
    """Cut at multiples of the coarsest scale, far from the region, the pair has the same score."""
    distorted, mask = noisy(PHOTO), spot()
    cut = np.s_[:400, :400]
    # The interpolation that brings a parent to its child's size, in IW-SSIM, depends on the size of the image.
    nearly = 1e-3 if metric.name == "iw_ssim" else 1e-12
    assert metric.score(PHOTO[cut], distorted[cut], mask=mask[cut]) == pytest.approx(
        metric.score(PHOTO, distorted, mask=mask), rel=nearly
    )


@ALL
def test_gray_rgb_and_ranges_agree(metric: Metric) -> None:
    gray, mask = PHOTO[..., 1], spot()
    distorted = noisy(gray)
    score = metric.score(gray, distorted, mask=mask)
    rgb = [np.repeat(image[..., None], 3, axis=2) for image in (gray, distorted)]
    assert metric.score(*rgb, mask=mask) == pytest.approx(score, rel=1e-12)
    assert metric.score(gray / 255, distorted / 255, data_range=1.0, mask=mask) == pytest.approx(score, rel=1e-9)


@ALL
@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.ones((420, 416), dtype=np.uint8), "mask: is of type uint8; pass a boolean array, for example mask > 0"),
        (np.ones((420, 415), dtype=bool), r"mask: is 420x415, the images 420x416 \(height x width\); pass one value"),
        (np.ones((420, 416, 1), dtype=bool), r"mask: is 420x416x1, the images 420x416"),
        (np.zeros((420, 416), dtype=bool), "mask: no pixel counts; set the pixels to judge to True"),
    ],
)
def test_masks_that_do_not_fit_are_refused(metric: Metric, mask: np.ndarray, message: str) -> None:
    with pytest.raises(DataError, match=message):
        metric.score(PHOTO, noisy(PHOTO), mask=mask)


@pytest.mark.parametrize(
    ("name", "size"), [("ssim", "420x416"), ("ms_ssim", "27x26"), ("iw_ssim", "27x26"), ("ssim_downsampled", "210x208")]
)
def test_a_region_without_a_window_is_refused(name: str, size: str) -> None:
    corner = np.zeros(PHOTO.shape[:2], dtype=bool)
    corner[:5, :5] = True
    if name in ("ms_ssim", "iw_ssim"):
        corner[:70, :70] = True  # 70 pixels are four of the fifth scale, where windows reach five
    with pytest.raises(DataError, match=f"has no window inside the image, at {size} pixels, whose centre counts; enla"):
        get(name).score(PHOTO, noisy(PHOTO), mask=corner)


@pytest.mark.parametrize("name", ["gmsd", "ms_gmsd", "ms_gmsdc"])
def test_single_pixels_vanish_with_the_scale(name: str) -> None:
    lonely = np.zeros(PHOTO.shape[:2], dtype=bool)
    lonely[200, 200] = True
    with pytest.raises(DataError, match="no window inside the image"):
        get(name).score(PHOTO, noisy(PHOTO), mask=lonely)


def test_a_metric_without_regions_says_which_have_them() -> None:
    with pytest.raises(ConfigError, match="vif takes no mask; leave it out or choose one of psnr, ssim, ssim_down"):
        get("vif").score(PHOTO, PHOTO, mask=spot())


@pytest.mark.parametrize("dtype", [np.uint8, np.float64])
def test_psnr_of_a_region_is_that_of_its_pixels(dtype: type) -> None:
    distorted, mask = noisy(PHOTO).astype(dtype), np.random.default_rng(1).random(PHOTO.shape[:2]) < 0.1
    expected = 10 * np.log10(255**2 / ((PHOTO[mask].astype(float) - distorted[mask]) ** 2).mean())
    assert psnr(PHOTO, distorted, mask=mask) == pytest.approx(expected, rel=1e-12)


def test_ssim_of_a_rectangle_is_that_of_the_rectangle_and_half_a_window() -> None:
    distorted = noisy(PHOTO)
    around = np.s_[91:145, 95:155]
    assert ssim(PHOTO, distorted, mask=spot()) == pytest.approx(ssim(PHOTO[around], distorted[around]), rel=1e-12)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [(slice(0, 2), [[1, 1], [0, 0]]), (slice(0, 1), [[1, 1], [0, 0]]), (slice(1, 3), [[1, 1], [1, 1]])],
)
def test_half_a_block_is_enough(rows: slice, expected: list[list[int]]) -> None:
    mask = np.zeros((4, 4), dtype=bool)
    mask[rows] = True
    region = Region.of(mask, (4, 4), "toy").shrunk(2)
    places = np.arange(4).reshape(2, 2)
    np.testing.assert_array_equal(region.pick(places), places[np.array(expected, dtype=bool)])


def test_blocks_at_odd_borders_count_by_what_is_inside() -> None:
    mask = np.ones((5, 5), dtype=bool)
    mask[0, 0] = False
    shrunk = Region.of(mask, (5, 5), "toy").shrunk(2)
    assert shrunk.cover is not None
    np.testing.assert_array_equal(shrunk.cover, [[0.75, 1, 1], [1, 1, 1], [1, 1, 1]])


def test_arguments_stay_unchanged() -> None:
    mask, distorted = spot(), noisy(PHOTO)
    for metric in MASKED:
        metric.score(PHOTO, distorted, mask=mask)
    np.testing.assert_array_equal(mask, spot())
