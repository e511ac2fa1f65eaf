"""Stage project: fit label-free projections, score every pair, bundle model and projection into one metric file."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from causaliqa.config import Embed, Project
from causaliqa.datasets.names import REFERENCE
from causaliqa.degradations.registry import IMPERCEPTIBLE
from causaliqa.disentangle.features import feature_columns
from causaliqa.errors import DataError
from causaliqa.io import read_json, read_parquet, read_tensors, write_tensors
from causaliqa.labelfree import PREFIX, SIGNED
from causaliqa.labelfree.anchors import ANCHORED, consensus_pairs, fit_weights, severity_pairs
from causaliqa.labelfree.manifolds import DETERMINISTIC, LEAST, MOST, inductive, transductive
from causaliqa.labelfree.projections import Projection, fit
from causaliqa.tables import ABLATION, quality, read_scores, score_table, write_scores


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


def _anchored(method: str, train: pd.DataFrame, values: np.ndarray, consensus: Sequence[Path]) -> Projection:
    """Fit the projection ``severity`` or ``consensus``, see :mod:`causaliqa.labelfree.anchors`."""
    if method == "severity":
        pairs = severity_pairs(train)
    else:
        if not consensus:
            raise DataError("projection consensus: no consensus scores of the synthetic pairs are given (--consensus)")
        opinion = read_scores(*consensus)
        known = opinion.assign(quality=quality(opinion)).set_index(["dataset", "image"])["quality"]
        found = known.reindex(pd.MultiIndex.from_frame(train[["dataset", "image"]])).to_numpy(dtype=np.float64)
        if not np.isfinite(found).all():
            image = train["image"].iloc[int(np.flatnonzero(~np.isfinite(found))[0])]
            raise DataError(f"projection consensus: no score for image {image!r}; run stage baselines again")
        pairs = consensus_pairs(found, train["dataset"].to_numpy(dtype=str))
    return Projection(method, fit_weights(values, pairs)[:, None], np.array([SIGNED]))


def _labelled(rows: pd.DataFrame) -> bool:
    """Tell the pairs of a labelled set from those of a degraded one, which has copies without visible change."""
    return bool((rows["partition"] == "test").all() and not (rows["distortion"] == IMPERCEPTIBLE).any())


def _manifolds(
    rows: pd.DataFrame,
    names: Sequence[str],
    train: np.ndarray,
    norm: Projection,
    params: Project,
    scored: Callable[..., pd.DataFrame],
) -> list[pd.DataFrame]:
    """Score one labelled set by every manifold; one that draws at random has scores for each seed."""
    values = rows[list(names)].to_numpy(dtype=np.float64)
    scale = np.sqrt(np.square(train).mean(axis=0))
    found = []
    for method in params.inductive:
        # All train pairs span the same manifold whatever the seed.
        single = len(train) <= params.manifold_points
        for seed in range(1 if single else params.manifold_seeds):
            line = inductive(train, norm.distance(train), values, points=params.manifold_points, seed=seed)
            found.append(scored(rows, line, method if single else f"{method}-{seed}", ABLATION))
    if params.transductive and not LEAST <= len(rows) <= MOST:
        dataset = rows["dataset"].iloc[0]
        sys.stderr.write(
            f"{dataset}: {len(rows)} pairs, no transductive manifold is fitted; it takes {LEAST} to {MOST}\n"
        )
        return found
    for name in params.transductive:
        single = name in DETERMINISTIC
        for seed in range(1 if single else params.manifold_seeds):
            line = transductive(name, values, norm.distance(values), scale, seed=seed)
            title = f"transductive-{name}" if single else f"transductive-{name}-{seed}"
            found.append(scored(rows, line, title, ABLATION))
    return found


def run(
    model: Path,
    features: Sequence[Path],
    out: Path,
    params: Project,
    embed: Embed,
    consensus: Sequence[Path] = (),
) -> dict[str, int]:
    """Write ``scores.parquet`` and ``metric.safetensors``; return the number of pairs fitted on and scored.

    Parameters
    ----------
    consensus : score tables of the scenario's synthetic sets, for the projection ``consensus``.

    Raises
    ------
    DataError
        If features or consensus scores are missing, or the code has collapsed.
    """
    description = read_json(model / "model.json")
    table = read_features(features)
    names = feature_columns(table)
    train = training_rows(table, description["datasets"])
    seen = train[names].to_numpy(dtype=np.float64)
    fitted: dict[str, Projection] = {
        method: _anchored(method, train, seen, consensus) if method in ANCHORED else fit(method, seen, names)
        for method in params.methods
    }
    values = table[names].to_numpy(dtype=np.float64)

    def scored(rows: pd.DataFrame, distance: np.ndarray, method: str, setting: str = "label_free") -> pd.DataFrame:
        return score_table(
            rows,
            distance,
            method=PREFIX + method,
            setting=setting,
            higher_is_better=False,
            model=f"{description['scenario']}/{description['variant']}",
            seed=description["seed"],
        )

    scores = [scored(table, projection.distance(values), method) for method, projection in fitted.items()]
    if params.inductive or params.transductive:
        norm = fit("norm", seen, names)
        for _, rows in table.groupby("dataset", sort=True):
            if _labelled(rows):
                scores += _manifolds(rows, names, seen, norm, params, scored)
    write_scores(out / "scores.parquet", pd.concat(scores, ignore_index=True))
    tensors = {f"model.{name}": value for name, value in read_tensors(model / "model.safetensors").items()}
    for method, item in fitted.items():
        tensors |= {f"projection.{method}": torch.from_numpy(item.matrix)}
        tensors |= {f"groups.{method}": torch.from_numpy(item.groups)}
    about = {**description, "percentile": embed.percentile, "default": params.methods[0]}
    write_tensors(out / "metric.safetensors", tensors, {"causaliqa": json.dumps(about, sort_keys=True)})
    return {"fitted": len(train), "scored": len(table)}
