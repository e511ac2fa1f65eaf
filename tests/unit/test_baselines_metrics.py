"""Properties that every metric must have, and every input that has broken one elsewhere."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage import data

from causaliqa.baselines.gmsd import gmsd
from causaliqa.baselines.haarpsi import haarpsi
from causaliqa.baselines.mdsi import mdsi
from causaliqa.baselines.ms_ssim import ms_ssim
from causaliqa.baselines.psnr import psnr
from causaliqa.baselines.registry import METRICS, Metric, get, get_all
from causaliqa.baselines.ssim import ssim, ssim_downsampled
from causaliqa.baselines.vsi import saliency, vsi
from causaliqa.errors import ConfigError, DataError

ALL = pytest.mark.parametrize("metric", METRICS.values(), ids=list(METRICS))
PHOTO = data.astronaut()[100:276, 120:312]  # 176 x 192
IDENTICAL = {"psnr": math.inf, "gmsd": 0.0, "mdsi": 0.0, "ms_gmsd": 0.0, "ms_gmsdc": 0.0, "nlpd": 0.0, "mad": 0.0}
SMALLEST = {
    "ssim": 11, "ssim_downsampled": 11, "ms_ssim": 161, "fsim": 8, "fsimc": 8, "sr_sim": 16, "dss": 8, "vifp": 41,
    "ms_gmsd": 17, "ms_gmsdc": 17, "iw_ssim": 161, "nlpd": 32, "vif": 72, "mad": 34,
}  # fmt: skip


def noisy(image: np.ndarray, sigma: float, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, sigma, image.shape)
    return np.clip(np.round(image + noise), 0, 255).astype(np.uint8)


def gray(image: np.ndarray) -> np.ndarray:
    return image[..., 1]


def replicated(image: np.ndarray) -> np.ndarray:
    return np.repeat(image[..., None], 3, axis=2)


@ALL
@pytest.mark.parametrize("image", [PHOTO, gray(PHOTO), PHOTO / 255 * 200 + 3.3], ids=["rgb", "gray", "float"])
def test_identity(metric: Metric, image: np.ndarray) -> None:
    assert metric.function(image, image) == pytest.approx(IDENTICAL.get(metric.name, 1.0), abs=1e-12)


@ALL
def test_symmetry_or_declared_asymmetry(metric: Metric) -> None:
    distorted = noisy(PHOTO, 15)
    forward, backward = metric.function(PHOTO, distorted), metric.function(distorted, PHOTO)
    if metric.name in ("mdsi", "vifp", "vif", "iw_ssim", "mad"):
        assert abs(forward - backward) > (1e-5 if metric.name == "iw_ssim" else 1e-3)
    else:
        assert forward == pytest.approx(backward, abs=1e-12)


@ALL
def test_gray_equals_replicated_rgb(metric: Metric) -> None:
    pair = gray(PHOTO), noisy(gray(PHOTO), 15)
    assert metric.function(*pair) == pytest.approx(metric.function(*map(replicated, pair)), abs=1e-12)


@ALL
@pytest.mark.parametrize("pick", [gray, np.asarray], ids=["gray", "rgb"])
def test_data_range_is_only_a_unit(metric: Metric, pick: object) -> None:
    pair = [pick(image) for image in (PHOTO, noisy(PHOTO, 15))]  # type: ignore[operator]
    bytes_score = metric.function(*pair)
    for scaled, data_range in (
        ([image / 255 for image in pair], 1.0),
        ([image.astype(np.uint16) * 257 for image in pair], 65535.0),
        ([image.astype(np.float64) for image in pair], 255.0),
    ):
        assert metric.function(*scaled, data_range=data_range) == pytest.approx(bytes_score, rel=1e-9, abs=1e-9)


@ALL
def test_twelve_bits_in_sixteen_are_not_read_as_eight(metric: Metric) -> None:
    pair = [image.astype(np.uint16) * 16 for image in (PHOTO, noisy(PHOTO, 15))]
    with pytest.raises(DataError, match="data range"):
        metric.function(*pair)
    assert np.isfinite(metric.function(*pair, data_range=4095))


@ALL
@pytest.mark.parametrize("pick", [gray, np.asarray], ids=["gray", "rgb"])
def test_growing_noise_lowers_quality(metric: Metric, pick: object) -> None:
    image = pick(PHOTO)  # type: ignore[operator]
    # Deviation pooling turns back where every pixel is equally bad: MDSI falls again above a sigma of 40 or so.
    sigmas = (2, 4, 8, 16, 32) if metric.name in ("mdsi", "gmsd") else (2, 4, 8, 16, 32, 64)
    scores = [metric.function(image, noisy(image, sigma)) for sigma in sigmas]
    quality = np.array(scores) if metric.higher_is_better else -np.array(scores)
    assert (np.diff(quality) < 0).all()
    assert all(metric.range[0] <= score <= metric.range[1] for score in scores)


@ALL
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_not_a_number_is_refused(metric: Metric, value: float) -> None:
    broken = PHOTO.astype(np.float64)
    broken[3, 4, 1] = value
    with pytest.raises(DataError, match="distorted: holds NaN or infinite"):
        metric.function(PHOTO, broken)
    with pytest.raises(DataError, match="reference: holds NaN or infinite"):
        metric.function(broken, PHOTO)


@ALL
def test_shape_mismatch_is_refused(metric: Metric) -> None:
    with pytest.raises(DataError, match=r"176x192x3 .*176x191x3"):
        metric.function(PHOTO, PHOTO[:, :-1])


@ALL
def test_arguments_stay_unchanged(metric: Metric) -> None:
    for reference in (PHOTO.copy(), PHOTO.astype(np.float64), gray(PHOTO).astype(np.float64)):
        before, distorted = reference.copy(), reference[::-1].copy()
        metric.function(reference, distorted)
        np.testing.assert_array_equal(reference, before)
        np.testing.assert_array_equal(distorted, before[::-1])


@ALL
def test_strided_views_score_like_copies(metric: Metric) -> None:
    flipped, distorted = PHOTO[:, ::-1], noisy(PHOTO, 9)[:, ::-1]
    assert metric.function(flipped, distorted) == metric.function(flipped.copy(), distorted.copy())


def constant(value: int, shape: tuple[int, ...]) -> np.ndarray:
    return np.full(shape, value, dtype=np.uint8)


@ALL
@pytest.mark.parametrize("shape", [(176, 200, 3), (200, 176)], ids=["rgb", "gray"])
@pytest.mark.parametrize("pair", [(0, 0), (255, 255), (100, 100), (0, 255), (255, 0), (100, 101), (0, 1)], ids=str)
def test_constant_images(metric: Metric, shape: tuple[int, ...], pair: tuple[int, int]) -> None:
    with np.errstate(all="raise"):
        score = metric.function(constant(pair[0], shape), constant(pair[1], shape))
    if pair[0] == pair[1]:
        assert score == pytest.approx(IDENTICAL.get(metric.name, 1.0), abs=1e-12)
    else:
        assert metric.range[0] <= score <= metric.range[1]
        assert np.isfinite(score)


@ALL
def test_constant_against_photograph(metric: Metric) -> None:
    with np.errstate(all="raise", under="ignore"):
        scores = [
            metric.function(*pair)
            for pair in ((PHOTO, constant(0, PHOTO.shape)), (constant(128, PHOTO.shape), PHOTO), (PHOTO, 255 - PHOTO))
        ]
    assert all(np.isfinite(score) and metric.range[0] <= score <= metric.range[1] for score in scores)


@ALL
@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (2, 2), (7, 3, 3), (10, 40), (11, 11), (12, 160, 3), (161, 161)])
def test_tiny_images_are_scored_or_refused(metric: Metric, shape: tuple[int, ...]) -> None:
    reference = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    distorted = reference ^ np.uint8(0x15)
    if min(shape[:2]) < SMALLEST.get(metric.name, 1):
        with pytest.raises(DataError, match=f"from {SMALLEST[metric.name]}x{SMALLEST[metric.name]} pixels on"):
            metric.function(reference, distorted)
    else:
        score = metric.function(reference, distorted)
        assert np.isfinite(score)
        assert metric.function(reference, reference) == pytest.approx(IDENTICAL.get(metric.name, 1.0), abs=1e-12)


@ALL
@pytest.mark.parametrize("shape", [(170, 531, 3), (531, 170, 3), (389, 385)])
def test_non_square_images(metric: Metric, shape: tuple[int, ...]) -> None:
    repeats = [-(-new // old) for new, old in zip(shape, PHOTO.shape, strict=False)]
    picture = np.tile(PHOTO if len(shape) == 3 else gray(PHOTO), (*repeats, 1)[: len(shape)])[: shape[0], : shape[1]]
    turned = np.ascontiguousarray(np.rot90(picture))
    quiet, loud = noisy(picture, 5), noisy(picture, 25)
    scores = [metric.function(picture, quiet), metric.function(picture, loud)]
    assert (scores[0] > scores[1]) == metric.higher_is_better
    # Turned by 90 degrees the same pair scores nearly the same; zero borders fall on other sides. The filters of MAD
    # have the unit of the width.
    nearly = 0.1 if metric.name == "mad" else 0.03
    assert metric.function(turned, np.ascontiguousarray(np.rot90(loud))) == pytest.approx(scores[1], rel=nearly)


@settings(max_examples=25, deadline=None)
@given(
    height=st.integers(1, 20),
    width=st.integers(1, 20),
    colour=st.booleans(),
    seed=st.integers(0, 2**32),
    top=st.integers(1, 256),
)
def test_any_small_pair_has_a_score_in_range(height: int, width: int, colour: bool, seed: int, top: int) -> None:
    rng = np.random.default_rng(seed)
    shape = (height, width, 3) if colour else (height, width)
    pair = [rng.integers(0, top, shape, dtype=np.int64).astype(np.uint8) for _ in range(2)]
    for metric in METRICS.values():
        if min(height, width) >= SMALLEST.get(metric.name, 1):
            score = metric.function(*pair)
            assert metric.range[0] <= score <= metric.range[1] + 1e-12


def test_psnr_by_hand() -> None:
    reference = np.zeros((2, 2), dtype=np.uint8)
    distorted = np.array([[255, 0], [0, 0]], dtype=np.uint8)
    assert psnr(reference, distorted) == pytest.approx(10 * math.log10(4))
    assert psnr(distorted, reference) == pytest.approx(10 * math.log10(4))
    assert psnr(np.zeros((1, 1, 3)), np.array([[[1.0, 0.0, 0.0]]]), data_range=1) == pytest.approx(10 * math.log10(3))
    assert psnr(reference, reference) == math.inf


def test_psnr_of_large_differences_does_not_overflow() -> None:
    black, white = constant(0, (700, 700, 3)), constant(255, (700, 700, 3))
    assert psnr(black, white) == pytest.approx(0.0, abs=1e-12)


def test_haarpsi_of_black_images_is_one() -> None:
    black = constant(0, (32, 32))
    assert haarpsi(black, black) == pytest.approx(1.0)
    assert haarpsi(replicated(black), replicated(black)) == pytest.approx(1.0)


def test_haarpsi_sees_a_pure_colour_change() -> None:
    swapped = PHOTO[..., (2, 1, 0)]
    assert haarpsi(PHOTO, swapped) < 0.95


def test_mdsi_fourth_root_of_negative_similarity() -> None:
    """Complementary colours: the similarity map is negative, its root complex, the score real."""
    red, green = np.zeros((40, 40, 3), dtype=np.uint8), np.zeros((40, 40, 3), dtype=np.uint8)
    red[..., 0], green[..., 1] = 255, 255
    red[10:20], green[15:35] = 0, 128
    assert 0 < mdsi(red, green) < 1


def test_ssim_variants_part_at_384_pixels() -> None:
    large = np.tile(PHOTO, (3, 3, 1))
    below, above = large[:383, :383], large[:384, :384]
    assert ssim(below, noisy(below, 20)) == ssim_downsampled(below, noisy(below, 20))
    # Averaging removes noise, so the downsampled variant is milder.
    assert ssim_downsampled(above, noisy(above, 20)) > ssim(above, noisy(above, 20)) + 0.05


def test_ms_ssim_of_inverted_structure_is_zero() -> None:
    image = gray(PHOTO)
    assert ms_ssim(image, 255 - image) == 0.0


def test_gmsd_is_the_deviation_of_a_map_in_zero_one() -> None:
    assert 0 < gmsd(PHOTO, noisy(PHOTO, 60)) < 0.5


def test_saliency_is_stretched_and_centred() -> None:
    planes = np.ascontiguousarray(PHOTO.transpose(2, 0, 1)).astype(np.float64)
    found = saliency(planes)
    assert found.shape == PHOTO.shape[:2]
    assert found.min() == 0
    assert found.max() == 1
    flat = saliency(np.full((3, 30, 50), 77.0))
    np.testing.assert_array_equal(flat, 0)


def test_vsi_of_flat_images_weighs_all_pixels_alike() -> None:
    assert vsi(constant(100, (64, 64)), constant(101, (64, 64))) == pytest.approx(1, abs=1e-3)
    assert vsi(constant(0, (64, 64)), constant(255, (64, 64))) < 0.97


def test_registry_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="'haar_psi'; did you mean 'haarpsi'"):
        get("haar_psi")
    with pytest.raises(ConfigError, match="known are psnr, ssim"):
        get("zzz")
    assert [metric.name for metric in get_all(["vsi", "psnr", "vsi"])] == ["vsi", "psnr"]


def test_registry_declares_everything() -> None:
    for name, metric in METRICS.items():
        assert metric.name == name == metric.function.__name__  # type: ignore[attr-defined]
        assert metric.title
        assert metric.colour
        assert metric.range[0] < metric.range[1]
    falling = {name for name, metric in METRICS.items() if not metric.higher_is_better}
    assert falling == {"nlpd", "mad", "ms_gmsd", "ms_gmsdc", "gmsd", "mdsi"}
