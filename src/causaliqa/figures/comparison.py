"""Figures of comparisons: who beats whom, how ranks move, by type, disputed pairs, ROC, splits, published values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.colors import Normalize, to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle

from causaliqa.figures.names import method_title, wrapped
from causaliqa.figures.style import FAINT, INK, PALETTE, SEQUENTIAL, empty, plain_grid, short, styled, text_on

_BETTER, _WORSE, _TIE = PALETTE[0], PALETTE[1], "#EDEDED"
#: From more methods than this on, a matrix is drawn smaller.
_MANY = 14
#: With more methods, a line of ranks shows every fifth number only.
_EVERY_RANK = 15
_ANALYSES = {
    "different_similar": "which pairs differ (AUC)",
    "better_worse": "which of two is better (AUC)",
}
#: Signs of the matrix, so that it can be read without colour.
_SIGN = {1: "+", -1: "−", 0: "="}


def _bare(figure: Figure) -> None:
    for axes in figure.axes:
        axes.tick_params(length=0)
        for spine in axes.spines.values():
            spine.set_visible(False)


@styled
def significance_matrix(matrix: pd.DataFrame, title: str = "", titles: Mapping[str, str] | None = None) -> Figure:
    """Who beats whom: blue and ``+`` where the row's method is better than the column's, orange and ``−`` where worse.

    Methods stand by wins less losses, the most on top.

    Parameters
    ----------
    matrix : values -1, 0, 1, the same methods in rows and columns, see
        :func:`causaliqa.evaluate.comparison.significance_matrix`.
    title : what was tested.
    titles : name of a method to what is shown; others are shown by :func:`causaliqa.figures.names.method_title`.
    """
    count = len(matrix)
    if count < 2:
        return empty("fewer than two methods to compare")
    order = np.argsort(-matrix.to_numpy().sum(axis=1), kind="stable")
    values = matrix.to_numpy()[np.ix_(order, order)]
    # Many methods: smaller cells and upright names, so that a page still shows the whole at its natural size.
    many = count > _MANY
    shown = dict(titles or {})
    names = [
        wrapped(shown.get(name) or method_title(name), 22 if many else 26)
        for name in map(str, np.asarray(matrix.index)[order])
    ]
    cell = 0.38 if not many else max(0.24, 0.38 - 0.006 * (count - _MANY))
    size = 8.5 if not many else 7.5
    lines = max(name.count("\n") for name in names) + 1
    if many and lines * 0.13 > cell:
        cell = lines * 0.13
    figure = Figure(figsize=(max(6.0, 2.4 + cell * count), 2.5 + cell * count), layout="constrained")
    axes = figure.subplots()
    colours = {1: _BETTER, -1: _WORSE, 0: _TIE}
    for (line, column), value in np.ndenumerate(values):
        if line == column:
            continue
        colour = colours[int(value)]
        axes.add_patch(Rectangle((column + 0.03, line + 0.03), 0.94, 0.94, facecolor=colour, linewidth=0))
        axes.text(column + 0.5, line + 0.5, _SIGN[int(value)], ha="center", va="center", fontsize=size,
                  color=text_on(to_rgba(colour)))  # fmt: skip
    axes.set_xlim(0, count)
    axes.set_ylim(count, 0)
    wins = (values == 1).sum(axis=1)
    axes.set_yticks(
        np.arange(count) + 0.5, [f"{name} ({win})" for name, win in zip(names, wins, strict=True)], fontsize=size
    )
    if many:
        axes.set_xticks(np.arange(count) + 0.5, names, rotation=90, ha="center", va="bottom", fontsize=size)
    else:
        axes.set_xticks(np.arange(count) + 0.5, names, rotation=45, ha="left", rotation_mode="anchor", fontsize=size)
    axes.xaxis.tick_top()
    axes.set_aspect("equal")
    _bare(figure)
    handles = [
        Patch(color=_BETTER, label="+ row better than column"),
        Patch(color=_TIE, label="= not told apart"),
        Patch(color=_WORSE, label="− row worse"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, title="(n): methods that the row beats")
    if title:
        figure.suptitle(title, fontsize=10)
    return figure


@styled
def rank_slopes(table: pd.DataFrame, title: str = "") -> Figure:
    """How ranks move between protocols: one column a protocol, one line a method; lines that move are coloured.

    Parameters
    ----------
    table : columns ``method, protocol, value, rank``, one dataset and test, see
        :func:`causaliqa.evaluate.audit.rank_changes`; protocols from left to right in their first order.
    title : the dataset and test.
    """
    protocols = list(dict.fromkeys(table["protocol"]))
    if len(protocols) < 2:
        return empty("fewer than two protocols of one dataset")
    ranks = table.pivot(index="method", columns="protocol", values="rank")[protocols]
    values = table.pivot(index="method", columns="protocol", values="value")[protocols]
    # Ties share a rank; lines get places of their own.
    places = pd.DataFrame({p: ranks[p].sort_values(kind="stable").rank(method="first") for p in protocols})
    span = ranks.max(axis=1) - ranks.min(axis=1)
    moving = list(span[span >= 2].sort_values(ascending=False, kind="stable").index)
    colour = {name: PALETTE[index % 6] for index, name in enumerate(moving)}
    dash = {name: ("-", "--", ":")[index // 6 % 3] for index, name in enumerate(moving)}
    figure = Figure(figsize=(3.4 + 1.9 * len(protocols), 1.0 + 0.3 * len(places)), layout="constrained")
    axes = figure.subplots()
    across = np.arange(len(protocols))
    for name in places.index:
        shade = colour.get(name, "#BBBBBB")
        y = places.loc[name].to_numpy(dtype=float)
        axes.plot(across, y, color=shade, linestyle=dash.get(name, "-"), linewidth=2 if name in colour else 1.2,
                  marker="o", markersize=5, zorder=3 if name in colour else 2)  # fmt: skip
        for at, column in enumerate(protocols):
            outer = at in (0, len(protocols) - 1)
            text = f"{name}  {short(values.loc[name, column], 4)}" if outer else short(values.loc[name, column], 4)
            side = -9 if at == 0 else 9
            if not outer:
                # A white ground keeps the number readable where lines pass behind it.
                ground = {"facecolor": "white", "linewidth": 0, "pad": 0.6}
                axes.annotate(text, (at, y[at]), (0, 8), textcoords="offset points", ha="center", va="center",
                              fontsize=7, color=INK, zorder=4, bbox=ground)  # fmt: skip
                continue
            axes.annotate(text, (at, y[at]), (side, 0), textcoords="offset points", va="center",
                          ha="right" if at == 0 else "left", fontsize=8, color=INK)  # fmt: skip
    axes.set_xticks(across, protocols)
    axes.set_xlim(-0.9, len(protocols) - 0.1)
    axes.set_ylim(len(places) + 0.6, 0.2)
    axes.set_yticks([])
    axes.xaxis.tick_top()
    _bare(figure)
    axes.set_title(f"{title}\ncolour: rank moves by two places or more".strip(), loc="left", pad=8)
    return figure


@styled
def type_heat_map(table: pd.DataFrame, title: str = "SRCC") -> Figure:
    """Agreement by distortion: one row a type, one column a method, the best of each type framed.

    Parameters
    ----------
    table : columns ``label, distortion, value``; methods in the order of their first rows, types from the hardest on.
        The scale starts at 0 at the highest, so that a correlation of the wrong sign is seen.
    title : what `value` is.
    """
    if table.empty:
        return empty("no distortion has enough images for a row of its own")
    methods = list(dict.fromkeys(table["label"]))
    grid = table.pivot(index="distortion", columns="label", values="value").sort_index()[methods]
    grid = grid.iloc[np.lexsort((np.arange(len(grid)), grid.mean(axis=1).to_numpy()))]
    values = grid.to_numpy(dtype=float)
    finite = values[np.isfinite(values)]
    norm = Normalize(min(0.0, float(np.floor(10 * finite.min()) / 10)) if finite.size else 0.0, 1.0)
    shades = colormaps[SEQUENTIAL]
    figure = Figure(figsize=(3.2 + 0.5 * len(methods), 2.3 + 0.245 * len(grid)), layout="constrained")
    axes = figure.subplots()
    picture = axes.pcolormesh(values, cmap=shades, norm=norm, edgecolors="white", linewidth=0.8)
    for line, row in enumerate(values):
        best = np.nanmax(row) if np.isfinite(row).any() else np.nan
        for column, value in enumerate(row):
            shade = text_on(shades(norm(value))) if np.isfinite(value) else FAINT
            leads = np.isfinite(value) and value >= best - 1e-12
            axes.text(column + 0.5, line + 0.5, short(value), ha="center", va="center", fontsize=7.5, color=shade,
                      fontweight="bold" if leads else "normal")  # fmt: skip
            if leads and len(methods) > 1:
                axes.add_patch(
                    Rectangle((column + 0.05, line + 0.07), 0.9, 0.86, fill=False, edgecolor=_WORSE, linewidth=1.6)
                )
    axes.set_yticks(np.arange(len(grid)) + 0.5, [str(name) for name in grid.index])
    axes.set_xticks(np.arange(len(methods)) + 0.5, methods, rotation=45, ha="left", rotation_mode="anchor")
    axes.xaxis.tick_top()
    axes.invert_yaxis()
    _bare(figure)
    bar = figure.colorbar(picture, ax=axes, fraction=0.03, pad=0.02, aspect=35)
    bar.set_label(f"{title}; framed: best of the type")
    bar.outline.set_visible(False)
    return figure


@styled
def gmad_figure(pairs: pd.DataFrame, pictures: Mapping[str, np.ndarray]) -> Figure:
    """Pairs on which two methods disagree: the image that the attacker calls better, then the one it calls worse.

    Parameters
    ----------
    pairs : columns of :data:`causaliqa.evaluate.gmad.GMAD_COLUMNS`, one row of the figure each.
    pictures : image name -> uint8 (H, W) or (H, W, 3), or float in [0, 1].
    """
    if pairs.empty:
        return empty("no pair of images on which the two methods disagree")
    figure = Figure(figsize=(8.6, 2.75 * len(pairs) + 0.2), layout="constrained")
    figure.get_layout_engine().set(h_pad=0.1, w_pad=0.06)  # type: ignore[union-attr, call-arg]
    panels = figure.subplots(len(pairs), 3, squeeze=False, width_ratios=[1, 1, 0.72])
    for line, (_, pair) in enumerate(pairs.iterrows()):
        for column, side in enumerate("ab"):
            axes = panels[line, column]
            picture = np.asarray(pictures[pair[f"image_{side}"]])
            if picture.dtype != np.uint8:
                picture = np.clip(picture, 0, 1)
            axes.imshow(picture, cmap="gray" if picture.ndim == 2 else None, interpolation="nearest",
                        vmin=0, vmax=255 if picture.dtype == np.uint8 else 1)  # fmt: skip
            axes.set_xticks([])
            axes.set_yticks([])
            what = f"{pair[f'reference_{side}']}, {pair[f'distortion_{side}']}"
            axes.set_title(f"{'better' if side == 'a' else 'worse'}, says\n{pair['attacker']}", fontsize=9)
            axes.set_xlabel(what, fontsize=8)
        known = np.isfinite([pair["opinion_a"], pair["opinion_b"]]).all()
        opinion = f"opinion\n  {pair['opinion_a']:.4g} and {pair['opinion_b']:.4g}" if known else "no opinions"
        lines = [
            f"{pair['defender']} defends\n  {pair['defender_a']:.4g} and {pair['defender_b']:.4g}"
            f"\n  apart by {pair['defender_gap']:.0%} of its ranks",
            f"{pair['attacker']} attacks\n  {pair['attacker_a']:.4g} and {pair['attacker_b']:.4g}"
            f"\n  apart by {pair['attacker_gap']:.0%} of its ranks",
            f"{opinion}",
            f"level {pair['level']:.2f} of the defender",
        ]
        panels[line, 2].text(0, 0.98, "\n\n".join(lines), va="top", ha="left", fontsize=8.5, linespacing=1.25,
                             transform=panels[line, 2].transAxes)  # fmt: skip
        panels[line, 2].set_xticks([])
        panels[line, 2].set_yticks([])
    _bare(figure)
    return figure


@styled
def critical_difference(
    table: pd.DataFrame, difference: float, groups: Sequence[tuple[int, int]], *, descriptive: bool, title: str = ""
) -> Figure:
    """Average ranks on a line, best at the left; bars join methods that are not told apart.

    Parameters
    ----------
    table : columns ``method, average_rank, n_datasets``, best first; `difference`, `groups`, `descriptive` : all from
        :func:`causaliqa.evaluate.comparison.average_ranks`.
    title : what was ranked.
    """
    count = len(table)
    if count < 2:
        return empty("fewer than two methods to rank")
    ranks = table["average_rank"].to_numpy(dtype=float)
    names = [str(name) for name in table["method"]]
    left = (count + 1) // 2
    figure = Figure(figsize=(8.4, 1.55 + 0.11 * len(groups) + 0.24 * left), layout="constrained")
    axes = figure.subplots()
    span = max(count - 1.0, 1.0)
    below = -0.35 * len(groups) - 0.5
    axes.plot([1, count], [0, 0], color=INK, linewidth=1)
    for rank in range(1, count + 1):
        axes.plot([rank, rank], [0, 0.2], color=INK, linewidth=0.8)
        if count <= _EVERY_RANK or rank in (1, count) or (rank % 5 == 0 and rank < count - 1):
            axes.text(rank, 0.35, str(rank), ha="center", va="bottom", fontsize=8)
    for index, (name, rank) in enumerate(zip(names, ranks, strict=True)):
        first = index < left
        # The outermost method is labelled nearest to the line, so that no two leaders cross.
        depth = below - 0.75 * (index if first else count - 1 - index)
        edge = 1 - 0.04 * span if first else count + 0.04 * span
        axes.plot([rank, rank, edge], [0, depth, depth], color=FAINT, linewidth=0.8, zorder=1)
        axes.plot(rank, 0, "o", color=PALETTE[0], markersize=4.5, zorder=3)
        text = f"{name}  {rank:.2f}" if first else f"{rank:.2f}  {name}"
        axes.text(
            edge, depth, f"{text} " if first else f" {text}", ha="right" if first else "left", va="center", fontsize=8.5
        )
    for number, (start, stop) in enumerate(groups):
        y = -0.35 * (number + 1)
        axes.plot([ranks[start] - 0.01 * span, ranks[stop] + 0.01 * span], [y, y], color=PALETTE[1], linewidth=3.2,
                  solid_capstyle="butt", zorder=2)  # fmt: skip
    # A critical difference wider than the axis is drawn as wide as the axis.
    width = min(difference, span)
    axes.plot([1, 1 + width], [1.75, 1.75], color=INK, linewidth=1.6)
    for end in (1, 1 + width):
        axes.plot([end, end], [1.6, 1.9], color=INK, linewidth=1.6)
    wide = " (wider than the line)" if difference > span else ""
    axes.text(1 + width / 2, 2.0, f"critical difference {difference:.2f}{wide}", ha="center", va="bottom", fontsize=8.5)
    axes.set_xlim(1 - 0.48 * span, count + 0.48 * span)
    axes.set_ylim(below - 0.75 * (left - 1) - 0.6, 3.0)
    axes.set_xticks([])
    axes.set_yticks([])
    _bare(figure)
    note = f"average rank over {int(table['n_datasets'].iloc[0])} datasets, 1 is best"
    if descriptive:
        note += "; too few for a test: this describes the table"
    axes.set_title(f"{title}\n{note}".strip(), loc="left")
    return figure


def _titles(table: pd.DataFrame) -> pd.Series:
    """Return what readers see for the method of each row."""
    models = table["model"] if "model" in table.columns else pd.Series("", index=table.index)
    shown = [method_title(str(name), str(model)) for name, model in zip(table["method"], models, strict=True)]
    return pd.Series(shown, index=table.index, dtype=object)


@styled
def roc_figure(table: pd.DataFrame) -> Figure:
    """Whether methods tell which pairs differ, and which image of a pair is better: one line of panels a dataset.

    Parameters
    ----------
    table : :data:`causaliqa.evaluate.roc.ROC_COLUMNS`, and ``model`` if methods have one; without an interval (NaN) the
        marker is hollow. Methods stand by their mean over both analyses, best on top.
    """
    table = table.assign(label=_titles(table))
    datasets = sorted(table["dataset"].unique())
    analyses = [name for name in _ANALYSES if (table["analysis"] == name).any()]
    if not analyses:
        return empty("no dataset states how sure its scores are: no ROC analysis")
    counts = [table.loc[table["dataset"] == name, "label"].nunique() for name in datasets]
    figure = Figure(
        figsize=(2.4 + 3.3 * len(analyses), 0.55 + sum(0.85 + 0.22 * n for n in counts)), layout="constrained"
    )
    panels = figure.subplots(
        len(datasets), len(analyses), sharey="row", squeeze=False, height_ratios=[n + 2.5 for n in counts]
    )
    for line, dataset in enumerate(datasets):
        rows = table[table["dataset"] == dataset]
        mean = rows.groupby("label")["auc"].mean()
        names = sorted(mean.index, key=lambda name: (mean[name], name))
        height = {name: index for index, name in enumerate(names)}
        for axes, analysis in zip(panels[line], analyses, strict=True):
            part = rows[rows["analysis"] == analysis]
            for row in part.to_dict("records"):
                y = height[row["label"]]
                known = np.isfinite([row["low"], row["high"]]).all()
                if known:
                    axes.plot([row["low"], row["high"]], [y, y], color=PALETTE[0], linewidth=1.6, alpha=0.6)
                axes.plot(row["auc"], y, "o", color=PALETTE[0], markersize=5, fillstyle="full" if known else "none")
                if np.isfinite(row["correct"]):
                    axes.plot(row["correct"], y, "|", color=PALETTE[1], markersize=9, markeredgewidth=1.8)
            if len(part):
                pairs = f"{int(part['n_pairs'].iloc[0]):,} pairs"
                if analysis == "different_similar":
                    pairs += f", {int(part['n_different'].iloc[0]):,} of them different"
                axes.set_title(f"{dataset}: {_ANALYSES[analysis]}\n{pairs}", loc="left", fontsize=9)
                least = float(np.nanmin(part[["auc", "low", "correct"]].to_numpy(dtype=float)))
                # Chance is drawn where a method comes near it; elsewhere it would squeeze the others together.
                if least < 0.6:
                    axes.axvline(0.5, color=FAINT, linewidth=0.9, linestyle=":")
                axes.locator_params(axis="x", nbins=5)
            else:
                axes.set_xticks([])
                axes.text(0.5, 0.5, "no errors of scores\nare published", ha="center", va="center", color=FAINT,
                          transform=axes.transAxes, fontsize=9)  # fmt: skip
            plain_grid(axes)
            axes.tick_params(axis="y", length=0)
        panels[line][0].set_yticks(range(len(names)), names)
        panels[line][0].set_ylim(-0.7, len(names) - 0.3)
    handles = [
        Line2D([], [], color=PALETTE[0], marker="o", markersize=5, label="AUC, interval over references"),
        Line2D([], [], color=PALETTE[1], marker="|", markersize=9, markeredgewidth=1.8, linestyle="none",
               label="share of different pairs in the right order"),
    ]  # fmt: skip
    figure.legend(handles=handles, loc="outside lower center", ncols=2)
    return figure


@styled
def split_spread(table: pd.DataFrame, title: str = "SRCC") -> Figure:
    """How much a number hangs on the split: one dot a split, the median as a line; one panel a dataset.

    Parameters
    ----------
    table : columns ``dataset, method, model, split, test, value``, one test. Methods stand by the mean of
        their medians, best on top.
    title : what the test is called.
    """
    if table.empty:
        return empty("no values of single splits")
    table = table.assign(label=_titles(table))
    datasets = sorted(table["dataset"].unique())
    medians = table.groupby(["dataset", "label"])["value"].median()
    mean = medians.groupby("label").mean()
    names = sorted(mean.index, key=lambda name: (mean[name], name))
    height = {name: index for index, name in enumerate(names)}
    figure = Figure(figsize=(2.6 + 2.9 * len(datasets), 1.25 + 0.32 * len(names)), layout="constrained")
    panels = figure.subplots(1, len(datasets), sharey=True, squeeze=False)[0]
    for axes, dataset in zip(panels, datasets, strict=True):
        rows = table[table["dataset"] == dataset]
        splits = sorted(rows["split"].unique())
        lift = dict(zip(splits, np.linspace(0.24, -0.24, len(splits)) if len(splits) > 1 else [0.0], strict=True))
        for name, part in rows.groupby("label", sort=True):
            # A split has one place in all rows, so that a hard one is seen as such; nothing is drawn at random.
            y = height[str(name)]
            values = part["value"].to_numpy(dtype=float)
            axes.plot(values, y + part["split"].map(lift), "o", color=PALETTE[0], markersize=3.6, alpha=0.55, mew=0)
            values = values[np.isfinite(values)]
            if len(values):
                median = float(np.median(values))
                axes.plot([median, median], [y - 0.36, y + 0.36], color=PALETTE[1], linewidth=2.2)
        axes.set_title(f"{dataset}\n{rows['split'].nunique()} splits", loc="left", fontsize=9)
        axes.set_xlabel(title)
        axes.locator_params(axis="x", nbins=5)
        plain_grid(axes)
        axes.tick_params(axis="y", length=0)
    panels[0].set_yticks(range(len(names)), names)
    panels[0].set_ylim(-0.7, len(names) - 0.3)
    handles = [
        Line2D([], [], color=PALETTE[0], marker="o", markersize=4, alpha=0.6, linestyle="none", label="one split"),
        Line2D([], [], color=PALETTE[1], linewidth=2.2, label="median"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=2)
    return figure


@styled
def published_beside(table: pd.DataFrame, title: str = "SRCC") -> Figure:
    """Our values with their intervals beside published ones: one panel a dataset, best of ours on top.

    Parameters
    ----------
    table : columns ``dataset, method, ours, low, high, published``, and ``model`` if methods have one. A published
        value outside of our interval is orange; without an interval (NaN) our marker is hollow.
    title : what was measured.
    """
    table = table[np.isfinite(table["published"].to_numpy(dtype=float))]
    if table.empty:
        return empty("no published value for these methods and datasets")
    table = table.assign(label=_titles(table))
    datasets = sorted(table["dataset"].unique())
    counts = [int((table["dataset"] == name).sum()) for name in datasets]
    figure = Figure(figsize=(7.4, 0.75 + sum(0.75 + 0.26 * n for n in counts)), layout="constrained")
    panels = figure.subplots(len(datasets), 1, squeeze=False, height_ratios=[n + 1.2 for n in counts])[:, 0]
    for axes, dataset in zip(panels, datasets, strict=True):
        rows = table[table["dataset"] == dataset].sort_values(["ours", "label"], kind="stable")
        for y, row in enumerate(rows.to_dict("records")):
            known = np.isfinite([row["low"], row["high"]]).all()
            outside = known and not row["low"] <= row["published"] <= row["high"]
            if known:
                axes.plot([row["low"], row["high"]], [y, y], color=PALETTE[0], linewidth=1.8, alpha=0.6)
            axes.plot(row["ours"], y, "o", color=PALETTE[0], markersize=5.5, fillstyle="full" if known else "none")
            axes.plot(row["published"], y, "D", color=PALETTE[1] if outside else INK, markersize=5.5,
                      fillstyle="full" if outside else "none", zorder=4)  # fmt: skip
            step = row["ours"] - row["published"]
            right = max(row["ours"], row["published"], row["high"] if known else -1.0)
            text = "0" if round(step, 3) == 0 else f"{step:+.3f}".replace("0.", ".", 1).replace("-", "−")
            axes.annotate(text, (right, y), (8, 0), textcoords="offset points", va="center", fontsize=8,
                          color=PALETTE[1] if outside else FAINT)  # fmt: skip
        axes.set_yticks(range(len(rows)), list(rows["label"]))
        axes.set_ylim(-0.7, len(rows) - 0.3)
        axes.set_title(dataset, loc="left", fontsize=9.5)
        axes.margins(x=0.1)
        axes.set_xlabel(f"{title}; number: ours less published")
        plain_grid(axes)
        axes.tick_params(axis="y", length=0)
    handles = [
        Line2D([], [], color=PALETTE[0], marker="o", markersize=5.5, label="ours, interval over references"),
        Line2D([], [], color=INK, marker="D", fillstyle="none", linestyle="none", label="published"),
        Line2D([], [], color=PALETTE[1], marker="D", linestyle="none", label="published, outside of our interval"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3)
    return figure
