"""Figures made of points: methods against tests, scores against opinions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from causaliqa.evaluate.correlation import LogisticFit
from causaliqa.figures.style import FAINT, INK, PALETTE, SEQUENTIAL, empty, plain_grid, short, styled

#: Test: (title, value of a metric that knows nothing; None where there is none).
TESTS: dict[str, tuple[str, float | None]] = {
    "d_test": ("D-test", 0.5),
    "l_test": ("L-test", 0.0),
    "p_test": ("P-test", 0.5),
    "c_test": ("C-test", 0.5),
    "severity_median": ("severity SRCC", 0.0),
    "srcc": ("SRCC", 0.0),
    "krcc": ("KRCC", 0.0),
    "plcc": ("PLCC after 5p fit", 0.0),
    "plcc_raw": ("PLCC raw", 0.0),
}
_SETTINGS = {
    "baseline": ("classical metric", PALETTE[7], "s"),
    "label_free": ("label-free", PALETTE[0], "o"),
    "supervised": ("supervised on pseudo-MOS", PALETTE[1], "D"),
    "few_label": ("few labels", PALETTE[4], "^"),
    "pseudo_mos": ("consensus behind the pseudo-MOS", PALETTE[6], "x"),
}


@styled
def methods_by_tests(table: pd.DataFrame, tests: Sequence[str]) -> Figure:
    """Dot plot: one row a method, one panel a test, with intervals.

    Parameters
    ----------
    table : columns ``label, setting, test, value, low, high``; rows in the order in which methods are drawn, from
        top to bottom. Without an interval (NaN) the marker is hollow.
    tests : panels, from left to right; tests without rows are left out.
    """
    tests = [test for test in tests if (table["test"] == test).any()]
    if not tests:
        return empty("no method was evaluated with these tests")
    table = table[table["test"].isin(tests)]
    labels = list(dict.fromkeys(table["label"]))
    height = {label: len(labels) - 1 - index for index, label in enumerate(labels)}
    figure = Figure(figsize=(3.1 + 1.95 * len(tests), 1.3 + 0.27 * len(labels)), layout="constrained")
    panels = figure.subplots(1, len(tests), sharey=True, squeeze=False)[0]
    for axes, test in zip(panels, tests, strict=True):
        rows = table[table["test"] == test]
        for row in rows.itertuples():
            _, colour, marker = _SETTINGS[str(row.setting)]
            y = height[str(row.label)]
            value, low, high = float(row.value), float(row.low), float(row.high)  # type: ignore[arg-type]
            known = np.isfinite([low, high]).all()
            if known:
                axes.plot([low, high], [y, y], color=colour, linewidth=1.8, alpha=0.55, solid_capstyle="butt")
            fill = colour if known or marker == "x" else "white"
            axes.plot(value, y, marker=marker, color=colour, markerfacecolor=fill, markersize=5.5, linestyle="none")
        title, chance = TESTS.get(test, (test, None))
        axes.set_title(title)
        ends = rows[["value", "low", "high"]].to_numpy(dtype=float)
        least, most = float(np.nanmin(ends)), float(np.nanmax(ends))
        margin = 0.06 * max(most - least, 0.02)
        axes.set_xlim(least - margin, most + margin)
        if chance is not None and least - margin <= chance:
            axes.axvline(chance, color=FAINT, linewidth=0.9, linestyle=":")
        axes.locator_params(axis="x", nbins=4)
        plain_grid(axes)
        axes.tick_params(axis="y", length=0)
    panels[0].set_yticks(list(height.values()), list(height))
    panels[0].set_ylim(-0.7, len(labels) - 0.3)
    used = [key for key in _SETTINGS if (table["setting"] == key).any()]
    handles = [
        Line2D([], [], color=_SETTINGS[key][1], marker=_SETTINGS[key][2], markersize=5.5, label=_SETTINGS[key][0])
        for key in used
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
    return figure


@styled
def score_scatter(points: pd.DataFrame, fits: dict[str, LogisticFit], notes: dict[str, str], x_label: str) -> Figure:
    """Scores against opinions, one panel a dataset, with the logistic fit and a band of 1.96 RMSE.

    Parameters
    ----------
    points : columns ``dataset, score, opinion, level``; level 0 is a composition.
    fits : fitted mapping of each dataset.
    notes : a line for each dataset, put under its name.
    x_label : name of the score, with its direction.
    """
    if points.empty:
        return empty("no label-free scores")
    names = sorted(points["dataset"].unique())
    columns = min(3, len(names))
    lines = -(-len(names) // columns)
    figure = Figure(figsize=(3.55 * columns, 3.0 * lines + 0.5), layout="constrained")
    panels = figure.subplots(lines, columns, squeeze=False, sharey=True)
    levels = sorted(level for level in points["level"].unique() if level > 0)
    shades = colormaps[SEQUENTIAL](np.linspace(0.92, 0.02, len(levels)))
    colour = {level: to_hex(shade) for level, shade in zip(levels, shades, strict=True)}
    for axes in panels.ravel()[len(names) :]:
        axes.set_visible(False)
    for axes, name in zip(panels.ravel(), names, strict=False):
        rows = points[points["dataset"] == name]
        mixed = rows[rows["level"] == 0]
        axes.scatter(
            mixed["score"], mixed["opinion"], s=13, marker="D", facecolor="none", edgecolor=PALETTE[1], linewidth=0.7
        )
        for level in levels:
            some = rows[rows["level"] == level]
            axes.scatter(some["score"], some["opinion"], s=11, color=colour[level], linewidth=0)
        fit = fits.get(name)
        if fit is not None:
            x = np.linspace(rows["score"].min(), rows["score"].max(), 200)
            y = fit(x)
            axes.fill_between(x, y - 1.96 * fit.rmse, y + 1.96 * fit.rmse, color=FAINT, alpha=0.2, linewidth=0)
            axes.plot(x, y, color=INK, linewidth=1.6)
        low, high = float(rows["opinion"].min()), float(rows["opinion"].max())
        axes.set_ylim(low - 0.12 * (high - low or 1), high + 0.12 * (high - low or 1))
        axes.set_title(f"{name}\n{notes.get(name, '')}".strip(), fontsize=9)
        plain_grid(axes)
    for axes in panels[:, 0]:
        axes.set_ylabel("pseudo-MOS (higher is better)")
    for index, axes in enumerate(panels.ravel()[: len(names)]):
        if index + columns >= len(names):
            axes.set_xlabel(x_label)
    handles: list[Line2D | Patch] = [
        Line2D([], [], linestyle="none", marker="o", color=colour[level], label=f"level {level}") for level in levels
    ]
    handles.append(
        Line2D(
            [],
            [],
            linestyle="none",
            marker="D",
            markerfacecolor="none",
            color=PALETTE[1],
            markersize=4.5,
            label="composition",
        )
    )
    handles.append(Line2D([], [], color=INK, label="logistic fit"))
    handles.append(Patch(color=FAINT, alpha=0.3, label="± 1.96 RMSE"))
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles) if columns > 2 else 4)
    return figure


def interval_text(value: float, low: float, high: float, digits: int = 2) -> str:
    """Return ``.93 [.90, .95]``, or the value alone where there is no interval."""
    if np.isfinite([low, high]).all():
        return f"{short(value, digits)} [{short(low, digits)}, {short(high, digits)}]"
    return short(value, digits)
