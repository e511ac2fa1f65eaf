"""Partitions by reference: all images of one content go to one part, never some to each."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from causaliqa.config import Splits
from causaliqa.datasets.names import REFERENCE
from causaliqa.errors import DataError
from causaliqa.io import read_json, sha256_bytes, write_json
from causaliqa.seeding import generator

PARTITIONS = ("train", "val", "test")


def partition_references(
    references: Sequence[str], *, dataset: str, train: float, val: float, seed: int
) -> dict[str, str]:
    """Divide a dataset's references into train, val and test.

    The order of `references` does not matter: they are sorted, then permuted by a generator seeded with the dataset's
    name and `seed`. Two or more references give at least one for train and one for test; a val part exists from four
    references on, then with at least one if its share is above 0. A single reference is for test.

    Parameters
    ----------
    references : distinct names.
    dataset : name of the dataset, so that equal names in two datasets are divided independently.
    train, val : shares in [0, 1] with train + val < 1; rounded to whole references.
    seed : seed of the permutation.

    Returns
    -------
    ``train``, ``val`` or ``test`` by reference, in sorted order of references.

    Raises
    ------
    DataError
        If a name is repeated.
    """
    names = sorted(references)
    if len(set(names)) != len(names):
        repeated = next(a for a, b in itertools.pairwise(names) if a == b)
        raise DataError(
            f"dataset {dataset}: reference {repeated!r} stands there more than once; give each its own name"
        )
    count = len(names)
    watching = max(1, _round(count * val)) if count >= 4 and val > 0 else 0
    watching = min(watching, max(0, count - 2))
    seen = min(max(1, _round(count * train)), count - watching - 1) if count >= 2 else 0
    parts = ["train"] * seen + ["val"] * watching + ["test"] * (count - seen - watching)
    order = generator("partition", dataset, seed).permutation(count)
    return {names[i]: part for i, part in sorted(zip(order.tolist(), parts, strict=True))}


def _round(value: float) -> int:
    return int(value + 0.5)


# --- splits of labelled datasets ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Split:
    """One division of a dataset's units (references; images of blind sets) into disjoint parts, each sorted."""

    name: str
    train: tuple[str, ...]
    val: tuple[str, ...]
    test: tuple[str, ...]

    def part_of(self, unit: str) -> str:
        """Return ``train``, ``val`` or ``test``.

        Raises
        ------
        DataError
            If the split does not know the unit.
        """
        for part in PARTITIONS:
            if unit in getattr(self, part):
                return part
        raise DataError(f"split {self.name}: knows no {unit!r}; make the splits anew for this copy of the dataset")


def make_splits(dataset: str, scores: Mapping[str, float], params: Splits, *, stratified: bool) -> list[Split]:
    """Draw random splits.

    Parameters
    ----------
    scores : mean score by unit (reference, or image of a blind set). Units are divided, never images of one reference.
    params : number of splits, shares, seed.
    stratified : draw within fifths of the units ordered by score, so that every part has good and bad images; sensible
        where units are many and differ in quality (blind sets), not where each reference has the same distortions.

    Returns
    -------
    list of Split : empty if there are fewer than three units, of which no three parts can be made.
    """
    if len(scores) < 3:
        return []
    ordered = sorted(scores, key=lambda unit: (scores[unit], unit)) if stratified else sorted(scores)
    strata = 5 if stratified and len(ordered) >= 50 else 1
    edges = [round(i * len(ordered) / strata) for i in range(strata + 1)]
    splits = []
    for number in range(params.count):
        parts: dict[str, list[str]] = {part: [] for part in PARTITIONS}
        for stratum, (start, stop) in enumerate(itertools.pairwise(edges)):
            key = f"{dataset}/split-{number:02d}/{stratum}"
            found = partition_references(
                ordered[start:stop], dataset=key, train=params.train, val=params.val, seed=params.seed
            )
            for unit, part in found.items():
                parts[part].append(unit)
        splits.append(Split(f"random-{number:02d}", *(tuple(sorted(parts[part])) for part in PARTITIONS)))
    return splits


