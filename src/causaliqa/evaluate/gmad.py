"""Pairs of images on which two methods disagree most: group maximum differentiation.

After Ma, Wu, Wang, Duanmu, Yong, Li and Zhang (CVPR 2016) and Ma, Duanmu, Wang, Wu, Liu, Yong, Li and Zhang (IEEE
Trans. Pattern Anal. Mach. Intell. 42(4), 2020). One method defends: among images that it calls equally good, the
other, the attacker, names the best and the worst. If people see a difference, the defender is refuted; if not, the
attacker is.
No opinions are needed to find the pairs, so any set of degraded images will do.

The paper takes images within a fixed distance on a scale fitted to opinions. Here no opinions are used: images count
as equal within a share `width` of the defender's ranks (or of its range), and what is left of the defender's
difference stands in every row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from causaliqa.datasets.names import REFERENCE
from causaliqa.errors import ConfigError, DataError
from causaliqa.evaluate.paired import method_labels
from causaliqa.tables import quality

Contents = Literal["any", "same", "different"]

#: Columns of a table of pairs.
#:
#: level : centre of the bin, as a share of the defender's ranks or range; 0 is its worst image
#: image_a, image_b : the attacker calls a better than b, the defender calls them equal
#: defender_a ... attacker_b : scores turned so that larger is better
#: defender_gap, attacker_gap : their differences as a share of the method's ranks over all images
#: opinion_a, opinion_b : if there are any, larger is better, else NaN
#: n_bin : images that the defender calls equal
GMAD_COLUMNS = [
    "dataset", "defender", "attacker", "level", "pair", "image_a", "image_b", "reference_a", "reference_b",
    "distortion_a", "distortion_b", "defender_a", "defender_b", "attacker_a", "attacker_b", "defender_gap",
    "attacker_gap", "opinion_a", "opinion_b", "n_bin",
]  # fmt: skip
#: Images in a bin at the most: all their pairs are held in memory.
LARGEST_BIN = 4000


def _shares(values: np.ndarray) -> np.ndarray:
    """Return ranks as shares in [0, 1], shape (N,)."""
    return np.asarray((rankdata(values) - 1.0) / (len(values) - 1.0))


def best_pairs(
    attacker: np.ndarray, reference: np.ndarray, count: int, contents: Contents = "any"
) -> list[tuple[int, int]]:
    """Return (better, worse) indices of up to `count` pairs of largest difference; no image is used twice.

    Parameters
    ----------
    attacker : larger is better, shape (n,), at most :data:`LARGEST_BIN`.
    reference : index or name of each image's content, shape (n,).
    contents : which two images may meet: of ``any`` contents, of the ``same`` one or of ``different`` ones.
    """
    if len(attacker) < 2:
        return []
    gap = attacker[:, None] - attacker[None, :]
    if contents != "any":
        same = reference[:, None] == reference[None, :]
        gap[~same if contents == "same" else same] = -np.inf
    np.fill_diagonal(gap, -np.inf)
    chosen: list[tuple[int, int]] = []
    while len(chosen) < count:
        better, worse = (int(index) for index in np.unravel_index(np.argmax(gap), gap.shape))
        if not gap[better, worse] > 0:
            break
        chosen.append((better, worse))
        for used in (better, worse):
            gap[used], gap[:, used] = -np.inf, -np.inf
    return chosen


def _attack(
    images: pd.DataFrame, defender: np.ndarray, attacker: np.ndarray, names: tuple[str, str],
    levels: Sequence[float], width: float, count: int, contents: Contents, scale: str,
) -> list[dict[str, Any]]:  # fmt: skip
    ranks, ranks_attacker = _shares(defender), _shares(attacker)
    reach = float(defender.max() - defender.min())
    if reach == 0.0:
        raise DataError(f"{names[0]}: gives every image the same score; it cannot defend, leave it out")
    position = ranks if scale == "rank" else (defender - defender.min()) / reach
    reference = images["reference"].to_numpy()
    rows = []
    for level in levels:
        inside = np.flatnonzero(np.abs(position - level) <= width / 2.0 + 1e-12)
        if len(inside) > LARGEST_BIN:
            raise DataError(f"{names[0]}: calls {len(inside)} images equal at level {level}; choose a smaller width")
        for number, (a, b) in enumerate(best_pairs(attacker[inside], reference[inside], count, contents)):
            a, b = int(inside[a]), int(inside[b])
            row: dict[str, Any] = {
                "dataset": images["dataset"].iloc[a], "defender": names[0], "attacker": names[1], "level": level,
                "pair": number, "defender_gap": float(abs(ranks[a] - ranks[b])),
                "attacker_gap": float(ranks_attacker[a] - ranks_attacker[b]), "n_bin": len(inside),
            }  # fmt: skip
            for side, index in (("a", a), ("b", b)):
                for column in ("image", "reference", "distortion", "opinion"):
                    row[f"{column}_{side}"] = images[column].iloc[index]
                row[f"defender_{side}"], row[f"attacker_{side}"] = float(defender[index]), float(attacker[index])
            rows.append(row)
    return rows


def gmad_pairs(
    scores: pd.DataFrame, method_a: str, method_b: str, *, levels: Sequence[float] = (0.15, 0.85), width: float = 0.05,
    count: int = 1, contents: Contents = "any", scale: Literal["rank", "value"] = "rank",
    opinions: pd.DataFrame | None = None,
) -> pd.DataFrame:  # fmt: skip
    """Return the pairs on which two methods disagree most, each method defending in turn.

    Parameters
    ----------
    scores : score table (:data:`causaliqa.tables.SCORE_COLUMNS`) of one dataset with both methods on the same images;
        references are left out.
    method_a, method_b : labels, see :func:`causaliqa.evaluate.paired.method_labels`: the method's name if that is
        enough to find it.
    levels : where the defender's bins are centred, in [0, 1]; by default one at low and one at high quality.
    width : of a bin, in (0, 1].
    count : pairs for each defender and level; a narrow bin may hold fewer.
    contents : ``any``, ``same`` or ``different``: whether the two images may or must share their reference. For
        full-reference methods ``same`` leaves the degradation alone to differ.
    scale : whether `levels` and `width` are shares of the defender's ``rank`` or of its range of values (``value``).
    opinions : columns ``image, opinion``, larger is better; copied into the rows to see who is right.

    Returns
    -------
    DataFrame
        :data:`GMAD_COLUMNS`, by defender (`method_a` first), level and pair. A level whose bin has no pair with a
        difference gives no row.

    Raises
    ------
    DataError
        If a method is not in the table, the images differ, or the table holds several datasets.
    ConfigError
        If a level, the width, the count, the scale or the contents is out of range.
    """
    if not all(0.0 <= level <= 1.0 for level in levels) or not 0.0 < width <= 1.0 or count < 1:
        raise ConfigError(f"levels {tuple(levels)}, width {width}, count {count}: need [0, 1], (0, 1] and at least 1")
    if contents not in ("any", "same", "different") or scale not in ("rank", "value"):
        raise ConfigError(f"contents {contents!r}, scale {scale!r}: need any, same or different, and rank or value")
    kept = scores[scores["distortion"] != REFERENCE]
    if kept["dataset"].nunique() != 1:
        raise DataError(f"scores: {kept['dataset'].nunique()} datasets; give the scores of one")
    kept = kept.assign(label=method_labels(kept), quality=quality(kept))
    tables = []
    for name in (method_a, method_b):
        part = kept[kept["label"] == name].sort_values("image", kind="stable").reset_index(drop=True)
        if part.empty:
            raise DataError(f"scores: no method {name!r}; there are {', '.join(sorted(kept['label'].unique()))}")
        if part["image"].duplicated().any():
            twice = part.loc[part["image"].duplicated(), "image"].iloc[0]
            raise DataError(f"{name}: scores image {twice!r} twice; give each score table once")
        tables.append(part)
    one, two = tables
    if list(one["image"]) != list(two["image"]) or len(one) < 2:
        lost = sorted(set(one["image"]) ^ set(two["image"]))
        what = f"image {lost[0]!r} has no score of one of them" if lost else "only one image"
        raise DataError(f"{method_a} and {method_b}: {what}; run both on the same two images or more")
    images = one[["dataset", "image", "reference", "distortion"]].assign(opinion=np.nan)
    if opinions is not None:
        known = opinions.drop_duplicates("image").set_index("image")["opinion"]
        images["opinion"] = known.reindex(images["image"]).to_numpy(dtype=np.float64)
    values = (one["quality"].to_numpy(dtype=np.float64), two["quality"].to_numpy(dtype=np.float64))
    for name, found in zip((method_a, method_b), values, strict=True):
        if not np.isfinite(found).all():
            bad = images["image"].iloc[int(np.flatnonzero(~np.isfinite(found))[0])]
            raise DataError(f"{name}: the score of image {bad!r} is not finite; run the method again")
    rows = []
    for defender, attacker, names in (
        (values[0], values[1], (method_a, method_b)),
        (values[1], values[0], (method_b, method_a)),
    ):
        rows += _attack(images, defender, attacker, names, levels, width, count, contents, scale)
    return pd.DataFrame(rows, columns=GMAD_COLUMNS)
