"""Training batches: the same recipe on two references, drawn by step number alone.

Batch k depends on the seed and k, on nothing that came before: an interrupted training resumes exactly.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from causaliqa.config import PretrainChoices
from causaliqa.datasets.names import REFERENCE
from causaliqa.datasets.shards import DegradedSet
from causaliqa.degradations.registry import TYPES, position_of, types_of
from causaliqa.disentangle.teachers import agreed_order
from causaliqa.errors import DataError
from causaliqa.images import as_rgb
from causaliqa.seeding import generator

#: Decoded images are kept up to this many bytes; beyond it the least recently used are decoded again.
CACHE_BYTES = 1_500_000_000


@dataclass(frozen=True)
class Batch:
    """G recipe groups. Images are RGB, (G,3,S,S), float32 in [0, 1].

    Attributes
    ----------
    reference, other : two references x and x'.
    mild, severe : a less and a more severe distortion T of x, of one type.
    other_severe : the more severe recipe on x'.
    first_step, chain : a distortion of x and a composition that starts from it.
    mild_position, severe_position : severity on the scale shared by all types (white noise: 1 to 5), shape (G,).
    homogeneous : whether the recipe is the same everywhere and free of randomness, shape (G,).
    has_chain : whether `first_step` and `chain` are real, shape (G,).
    worse : element (i, j): all teachers hold distorted image j of :meth:`pairs` for worse than i, shape (5G, 5G).
    """

    reference: Tensor
    mild: Tensor
    severe: Tensor
    other: Tensor
    other_severe: Tensor
    first_step: Tensor
    chain: Tensor
    mild_position: Tensor
    severe_position: Tensor
    homogeneous: Tensor
    has_chain: Tensor
    worse: Tensor

    def pairs(self) -> tuple[Tensor, Tensor]:
        """Return all pristine and distorted images, (5G,3,S,S) each: mild, severe, first step, chain, other severe."""
        return (
            torch.cat([*[self.reference] * 4, self.other]),
            torch.cat([self.mild, self.severe, self.first_step, self.chain, self.other_severe]),
        )


class BatchSampler:
    """Draw batches from the references of one partition.

    Parameters
    ----------
    folders : degraded sets.
    partition : ``train`` or ``val``.
    name : what tells this sampler's draws apart from another's, e.g. ``train``.

    Raises
    ------
    DataError
        If fewer than two train references share a distortion type.
    """

    def __init__(self, folders: Sequence[Path], partition: str, choices: PretrainChoices, name: str, seed: int) -> None:
        self.choices = choices
        self.key = (name, seed)
        self.sets = [DegradedSet(folder) for folder in folders]
        self._cache: OrderedDict[tuple[int, str], np.ndarray] = OrderedDict()
        self._cached_bytes = 0
        #: type -> (set, reference) -> sorted levels
        self.recipes: dict[str, dict[tuple[int, str], list[int]]] = {}
        self.chains: dict[tuple[int, str], list[tuple[str, str]]] = {}
        self.references: list[tuple[int, str]] = []
        if unknown := sorted(set(choices.without_types) - set(TYPES)):
            raise DataError(f"pretrain.without_types: no type is named {unknown[0]!r}; known are {', '.join(TYPES)}")
        for index, stored in enumerate(self.sets):
            chosen = stored.manifest[stored.manifest["partition"] == partition]
            self._index(index, chosen)
        # A small validation part may hold one reference: its recipe is then compared on two places of one content.
        needed = 2 if partition == "train" else 1
        self.types = sorted(kind for kind, owners in self.recipes.items() if len(owners) >= needed)
        self.usable = bool(self.types)
        if not self.usable and partition == "train":
            names = ", ".join(stored.name for stored in self.sets)
            raise DataError(
                f"{names}: training compares a distortion on two references at two levels, and no type has "
                "them in the train partition; add references or levels"
            )

    def _index(self, index: int, chosen: pd.DataFrame) -> None:
        out = set(self.choices.without_types)
        if out:
            chosen = chosen[[not out & types_of(str(kind)) for kind in chosen["distortion"]]]
        for reference, rows in chosen.groupby("reference", sort=True):
            key = (index, str(reference))
            self.references.append(key)
            for kind, of_kind in rows[rows["level"] > 0].groupby("distortion", sort=True):
                levels = sorted(int(level) for level in of_kind["level"])
                if str(kind) in TYPES and len(levels) >= 2:
                    self.recipes.setdefault(str(kind), {})[key] = levels
            steps = rows[rows["parent"] != ""]
            self.chains[key] = sorted(zip(steps["parent"].astype(str), steps["image"].astype(str), strict=True))

    def _image(self, index: int, image: str) -> np.ndarray:
        key = (index, image)
        if key in self._cache:
            self._cache.move_to_end(key)
            return self._cache[key]
        stimulus = self.sets[index].stimulus(image)
        self._cache[key] = stimulus
        self._cached_bytes += stimulus.nbytes
        while self._cached_bytes > CACHE_BYTES:
            self._cached_bytes -= self._cache.popitem(last=False)[1].nbytes
        return stimulus

    def _window(self, key: tuple[int, str], rng: np.random.Generator) -> tuple[int, int, bool]:
        height, width = self._image(key[0], f"{key[1]}/{REFERENCE}/0").shape[:2]
        size = self.choices.crop
        if height < size or width < size:
            raise DataError(
                f"{self.sets[key[0]].folder}: reference {key[1]} is {width}x{height}, smaller than pretrain.crop {size}"
            )
        return int(rng.integers(height - size + 1)), int(rng.integers(width - size + 1)), bool(rng.integers(2))

    def _crop(self, key: tuple[int, str], name: str, window: tuple[int, int, bool]) -> np.ndarray:
        top, left, mirrored = window
        size = self.choices.crop
        piece = as_rgb(self._image(key[0], f"{key[1]}/{name}"))[top : top + size, left : left + size]
        return piece[:, ::-1] if mirrored else piece

    def batch(self, step: int) -> Batch:
        """Return batch number `step`."""
        rng = generator("batch", *self.key, step)
        images: dict[str, list[np.ndarray]] = {
            name: [] for name in ("reference", "mild", "severe", "other", "other_severe", "first_step", "chain")
        }
        positions: list[tuple[float, float]] = []
        homogeneous, has_chain = [], []
        for _ in range(self.choices.groups):
            kind = self.types[int(rng.integers(len(self.types)))]
            owners = sorted(self.recipes[kind])
            first, second = (owners[int(i)] for i in rng.choice(len(owners), size=2, replace=len(owners) < 2))
            shared = sorted(set(self.recipes[kind][first]) & set(self.recipes[kind][second]))
            low, high = sorted(int(level) for level in rng.choice(shared, size=2, replace=False))
            window, other_window = self._window(first, rng), self._window(second, rng)
            images["reference"].append(self._crop(first, f"{REFERENCE}/0", window))
            images["mild"].append(self._crop(first, f"{kind}/{low}", window))
            images["severe"].append(self._crop(first, f"{kind}/{high}", window))
            images["other"].append(self._crop(second, f"{REFERENCE}/0", other_window))
            images["other_severe"].append(self._crop(second, f"{kind}/{high}", other_window))
            chains = self.chains[first]
            if chains:
                parent, composed = chains[int(rng.integers(len(chains)))]
                images["first_step"].append(self._crop(first, parent.split("/", 1)[1], window))
                images["chain"].append(self._crop(first, composed.split("/", 1)[1], window))
            else:
                images["first_step"].append(images["mild"][-1])
                images["chain"].append(images["severe"][-1])
            positions.append((position_of(kind, low), position_of(kind, high)))
            homogeneous.append(TYPES[kind].homogeneous and TYPES[kind].deterministic)
            has_chain.append(bool(chains))
        found = {name: _to_tensor(stack) for name, stack in images.items()}
        nothing = torch.zeros(5 * len(positions), 5 * len(positions), dtype=torch.bool)
        batch = Batch(
            **found,
            mild_position=torch.tensor([mild for mild, _ in positions]),
            severe_position=torch.tensor([severe for _, severe in positions]),
            homogeneous=torch.tensor(homogeneous),
            has_chain=torch.tensor(has_chain),
            worse=nothing,
        )
        if self.choices.loss.consensus == 0:
            return batch
        return replace(batch, worse=agreed_order(*batch.pairs(), self.choices.teachers, self.choices.light))


def _to_tensor(stack: list[np.ndarray]) -> Tensor:
    return torch.from_numpy(np.stack(stack).transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255))
