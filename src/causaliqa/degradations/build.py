"""Stage degrade: every reference of a raw dataset, degraded, as shards and a manifest."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from causaliqa.config import Degrade
from causaliqa.datasets.names import REFERENCE
from causaliqa.datasets.raw import RawRow, RawSet, iterate_manifest
from causaliqa.datasets.shards import MANIFEST_COLUMNS, write_shard
from causaliqa.datasets.splits import partition_references
from causaliqa.degradations.measure import pyramid, pyramid_distance
from causaliqa.degradations.registry import (
    IMPERCEPTIBLE,
    IMPERCEPTIBLE_VARIANTS,
    TYPES,
    applicable,
    chain_name,
    degrade,
    distortion,
    imperceptible,
)
from causaliqa.errors import CausalIQAError, DataError
from causaliqa.images import to_uint8
from causaliqa.io import atomic_directory, write_parquet
from causaliqa.progress import progress
from causaliqa.seeding import generator

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
#: References are cropped to sides that are multiples of this, so that networks can halve them twice.
_MULTIPLE = 4
_SMALLEST = 32
#: A chain is kept if it is farther from the reference than its first step by this factor: a second step may repair
#: the first (blur after noise), and then would not be a more severe image.
_WORSE = 1.1
_TRIES = 20


@dataclass(frozen=True)
class RawImage:
    """A pristine image: a row of the manifest of a fetched dataset, and the dataset's folder."""

    folder: Path
    row: RawRow

    @property
    def reference(self) -> str:
        """Name of the content."""
        return self.row.reference


@dataclass(frozen=True)
class _Task:
    out: Path
    image: RawImage
    partition: str
    params: Degrade


def read_manifest(folder: Path) -> list[RawImage]:
    """Read the manifest of ``data/raw/<dataset>``.

    Raises
    ------
    DataError
        If it is missing, empty, lacks a column, or is not one of pristine images.
    """
    path = Path(folder) / "manifest.csv"
    images = []
    for row in iterate_manifest(folder):
        if not _NAME.fullmatch(row.reference):
            raise DataError(f"{path}: reference {row.reference!r} must be made of A-Z a-z 0-9 _ - .")
        if row.distortion != REFERENCE:
            raise DataError(
                f"{path}: {row.image} is not pristine; name the dataset under fetch.labelled or fetch.blind, "
                "not under fetch.datasets"
            )
        images.append(RawImage(Path(folder), row))
    if not images:
        raise DataError(f"{path}: lists no image; fetch the dataset again")
    return images


