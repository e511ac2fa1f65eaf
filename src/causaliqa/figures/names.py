"""Names of methods as readers know them."""

from __future__ import annotations

import textwrap

from causaliqa.baselines.registry import DEEP, LIT, METRICS


def method_title(name: str, model: str = "") -> str:
    """Return a method's title: ``ms_ssim`` is MS-SSIM, ``disentangle-norm`` of a model ``norm · natural/full``.

    Parameters
    ----------
    name : as in tables; a model may follow after `` · ``. Names that are not known here stay as they are.
    model : of a label-free or supervised method.
    """
    method, _, own = name.partition(" · ")
    if model or own:
        return f"{method.removeprefix('disentangle-')} · {model or own}"
    if name == "consensus":
        return "consensus of MDSI, HaarPSI, VSI"
    if name.startswith("disentangle-"):
        return f"{method.removeprefix('disentangle-')} (ours)"
    known = {**METRICS, **LIT, **DEEP}
    return known[name].title if name in known else name


def wrapped(text: str, width: int = 22) -> str:
    """Break a long name between words, or after ``/`` and ``_`` of a word that is longer than a line."""
    lines: list[str] = []
    for line in textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False):
        while len(line) > width:
            cut = max(line.rfind(mark, 0, width) for mark in "/_") + 1
            if cut <= width // 3:
                break
            lines.append(line[:cut])
            line = line[cut:]
        lines.append(line)
    return "\n".join(lines)
