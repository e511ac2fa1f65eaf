"""Stage project: fit label-free projections, score every pair, bundle model and projection into one metric file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import torch

from causaliqa.config import Embed, Project
from causaliqa.datasets.names import REFERENCE
from causaliqa.disentangle.features import feature_columns
from causaliqa.errors import DataError
from causaliqa.io import read_json, read_parquet, read_tensors, write_tensors
from causaliqa.labelfree.projections import Projection, fit
from causaliqa.tables import score_table, write_scores

#: Prefix of the method names of our model.
PREFIX = "disentangle-"


def read_features(paths: Sequence[Path]) -> pd.DataFrame:
    """Read and join feature tables, without the rows that compare a reference with itself.

    Raises
    ------
    DataError
        If a file is missing or truncated, or the tables do not have the same columns.
    """
    tables = [read_parquet(path) for path in paths]
    for path, table in zip(paths, tables, strict=True):
        if list(table.columns) != list(tables[0].columns):
            raise DataError(f"{path}: its columns differ from those of {paths[0]}; embed both with the same model")
    joined = pd.concat(tables, ignore_index=True)
    return joined[joined["distortion"] != REFERENCE].reset_index(drop=True)


def training_rows(table: pd.DataFrame, datasets: Sequence[str]) -> pd.DataFrame:
    """Return the pairs of the scenario's train references.

    Raises
    ------
    DataError
        If there are none.
    """
    rows = table[table["dataset"].isin(datasets) & (table["partition"] == "train")]
    if rows.empty:
        raise DataError(
            f"no features of train references of {', '.join(datasets)}; embed these sets with the model first"
        )
    return rows


def run(model: Path, features: Sequence[Path], out: Path, params: Project, embed: Embed) -> dict[str, int]:
    """Write ``scores.parquet`` and ``metric.safetensors``; return the number of pairs fitted on and scored."""
    description = read_json(model / "model.json")
    table = read_features(features)
    names = feature_columns(table)
    train = training_rows(table, description["datasets"])
    fitted: dict[str, Projection] = {method: fit(method, train[names].to_numpy(), names) for method in params.methods}
    values = table[names].to_numpy()
    scores = [
        score_table(
            table,
            projection.distance(values),
            method=PREFIX + method,
            setting="label_free",
            higher_is_better=False,
            model=f"{description['scenario']}/{description['variant']}",
            seed=description["seed"],
        )
        for method, projection in fitted.items()
    ]
    write_scores(out / "scores.parquet", pd.concat(scores, ignore_index=True))
    tensors = {f"model.{name}": value for name, value in read_tensors(model / "model.safetensors").items()}
    tensors |= {f"projection.{method}": torch.from_numpy(item.matrix) for method, item in fitted.items()}
    about = {**description, "percentile": embed.percentile, "default": params.methods[0]}
    write_tensors(out / "metric.safetensors", tensors, {"causaliqa": json.dumps(about, sort_keys=True)})
    return {"fitted": len(train), "scored": len(table)}
