"""Figures made of images: what the interventions give."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from causaliqa.figures.style import SEQUENTIAL, empty, styled

_COLUMNS = [
    ("reference", "reference x"),
    ("distorted", "distorted y"),
    ("restored", "do(D := 0) on y"),
    ("transferred", "do(D := D_y) on x"),
    ("mask", "mask M(C)"),
    ("degradation", "degradation |D̃|"),
]


@styled
def intervention_grid(pictures: Mapping[str, np.ndarray], labels: Sequence[str]) -> Figure:
    """One row a pair: reference, distorted, the two interventions, mask and degradation maps.

    Parameters
    ----------
    pictures : ``reference, distorted, restored, transferred`` float (K,3,H,W) in [0, 1]; ``mask, degradation``
        float (K,H,W), shown from the least to the largest value of the column.
    labels : ``<dataset> <reference> <distortion> level n`` of each row.
    """
    count = len(labels)
    if count == 0:
        return empty("no intervention was recorded")
    figure = Figure(figsize=(11.2, 1.74 * count + 0.55), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.02, h_pad=0.02, wspace=0, hspace=0)  # type: ignore[union-attr, call-arg]
    panels = figure.subplots(count, len(_COLUMNS), squeeze=False)
    for column, (key, title) in enumerate(_COLUMNS):
        stack = np.asarray(pictures[key], dtype=np.float64)
        for line in range(count):
            axes = panels[line, column]
            if stack.ndim == 4:
                axes.imshow(np.clip(stack[line].transpose(1, 2, 0), 0, 1), interpolation="nearest")
            else:
                least, most = float(stack.min()), float(stack.max())
                axes.imshow(stack[line], cmap=SEQUENTIAL, vmin=least, vmax=most, interpolation="nearest")
            axes.set_xticks([])
            axes.set_yticks([])
            for spine in axes.spines.values():
                spine.set_visible(False)
        # The scale stands in the title: a colour bar would push the maps out of line with the pictures.
        scale = f"\ndark {stack.min():.2g}, bright {stack.max():.2g}" if stack.ndim == 3 else ""
        panels[0, column].set_title(title + scale, fontsize=9)
    for line, label in enumerate(labels):
        words = label.split(" ")
        # <dataset> <reference> <distortion> level n: the reference is the part that varies in length.
        text = "\n".join(
            [words[0].removeprefix("bundled_"), *words[1:2], words[2] if len(words) > 2 else "", " ".join(words[3:])]
        )
        panels[line, 0].set_ylabel(text.strip(), fontsize=8, rotation=0, ha="right", va="center", labelpad=6)
    return figure