def leave_one_out(types: Iterable[str]) -> list[tuple[str, tuple[str, ...]]]:
    """Return (held-out distortion type, the types left to train on), one for each type, sorted.

    Raises
    ------
    DataError
        If there are fewer than two types.
    """
    names = sorted(set(types))
    if len(names) < 2:
        raise DataError("leave-one-distortion-out needs at least two distortion types")
    return [(name, tuple(other for other in names if other != name)) for name in names]


def k_shot(references: np.ndarray, count: int, draw: int, seed: int) -> np.ndarray:
    """Draw `count` labelled images, spread over references as evenly as chance allows.

    Parameters
    ----------
    references : (N,), the content of each candidate.
    count : number of labels; all candidates if there are no more.
    draw, seed : number of the draw and seed.

    Returns
    -------
    int array : positions, sorted.
    """
    rng = generator("labels", seed, draw, count)
    names = np.unique(references)
    order = names[rng.permutation(len(names))]
    queues = [list(rng.permutation(np.flatnonzero(references == name))) for name in order]
    chosen: list[int] = []
    while len(chosen) < count:
        for queue in queues:
            if queue and len(chosen) < count:
                chosen.append(int(queue.pop()))
        if not any(queues):
            break
    return np.sort(np.asarray(chosen, dtype=np.int64))


def splits_document(dataset: str, splits: Sequence[Split], *, unit: str) -> dict[str, Any]:
    """Return the JSON content of ``splits.json``; its header carries the hash of the splits."""
    content = [{"name": s.name, "train": list(s.train), "val": list(s.val), "test": list(s.test)} for s in splits]
    digest = sha256_bytes(json.dumps(content, sort_keys=True).encode())
    return {"header": {"dataset": dataset, "unit": unit, "count": len(splits), "sha256": digest}, "splits": content}


def read_splits(path: Path) -> list[Split]:
    """Read ``splits.json``.

    Raises
    ------
    DataError
        If it is missing, was edited (its hash differs), or a unit stands in two parts of a split.
    """
    document = read_json(path)
    try:
        content, expected = document["splits"], document["header"]["sha256"]
        splits = [Split(s["name"], tuple(s["train"]), tuple(s["val"]), tuple(s["test"])) for s in content]
    except (KeyError, TypeError) as error:
        raise DataError(f"{path}: is not a file of splits (no {error}); fetch the dataset again") from None
    if sha256_bytes(json.dumps(content, sort_keys=True).encode()) != expected:
        raise DataError(f"{path}: its splits are not those of its hash; fetch the dataset again or import them anew")
    for split in splits:
        _check_disjoint(split, str(path))
    return splits


def _check_disjoint(split: Split, source: str) -> None:
    seen: dict[str, str] = {}
    for part in PARTITIONS:
        for unit in getattr(split, part):
            if unit in seen:
                raise DataError(
                    f"{source}: split {split.name}: {unit!r} is both in {seen[unit]} and in {part}; "
                    "a split by reference must not share contents, or test scores are optimistic: divide it anew"
                )
            seen[unit] = part


