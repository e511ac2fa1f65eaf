"""Small sets of methods with known truth, for tests of comparisons."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from causaliqa.evaluate.paired import Paired, paired_arrays
from causaliqa.seeding import generator
from causaliqa.tables import score_table


def toy(seed: int, noise: dict[str, float], references: int = 12, each: int = 10, shared: float = 0.4) -> Paired:
    """Methods that see the opinion through noise; part of it is common to all images of a reference."""
    random = generator("toy", seed)
    names = np.repeat([f"r{index:02d}" for index in range(references)], each)
    opinion = random.normal(size=len(names))
    quality = []
    for size in noise.values():
        own = random.normal(size=len(names))
        common = np.repeat(random.normal(size=references), each)
        quality.append(opinion + size * (np.sqrt(1 - shared) * own + np.sqrt(shared) * common))
    return paired_arrays("toy", list(noise), np.stack(quality), opinion, list(names))


def images_of(count: int = 24, references: int = 4) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "dataset": "toy",
            "image": [f"i{index:03d}.png" for index in range(count)],
            "reference": [f"r{index % references}" for index in range(count)],
            "distortion": ["blur" if index % 2 else "jpeg" for index in range(count)],
            "level": 1,
            "score": np.linspace(0, 1, count),
        }
    )


def scored(images: pd.DataFrame, values: np.ndarray, method: str, **about: object) -> pd.DataFrame:
    options = {"setting": "baseline", "higher_is_better": True} | about
    return score_table(images, values, method=method, **options)  # type: ignore[arg-type]


def published_folder() -> Path:
    folder = os.environ.get("CAUSALIQA_TEST_SCORES", "")
    if not folder:
        pytest.skip(
            "set CAUSALIQA_TEST_SCORES to the folder of published per-image scores (live.csv, tid2013.csv, ...)"
        )
    return Path(folder)


def live_labels() -> Path:
    folder = Path(os.environ.get("CAUSALIQA_TEST_DATA", "") or "/nowhere") / "live"
    if not (folder / "refnames_all.mat").is_file():
        pytest.skip("set CAUSALIQA_TEST_DATA to a folder with live/dmos_realigned.mat and live/refnames_all.mat")
    return folder
