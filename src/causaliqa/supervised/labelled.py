"""Few-label and supervised heads on labelled sets: scores of people, or of physics, teach and judge.

Each split of a dataset's ``splits.json`` divides its references. Labels are drawn from the train part, hyper-parameters
are chosen inside the drawn labels by reference, and the test part is only ever predicted. The label-free scores of the
same test images stand beside, so that a gain is a gain on the same images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd

from causaliqa.config import Regress
from causaliqa.datasets.names import REFERENCE
from causaliqa.datasets.raw import ABOUT, SPLITS, read_raw_manifest
from causaliqa.datasets.splits import Split, k_shot, read_splits
from causaliqa.disentangle.features import feature_columns
from causaliqa.errors import DataError
from causaliqa.evaluate.correlation import fit_logistic, krcc, srcc
from causaliqa.evaluate.judged import SMALLEST, SUBSETS
from causaliqa.io import read_json
from causaliqa.labelfree import PREFIX
from causaliqa.labelfree.stage import training_rows
from causaliqa.progress import progress
from causaliqa.seeding import derive_seed
from causaliqa.supervised.anchored import Anchored, Space, fit_space
from causaliqa.supervised.regressors import fit_regressor
from causaliqa.tables import quality

#: Columns of the table of tests, with their types.
#:
#: target : kind of the labels, e.g. ``mos``; human : whether people gave them
#: subset : ``all``, or ``real_exact`` where the copy states provenance: then labels and tests are of such images alone
#: setting : ``label_free``, ``few_label``, ``supervised``
#: regressor : a head, or a label-free projection (``norm``, ``pc1``, ...)
#: budget : ``20``, ``5 %``, ``full``; ``0`` for label-free; n_labels : labelled images that were used
#: test : ``srcc, krcc, plcc``; plcc after a 5-parameter logistic fitted on the test images, from ten images on
LABELLED_TYPES = {
    "dataset": "str", "domain": "str", "target": "str", "human": "bool", "subset": "str",
    "model": "str", "seed": "int64", "setting": "str", "regressor": "str", "budget": "str",
    "n_labels": "int64", "split": "str", "draw": "int64", "test": "str", "value": "float64",
    "n_images": "int64", "n_references": "int64",
}  # fmt: skip
LABELLED_COLUMNS = list(LABELLED_TYPES)
#: Columns of :func:`labelled_summary`.
#:
#: low, high : 10th and 90th percentile over splits and draws
#: gain, gain_low, gain_high : median and percentiles of the difference to the label-free score on the same test images
#: not_worse : share of splits and draws in which that difference is not negative
SUMMARY_COLUMNS = [
    "dataset", "domain", "target", "human", "subset", "model", "setting", "regressor", "budget", "n_labels", "test",
    "median", "sd", "low", "high", "gain", "gain_low", "gain_high", "not_worse", "n_values", "n_splits", "n_images",
    "n_references",
]  # fmt: skip
FULL = "full"
NONE = "0"
#: Least number of test images of a rank correlation.
LEAST = 4
#: Subset by provenance that is fitted and judged on its own.
ORIGINALS = "real_exact"


class Head(Protocol):
    """What a fitted regressor can do."""

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Return quality, shape (N,), of features (N, F)."""


@dataclass(frozen=True)
class LabelledSet:
    """A labelled dataset with features, N images, references left out.

    Attributes
    ----------
    about : ``dataset.json``; images : rows of the manifest, sorted by image.
    features : (N, F); opinion : (N,), turned by the declared polarity: larger is better.
    free : label-free quality by projection, each (N,).
    splits : by reference.
    """

    about: dict[str, Any]
    images: pd.DataFrame
    features: np.ndarray
    opinion: np.ndarray
    free: dict[str, np.ndarray]
    splits: list[Split]

    @property
    def name(self) -> str:
        """Name of the dataset."""
        return str(self.about["name"])

    def subsets(self) -> dict[str, np.ndarray]:
        """Return the images of each subset that is fitted and judged on its own."""
        found = {"all": np.arange(len(self.images))}
        originals = np.flatnonzero(self.images["provenance"].isin(SUBSETS[ORIGINALS]))
        if SMALLEST <= len(originals) < len(self.images):
            found[ORIGINALS] = originals
        return found


