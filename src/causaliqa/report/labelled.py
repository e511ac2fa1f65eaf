"""What labels add on labelled sets: tables for the page on datasets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from causaliqa.figures.names import method_title
from causaliqa.labelfree import PREFIX
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


#: Number of labels that stands for few of them beside other methods.
FEW = "20"


def beside(table: pd.DataFrame, single: pd.DataFrame, test: str = "srcc") -> pd.DataFrame:
    """Return every method in its setting on the same test images: medians over splits, and over draws and seeds.

    Parameters
    ----------
    table : from :func:`summary`; few labels are represented by :data:`FEW`. All heads stand, none is chosen.
    single : value of each method on the test part of each split, over all images (``split_values`` of stage evaluate),
        models without their seeds; its datasets are those of the result.

    Returns
    -------
    DataFrame
        ``dataset, setting, method, model, labels, median, low, high, n_splits``, low and high the 10th and 90th
        percentile; settings in the order no labels, few, all, and the best median first within one.
    """
    heads = table[(table["test"] == test) & (table["subset"] == "all")]
    heads = heads[heads["setting"].isin(["few_label", "supervised"])]
    heads = heads[(heads["setting"] == "supervised") | (heads["budget"] == FEW)]
    # Heads on a set whose scores are no people's have nothing beside them here.
    heads = heads[heads["dataset"].isin(single["dataset"])]
    learnt = heads.rename(columns={"regressor": "method", "n_labels": "labels"})
    rows = []
    own = single[single["test"] == test]
    for (dataset, setting, method, model), part in own.groupby(["dataset", "setting", "method", "model"], sort=True):
        values = part["value"]
        rows.append(
            {"dataset": dataset, "setting": setting, "method": str(method).removeprefix(PREFIX),
             "model": model, "labels": 0.0, "median": values.median(), "low": values.quantile(0.1),
             "high": values.quantile(0.9), "n_splits": part["split"].nunique()}
        )  # fmt: skip
    columns = ["dataset", "setting", "method", "model", "labels", "median", "low", "high", "n_splits"]
    parts = [part for part in (pd.DataFrame(rows, columns=columns), learnt[columns]) if len(part)]
    joined = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)
    place = joined["setting"].map({"few_label": 1, "supervised": 2}).fillna(0)
    order = joined.assign(place=place, back=-joined["median"]).sort_values(["dataset", "place", "back", "method"])
    return order[columns].reset_index(drop=True)


def beside_wide(table: pd.DataFrame, digits: int = 3) -> pd.DataFrame:
    """Return :func:`beside` with one column a dataset, as a reader wants it."""
    names = {"few_label": f"{FEW} labels", "supervised": "all labels", "published": "as published"}
    cells: dict[tuple[str, str], dict[str, str]] = {}
    for row in table.to_dict("records"):
        title = f"{row['method']} · {row['model']}" if row["model"] else method_title(str(row["method"]))
        # Of published scores it is not known here what their networks learned from.
        key = (names.get(str(row["setting"]), "none of these"), title)
        text = f"{row['median']:.{digits}f} [{row['low']:.{digits}f}, {row['high']:.{digits}f}]"
        cells.setdefault(key, {})[str(row["dataset"])] = text
    datasets = sorted({name for row in cells.values() for name in row})
    return pd.DataFrame(
        [
            {"labels": key[0], "method": key[1], **{name: row.get(name, "–") for name in datasets}}
            for key, row in cells.items()
        ]
    )