def import_splits(
    arrays: Mapping[str, Path], images: Sequence[str], references: Sequence[str], *, name: str = "published"
) -> list[Split]:
    """Take over published splits given as arrays of image indices, one row a split (as ARNIQA publishes them).

    Parameters
    ----------
    arrays : part (``train``, ``val``, ``test``; val may be missing) to a .npy file, shape (splits, n) or (n,), of
        indices into `images`.
    images, references : the publisher's order of images, and the content (blind sets: the image) of each.
    name : prefix of the splits' names.

    Raises
    ------
    DataError
        If a file is not an array of whole numbers, an index is out of range, the parts have different numbers of
        splits, or a reference lies in two parts of a split.
    """
    loaded: dict[str, list[np.ndarray]] = {}
    for part, path in arrays.items():
        if part not in PARTITIONS:
            raise DataError(f"{path}: part {part!r} is not one of {', '.join(PARTITIONS)}")
        try:
            values = np.load(path, allow_pickle=False)
        except (OSError, ValueError, EOFError, MemoryError) as error:
            raise DataError(f"{path}: not a readable .npy array of numbers ({error}); download it again") from None
        if not isinstance(values, np.ndarray) or values.dtype.kind not in "iu" or values.ndim not in (1, 2):
            raise DataError(f"{path}: must hold whole numbers in one row a split; save them so")
        if bad := values[(values < 0) | (values >= len(images))].tolist():
            raise DataError(
                f"{path}: names image {bad[0]}, the order has {len(images)} images (from 0); "
                "give the order of images that the splits were made for"
            )
        loaded[part] = list(np.atleast_2d(values))
    if "train" not in loaded or "test" not in loaded:
        raise DataError("published splits need at least train and test; give a file for each")
    if len({len(rows) for rows in loaded.values()}) != 1:
        sizes = ", ".join(f"{part} {len(rows)}" for part, rows in loaded.items())
        raise DataError(f"the parts have different numbers of splits: {sizes}; take arrays of one release")
    splits = []
    for number in range(len(loaded["train"])):
        parts = {part: tuple(sorted({references[int(i)] for i in rows[number]})) for part, rows in loaded.items()}
        split = Split(f"{name}-{number:02d}", parts["train"], parts.get("val", ()), parts["test"])
        _check_disjoint(split, str(arrays["test"]))
        splits.append(split)
    return splits


def published_splits(
    folder: Path, arrays: Mapping[str, Path | None], order: Path | None = None, out: Path | None = None
) -> tuple[int, Path]:
    """Import published splits for a fetched dataset and write them as a splits file.

    Parameters
    ----------
    folder : ``data/raw/<dataset>``.
    arrays, order : see :func:`import_splits`; `order` is a text file with an image a line, by its file's name or by
        its path below ``images``, default the manifest's distorted images in its order.
    out : file to write; default ``<dataset>-splits.json`` in the working folder.

    Returns
    -------
    Number of splits, and the file.

    Raises
    ------
    DataError
        See :func:`import_splits`; also if the order names an image that the dataset lacks or has several of.
    """
    from causaliqa.datasets.raw import IMAGES, iterate_manifest

    rows = [row for row in iterate_manifest(folder) if row.distortion != REFERENCE]
    units = [row.reference or row.image for row in rows]
    names = [row.image.removeprefix(f"{IMAGES}/") for row in rows]
    if order is not None:
        # In some datasets files of several folders share their names: then the order must give the folder too.
        content: dict[str, set[str]] = {}
        for name, unit in zip(names, units, strict=True):
            for key in {name.lower(), Path(name).name.lower()}:
                content.setdefault(key, set()).add(unit)
        try:
            names = [line.strip() for line in order.read_text(encoding="utf-8").splitlines() if line.strip()]
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(
                f"{order}: not a readable list of images ({error}); give a text file with a name a line"
            ) from None
        if unknown := [name for name in names if name.lower() not in content]:
            raise DataError(
                f"{order}: {len(unknown)} images are not in {folder}, the first is {unknown[0]}; "
                "published splits need the whole dataset"
            )
        if several := [name for name in names if len(content[name.lower()]) > 1]:
            raise DataError(f"{order}: {several[0]} is the name of several images; give each with its folder")
        units = [next(iter(content[name.lower()])) for name in names]
    found = import_splits(
        {part: path for part, path in arrays.items() if path is not None},
        names,
        units,
    )
    target = out or Path(f"{Path(folder).name}-splits.json")
    unit = "reference" if any(row.reference for row in rows) else "image"
    write_json(target, splits_document(Path(folder).name, found, unit=unit))
    return len(found), target
