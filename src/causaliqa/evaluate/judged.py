"""Labelled datasets with every method's scores aligned, and the subsets of images on which methods are judged."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from causaliqa.config import PublishedScores
from causaliqa.datasets.names import REFERENCE
from causaliqa.datasets.raw import ABOUT, read_raw_manifest
from causaliqa.errors import ConfigError, DataError
from causaliqa.evaluate.paired import Paired, method_labels, paired_arrays
from causaliqa.evaluate.published import image_key, published_scores, read_published
from causaliqa.io import read_json
from causaliqa.tables import ABLATION, quality

#: Columns that name a method.
NAME = ["method", "setting", "labels", "model", "seed"]
#: Settings that are judged by published scores; what was fitted on labels is not.
JUDGED = ("baseline", "label_free", ABLATION, "pseudo_mos", "published")
#: Subsets by provenance, for datasets that state it: originals and bit-exact copies, and the others.
SUBSETS = {"real_exact": ("real", "exact"), "near_resynth": ("near", "resynth")}
#: Subset of the images that have published scores of others, where these are not all images.
COMMON = "published"
#: A distortion or subset with fewer images gets no row of its own.
SMALLEST = 10


@dataclass(frozen=True)
class Without:
    """Images that a protocol leaves out: those of some references or of some distortions."""

    references: tuple[str, ...] = ()
    distortions: tuple[str, ...] = ()


#: Layout of a dataset -> subsets that stand beside all images, because papers use both.
#:
#: tid2013: reference 25 is a synthetic picture; csiq: 750 images without contrast change are common.
PROTOCOLS: dict[str, dict[str, Without]] = {
    "tid2013": {"without_i25": Without(references=("i25",))},
    "csiq": {"without_contrast": Without(distortions=("contrast_change",))},
}


@dataclass(frozen=True)
class Method:
    """One method's quality on all images of a dataset, larger is better; NaN where it has none (published scores)."""

    name: dict[str, Any]
    label: str
    quality: np.ndarray


@dataclass(frozen=True)
class Group:
    """Images that are judged together."""

    subset: str
    distortion: str
    chosen: np.ndarray


@dataclass(frozen=True)
class Judged:
    """A labelled dataset.

    Attributes
    ----------
    folder : ``data/raw/<dataset>``; about : its ``dataset.json``.
    images : rows of its manifest with a score, sorted by image, N rows; no references.
    opinion : shape (N,), turned by the declared polarity: larger is better.
    methods : sorted by name.
    """

    folder: Path
    about: dict[str, Any]
    images: pd.DataFrame
    opinion: np.ndarray
    methods: list[Method]

    @property
    def dataset(self) -> str:
        """Name of the dataset."""
        return str(self.about["name"])

    @property
    def human(self) -> bool:
        """Whether people gave the scores."""
        return bool(self.about["labels"]["kind"] != "exposure")

    def methods_on(self, chosen: np.ndarray) -> list[Method]:
        """Return the methods that have a score of every image in `chosen`."""
        return [method for method in self.methods if np.isfinite(method.quality[chosen]).all()]

    def competing_on(self, chosen: np.ndarray) -> list[Method]:
        """Return :meth:`methods_on` without ablations, which are compared with nothing."""
        return [method for method in self.methods_on(chosen) if method.name["setting"] != ABLATION]

    def references_of(self, chosen: np.ndarray) -> tuple[np.ndarray, int]:
        """Return the index of each image's reference, shape (n,), and the number of references."""
        names, cluster = np.unique(self.images["reference"].to_numpy(dtype=str)[chosen], return_inverse=True)
        return cluster.ravel(), len(names)

    def paired(self, chosen: np.ndarray) -> Paired:
        """Return the methods that have all of `chosen`, aligned, in the order of their labels; no ablations."""
        methods = sorted(self.competing_on(chosen), key=lambda method: method.label)
        return paired_arrays(
            self.dataset,
            [method.label for method in methods],
            np.stack([method.quality[chosen] for method in methods]) if methods else np.empty((0, len(chosen))),
            self.opinion[chosen],
            list(self.images["reference"].iloc[chosen]),
        )

    def subsets(self) -> list[Group]:
        """Return everything, each provenance, each protocol, and the images that others published scores of."""
        images = self.images
        groups = [Group("all", "", np.arange(len(images)))]
        candidates = [
            (name, images["provenance"].isin(kinds).to_numpy()) for name, kinds in SUBSETS.items()
        ]  # where none is stated, none is in a kind
        for name, rule in PROTOCOLS.get(str(self.about.get("layout", "")), {}).items():
            out = images["reference"].isin(rule.references) | images["distortion"].isin(rule.distortions)
            candidates.append((name, ~out.to_numpy()))
        published = [np.isfinite(method.quality) for method in self.methods if method.name["setting"] == "published"]
        if published:
            candidates.append((COMMON, np.logical_and.reduce(published)))
        seen = {tuple(group.chosen.tolist()) for group in groups}
        for name, inside in candidates:
            chosen = np.flatnonzero(inside)
            if SMALLEST <= len(chosen) < len(images) and not (name == COMMON and tuple(chosen.tolist()) in seen):
                groups.append(Group(name, "", chosen))
                seen.add(tuple(chosen.tolist()))
        return groups

    def distortions(self) -> list[Group]:
        """Return each distortion with enough images, if there are several."""
        if self.images["distortion"].nunique() < 2:
            return []
        return [
            Group("all", str(kind), rows.index.to_numpy())
            for kind, rows in self.images.groupby("distortion", sort=True)
            if len(rows) >= SMALLEST
        ]

    def compared(self) -> list[Group]:
        """Return the subsets on which methods are compared in pairs: all, originals, those with published scores."""
        kept = ("all", "real_exact", COMMON)
        return [
            group
            for group in self.subsets()
            if group.subset in kept and len(group.chosen) >= SMALLEST and np.ptp(self.opinion[group.chosen]) > 0
        ]


