"""What the metrics share: one gate for their input, luma, block means, gradients and the region that counts.

The filters follow MATLAB's ``conv2(..., 'same')`` and ``imfilter``, because the published numbers come from MATLAB
code; SciPy's ``'same'`` is shifted by one pixel for kernels of even size. All arithmetic is float64 and free of BLAS
calls, so that scores do not depend on the number of threads.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from causaliqa.errors import DataError

#: ITU-R BT.601 luma of R, G and B.
BT601 = (0.299, 0.587, 0.114)
#: Columns of the Prewitt and Scharr kernels: weights of the outer and of the middle pixel across the derivative.
PREWITT = (1 / 3, 1 / 3)
SCHARR = (3 / 16, 10 / 16)
# A float image that was scaled back and forth may leave its range by rounding; by more than this it has another range.
_SLACK = 1e-6


def _check_pixels(image: np.ndarray, role: str, data_range: float) -> None:
    if image.dtype == np.uint8:
        # A byte cannot be NaN, and only a declared range below 255 could be exceeded.
        if data_range < 255 and image.max() > data_range:
            raise DataError(f"{role}: holds {image.max()}, above the declared data range {data_range:g}")
        return
    if image.dtype.kind not in "uif":
        raise DataError(f"{role}: pixels are of type {image.dtype}; pass integers or floats")
    low, high = float(image.min()), float(image.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        # min and max propagate NaN, so this also sees a single one.
        raise DataError(f"{role}: holds NaN or infinite pixels; mask or fill them before scoring")
    if low < -_SLACK * data_range or high > (1 + _SLACK) * data_range:
        raise DataError(
            f"{role}: pixels lie in [{low:g}, {high:g}], outside the declared data range [0, {data_range:g}]; "
            "pass the right data_range"
        )


def check_pair(
    reference: np.ndarray, distorted: np.ndarray, data_range: float, *, smallest: int = 1, metric: str = "the metric"
) -> tuple[np.ndarray, np.ndarray]:
    """Refuse a pair that no metric can score.

    Parameters
    ----------
    reference, distorted : arrays (H, W) or (H, W, 3) of equal shape, integer or float, in [0, `data_range`].
    data_range : largest value a pixel can have; 255 for uint8, 1 for float in [0, 1], 65535 for 16 bit.
    smallest : least height and width on which the metric is defined.
    metric : name used in messages.

    Returns
    -------
    The pair as arrays, values unchanged.

    Raises
    ------
    DataError
        If the shapes differ or are not those of an image, a pixel is NaN, infinite or outside the declared range,
        or an image is smaller than `smallest`.
    """
    first, second = np.asarray(reference), np.asarray(distorted)
    shape = first.shape
    if shape != second.shape:
        raise DataError(
            f"reference is {'x'.join(map(str, shape))} and distorted {'x'.join(map(str, second.shape))} "
            "(height x width): a full-reference metric needs two images of equal shape"
        )
    if not (len(shape) == 2 or (len(shape) == 3 and shape[2] == 3)) or 0 in shape:
        raise DataError(f"an image is an array (H, W) or (H, W, 3), not {shape}")
    if not (np.isfinite(data_range) and data_range > 0):
        raise DataError(f"data_range must be positive and finite, not {data_range}")
    if min(shape[:2]) < smallest:
        raise DataError(
            f"{metric} is defined from {smallest}x{smallest} pixels on, this pair has {shape[0]}x{shape[1]} "
            "(height x width): pass larger images or choose another metric"
        )
    _check_pixels(first, "reference", data_range)
    _check_pixels(second, "distorted", data_range)
    return first, second


def prepare(
    reference: np.ndarray, distorted: np.ndarray, data_range: float, *, smallest: int = 1, metric: str = "the metric"
) -> tuple[np.ndarray, np.ndarray]:
    """Check a pair (see :func:`check_pair`) and bring it to [0, 255], the range of the metrics' published constants.

    Returns
    -------
    Two new float64 arrays in [0, 255], (H, W) or, plane by plane since that is twice as fast, (3, H, W).
    """
    first, second = (
        np.ascontiguousarray(image if image.ndim == 2 else image.transpose(2, 0, 1)).astype(np.float64)
        for image in check_pair(reference, distorted, data_range, smallest=smallest, metric=metric)
    )
    if data_range != 255:
        first *= 255.0 / data_range
        second *= 255.0 / data_range
    return first, second


def luma(image: np.ndarray) -> np.ndarray:
    """Return the BT.601 luma of (3, H, W), or a gray image (H, W) itself. Not rounded, unlike ``rgb2gray`` on uint8."""
    return image if image.ndim == 2 else mix(image, BT601)


def mix(image: np.ndarray, weights: tuple[float, float, float]) -> np.ndarray:
    """Return the weighted sum of three planes, (3, H, W) to (H, W). A gray image is taken as three equal planes."""
    red, green, blue = (image, image, image) if image.ndim == 2 else image
    mixed = np.asarray(red * weights[0])
    mixed += green * weights[1]
    mixed += blue * weights[2]
    return mixed


def matlab_factor(height: int, width: int) -> int:
    """Return the factor ``max(1, round(min(H, W) / 256))``, rounding half away from zero as MATLAB does."""
    return max(1, int(np.floor(min(height, width) / 256 + 0.5)))


def block_mean(image: np.ndarray, factor: int, border: Literal["constant", "symmetric"] = "constant") -> np.ndarray:
    """Average `factor` x `factor` pixels and keep every `factor`-th, as MATLAB's filter followed by ``1:factor:end``.

    Parameters
    ----------
    image : array (..., H, W).
    border : what lies outside the image: zeros (``conv2``) or the mirrored image (``imfilter(..., 'symmetric')``).

    Returns
    -------
    Array (..., ceil(H / factor), ceil(W / factor)).
    """
    if factor == 1:
        return image
    # Output r averages the inputs from factor * r - before to factor * r - before + factor - 1.
    before = (factor - 1) // 2
    sizes = [-(-size // factor) for size in image.shape[-2:]]
    pads = [(before, max(0, new * factor - old - before)) for new, old in zip(sizes, image.shape[-2:], strict=True)]
    if any(pad != (0, 0) for pad in pads):
        image = np.pad(image, [(0, 0)] * (image.ndim - 2) + pads, mode=border)
    # A last, incomplete block belongs to no output: cut it off.
    image = image[..., : sizes[0] * factor, : sizes[1] * factor]
    total = image[..., 0::factor, :] + image[..., 1::factor, :]
    for start in range(2, factor):
        total += image[..., start::factor, :]
    means = total[..., 0::factor] + total[..., 1::factor]
    for start in range(2, factor):
        means += total[..., start::factor]
    means *= 1.0 / factor**2
    return np.asarray(means)


def gradients(image: np.ndarray, kernel: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Return the horizontal and vertical derivative of (H, W), zeros outside the image, each of shape (H, W).

    Parameters
    ----------
    kernel : weights (outer, middle) across the derivative, e.g. :data:`PREWITT`; the derivative itself is (1, 0, -1).
    """
    outer, middle = kernel
    height, width = image.shape
    padded = np.zeros((height + 2, width + 2))
    padded[1:-1, 1:-1] = image
    across = padded[:, 2:] - padded[:, :-2]
    down = padded[2:] - padded[:-2]
    horizontal = (across[2:] + across[:-2]) * outer + across[1:-1] * middle
    vertical = (down[:, 2:] + down[:, :-2]) * outer + down[:, 1:-1] * middle
    return horizontal, vertical


