"""Tables as LaTeX (booktabs), the same bytes for the same content."""

from __future__ import annotations

import numbers

import pandas as pd

_ESCAPES = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "λ": r"$\lambda$", "–": "--", "±": r"$\pm$", "·": r"$\cdot$", "×": r"$\times$",
}  # fmt: skip


def escape(text: str) -> str:
    """Return text with the characters that LaTeX reserves made printable."""
    return "".join(_ESCAPES.get(character, character) for character in text)


def cell(value: object) -> str:
    """Return one value as LaTeX: floats with four digits, a dash for what is missing."""
    if value is None or (isinstance(value, float) and value != value):
        return "--"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, numbers.Integral):
        return str(int(value))
    if isinstance(value, numbers.Real):
        return f"{float(value):.4f}"
    return escape(str(value))


def latex_table(table: pd.DataFrame, caption: str, label: str) -> str:
    """Return a ``table`` environment; it needs the package booktabs.

    Parameters
    ----------
    table : any columns; numbers are set right, the rest left.
    caption, label : plain text, and the name after ``tab:``.
    """
    align = "".join("r" if pd.api.types.is_numeric_dtype(table[name]) else "l" for name in table.columns)
    lines = [
        r"\begin{table}[htbp]",
        r"  \centering",
        rf"  \caption{{{escape(caption)}}}",
        rf"  \label{{tab:{label}}}",
        rf"  \begin{{tabular}}{{{align}}}",
        r"    \toprule",
        "    " + " & ".join(escape(str(name)) for name in table.columns) + r" \\",
        r"    \midrule",
    ]
    lines += ["    " + " & ".join(cell(value) for value in row) + r" \\" for row in table.itertuples(index=False)]
    lines += [r"    \bottomrule", r"  \end{tabular}", r"\end{table}"]
    return "\n".join(lines) + "\n"
