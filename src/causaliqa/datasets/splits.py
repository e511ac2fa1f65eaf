"""Partitions by reference: all images of one content go to one part, never some to each."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from causaliqa.errors import DataError
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
