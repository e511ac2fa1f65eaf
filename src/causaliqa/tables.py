"""The per-image score table: the one format that joins every method to the evaluation.

Every method, ours or a baseline, writes it; ``evaluate`` reads nothing else.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from causaliqa.errors import DataError
from causaliqa.io import read_parquet, write_parquet

#: Columns of a score table, in order.
#:
#: dataset, image, reference, distortion : str
#: level : int, 0 for a reference, larger is more severe within a distortion
#: method : str, e.g. ``gmsd`` or ``disentangle-pc1``
#: setting : str, ``baseline | label_free | manifold | few_label | supervised | published | pseudo_mos | mos``
#: labels : int, number of labelled images the method was fitted on, 0 if none
#: model : str, ``<scenario>/<variant>`` of the model behind the score, empty for baselines
#: seed : int, training seed, -1 where nothing is random
#: split : str, which draw or partition the method was fitted on, empty if none
#: higher_is_better : bool, declared by the method, never guessed
#: score : float64, finite
SCORE_COLUMNS = [
    "dataset",
    "image",
    "reference",
    "distortion",
    "level",
    "method",
    "setting",
    "labels",
    "model",
    "seed",
    "split",
    "higher_is_better",
    "score",
]
#: Columns that together name one method in one configuration.
METHOD_COLUMNS = ["method", "setting", "labels", "model", "seed", "split", "higher_is_better"]
#: Setting of ablations of the projection, several seeds each: rows of tables of agreement, competitors of nothing.
ABLATION = "manifold"
SETTINGS = ("baseline", "label_free", ABLATION, "few_label", "supervised", "published", "pseudo_mos", "mos")


def score_table(
    images: pd.DataFrame,
    score: np.ndarray,
    *,
    method: str,
    setting: str,
    higher_is_better: bool,
    labels: int = 0,
    model: str = "",
    seed: int = -1,
    split: str = "",
) -> pd.DataFrame:
    """Attach one method's scores to images.

    Parameters
    ----------
    images : DataFrame with the columns ``dataset, image, reference, distortion, level``; N rows.
    score : array of shape (N,), finite.
    higher_is_better : polarity of `score`, declared.

    Raises
    ------
    DataError
        If a score is not finite (named by its image) or the setting is unknown.
    """
    if setting not in SETTINGS:
        raise DataError(f"setting {setting!r} is not one of {', '.join(SETTINGS)}")
    values = np.asarray(score, dtype=np.float64)
    if values.shape != (len(images),):
        raise DataError(f"{method}: {values.shape} scores for {len(images)} images")
    if not np.isfinite(values).all():
        worst = images["image"].iloc[int(np.flatnonzero(~np.isfinite(values))[0])]
        raise DataError(f"{method}: the score of image {worst!r} is not finite")
    table = images[["dataset", "image", "reference", "distortion", "level"]].reset_index(drop=True)
    return table.assign(
        level=table["level"].astype(np.int64),
        method=method,
        setting=setting,
        labels=np.int64(labels),
        model=model,
        seed=np.int64(seed),
        split=split,
        higher_is_better=higher_is_better,
        score=values,
    )[SCORE_COLUMNS]


def write_scores(path: Path, table: pd.DataFrame) -> None:
    """Write a score table, sorted so that equal content gives equal bytes."""
    if list(table.columns) != SCORE_COLUMNS:
        raise DataError(f"{path}: a score table has the columns {', '.join(SCORE_COLUMNS)}")
    write_parquet(path, table.sort_values([*METHOD_COLUMNS, "dataset", "image"], kind="stable"))


def read_scores(*paths: Path) -> pd.DataFrame:
    """Read and join score tables.

    Raises
    ------
    DataError
        If a file is missing, truncated, or not a score table.
    """
    parts = []
    for path in paths:
        table = read_parquet(path)
        if missing := [name for name in SCORE_COLUMNS if name not in table.columns]:
            raise DataError(f"{path}: not a score table, it lacks {', '.join(missing)}")
        parts.append(table[SCORE_COLUMNS])
    return pd.concat(parts, ignore_index=True)


def quality(table: pd.DataFrame) -> np.ndarray:
    """Return scores oriented by their declared polarity: larger is better. Shape (N,)."""
    sign = np.where(table["higher_is_better"].to_numpy(dtype=bool), 1.0, -1.0)
    return np.asarray(sign * table["score"].to_numpy(dtype=np.float64))
