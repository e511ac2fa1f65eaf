"""Agreement with published scores: of people (MOS, DMOS, Elo) or of physics (exposure), never with pseudo-MOS.

One row a dataset, subset, distortion, method and test. Partial copies with regenerated stimuli are told apart by
their provenance: ``all``, ``real_exact`` (originals and bit-exact copies) and ``near_resynth`` (the others).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from causaliqa.config import Evaluate
from causaliqa.datasets.names import REFERENCE
from causaliqa.datasets.raw import ABOUT, read_raw_manifest
from causaliqa.errors import DataError
from causaliqa.evaluate import intervals
from causaliqa.evaluate.agreement import Agreement
from causaliqa.evaluate.comparison import COMPARISON_COLUMNS, compare
from causaliqa.evaluate.paired import paired_scores
from causaliqa.io import read_json
from causaliqa.progress import progress
from causaliqa.tables import quality

#: Subsets by provenance, for datasets that state it.
SUBSETS = {"real_exact": ("real", "exact"), "near_resynth": ("near", "resynth")}
#: A distortion or provenance with fewer images gets no row of its own.
SMALLEST_TYPE = 10
_NAME = ["method", "setting", "labels", "model", "seed"]
#: Columns of the table.
#:
#: target : mos | dmos | elo | exposure, what the scores are; human : whether people gave them
#: variant : which labels and reader options; n_skipped : listed images that were left out of this copy
OPINION_COLUMNS = [
    "dataset", "title", "domain", "target", "human", "variant", "subset", "distortion", *_NAME,
    "test", "value", "low", "high", "n_images", "n_references", "n_skipped", "n_draws",
]  # fmt: skip


def _given(scores: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that are judged; a metric that is both a baseline and a member of the consensus counts once."""
    return scores[scores["setting"].isin(["baseline", "label_free", "pseudo_mos"])].drop_duplicates(ignore_index=True)


def _variant(about: dict[str, Any]) -> str:
    # A generic table's options name its columns; a published layout's choose among its variants.
    chosen = {} if about["layout"] == "folder" else about["options"]
    options = ", ".join(f"{key}={value}" for key, value in sorted(chosen.items()))
    return "; ".join(part for part in (about["labels"]["text"], options) if part)


def _groups(images: pd.DataFrame) -> list[tuple[str, str, np.ndarray]]:
    """Return (subset, distortion, positions): everything, each provenance, each type."""
    groups = [("all", "", np.arange(len(images)))]
    if (images["provenance"] != "").any():
        for name, kinds in SUBSETS.items():
            chosen = np.flatnonzero(images["provenance"].isin(kinds))
            if SMALLEST_TYPE <= len(chosen) < len(images):
                groups.append((name, "", chosen))
    if images["distortion"].nunique() > 1:
        for kind, rows in images.groupby("distortion", sort=True):
            if len(rows) >= SMALLEST_TYPE:
                groups.append(("all", str(kind), rows.index.to_numpy()))
    return groups


def _aligned(scores: pd.DataFrame, images: pd.DataFrame, what: str) -> np.ndarray:
    table = pd.Series(quality(scores), index=scores["image"])
    if not table.index.is_unique:
        raise DataError(f"{what}: two scores for image {table.index[table.index.duplicated()][0]!r}")
    found = table.reindex(images["image"]).to_numpy(dtype=np.float64)
    if not np.isfinite(found).all():
        worst = images["image"].iloc[int(np.flatnonzero(~np.isfinite(found))[0])]
        raise DataError(f"{what}: no finite score for image {worst!r}; run the method's stage again for this dataset")
    return found


def evaluate_opinions(folders: Sequence[Path], scores: pd.DataFrame, params: Evaluate) -> pd.DataFrame:
    """Return the agreement of every method with the published scores of every labelled dataset.

    Parameters
    ----------
    folders : ``data/raw/<dataset>`` of full-reference datasets.
    scores : score table of every method; rows of other datasets are ignored. The pseudo-MOS is a method here: the
        rank consensus of classical metrics.

    Raises
    ------
    DataError
        If a method lacks an image of a dataset, or a dataset has no scores.
    """
    rows: list[dict[str, Any]] = []
    for folder in folders:
        about = read_json(Path(folder) / ABOUT)
        manifest = read_raw_manifest(folder)
        images = manifest[(manifest["distortion"] != REFERENCE) & manifest["score"].notna()]
        images = images.sort_values("image", ignore_index=True)
        if about["labels"] is None or images.empty:
            raise DataError(f"{folder}: has no scores to compare with; name it under fetch.datasets if it is pristine")
        mine = scores[scores["dataset"] == about["name"]]
        if mine.empty:
            raise DataError(f"{folder}: no method has scored {about['name']}; run stage baselines for it")
        rows += _of_dataset(about, images, mine, params)
    table = pd.DataFrame(rows, columns=OPINION_COLUMNS)
    keys = ["dataset", "subset", "distortion", *_NAME, "test"]
    return table.sort_values(keys, kind="stable", ignore_index=True) if len(table) else table


