"""Write deep_values.json: what piq, an independent implementation, says about pairs with random weights.

    pip install 'causaliqa[oracle]' && pip install --no-deps torchvision
    python tests/golden/make_deep_values.py

Run by hand when a metric is added; the tests read the JSON only. Everything is float64. piq has LPIPS for VGG-16 and
DISTS; LPIPS for the other two networks is piq's ContentLoss on torchvision's network, with the layers and linear
weights that its LPIPS would pass. Pairs are no larger than 256 pixels: piq shrinks others without antialiasing.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

# torchvision without its compiled operators (CPU wheels of torch have no partner): declare the two it looks for.
_LIBRARY = torch.library.Library("torchvision", "DEF")
for _name in ("nms", "qnms"):
    with contextlib.suppress(RuntimeError):  # a complete torchvision has declared it
        _LIBRARY.define(f"{_name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

import piq.perceptual  # noqa: E402
import torchvision  # noqa: E402
from deep_pairs import deep_pairs  # noqa: E402
from metric_pairs import digest  # noqa: E402
from random_weights import published  # noqa: E402

#: ReLUs whose maps LPIPS compares, by their place among torchvision's layers; a fire module ends in one.
LAYERS = {"alexnet": ["1", "4", "7", "9", "11"], "squeezenet1_1": ["1", "4", "7", "9", "10", "11", "12"]}


def _tensors(name: str) -> dict[str, torch.Tensor]:
    return {key: torch.from_numpy(values).double() for key, values in published(name).items()}


def _network(builder: Callable[..., Any], name: str) -> Any:
    network = builder(weights=None).double().eval()
    network.load_state_dict(_tensors(name), strict=False)
    for module in network.modules():
        if isinstance(module, torch.nn.ReLU):
            module.inplace = False  # or a later ReLU would change a map that was kept
    return network


def _linear(name: str) -> list[torch.Tensor]:
    # ContentLoss averages over space and adds channels up.
    return list(_tensors(name).values())


def _metrics() -> dict[str, Any]:
    vgg16 = torchvision.models.vgg16

    def seeded(*_: object, **__: object) -> Any:
        return _network(vgg16, "vgg16")

    piq.perceptual.vgg16 = seeded
    files = {"lpips": _linear("lpips_vgg"), "dists": _tensors("dists")}
    torch.hub.load_state_dict_from_url = lambda url, **_: files["dists" if "dists" in url else "lpips"]  # type: ignore[assignment]
    # Without AlexNet's last pooling, for which the smallest pair is too small.
    alex, squeeze = (
        _network(builder, name).features[: 1 + int(LAYERS[builder.__name__][-1])]
        for builder, name in (
            (torchvision.models.alexnet, "alexnet"),
            (torchvision.models.squeezenet1_1, "squeezenet1_1_torchvision"),
        )
    )
    dists = piq.DISTS()
    # The published weights add up to 1; random ones do not, and the authors' code divides by their sum.
    total = sum(float(weights.sum()) for weights in dists.weights)
    dists.weights = [weights / total for weights in dists.weights]

    def content(network: Any, layers: list[str], linear: list[torch.Tensor]) -> Any:
        return piq.ContentLoss(network, layers=layers, weights=linear, normalize_features=True)

    made = {
        "lpips_vgg": piq.LPIPS(),
        "lpips_alex": content(alex, LAYERS["alexnet"], _linear("lpips_alex")),
        "lpips_squeeze": content(squeeze, LAYERS["squeezenet1_1"], _linear("lpips_squeeze")),
        "dists": dists,
    }
    for function in made.values():
        # piq holds ImageNet's moments in float32.
        for name, values in (("mean", (0.485, 0.456, 0.406)), ("std", (0.229, 0.224, 0.225))):
            setattr(function, name, torch.tensor(values, dtype=torch.float64).view(1, 3, 1, 1))
    return made


def main() -> None:
    """Write the file."""
    metrics = _metrics()
    pairs = {}
    for name, images in deep_pairs().items():
        tensors = [
            torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)[None]).astype(np.float64) / 255.0)
            for image in images
        ]
        with torch.no_grad():
            values = {metric: float(function(*tensors)) for metric, function in metrics.items()}
        pairs[name] = {"sha256": [digest(image) for image in images], "expected": values}
    content = {
        "oracle": f"piq {piq.__version__}, torchvision {torchvision.__version__.split('+')[0]}, "
        f"torch {torch.__version__.split('+')[0]}, float64; see make_deep_values.py",
        "pairs": pairs,
    }
    target = Path(__file__).with_name("deep_values.json")
    target.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
