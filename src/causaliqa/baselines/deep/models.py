"""Which network, which input and which distance make up each deep metric."""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from causaliqa.baselines.deep import NEEDS, distances
from causaliqa.baselines.deep.backbones import VGG16, AlexNet
from causaliqa.baselines.deep.load import load_weights
from causaliqa.baselines.deep.squeezenet import SqueezeNet
from causaliqa.errors import DataError
from causaliqa.images import as_rgb
from causaliqa.io import sha256_bytes

#: Images whose maps are kept: the reference and the distorted one.
_KEPT = 2

Maps = list[Tensor]
Weights = dict[str, Tensor]


def to_tensor(image: np.ndarray, data_range: float) -> Tensor:
    """Return an image (H, W) or (H, W, 3), values in [0, `data_range`], as RGB (1, 3, H, W) float32 in [0, 1]."""
    planes = np.ascontiguousarray(as_rgb(image).transpose(2, 0, 1)[None])
    return torch.from_numpy((planes / data_range).astype(np.float32))


def short_side(image: Tensor, pixels: int = 256) -> Tensor:
    """Return the image shrunk to `pixels` on its shorter side, bilinear with antialiasing; smaller ones stay."""
    height, width = image.shape[2:]
    if min(height, width) <= pixels:
        return image
    size = [pixels * side // min(height, width) for side in (height, width)]
    return F.interpolate(image, size=size, mode="bilinear", antialias=True, align_corners=False)


def averaged(image: Tensor) -> Tensor:
    """Return means of f x f pixels, f = max(1, round(longer side / 256)): DeepWSD's way to shrink."""
    factor = deepwsd_factor(*image.shape[2:])
    return F.avg_pool2d(image, factor) if factor > 1 else image


def deepwsd_factor(height: int, width: int) -> int:
    """Return the factor of :func:`averaged`; Python rounds half to even, as the authors' code does."""
    return max(1, round(max(height, width) / 256))


def _deepwsd_distance(first: Maps, second: Maps, shape: tuple[int, ...], _: Weights) -> Tensor:
    factor = deepwsd_factor(*shape[:2])
    window = 16 if factor >= 5 else 4
    height, width = first[0].shape[2:]
    if round(-(-min(height, width) // 16) / window) < 1:
        raise DataError(
            f"deepwsd has no window of {window}x{window} on the deepest map of {shape[0]}x{shape[1]} pixels "
            f"(height x width, {height}x{width} after shrinking): pass larger images or choose another metric"
        )
    return distances.deepwsd(first, second, window)


#: Distance of a metric: maps of both images (the image itself first), shape of the original, its other weights.
Distance = Callable[[Maps, Maps, tuple[int, ...], Weights], Tensor]


def _lpips_distance(first: Maps, second: Maps, _: tuple[int, ...], weights: Weights) -> Tensor:
    return distances.lpips(first[1:], second[1:], [weights[f"lin{index}"] for index in range(len(first) - 1)])


def _dists_distance(first: Maps, second: Maps, _: tuple[int, ...], weights: Weights) -> Tensor:
    return distances.dists(first, second, weights["alpha"].flatten(), weights["beta"].flatten())


def _whole(image: Tensor) -> Tensor:
    return image


@dataclass(frozen=True)
class Recipe:
    """How a metric is computed.

    Attributes
    ----------
    network : makes the network without weights.
    prepare : what is done with the image first.
    """

    network: Callable[[], nn.Module]
    prepare: Callable[[Tensor], Tensor]
    distance: Distance


def _vgg16_max() -> nn.Module:
    return VGG16("max")


def _vgg16_l2() -> nn.Module:
    return VGG16("l2")


def _vgg16_l2_plain() -> nn.Module:
    return VGG16("l2", standard=False)


def _squeezenet_torchvision() -> nn.Module:
    return SqueezeNet("torchvision")


RECIPES: dict[str, Recipe] = {
    "squeeze_lpips": Recipe(SqueezeNet, short_side, lambda a, b, _, __: distances.lpips_form(a[1:], b[1:])),
    "squeeze_dists": Recipe(SqueezeNet, short_side, lambda a, b, _, __: distances.dists_form(a, b)),
    "squeeze_wsd": Recipe(SqueezeNet, short_side, lambda a, b, _, __: distances.wasserstein_form(a[1:], b[1:])),
    "lpips_alex": Recipe(AlexNet, _whole, _lpips_distance),
    "lpips_vgg": Recipe(_vgg16_max, _whole, _lpips_distance),
    "lpips_squeeze": Recipe(_squeezenet_torchvision, _whole, _lpips_distance),
    "dists": Recipe(_vgg16_l2, short_side, _dists_distance),
    "deepwsd": Recipe(_vgg16_l2_plain, averaged, _deepwsd_distance),
}


@dataclass
class Extractor:
    """A network with its input rule, and the maps of the last few images.

    Keeping them halves the work: a reference meets many distorted images, and metrics share a network.
    """

    network: nn.Module
    prepare: Callable[[Tensor], Tensor]
    kept: OrderedDict[tuple[object, ...], Maps] = field(default_factory=OrderedDict)

    def maps(self, image: Tensor) -> Maps:
        """Return the prepared image and the network's maps of it; `image` is (N, 3, H, W) in [0, 1]."""
        with torch.inference_mode():
            prepared = self.prepare(image)
            return [prepared, *self.network(prepared)]

    def remembered(self, image: np.ndarray, data_range: float) -> Maps:
        """Return the maps of an image, from memory if it was among the last ones."""
        key = (image.shape, image.dtype.str, data_range, sha256_bytes(np.ascontiguousarray(image).tobytes()))
        if key not in self.kept:
            while len(self.kept) >= _KEPT:
                self.kept.popitem(last=False)
            self.kept[key] = self.maps(to_tensor(image, data_range))
        self.kept.move_to_end(key)
        return self.kept[key]


@dataclass(frozen=True)
class DeepModel:
    """A metric with its weights in memory."""

    extractor: Extractor
    distance: Distance
    weights: Weights

    def score(self, reference: np.ndarray, distorted: np.ndarray, data_range: float) -> float:
        """Return the distance of two checked images; scores do not depend on what was scored before."""
        maps = [self.extractor.remembered(image, data_range) for image in (reference, distorted)]
        with torch.inference_mode():
            return float(self.distance(maps[0], maps[1], reference.shape, self.weights)[0])

    def distances(self, reference: Tensor, distorted: Tensor) -> Tensor:
        """Return the distance of each pair of a batch, (N,); images are RGB (N, 3, H, W) in [0, 1]."""
        with torch.inference_mode():
            shape = tuple(reference.shape[2:])
            maps = [self.extractor.maps(image) for image in (reference, distorted)]
            return self.distance(maps[0], maps[1], shape, self.weights)


def make_model(metric: str, network: Weights, others: Weights) -> DeepModel:
    """Return a metric from weights in memory; those of the network decide its precision."""
    recipe = RECIPES[metric]
    return DeepModel(_filled(recipe.network(), recipe.prepare, network), recipe.distance, others)


def _filled(network: nn.Module, prepare: Callable[[Tensor], Tensor], weights: Weights) -> Extractor:
    network.to(next(iter(weights.values())).dtype)
    network.load_state_dict(weights)
    return Extractor(network.eval(), prepare)


@functools.lru_cache(maxsize=8)
def _extractor(
    network: Callable[[], nn.Module], prepare: Callable[[Tensor], Tensor], weights: str, folder: Path
) -> Extractor:
    return _filled(network(), prepare, load_weights(weights, folder))


@functools.lru_cache(maxsize=16)
def load_model(metric: str, folder: Path) -> DeepModel:
    """Return a metric with the weights of a folder; metrics of one network and input share it.

    Raises
    ------
    ModelError
        If a file of weights is missing, damaged or of another network.
    """
    network, *others = NEEDS[metric]
    recipe = RECIPES[metric]
    extractor = _extractor(recipe.network, recipe.prepare, network, folder)
    weights = {key: value for name in others for key, value in load_weights(name, folder).items()}
    return DeepModel(extractor, recipe.distance, weights)
