"""The pairs of test images on which chosen methods disagree most (gMAD): candidates for human eyes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from causaliqa.errors import ConfigError
from causaliqa.evaluate.gmad import GMAD_COLUMNS, LARGEST_BIN, gmad_pairs
from causaliqa.evaluate.paired import method_labels
from causaliqa.labelfree import NORM

#: Settings that may attack or defend; the others were fitted on opinions.
_SETTINGS = ("baseline", "label_free", "pseudo_mos")
#: Share of the defender's ranks that counts as equal.
WIDTH = 0.05
#: What the default pair is made of: the label-free projection that the project shows first, and the classical metric.
_OURS, _CLASSICAL = NORM, "mdsi"


def default_pairs(labels: pd.Series, settings: pd.Series) -> list[list[str]]:
    """Return the first label-free method and MDSI; nothing if one of them is not there.

    Parameters
    ----------
    labels, settings : of the rows of a score table, see :func:`causaliqa.evaluate.paired.method_labels`.
    """
    free = sorted(labels[settings == "label_free"].unique())
    ours = [name for name in free if name.split(" · ")[0] == _OURS] or free
    classical = sorted(name for name in labels[settings == "baseline"].unique() if name.split(" · ")[0] == _CLASSICAL)
    return [[ours[0], classical[0]]] if ours and classical else []


def gmad_table(
    scores: pd.DataFrame, images: Mapping[str, pd.DataFrame], pairs: Sequence[Sequence[str]] | None
) -> pd.DataFrame:
    """Return the pairs of images of each degraded set on which two methods disagree most.

    Parameters
    ----------
    scores : score tables of all methods; a metric that stands in two files counts once.
    images : dataset -> rows of its test images.
    pairs : two labels each, ``evaluate.gmad``; None: :func:`default_pairs`.

    Returns
    -------
    DataFrame
        :data:`causaliqa.evaluate.gmad.GMAD_COLUMNS`: each method defends in turn, one pair at low and one at high
        quality. A set on which one of the two gives every image the same score has no rows.

    Raises
    ------
    ConfigError
        If a pair names a method that is not there, or one method twice.
    """
    kept = scores[scores["setting"].isin(_SETTINGS) & scores["dataset"].isin(list(images))]
    kept = kept.drop_duplicates(ignore_index=True)
    labels = method_labels(kept)
    chosen = default_pairs(labels, kept["setting"]) if pairs is None else pairs
    known = sorted(labels.unique())
    parts = []
    for number, (first, second) in enumerate(chosen):
        for name in (first, second):
            if name not in known:
                raise ConfigError(f"evaluate.gmad[{number}]: no method {name!r}; there are {', '.join(known)}")
        if first == second:
            raise ConfigError(f"evaluate.gmad[{number}]: {first!r} cannot attack itself; name two methods")
        both = kept[labels.isin([first, second])].assign(label=labels)
        for dataset, rows in images.items():
            mine = both[(both["dataset"] == dataset) & both["image"].isin(rows["image"])]
            spread = mine.groupby("label")["score"].nunique()
            if len(spread) < 2 or spread.min() < 2:
                continue
            # Large sets would put more images into a bin than can be compared; their bins are narrower.
            width = min(WIDTH, 0.9 * LARGEST_BIN / len(rows))
            names = dict(zip((first, second), _alone(mine, first, second), strict=True))
            found = gmad_pairs(mine.drop(columns="label"), names[first], names[second], width=width)
            back = {alone: name for name, alone in names.items()}
            parts.append(found.assign(defender=found["defender"].map(back), attacker=found["attacker"].map(back)))
    if not parts:
        return pd.DataFrame(columns=GMAD_COLUMNS)
    return pd.concat(parts, ignore_index=True)[GMAD_COLUMNS]


def _alone(rows: pd.DataFrame, *names: str) -> list[str]:
    """Return the labels that methods have when only `rows` are there: what told them from others is gone."""
    short = method_labels(rows).to_numpy()
    label = rows["label"].to_numpy()
    return [str(short[np.flatnonzero(label == name)[0]]) for name in names]
