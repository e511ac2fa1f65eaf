"""Visual information fidelity in the wavelet domain, as first published.

H. R. Sheikh and A. C. Bovik, "Image information and visual quality", IEEE Transactions on Image Processing 15(2), 2006,
430-444.

* Steerable pyramid of four levels; of its six orientations the horizontal and the vertical one.
* In every subband: a Gaussian scale mixture of 3 x 3 neighbours for the reference; gain and noise variance that turn
  the reference's coefficients into the distorted image's, from windows of 17, 9, 5 and 3 pixels (fine to coarse).
* Information that the distorted image holds about the scene, divided by that of the reference; noise variance 0.4.

Variant: that of the authors' MATLAB code ``vifvec``: filters ``sp5`` of Simoncelli's pyramid toolbox, borders mirrored
about the edge pixel, subbands cut to multiples of 3, blocks near a border left out. The authors' later ``vifp``, in the
pixel domain, is another metric with other values.

Range: [0, inf); 1 for identical images, above 1 where contrast is enhanced. Higher is better. **Not symmetric**:
reference first. Colour: BT.601 luma, not rounded. A reference without structure holds no information, and the authors'
code divides by zero: here the score is then 1 if the distorted image has no structure either, and 0 if it has. Defined
from 72 x 72 pixels on: below, the fourth level is smaller than the low-pass filter, and the authors' code stops.
"""

from __future__ import annotations

import numpy as np

from causaliqa.baselines.arrays import luma, prepare
from causaliqa.baselines.neighbours import OFFSETS, neighbour_products

_SMALLEST = 72
_BLOCK = 3
_NOISE = 0.4
# Rows filtered at a time, so that intermediate results stay in the cache. Even, since every second row may be kept.
_STRIP = 16
_TINY = 1e-15  # variance that counts as none
# A quadrant of each filter of ``sp5``: entry (k, l) is the weight k rows and l columns from the centre. The low-pass
# filters are even; the oriented one is odd across its rows, (weight k rows above) = -(weight k rows below).
_FIRST = np.array(
    [
        [0.40304148, 0.15925570, -0.03848215],
        [0.15925570, 0.05586982, -0.01551246],
        [-0.03848215, -0.01551246, 0.00341614],
    ]
)
_LOW = 2 * np.array(
    [
        [0.10096540, 0.08169618, 0.03981393, 0.01002988, -0.00962054],
        [0.08169618, 0.06426333, 0.03277038, 0.00410600, -0.00944432],
        [0.03981393, 0.03277038, 0.01396746, -0.00661117, -0.00387812],
        [0.01002988, 0.00410600, -0.00661117, -0.00523281, -0.00244917],
        [-0.00962054, -0.00944432, -0.00387812, -0.00244917, 0.00085404],
    ]
)
_ORIENTED = np.array(
    [
        [0.0, 0.0, 0.0, 0.0],
        [-0.11732297, -0.08226445, -0.03075356, -0.01021852],
        [0.02755155, 0.01189859, -0.00893064, -0.00986904],
        [0.01455399, 0.01026699, 0.00496194, 0.00277643],
    ]
)
#: For each level: whole blocks that a window covers on either side of its own, whether it covers one pixel more on
#: either side, and how many blocks along each border are left out.
_WINDOWS = ((2, True, 3), (1, False, 2), (0, True, 1), (0, False, 1))


