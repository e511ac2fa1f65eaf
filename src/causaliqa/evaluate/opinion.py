"""Agreement with published scores: of people (MOS, DMOS, Elo) or of physics (exposure), never with pseudo-MOS.

One row a dataset, subset, distortion, method and test. Subsets: ``all``; where a partial copy states provenance,
``real_exact`` (originals and bit-exact copies) and ``near_resynth`` (the others); those by protocol, see
:data:`causaliqa.evaluate.judged.PROTOCOLS`; ``published``, the images that others published scores of. A method stands
in the rows of a group of images if it has a score of each.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from causaliqa.config import Evaluate
from causaliqa.evaluate import intervals
from causaliqa.evaluate.agreement import Agreement
from causaliqa.evaluate.comparison import COMPARISON_COLUMNS, compare
from causaliqa.evaluate.judged import NAME, Group, Judged, read_judged
from causaliqa.progress import progress
from causaliqa.tables import ABLATION

#: Columns of the table.
#:
#: target : mos | dmos | elo | exposure, what the scores are; human : whether people gave them
#: variant : which labels and reader options; n_skipped : listed images that were left out of this copy
OPINION_COLUMNS = [
    "dataset", "title", "domain", "target", "human", "variant", "subset", "distortion", *NAME,
    "test", "value", "low", "high", "n_images", "n_references", "n_skipped", "n_draws",
]  # fmt: skip


def _variant(about: dict[str, Any]) -> str:
    # A generic table's options name its columns; a published layout's choose among its variants.
    chosen = {} if about["layout"] == "folder" else about["options"]
    options = ", ".join(f"{key}={value}" for key, value in sorted(chosen.items()))
    return "; ".join(part for part in (about["labels"]["text"], options) if part)


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
    return agreement_table(read_judged(folders, scores, params.published), params)


def agreement_table(judged: Sequence[Judged], params: Evaluate) -> pd.DataFrame:
    """Return :data:`OPINION_COLUMNS` of datasets that are read already, see :func:`evaluate_opinions`."""
    rows: list[dict[str, Any]] = []
    for item in judged:
        groups = [*item.subsets(), *item.distortions()]
        for group in progress(groups, desc=f"evaluate {item.dataset}", unit="subset"):
            rows += _of_group(item, group, params)
    table = pd.DataFrame(rows, columns=OPINION_COLUMNS)
    keys = ["dataset", "subset", "distortion", *NAME, "test"]
    return table.sort_values(keys, kind="stable", ignore_index=True) if len(table) else table


def _of_group(item: Judged, group: Group, params: Evaluate) -> list[dict[str, Any]]:
    chosen, about = group.chosen, item.about
    cluster, references = item.references_of(chosen)
    target = item.opinion[chosen]
    draws: np.ndarray | None = None
    ranks: intervals.RankBootstrap | None = None
    if references >= intervals.MINIMUM_REFERENCES:
        draws = intervals.draw_multiplicities(
            references, params.bootstrap, f"{item.dataset}/{group.subset}", params.seed
        )
        ranks = intervals.RankBootstrap(target, cluster, draws)
    head = {
        "dataset": item.dataset, "title": about["title"], "domain": about["domain"],
        "target": about["labels"]["kind"], "human": item.human, "variant": _variant(about),
        "subset": group.subset, "distortion": group.distortion, "n_images": len(chosen),
        "n_references": references, "n_skipped": sum(about["skipped"].values()),
    }  # fmt: skip
    rows = []
    for method in item.methods_on(chosen):
        found = Agreement(method.quality[chosen], target, cluster, references)
        spread = found.drawn(draws, ranks) if draws is not None and ranks is not None else {}
        for test, value in found.values.items():
            if not np.isfinite(value):
                continue
            low = high = float("nan")
            count = 0
            if test in spread:
                low, high = intervals.percentile_interval(spread[test], params.confidence)
                count = int(np.isfinite(spread[test]).sum())
            rows.append({**head, **method.name, "test": test, "value": value, "low": low, "high": high,
                         "n_draws": count})  # fmt: skip
    return rows


def compare_opinions(folders: Sequence[Path], scores: pd.DataFrame, params: Evaluate) -> pd.DataFrame:
    """Compare every two methods on every labelled dataset, paired by image.

    Parameters
    ----------
    folders, scores : see :func:`evaluate_opinions`.

    Returns
    -------
    DataFrame
        :data:`causaliqa.evaluate.comparison.COMPARISON_COLUMNS` and ``subset, human``: all images, those with original
        and bit-exact stimuli where the copy states provenance, and those with published scores where these are others.
        Corrected after Holm within a test.
    """
    return comparison_table(read_judged(folders, scores, params.published), params)


def comparison_table(judged: Sequence[Judged], params: Evaluate) -> pd.DataFrame:
    """Return the comparisons of datasets that are read already, see :func:`compare_opinions`."""
    parts = []
    for item in judged:
        for group in item.compared():
            paired = item.paired(group.chosen)
            if len(paired.methods) < 2:
                continue
            found = compare(paired, draws=params.bootstrap, confidence=params.confidence, seed=params.seed)
            parts.append(found.assign(subset=group.subset, human=item.human))
    columns = [*COMPARISON_COLUMNS, "subset", "human"]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def opinion_metrics(table: pd.DataFrame) -> dict[str, Any]:
    """Return small nested numbers for ``dvc metrics diff``: ``opinions`` -> dataset -> model and method -> SRCC."""
    rows = table[(table["subset"] == "all") & (table["distortion"] == "") & (table["test"] == "srcc")]
    # Published scores of others do not change from run to run.
    rows = rows[~rows["setting"].isin(["published", ABLATION])]
    nested: dict[str, Any] = {}
    for (dataset, model, method), part in rows.groupby(["dataset", "model", "method"], sort=True):
        home = nested.setdefault(str(dataset), {}).setdefault(str(model) or "baselines", {})
        home[str(method)] = round(float(part["value"].mean()), 6)
    return {"opinions": nested} if nested else {}
