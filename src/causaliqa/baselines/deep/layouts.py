"""What tensors each set of weights has, and under which names its published files hold them. No torch is loaded."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from causaliqa.baselines.deep.shapes import ALEXNET, FIRES, SQUEEZENET_CHANNELS, VGG16_STAGES

Format = Literal["npz", "caffe", "torch"]
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Layout:
    """The tensors of one set of weights.

    Attributes
    ----------
    shapes : name to shape, in the network's order.
    names : format of a published file to the name of each tensor in it; what else the file holds is left out.
    half : whether values are kept in half precision, because one of the published files has them so: then every
        source gives the same file.
    """

    shapes: dict[str, Shape]
    names: dict[Format, dict[str, str]] = field(default_factory=dict)
    half: bool = False


def _pairs(modules: list[tuple[str, Shape]]) -> dict[str, Shape]:
    """Return weight and bias of convolutions, given their names and the shapes of their weights."""
    return {f"{name}.{part}": shape if part == "weight" else shape[:1] for name, shape in modules for part in _PARTS}


_PARTS = ("weight", "bias")


def _squeezenet() -> list[tuple[str, Shape]]:
    modules: list[tuple[str, Shape]] = [("conv1", (64, 3, 3, 3))]
    channels = 64
    for index, (squeeze, one, three) in enumerate(FIRES):
        modules += [
            (f"fires.{index}.squeeze", (squeeze, channels, 1, 1)),
            (f"fires.{index}.one", (one, squeeze, 1, 1)),
            (f"fires.{index}.three", (three, squeeze, 3, 3)),
        ]
        channels = one + three
    return modules


def _vgg16() -> list[tuple[str, Shape]]:
    modules: list[tuple[str, Shape]] = []
    before = 3
    for stage in VGG16_STAGES:
        for channels in stage:
            modules.append((f"convs.{len(modules)}", (channels, before, 3, 3)))
            before = channels
    return modules


def _renamed(modules: list[tuple[str, Shape]], published: list[str]) -> dict[str, str]:
    return {
        f"{name}.{part}": f"{theirs}.{part}"
        for (name, _), theirs in zip(modules, published, strict=True)
        for part in _PARTS
    }


_SQUEEZENET = _squeezenet()
_CAFFE = [
    "conv1",
    *(f"fire{fire}/{part}" for fire in range(2, 10) for part in ("squeeze1x1", "expand1x1", "expand3x3")),
]
#: Places of the fire modules among torchvision's layers, which count poolings and the first convolution.
_TORCHVISION_FIRES = (3, 4, 6, 7, 9, 10, 11, 12)
_SQUEEZENET_TORCH = [
    "features.0",
    *(f"features.{place}.{part}" for place in _TORCHVISION_FIRES for part in ("squeeze", "expand1x1", "expand3x3")),
]
_VGG16 = _vgg16()
_VGG16_TORCH = [f"features.{place}" for place in (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)]
_ALEXNET: list[tuple[str, Shape]] = [
    (f"convs.{index}", (after, before, size, size)) for index, (before, after, size, _, _) in enumerate(ALEXNET)
]
_ALEXNET_TORCH = [f"features.{place}" for place in (0, 3, 6, 8, 10)]
_DISTS_CHANNELS = 3 + sum(stage[-1] for stage in VGG16_STAGES)


def _linear(channels: list[int]) -> Layout:
    return Layout(
        {f"lin{index}": (1, count, 1, 1) for index, count in enumerate(channels)},
        {"torch": {f"lin{index}": f"lin{index}.model.1.weight" for index in range(len(channels))}},
    )


LAYOUTS: dict[str, Layout] = {
    "squeezenet1_1": Layout(
        _pairs(_SQUEEZENET),
        {
            # In the file's order, w00 and b00 are conv1's.
            "npz": {
                f"{name}.{part}": f"{part[0]}{index:02d}"
                for index, (name, _) in enumerate(_SQUEEZENET)
                for part in _PARTS
            },
            "caffe": _renamed(_SQUEEZENET, _CAFFE),
        },
        half=True,
    ),
    "squeezenet1_1_torchvision": Layout(_pairs(_SQUEEZENET), {"torch": _renamed(_SQUEEZENET, _SQUEEZENET_TORCH)}),
    "alexnet": Layout(_pairs(_ALEXNET), {"torch": _renamed(_ALEXNET, _ALEXNET_TORCH)}),
    "vgg16": Layout(_pairs(_VGG16), {"torch": _renamed(_VGG16, _VGG16_TORCH)}),
    "lpips_alex": _linear([after for _, after, *_ in ALEXNET]),
    "lpips_vgg": _linear([stage[-1] for stage in VGG16_STAGES]),
    "lpips_squeeze": _linear(list(SQUEEZENET_CHANNELS)),
    "dists": Layout(
        dict.fromkeys(("alpha", "beta"), (1, _DISTS_CHANNELS, 1, 1)), {"torch": {"alpha": "alpha", "beta": "beta"}}
    ),
}
