"""What the page on datasets shows of published values, splits, pairs and ranks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from causaliqa.evaluate.literature import LITERATURE_COLUMNS
from causaliqa.evaluate.opinion import OPINION_COLUMNS
from causaliqa.evaluate.opinion_roc import OPINION_ROC_COLUMNS
from causaliqa.evaluate.split_spread import SPREAD_COLUMNS
from causaliqa.report.opinions import (
    SUBSETS,
    beside_shown,
    beside_table,
    by_distortion,
    of_people,
    of_test,
    projections,
    projections_wide,
    ranked,
    roc_shown,
    roc_table,
    spread_table,
)


def frame(columns: list[str], rows: list[dict[str, Any]], **common: Any) -> pd.DataFrame:
    """Return a table with all `columns`; what is not given is empty."""
    return pd.DataFrame([{**dict.fromkeys(columns, ""), **common, **row} for row in rows], columns=columns)


def opinion(dataset: str, method: str, value: float, subset: str = "all", **more: Any) -> dict[str, Any]:
    return {"dataset": dataset, "method": method, "label": method, "value": value, "subset": subset, **more}


def opinions(rows: list[dict[str, Any]]) -> pd.DataFrame:
    given = {"test": "srcc", "setting": "baseline", "human": True, "seed": 0}
    return frame([*OPINION_COLUMNS, "label"], rows, **given)


def test_a_dataset_stands_with_its_strictest_subset() -> None:
    rows = [
        {"dataset": "part", "method": "vsi", "subset": "all", "ours": 0.9},
        {"dataset": "part", "method": "vsi", "subset": "real_exact", "ours": 0.8},
        {"dataset": "whole", "method": "vsi", "subset": "all", "ours": 0.7},
        {"dataset": "whole", "method": "vsi", "subset": "all", "ours": 0.7, "source": "another paper"},
        {"dataset": "whole", "method": "vsi", "subset": "all", "ours": 0.6, "test": "krcc"},
    ]
    table = frame(LITERATURE_COLUMNS, rows, test="srcc", low=0.5, high=np.nan, published=0.75, reason="why")
    shown = beside_shown(table)
    assert list(zip(shown["dataset"], shown["ours"], strict=True)) == [("part", 0.8), ("whole", 0.7)]
    printed = beside_table(table)
    assert len(printed) == 5
    assert list(printed["subset"].unique()) == ["all", SUBSETS["real_exact"]]
    assert set(printed["published"]) == {"0.750"}
    assert set(printed["method"]) == {"VSI"}
    assert set(printed["test"]) == {"SRCC", "KRCC"}


def test_ranks_take_methods_that_every_dataset_has() -> None:
    rows = [
        opinion("a", "x", 0.9, "real_exact"), opinion("a", "y", 0.8, "real_exact"),
        # On all stimuli of `a` the order is the other one: it must not count.
        opinion("a", "x", 0.1), opinion("a", "y", 0.8),
        opinion("b", "x", 0.7), opinion("b", "y", 0.6), opinion("b", "only", 0.99),
        opinion("b", "others'", 0.98, setting="published"),
        opinion("a", "isomap", 0.97, setting="manifold"), opinion("b", "isomap", 0.97, setting="manifold"),
        opinion("physics", "y", 0.9, human=False), opinion("physics", "x", 0.1, human=False),
    ]  # fmt: skip
    found = ranked(opinions(rows))
    assert found is not None
    assert list(found.table["method"]) == ["x", "y"]
    assert list(found.table["average_rank"]) == [1.0, 2.0]
    assert found.descriptive
    assert ranked(opinions(rows[:2])) is None
    assert ranked(opinions([])) is None


def test_splits_and_pairs_of_people_only() -> None:
    rows = [
        {"dataset": "a", "method": "vsi", "human": True, "median": 0.81, "value": 0.8},
        {"dataset": "a", "method": "mdsi", "human": True, "median": 0.91, "value": 0.9},
        {"dataset": "ladder", "method": "vsi", "human": False, "median": 0.99, "value": 0.99},
    ]
    numbers = {"sd": 0.01, "low": 0.7, "high": 0.95, "n_splits": 10, "n_distinct": 9, "n_images": 60.0}
    table = spread_table(frame(SPREAD_COLUMNS, rows, test="srcc", seed=0, **numbers))
    assert list(table["method"]) == ["MDSI", "VSI"]
    assert list(table["median"]) == [0.91, 0.81]
    single = pd.DataFrame({"dataset": ["a", "ladder"], "model": ["", ""], "seed": [0, 0], "value": [0.8, 0.9]})
    assert list(of_people(single, opinions([opinion("a", "vsi", 0.8)]))["dataset"]) == ["a"]


def test_seeds_are_named_if_there_are_several() -> None:
    single = pd.DataFrame({"dataset": "a", "model": ["m", "m", "m", ""], "seed": [0, 1, 2, 0], "value": 0.5})
    found = of_people(single, opinions([opinion("a", "vsi", 0.8)]))
    assert list(found["model"]) == ["m · seed 0", "m · seed 1", "m · seed 2", ""]
    pooled = of_people(single, opinions([opinion("a", "vsi", 0.8)]), by_seed=False)
    assert list(pooled["model"]) == ["m", "m", "m", ""]


def test_areas_are_printed_with_their_question() -> None:
    rows = [
        {"dataset": "a", "analysis": "better_worse", "method": "psnr", "auc": 0.8, "subset": "all"},
        {"dataset": "a", "analysis": "better_worse", "method": "vsi", "auc": 0.9, "subset": "all"},
        {"dataset": "ladder", "analysis": "better_worse", "method": "vsi", "auc": 1.0, "subset": "all", "human": False},
    ]
    given = {"human": True, "low": 0.7, "high": 0.95, "correct": 0.77, "n_pairs": 1000, "uncertainty": "published"}
    table = roc_table(roc_shown(frame(OPINION_ROC_COLUMNS, rows, **given)))
    assert list(table["method"]) == ["VSI", "PSNR"]
    assert set(table["question"]) == {"which is better?"}
    assert table["AUC"].iloc[0] == ".900 [.700, .950]"


@pytest.mark.parametrize("name", SUBSETS)
def test_every_subset_is_explained(name: str) -> None:
    assert len(SUBSETS[name].split()) > 2


def test_tables_without_rows_have_nothing_to_show() -> None:
    """A run without labelled sets: the columns of its tables have no type."""
    none = opinions([])
    assert len(beside_shown(frame(LITERATURE_COLUMNS, []))) == 0
    assert len(spread_table(frame(SPREAD_COLUMNS, []))) == 0
    assert len(roc_shown(frame(OPINION_ROC_COLUMNS, []))) == 0
    single = pd.DataFrame(columns=["dataset", "model", "seed", "test", "value"])
    assert len(of_people(single, none)) == 0
    assert ranked(none) is None


def test_projections_stand_in_a_table_of_their_own() -> None:
    rows = [
        {"dataset": dataset, "subset": subset, "human": human, "distortion": kind, "test": "srcc", "setting": setting,
         "method": method, "model": "natural/full", "seed": 0, "value": value, "label": method}
        for dataset, subset, human, kind, setting, method, value in (
            ("tid", "real_exact", True, "", "label_free", "disentangle-norm", 0.9),
            ("tid", "all", True, "", "label_free", "disentangle-norm", 0.1),
            ("tid", "real_exact", True, "", "manifold", "disentangle-isomap-0", 0.8),
            ("tid", "real_exact", True, "", "manifold", "disentangle-isomap-1", 0.6),
            ("tid", "real_exact", True, "", "manifold", "disentangle-transductive-isomap", 0.5),
            ("tid", "real_exact", True, "blur", "manifold", "disentangle-isomap-0", 0.1),
            ("tid", "real_exact", True, "", "baseline", "vsi", 0.1),
            ("tid", "real_exact", True, "blur", "baseline", "vsi", 0.2),
            ("neutron", "all", False, "", "manifold", "disentangle-isomap-0", 0.1),
        )
    ]  # fmt: skip
    table = pd.DataFrame(rows)
    assert list(by_distortion(table.assign(n_images=12), "tid").columns) == ["distortion", "n", "vsi"]
    several = projections(pd.concat([table.assign(seed=seed) for seed in range(3)]))
    assert set(several["model"]) == {f"natural/full · seed {seed}" for seed in range(3)}
    assert (several.loc[several["projection"] == "norm", "seeds"] == 1).all()
    found = projections(table).set_index(["projection", "fitted_on"])
    assert found.loc[("isomap", "synthetic pairs"), ["seeds", "mean", "least", "largest"]].tolist() == [
        2,
        0.7,
        0.6,
        0.8,
    ]
    assert found.loc[("isomap", "the test pairs"), "mean"] == 0.5
    assert found.loc[("norm", "synthetic pairs"), "mean"] == 0.9
    assert len(found) == 3
    shown = projections_wide(found.reset_index())
    assert shown["tid"].tolist() == ["0.700 (0.600 to 0.800)", "0.500", "0.900"]
    assert of_test(table, "srcc", human=True, subset="real_exact")["method"].tolist() == ["disentangle-norm", "vsi"]
    assert projections_wide(projections(table.iloc[:0])).empty
