"""Deep full-reference metrics: distances between the features of a frozen, pretrained network.

Weights are never part of the package: :mod:`causaliqa.baselines.deep.weights` fetches or converts them. This module
is what a workflow reads; it and :mod:`causaliqa.baselines.deep.function` load without torch.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

#: Default folder of converted weights, relative to the project.
WEIGHTS = Path("data/weights")
#: Metric: the weights that it needs, the network's first.
NEEDS: dict[str, tuple[str, ...]] = {
    "squeeze_lpips": ("squeezenet1_1",),
    "squeeze_dists": ("squeezenet1_1",),
    "squeeze_wsd": ("squeezenet1_1",),
    "lpips_alex": ("alexnet", "lpips_alex"),
    "lpips_vgg": ("vgg16", "lpips_vgg"),
    "lpips_squeeze": ("squeezenet1_1_torchvision", "lpips_squeeze"),
    "dists": ("vgg16", "dists"),
    "deepwsd": ("vgg16",),
}


def needed_weights(metrics: Iterable[str]) -> list[str]:
    """Return the names of the weights that metrics need, sorted, each once; classical metrics need none."""
    return sorted({weights for metric in metrics for weights in NEEDS.get(metric, ())})


def weights_file(name: str, folder: Path = WEIGHTS) -> Path:
    """Return the file of converted weights."""
    return folder / f"{name}.safetensors"
