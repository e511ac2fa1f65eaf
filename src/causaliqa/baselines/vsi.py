"""Visual saliency-induced index.

L. Zhang, Y. Shen and H. Li, "VSI: a visual saliency-induced index for perceptual image quality assessment", IEEE
Transactions on Image Processing 23(10), 2014, 4270-4281; saliency by L. Zhang, Z. Gu and H. Li, "SDSP: a novel saliency
detection method by combining simple priors", ICIP 2013, 171-175.

* Saliency of each image: band-pass (log-Gabor) energy in CIELAB, a prior for the centre and one for warm colours,
  multiplied (SDSP, Eq. (1)-(7)), at 256 x 256, brought back to the image's size and stretched to [0, 1].
* Similarities of saliency, of Scharr gradients of L and of the chrominances M and N, Eq. (2)-(8); their product with
  exponents 1, 0.40 and 0.02, weighted by the larger saliency, Eq. (9)-(10).

Variant: that of the authors' MATLAB code: constants 1.27, 386, 130; omega0 = 0.021, sigmaF = 1.34, sigmaD = 145,
sigmaC = 0.001; block means by ``max(1, round(min(H, W) / 256))`` and zeros outside the image; MATLAB's ``imresize``
(bilinear, antialiased where it shrinks); CIELAB with a D50 white.

Range: about [0, 1]; 1 for identical images. Higher is better. Symmetric. Colour: LMN and CIELAB of RGB; gray is taken
as R = G = B. An image of one colour has no saliency; where both have none, all pixels weigh the same.
"""

from __future__ import annotations

import functools

import numpy as np
from scipy import fft, sparse

from causaliqa.baselines.arrays import SCHARR, block_mean, gradients, matlab_factor, mix, prepare, similarity

_L = (0.06, 0.63, 0.27)
_M = (0.30, 0.04, -0.35)
_N = (0.34, -0.60, 0.17)
_C_SALIENCY, _C_GRADIENT, _C_CHROMA = 1.27, 386.0, 130.0
_ALPHA, _BETA = 0.40, 0.02
_SIZE = 256
_OMEGA0, _SIGMA_F, _SIGMA_D, _SIGMA_C = 0.021, 1.34, 145.0, 0.001
#: Linear sRGB to XYZ (D65), divided by the D50 white that the authors' code uses.
_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
) / np.array([[0.9642], [1.0], [0.8251]])
#: Numbers in an image up to which its saliency is remembered: it is computed at 256 x 256 whatever the image's size,
#: the greater part of the work where that is small.
_REMEMBERED = 50_000
# Spread below which a channel counts as constant: CIELAB values are about 100, rounding leaves about 1e-13.
_FLAT = 1e-9


@functools.lru_cache(maxsize=32)
def _resizer(source: int, target: int) -> sparse.csr_array:
    """Return MATLAB's bilinear ``imresize`` along one axis as a sparse matrix (target, source), borders mirrored."""
    scale = target / source
    stretch = min(1.0, scale)  # shrinking widens the triangle, which removes aliasing
    centre = (np.arange(target) + 0.5) / scale - 0.5
    taps = int(np.ceil(2 / stretch)) + 2
    index = np.floor(centre - 1 / stretch).astype(np.int64)[:, None] + np.arange(taps)
    weight = np.maximum(0.0, 1 - np.abs(stretch * (centre[:, None] - index)))
    weight /= weight.sum(axis=1, keepdims=True)
    mirrored = index % (2 * source)
    mirrored = np.where(mirrored < source, mirrored, 2 * source - 1 - mirrored)
    rows = np.repeat(np.arange(target), taps)
    matrix = sparse.coo_array((weight.ravel(), (rows, mirrored.ravel())), shape=(target, source)).tocsr()
    matrix.eliminate_zeros()
    return matrix


