"""Shared filters against direct convolution with MATLAB's alignment."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from scipy.signal import convolve2d

from causaliqa.baselines import arrays, haarpsi, vsi
from causaliqa.errors import DataError

RNG = np.random.default_rng(3)


def conv2_same(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """MATLAB's conv2(image, kernel, 'same'): the central part starts at ceil((size - 1) / 2), unlike SciPy's."""
    full = convolve2d(image, kernel, mode="full")
    top, left = kernel.shape[0] // 2, kernel.shape[1] // 2
    return full[top : top + image.shape[0], left : left + image.shape[1]]


@pytest.mark.parametrize("factor", [1, 2, 3, 4, 5, 8])
@pytest.mark.parametrize("shape", [(24, 24), (17, 30), (31, 9), (3, 2), (1, 1)])
def test_block_mean_is_matlab_filter_and_sampling(factor: int, shape: tuple[int, int]) -> None:
    image = RNG.random(shape)
    expected = conv2_same(image, np.full((factor, factor), 1 / factor**2))[::factor, ::factor]
    np.testing.assert_allclose(arrays.block_mean(image, factor), expected, atol=1e-14)


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_block_mean_mirrors(factor: int) -> None:
    image = RNG.random((23, 14))
    mirrored = np.pad(image, factor, mode="symmetric")
    means = conv2_same(mirrored, np.full((factor, factor), 1 / factor**2))[factor:-factor, factor:-factor]
    np.testing.assert_allclose(arrays.block_mean(image, factor, "symmetric"), means[::factor, ::factor], atol=1e-14)


def test_block_mean_keeps_planes_apart_and_its_input() -> None:
    planes = RNG.random((3, 7, 10))
    before = planes.copy()
    for plane, mean in zip(planes, arrays.block_mean(planes, 2), strict=True):
        np.testing.assert_array_equal(mean, arrays.block_mean(plane, 2))
    np.testing.assert_array_equal(planes, before)


@pytest.mark.parametrize("kernel", [arrays.PREWITT, arrays.SCHARR])
@pytest.mark.parametrize("shape", [(12, 7), (1, 5), (1, 1)])
def test_gradients_are_convolutions(kernel: tuple[float, float], shape: tuple[int, int]) -> None:
    image = RNG.random(shape)
    outer, middle = kernel
    horizontal = np.outer([outer, middle, outer], [1, 0, -1])
    across, down = arrays.gradients(image, kernel)
    np.testing.assert_allclose(across, conv2_same(image, horizontal), atol=1e-14)
    np.testing.assert_allclose(down, conv2_same(image, horizontal.T), atol=1e-14)


@pytest.mark.parametrize("shape", [(20, 13), (5, 3), (1, 1)])
def test_haar_coefficients_are_convolutions(shape: tuple[int, int]) -> None:
    image = RNG.random(shape)
    vertical, horizontal = haarpsi._haar(image)
    for scale in (1, 2, 3):
        size = 2**scale
        kernel = np.full((size, size), 2.0**-scale)
        kernel[: size // 2] *= -1
        np.testing.assert_allclose(vertical[scale - 1], np.abs(conv2_same(image, kernel)), atol=1e-13)
        np.testing.assert_allclose(horizontal[scale - 1], np.abs(conv2_same(image, kernel.T)), atol=1e-13)


@pytest.mark.parametrize(("height", "width"), [(100, 80), (256, 256), (300, 700), (61, 512)])
def test_resize_equals_pillow_inside(height: int, width: int) -> None:
    """Pillow's bilinear filter is antialiased too; it cuts the triangle at the border where MATLAB mirrors."""
    image = RNG.random((height, width)).astype(np.float32)
    expected = np.asarray(Image.fromarray(image).resize((256, 256), Image.Resampling.BILINEAR))
    found = vsi._resize(image.astype(np.float64), 256, 256)
    margin = 8
    inside = (slice(margin, -margin), slice(margin, -margin))
    np.testing.assert_allclose(found[inside], expected[inside], atol=2e-6)


def test_resize_keeps_constants() -> None:
    np.testing.assert_allclose(vsi._resize(np.full((37, 400), 7.0), 256, 256), 7.0, rtol=1e-12)


@pytest.mark.parametrize(
    ("size", "factor"), [(1, 1), (127, 1), (383, 1), (384, 2), (512, 2), (639, 2), (640, 3), (2160, 8)]
)
def test_matlab_factor_rounds_half_up(size: int, factor: int) -> None:
    assert arrays.matlab_factor(size, size + 100) == factor


def test_shape_mismatch_names_both_shapes() -> None:
    with pytest.raises(DataError, match=r"4x5 .*4x6x3"):
        arrays.check_pair(np.zeros((4, 5)), np.zeros((4, 6, 3)), 255)


@pytest.mark.parametrize(
    ("image", "data_range", "message"),
    [
        (np.zeros((4, 4, 4)), 255, "H, W, 3"),
        (np.zeros((4,)), 255, "H, W, 3"),
        (np.zeros((0, 4)), 255, "H, W, 3"),
        (np.zeros((4, 4)), 0, "data_range must be positive"),
        (np.zeros((4, 4)), np.nan, "data_range must be positive"),
        (np.zeros((4, 4), dtype=complex), 255, "complex128"),
        (np.zeros((4, 4), dtype=bool), 255, "bool"),
        (np.full((4, 4), -1.0), 255, "outside the declared data range"),
        (np.full((4, 4), 255.0), 1, r"outside the declared data range \[0, 1\]"),
        (np.full((4, 4), 200, dtype=np.uint8), 100, "above the declared data range 100"),
        (np.full((4, 4), 5000, dtype=np.uint16), 4095, "outside the declared data range"),
    ],
)
def test_bad_images_are_refused(image: np.ndarray, data_range: float, message: str) -> None:
    with pytest.raises(DataError, match=message):
        arrays.check_pair(image, image, data_range)
