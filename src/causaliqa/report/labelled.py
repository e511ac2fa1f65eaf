"""What labels add on labelled sets: tables for the page on datasets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from causaliqa.supervised.labelled import LABELLED_COLUMNS, labelled_summary

_TITLES = {"srcc": "SRCC", "krcc": "KRCC", "plcc": "PLCC"}
_SETTINGS = {"label_free": "label-free", "few_label": "few labels", "supervised": "all labels"}


def summary(paths: Sequence[Path | str]) -> pd.DataFrame:
    """Return :func:`causaliqa.supervised.labelled.labelled_summary` of the models' tables joined; seeds are pooled."""
    tables = [table for table in map(pd.read_parquet, paths) if len(table)]
    if not tables:
        return labelled_summary(pd.DataFrame(columns=LABELLED_COLUMNS))
    return labelled_summary(pd.concat(tables, ignore_index=True))


def wide(table: pd.DataFrame, digits: int = 3) -> pd.DataFrame:
    """One row a dataset, subset, model, head and budget: median and 10th to 90th percentile of each test, and the gain.

    The gain is that of SRCC over the label-free norm on the same test images; "not below it" the share of splits and
    draws in which there is no loss.
    """
    rows = []
    keys = ["dataset", "subset", "model", "setting", "regressor", "budget"]
    for values, part in table.groupby(keys, sort=False):
        by_test = {str(row["test"]): row for row in part.to_dict("records")}
        named = dict(zip(["Dataset", "Images", "Model", "Setting", "Head", "Labels"], values, strict=True))
        named["Setting"] = _SETTINGS[str(named["Setting"])]
        for test, title in _TITLES.items():
            if row := by_test.get(test):
                named[title] = f"{row['median']:.{digits}f} [{row['low']:.{digits}f}, {row['high']:.{digits}f}]"
        first = by_test["srcc"]
        free = first["setting"] == "label_free"
        rows.append(
            named
            | {
                "Gain": "–" if free else f"{first['gain']:+.{digits}f}",
                "Not below it": "–" if free else f"{first['not_worse']:.0%}",
                "Splits": int(first["n_splits"]),
            }
        )
    return pd.DataFrame(rows)
