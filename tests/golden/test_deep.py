"""Deep metrics against an independent implementation, a plain one, and what their weights were trained for."""

from __future__ import annotations

import functools
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from deep_pairs import deep_pairs
from metric_pairs import digest
from random_weights import random_weights
from skimage import data

from causaliqa.baselines.deep import NEEDS, distances
from causaliqa.baselines.deep.models import DeepModel, make_model, to_tensor
from causaliqa.baselines.deep.squeezenet import SqueezeNet
from causaliqa.baselines.deep.weights import fetch_weights
from causaliqa.baselines.registry import get
from causaliqa.datasets.fetch import Places

VALUES: dict[str, Any] = json.loads(Path(__file__).with_name("deep_values.json").read_text())["pairs"]
PAIRS = deep_pairs()
METRICS = ("lpips_alex", "lpips_vgg", "lpips_squeeze", "dists")


@functools.cache
def tensors(name: str) -> dict[str, torch.Tensor]:
    return {key: torch.from_numpy(values) for key, values in random_weights(name).items()}


def model(metric: str, dtype: torch.dtype) -> DeepModel:
    network, *others = NEEDS[metric]
    rest = {key: value.to(dtype) for name in others for key, value in tensors(name).items()}
    return make_model(metric, {key: value.to(dtype) for key, value in tensors(network).items()}, rest)


def planes(image: np.ndarray, dtype: torch.dtype) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)[None])).to(dtype) / 255


def test_pairs_are_those_of_the_golden_values() -> None:
    assert {name: [digest(image) for image in pair] for name, pair in PAIRS.items()} == {
        name: value["sha256"] for name, value in VALUES.items()
    }
    assert all(set(value["expected"]) == set(METRICS) for value in VALUES.values())


@pytest.mark.parametrize("metric", METRICS)
def test_equals_independent_implementation(metric: str) -> None:
    exact, plain = model(metric, torch.float64), model(metric, torch.float32)
    for name, (reference, distorted) in PAIRS.items():
        expected = VALUES[name]["expected"][metric]
        pair = (planes(image, torch.float64) for image in (reference, distorted))
        assert float(exact.distances(*pair)[0]) == pytest.approx(expected, abs=1e-9), name
        assert plain.score(reference, distorted, 255.0) == pytest.approx(expected, abs=1e-5), name


def plain_transport(first: list[float], second: list[float]) -> float:
    """Move masses greedily from left to right; what is left of one goes to the last place of the other."""
    first, second, cost, i, j, last = list(first), list(second), 0.0, 0, 0, len(first) - 1
    while i <= last or j <= last:
        a, b = (first[i] if i <= last else math.inf), (second[j] if j <= last else math.inf)
        moved = min(a, b)
        cost += moved * (min(i, last) - min(j, last)) ** 2
        if i <= last:
            first[i] -= moved
        if j <= last:
            second[j] -= moved
        if a <= b:
            i += 1
        if b <= a:
            j += 1
    return cost


def plain_deepwsd(first: list[np.ndarray], second: list[np.ndarray], window: int) -> float:
    """DeepWSD of maps (C, H, W), float64, group by group."""
    total = 0.0
    for maps in zip(first, second, strict=True):
        groups = []
        for values in maps:
            channels, height, width = values.shape
            rows, columns = round(height / window) * window, round(width / window) * window
            padded = np.zeros((channels, rows, columns))
            kept = values[:, :rows, max(0, width - columns) :]
            padded[:, : kept.shape[1], columns - kept.shape[2] :] = kept
            groups.append(padded.reshape(window * window, -1).T)
        sums = [values.sum() + 1e-6 for values in groups]
        for a, b in zip(*groups, strict=True):
            moved = plain_transport(list(a * a / sums[0]), list(b * b / sums[1]))
            weight = 1 / (math.sqrt(math.exp(-1 / (moved + 10))) * (moved + 10) ** 2)
            total += moved + weight * float(((a - b) ** 2).sum())
    return math.log(total / len(first) + 1)


@pytest.mark.parametrize("sides", [(8, 12), (7, 10), (9, 5), (6, 14)])
def test_deepwsd_equals_plain_implementation(sides: tuple[int, int]) -> None:
    rng = np.random.default_rng(3)
    shapes = [(3, *sides), (5, 4, 3)]
    first, second = ([rng.gamma(1.0, 2.0, shape) for shape in shapes] for _ in range(2))
    batch = [
        [torch.from_numpy(np.stack(pair)) for pair in zip(a, b, strict=True)]
        for a, b in ((first, second), (second, first))
    ]
    found = distances.deepwsd(batch[0], batch[1])
    assert found.tolist() == pytest.approx(
        [plain_deepwsd(first, second, 4), plain_deepwsd(second, first, 4)], rel=1e-12
    )


