"""What a part of the method is worth: variants beside the whole, a dot a seed."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from causaliqa.figures.style import FAINT, INK, PALETTE, empty, plain_grid, styled


@styled
def ablation_dots(values: pd.DataFrame, whole: str = "full", name: str = "SRCC") -> Figure:
    """Draw a panel a dataset: a row a variant, a dot a seed, a bar at the mean; a line marks the whole model's mean.

    Parameters
    ----------
    values : ``dataset, variant, seed, value``.
    whole : the variant that stands first.
    name : of the value, for the axis.
    """
    if values.empty:
        return empty("no variant was judged by people's scores")
    mean = values.groupby("variant")["value"].mean()
    others = [str(variant) for variant in mean.sort_values(ascending=False).index if variant != whole]
    order = [*([whole] if whole in mean.index else []), *others]
    height = {variant: len(order) - 1 - place for place, variant in enumerate(order)}
    datasets = sorted(values["dataset"].unique())
    figure = Figure(figsize=(2.0 + 3.0 * len(datasets), 1.1 + 0.3 * len(order)), layout="constrained")
    panels = figure.subplots(1, len(datasets), sharey=True, squeeze=False)[0]
    for axes, dataset in zip(panels, datasets, strict=True):
        own = values[values["dataset"] == dataset]
        level = own.loc[own["variant"] == whole, "value"].mean()
        if level == level:
            axes.axvline(level, color=FAINT, linewidth=1, linestyle="--")
        for variant, part in own.groupby("variant", sort=True):
            y, colour = height[str(variant)], PALETTE[0] if variant == whole else PALETTE[1]
            axes.plot(part["value"], [y] * len(part), "o", color=colour, alpha=0.75, markersize=5)
            axes.plot([part["value"].mean()] * 2, [y - 0.3, y + 0.3], color=INK, linewidth=1.6)
        axes.set_title(dataset, loc="left")
        axes.set_xlabel(name)
        plain_grid(axes, "x")
    panels[0].set_yticks([height[variant] for variant in order], order)
    return figure
