"""Figures of the disentanglement: what probes read from the codes, and what the mask does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from causaliqa.figures.names import wrapped
from causaliqa.figures.style import FAINT, INK, PALETTE, SEQUENTIAL, empty, plain_grid, short, styled

_TARGETS = {
    "identity": ("identity of the reference", "balanced accuracy"),
    "type": ("type of distortion", "balanced accuracy"),
    "severity": ("level of severity", "R²"),
}
_MUST = {"succeed": (PALETTE[0], "should be readable"), "fail": (PALETTE[1], "should not be readable")}
_COMPONENTS = {"recipe": PALETTE[0], "interaction": PALETTE[5], "content": PALETTE[1]}
_CLASSES = {"flat": "#E6E6E6", "edge": PALETTE[0], "texture": PALETTE[4]}
#: R^2 below this says no more than this.
_FLOOR = -0.25


@styled
def probe_bars(table: pd.DataFrame) -> Figure:
    """Bars: what linear probes read from each code, one panel a target, one line a model and code.

    Parameters
    ----------
    table : columns ``model, target, source, title, expected, value, low, high, chance, permuted_high, untrained``.
        Dotted: chance; small tick: the best of the permuted labels; hollow diamond: a network that was never trained.
    """
    targets = [name for name in _TARGETS if (table["target"] == name).any()]
    if not targets:
        return empty("no probes: too few test references and types are crossed")
    models = list(dict.fromkeys(table["model"]))
    sources = list(dict.fromkeys(table["source"]))
    titles = dict(zip(table["source"], table["title"], strict=True))
    lines = [(model, source) for model in models for source in sources]
    # A gap between models.
    height = {line: -(index + 0.8 * (index // len(sources))) for index, line in enumerate(lines)}
    names = max(len(title) for title in titles.values())
    figure = Figure(figsize=(1.2 + 0.065 * names + 2.5 * len(targets), 1.5 + 0.3 * len(lines)), layout="constrained")
    panels = figure.subplots(1, len(targets), sharey=True, squeeze=False)[0]
    for axes, target in zip(panels, targets, strict=True):
        rows = table[table["target"] == target]
        floor = 0.0 if target != "severity" else min(0.0, max(_FLOOR, float(rows[["value", "untrained"]].min().min())))
        for row in rows.to_dict("records"):
            y = height[(row["model"], row["source"])]
            colour = _MUST[str(row["expected"])][0]
            axes.barh(y, max(row["value"], floor), height=0.62, color=colour, alpha=0.75)
            if np.isfinite([row["low"], row["high"]]).all():
                ends = np.clip([row["low"], row["high"]], floor, None)
                axes.plot(ends, [y, y], color=INK, linewidth=1.2, solid_capstyle="butt")
            # Models may be probed on different numbers of references: chance goes line by line.
            axes.plot([row["chance"]] * 2, [y - 0.5, y + 0.5], color=INK, linewidth=1.0, linestyle=":")
            axes.plot([row["permuted_high"]] * 2, [y - 0.36, y + 0.36], color=INK, linewidth=0.9)
            axes.plot(
                max(row["untrained"], floor), y, marker="D", markersize=4.5, color=INK, markerfacecolor="white",
                linestyle="none", zorder=3, clip_on=False,
            )  # fmt: skip
        title, measure = _TARGETS[target]
        axes.set_title(title)
        axes.set_xlabel(measure)
        axes.set_xlim(floor - (0.02 if floor < 0 else 0), 1.03)
        plain_grid(axes, "x")
        axes.tick_params(axis="y", length=0)
    panels[0].set_yticks(list(height.values()), [titles[source] for _, source in lines])
    if len(models) > 1:
        for index, model in enumerate(models):
            top = height[(model, sources[0])] + 0.5
            panels[-1].annotate(
                wrapped(model), (1.02, top), xycoords=("axes fraction", "data"), va="top", fontsize=8.5, color=INK,
                annotation_clip=False,
            )  # fmt: skip
            if index:
                for axes in panels:
                    axes.axhline(top + 0.4, color="#CCCCCC", linewidth=0.7)
    handles: list[Line2D | Patch] = [Patch(color=colour, alpha=0.75, label=label) for colour, label in _MUST.values()]
    handles += [
        Line2D([], [], color=INK, linewidth=1.2, label="95 % over references"),
        Line2D([], [], color=INK, linewidth=1.0, linestyle=":", label="chance"),
        Line2D([], [], color=INK, marker="|", markersize=9, linestyle="none", label="best of 20 permuted labels"),
        Line2D([], [], color=INK, marker="D", markersize=4.5, markerfacecolor="white", linestyle="none",
               label="network never trained"),
    ]  # fmt: skip
    figure.legend(handles=handles, loc="outside lower center", ncols=3)
    return figure


@styled
def variance_bars(table: pd.DataFrame) -> Figure:
    """Stacked bars: shares of each code's variance, one panel a model.

    Parameters
    ----------
    table : columns ``model, source, title, component`` (``content, recipe, interaction``) ``, share``.
    """
    if table.empty:
        return empty("no variance was parted: too few test references and types are crossed")
    models = list(dict.fromkeys(table["model"]))
    titles = list(dict.fromkeys(table["title"]))
    columns = min(3, len(models))
    lines = -(-len(models) // columns)
    figure = Figure(figsize=(2.0 + 3.2 * columns, 0.8 + 1.55 * lines), layout="constrained")
    panels = figure.subplots(lines, columns, squeeze=False, sharex=True, sharey=True)
    for axes in panels.ravel()[len(models) :]:
        axes.set_visible(False)
    for axes, model in zip(panels.ravel(), models, strict=False):
        for place, title in enumerate(titles):
            start = 0.0
            for name, colour in _COMPONENTS.items():
                rows = table[(table["model"] == model) & (table["title"] == title) & (table["component"] == name)]
                share = float(rows["share"].sum())
                axes.barh(place, share, left=start, height=0.68, color=colour, alpha=0.85)
                if share >= 0.08:
                    ink = "black" if name == "interaction" else "white"
                    axes.text(start + share / 2, place, short(share), ha="center", va="center", fontsize=8, color=ink)
                start += share
        axes.set_xlim(0, 1)
        axes.set_title(model)
        axes.set_yticks(range(len(titles)), titles)
        axes.tick_params(axis="y", length=0)
    panels[0, 0].invert_yaxis()
    for axes in panels[-1]:
        axes.set_xlabel("share of variance")
    handles = [Patch(color=colour, alpha=0.85, label=name) for name, colour in _COMPONENTS.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=3)
    return figure


@styled
def mask_maps(pictures: Mapping[str, np.ndarray], labels: Sequence[str]) -> Figure:
    """One row an image: reference, local contrast, mask, classes of pixels.

    Parameters
    ----------
    pictures : ``reference`` (K,3,H,W) in [0, 1]; ``contrast``, ``mask``, ``classes`` (0 flat, 1 edge, 2 texture)
        (K,H,W). The mask shares one scale; contrast has one for each image, from its least to its largest value.
    labels : one a row.
    """
    count = len(labels)
    if count == 0:
        return empty("no mask was recorded")
    figure = Figure(figsize=(9.2, 2.05 * count + 0.7), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.02, h_pad=0.02, wspace=0, hspace=0)  # type: ignore[union-attr, call-arg]
    panels = figure.subplots(count, 4, squeeze=False)
    mask = np.asarray(pictures["mask"], dtype=np.float64)
    least, most = float(mask.min()), float(mask.max())
    classes = ListedColormap(list(_CLASSES.values()))
    for line, label in enumerate(labels):
        first, second, third, fourth = panels[line]
        first.imshow(np.clip(pictures["reference"][line].transpose(1, 2, 0), 0, 1), interpolation="nearest")
        second.imshow(pictures["contrast"][line], cmap=SEQUENTIAL, interpolation="nearest")
        third.imshow(mask[line], cmap=SEQUENTIAL, vmin=least, vmax=most, interpolation="nearest")
        fourth.imshow(pictures["classes"][line], cmap=classes, vmin=-0.5, vmax=2.5, interpolation="nearest")
        first.set_ylabel(
            label.removeprefix("bundled_").replace(" ", "\n"), fontsize=8, rotation=0, ha="right", va="center"
        )
        for axes in panels[line]:
            axes.set_xticks([])
            axes.set_yticks([])
            for spine in axes.spines.values():
                spine.set_visible(False)
    titles = [
        "reference x",
        "local contrast\nbright: busy",
        f"mask M(C)\ndark {least:.2g}, bright {most:.2g}",
        "pixels",
    ]
    for axes, title in zip(panels[0], titles, strict=True):
        axes.set_title(title, fontsize=9)
    figure.legend(
        handles=[Patch(facecolor=colour, edgecolor="#999999", label=name) for name, colour in _CLASSES.items()],
        loc="outside lower right", ncols=3,
    )  # fmt: skip
    return figure


@styled
def mask_by_class(table: pd.DataFrame, summary: pd.DataFrame) -> Figure:
    """Left: mean mask on flat, edge and texture pixels. Right: correlation with local contrast, scale by scale.

    Parameters
    ----------
    table : ``model, dataset, reference, scale, flat, edge, texture``; the rows of scale -1, the mean map, are drawn:
        faint, one line an image, and strong, their mean.
    summary : ``model, scale, contrast_srcc, low, high``, scale -1 the mean map. A constant mask has no correlation.
    """
    table = table[table["scale"] < 0]
    if table.empty:
        return empty("no mask was measured")
    models = list(dict.fromkeys(table["model"]))
    figure = Figure(figsize=(9.2, 3.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    names = list(_CLASSES)
    scales = sorted({int(scale) for scale in summary["scale"]}, key=lambda scale: (scale < 0, scale))
    for index, (model, colour) in enumerate(zip(models, PALETTE * len(models), strict=False)):
        own = table[table["model"] == model]
        places = np.arange(3) + 0.06 * (index - (len(models) - 1) / 2)
        values = own[names].to_numpy(dtype=float)
        for row in values:
            left.plot(places, row, color=colour, linewidth=0.7, alpha=0.3)
        known = np.isfinite(values)
        counts = known.sum(axis=0)
        means = np.where(counts > 0, np.where(known, values, 0).sum(axis=0) / np.maximum(counts, 1), np.nan)
        left.plot(places, means, color=colour, marker="o", markersize=5)
        rows = summary[summary["model"] == model].set_index("scale")
        offset = 0.12 * (index - (len(models) - 1) / 2)
        for place, scale in enumerate(scales):
            if scale not in rows.index or not np.isfinite(rows.loc[scale, "contrast_srcc"]):
                continue
            value, low, high = (float(rows.loc[scale, name]) for name in ("contrast_srcc", "low", "high"))
            known_ends = bool(np.isfinite([low, high]).all())
            if known_ends:
                right.plot([place + offset] * 2, [low, high], color=colour, linewidth=1.8, alpha=0.55)
            fill = colour if known_ends else "white"
            right.plot(place + offset, value, marker="o", color=colour, markerfacecolor=fill, markersize=5.5)
    left.set_xticks(range(3), names)
    left.set_xlim(-0.4, 2.4)
    left.set_ylabel("mean mask")
    left.axhline(1.0, color=FAINT, linewidth=0.9, linestyle=":")
    left.set_title("mask by class of pixels")
    right.axhline(0.0, color=FAINT, linewidth=0.9, linestyle=":")
    right.set_xticks(range(len(scales)), ["mean map" if scale < 0 else f"scale {scale}" for scale in scales])
    right.set_xlim(-0.5, len(scales) - 0.5)
    right.set_ylim(-1.03, 1.03)
    right.set_ylabel("SRCC over pixels")
    right.set_title("mask and local contrast (masking: below 0)")
    for axes in (left, right):
        plain_grid(axes, "y")
    handles = [
        Line2D([], [], color=c, marker="o", label=m) for m, c in zip(models, PALETTE * len(models), strict=False)
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=4)
    return figure