def similarity(first: np.ndarray, second: np.ndarray, constant: float) -> np.ndarray:
    """Return (2ab + c) / (a² + b² + c), the similarity that all these metrics share; exactly 1 where a = b."""
    product: np.ndarray = first * second
    product *= 2
    product += constant
    squares = first * first
    squares += second * second
    squares += constant
    product /= squares
    return product


@dataclass(frozen=True)
class Region:
    """The part of a pair that counts, at one scale.

    Attributes
    ----------
    cover : array (H, W) in [0, 1], the share of each pixel that lies in the mask; None where all of every pixel does.
    metric : name used in messages.
    """

    cover: np.ndarray | None
    metric: str

    @classmethod
    def of(cls, mask: np.ndarray | None, size: tuple[int, ...], metric: str) -> Region:
        """Return the region of a mask.

        Parameters
        ----------
        mask : bool array (H, W), True where a pixel counts; None: everywhere.
        size : height and width of the images.
        metric : name used in messages.

        Raises
        ------
        DataError
            If the mask is not boolean, has another shape, or is False everywhere.
        """
        if mask is None:
            return cls(None, metric)
        mask = np.asarray(mask)
        if mask.dtype != np.bool_:
            raise DataError(f"mask: is of type {mask.dtype}; pass a boolean array, for example mask > 0")
        if mask.shape != size:
            raise DataError(
                f"mask: is {'x'.join(map(str, mask.shape))}, the images {size[0]}x{size[1]} (height x width); "
                "pass one value for each pixel"
            )
        if not mask.any():
            raise DataError("mask: no pixel counts; set the pixels to judge to True")
        return cls(None if mask.all() else mask.astype(np.float64), metric)

    def shrunk(self, factor: int) -> Region:
        """Return the region after :func:`block_mean`; blocks at the border count by what lies inside the image."""
        if self.cover is None:
            return self
        return Region(block_mean(self.cover, factor, "symmetric"), self.metric)

    def pick(self, values: np.ndarray) -> np.ndarray:
        """Return the values of a map whose places lie at least half in the region.

        Parameters
        ----------
        values : array (..., H - 2 m, W - 2 m): one value for every window of 2 m + 1 pixels inside the image.

        Returns
        -------
        Array (..., N); `values` itself where everything counts, so that a mask of ones changes no digit.

        Raises
        ------
        DataError
            If no place is left.
        """
        if self.cover is None:
            return values
        margins = [(size - places) // 2 for size, places in zip(self.cover.shape, values.shape[-2:], strict=True)]
        chosen = self.cover[tuple(slice(m, size - m) for m, size in zip(margins, self.cover.shape, strict=True))] >= 0.5
        if not chosen.any():
            height, width = self.cover.shape
            raise DataError(
                f"mask: {self.metric} has no window inside the image, at {height}x{width} pixels, whose centre counts; "
                "enlarge the region or choose a metric with smaller windows"
            )
        return values[..., chosen]
