"""FSIM, SR-SIM, DSS, VIFp and HaarPSI-MED: their equations written out, and every input that has broken one."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.signal import convolve2d, correlate2d
from skimage import data

from causaliqa.baselines import dss as dss_module
from causaliqa.baselines import fsim as fsim_module
from causaliqa.baselines import sr_sim as sr_sim_module
from causaliqa.baselines.dss import dss
from causaliqa.baselines.fsim import fsim, fsimc, phase_congruency
from causaliqa.baselines.haarpsi import haarpsi, haarpsi_med
from causaliqa.baselines.sr_sim import spectral_residual, sr_sim
from causaliqa.baselines.vifp import vifp
from causaliqa.errors import DataError

Metric = Callable[..., float]
SMALLEST: dict[Metric, int] = {fsim: 8, fsimc: 8, sr_sim: 16, dss: 8, vifp: 41, haarpsi_med: 1}
RANGE: dict[Metric, tuple[float, float]] = {
    fsim: (0, 1),
    fsimc: (0, 1),
    sr_sim: (-0.1, 1),
    dss: (-0.25, 1),
    vifp: (0, math.inf),
    haarpsi_med: (0, 1),
}
ALL = pytest.mark.parametrize("metric", SMALLEST, ids=lambda metric: metric.__name__)
GRAY_OR_RGB = pytest.mark.parametrize("colour", [False, True], ids=["gray", "rgb"])
PHOTO = data.astronaut()[100:276, 120:312]  # 176 x 192
SLACK = 1e-12


def pick(image: np.ndarray, colour: bool) -> np.ndarray:
    return image if colour else image[..., 1]


def noisy(image: np.ndarray, sigma: float, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, sigma, image.shape)
    return np.clip(np.round(image + noise), 0, 255).astype(np.uint8)


def constant(value: int, shape: tuple[int, ...]) -> np.ndarray:
    return np.full(shape, value, dtype=np.uint8)


def in_range(metric: Metric, score: float) -> bool:
    low, high = RANGE[metric]
    return math.isfinite(score) and low <= score <= high + SLACK


@ALL
@pytest.mark.parametrize("image", [PHOTO, PHOTO[..., 1], PHOTO / 255 * 200 + 3.3], ids=["rgb", "gray", "float"])
def test_identity(metric: Metric, image: np.ndarray) -> None:
    assert metric(image, image) == pytest.approx(1, abs=1e-12)


@ALL
def test_symmetry_or_declared_asymmetry(metric: Metric) -> None:
    distorted = noisy(PHOTO, 15)
    forward, backward = metric(PHOTO, distorted), metric(distorted, PHOTO)
    if metric is vifp:
        assert abs(forward - backward) > 1e-3
    else:
        assert forward == pytest.approx(backward, abs=1e-12)


@ALL
def test_gray_equals_replicated_rgb(metric: Metric) -> None:
    pair = PHOTO[..., 1], noisy(PHOTO[..., 1], 15)
    copies = [np.repeat(image[..., None], 3, axis=2) for image in pair]
    assert metric(*pair) == pytest.approx(metric(*copies), abs=1e-12)


@ALL
@GRAY_OR_RGB
def test_data_range_is_only_a_unit(metric: Metric, colour: bool) -> None:
    pair = [pick(image, colour) for image in (PHOTO, noisy(PHOTO, 15))]
    bytes_score = metric(*pair)
    for scaled, data_range in (
        ([image / 255 for image in pair], 1.0),
        ([image.astype(np.uint16) * 257 for image in pair], 65535.0),
        ([image.astype(np.float64) for image in pair], 255.0),
    ):
        assert metric(*scaled, data_range=data_range) == pytest.approx(bytes_score, rel=1e-9)


@ALL
def test_twelve_bits_in_sixteen_are_not_read_as_eight(metric: Metric) -> None:
    pair = [image.astype(np.uint16) * 16 for image in (PHOTO, noisy(PHOTO, 15))]
    with pytest.raises(DataError, match="data range"):
        metric(*pair)
    assert in_range(metric, metric(*pair, data_range=4095))


@ALL
@GRAY_OR_RGB
def test_growing_noise_lowers_quality(metric: Metric, colour: bool) -> None:
    image = pick(PHOTO, colour)
    scores = [metric(image, noisy(image, sigma)) for sigma in (2, 4, 8, 16, 32, 64)]
    assert (np.diff(scores) < 0).all()
    assert all(in_range(metric, score) for score in scores)


@ALL
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_not_a_number_is_refused(metric: Metric, value: float) -> None:
    broken = PHOTO.astype(np.float64)
    broken[3, 4, 1] = value
    with pytest.raises(DataError, match="distorted: holds NaN or infinite"):
        metric(PHOTO, broken)
    with pytest.raises(DataError, match="reference: holds NaN or infinite"):
        metric(broken, PHOTO)


@ALL
def test_shape_mismatch_is_refused(metric: Metric) -> None:
    with pytest.raises(DataError, match=r"176x192x3 .*176x191x3"):
        metric(PHOTO, PHOTO[:, :-1])


@ALL
def test_arguments_stay_unchanged_and_views_score_like_copies(metric: Metric) -> None:
    for reference in (PHOTO.copy(), PHOTO.astype(np.float64), PHOTO[..., 1].astype(np.float64)):
        before, flipped = reference.copy(), reference[::-1]
        score = metric(reference, flipped)
        np.testing.assert_array_equal(reference, before)
        assert metric(reference, flipped.copy()) == score


@ALL
@pytest.mark.parametrize("shape", [(176, 200, 3), (201, 177), (400, 400)], ids=["rgb", "gray", "halved"])
@pytest.mark.parametrize("pair", [(0, 0), (255, 255), (100, 100), (0, 255), (255, 0), (100, 101), (0, 1)], ids=str)
def test_constant_images(metric: Metric, shape: tuple[int, ...], pair: tuple[int, int]) -> None:
    with np.errstate(all="raise"):
        score = metric(constant(pair[0], shape), constant(pair[1], shape))
    if pair[0] == pair[1]:
        assert score == pytest.approx(1, abs=1e-12)
    else:
        assert in_range(metric, score)


@ALL
def test_constant_against_photograph(metric: Metric) -> None:
    with np.errstate(all="raise", under="ignore"):
        scores = [
            metric(*pair)
            for pair in ((PHOTO, constant(0, PHOTO.shape)), (constant(128, PHOTO.shape), PHOTO), (PHOTO, 255 - PHOTO))
        ]
    assert all(in_range(metric, score) for score in scores)


@ALL
@pytest.mark.parametrize("name", ["stripes", "ramp", "step", "checks", "pixel"])
def test_artificial_images(metric: Metric, name: str) -> None:
    """Spectra that are zero almost everywhere, and flat regions."""
    rows, columns = np.indices((72, 96))
    image = {
        "stripes": columns % 8 * 36,
        "ramp": columns * 2,
        "step": (columns > 40) * 200,
        "checks": (rows // 2 + columns // 2) % 2 * 255,
        "pixel": (rows == 30) * (columns == 50) * 255,
    }[name].astype(np.uint8)
    with np.errstate(all="raise", under="ignore"):
        assert metric(image, image) == pytest.approx(1, abs=1e-12)
        score = metric(image, noisy(image, 20))
    assert in_range(metric, score)
    assert score < 0.999


@ALL
@pytest.mark.parametrize("shape", [(1, 1), (7, 90), (8, 8), (9, 30, 3), (15, 40), (16, 16), (40, 60, 3), (41, 41)])
def test_tiny_images_are_scored_or_refused(metric: Metric, shape: tuple[int, ...]) -> None:
    reference = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    distorted = reference ^ np.uint8(0x15)
    smallest = SMALLEST[metric]
    if min(shape[:2]) < smallest:
        with pytest.raises(DataError, match=f"from {smallest}x{smallest} pixels on"):
            metric(reference, distorted)
    else:
        assert in_range(metric, metric(reference, distorted))
        assert metric(reference, reference) == pytest.approx(1, abs=1e-12)


@ALL
@pytest.mark.parametrize("shape", [(170, 531, 3), (531, 170, 3), (389, 385)])
def test_non_square_images(metric: Metric, shape: tuple[int, ...]) -> None:
    repeats = [-(-new // old) for new, old in zip(shape, PHOTO.shape, strict=False)]
    source = pick(PHOTO, len(shape) == 3)
    picture = np.tile(source, (*repeats, 1)[: len(shape)])[: shape[0], : shape[1]]
    quiet, loud = noisy(picture, 5), noisy(picture, 25)
    scores = [metric(picture, quiet), metric(picture, loud)]
    assert scores[0] > scores[1]
    # Turned by 90 degrees the same pair scores nearly the same; borders and cut-off blocks fall on other sides.
    turned = [np.ascontiguousarray(np.rot90(image)) for image in (picture, loud)]
    assert metric(*turned) == pytest.approx(scores[1], rel=0.03)


@settings(max_examples=40, deadline=None)
@given(
    height=st.integers(1, 60),
    width=st.integers(1, 60),
    colour=st.booleans(),
    seed=st.integers(0, 2**32),
    top=st.integers(1, 256),
)
def test_any_small_pair_has_a_score_in_range(height: int, width: int, colour: bool, seed: int, top: int) -> None:
    rng = np.random.default_rng(seed)
    shape = (height, width, 3) if colour else (height, width)
    pair = [rng.integers(0, top, shape, dtype=np.int64).astype(np.uint8) for _ in range(2)]
    for metric, smallest in SMALLEST.items():
        if min(height, width) >= smallest:
            assert in_range(metric, metric(*pair)), metric.__name__


def direct_phase_congruency(image: np.ndarray) -> np.ndarray:
    """Kovesi's phase congruency by complex transforms, filter by filter, noise from the filters' impulse responses."""
    height, width = image.shape
    axes = []
    for size in image.shape:
        span = size - 1 if size % 2 else size
        axes.append(np.fft.ifftshift(np.array([index - size // 2 for index in range(size)]) / span))
    down, across = np.meshgrid(*axes, indexing="ij")
    radius, theta = np.hypot(down, across), np.arctan2(-down, across)
    low_pass = 1 / (1 + (radius / 0.45) ** 30)
    radius[0, 0] = 1
    spectrum = np.fft.fft2(image)
    energy_all, amplitude_all = np.zeros(image.shape), np.zeros(image.shape)
    for orientation in range(4):
        angle = orientation * np.pi / 4
        sine = np.sin(theta) * np.cos(angle) - np.cos(theta) * np.sin(angle)
        cosine = np.cos(theta) * np.cos(angle) + np.sin(theta) * np.sin(angle)
        spread = np.exp(-(np.arctan2(sine, cosine) ** 2) / (2 * (np.pi / 4 / 1.2) ** 2))
        filters = []
        for scale in range(4):
            band = np.exp(-(np.log(radius * 6 * 2**scale) ** 2) / (2 * np.log(0.55) ** 2)) * low_pass
            band[0, 0] = 0
            filters.append(band * spread)
        responses = [np.fft.ifft2(spectrum * one) for one in filters]
        mean = sum(responses)
        length = np.abs(mean) + 1e-4
        energy = np.zeros(image.shape)
        for one in responses:
            energy += (one.real * mean.real + one.imag * mean.imag) / length
            energy -= np.abs(one.real * mean.imag - one.imag * mean.real) / length
        impulses = [np.fft.ifft2(one).real * np.sqrt(height * width) for one in filters]
        power = np.median(np.abs(responses[0]) ** 2) / np.log(2) / (filters[0] ** 2).sum()
        total = 2 * power * sum((one**2).sum() for one in impulses)
        for first in range(4):
            for second in range(first + 1, 4):
                total += 4 * power * (impulses[first] * impulses[second]).sum()
        tau = np.sqrt(total / 2)
        threshold = (tau * np.sqrt(np.pi / 2) + 2 * np.sqrt((2 - np.pi / 2) * tau**2)) / 1.7
        energy_all += np.maximum(energy - threshold, 0)
        amplitude_all += sum(np.abs(one) for one in responses)
    return energy_all / amplitude_all


@pytest.mark.parametrize("shape", [(64, 80), (63, 80), (64, 81), (45, 33)])
def test_phase_congruency_is_kovesis(shape: tuple[int, int]) -> None:
    image = PHOTO[: shape[0], : shape[1], 1].astype(np.float64)
    found = phase_congruency(image)
    np.testing.assert_allclose(found, direct_phase_congruency(image), atol=1e-12)
    assert 0 <= found.min() < found.max() <= 1


def test_phase_congruency_finds_edges_of_any_contrast() -> None:
    columns = np.tile(np.arange(64.0), (64, 1))
    weak, strong = ((columns >= 32) * contrast + 50 for contrast in (10, 150))
    for image in (weak, strong):
        found = phase_congruency(image)[20:44]
        assert set(found[:, 16:48].argmax(axis=1) + 16) <= {31, 32}
    np.testing.assert_allclose(phase_congruency(weak), phase_congruency(strong), atol=1e-3)
    np.testing.assert_array_equal(phase_congruency(np.full((20, 30), 77.0)), 0)


def test_phase_congruency_without_kept_filters_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Filters of very long images are not kept in memory."""
    image = PHOTO[:40, :90, 1].astype(np.float64)
    expected = phase_congruency(image)
    fsim_module._cached_filters.cache_clear()
    monkeypatch.setattr(fsim_module, "_CACHED", image.size - 1)
    np.testing.assert_array_equal(phase_congruency(image), expected)
    assert fsim_module._cached_filters.cache_info().currsize == 0


