"""Figures of datasets: histograms of their scores, PSNR against them by distortion, methods against them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from causaliqa.figures.style import FAINT, INK, PALETTE, empty, plain_grid, short, styled

_COLUMNS = 4
_COLOURS = {
    "baseline": (PALETTE[7], "s"),
    "label_free": (PALETTE[0], "o"),
    "published": (PALETTE[2], "D"),
    "pseudo_mos": (PALETTE[6], "x"),
}


@styled
def score_histograms(results: Sequence[dict[str, Any]]) -> Figure:
    """Draw the histogram of each dataset's scores.

    Parameters
    ----------
    results : validations, see :func:`causaliqa.datasets.validate.validate`; those without scores are left out.
    """
    scored = [result for result in results if result["histogram"]]
    if not scored:
        return empty("no dataset of this run has scores")
    columns = min(_COLUMNS, len(scored))
    rows = math.ceil(len(scored) / columns)
    figure = Figure(figsize=(2.9 * columns + 0.3, 2.1 * rows + 0.2), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in panels[len(scored) :]:
        axes.set_axis_off()
    for axes, result in zip(panels, scored, strict=False):
        edges = np.asarray(result["histogram"]["edges"])
        axes.bar(edges[:-1], result["histogram"]["counts"], np.diff(edges), align="edge", color=PALETTE[0], alpha=0.85)
        direction = "higher is better" if result["labels"]["higher_is_better"] else "higher is worse"
        axes.set_title(result["dataset"], loc="left")
        axes.set_xlabel(f"{result['labels']['kind'].upper()}, {direction}")
        axes.set_ylabel("images")
        plain_grid(axes, "y")
    return figure


@styled
def dataset_sizes(results: Sequence[dict[str, Any]]) -> Figure:
    """Draw how many references and scored images each dataset has, on a logarithmic axis."""
    names = [str(result["dataset"]) for result in results]
    figure = Figure(figsize=(7.2, 0.8 + 0.36 * len(names)), layout="constrained")
    axes = figure.subplots()
    place = np.arange(len(names))[::-1]
    for key, text, colour, shift in (
        ("references", "references", PALETTE[0], 0.18),
        ("distorted", "images with a score", PALETTE[1], -0.18),
    ):
        counts = [int(result["found"][key]) for result in results]
        bars = axes.barh(place + shift, counts, 0.34, color=colour, label=text)
        axes.bar_label(bars, [f"{n:,}" if n else "" for n in counts], padding=3, fontsize=8)
    axes.set_xscale("symlog", linthresh=1)
    axes.set_yticks(place, names)
    axes.margins(x=0.12)
    axes.set_xlabel("images (logarithmic)")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, 1.0 + 0.9 / (1 + len(names))), ncols=2)
    plain_grid(axes, "x")
    return figure


@styled
def psnr_by_distortion(result: dict[str, Any]) -> Figure:
    """Draw the SRCC of PSNR with one dataset's scores by distortion, and the published value where one is known."""
    rows = [row for row in result["psnr"] if row["srcc"] is not None]
    if not rows:
        return empty(f"{result['dataset']}: no scores of pairs")
    figure = Figure(figsize=(7.2, 0.8 + 0.24 * len(rows)), layout="constrained")
    axes = figure.subplots()
    for index, row in enumerate(reversed(rows)):
        colour = INK if row["group"] == "all" else (PALETTE[1] if row["group"] == "provenance" else PALETTE[0])
        axes.plot(row["srcc"], index, "o", color=colour, markersize=5)
        if row["published"] is not None:
            axes.plot(row["published"], index, "|", color=FAINT, markersize=12, markeredgewidth=2)
        axes.annotate(
            short(row["srcc"]), (row["srcc"], index), (7, 0), textcoords="offset points", va="center", fontsize=8
        )
    axes.set_yticks(range(len(rows)), [f"{row['name']} ({row['n']})" for row in reversed(rows)])
    axes.set_xlim(min(-0.05, *(row["srcc"] for row in rows)) - 0.02, 1.08)
    axes.set_xlabel("SRCC of PSNR with the scores; | published for the whole dataset")
    axes.set_title(result["dataset"], loc="left")
    plain_grid(axes, "x")
    return figure


@styled
def methods_by_datasets(table: pd.DataFrame, title: str) -> Figure:
    """Dot plot: one row a method, one panel a dataset, with intervals over references.

    Parameters
    ----------
    table : rows of one test, columns ``dataset, label, setting, value, low, high, n_images``, in the order in which
        methods are drawn from top to bottom.
    title : what the horizontal axis shows.
    """
    if table.empty:
        return empty("no dataset with published scores is part of this run")
    datasets = list(dict.fromkeys(table["dataset"]))
    labels = list(dict.fromkeys(table["label"]))
    height = {label: len(labels) - 1 - index for index, label in enumerate(labels)}
    figure = Figure(figsize=(2.8 + 2.1 * len(datasets), 1.2 + 0.27 * len(labels)), layout="constrained")
    panels = figure.subplots(1, len(datasets), sharey=True, squeeze=False)[0]
    for axes, dataset in zip(panels, datasets, strict=True):
        rows = table[table["dataset"] == dataset]
        for row in rows.itertuples():
            colour, marker = _COLOURS[str(row.setting)]
            y = height[str(row.label)]
            value, low, high = (float(getattr(row, key)) for key in ("value", "low", "high"))
            if np.isfinite(low):
                axes.plot([low, high], [y, y], color=colour, linewidth=1.4)
            axes.plot(value, y, marker, color=colour, markersize=5, fillstyle="full" if np.isfinite(low) else "none")
        axes.set_title(f"{dataset}\nn = {int(rows['n_images'].iloc[0])}", loc="left", fontsize=9)
        axes.set_xlabel(title)
        plain_grid(axes, "x")
    panels[0].set_yticks(list(height.values()), list(height))
    # The default margin is a share of the axis: several empty rows where there are sixty methods.
    panels[0].set_ylim(-0.8, len(labels) - 0.2)
    return figure
