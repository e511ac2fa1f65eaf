"""AlexNet and VGG-16 as frozen feature extractors; parameters as in torchvision's models, without the classifiers."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from causaliqa.baselines.deep.shapes import ALEXNET, VGG16_STAGES

#: Moments of ImageNet's R, G and B in [0, 1].
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def standardise(image: Tensor) -> Tensor:
    """Return RGB (N, 3, H, W) in [0, 1] minus ImageNet's mean, over its standard deviation."""
    mean, std = (image.new_tensor(values).view(1, 3, 1, 1) for values in (_MEAN, _STD))
    return (image - mean) / std


class AlexNet(nn.Module):
    """The five maps behind the ReLUs: 64, 192, 384, 256 and 256 channels. Input is RGB in [0, 1]."""

    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(a, b, size, stride, padding) for a, b, size, stride, padding in ALEXNET)
        self.requires_grad_(False)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Return the maps, shallow to deep."""
        x, maps = standardise(image), []
        for index, conv in enumerate(self.convs):
            if index in (1, 2):
                x = F.max_pool2d(x, 3, stride=2)
            x = torch.relu(conv(x))
            maps.append(x)
        return maps


class VGG16(nn.Module):
    """The maps behind relu1_2, relu2_2, relu3_3, relu4_3 and relu5_3. Input is RGB in [0, 1].

    Parameters
    ----------
    pooling : between stages; ``l2`` is the root of the Hann-weighted mean square over 3 x 3, stride 2, of DISTS.
    standard : whether the image is standardised first; DeepWSD leaves it as it is.
    """

    def __init__(self, pooling: Literal["max", "l2"] = "max", *, standard: bool = True) -> None:
        super().__init__()
        self.pooling = pooling
        self.standard = standard
        self.convs = nn.ModuleList()
        before = 3
        for stage in VGG16_STAGES:
            for channels in stage:
                self.convs.append(nn.Conv2d(before, channels, 3, padding=1))
                before = channels
        self.requires_grad_(False)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Return the maps, shallow to deep: 64, 128, 256, 512 and 512 channels."""
        x, maps = standardise(image) if self.standard else image, []
        convs = iter(self.convs)
        for number, stage in enumerate(VGG16_STAGES):
            if number:
                x = F.max_pool2d(x, 2) if self.pooling == "max" else l2_pool(x)
            for _ in stage:
                x = torch.relu(next(convs)(x))
            maps.append(x)
        return maps


def l2_pool(x: Tensor) -> Tensor:
    """Return the root of the Hann-weighted mean of squares over 3 x 3 pixels, at every second one; zeros outside."""
    side = x.new_tensor([0.25, 0.5, 0.25])
    kernel = torch.outer(side, side).expand(x.shape[1], 1, 3, 3)
    return (F.conv2d(x.square(), kernel, stride=2, padding=1, groups=x.shape[1]) + 1e-12).sqrt()