def test_fsim_is_blind_to_colour_and_fsimc_is_not() -> None:
    luma = np.array([0.299, 0.587, 0.114])
    shift = np.array([20.0, 0.0, -20 * luma[0] / luma[2]])
    picture = PHOTO * 0.4 + 80.0
    assert fsim(picture, picture + shift) == pytest.approx(1, abs=1e-12)
    assert fsimc(picture, picture + shift) < 0.99


def test_fsimc_of_opposed_chrominances_takes_the_real_part() -> None:
    red, green = np.zeros((40, 40, 3), dtype=np.uint8), np.zeros((40, 40, 3), dtype=np.uint8)
    red[..., 0], green[..., 1] = 255, 255
    red[10:20], green[15:35] = 0, 128
    assert 0 < fsimc(red, green) < fsim(red, green)


def test_fsim_of_flat_images_weighs_all_pixels_alike() -> None:
    assert fsim(constant(100, (64, 64)), constant(101, (64, 64))) == pytest.approx(1, abs=1e-3)
    assert fsim(constant(0, (64, 64)), constant(255, (64, 64))) < 0.97


def direct_vifp(reference: np.ndarray, distorted: np.ndarray) -> float:
    """The published procedure step by step, with two-dimensional windows."""
    numerator = denominator = 0.0
    for size in (17, 9, 5, 3):
        offsets = np.arange(size) - size // 2
        window = np.exp(-(offsets[:, None] ** 2 + offsets[None, :] ** 2) / (2 * (size / 5) ** 2))
        window /= window.sum()
        if size < 17:
            reference = correlate2d(reference, window, "valid")[::2, ::2]
            distorted = correlate2d(distorted, window, "valid")[::2, ::2]
        mean_r, mean_d = correlate2d(reference, window, "valid"), correlate2d(distorted, window, "valid")
        variance_r = correlate2d(reference**2, window, "valid") - mean_r**2
        variance_d = correlate2d(distorted**2, window, "valid") - mean_d**2
        covariance = correlate2d(reference * distorted, window, "valid") - mean_r * mean_d
        for r, d, c in zip(variance_r.ravel(), variance_d.ravel(), covariance.ravel(), strict=True):
            if r > 1e-10 and d > 1e-10 and c > 0:
                gain = c / r
                numerator += math.log2(1 + gain**2 * r / (max(d - gain * c, 0) + 2))
            denominator += math.log2(1 + max(r, 0) / 2)
    return numerator / denominator