def _fold(image: np.ndarray, reach: int, count: int, step: int, *, odd: bool) -> np.ndarray:
    """Return the sums (differences if `odd`) of the rows k before and after every `step`-th row, k from 0 to `reach`.

    `image` (count + 2 reach, W) has `reach` rows more on either side; the result has the shape
    (reach + 1, ceil(count / step), W), its first entry the row itself. If `odd` that entry is left out.
    """
    spans = [slice(reach + k, reach + k + count, step) for k in range(-reach, reach + 1)]
    out = np.empty((reach + (not odd), -(-count // step), image.shape[1]))
    join = np.subtract if odd else np.add
    for k in range(1, reach + 1):
        join(image[spans[reach - k]], image[spans[reach + k]], out=out[k - odd])
    if not odd:
        out[0] = image[spans[reach]]
    return out


def _correlate(
    image: np.ndarray, quadrant: np.ndarray, *, step: int = 1, odd_rows: bool = False, odd_columns: bool = False
) -> np.ndarray:
    """Correlate (H, W) with the filter that `quadrant` stands for, borders mirrored, and keep every `step`-th pixel."""
    height, width = image.shape
    reach = len(quadrant) - 1
    padded = np.pad(image, reach, mode="reflect")
    before = [slice(reach - k, reach - k + width, step) for k in range(reach + 1)]
    after = [slice(reach + k, reach + k + width, step) for k in range(reach + 1)]
    total = np.empty((-(-height // step), -(-width // step)))
    for top in range(0, height, _STRIP):
        count = min(_STRIP, height - top)
        folded = _fold(padded[top : top + count + 2 * reach], reach, count, step, odd=odd_rows)
        rows = np.einsum("kl,kij->lij", quadrant[int(odd_rows) :], folded)
        out = total[top // step : top // step + folded.shape[1]]
        if odd_columns:
            np.subtract(rows[1][:, before[1]], rows[1][:, after[1]], out=out)
        else:
            np.add(rows[1][:, before[1]], rows[1][:, after[1]], out=out)
            out += rows[0][:, before[0]]
        for k in range(2, reach + 1):
            out += rows[k][:, before[k]]
            if odd_columns:
                out -= rows[k][:, after[k]]
            else:
                out += rows[k][:, after[k]]
    return total


def _subbands(image: np.ndarray) -> list[list[np.ndarray]]:
    """Return the vertical and the horizontal subband of four levels, fine to coarse, cut to multiples of the block."""
    low = _correlate(image, _FIRST)
    levels = []
    for level in range(len(_WINDOWS)):
        if level:
            low = _correlate(low, _LOW, step=2)
        height, width = (size // _BLOCK * _BLOCK for size in low.shape)
        pair = (_correlate(low, _ORIENTED, odd_rows=True), _correlate(low, _ORIENTED.T, odd_columns=True))
        levels.append([band[:height, :width] for band in pair])
    return levels


def _sum_rows(image: np.ndarray, window: tuple[int, bool, int]) -> np.ndarray:
    """Return the sums over windows around every third row, from the second on, those near a border left out."""
    groups, wider, margin = window
    first, last = image[0::_BLOCK], image[2::_BLOCK]
    blocks = first + image[1::_BLOCK]
    blocks += last
    count = len(blocks) - 2 * margin
    total: np.ndarray = blocks[margin - groups : margin - groups + count].copy()
    for shift in range(1 - groups, groups + 1):
        total += blocks[margin + shift : margin + shift + count]
    if wider:
        total += last[margin - groups - 1 : margin - groups - 1 + count]
        total += first[margin + groups + 1 : margin + groups + 1 + count]
    return total


def _sums(image: np.ndarray, window: tuple[int, bool, int]) -> np.ndarray:
    """Return the sums over square windows around the middle of every block: shape (H / 3, W / 3) less the margins."""
    rows = np.ascontiguousarray(_sum_rows(image, window).T)
    return _sum_rows(rows, window).T


def _channel(
    first: np.ndarray, second: np.ndarray, window: tuple[int, bool, int]
) -> tuple[np.ndarray, np.ndarray, bool]:
    """Return gain and noise variance that turn `first` into `second`, and whether `second` varies anywhere."""
    groups, wider, _ = window
    count = (_BLOCK * (1 + 2 * groups) + 2 * wider) ** 2
    sum_1, sum_2 = _sums(first, window), _sums(second, window)
    # Sums of squared deviations, not variances: the authors compare these with their tolerance.
    energy_1 = np.maximum(_sums(first * first, window) - sum_1 * sum_1 / count, 0)
    energy_2 = np.maximum(_sums(second * second, window) - sum_2 * sum_2 / count, 0)
    covariance = _sums(first * second, window) - sum_1 * sum_2 / count
    gain = covariance / (energy_1 + _TINY)
    noise = (energy_2 - gain * covariance) / count
    flat_1, flat_2 = energy_1 < _TINY, energy_2 < _TINY
    gain[flat_1] = 0
    noise[flat_1] = energy_2[flat_1]
    gain[flat_2] = 0
    noise[flat_2] = 0
    opposed = gain < 0
    noise[opposed] = energy_2[opposed]
    gain[opposed] = 0
    return gain, np.maximum(noise, _TINY, out=noise), not flat_2.all()


def _mixture(band: np.ndarray, margin: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the eigenvalues of the covariance of 3 x 3 neighbours and the local variance of every block inside."""
    rows, columns = band.shape[0] - _BLOCK + 1, band.shape[1] - _BLOCK + 1
    means = np.array([band[y : y + rows, x : x + columns].mean() for y, x in OFFSETS])
    covariance = neighbour_products(band) - means[:, None] * means
    values, vectors = np.linalg.eigh(covariance)
    kept = values > max(float(values[-1]) * 1e-14, 0.0)
    values, vectors = values[kept], vectors[:, kept]

    inside = band[_BLOCK * margin : band.shape[0] - _BLOCK * margin, _BLOCK * margin : band.shape[1] - _BLOCK * margin]
    blocks = np.stack([inside[y::_BLOCK, x::_BLOCK] for y, x in OFFSETS])
    white = np.einsum("in,irc->nrc", vectors / np.sqrt(values), blocks)
    return values, np.einsum("nrc,nrc->rc", white, white) / len(OFFSETS)


def vif(reference: np.ndarray, distorted: np.ndarray, *, data_range: float = 255.0) -> float:
    """Return the visual information fidelity in the wavelet domain, 1 for identical images; higher is better.

    Parameters
    ----------
    reference, distorted : arrays (H, W) or (H, W, 3) of equal shape, integer or float, in [0, `data_range`].
    data_range : largest value a pixel can have.

    Raises
    ------
    DataError
        If the shapes differ, a pixel is NaN, infinite or out of range, or an image is smaller than 72 x 72.
    """
    pair = prepare(reference, distorted, data_range, smallest=_SMALLEST, metric="wavelet-domain VIF")
    received = available = 0.0
    structured = False
    for window, bands_1, bands_2 in zip(_WINDOWS, *(_subbands(luma(image)) for image in pair), strict=True):
        for first, second in zip(bands_1, bands_2, strict=True):
            gain, noise, varies = _channel(first, second, window)
            values, field = _mixture(first, window[2])
            heard = gain * gain * field / (noise + _NOISE)
            sent = field / _NOISE
            for value in values:
                received += float(np.log2(1 + heard * value).sum())
                available += float(np.log2(1 + sent * value).sum())
            structured |= varies
    if available == 0:
        return 0.0 if structured else 1.0
    return received / available
