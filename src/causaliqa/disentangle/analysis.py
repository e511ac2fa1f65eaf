"""The domain in which decoded images are compared: opponent bands weighted by local amplitude.

People notice structure relative to its surround and hardly mind slow shifts of level or colour. Decoded images are
therefore compared after a Laplacian pyramid and divisive normalisation (after Laparra, Balle, Berardino, Simoncelli,
"Perceptual image quality assessment using a normalized Laplacian pyramid", HVEI 2016), on opponent colours; the
low-pass residual enters with a small weight.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

#: RGB to luma (BT.601) and two colour differences, each in about [-1, 1].
_OPPONENT = ((0.299, 0.587, 0.114), (0.5, -0.5, 0.0), (0.25, 0.25, -0.5))
#: 5-tap binomial low-pass of Burt and Adelson, 1983.
_BINOMIAL = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)
#: Added to the local amplitude before division: bands weaker than this are invisible and stay small.
_SATURATION = 0.04


def opponent(rgb: Tensor) -> Tensor:
    """Return luma and two colour differences, (N,3,H,W), of RGB in [0, 1]."""
    matrix = torch.tensor(_OPPONENT, dtype=rgb.dtype, device=rgb.device)
    return torch.einsum("oc,nchw->nohw", matrix, rgb)


def from_opponent(image: Tensor) -> Tensor:
    """Invert :func:`opponent`."""
    matrix = torch.linalg.inv(torch.tensor(_OPPONENT, dtype=torch.float64)).to(image)
    return torch.einsum("oc,nchw->nohw", matrix, image)


def blur(image: Tensor) -> Tensor:
    """Low-pass with the binomial filter; borders are replicated."""
    channels = image.shape[1]
    kernel = torch.tensor(_BINOMIAL, dtype=image.dtype, device=image.device)
    padded = functional.pad(image, (2, 2, 2, 2), mode="replicate")
    rows = functional.conv2d(padded, kernel.view(1, 1, 5, 1).expand(channels, 1, 5, 1), groups=channels)
    return functional.conv2d(rows, kernel.view(1, 1, 1, 5).expand(channels, 1, 1, 5), groups=channels)


def pyramid(image: Tensor, levels: int = 4) -> tuple[list[Tensor], Tensor]:
    """Return `levels` band-pass images, finest first, and the low-pass residual.

    The bands are differences of low-passed images; each is half the size of the one before.
    """
    bands = []
    for _ in range(levels):
        low = blur(image)
        bands.append(image - low)
        image = low[..., ::2, ::2]
    return bands, image


def amplitude(band: Tensor) -> Tensor:
    """Return the local amplitude of a band, averaged over 5x5 pixels of the same channel, plus the saturation."""
    return _SATURATION + functional.avg_pool2d(band.abs(), 5, stride=1, padding=2, count_include_pad=False)


def band_distance(decoded: Tensor, target: Tensor) -> Tensor:
    """Perceptual distance of a decoded image from its target, both opponent (N,3,H,W). Shape (N,), 0 if equal.

    ``log(1 + e)`` with e the mean over bands of the squared error in units of the target's local amplitude, plus 0.15
    times the squared error of the low-pass residual in units of a fifth of full range. The logarithm keeps severe
    distortions from drowning mild ones. The square matters: an absolute error is least for the median, which is the
    undistorted image, and training with it never leaves the identity (docs/experiments.md).
    """
    bands_1, low_1 = pyramid(decoded)
    bands_2, low_2 = pyramid(target)
    error = 0.15 * ((low_1 - low_2) / 0.2).square().mean(dim=(1, 2, 3))
    for band_1, band_2 in zip(bands_1, bands_2, strict=True):
        error = error + ((band_1 - band_2) / amplitude(band_2)).square().mean(dim=(1, 2, 3)) / len(bands_1)
    return torch.log1p(error)


def with_low_pass_of(decoded: Tensor, source: Tensor, levels: int = 4) -> Tensor:
    """Return the decoded opponent image with the low-pass residual of `source`, for showing to people.

    Decoding is judged on bands: the slow part of a decoded image is hardly constrained and would tint the picture.
    """

    def slow(image: Tensor) -> Tensor:
        sizes = []
        for _ in range(levels):
            sizes.append(image.shape[-2:])
            image = blur(image)[..., ::2, ::2]
        for size in reversed(sizes):
            image = functional.interpolate(image, size=size, mode="bilinear", align_corners=False)
        return image

    return decoded - slow(decoded) + slow(source)
