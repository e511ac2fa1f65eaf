"""Several methods on the same images of one dataset, aligned: what every comparison starts from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from causaliqa.datasets.names import REFERENCE
from causaliqa.errors import DataError
from causaliqa.tables import METHOD_COLUMNS, SCORE_COLUMNS, quality

#: What may tell two rows of one method apart in its label.
_DETAILS = ["setting", "labels", "model", "seed", "split"]


@dataclass(frozen=True)
class Paired:
    """M methods on N images.

    Attributes
    ----------
    dataset : name.
    methods : M labels, all different.
    quality : shape (M, N), turned by each method's declared polarity: larger is better.
    opinion : shape (N,), turned by its declared polarity: larger is better.
    cluster : shape (N,), index of each image's reference in [0, references).
    references : number of references, R.

    Raises
    ------
    DataError
        If shapes do not fit, fewer than four images are given, a value is not finite, labels repeat or all opinions
        are equal.
    """

    dataset: str
    methods: tuple[str, ...]
    quality: np.ndarray
    opinion: np.ndarray
    cluster: np.ndarray
    references: int

    def __post_init__(self) -> None:
        count = len(self.opinion)
        if self.quality.shape != (len(self.methods), count) or self.cluster.shape != (count,):
            raise DataError(
                f"{self.dataset}: {len(self.methods)} methods and {count} opinions do not fit scores of shape "
                f"{self.quality.shape} and {len(self.cluster)} references; give one score an image"
            )
        if len(set(self.methods)) < len(self.methods):
            twice = next(name for name in self.methods if self.methods.count(name) > 1)
            raise DataError(f"{self.dataset}: method {twice!r} is given twice; drop or rename one")
        if count < 4:
            raise DataError(f"{self.dataset}: {count} images; a comparison needs at least four")
        for name, values in [("opinion", self.opinion), *zip(self.methods, self.quality, strict=True)]:
            if not np.isfinite(values).all():
                bad = int(np.flatnonzero(~np.isfinite(values))[0])
                raise DataError(f"{self.dataset}: {name} number {bad} is not finite; repair the score table")
        if self.opinion.max() == self.opinion.min():
            raise DataError(f"{self.dataset}: all opinions are equal; there is nothing to agree with")

    def need_two(self) -> None:
        """Raise DataError unless there are two methods to compare."""
        if len(self.methods) < 2:
            raise DataError(f"{self.dataset}: {len(self.methods)} method; a comparison needs at least two")


def pairs_of(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the indices of all pairs a < b of `count` methods, in the order of tables."""
    first, second = np.triu_indices(count, k=1)
    return first, second


def method_labels(table: pd.DataFrame) -> pd.Series:
    """Return a short label for each row of a score table: the method, and what tells two of that name apart."""
    names = table["method"].astype(str)
    kinds = table[METHOD_COLUMNS].drop_duplicates()
    for name, part in kinds.groupby("method", sort=True):
        if len(part) > 1:
            chosen = (table["method"] == name).to_numpy()
            differing = [column for column in _DETAILS if part[column].nunique() > 1]
            parts = [table.loc[chosen, column].astype(str) for column in differing]
            for values in parts:
                names[chosen] = names[chosen] + " · " + values
    return names


def paired_scores(
    scores: pd.DataFrame, images: pd.DataFrame, *, higher_is_better: bool, dataset: str | None = None
) -> Paired:
    """Align a score table with opinions.

    Parameters
    ----------
    scores : table with :data:`causaliqa.tables.SCORE_COLUMNS`; images that `images` does not list are ignored.
    images : columns ``dataset, image, reference, distortion, score``, the last the opinion, as in a raw manifest;
        references and images without an opinion are left out.
    higher_is_better : polarity of the opinions, declared.
    dataset : which one to take; None if `images` holds one only.

    Raises
    ------
    DataError
        If a method lacks an image or scores it twice, or nothing is left.
    """
    if missing := [name for name in SCORE_COLUMNS if name not in scores.columns]:
        raise DataError(f"scores: not a score table, it lacks {', '.join(missing)}; give one written by a stage")
    found = sorted(images["dataset"].unique())
    if dataset is None:
        if len(found) != 1:
            raise DataError(f"images: hold the datasets {', '.join(map(str, found))}; name one with dataset")
        dataset = str(found[0])
    rows = images[(images["dataset"] == dataset) & (images["distortion"] != REFERENCE) & images["score"].notna()]
    rows = rows.sort_values("image", kind="stable")
    mine = scores[scores["dataset"] == dataset]
    if rows.empty or mine.empty:
        what = "no images with opinions" if rows.empty else "no scores"
        raise DataError(f"{dataset}: {what}; fetch the dataset and run the methods on it")
    mine = mine.assign(label=method_labels(mine), quality=quality(mine))
    names, values = [], []
    for label, part in mine.groupby("label", sort=True):
        table = part.set_index("image")["quality"]
        if not table.index.is_unique:
            twice = table.index[table.index.duplicated()][0]
            raise DataError(f"{dataset}: {label} scores image {twice!r} twice; give each score table once")
        aligned = table.reindex(rows["image"]).to_numpy(dtype=np.float64)
        if np.isnan(aligned).any():
            lost = rows["image"].iloc[int(np.flatnonzero(np.isnan(aligned))[0])]
            raise DataError(f"{dataset}: {label} has no score for image {lost!r}; run it again on the whole dataset")
        names.append(str(label))
        values.append(aligned)
    sign = 1.0 if higher_is_better else -1.0
    return paired_arrays(
        dataset, names, np.stack(values), sign * rows["score"].to_numpy(float), list(rows["reference"])
    )


def paired_arrays(
    dataset: str, methods: Sequence[str], quality: np.ndarray, opinion: np.ndarray, references: Sequence[str]
) -> Paired:
    """Return :class:`Paired` from arrays that are aligned already; `references` names each image's reference."""
    names, cluster = np.unique(np.asarray(references, dtype=str), return_inverse=True)
    return Paired(
        dataset, tuple(methods), np.asarray(quality, float), np.asarray(opinion, float), cluster.ravel(), len(names)
    )
