"""Figures made of cells or of a plane: severity by type, transfer between domains, the feature plane."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from causaliqa.figures.points import TESTS
from causaliqa.figures.style import FAINT, INK, PALETTE, SEQUENTIAL, empty, plain_grid, short, styled, text_on


def _floor(values: np.ndarray) -> float:
    """Return the lower end of a colour scale up to 1: below the data, never so high that noise looks like signal."""
    finite = values[np.isfinite(values)]
    return min(0.5, float(np.floor(10 * finite.min()) / 10)) if finite.size else 0.0


@styled
def severity_heat_map(table: pd.DataFrame) -> Figure:
    """Severity SRCC: one row a type, one column a method.

    Parameters
    ----------
    table : columns ``label, distortion, value``; methods in the order of their first rows.
    """
    if table.empty:
        return empty("no severity correlations")
    methods = list(dict.fromkeys(table["label"]))
    grid = table.pivot_table(index="distortion", columns="label", values="value", sort=True)[methods]
    # Hardest types first: they are what a reader looks for.
    grid = grid.iloc[np.lexsort((np.arange(len(grid)), grid.mean(axis=1).to_numpy()))]
    values = grid.to_numpy(dtype=float)
    norm, shades = Normalize(_floor(values), 1.0), colormaps[SEQUENTIAL]
    figure = Figure(figsize=(2.6 + 0.52 * len(methods), 2.4 + 0.245 * len(grid)), layout="constrained")
    axes = figure.subplots()
    picture = axes.pcolormesh(values, cmap=shades, norm=norm, edgecolors="white", linewidth=0.8)
    for (line, column), value in np.ndenumerate(values):
        colour = text_on(shades(norm(value))) if np.isfinite(value) else FAINT
        axes.text(column + 0.5, line + 0.5, short(value), ha="center", va="center", fontsize=7.5, color=colour)
    axes.set_yticks(np.arange(len(grid)) + 0.5, list(grid.index))
    axes.set_xticks(np.arange(len(methods)) + 0.5, methods, rotation=45, ha="left", rotation_mode="anchor")
    axes.xaxis.tick_top()
    axes.invert_yaxis()
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    bar = figure.colorbar(picture, ax=axes, fraction=0.03, pad=0.02, aspect=35)
    bar.set_label("severity SRCC")
    bar.outline.set_visible(False)
    return figure


@styled
def transfer_matrix(table: pd.DataFrame, tests: Sequence[str]) -> Figure:
    """Value of each method on each dataset; the cells of datasets that a model was trained on are framed.

    Parameters
    ----------
    table : columns ``label, dataset, test, value, low, high, trained`` (bool); rows and columns in their first order.
    tests : one panel each, stacked.
    """
    tests = [test for test in tests if (table["test"] == test).any()]
    if not tests:
        return empty("no dataset was evaluated with these tests")
    methods = list(dict.fromkeys(table["label"]))
    datasets = list(dict.fromkeys(table["dataset"]))
    height = (0.46 * len(methods) + 0.45) * len(tests) + 1.2
    figure = Figure(figsize=(2.9 + 1.32 * len(datasets), height), layout="constrained")
    panels = figure.subplots(len(tests), 1, squeeze=False, sharex=True)[:, 0]
    shades = colormaps[SEQUENTIAL]
    for axes, test in zip(panels, tests, strict=True):
        rows = table[table["test"] == test]
        norm = Normalize(_floor(rows["value"].to_numpy(dtype=float)), 1.0)
        for row in rows.itertuples():
            x, y = datasets.index(str(row.dataset)), methods.index(str(row.label))
            value, low, high = float(row.value), float(row.low), float(row.high)  # type: ignore[arg-type]
            shade = shades(norm(value))
            axes.add_patch(Rectangle((x + 0.02, y + 0.02), 0.96, 0.96, facecolor=shade))
            known = np.isfinite([low, high]).all()
            axes.text(x + 0.5, y + (0.34 if known else 0.5), short(value), ha="center", va="center",
                      fontsize=9.5, color=text_on(shade))  # fmt: skip
            if known:
                axes.text(x + 0.5, y + 0.72, f"[{short(low)}, {short(high)}]", ha="center", va="center",
                          fontsize=7.5, color=text_on(shade))  # fmt: skip
            if row.trained:
                axes.add_patch(
                    Rectangle((x + 0.045, y + 0.055), 0.91, 0.89, fill=False, edgecolor=PALETTE[1], linewidth=2.4)
                )
        axes.set_xlim(0, len(datasets))
        axes.set_ylim(len(methods), 0)
        axes.set_yticks(np.arange(len(methods)) + 0.5, methods)
        axes.set_xticks(np.arange(len(datasets)) + 0.5, [name.replace("_", "\n", 1) for name in datasets])
        axes.tick_params(length=0)
        axes.set_title(TESTS.get(test, (test, None))[0], loc="left")
        for spine in axes.spines.values():
            spine.set_visible(False)
    handle = Line2D([], [], linestyle="none", marker="s", markersize=9, markerfacecolor="none")
    handle.set(
        markeredgecolor=PALETTE[1], markeredgewidth=2, label="the model was trained on references of this dataset"
    )
    if table["trained"].any():
        figure.legend(handles=[handle], loc="outside lower center")
    return figure


def _spread_labels(axes_points: np.ndarray, gap: float) -> np.ndarray:
    """Move label heights apart, in order of height, so that neighbours are at least `gap` apart; shape (N,)."""
    order = np.argsort(axes_points, kind="stable")
    placed = axes_points[order].astype(float)
    for _ in range(200):
        step = np.diff(placed)
        close = np.flatnonzero(step < gap - 1e-9)
        if close.size == 0:
            break
        for index in close:
            push = (gap - (placed[index + 1] - placed[index])) / 2
            placed[index] -= push
            placed[index + 1] += push
    moved = np.empty_like(placed)
    moved[order] = placed
    return moved


@styled
def feature_map(points: pd.DataFrame, share: tuple[float, float]) -> Figure:
    """Plane of the first two principal components, coloured by family and type on the left, by severity on the right.

    Parameters
    ----------
    points : columns ``x, y, distortion, family, level``; level >= 1.
    share : fraction of the variance that each axis explains.
    """
    if points.empty:
        return empty("no features")
    families = sorted(points["family"].unique())
    colour = {family: PALETTE[index % len(PALETTE)] for index, family in enumerate(families)}
    marker = dict(zip(families, "osD^vP*X" * len(families), strict=False))
    figure = Figure(figsize=(11.2, 5.4), layout="constrained")
    left, right = figure.subplots(1, 2, sharex=True, sharey=True, width_ratios=[1.22, 1.0])
    size = 5.0 + 4.0 * points["level"].to_numpy(dtype=float)
    for family in families:
        chosen = (points["family"] == family).to_numpy()
        rows = points[chosen]
        left.scatter(
            rows["x"], rows["y"], s=size[chosen], color=colour[family], marker=marker[family], alpha=0.55, linewidth=0
        )
    worst = points[points["level"] == points.groupby("distortion")["level"].transform("max")]
    ends = worst.groupby("distortion").agg(x=("x", "median"), y=("y", "median"), family=("family", "first"))
    low, high = float(points["y"].min()), float(points["y"].max())
    first, last = float(points["x"].min()), float(points["x"].max())
    # Labels stand in one column at the right edge, tied to their type's strongest level by a thin line.
    heights = _spread_labels(ends["y"].to_numpy(dtype=float), (high - low) * 1.06 / max(len(ends), 24))
    heights -= max(0.0, heights.max() - high)
    heights += max(0.0, low - heights.min())
    edge = last + 0.05 * (last - first)
    for y, row in zip(heights, ends.itertuples(), strict=True):
        left.plot([float(row.x), edge], [float(row.y), y], color=colour[str(row.family)], linewidth=0.5, alpha=0.6)  # type: ignore[arg-type]
        left.text(edge, y, f" {row.Index}", fontsize=7.5, va="center", color=INK)
    left.set_xlim(first - 0.03 * (last - first), last + 0.42 * (last - first))
    left.set_title("type (colour and marker: family; size: level)")
    handles = [
        Line2D([], [], linestyle="none", marker=marker[f], color=colour[f], markersize=6, label=f) for f in families
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
    drawn = right.scatter(
        points["x"], points["y"], c=points["level"], s=size, cmap=f"{SEQUENTIAL}_r", alpha=0.8, linewidth=0
    )
    right.set_title("severity")
    bar = figure.colorbar(drawn, ax=right, ticks=sorted(points["level"].unique()), fraction=0.04, pad=0.02)
    bar.set_label("level")
    for axes in (left, right):
        axes.set_xlabel(f"first principal component ({share[0]:.0%} of the variance)")
        plain_grid(axes)
    left.set_ylabel(f"second principal component ({share[1]:.0%})")
    return figure
