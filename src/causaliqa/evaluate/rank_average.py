"""Baselines that are averages of ranks: a training-free bar above single metrics.

An average is relative to its set: the normalised rank of an image depends on which other images the dataset has
(it is transductive), there is no score of a single pair, and scores of two datasets are not comparable. That is enough
for rank correlations within a dataset, and it is not what a metric can be used for elsewhere.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from causaliqa.baselines.ranks import mean_rank
from causaliqa.errors import ConfigError, DataError
from causaliqa.tables import SCORE_COLUMNS, quality, score_table

_IMAGE = ["image", "reference", "distortion", "level"]


def rank_averages(scores: pd.DataFrame, averages: Mapping[str, Sequence[str]], datasets: Iterable[str]) -> pd.DataFrame:
    """Return the averages as a score table of setting ``baseline``: mean of the members' normalised ranks.

    Parameters
    ----------
    scores : score table with the members as setting ``baseline``; a metric that stands in two files counts once.
    averages : members by the average's name, ``evaluate.rank_averages``.
    datasets : each on which all members are scored gets the averages, over all its scored images.

    Returns
    -------
    DataFrame
        :data:`causaliqa.tables.SCORE_COLUMNS`; larger is better, in [0, 1].

    Raises
    ------
    ConfigError
        If a member is scored on no dataset, the members on no common one, or an average has the name of a method.
    DataError
        If the members' images differ, or one is scored twice.
    """
    known = scores[scores["setting"] == "baseline"].drop_duplicates(ignore_index=True)
    parts = []
    for name, members in averages.items():
        key = f"evaluate.rank_averages.{name}"
        if (scores["method"] == name).any():
            raise ConfigError(f"{key}: a method has this name; choose another")
        for dataset in _where(known, members, datasets):
            parts.append(_average(known[known["dataset"] == dataset], dataset, name, members, key))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=SCORE_COLUMNS)


def _where(known: pd.DataFrame, members: Sequence[str], datasets: Iterable[str]) -> list[str]:
    """Return the datasets on which all members are scored; all of them if there is none, to say what is missing.

    Slow metrics are scored on labelled sets alone (``baselines.labelled_metrics``).
    """
    names = list(datasets)
    scored = {name: set(known.loc[known["dataset"] == name, "method"]) for name in names}
    return [name for name in names if set(members) <= scored[name]] or names


def _average(known: pd.DataFrame, dataset: str, name: str, members: Sequence[str], key: str) -> pd.DataFrame:
    names = sorted(known["method"].unique())
    for member in members:
        if member not in names:
            close = difflib.get_close_matches(member, names, n=1, cutoff=0.5)
            hint = f"did you mean {close[0]!r}?" if close else f"scored are {', '.join(names) or 'none'}"
            raise ConfigError(
                f"{key}: metric {member!r} is not scored on {dataset}; add it to baselines.metrics, or {hint}"
            )
    images: pd.DataFrame | None = None
    qualities = []
    for member in members:
        part = known[known["method"] == member].sort_values("image", kind="stable").reset_index(drop=True)
        if part["image"].duplicated().any():
            twice = part.loc[part["image"].duplicated(), "image"].iloc[0]
            raise DataError(f"{member} on {dataset}: two scores for image {twice!r}; give each score table once")
        if images is None:
            images = part[["dataset", *_IMAGE]]
        elif list(images["image"]) != list(part["image"]):
            lost = sorted(set(images["image"]) ^ set(part["image"]))[0]
            raise DataError(f"{key}: image {lost!r} of {dataset} is not scored by every member; run stage baselines")
        qualities.append(quality(part))
    if images is None:
        raise ConfigError(f"{key}: names no metric; name two or more")
    return score_table(images, mean_rank(qualities), method=name, setting="baseline", higher_is_better=True)
