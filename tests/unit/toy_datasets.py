"""Tiny datasets with scores, in the plain `folder` layout, and registry entries for them."""

from __future__ import annotations

import csv
import io
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from image_files import encode
from PIL import Image
from scipy.ndimage import gaussian_filter

from causaliqa.config import Fetch
from causaliqa.datasets.fetch import Places, fetch_dataset
from causaliqa.datasets.registry import Dataset, load_registry

COLUMNS = ["image", "reference", "distortion", "level", "score", "score_std"]
OPTIONS = {
    "table": "scores.csv", "distortion": "distortion", "level": "level", "score_std": "score_std",
}  # fmt: skip
#: Noise of each level, in units of 255.
AMOUNTS = (2, 5, 10, 20, 40, 70)


def picture(seed: int, size: int = 40, colour: bool = True) -> np.ndarray:
    shape = (size, size, 3) if colour else (size, size)
    texture = gaussian_filter(np.random.default_rng(seed).standard_normal(shape), (2, 2, 0)[: len(shape)])
    return np.clip(128 + 300 * texture, 0, 255).astype(np.uint8)


def noisy(x: np.ndarray, amount: float, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).standard_normal(x.shape)
    return np.clip(x + amount * noise, 0, 255).astype(np.uint8)


def png(values: np.ndarray) -> bytes:
    return encode(Image.fromarray(values))


def write_table(folder: Path, rows: list[dict[str, Any]]) -> None:
    with (folder / "scores.csv").open("w", newline="") as handle:
        writer = csv.DictWriter(handle, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)


def read_table(folder: Path) -> list[dict[str, Any]]:
    with (folder / "scores.csv").open(newline="") as handle:
        return list(csv.DictReader(handle))


def scored_folder(folder: Path, references: int = 4, levels: int = 6) -> Path:
    """Noise and blur of textures; the score of an image falls with its level, from about 9 to 2."""
    folder.mkdir(parents=True)
    rows = []
    for number in range(references):
        x = picture(number)
        (folder / f"ref{number}.png").write_bytes(png(x))
        for level in range(1, levels + 1):
            kind = ("white noise", "blur")[level % 2]
            y = noisy(x, AMOUNTS[level - 1], level)
            if kind == "blur":
                y = gaussian_filter(y, (0.1 * level, 0.1 * level, 0))
            image = f"dist/r{number}_{level}.png"
            (folder / "dist").mkdir(exist_ok=True)
            (folder / image).write_bytes(png(y))
            rows.append(
                {"image": image, "reference": f"ref{number}.png", "distortion": kind, "level": level,
                 "score": repr(9 - 1.1 * level + 0.1 * number), "score_std": "0.25"}
            )  # fmt: skip
    rows[0]["score"] = repr(8 + 0.1 + 0.2)
    write_table(folder, rows)
    return folder


def entry(own: Path, /, **changes: Any) -> dict[str, Any]:
    """The entry of a scored folder; a change to None removes a key."""
    values = {
        "title": "Toy", "version": "1", "kind": "full_reference", "domain": "texture", "source": "local",
        "redistribution": True, "licence": "CC0-1.0", "terms": "made here", "folder": str(own), "layout": "folder",
        "options": OPTIONS, "labels": {"kind": "mos", "higher_is_better": True, "range": [0, 10], "text": "toy panel"},
        **changes,
    }  # fmt: skip
    return {key: value for key, value in values.items() if value is not None}


def download_entry(*archives: dict[str, Any], **changes: Any) -> dict[str, Any]:
    files = [{"urls": [f"https://example.org/{item['name']}"], **item} for item in archives]
    return entry(Path(), **{"folder": None, "source": "download", "archives": files, **changes})


PRISTINE: dict[str, Any] = {"kind": "pristine", "layout": "pristine", "options": {}, "labels": None}


def blind_folder(folder: Path, count: int) -> Path:
    """Images of one noise strength each; the score falls with it."""
    folder.mkdir(parents=True)
    rows = ["image,mos"]
    for number in range(count):
        (folder / f"i{number:03d}.png").write_bytes(png(noisy(picture(number, 32), number, number)))
        rows.append(f"i{number:03d}.png,{count - number}")
    (folder / "scores.csv").write_text("\n".join(rows) + "\n")
    return folder


BLIND: dict[str, Any] = {
    "kind": "blind", "options": {"table": "scores.csv", "reference": None, "score": "mos"},
    "labels": {"kind": "mos", "higher_is_better": True},
}  # fmt: skip


def tar_gz(path: Path, files: dict[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def files_of(folder: Path, prefix: str = "") -> dict[str, bytes]:
    """Return the files under a folder by their paths in it, as an archive may hold them."""
    return {
        prefix + path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def write_registry(path: Path, **entries: dict[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(entries, sort_keys=False))
    return path


def dataset(root: Path, values: dict[str, Any]) -> Dataset:
    return load_registry(write_registry(root / "registry.yaml", toy=values))["toy"]


def fetched(
    root: Path, values: dict[str, Any], jobs: int = 1, out: str = "raw/toy", **params: Any
) -> tuple[Path, dict[str, Any]]:
    """Fetch an entry as `toy`, downloads from the mirror folder ``<root>/mirror``; return folder and description."""
    places = Places(downloads=root / "downloads", record=root / "checksums.json", mirror=str(root / "mirror"))
    section = Fetch(datasets=["pristine"], labelled=["toy"], **params)
    target = root / out
    return target, fetch_dataset("toy", dataset(root, values), target, section, places=places, jobs=jobs)
