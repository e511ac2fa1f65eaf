"""The tables of stage evaluate: their columns, what few-label draws add up to, and the few numbers of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from causaliqa.io import sha256_file

#: Scope of rows that join all datasets.
ALL = "all"
#: Columns that name a row's method; the draws of few-label sets are summed up.
NAME = ["method", "setting", "labels", "model", "seed"]
#: Columns of every table of values.
COLUMNS = [
    "scope", "domain", *NAME, "test", "distortion", "value", "low", "high", "n_images", "n_references", "n_draws",
]  # fmt: skip
FIT_COLUMNS = ["scope", *NAME, "kind", "b1", "b2", "b3", "b4", "b5", "converged", "plcc", "rmse"]
DRAW_COLUMNS = ["scope", "domain", *NAME, "split", "test", "value", "n_images", "n_references"]
#: Ends of the spread that is reported over few-label draws.
SPREAD = (0.1, 0.9)


def frame(rows: list[dict[str, Any]], columns: list[str], keys: list[str]) -> pd.DataFrame:
    """Return rows as a table, sorted by `keys`."""
    table = pd.DataFrame(rows, columns=columns)
    return table.sort_values(keys, kind="stable").reset_index(drop=True) if len(table) else table


def summary(draws: pd.DataFrame) -> pd.DataFrame:
    """Return median and spread over draws, one row a scope, method and test."""
    if draws.empty:
        return pd.DataFrame(columns=COLUMNS)
    keys = ["scope", "domain", *NAME, "test"]
    groups = draws.groupby(keys, sort=True)
    low, value, high = (groups["value"].quantile(q) for q in (SPREAD[0], 0.5, SPREAD[1]))
    found = groups[["n_images", "n_references"]].first().assign(value=value, low=low, high=high, n_draws=groups.size())
    return found.reset_index().assign(distortion="")[COLUMNS]


def small_metrics(opinion_free: pd.DataFrame, correlations: pd.DataFrame, few: pd.DataFrame) -> dict[str, Any]:
    """Small nested numbers for ``dvc metrics diff``: model -> method -> test; seeds averaged.

    Supervised values are medians over draws of labelled images.
    """
    keys = {name: name for name in ("d_test", "l_test", "p_test", "c_test", "severity_median")} | {
        "srcc": "srcc_pseudo_mos"
    }
    rows = pd.concat([opinion_free, correlations, few[few["setting"] == "supervised"]])
    rows = rows[rows["test"].isin(keys) & rows["setting"].isin(["baseline", "label_free", "supervised"])]
    scopes = sorted(rows["scope"].unique())
    rows = rows[rows["scope"] == (ALL if ALL in scopes else scopes[0])]
    nested: dict[str, Any] = {}
    for (model, method, test), part in rows.groupby(["model", "method", "test"], sort=True):
        home = nested.setdefault(str(model) or "baselines", {}).setdefault(str(method), {})
        home[keys[str(test)]] = round(float(part["value"].mean()), 6)
    return nested


def inputs(given: Mapping[str, Sequence[Path]]) -> list[dict[str, str]]:
    """Return kind and checksum of every input, sorted."""
    return sorted(
        ({"kind": kind, "sha256": sha256_file(path)} for kind, paths in given.items() for path in paths),
        key=lambda item: (item["kind"], item["sha256"]),
    )