def prepare_reference(image: RawImage, size: int) -> np.ndarray:
    """Read an image and bring it to the size at which it is degraded.

    The image is reduced by a Lanczos filter (antialiased) so that its shorter side is `size`, if it is larger, and
    its centre is cut out to at most `size` x `size`, sides being multiples of 4.

    Parameters
    ----------
    image : of any bit depth; its manifest states its checksum and the value that means white.
    size : side in pixels.

    Returns
    -------
    uint8 array (H, W) or (H, W, 3).

    Raises
    ------
    DataError
        If the file is missing or corrupt, disagrees with the manifest, or has a side below 32 pixels.
    """
    row, path = image.row, image.folder / image.row.image
    source = RawSet(image.folder).read(row)
    if (source.values.ndim == 2) != row.grayscale:
        found = "grey" if source.values.ndim == 2 else "colour"
        raise DataError(f"{path}: is {found}, its manifest says otherwise; correct grayscale in manifest.csv")
    try:
        values = source.to_float(row.data_range)
    except DataError as error:
        raise DataError(f"{path}: {error}; correct data_range in manifest.csv") from None
    height, width = values.shape[:2]
    if min(height, width) < _SMALLEST:
        raise DataError(f"{path}: {width}x{height} pixels; a reference needs at least {_SMALLEST} a side")
    if min(height, width) > size:
        factor = size / min(height, width)
        target = (max(size, round(width * factor)), max(size, round(height * factor)))
        planes = [values] if values.ndim == 2 else [values[..., channel] for channel in range(3)]
        small = [
            np.asarray(Image.fromarray(np.ascontiguousarray(plane)).resize(target, Image.Resampling.LANCZOS))
            for plane in planes
        ]
        values = small[0] if values.ndim == 2 else np.stack(small, axis=2)
    height, width = (min(side, size) // _MULTIPLE * _MULTIPLE for side in values.shape[:2])
    top, left = (values.shape[0] - height) // 2, (values.shape[1] - width) // 2
    return to_uint8(values[top : top + height, left : left + width])


def draw_chains(
    singles: dict[tuple[str, int], np.ndarray], stimulus: np.ndarray, *, key: str, seed: int, count: int
) -> Iterator[tuple[tuple[tuple[str, int], tuple[str, int]], np.ndarray]]:
    """Draw chains of two degradations and apply them.

    A chain starts from one of the single degradations; its second step is another type. Only chains that are farther
    from the reference than their first step (:mod:`causaliqa.degradations.measure`, by a tenth) are kept, because a
    second step can repair the first.

    Parameters
    ----------
    singles : degraded image by (type, level).
    stimulus : the reference.
    key, seed : name of the reference and the set's seed; they fix the draw.
    count : number of chains wanted; fewer come if suitable ones are rare.

    Yields
    ------
    ((first, second), image).
    """
    steps = list(singles)
    if len({name for name, _ in steps}) < 2:
        return
    bands = pyramid(stimulus)
    rng = generator("compositions", key, seed)
    seen = set()
    for _ in range(count * _TRIES):
        if count <= 0:
            return
        first, second = (steps[int(rng.integers(len(steps)))] for _ in range(2))
        if first[0] == second[0] or (first, second) in seen:
            continue
        seen.add((first, second))
        start = singles[first]
        image = degrade(start, second[0], second[1], key=key, seed=seed)
        if pyramid_distance(bands, pyramid(image)) > _WORSE * pyramid_distance(bands, pyramid(start)):
            yield (first, second), image
            count -= 1


def degrade_reference(
    stimulus: np.ndarray, *, key: str, params: Degrade
) -> tuple[dict[str, np.ndarray], list[dict[str, Any]]]:
    """Make all images of one reference.

    Returns
    -------
    Images by name, and for each, in the same order, the manifest's columns image, distortion, level and parent.
    """
    images: dict[str, np.ndarray] = {}
    rows: list[dict[str, Any]] = []

    def add(kind: str, level: int, image: np.ndarray, *, shown: int | None = None, parent: str = "") -> None:
        name = f"{key}/{kind}/{level if shown is None else shown}"
        images[name] = image
        rows.append({"image": name, "distortion": kind, "level": level, "parent": parent})

    add(REFERENCE, 0, stimulus)
    for variant in IMPERCEPTIBLE_VARIANTS:
        add(IMPERCEPTIBLE, 0, imperceptible(stimulus, variant, key=key, seed=params.seed), shown=variant)
    wanted = list(TYPES) if params.types == "all" else params.types
    singles: dict[tuple[str, int], np.ndarray] = {}
    for kind in applicable(wanted, grayscale=stimulus.ndim == 2):
        for level in sorted(params.levels):
            singles[kind, level] = degrade(stimulus, kind, level, key=key, seed=params.seed)
            add(kind, level, singles[kind, level])
    for chain, image in draw_chains(singles, stimulus, key=key, seed=params.seed, count=params.compositions):
        add(chain_name(chain), 0, image, parent=f"{key}/{chain[0][0]}/{chain[0][1]}")
    return images, rows


def build_set(raw: Path, out: Path, params: Degrade, jobs: int) -> None:
    """Degrade every reference of a raw dataset.

    Parameters
    ----------
    raw : ``data/raw/<dataset>``: manifest.csv and the images it names.
    out : folder to write, whole or not at all: ``manifest.parquet`` and ``shards/<reference>.parquet``.
    params : section ``degrade``.
    jobs : processes; the result does not depend on it.

    Raises
    ------
    ConfigError
        If ``params.types`` names an unknown type.
    DataError
        If the manifest or an image is missing, corrupt or inconsistent.
    """
    for name in [] if params.types == "all" else params.types:
        distortion(name)
    rows = sorted(read_manifest(raw), key=lambda image: image.reference)
    name = rows[0].row.dataset
    share = params.partition
    part = partition_references(
        [row.reference for row in rows], dataset=name, train=share.train, val=share.val, seed=params.seed
    )
    with atomic_directory(out) as temporary:
        tasks = [_Task(temporary, row, part[row.reference], params) for row in rows]
        bar = progress(_run(tasks, jobs), total=len(tasks), desc=f"degrade {name}", unit="ref")
        tables = list(bar)
        write_parquet(temporary / "manifest.parquet", pd.concat(tables, ignore_index=True)[MANIFEST_COLUMNS])


def _run(tasks: list[_Task], jobs: int) -> Iterable[pd.DataFrame]:
    """Yield one table a task, in the order of tasks."""
    if jobs == 1 or len(tasks) == 1:
        yield from map(_work, tasks)
        return
    # A fresh interpreter a worker: forking a process that holds threads may hang it.
    with ProcessPoolExecutor(min(jobs, len(tasks)), mp_context=get_context("spawn")) as pool:
        try:
            yield from pool.map(_work, tasks)
        except BrokenProcessPool:
            raise CausalIQAError("degrade: a process was killed, likely for want of memory; use fewer --jobs") from None
        finally:
            pool.shutdown(cancel_futures=True)


def _work(task: _Task) -> pd.DataFrame:
    row = task.image.row
    stimulus = prepare_reference(task.image, task.params.size)
    images, rows = degrade_reference(stimulus, key=row.reference, params=task.params)
    digests = write_shard(task.out, row.reference, images)
    table = pd.DataFrame(rows)
    return table.assign(
        dataset=row.dataset,
        domain=row.domain,
        reference=row.reference,
        level=table["level"].astype(np.int64),
        partition=task.partition,
        grayscale=row.grayscale,
        bit_depth=np.int64(8),
        sha256=[digests[name] for name in images],
    )
