"""The option ``pretrain.stem: imagenet``: E_d looks through frozen features of SqueezeNet 1.1."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn
from torch.nn import functional

from causaliqa.baselines.deep import WEIGHTS
from causaliqa.baselines.deep.load import load_weights
from causaliqa.baselines.deep.squeezenet import SqueezeNet

#: Maps of :class:`SqueezeNet` that are used: behind conv1, fire3, fire5 and fire8, finest first.
_PICKED = (0, 1, 2, 5)
#: Their channels.
STEM_WIDTHS = (64, 128, 256, 512)
#: About three times the root mean square of each map on photographs, so that untrained heads give codes of unit size.
_SIZES = (100.0, 195.0, 210.0, 86.0)
#: Side in pixels below which the network's last map would be empty; smaller images are continued by their border.
_LEAST = 32


class SqueezeStem(nn.Module):
    """Frozen multi-scale features of an image at half size.

    Half size brings a photograph of usual size near the 256 pixels that the network was trained on.

    Parameters
    ----------
    scales : how many of the four maps, finest first.
    """

    def __init__(self, scales: int) -> None:
        super().__init__()
        self.scales = scales
        self.network = SqueezeNet("caffe")

    def load(self, folder: Path = WEIGHTS) -> None:
        """Fill in the published weights.

        Raises
        ------
        ModelError
            If they are missing or damaged.
        """
        self.network.load_state_dict(load_weights("squeezenet1_1", folder))

    def forward(self, rgb: Tensor) -> list[Tensor]:
        """Map (N,3,H,W) in [0, 1] to (N, 64 | 128 | 256 | 512, ., .), about H/4, H/8, H/16 and H/32 high."""
        half = functional.avg_pool2d(rgb, 2)
        height, width = half.shape[-2:]
        short = (0, max(0, _LEAST - width), 0, max(0, _LEAST - height))
        if any(short):
            half = functional.pad(half, short, mode="replicate")
        maps = self.network(half)
        return [maps[index] / size for index, size in zip(_PICKED[: self.scales], _SIZES, strict=False)]
