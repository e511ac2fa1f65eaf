"""Distances between the feature maps of two images.

In the form of three published metrics, with uniform weights; nothing was fitted to any opinion:

* :func:`lpips_form`: Zhang, Isola, Efros, Shechtman, Wang, CVPR 2018, Eq. (1);
* :func:`dists_form`: Ding, Ma, Wang, Simoncelli, TPAMI 2022: texture and structure terms;
* :func:`wasserstein_form`: after Liao, Chen, Zhu, Wang, Zhou, Kwong, ACM MM 2022: distributions are compared.

With their authors' weights or constants: :func:`lpips`, :func:`dists`, :func:`deepwsd`.

Maps are (N, C, h, w), one a stage, both lists alike. Each result has shape (N,), is 0 for identical images and grows
with the difference; the images of a batch do not influence each other.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

#: Stabilisers of DISTS, the authors'.
_C1 = _C2 = 1e-6
_EPSILON = 1e-10


def _unit(x: Tensor) -> Tensor:
    """Return `x` with feature vectors of length 1 at each place; zero stays zero."""
    return x / (x.square().sum(1, keepdim=True).sqrt() + _EPSILON)


def lpips_form(first: Sequence[Tensor], second: Sequence[Tensor]) -> Tensor:
    """Return the mean over stages of the spatial mean of the squared distance of unit feature vectors; below 2."""
    parts = [(_unit(a) - _unit(b)).square().sum(1).mean((1, 2)) for a, b in zip(first, second, strict=True)]
    return torch.stack(parts).mean(0)


def lpips(first: Sequence[Tensor], second: Sequence[Tensor], linear: Sequence[Tensor]) -> Tensor:
    """Return LPIPS 0.1: as :func:`lpips_form`, each channel by its learned weight, and the sum over stages.

    Parameters
    ----------
    linear : weights (C,) a stage.
    """
    parts = [
        ((_unit(a) - _unit(b)).square() * weights.view(1, -1, 1, 1)).sum(1).mean((1, 2))
        for a, b, weights in zip(first, second, linear, strict=True)
    ]
    return torch.stack(parts).sum(0)


def _sorted(x: Tensor) -> Tensor:
    """Return `x` sorted along its last axis: NumPy sorts several times faster than torch, which also finds places."""
    return torch.from_numpy(np.sort(x.numpy(), axis=-1))


def agreement(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Return what DISTS calls texture and structure of each channel, each (N, C), 1 where the maps are equal.

    Texture compares the global means, structure is the global covariance over the variances.
    """
    a, b = a.flatten(2), b.flatten(2)
    mean_a, mean_b = a.mean(2, keepdim=True), b.mean(2, keepdim=True)
    # Centred first: the difference of mean squares would drown in float32 where the mean is large.
    a, b = a - mean_a, b - mean_b
    mean_a, mean_b = mean_a.squeeze(2), mean_b.squeeze(2)
    texture = (2 * mean_a * mean_b + _C1) / (mean_a.square() + mean_b.square() + _C1)
    covariance, variances = (a * b).mean(2), a.square().mean(2) + b.square().mean(2)
    return texture, (2 * covariance + _C2) / (variances + _C2)


def dists_form(first: Sequence[Tensor], second: Sequence[Tensor]) -> Tensor:
    """Return 1 - the mean over all channels of all stages of texture and structure, in [0, 1.5].

    :func:`dists` with equal weights: every channel counts alike, texture as much as structure.
    """
    terms = [term for a, b in zip(first, second, strict=True) for term in agreement(a, b)]
    return (1 - torch.cat(terms, 1).mean(1)).clamp(min=0)


def dists(first: Sequence[Tensor], second: Sequence[Tensor], alpha: Tensor, beta: Tensor) -> Tensor:
    """Return DISTS: 1 - the weighted mean over all channels, the image's among them.

    Parameters
    ----------
    alpha, beta : weights (sum of C,) of texture and of structure; they are divided by their common sum.
    """
    pairs = [agreement(a, b) for a, b in zip(first, second, strict=True)]
    texture, structure = (torch.cat([pair[which] for pair in pairs], 1) for which in (0, 1))
    total = alpha.sum() + beta.sum()
    return 1 - ((texture * alpha).sum(1) + (structure * beta).sum(1)) / total


def wasserstein_form(first: Sequence[Tensor], second: Sequence[Tensor]) -> Tensor:
    """Return the mean over stages and channels of the 1-D Wasserstein distance of a channel's values; below 1.

    The distance is in units of the sum of the two root mean squares, so that channels of all sizes count.
    """
    parts = []
    for a, b in zip(first, second, strict=True):
        a, b = _sorted(a.flatten(2)), _sorted(b.flatten(2))
        scale = a.square().mean(2).sqrt() + b.square().mean(2).sqrt() + _C1
        parts.append(((a - b).abs().mean(2) / scale).mean(1))
    return torch.stack(parts).mean(0)


def transport(first: Tensor, second: Tensor) -> Tensor:
    """Return the squared 2-Wasserstein distance of masses on the places 0, 1, ..., n - 1; (..., n) to (...).

    Masses need not add up to 1; what one has more than the other is carried to the last place.
    """
    last = first.shape[-1] - 1
    first, second = first.cumsum(-1).contiguous(), second.cumsum(-1).contiguous()
    levels = _sorted(torch.cat([first, second], -1))
    places = [torch.searchsorted(cumulated, levels).clamp(max=last) for cumulated in (first, second)]
    steps = torch.diff(levels, dim=-1, prepend=torch.zeros_like(levels[..., :1]))
    return (steps * (places[0] - places[1]).square()).sum(-1)


def deepwsd(first: Sequence[Tensor], second: Sequence[Tensor], window: int = 4) -> Tensor:
    """Return DeepWSD: ln(1 + the mean over stages of the transport between, and the distance of, groups of values).

    As the authors' code does, a stage's values are laid out as `window`² rows of equal length, in the order of memory
    after zeros filled rows on the left and columns at the bottom up to multiples of `window`; a column is a group. Its
    masses are the values squared over the sum of all values of the stage.

    Parameters
    ----------
    first, second : the images and their maps; no side may be below half of `window`.
    """
    scores = []
    for a, b in zip(first, second, strict=True):
        a, b = (_groups(x, window) for x in (a, b))
        masses = [x.square() / (x.sum((1, 2), keepdim=True) + 1e-6) for x in (a, b)]
        moved = transport(*masses)
        apart = (a - b).square().sum(2)
        weight = 1 / (torch.exp(-0.5 / (moved + 10)) * (moved + 10).square())
        scores.append((moved + apart * weight).sum(1))
    return torch.log1p(torch.stack(scores).mean(0))


def _groups(x: Tensor, window: int) -> Tensor:
    """Return (N, groups, window²), see :func:`deepwsd`."""
    # Rounded to the nearest multiple, half to even: a negative padding cuts.
    rows, columns = (round(size / window) * window - size for size in x.shape[2:])
    x = F.pad(x, (columns, 0, 0, rows))
    return x.reshape(x.shape[0], window * window, -1).transpose(1, 2).contiguous()
