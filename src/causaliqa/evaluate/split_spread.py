"""What one published split can say: agreement on the test part of each split of a labelled dataset.

Papers report one random division of the references, or the median of ten. Nothing is fitted here, so all that changes
from split to split is which references are judged: the spread is what two papers may differ by for no reason at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from causaliqa.datasets.raw import SPLITS
from causaliqa.datasets.splits import Split, read_splits
from causaliqa.evaluate.correlation import fit_logistic, srcc
from causaliqa.evaluate.judged import NAME, SMALLEST, Judged
from causaliqa.progress import progress

#: Columns of the table of spreads.
#:
#: value : on all images; median, sd, low, high : over the test parts, the last two the least and the largest value
#: n_splits : splits with enough images; n_distinct : different test parts among them
#: n_images, n_references : median size of a test part
SPREAD_COLUMNS = [
    "dataset", "domain", "target", "human", *NAME, "test", "value", "n_splits", "n_distinct", "median", "sd", "low",
    "high", "n_images", "n_references",
]  # fmt: skip
#: Columns of the table of single splits.
SPLIT_COLUMNS = ["dataset", *NAME, "split", "test", "value", "n_images", "n_references"]
#: Least number of images of a test part: the logistic has five parameters.
LEAST = {"srcc": 4, "plcc": SMALLEST}


def _tests(x: np.ndarray, y: np.ndarray) -> dict[str, float]:
    """Return SRCC and PLCC after the 5-parameter logistic, fitted on these images, where there are enough."""
    values = {"srcc": srcc(x, y)} if len(x) >= LEAST["srcc"] else {}
    return values | ({"plcc": fit_logistic(x, y, "5p").plcc} if len(x) >= LEAST["plcc"] else {})


def _parts(item: Judged, splits: Sequence[Split]) -> list[tuple[str, tuple[str, ...], np.ndarray]]:
    """Return (name of the split, its test references, images).

    Raises
    ------
    DataError
        If a split does not know a reference of the dataset.
    """
    references = item.images["reference"].to_numpy(dtype=str)
    found = []
    for split in splits:
        mine = tuple(name for name in np.unique(references).tolist() if split.part_of(name) == "test")
        found.append((split.name, mine, np.flatnonzero(np.isin(references, mine))))
    return found


def split_spread(judged: Sequence[Judged]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return every method's spread over the splits of each dataset, and the value of each split.

    Parameters
    ----------
    judged : see :func:`causaliqa.evaluate.judged.read_judged`. The splits are those of ``splits.json``, written by
        stage fetch; a dataset with fewer than three references has none, and no rows.

    Returns
    -------
    spread : :data:`SPREAD_COLUMNS`. A test part with less than :data:`LEAST` images counts in no row.
    values : :data:`SPLIT_COLUMNS`.

    Raises
    ------
    DataError
        If the splits are missing, damaged, or made for another copy of the dataset.
    """
    rows: list[dict[str, Any]] = []
    singles: list[dict[str, Any]] = []
    for item in progress(judged, desc="evaluate splits", unit="dataset"):
        parts = _parts(item, read_splits(item.folder / SPLITS))
        everything = np.arange(len(item.images))
        for method in item.competing_on(everything):
            whole = _tests(method.quality, item.opinion)
            single = [
                {"dataset": item.dataset, **method.name, "split": name, "test": test, "value": value,
                 "n_images": len(chosen), "n_references": len(test_part)}
                for name, test_part, chosen in parts
                for test, value in _tests(method.quality[chosen], item.opinion[chosen]).items()
            ]  # fmt: skip
            singles += single
            tests_of = {name: test_part for name, test_part, _ in parts}
            for test in LEAST:
                mine = [row for row in single if row["test"] == test]
                if not mine:
                    continue
                values = np.array([row["value"] for row in mine])
                rows.append(
                    {"dataset": item.dataset, "domain": item.about["domain"], "target": item.about["labels"]["kind"],
                     "human": item.human, **method.name, "test": test, "value": whole[test], "n_splits": len(mine),
                     "n_distinct": len({tests_of[row["split"]] for row in mine}), "median": float(np.median(values)),
                     "sd": float(values.std(ddof=1)) if len(values) > 1 else float("nan"),
                     "low": float(values.min()), "high": float(values.max()),
                     "n_images": float(np.median([row["n_images"] for row in mine])),
                     "n_references": float(np.median([row["n_references"] for row in mine]))}
                )  # fmt: skip
    spread = pd.DataFrame(rows, columns=SPREAD_COLUMNS)
    values_table = pd.DataFrame(singles, columns=SPLIT_COLUMNS)
    return (
        spread.sort_values(["dataset", *NAME, "test"], kind="stable", ignore_index=True),
        values_table.sort_values(["dataset", *NAME, "split", "test"], kind="stable", ignore_index=True),
    )
