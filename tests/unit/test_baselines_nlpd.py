"""NLPD against its definition by two-dimensional filters."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage, signal
from skimage import data

from causaliqa.baselines.nlpd import nlpd

PHOTO = data.astronaut()[100:276, 120:312, 1]
LOW = np.outer([0.05, 0.25, 0.4, 0.25, 0.05], [0.05, 0.25, 0.4, 0.25, 0.05])
SIGMA = (0.0248, 0.0185, 0.0179, 0.0191, 0.0220, 0.2782)


def kernels() -> list[np.ndarray]:
    """Return the 5 x 5 convolution kernels of the normalization, as the authors publish them."""
    cross = [  # above, left, right, below in the kernel
        (0.1011, 0.1493, 0.1460, 0.1015),
        (0.0757, 0.1986, 0.1846, 0.0837),
        (0.0477, 0.2138, 0.2243, 0.0467),
        (0, 0.2503, 0.2616, 0),
        (0, 0.2598, 0.2552, 0),
        (0, 0.2215, 0.0717, 0),
    ]
    out = []
    for above, left, right, below in cross:
        kernel = np.zeros((5, 5))
        kernel[1, 2], kernel[2, 1], kernel[2, 3], kernel[3, 2] = above, left, right, below
        out.append(kernel)
    out[0][2, 4] = 0.0072
    return out


def pyramid(image: np.ndarray) -> list[np.ndarray]:
    bands = []
    for scale, (sigma, kernel) in enumerate(zip(SIGMA, kernels(), strict=True)):
        band = image
        if scale < 5:
            low = ndimage.correlate(image, LOW, mode="reflect")[::2, ::2]  # SciPy's reflect doubles the edge
            padded = np.pad(low, 1, mode="edge")
            spread = np.zeros((2 * padded.shape[0], 2 * padded.shape[1]))
            spread[::2, ::2] = 4 * padded
            smooth = ndimage.correlate(spread, LOW, mode="constant")[2:, 2:]
            band = image - smooth[: image.shape[0], : image.shape[1]]
            image = low
        bands.append(band / (sigma + signal.convolve2d(np.abs(band), kernel, "same")))
    return bands


@pytest.mark.parametrize("size", [(176, 192), (175, 191), (32, 32), (33, 47)], ids=str)
def test_equals_definition(size: tuple[int, int]) -> None:
    first = PHOTO[: size[0], : size[1]].astype(np.float64)
    second = np.clip(first * 0.7 + np.random.default_rng(0).normal(20, 9, first.shape), 0, 255)
    expected = np.mean(
        [np.sqrt(((a - b) ** 2).mean()) for a, b in zip(pyramid(first / 255), pyramid(second / 255), strict=True)]
    )
    assert nlpd(first, second) == pytest.approx(expected, abs=1e-12)


def test_same_error_weighs_less_in_contrast() -> None:
    """Divisive normalization: noise is masked where neighbours are strong."""
    noise = np.random.default_rng(0).normal(0, 4, (128, 128))
    flat = np.full((128, 128), 128.0)
    busy = flat + 60 * np.sign(np.random.default_rng(1).normal(size=(128, 128)))
    assert nlpd(busy, busy + noise) < 0.5 * nlpd(flat, flat + noise)