def read_labelled(
    folders: Sequence[Path], features: pd.DataFrame, projected: pd.DataFrame, names: Sequence[str]
) -> list[LabelledSet]:
    """Read labelled datasets and align features and label-free scores with their labels.

    Parameters
    ----------
    folders : ``data/raw/<dataset>``.
    features : feature rows of these datasets; others are ignored.
    projected : score table of stage project, label-free rows.
    names : feature columns.

    Raises
    ------
    DataError
        If a dataset has no labels, an image has no features or no label-free score, or its splits are damaged.
    """
    found = []
    for folder in folders:
        about = read_json(Path(folder) / ABOUT)
        manifest = read_raw_manifest(folder)
        images = manifest[(manifest["distortion"] != REFERENCE) & manifest["score"].notna()]
        images = images.sort_values("image", ignore_index=True)
        if not about.get("labels") or images.empty:
            raise DataError(f"{folder}: has no labels to learn from; name it under fetch.datasets if it is pristine")
        name = str(about["name"])
        own = features[features["dataset"] == name].set_index("image")
        free = projected[(projected["dataset"] == name) & (projected["setting"] == "label_free")]
        free = free.assign(quality=quality(free))
        opinion = images["score"].to_numpy(dtype=np.float64) * (1.0 if about["labels"]["higher_is_better"] else -1.0)
        found.append(
            LabelledSet(
                about,
                images,
                _aligned(own[list(names)], images, f"{name}: features", "embed"),
                opinion,
                {
                    str(method).removeprefix(PREFIX): _aligned(
                        rows.set_index("image")[["quality"]], images, f"{name}: scores of {method}", "project"
                    )[:, 0]
                    for method, rows in free.groupby("method", sort=True)
                },
                read_splits(Path(folder) / SPLITS),
            )
        )
    return found


def _aligned(table: pd.DataFrame, images: pd.DataFrame, what: str, stage: str) -> np.ndarray:
    remedy = f"run stage {stage} again for this dataset"
    if not table.index.is_unique:
        raise DataError(f"{what}: image {table.index[table.index.duplicated()][0]!r} stands there twice; {remedy}")
    values = table.reindex(images["image"]).to_numpy(dtype=np.float64)
    wrong = np.flatnonzero(~np.isfinite(values).all(axis=1))
    if len(wrong):
        raise DataError(f"{what}: none that is finite for image {images['image'].iloc[int(wrong[0])]!r}; {remedy}")
    return values


def synthetic_space(table: pd.DataFrame, datasets: Sequence[str]) -> Space:
    """Return the coordinates of :mod:`causaliqa.supervised.anchored` from the scenario's synthetic train pairs.

    Compositions and visually lossless copies, which have level 0, are of no single type.
    """
    train = training_rows(table, datasets)
    names = feature_columns(table)
    types = np.where(train["level"].to_numpy() > 0, train["distortion"].to_numpy(dtype=str), "")
    return fit_space(train[names].to_numpy(dtype=np.float64), names, types)


def _fit(name: str, space: Space, features: np.ndarray, labels: np.ndarray, references: np.ndarray) -> Head:
    if name == "anchored":
        return Anchored(space, features, labels, references)
    # Regularisation assumes labels of unit spread; a DMOS of 0 to 100 would overrule it.
    scale = float(np.std(labels)) or 1.0
    head: Head = fit_regressor(name, features, (labels - np.mean(labels)) / scale, references)
    return head


def label_budgets(params: Regress, available: int, least: int) -> dict[str, int | None]:
    """Return the number of labels of each budget, None for all.

    Parameters
    ----------
    available : train images of the split, of which shares are taken.
    least : train images of the split that has the fewest: it must hold a count, and two labels of a share, or the
        spread over splits would be one over some of them.
    """
    found: dict[str, int | None] = {str(count): count for count in params.label_counts if count <= least}
    for share in params.label_shares:
        if int(least * share + 0.5) >= 2:
            found[f"{100 * share:g} %"] = int(available * share + 0.5)
    return found | {FULL: None}


def agreement(predicted: np.ndarray, opinion: np.ndarray) -> dict[str, float]:
    """Return the tests that so many images allow; none if all opinions are equal."""
    if len(opinion) < LEAST or np.ptp(opinion) == 0:
        return {}
    values = {"srcc": srcc(predicted, opinion), "krcc": krcc(predicted, opinion)}
    return values | ({"plcc": fit_logistic(predicted, opinion, "5p").plcc} if len(opinion) >= SMALLEST else {})


def _parts(item: LabelledSet, chosen: np.ndarray, split: Split) -> np.ndarray:
    """Return the part of each chosen image; every reference of the dataset must be known to the split."""
    references = item.images["reference"].to_numpy(dtype=str)
    parts = {unit: split.part_of(unit) for unit in np.unique(references).tolist()}
    return np.array([parts[unit] for unit in references[chosen]])


