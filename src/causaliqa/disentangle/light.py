"""do(light): the reference under the exposure of the distorted image.

A contrast gain above 1 keeps every structure and is seen as light, not as damage: people rate it as high as the
reference, while every metric of differences takes it for severe (docs/experiments.md, rows 29 and 30). Exposure is
therefore a cause of its own beside content and degradation. It is estimated, the reference is put under it, range
limits included, and degradation is what then remains. Contrast *loss* and shifts of the mean stay degradations.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from causaliqa.disentangle.analysis import opponent

#: Side in pixels of the blocks whose means the gain is fitted on: noise and small structure average out.
_BLOCK = 4
#: Blocks of the distorted image outside these limits are clipped and say nothing about the gain.
_DARKEST, _LIGHTEST = 0.02, 0.98
#: Added to both moments: the gain of a flat image is 1.
_FLAT = 2e-5
#: Gains below 1 + this are invisible; the excess fades out towards it, so that the score stays continuous.
_INVISIBLE = 0.02
#: No exposure that leaves a picture goes beyond.
_MOST = 4.0


def exposure_gain(reference: Tensor, distorted: Tensor) -> Tensor:
    """Estimate the contrast gain of a pair by which light alone explains it.

    Slope of the distorted image's luma on the reference's, least squares over 4x4 block means that are not clipped.

    Parameters
    ----------
    reference, distorted : RGB (N,3,H,W) in [0, 1], sides of at least 4 pixels.

    Returns
    -------
    Tensor
        (N,), in [1, 4]; exactly 1 where the slope is below 1.02.
    """
    x, y = (functional.avg_pool2d(opponent(image)[:, :1], _BLOCK).flatten(1) for image in (reference, distorted))
    heard = ((y > _DARKEST) & (y < _LIGHTEST)).to(y)
    count = heard.sum(dim=1, keepdim=True).clamp(min=1.0)
    dx, dy = (image - (image * heard).sum(dim=1, keepdim=True) / count for image in (x, y))
    covariance = (dx * dy * heard).sum(dim=1) / count[:, 0]
    variance = (dx.square() * heard).sum(dim=1) / count[:, 0]
    excess = (covariance + _FLAT) / (variance + _FLAT) - 1
    visible = excess > _INVISIBLE
    # Where it does not count, the division must not see a zero: its gradient would be infinite.
    safe = torch.where(visible, excess, torch.ones_like(excess))
    return torch.where(visible, 1 + safe - _INVISIBLE**2 / safe, torch.ones_like(excess)).clamp(max=_MOST)


def under_light(reference: Tensor, gain: Tensor) -> Tensor:
    """Return the reference (N,3,H,W) with its contrast about the mean luma times `gain` (N,), clipped to range."""
    middle = opponent(reference)[:, :1].mean(dim=(1, 2, 3), keepdim=True)
    return ((reference - middle) * gain.view(-1, 1, 1, 1) + middle).clamp(0.0, 1.0)
