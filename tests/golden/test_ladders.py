"""Ladders are strictly monotone in the perceptual measure, on real bundled images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from causaliqa.config import Fetch
from causaliqa.datasets.fetch import fetch_dataset
from causaliqa.datasets.registry import BundledDataset, load_registry
from causaliqa.degradations.build import prepare_reference, read_manifest
from causaliqa.degradations.measure import pyramid, pyramid_distance
from causaliqa.degradations.registry import LEVELS, TYPES, applicable, degrade, strength_of

ROOT = Path(__file__).resolve().parents[2]
#: One reference a domain, chosen to be hard: dark sky, dark background, low contrast, text, regular texture.
FAST = ("hubble", "ct_head", "cell", "page", "astronaut", "brick")


@pytest.fixture(scope="module")
def references(tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    """Return every bundled reference at 256 pixels, by name."""
    folder = tmp_path_factory.mktemp("raw")
    found = {}
    for name, dataset in load_registry(ROOT / "data" / "registry.yaml").items():
        if isinstance(dataset, BundledDataset):
            fetch_dataset(name, dataset, folder / name, Fetch(datasets=[name]))
            for row in read_manifest(folder / name):
                found[row.reference] = prepare_reference(row, 256)
    return found


def assert_monotone(stimulus: np.ndarray, key: str) -> None:
    bands = pyramid(stimulus)
    for name in applicable(list(TYPES), grayscale=stimulus.ndim == 2):
        ladder = [pyramid_distance(bands, pyramid(degrade(stimulus, name, level, key=key, seed=0))) for level in LEVELS]
        assert all(a < b for a, b in zip([0, *ladder], ladder, strict=False)), f"{key}, {name}: {np.round(ladder, 4)}"


@pytest.mark.parametrize("key", FAST)
def test_every_type_is_strictly_monotone(references: dict[str, np.ndarray], key: str) -> None:
    assert_monotone(references[key], key)


@pytest.mark.slow
def test_every_type_is_strictly_monotone_on_every_bundled_reference(references: dict[str, np.ndarray]) -> None:
    assert len(references) >= 16
    for key, stimulus in references.items():
        assert_monotone(stimulus, key)


def test_strengths_are_ordered_within_bounds() -> None:
    for name, item in TYPES.items():
        weakest, strongest = item.bounds
        ladder = [strength_of(name, level) for level in LEVELS]
        steps = np.diff([weakest, *ladder, strongest]) * np.sign(strongest - weakest)
        assert (steps[1:-1] > 0).all(), f"{name}: {ladder}"
        assert steps[0] >= 0, f"{name}: {ladder}"
        assert steps[-1] >= 0, f"{name}: {ladder}"