def _rows_of_split(
    item: LabelledSet, subset: str, chosen: np.ndarray, split: Split, least: int, space: Space, params: Regress
) -> list[dict[str, Any]]:
    references = item.images["reference"].to_numpy(dtype=str)
    part = _parts(item, chosen, split)
    train, test = chosen[part == "train"], chosen[part == "test"]
    about = {
        "subset": subset, "split": split.name, "n_images": len(test), "n_references": len(np.unique(references[test]))
    }  # fmt: skip
    rows: list[dict[str, Any]] = []

    def tell(predicted: np.ndarray, **what: Any) -> None:
        found = agreement(predicted, item.opinion[test])
        rows.extend({**about, **what, "test": name, "value": value} for name, value in found.items())

    for name, score in item.free.items():
        tell(score[test], setting="label_free", regressor=name, budget=NONE, n_labels=0, draw=0)
    if len(test) < LEAST or len(train) < 2:
        return rows
    seed = derive_seed("labelled", item.name, subset, split.name, params.seed)
    for budget, count in label_budgets(params, len(train), least).items():
        pool = train if count is not None else chosen[part != "test"]
        size = min(len(pool) if count is None else count, params.labelled_most)
        # All labels are all labels: another draw would be the same fit.
        for draw in range(1 if size == len(pool) else params.labelled_draws):
            labelled = pool[k_shot(references[pool], size, draw, seed)]
            for name in params.labelled_regressors:
                head = _fit(name, space, item.features[labelled], item.opinion[labelled], references[labelled])
                tell(head.predict(item.features[test]), setting="supervised" if count is None else "few_label",
                     regressor=name, budget=budget, n_labels=len(labelled), draw=draw)  # fmt: skip
    return rows


def labelled_tests(
    sets: Sequence[LabelledSet], space: Space, params: Regress, *, model: str = "", seed: int = -1
) -> pd.DataFrame:
    """Fit every head on every split and budget, and test it on the split's test references.

    Parameters
    ----------
    sets : see :func:`read_labelled`; a dataset without splits (fewer than three references) has no rows.
    model, seed : name of the model behind the features.

    Returns
    -------
    DataFrame : :data:`LABELLED_COLUMNS`, sorted; empty if there are no sets.

    Raises
    ------
    DataError
        If a split does not know a reference of its dataset.
    """
    rows: list[dict[str, Any]] = []
    plan = []
    for item in sets:
        for subset, chosen in item.subsets().items():
            least = min((int((_parts(item, chosen, split) == "train").sum()) for split in item.splits), default=0)
            plan += [(item, subset, chosen, split, least) for split in item.splits]
    for item, subset, chosen, split, least in progress(plan, desc="regress labelled sets", unit="split"):
        kind = str(item.about["labels"]["kind"])
        common = {
            "dataset": item.name, "domain": item.about["domain"], "target": kind, "human": kind != "exposure",
            "model": model, "seed": seed,
        }  # fmt: skip
        rows.extend({**common, **row} for row in _rows_of_split(item, subset, chosen, split, least, space, params))
    table = pd.DataFrame(rows, columns=LABELLED_COLUMNS).astype(LABELLED_TYPES)
    order = ["dataset", "subset", "regressor", "budget", "split", "draw", "test"]
    return table.sort_values(order, kind="stable", ignore_index=True)


def labelled_summary(table: pd.DataFrame, beside: str = "norm") -> pd.DataFrame:
    """Return median and spread over splits and draws (and seeds, if several models' tables are joined).

    Parameters
    ----------
    table : :data:`LABELLED_COLUMNS`.
    beside : label-free projection that the gain is measured against, on the same test images.

    Returns
    -------
    DataFrame : :data:`SUMMARY_COLUMNS`, by dataset, subset, model, test, setting and number of labels.
    """
    same = ["dataset", "subset", "model", "seed", "split", "test"]
    free = table[(table["setting"] == "label_free") & (table["regressor"] == beside)]
    joined = table.merge(free[[*same, "value"]].rename(columns={"value": "free"}), on=same, how="left")
    joined = joined.assign(gain=joined["value"] - joined["free"])
    key = [name for name in SUMMARY_COLUMNS[: SUMMARY_COLUMNS.index("test") + 1] if name != "n_labels"]
    rows = []
    for values, part in joined.groupby(key, sort=True):
        gain = part["gain"].dropna()
        rows.append(
            dict(zip(key, values, strict=True))
            | {"n_labels": float(part["n_labels"].median()), "median": part["value"].median(),
               "sd": part["value"].std(ddof=1), "low": part["value"].quantile(0.1), "high": part["value"].quantile(0.9),
               "gain": gain.median(), "gain_low": gain.quantile(0.1), "gain_high": gain.quantile(0.9),
               "not_worse": float((gain >= 0).mean()) if len(gain) else float("nan"),
               "n_values": len(part), "n_splits": part["split"].nunique(),
               "n_images": float(part["n_images"].median()), "n_references": float(part["n_references"].median())}
        )  # fmt: skip
    summary = pd.DataFrame(rows, columns=SUMMARY_COLUMNS)
    order = ["dataset", "subset", "model", "test", "regressor", "n_labels", "budget"]
    return summary.sort_values(order, kind="stable", ignore_index=True)
