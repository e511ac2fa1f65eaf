"""Figures of an audit: what images, opinions, the fit and the kind of interval do to published numbers."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from causaliqa.figures.names import method_title
from causaliqa.figures.style import FAINT, INK, PALETTE, empty, plain_grid, short, styled

_BY_IMAGE, _BY_REFERENCE = PALETTE[5], PALETTE[0]
_COLUMNS = 3


@styled
def protocol_dots(table: pd.DataFrame, title: str = "SRCC") -> Figure:
    """Dot plot with both kinds of intervals: one panel a protocol, one row a method, best of the first on top.

    Parameters
    ----------
    table : columns ``protocol, method, value, low, high, low_image, high_image, n_images, n_references``, one dataset
        and test, see :data:`causaliqa.evaluate.audit.AUDIT_COLUMNS`; protocols from left to right in their first order.
    title : what the horizontal axis shows.
    """
    if table.empty:
        return empty("no protocol was audited")
    protocols = list(dict.fromkeys(table["protocol"]))
    first = table[table["protocol"] == protocols[0]].sort_values(["value", "method"], ascending=[False, True])
    names = list(dict.fromkeys([*first["method"], *sorted(table["method"])]))
    height = {name: len(names) - 1 - index for index, name in enumerate(names)}
    figure = Figure(figsize=(2.2 + 2.6 * len(protocols), 1.45 + 0.27 * len(names)), layout="constrained")
    panels = figure.subplots(1, len(protocols), sharex=True, sharey=True, squeeze=False)[0]
    for axes, protocol in zip(panels, protocols, strict=True):
        rows = table[table["protocol"] == protocol]
        for row in rows.to_dict("records"):
            y = height[row["method"]]
            axes.plot([row["low_image"], row["high_image"]], [y, y], color=_BY_IMAGE, linewidth=6, alpha=0.75,
                      solid_capstyle="butt", zorder=2)  # fmt: skip
            axes.plot([row["low"], row["high"]], [y, y], color=_BY_REFERENCE, linewidth=1.5, marker="|", markersize=7,
                      zorder=3)  # fmt: skip
            best = row["value"] >= rows["value"].max()
            axes.plot(row["value"], y, "D" if best else "o", color=PALETTE[1] if best else INK, markersize=5, zorder=4)
        axes.set_title(
            f"{protocol}\n{int(rows['n_images'].iloc[0]):,} images of {int(rows['n_references'].iloc[0])} references",
            loc="left", fontsize=9,
        )  # fmt: skip
        axes.set_xlabel(title)
        axes.locator_params(axis="x", nbins=5)
        plain_grid(axes)
        axes.tick_params(axis="y", length=0)
    panels[0].set_yticks(list(height.values()), [method_title(name) for name in height])
    panels[0].set_ylim(-0.7, len(names) - 0.3)
    handles = [
        Line2D([], [], color=_BY_REFERENCE, linewidth=1.5, marker="|", markersize=7, label="drawing references"),
        Line2D([], [], color=_BY_IMAGE, linewidth=6, alpha=0.75, label="drawing images, as if independent"),
        Line2D([], [], color=PALETTE[1], marker="D", markersize=5, linestyle="none", label="best of the protocol"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles) if len(protocols) > 1 else 1)
    return figure


@styled
def fit_dumbbells(table: pd.DataFrame) -> Figure:
    """PLCC without a fit, after four and after five parameters: one panel a protocol, one row a method.

    Parameters
    ----------
    table : columns ``protocol, method, test, value`` with the tests ``plcc_raw, plcc_4p, plcc_5p``; methods are drawn
        by their value after five parameters, best on top.
    """
    rows = table[table["test"].isin(["plcc_raw", "plcc_4p", "plcc_5p"])]
    if rows.empty:
        return empty("no PLCC was audited")
    protocols = list(dict.fromkeys(rows["protocol"]))
    columns = min(_COLUMNS, len(protocols))
    lines = math.ceil(len(protocols) / columns)
    most = int(rows.groupby("protocol")["method"].nunique().max())
    figure = Figure(figsize=(3.6 * columns, lines * (0.75 + 0.185 * most) + 0.4), layout="constrained")
    panels = figure.subplots(lines, columns, squeeze=False).ravel()
    for axes in panels[len(protocols) :]:
        axes.set_visible(False)
    for axes, protocol in zip(panels, protocols, strict=False):
        grid = rows[rows["protocol"] == protocol].pivot(index="method", columns="test", values="value")
        grid = grid.sort_index().sort_values("plcc_5p", kind="stable")
        place = np.arange(len(grid))
        axes.hlines(place, grid["plcc_raw"], grid["plcc_5p"], color="#BBBBBB", linewidth=2.2, zorder=1)
        axes.plot(grid["plcc_raw"], place, "o", color=PALETTE[1], markerfacecolor="white", markersize=5, zorder=2)
        axes.plot(grid["plcc_4p"], place, "|", color=INK, markersize=8, zorder=3)
        axes.plot(grid["plcc_5p"], place, "o", color=PALETTE[0], markersize=5, zorder=2)
        axes.set_yticks(place, [method_title(str(name)) for name in grid.index], fontsize=8)
        axes.set_ylim(-0.7, len(grid) - 0.3)
        gain = grid["plcc_5p"] - grid["plcc_raw"]
        axes.set_title(f"{protocol}\nfit adds {short(gain.min(), 3)} to {short(gain.max(), 3)}", loc="left", fontsize=9)
        axes.locator_params(axis="x", nbins=5)
        plain_grid(axes)
        axes.tick_params(axis="y", length=0)
    handles = [
        Line2D([], [], color=PALETTE[1], marker="o", markerfacecolor="white", linestyle="none", label="PLCC, no fit"),
        Line2D([], [], color=INK, marker="|", markersize=8, linestyle="none", label="after 4 parameters"),
        Line2D([], [], color=PALETTE[0], marker="o", linestyle="none", label="after 5 parameters"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3)
    return figure


@styled
def epoch_choice(splits: pd.DataFrame) -> Figure:
    """Test values of each split at the epoch that the test set, the validation set or the clock chose.

    Parameters
    ----------
    splits : from :func:`causaliqa.evaluate.audit.audit_epochs`; splits are drawn by their best test value.
    """
    if splits.empty:
        return empty("no training was audited")
    splits = splits.sort_values(["test_at_best_test", "split"], kind="stable")
    place = np.arange(len(splits))
    figure = Figure(figsize=(7.2, 1.3 + 0.24 * len(splits)), layout="constrained")
    axes = figure.subplots()
    axes.hlines(place, splits[["test_at_best_validation", "test_at_last"]].min(axis=1), splits["test_at_best_test"],
                color="#BBBBBB", linewidth=2.2, zorder=1)  # fmt: skip
    for rule, colour, marker, text in (
        ("best_test", PALETTE[1], "D", "best epoch on the test set"),
        ("best_validation", PALETTE[0], "o", "best epoch on the validation set"),
        ("last", FAINT, "s", "last epoch"),
    ):
        axes.plot(splits[f"test_at_{rule}"], place, marker, color=colour, markersize=5.5, label=text)
    axes.set_yticks(place, [f"split {name}" for name in splits["split"]])
    axes.set_ylim(-0.7, len(splits) - 0.3)
    axes.set_xlabel("SRCC on the test set")
    plain_grid(axes)
    axes.tick_params(axis="y", length=0)
    figure.legend(loc="outside lower center", ncols=3)
    return figure