def _of_dataset(
    about: dict[str, Any], images: pd.DataFrame, scores: pd.DataFrame, params: Evaluate
) -> list[dict[str, Any]]:
    name = str(about["name"])
    opinion = images["score"].to_numpy(dtype=np.float64) * (1.0 if about["labels"]["higher_is_better"] else -1.0)
    methods = [
        (dict(zip(_NAME, key, strict=True)), _aligned(part, images, f"{key[0]} on {name}"))
        for key, part in _given(scores).groupby(_NAME, sort=True)
    ]
    groups = _groups(images)
    rows = []
    for subset, distortion, chosen in progress(groups, desc=f"evaluate {name}", unit="subset"):
        references, cluster = np.unique(images["reference"].to_numpy(dtype=str)[chosen], return_inverse=True)
        target = opinion[chosen]
        draws: np.ndarray | None = None
        ranks: intervals.RankBootstrap | None = None
        if len(references) >= intervals.MINIMUM_REFERENCES:
            draws = intervals.draw_multiplicities(len(references), params.bootstrap, f"{name}/{subset}", params.seed)
            ranks = intervals.RankBootstrap(target, cluster, draws)
        for method, values in methods:
            found = Agreement(values[chosen], target, cluster, len(references))
            spread = found.drawn(draws, ranks) if draws is not None and ranks is not None else {}
            for test, value in found.values.items():
                if not np.isfinite(value):
                    continue
                low = high = float("nan")
                count = 0
                if test in spread:
                    low, high = intervals.percentile_interval(spread[test], params.confidence)
                    count = int(np.isfinite(spread[test]).sum())
                rows.append(
                    {
                        "dataset": name, "title": about["title"], "domain": about["domain"],
                        "target": about["labels"]["kind"], "human": about["labels"]["kind"] != "exposure",
                        "variant": _variant(about), "subset": subset, "distortion": distortion, **method,
                        "test": test, "value": value, "low": low, "high": high, "n_images": len(chosen),
                        "n_references": len(references), "n_skipped": sum(about["skipped"].values()), "n_draws": count,
                    }
                )  # fmt: skip
    return rows


def compare_opinions(folders: Sequence[Path], scores: pd.DataFrame, params: Evaluate) -> pd.DataFrame:
    """Compare every two methods on every labelled dataset, paired by image.

    Parameters
    ----------
    folders, scores : see :func:`evaluate_opinions`.

    Returns
    -------
    DataFrame
        :data:`causaliqa.evaluate.comparison.COMPARISON_COLUMNS` and ``subset, human``: all images, and those with
        original and bit-exact stimuli where the copy states provenance. Corrected after Holm within a test.
    """
    parts = []
    given = _given(scores)
    for folder in folders:
        about = read_json(Path(folder) / ABOUT)
        images = read_raw_manifest(folder).assign(dataset=about["name"])
        subsets = {"all": images}
        if images["provenance"].isin(SUBSETS["near_resynth"]).any():
            subsets["real_exact"] = images[images["provenance"].isin(SUBSETS["real_exact"])]
        for subset, rows in subsets.items():
            scored = rows[(rows["distortion"] != REFERENCE) & rows["score"].notna()]
            if len(scored) < SMALLEST_TYPE or scored["score"].nunique() < 2:
                continue
            paired = paired_scores(given, scored, higher_is_better=bool(about["labels"]["higher_is_better"]))
            if len(paired.methods) < 2:
                continue
            found = compare(paired, draws=params.bootstrap, confidence=params.confidence, seed=params.seed)
            parts.append(found.assign(subset=subset, human=about["labels"]["kind"] != "exposure"))
    columns = [*COMPARISON_COLUMNS, "subset", "human"]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def opinion_metrics(table: pd.DataFrame) -> dict[str, Any]:
    """Return small nested numbers for ``dvc metrics diff``: ``opinions`` -> dataset -> model and method -> SRCC."""
    rows = table[(table["subset"] == "all") & (table["distortion"] == "") & (table["test"] == "srcc")]
    nested: dict[str, Any] = {}
    for (dataset, model, method), part in rows.groupby(["dataset", "model", "method"], sort=True):
        home = nested.setdefault(str(dataset), {}).setdefault(str(model) or "baselines", {})
        home[str(method)] = round(float(part["value"].mean()), 6)
    return {"opinions": nested} if nested else {}
