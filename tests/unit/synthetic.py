"""A tiny degraded set made on the spot, for tests that need one quickly."""

from pathlib import Path

import numpy as np
import pandas as pd
from scipy.ndimage import gaussian_filter

from causaliqa.datasets import shards
from causaliqa.io import write_parquet

PARTS = {"a": "train", "b": "train", "c": "val", "d": "val", "e": "test", "f": "test"}


def reference(name: str, size: int) -> np.ndarray:
    rng = np.random.default_rng(sum(map(ord, name)))
    texture = gaussian_filter(rng.standard_normal((size, size, 3)), (1.5, 1.5, 0))
    return np.clip(128 + 180 * texture, 0, 255).astype(np.uint8)


def degraded_set(folder: Path, name: str = "toy", size: int = 64, parts: dict[str, str] | None = None) -> Path:
    """Blur and nested noise at two levels, a composition each, for a few textures."""
    rows = []
    for key, partition in (parts or PARTS).items():
        x = reference(key, size)
        noise = np.random.default_rng(7).standard_normal(x.shape)
        stimuli = {f"{key}/reference/0": x}
        for level, (sigma, amount) in enumerate(((0.8, 8), (2.0, 30)), 1):
            blurred = gaussian_filter(x.astype(float), (sigma, sigma, 0))
            stimuli[f"{key}/gaussian_blur/{level}"] = blurred.astype(np.uint8)
            stimuli[f"{key}/white_noise/{level}"] = np.clip(x + amount * noise, 0, 255).astype(np.uint8)
        composed = f"{key}/gaussian_blur@1+white_noise@2/0"
        stimuli[composed] = np.clip(stimuli[f"{key}/gaussian_blur/1"] + 30 * noise, 0, 255).astype(np.uint8)
        digests = shards.write_shard(folder, key, stimuli)
        for image in stimuli:
            _, distortion, level = image.split("/")
            rows.append(
                {
                    "dataset": name,
                    "domain": "texture",
                    "image": image,
                    "reference": key,
                    "distortion": distortion,
                    "level": int(level),
                    "parent": f"{key}/gaussian_blur/1" if image == composed else "",
                    "partition": partition,
                    "grayscale": False,
                    "bit_depth": 8,
                    "sha256": digests[image],
                }
            )
    write_parquet(folder / "manifest.parquet", pd.DataFrame(rows))
    return folder
