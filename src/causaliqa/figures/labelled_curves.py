"""What labels buy on labelled sets: agreement over the number of labels, the label-free scores as lines."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullFormatter

from causaliqa.figures.points import TESTS
from causaliqa.figures.style import PALETTE, empty, plain_grid, styled

_HEADS = ["anchored", "ridge", "svr"]
_DASHES: list[Any] = ["--", "-.", ":", (0, (6, 1.5, 1, 1.5, 1, 1.5))]
_COLUMNS = 3


@styled
def labelled_curves(summary: pd.DataFrame, test: str = "srcc", subset: str = "all") -> Figure:
    """Median over the number of labels with the 10th to 90th percentile: one panel a dataset, one row a model.

    Parameters
    ----------
    summary : from :func:`causaliqa.supervised.labelled.labelled_summary`. Budgets of equal size stand once; the last
        point of a curve is the budget of all labels, an open marker.
    test : column ``test`` that is drawn.
    subset : column ``subset`` that is drawn.
    """
    rows = summary[(summary["test"] == test) & (summary["subset"] == subset)]
    if rows[rows["setting"] != "label_free"].empty:
        return empty("no labelled set was learnt from")
    panels_of = list(dict.fromkeys(zip(rows["model"], rows["dataset"], strict=True)))
    # Known heads keep their colours from page to page.
    heads = sorted(rows.loc[rows["setting"] != "label_free", "regressor"].unique(), key=lambda n: (n not in _HEADS, n))
    colour = {head: PALETTE[1 + index % (len(PALETTE) - 1)] for index, head in enumerate(heads)}
    free = sorted(rows.loc[rows["setting"] == "label_free", "regressor"].unique())
    dash = {name: _DASHES[index % len(_DASHES)] for index, name in enumerate(free)}
    columns = min(_COLUMNS, len(panels_of))
    lines = -(-len(panels_of) // columns)
    figure = Figure(figsize=(3.4 * columns + 0.3, 2.6 * lines + 0.8), layout="constrained")
    panels = figure.subplots(lines, columns, squeeze=False).ravel()
    for axes in panels[len(panels_of) :]:
        axes.set_visible(False)
    several = rows["model"].nunique() > 1
    for axes, (model, dataset) in zip(panels, panels_of, strict=False):
        own = rows[(rows["model"] == model) & (rows["dataset"] == dataset)]
        for row in own[own["setting"] == "label_free"].itertuples():
            axes.axhline(float(row.median), color=PALETTE[0], linestyle=dash[str(row.regressor)], linewidth=1.3)
        learnt = own[own["setting"] != "label_free"]
        for head in heads:
            # A share may be as many labels as a count: the same fit, one point.
            curve = learnt[learnt["regressor"] == head].sort_values(["n_labels", "budget"]).drop_duplicates("n_labels")
            axes.fill_between(
                curve["n_labels"], curve["low"], curve["high"], color=colour[head], alpha=0.16, linewidth=0
            )
            axes.plot(curve["n_labels"], curve["median"], color=colour[head], marker="o", markersize=4)
            last = learnt[(learnt["regressor"] == head) & (learnt["setting"] == "supervised")]
            axes.plot(last["n_labels"], last["median"], "o", color=colour[head], markerfacecolor="white", markersize=6)
        first = own.iloc[0]
        contents = "reference" if first["n_references"] == 1 else "references"
        axes.set_title(
            f"{dataset}{f' · {model}' if several else ''}\n{own['n_splits'].max()} splits, "
            f"tests of {first['n_images']:g} images of {first['n_references']:g} {contents}",
            loc="left", fontsize=9,
        )  # fmt: skip
        axes.set_xscale("log")
        # Shares lie between; their marks would run into each other.
        marked = learnt["budget"].str.isdigit() | (learnt["setting"] == "supervised")
        counts = sorted({int(count) for count in learnt.loc[marked, "n_labels"]})
        axes.set_xticks(counts, [str(count) for count in counts], fontsize=7.5)
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.tick_params(axis="x", which="minor", length=0)
        axes.set_xlabel("labelled images")
        # The label-free score sets the scale: a head that fails with few labels may leave the panel.
        level = own.loc[own["setting"] == "label_free", "median"]
        lowest = min(float(level.min()), float(learnt.loc[learnt["regressor"] == heads[0], "low"].min()))
        if lowest < 0.999:
            axes.set_ylim(lowest - 0.35 * (1 - lowest), min(axes.get_ylim()[1], 1.0))
        plain_grid(axes)
    for axes in panels[::columns]:
        axes.set_ylabel(TESTS.get(test, (test, None))[0])
    handles = [Line2D([], [], color=colour[head], marker="o", markersize=4, label=head) for head in heads]
    handles += [Line2D([], [], color=PALETTE[0], linestyle=dash[name], label=f"{name}, no labels") for name in free]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 2 + columns))
    return figure
