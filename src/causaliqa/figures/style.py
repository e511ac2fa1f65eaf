"""One look for all figures: light, readable at 100 %, safe for colour-blind readers, equal bytes for equal content."""

from __future__ import annotations

import functools
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from causaliqa.io import write_bytes

P = ParamSpec("P")

#: Okabe and Ito's colours, which stay apart under the common colour-vision deficiencies; yellow is left out on white.
PALETTE = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#7F7F7F"]
INK = "#222222"
FAINT = "#8A8A8A"
#: Sequential colours of equal lightness steps.
SEQUENTIAL = "cividis"

_RC: dict[Any, Any] = {
    "font.family": "DejaVu Sans",  # ships with matplotlib: the same glyphs on every machine
    "font.size": 9.5,
    "axes.titlesize": 10,
    "axes.labelsize": 9.5,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 9,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "savefig.facecolor": "white",
    "axes.edgecolor": "#555555",
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": "#444444",
    "ytick.color": "#444444",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "grid.color": "#E3E3E3",
    "grid.linewidth": 0.7,
    "lines.linewidth": 1.6,
    # TrueType outlines: text in the PDF stays text.
    "pdf.fonttype": 42,
    "svg.fonttype": "none",
    "svg.hashsalt": "causaliqa",
}


def styled(function: Callable[P, Figure]) -> Callable[P, Figure]:
    """Draw a figure with the common style, whatever the caller's matplotlib settings are."""

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with mpl.rc_context():
            mpl.rcdefaults()
            mpl.rcParams.update(_RC)
            return function(*args, **kwargs)

    return wrapper


def render(figure: Figure, kind: str, dpi: int = 144) -> bytes:
    """Return a figure as ``png`` or ``pdf`` bytes, without dates or program versions."""
    buffer = io.BytesIO()
    empty = {"CreationDate": None, "Creator": None, "Producer": None} if kind == "pdf" else {"Software": None}
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_RC)
        figure.savefig(buffer, format=kind, dpi=dpi, metadata=empty)
    return buffer.getvalue()


def save(figure: Figure, stem: Path, dpi: int = 144) -> list[Path]:
    """Write ``<stem>.pdf`` and ``<stem>.png`` atomically; return their paths."""
    paths = [stem.with_name(f"{stem.name}.{kind}") for kind in ("pdf", "png")]
    for path, kind in zip(paths, ("pdf", "png"), strict=True):
        write_bytes(path, render(figure, kind, dpi))
        # The layout is found once: both files then show the same, and the second costs half.
        figure.set_layout_engine("none")
    return paths


def empty(message: str) -> Figure:
    """Return a small figure that says why there is nothing to draw."""
    figure = Figure(figsize=(6, 1.2))
    figure.text(0.5, 0.5, message, ha="center", va="center", color=FAINT)
    return figure


def plain_grid(axes: Axes, axis: str = "both") -> None:
    """Put a faint grid behind the data."""
    axes.set_axisbelow(True)
    axes.grid(True, axis=axis)  # type: ignore[arg-type]


def text_on(rgba: tuple[float, ...]) -> str:
    """Return black or white, whichever is readable on a colour (WCAG relative luminance)."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in rgba[:3]]
    luminance = float(np.dot([0.2126, 0.7152, 0.0722], linear))
    return "black" if luminance > 0.18 else "white"


def short(value: float, digits: int = 2) -> str:
    """Format a number of [-1, 1] in few digits, without a leading zero: ``.93``, ``-.10``, ``1.00``."""
    if not np.isfinite(value):
        return "–"
    text = f"{value:.{digits}f}"
    if float(text) == 0:
        return "0"
    return text.replace("0.", ".", 1) if abs(float(text)) < 1 else text