@pytest.mark.parametrize("shape", [(60, 47), (41, 41)])
def test_vifp_is_the_published_procedure(shape: tuple[int, int]) -> None:
    reference = PHOTO[20 : 20 + shape[0], 30 : 30 + shape[1], 1]
    for distorted in (noisy(reference, 12), 255 - reference, reference // 3 + 100):
        expected = direct_vifp(reference.astype(np.float64), distorted.astype(np.float64))
        assert vifp(reference, distorted) == pytest.approx(expected, abs=1e-10)


def test_vifp_rewards_contrast_and_ignores_an_offset() -> None:
    picture = PHOTO * 0.5 + 40.0
    assert vifp(picture, (picture - 100) * 1.3 + 100) > 1.02
    assert vifp(picture, picture + 30) == pytest.approx(1, abs=1e-12)


def test_vifp_of_a_reference_without_structure() -> None:
    flat = constant(128, (64, 64))
    assert vifp(flat, constant(7, (64, 64))) == 1.0
    assert vifp(flat, noisy(flat, 10)) == 0.0
    assert vifp(noisy(flat, 10), flat) == 0.0


def direct_dss(reference: np.ndarray, distorted: np.ndarray) -> float:
    """Block by block and subband by subband."""
    size = np.arange(8)
    basis = np.sqrt(2 / 8) * np.cos(np.pi * (2 * size[None, :] + 1) * size[:, None] / 16)
    basis[0] = np.sqrt(1 / 8)
    window = np.exp(-(np.array([[2, 1, 2], [1, 0, 1], [2, 1, 2]])) / (2 * 1.5**2))
    window /= window.sum()
    rows, columns = (length // 8 for length in reference.shape)
    spectra = []
    for image in (reference, distorted):
        spectrum = np.zeros((rows, columns, 8, 8))
        for row in range(rows):
            for column in range(columns):
                spectrum[row, column] = basis @ image[8 * row : 8 * row + 8, 8 * column : 8 * column + 8] @ basis.T
        spectra.append(spectrum)
    count = math.floor(0.05 * rows * columns + 0.5)
    score = total = 0.0
    for m in range(8):
        for n in range(8):
            weight = math.exp(-((m + 0.5) ** 2 + (n + 0.5) ** 2) / (2 * 1.55**2))
            if weight < 0.01:
                continue
            r, d = (spectrum[..., m, n] for spectrum in spectra)
            c = 300 if m or n else 1000
            mean_r, mean_d = convolve2d(r, window, "same"), convolve2d(d, window, "same")
            variance_r = np.maximum(convolve2d(r * r, window, "same") - mean_r**2, 0)
            variance_d = np.maximum(convolve2d(d * d, window, "same") - mean_d**2, 0)
            product = np.sqrt(variance_r * variance_d)
            value = np.sort(((2 * product + c) / (variance_r + variance_d + c)).ravel())[:count].mean()
            if not m and not n:
                covariance = convolve2d(r * d, window, "same") - mean_r * mean_d
                value *= np.sort(((covariance + c) / (product + c)).ravel())[:count].mean()
            score += weight * value
            total += weight
    return score / total


def test_dss_is_the_published_procedure() -> None:
    reference = PHOTO[:, :, 1]
    for distorted in (noisy(reference, 12), np.roll(reference, 2, axis=0), reference // 3 + 100):
        for cut in (np.s_[:, :], np.s_[:99, :140]):
            expected = direct_dss(reference[cut].astype(np.float64), distorted[cut].astype(np.float64))
            assert dss(reference[cut], distorted[cut]) == pytest.approx(expected, abs=1e-8)


def test_dss_uses_seventeen_subbands() -> None:
    weights = dss_module._weights()
    assert len(weights) == 17
    assert next(iter(weights)) == (0, 0)
    assert sum(weights.values()) == pytest.approx(1)
    assert weights[0, 4] == weights[4, 0]
    assert (3, 3) not in weights


def test_dss_of_inverted_block_means_counts_the_dc_subband_as_negative() -> None:
    image = np.kron(np.random.default_rng(3).integers(0, 256, (30, 30)), np.ones((8, 8))).astype(np.uint8)
    # Blocks of one value have no other subband, so these are all alike.
    assert dss(image, 255 - image) < 1 - dss_module._weights()[0, 0]


@pytest.mark.parametrize(("source", "target"), [(192, 48), (190, 48), (48, 192), (48, 190), (64, 256), (23, 90)])
def test_cubic_resizing_equals_pillow_inside(source: int, target: int) -> None:
    """Pillow's bicubic filter has the same kernel; it cuts it at the border where MATLAB mirrors."""
    image = np.random.default_rng(4).random((source, source)).astype(np.float32)
    matrix = sr_sim_module._resizer(source, target, target / source)
    found = sr_sim_module._resize(image.astype(np.float64), matrix, matrix)
    expected = np.asarray(Image.fromarray(image).resize((target, target), Image.Resampling.BICUBIC))
    margin = math.ceil(3 * max(1, target / source))
    inside = np.s_[margin:-margin, margin:-margin]
    np.testing.assert_allclose(found[inside], expected[inside], atol=2e-6)
    np.testing.assert_allclose(matrix.sum(axis=1), 1, rtol=1e-14)


@pytest.mark.parametrize("shape", [(64, 80), (61, 83)])
def test_spectral_residual_is_the_published_procedure(shape: tuple[int, int]) -> None:
    image = PHOTO[: shape[0], : shape[1], 1].astype(np.float64)
    small = [math.ceil(size / 4) for size in shape]
    shrink = [sr_sim_module._resizer(size, new, 0.25).toarray() for size, new in zip(shape, small, strict=True)]
    grow = [sr_sim_module._resizer(new, size, size / new).toarray() for size, new in zip(shape, small, strict=True)]
    spectrum = np.fft.fft2(shrink[0] @ image @ shrink[1].T)
    logarithm = np.log(np.abs(spectrum))
    smooth = convolve2d(np.pad(logarithm, 1, mode="edge"), np.full((3, 3), 1 / 9), "valid")
    saliency = np.abs(np.fft.ifft2(np.exp(logarithm - smooth + 1j * np.angle(spectrum)))) ** 2
    offsets = np.arange(10) - 4.5
    window = np.exp(-(offsets[:, None] ** 2 + offsets[None, :] ** 2) / (2 * 3.8**2))
    # MATLAB's imfilter correlates, with the fifth of ten values at the pixel and zeros outside.
    padded = np.pad(saliency, ((4, 5), (4, 5)))
    saliency = correlate2d(padded, window / window.sum(), "valid")
    saliency = (saliency - saliency.min()) / (saliency.max() - saliency.min())
    np.testing.assert_allclose(spectral_residual(image), grow[0] @ saliency @ grow[1].T, atol=1e-10)


def test_spectral_residual_of_one_colour_is_zero() -> None:
    np.testing.assert_array_equal(spectral_residual(np.full((40, 52), 77.7)), 0)
    assert sr_sim(constant(100, (64, 64)), constant(101, (64, 64))) == pytest.approx(1, abs=1e-3)
    assert sr_sim(constant(0, (64, 64)), constant(255, (64, 64))) < 0.99


def test_haarpsi_med_is_more_sensitive_to_weak_structure() -> None:
    faint = (PHOTO // 16 + 100).astype(np.uint8)
    distorted = noisy(faint, 2)
    assert haarpsi_med(faint, distorted) < haarpsi(faint, distorted) - 0.03


def test_haarpsi_med_of_black_images_is_one() -> None:
    black = constant(0, (32, 32))
    assert haarpsi_med(black, black) == pytest.approx(1, abs=1e-12)


def test_remembered_saliency_is_the_same_and_cannot_be_spoiled() -> None:
    from causaliqa.baselines import vsi as module

    rng = np.random.default_rng(3)
    small, other = (rng.integers(0, 256, (48, 48, 3)).astype(np.uint8) for _ in range(2))
    module._remembered.cache_clear()
    first = module.vsi(small, other)
    assert module._remembered.cache_info().currsize == 2
    assert module.vsi(small, other) == first
    assert module._remembered.cache_info().hits == 2
    # Another image of the same memory is another image.
    changed = small.copy()
    before = module.vsi(changed, other)
    changed[10:30, 10:30] = 255
    assert module.vsi(changed, other) != before
    large = rng.integers(0, 256, (160, 160, 3)).astype(np.uint8)
    module.vsi(large, large)
    assert module._remembered.cache_info().currsize == 3
