"""Fetched labelled datasets without their images: manifest, description and splits, which is all evaluation reads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from causaliqa.config import Splits
from causaliqa.datasets.raw import RawRow, read_raw_manifest, write_manifest
from causaliqa.datasets.splits import make_splits, splits_document
from causaliqa.io import write_json
from causaliqa.tables import score_table


def labelled(
    root: Path, *, name: str = "toy", layout: str = "folder", references: int = 6,
    types: tuple[str, ...] = ("blur", "jpeg"),
    levels: int = 3, std: float = 0.4, kind: str = "mos", higher_is_better: bool = True,
    provenance: Callable[[int, int], str] | None = None, image: str = "images/{reference}_{type}_{level}.bmp",
    first: int = 1, splits: int = 10,
) -> Path:  # fmt: skip
    """References i01, i02, ...; quality falls with the level and differs a little by reference and type."""
    rows = []
    for number in range(first, first + references):
        reference = f"i{number:02d}"
        for position, distortion in enumerate(("reference", *types)):
            for level in range(1, levels + 1) if position else (0,):
                quality = 9 - 2 * level + 0.13 * number + 0.31 * position
                rows.append(
                    RawRow(
                        dataset=name, domain="natural", reference=reference, distortion=distortion, level=level,
                        image=image.format(reference=reference, type=f"{position:02d}", level=level),
                        score=float("nan") if not position else quality if higher_is_better else -quality,
                        score_std=std if position else float("nan"),
                        provenance=provenance(number, level) if provenance and position else "",
                        grayscale=False, bit_depth=8, data_range=255.0, width=8, height=8, licence="", source="",
                        sha256="0" * 64,
                    )
                )  # fmt: skip
    folder = root / name
    folder.mkdir(parents=True)
    write_manifest(folder / "manifest.csv", rows)
    write_json(
        folder / "dataset.json",
        {"name": name, "title": "Toy", "domain": "natural", "layout": layout, "options": {}, "skipped": {},
         "labels": {"kind": kind, "higher_is_better": higher_is_better, "text": "toy panel", "range": None}},
    )  # fmt: skip
    units = {row.reference: 0.0 for row in rows}
    found = make_splits(name, units, Splits(count=splits), stratified=False)
    write_json(folder / "splits.json", splits_document(name, found, unit="reference"))
    return folder


def images_of(folder: Path) -> pd.DataFrame:
    """Scored images, sorted by name; column ``score``."""
    table = read_raw_manifest(folder)
    return table[table["distortion"] != "reference"].sort_values("image", ignore_index=True)


def method(folder: Path, name: str, noise: float, *, sign: float = 1.0, **about: Any) -> pd.DataFrame:
    """A method that sees the score through noise."""
    images = images_of(folder)
    seen = images["score"].to_numpy() + noise * np.random.default_rng(sum(map(ord, name))).normal(size=len(images))
    return score_table(
        images, sign * seen, **{"method": name, "setting": "baseline", "higher_is_better": True, **about}
    )