def _resize(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize (H, W) or (C, H, W) to the given height and width."""
    stack = image.reshape(-1, *image.shape[-2:])
    planes = [_resizer(plane.shape[0], height) @ plane for plane in stack]
    across = _resizer(image.shape[-1], width)
    # A sparse matrix multiplies from the left: transpose for the second axis.
    planes = [np.asarray((across @ np.ascontiguousarray(plane.T)).T) for plane in planes]
    return np.ascontiguousarray(planes).reshape(*image.shape[:-2], height, width)


def _lab(rgb: np.ndarray) -> np.ndarray:
    """Convert (3, H, W) sRGB in [0, 255] to CIELAB with a D50 white, shape (3, H, W)."""
    values = rgb * (1 / 255)
    linear = np.where(values <= 0.04045, values * (1 / 12.92), ((np.maximum(values, 0) + 0.055) * (1 / 1.055)) ** 2.4)
    # Written out: a matrix product would depend on the number of BLAS threads.
    xyz = np.stack([sum(_XYZ[row, column] * linear[column] for column in range(3)) for row in range(3)])
    f = np.where(xyz > 0.008856, np.cbrt(xyz), (903.3 * xyz + 16) * (1 / 116))
    return np.stack([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@functools.lru_cache(maxsize=1)
def _log_gabor() -> np.ndarray:
    """Return the log-Gabor response on the half plane of ``rfft2``, zero at the origin and beyond the circle."""
    down, across = fft.fftfreq(_SIZE)[:, None], fft.rfftfreq(_SIZE)[None, :]
    radius = np.sqrt(down**2 + across**2)
    inside = (radius <= 0.5) & (radius > 0)
    response = np.exp(-(np.log(np.where(inside, radius, 1.0) / _OMEGA0) ** 2) / (2 * _SIGMA_F**2))
    return np.asarray(np.where(inside, response, 0.0))


@functools.lru_cache(maxsize=1)
def _centre_prior() -> np.ndarray:
    """Return the preference for the centre, shape (256, 256); MATLAB counts from 1, so the peak is at index 127."""
    squared = (np.arange(1, _SIZE + 1) - _SIZE / 2) ** 2
    return np.asarray(np.exp(-(squared[:, None] + squared[None, :]) / _SIGMA_D**2))


def _stretch(values: np.ndarray, flat: float) -> np.ndarray:
    low, high = float(values.min()), float(values.max())
    return (values - low) * (1 / (high - low)) if high - low > flat else np.zeros_like(values)


def saliency(image: np.ndarray) -> np.ndarray:
    """Return the SDSP saliency of an image.

    Parameters
    ----------
    image : array (H, W) or (3, H, W) in [0, 255].

    Returns
    -------
    Array (H, W) in [0, 1]; zeros if the image has one colour only.
    """
    height, width = image.shape[-2:]
    # Gray broadcasts to three equal planes.
    lab = _lab(np.broadcast_to(_resize(image, _SIZE, _SIZE), (3, _SIZE, _SIZE)))
    filtered = fft.irfft2(fft.rfft2(lab) * _log_gabor(), s=(_SIZE, _SIZE))
    energy = np.sqrt(filtered[0] ** 2 + filtered[1] ** 2 + filtered[2] ** 2)
    warmth = _stretch(lab[1], _FLAT) ** 2 + _stretch(lab[2], _FLAT) ** 2
    energy *= _centre_prior()
    energy *= 1 - np.exp(warmth * (-1 / _SIGMA_C**2))
    return _stretch(_resize(energy, height, width), 0.0)


@functools.lru_cache(maxsize=32)
def _remembered(content: bytes, shape: tuple[int, ...]) -> np.ndarray:
    found = saliency(np.frombuffer(content).reshape(shape))
    found.setflags(write=False)
    return found


def _saliency(image: np.ndarray) -> np.ndarray:
    """Return :func:`saliency`, remembered for crops: training shows a reference beside four distorted ones."""
    if image.size > _REMEMBERED:
        return saliency(image)
    return _remembered(np.ascontiguousarray(image, dtype=np.float64).tobytes(), image.shape)


def vsi(reference: np.ndarray, distorted: np.ndarray, *, data_range: float = 255.0) -> float:
    """Return the visual saliency-induced index, 1 for identical images; higher is better.

    Parameters
    ----------
    reference, distorted : arrays (H, W) or (H, W, 3) of equal shape, integer or float, in [0, `data_range`].
    data_range : largest value a pixel can have.

    Raises
    ------
    DataError
        If the shapes differ or a pixel is NaN, infinite or out of range.
    """
    first, second = prepare(reference, distorted, data_range, metric="VSI")
    factor = matlab_factor(*first.shape[-2:])
    salient_r, salient_d = block_mean(_saliency(first), factor), block_mean(_saliency(second), factor)
    first, second = block_mean(first, factor), block_mean(second, factor)

    across, down = gradients(mix(first, _L), SCHARR)
    edge_r = np.sqrt(across * across + down * down)
    across, down = gradients(mix(second, _L), SCHARR)
    edge_d = np.sqrt(across * across + down * down)
    chroma = similarity(mix(first, _M), mix(second, _M), _C_CHROMA)
    chroma *= similarity(mix(first, _N), mix(second, _N), _C_CHROMA)
    # Opposed chrominances make the product negative; the authors take the real part of its complex power.
    powered = np.abs(chroma) ** _BETA
    powered[chroma < 0] *= np.cos(np.pi * _BETA)

    local = similarity(edge_r, edge_d, _C_GRADIENT) ** _ALPHA
    local *= similarity(salient_r, salient_d, _C_SALIENCY)
    local *= powered
    weight = np.maximum(salient_r, salient_d)
    total = float(weight.sum())
    return float((local * weight).sum()) / total if total > 0 else float(local.mean())
