"""Stage regress: few-label curves and supervised scores.

Labels come from train references only; scores are given to the pairs of test references only. On the embedded
default the labels are the pseudo-MOS, and every score made from them says so by its setting and documentation.
Labelled sets have tests of their own, see :mod:`causaliqa.supervised.labelled`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from causaliqa.config import Regress
from causaliqa.datasets.splits import k_shot
from causaliqa.disentangle.features import feature_columns
from causaliqa.errors import DataError
from causaliqa.io import read_json, write_parquet
from causaliqa.labelfree import PREFIX
from causaliqa.labelfree.stage import read_features
from causaliqa.progress import progress
from causaliqa.seeding import generator
from causaliqa.supervised.labelled import labelled_tests, read_labelled, synthetic_space
from causaliqa.supervised.regressors import fit_regressor
from causaliqa.tables import quality, read_scores, score_table, write_scores

#: Share of the train references that one supervised draw uses: draws differ, so that a spread can be told.
SUPERVISED_SHARE = 0.8


def draw_labelled(references: np.ndarray, count: int | None, draw: int, seed: int) -> np.ndarray:
    """Return positions of the labelled pairs of one draw.

    Parameters
    ----------
    references : (N,), the content of each candidate.
    count : number of labels, spread over references as evenly as chance allows; None takes every pair of a random
        80 % of the references.
    draw : number of the draw.
    """
    if count is not None:
        return k_shot(references, count, draw, seed)
    rng = generator("labels", seed, draw, -1)
    names = np.unique(references)
    order = names[rng.permutation(len(names))]
    kept = order[: max(1, round(SUPERVISED_SHARE * len(order)))]
    return np.flatnonzero(np.isin(references, kept))


def run(
    model: Path,
    features: Sequence[Path],
    labels: Sequence[Path],
    out: Path,
    params: Regress,
    labelled: Sequence[Path] = (),
    labelled_features: Sequence[Path] = (),
    projected: Path | None = None,
) -> int:
    """Write ``scores.parquet`` and ``labelled.parquet``; return the number of fits on synthetic sets.

    Parameters
    ----------
    labelled : ``data/raw/<dataset>`` of labelled sets; their tests are an empty table if there are none.
    labelled_features : feature tables of these.
    projected : score table of stage project, for the label-free scores beside.

    Raises
    ------
    DataError
        If no labelled train reference or no test reference is there, or a labelled set lacks features or scores.
    """
    description = read_json(model / "model.json")
    opinion = read_scores(*labels)
    opinion = opinion.assign(label=quality(opinion))[["dataset", "image", "label"]]
    synthetic = read_features(features)
    table = synthetic.merge(opinion, on=["dataset", "image"], how="inner", validate="one_to_one")
    names = feature_columns(table)
    content = (table["dataset"] + "/" + table["reference"]).to_numpy(dtype=str)
    partition = table["partition"].to_numpy(dtype=str)
    # Labels of other scenarios' datasets are not this scenario's to use.
    train = np.flatnonzero((partition == "train") & table["dataset"].isin(description["datasets"]).to_numpy(dtype=bool))
    test = np.flatnonzero(partition == "test")
    if len(train) < 2 or len(test) == 0:
        raise DataError(
            f"{model}: needs labelled pairs of train references ({len(train)} found) "
            f"and pairs of test references ({len(test)} found)"
        )
    values, target = table[names].to_numpy(dtype=np.float64), table["label"].to_numpy(dtype=np.float64)
    counts: list[int | None] = [count for count in params.label_counts if count < len(train)]
    plan = [
        (name, count, draw) for name in params.regressors for count in (*counts, None) for draw in range(params.draws)
    ]
    tables = []
    for name, count, draw in progress(plan, desc="regress", unit="fit"):
        chosen = train[draw_labelled(content[train], count, draw, params.seed)]
        regressor = fit_regressor(name, values[chosen], target[chosen], content[chosen])
        tables.append(
            score_table(
                table.iloc[test],
                regressor.predict(values[test]),
                method=PREFIX + name,
                setting="supervised" if count is None else "few_label",
                higher_is_better=True,
                # One number for all supervised draws, though their references differ in size.
                labels=count if count is not None else round(SUPERVISED_SHARE * len(train)),
                model=f"{description['scenario']}/{description['variant']}",
                seed=description["seed"],
                split=f"draw-{draw:02d}",
            )
        )
    write_scores(out / "scores.parquet", pd.concat(tables, ignore_index=True))
    sets = []
    if labelled:
        if projected is None:
            raise DataError(f"{labelled[0]}: no label-free scores to stand beside; give those of stage project")
        # Read with a synthetic table, so that features of another model are refused.
        both = read_features([features[0], *labelled_features])
        sets = read_labelled(labelled, both, read_scores(projected), names)
    write_parquet(
        out / "labelled.parquet",
        labelled_tests(
            sets,
            synthetic_space(synthetic, description["datasets"]),
            params,
            model=f"{description['scenario']}/{description['variant']}",
            seed=description["seed"],
        ),
    )
    return len(plan)