def read_judged(
    folders: Sequence[Path], scores: pd.DataFrame, published: Mapping[str, PublishedScores] | None = None
) -> list[Judged]:
    """Read labelled datasets and align every method.

    Parameters
    ----------
    folders : ``data/raw/<dataset>`` of full-reference datasets.
    scores : score table; rows of other datasets are ignored, a method that stands in two files counts once.
    published : dataset -> published per-image scores, ``evaluate.published``. They were made from the authors' files,
        so images that a copy holds regenerated are left out of them.

    Raises
    ------
    DataError
        If a method lacks an image of a dataset, or a dataset has no scores.
    ConfigError
        If `published` names a dataset that is not there.
    """
    found = []
    rest = dict(published or {})
    for folder in folders:
        about = read_json(Path(folder) / ABOUT)
        manifest = read_raw_manifest(folder)
        images = manifest[(manifest["distortion"] != REFERENCE) & manifest["score"].notna()]
        images = images.sort_values("image", ignore_index=True)
        if about["labels"] is None or images.empty:
            raise DataError(f"{folder}: has no scores to compare with; name it under fetch.datasets if it is pristine")
        name = str(about["name"])
        mine = scores[scores["dataset"] == name]
        if len(mine):
            mine = mine[mine["setting"].isin(JUDGED)].drop_duplicates(ignore_index=True)
        if mine.empty:
            raise DataError(f"{folder}: no method has scored {name}; run stage baselines for it")
        if name in rest:
            mine = pd.concat([mine, _published(images.assign(dataset=name), rest.pop(name))], ignore_index=True)
        opinion = images["score"].to_numpy(dtype=np.float64) * (1.0 if about["labels"]["higher_is_better"] else -1.0)
        found.append(Judged(Path(folder), about, images, opinion, _methods(mine, images, name)))
    if rest:
        names = [item.dataset for item in found]
        wrong = sorted(rest)[0]
        close = difflib.get_close_matches(wrong, names, n=1, cutoff=0.5)
        hint = f"did you mean {close[0]!r}?" if close else f"name one of {', '.join(names) or 'none'}"
        raise ConfigError(f"evaluate.published.{wrong}: no labelled dataset has this name; {hint}")
    return found


def _published(images: pd.DataFrame, source: PublishedScores) -> pd.DataFrame:
    path = Path(source.csv)
    table = read_published(path, image=source.image, opinion=source.opinion, methods=source.methods)
    keys = set(table["image"].map(image_key))
    originals = ~images["provenance"].isin(SUBSETS["near_resynth"])
    both = images[originals & images["image"].map(image_key).isin(keys)]
    if both.empty:
        raise DataError(
            f"{path}: names none of the {int(originals.sum())} original images of {images['dataset'].iloc[0]}; "
            "check the names, or the dataset under evaluate.published"
        )
    return published_scores(table, both, higher_is_better=source.higher_is_better, setting="published")


def _methods(scores: pd.DataFrame, images: pd.DataFrame, dataset: str) -> list[Method]:
    labels = method_labels(scores)
    methods = []
    for key, part in scores.assign(label=labels, quality=quality(scores)).groupby(NAME, sort=True):
        name: dict[str, Any] = dict(zip(NAME, key, strict=True))
        what = f"{name['method']} on {dataset}"
        table = part.set_index("image")["quality"]
        if not table.index.is_unique:
            raise DataError(f"{what}: two scores for image {table.index[table.index.duplicated()][0]!r}")
        values = table.reindex(images["image"]).to_numpy(dtype=np.float64)
        if name["setting"] != "published" and not np.isfinite(values).all():
            worst = images["image"].iloc[int(np.flatnonzero(~np.isfinite(values))[0])]
            raise DataError(
                f"{what}: no finite score for image {worst!r}; run the method's stage again for this dataset"
            )
        methods.append(Method(name, str(part["label"].iloc[0]), values))
    return methods