def test_deepwsd_of_a_network_equals_plain_implementation() -> None:
    reference, distorted = PAIRS["square_noise"]
    exact = model("deepwsd", torch.float64)
    maps = [
        [x[0].numpy() for x in exact.extractor.maps(planes(image, torch.float64))] for image in PAIRS["square_noise"]
    ]
    # The deeper stages and a corner of the image: the plain implementation takes its time.
    expected = plain_deepwsd(maps[0][4:], maps[1][4:], 4)
    found = distances.deepwsd(*([torch.from_numpy(x[None]) for x in side[4:]] for side in maps))
    assert float(found[0]) == pytest.approx(expected, rel=1e-12)
    plain = model("deepwsd", torch.float32).score(reference, distorted, 255.0)
    assert plain == pytest.approx(
        float(exact.distances(*(planes(image, torch.float64) for image in PAIRS["square_noise"]))[0]), abs=1e-5
    )


# Published weights


def weights(folder: Path, source: Path) -> Path:
    places = Places(folder / "downloads", folder / "checksums.json", mirror=str(source))
    registry = Path(__file__).parents[2] / "data/weights.yaml"
    card = fetch_weights("squeezenet1_1", folder / "weights", registry=registry, places=places)
    assert card["source"]["file"] == "squeezenet1_1_imagenet_fp16.npz"
    return folder / "weights"


@pytest.fixture(scope="module")
def squeezenet(test_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not (test_weights / "squeezenet1_1_imagenet_fp16.npz").is_file():
        pytest.skip(f"{test_weights} holds no squeezenet1_1_imagenet_fp16.npz")
    return weights(tmp_path_factory.mktemp("squeezenet"), test_weights)


@pytest.mark.parametrize(("picture", "label"), [("chelsea", 285), ("coffee", 967)])
def test_squeezenet_sees_what_it_was_trained_for(
    squeezenet: Path, test_weights: Path, picture: str, label: int
) -> None:
    """An Egyptian cat and an espresso of ImageNet's classes: order of channels, range, means and weights fit."""
    network = make_model("squeeze_lpips", load(squeezenet), {}).extractor.network
    assert isinstance(network, SqueezeNet)
    with np.load(test_weights / "squeezenet1_1_imagenet_fp16.npz", allow_pickle=False) as arrays:
        head, bias = (torch.from_numpy(arrays[key].astype(np.float32)) for key in ("w25", "b25"))
    image = torch.nn.functional.interpolate(
        to_tensor(getattr(data, picture)(), 255.0), size=(227, 227), mode="bilinear", antialias=True
    )
    scores = torch.relu(torch.nn.functional.conv2d(network(image)[-1], head, bias)).mean((2, 3))
    assert int(scores.argmax()) == label


def load(folder: Path) -> dict[str, torch.Tensor]:
    from causaliqa.baselines.deep.load import load_weights

    return load_weights("squeezenet1_1", folder)


#: With the published weights, by this project: a change of any digit below is a change of the metric.
SQUEEZE: dict[str, dict[str, float]] = {
    "square_noise": {"squeeze_lpips": 0.6113831, "squeeze_dists": 0.4187964, "squeeze_wsd": 0.1571634},
    "wide_blur": {"squeeze_lpips": 0.2862787, "squeeze_dists": 0.2833441, "squeeze_wsd": 0.1030187},
    "tall_recoloured": {"squeeze_lpips": 0.6376922, "squeeze_dists": 0.3554463, "squeeze_wsd": 0.2020885},
    "odd_quantised": {"squeeze_lpips": 0.2533337, "squeeze_dists": 0.1095743, "squeeze_wsd": 0.1527172},
}


@pytest.mark.parametrize("name", PAIRS)
def test_squeeze_metrics_stay_what_they_are(squeezenet: Path, name: str) -> None:
    found = {metric: get(metric, squeezenet).function(*PAIRS[name]) for metric in SQUEEZE[name]}
    assert found == pytest.approx(SQUEEZE[name], rel=1e-4)


def test_squeeze_metrics_rank_noise(squeezenet: Path) -> None:
    image = data.astronaut()[60:188, 170:298]
    noise = np.random.default_rng(0).normal(0, 1, image.shape)
    noisy = [np.clip(np.round(image + sigma * noise), 0, 255).astype(np.uint8) for sigma in (1, 3, 9, 27)]
    for metric in ("squeeze_lpips", "squeeze_dists", "squeeze_wsd"):
        function = get(metric, squeezenet).function
        assert function(image, image) == pytest.approx(0, abs=1e-6)
        scores = [function(image, distorted) for distorted in noisy]
        assert scores == sorted(scores)
        assert len(set(scores)) == 4
