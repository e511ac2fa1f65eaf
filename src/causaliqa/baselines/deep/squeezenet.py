"""SqueezeNet 1.1 as a frozen feature extractor (Iandola et al., arXiv:1602.07360).

Its two published sets of weights, the authors' Caffe model and torchvision's, expect different input.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from causaliqa.baselines.deep.backbones import standardise
from causaliqa.baselines.deep.shapes import FIRES

#: Means of B, G and R in 0 to 255 that the Caffe model expects to be subtracted.
_MEAN_BGR = (104.0, 117.0, 123.0)
#: Fire modules behind which, as behind conv1, a pooling follows.
_POOLED = (1, 3)


class _Fire(nn.Module):
    """1 x 1 convolution to few channels, then 1 x 1 and 3 x 3 ones side by side; ReLU behind each."""

    def __init__(self, channels: int, squeeze: int, one: int, three: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, squeeze, 1)
        self.one = nn.Conv2d(squeeze, one, 1)
        self.three = nn.Conv2d(squeeze, three, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.squeeze(x))
        return torch.cat([torch.relu(self.one(y)), torch.relu(self.three(y))], dim=1)


class SqueezeNet(nn.Module):
    """Maps after conv1 and after fire3, fire5, fire6, fire7, fire8 and fire9, all behind their ReLU.

    Parameters
    ----------
    form : ``caffe``: BGR in 0 to 255 minus (104, 117, 123). ``torchvision``: RGB standardised by ImageNet's moments.
        The caller always passes RGB in [0, 1].
    """

    def __init__(self, form: Literal["caffe", "torchvision"] = "caffe") -> None:
        super().__init__()
        self.form = form
        self.conv1 = nn.Conv2d(3, 64, 3, stride=2)
        self.fires = nn.ModuleList()
        channels = 64
        for squeeze, one, three in FIRES:
            self.fires.append(_Fire(channels, squeeze, one, three))
            channels = one + three
        self.requires_grad_(False)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Return seven maps of RGB (N, 3, H, W) in [0, 1]: 64, 128, 256, 384, 384, 512 and 512 channels."""
        if self.form == "caffe":
            x = image.flip(1) * 255.0 - image.new_tensor(_MEAN_BGR).view(1, 3, 1, 1)
        else:
            x = standardise(image)
        x = torch.relu(self.conv1(x))
        maps = [x]
        x = _pool(x)
        for index, fire in enumerate(self.fires):
            x = fire(x)
            if index in (1, 3) or index >= 4:
                maps.append(x)
            if index in _POOLED:
                x = _pool(x)
        return maps


def _pool(x: Tensor) -> Tensor:
    return F.max_pool2d(x, 3, stride=2, ceil_mode=True)
