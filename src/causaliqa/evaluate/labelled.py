"""Everything that stage evaluate says about labelled sets: a dict of named tables."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from causaliqa.config import Evaluate
from causaliqa.evaluate.judged import read_judged
from causaliqa.evaluate.literature import LITERATURE_COLUMNS, published_beside
from causaliqa.evaluate.opinion import agreement_table, comparison_table
from causaliqa.evaluate.opinion_roc import roc_tables
from causaliqa.evaluate.split_spread import split_spread

#: Names of the tables, and of their files.
TABLES = ("opinions", "comparisons", "roc", "roc_comparisons", "splits", "split_values", "literature")


def labelled_tables(
    folders: Sequence[Path], scores: pd.DataFrame, params: Evaluate, literature: Path | None = None
) -> dict[str, pd.DataFrame]:
    """Return every table of :data:`TABLES`.

    Parameters
    ----------
    folders : ``data/raw/<dataset>`` of full-reference datasets.
    scores : score table of every method, rank averages included; rows of other datasets are ignored.
    literature : table of published correlations; None: nothing stands beside ours.

    Raises
    ------
    DataError
        If a method lacks an image of a dataset, or a dataset has no scores or no splits.
    ConfigError
        If published scores are given of a dataset that is not there, or the table of correlations is damaged.
    """
    judged = read_judged(folders, scores, params.published)
    opinions = agreement_table(judged, params)
    roc, roc_comparisons = roc_tables(judged, params)
    splits, split_values = split_spread(judged)
    beside = pd.DataFrame(columns=LITERATURE_COLUMNS) if literature is None else published_beside(opinions, literature)
    return {
        "opinions": opinions,
        "comparisons": comparison_table(judged, params),
        "roc": roc,
        "roc_comparisons": roc_comparisons,
        "splits": splits,
        "split_values": split_values,
        "literature": beside,
    }
