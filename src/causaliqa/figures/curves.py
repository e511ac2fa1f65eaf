"""Figures made of curves: few labels, training, interventions scaled by lambda."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullFormatter

from causaliqa.figures.points import TESTS
from causaliqa.figures.style import INK, PALETTE, empty, plain_grid, styled

_DASHES: list[Any] = ["--", "-.", (0, (6, 1.5, 1, 1.5, 1, 1.5)), (0, (8, 2)), (0, (3, 1, 1, 1))]


@styled
def few_label_curves(curves: pd.DataFrame, levels: pd.DataFrame, tests: Sequence[str]) -> Figure:
    """Value over the number of labels, one row of panels a model and one panel a test.

    Parameters
    ----------
    curves : columns ``model, method, labels, test, value, low, high``: median and spread over draws.
    levels : columns ``model, method, setting, test, value``: label-free and supervised values, drawn as lines.
    tests : panels, from left to right.
    """
    if curves.empty:
        return empty("no few-label scores")
    models = sorted(curves["model"].unique())
    tests = [test for test in tests if (curves["test"] == test).any()]
    methods = sorted(curves["method"].unique())
    colour = {method: PALETTE[1 + index % 4] for index, method in enumerate(methods)}
    free = sorted(levels.loc[levels["setting"] == "label_free", "method"].unique())
    dash = {method: _DASHES[index % len(_DASHES)] for index, method in enumerate(free)}
    figure = Figure(figsize=(3.55 * len(tests), 2.55 * len(models) + 0.8), layout="constrained")
    panels = figure.subplots(len(models), len(tests), squeeze=False, sharex=True, sharey="col")
    counts = sorted(curves["labels"].unique())
    for line, model in enumerate(models):
        for axes, test in zip(panels[line], tests, strict=True):
            for method in methods:
                rows = curves[(curves["model"] == model) & (curves["method"] == method) & (curves["test"] == test)]
                rows = rows.sort_values("labels")
                axes.fill_between(
                    rows["labels"], rows["low"], rows["high"], color=colour[method], alpha=0.18, linewidth=0
                )
                axes.plot(rows["labels"], rows["value"], color=colour[method], marker="o", markersize=4)
            chosen = levels[(levels["model"] == model) & (levels["test"] == test)]
            for row in chosen.itertuples():
                method = str(row.method)
                if row.setting == "label_free":
                    axes.axhline(float(row.value), color=PALETTE[0], linestyle=dash[method], linewidth=1.3)
                elif method in colour:
                    axes.axhline(float(row.value), color=colour[method], linestyle=":", linewidth=1.6)
            axes.set_xscale("log")
            axes.set_xticks(counts, [str(count) for count in counts])
            axes.xaxis.set_minor_formatter(NullFormatter())
            axes.tick_params(axis="x", which="minor", length=0)
            plain_grid(axes)
            if line == 0:
                axes.set_title(TESTS.get(test, (test, None))[0])
            if line == len(models) - 1:
                axes.set_xlabel("labelled images")
        panels[line, 0].set_ylabel(model)
    handles = [Line2D([], [], color=colour[m], marker="o", markersize=4, label=m) for m in methods]
    handles += [Line2D([], [], color=colour[m], linestyle=":", label=f"{m}, all labels") for m in methods]
    handles += [Line2D([], [], color=PALETTE[0], linestyle=dash[m], label=f"{m}, no labels") for m in free]
    figure.legend(handles=handles, loc="outside lower center", ncols=4)
    return figure


@styled
def loss_curves(history: pd.DataFrame) -> Figure:
    """Training and validation losses over steps, one panel a term.

    Parameters
    ----------
    history : columns ``model, step, split`` (``train`` or ``val``) and one column a term.
    """
    terms = [name for name in history.columns if name not in ("model", "step", "split")]
    if history.empty or not terms:
        return empty("no training history")
    models = sorted(history["model"].unique())
    columns = min(4, len(terms))
    lines = -(-len(terms) // columns)
    figure = Figure(figsize=(2.7 * columns, 1.95 * lines + 0.6), layout="constrained")
    panels = figure.subplots(lines, columns, squeeze=False, sharex=True)
    for axes in panels.ravel()[len(terms) :]:
        axes.set_visible(False)
    for index, (axes, term) in enumerate(zip(panels.ravel(), terms, strict=False)):
        for colour, model in zip(PALETTE * len(models), models, strict=False):
            for split, style in (("train", (0, (2, 1.2))), ("val", "-")):
                rows = history[(history["model"] == model) & (history["split"] == split)].sort_values("step")
                axes.plot(rows["step"], rows[term], color=colour, linestyle=style, linewidth=1.3)
        axes.set_title(term, fontsize=9.5)
        axes.locator_params(nbins=4)
        plain_grid(axes)
        if index + columns >= len(terms):
            axes.set_xlabel("step")
            axes.tick_params(labelbottom=True)
    handles = [Line2D([], [], color=c, label=m) for c, m in zip(PALETTE * len(models), models, strict=False)]
    handles += [
        Line2D([], [], color=INK, linestyle=(0, (2, 1.2)), label="training batch"),
        Line2D([], [], color=INK, label="validation references"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(4, len(handles)))
    return figure


@styled
def lambda_curves(curves: pd.DataFrame) -> Figure:
    """Change of the decoded image over lambda for do(D := lambda D).

    Parameters
    ----------
    curves : columns ``model, label, scale, change``.
    """
    if curves.empty:
        return empty("no scaled interventions")
    models = sorted(curves["model"].unique())
    figure = Figure(figsize=(3.4 * len(models) + 2.6, 3.0), layout="constrained")
    panels = figure.subplots(1, len(models), squeeze=False, sharey=True)[0]
    labels = list(dict.fromkeys(curves["label"]))
    colour = {label: PALETTE[index % len(PALETTE)] for index, label in enumerate(labels)}
    for axes, model in zip(panels, models, strict=True):
        for label, rows in curves[curves["model"] == model].groupby("label", sort=False):
            axes.plot(rows["scale"], rows["change"], color=colour[str(label)], marker="o", markersize=3.5)
        axes.axvline(1.0, color="#BBBBBB", linewidth=0.9, linestyle=":")
        axes.set_title(model)
        axes.set_xlabel("λ")
        plain_grid(axes)
    panels[0].set_ylabel("change of the decoded image")
    handles = [Line2D([], [], color=colour[label], marker="o", markersize=3.5, label=label) for label in labels]
    figure.legend(handles=handles, loc="outside right center")
    return figure
