"""What a notebook calls: save a figure or table under the notebook's name and show it."""

from __future__ import annotations

import base64
import html
import os
import platform
import re
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

import pandas as pd
from IPython.display import HTML, Markdown, display
from matplotlib.figure import Figure

from causaliqa.figures.style import save
from causaliqa.io import write_csv, write_text
from causaliqa.report.latex import latex_table

#: Set by the stage: where a run's files wait until the whole notebook has succeeded.
STAGING = "CAUSALIQA_REPORT_STAGING"
#: Columns from which on a table is set smaller, and smaller still; rows from which on its head stays in view.
_WIDE, _WIDER, _LONG = 6, 12, 30
_PACKAGES = ("causaliqa", "torch", "numpy", "scipy", "pandas", "scikit-learn", "scikit-image", "pillow", "matplotlib")


class Report:
    """Collects a notebook's figures and tables.

    Parameters
    ----------
    notebook : name; files go to ``figures/<notebook>`` and ``tables/<notebook>`` below the report's folder.
    dpi : resolution of PNG figures, dots an inch.
    """

    def __init__(self, notebook: str, dpi: int = 144) -> None:
        root = Path(os.environ.get(STAGING, "reports"))
        self._figures = root / "figures" / notebook
        self._tables = root / "tables" / notebook
        self._dpi = dpi

    def text(self, markdown: str) -> None:
        """Show Markdown."""
        display(Markdown(markdown))  # type: ignore[no-untyped-call]

    def figure(self, name: str, figure: Figure, caption: str) -> None:
        """Save a figure as PDF and PNG and show it at its natural size, with a caption that is its alternative text."""
        png = next(path for path in save(figure, self._figures / name, self._dpi) if path.suffix == ".png")
        content = base64.b64encode(png.read_bytes()).decode()
        width = round(figure.get_figwidth() * 96)
        said = html.escape(caption, quote=True)
        image = f'<img src="data:image/png;base64,{content}" width="{width}" alt="{said}">'
        display(HTML(f"<figure>{image}<figcaption>{said}</figcaption></figure>"))  # type: ignore[no-untyped-call]

    def table(
        self, name: str, shown: pd.DataFrame, caption: str, data: pd.DataFrame | None = None, folded: bool = False
    ) -> None:
        """Save a table as CSV and LaTeX and show it.

        Parameters
        ----------
        shown : what a reader sees, on the page and in LaTeX.
        data : what the CSV holds, if numbers are wanted there instead of formatted text.
        folded : whether a click is needed to see it.
        """
        write_csv(self._tables / f"{name}.csv", shown if data is None else data)
        write_text(self._tables / f"{name}.tex", latex_table(shown, caption, name))
        self.show(shown, caption, folded)

    def show(self, table: pd.DataFrame, caption: str, folded: bool = False) -> None:
        """Show a table without saving it; `folded` puts it behind a line that opens on a click.

        Wide tables get smaller letters and may break cells into lines; the first column stays in view if a reader has
        to scroll all the same, and so does the head of a long table.
        """
        body = f"<div class='{_scroll(table)}'>{table_html(table)}</div>"
        said = html.escape(caption)
        if folded:
            content = f"<details><summary>{said}</summary>{body}</details>"
        else:
            content = f"<figure class='tabular'><figcaption>{said}</figcaption>{body}</figure>"
        display(HTML(content))  # type: ignore[no-untyped-call]


def table_html(table: pd.DataFrame) -> str:
    """Return a table as HTML for the page.

    Its size goes by the number of columns; one of many columns and fewer rows is shown with both exchanged. Where
    columns are many, intervals stay in one piece.
    """
    if len(table.columns) > max(_WIDER, len(table) + 1):
        table = _exchanged(table)
    columns = len(table.columns)
    size = "" if columns <= _WIDE else " wide" if columns <= _WIDER else " wider"
    body = table.to_html(index=False, border=0, classes=f"table{size}", na_rep="–", escape=True)
    # Names of columns may break after an underscore: they are wider than what stands below them.
    body = re.sub(r"<th>[^<]*</th>", lambda found: found.group().replace("_", "_<wbr>"), body)
    if not size:
        return body
    return re.sub(r"\[[^\[\]<>]*\]", lambda found: found.group().replace(" ", "&nbsp;"), body)


def _exchanged(table: pd.DataFrame) -> pd.DataFrame:
    """Return rows as columns, the first column as their heads, every cell as the text that it has in its column."""
    cells = {}
    for name in table.columns[1:]:
        values = table[name]
        if pd.api.types.is_float_dtype(values):
            digits = max((len(f"{v:.6f}".rstrip("0").partition(".")[2]) for v in values if v == v), default=0)
            cells[name] = ["–" if v != v else f"{v:.{digits}f}" for v in values]
        else:
            cells[name] = [str(v) for v in values]
    turned = pd.DataFrame(cells, index=table.iloc[:, 0].astype(str)).T
    return turned.rename_axis(index=str(table.columns[0]), columns=None).reset_index()


def _scroll(table: pd.DataFrame) -> str:
    return "scroll long" if len(table) > _LONG else "scroll"


def versions(packages: Sequence[str] = _PACKAGES) -> pd.DataFrame:
    """Versions of Python and of the packages that the numbers depend on: ``package, version``."""
    rows = [("python", platform.python_version())]
    for name in packages:
        try:
            rows.append((name, metadata.version(name)))
        except metadata.PackageNotFoundError:
            rows.append((name, "not installed"))
    return pd.DataFrame(rows, columns=["package", "version"])


def settings(sections: dict[str, dict[str, object]]) -> pd.DataFrame:
    """Parameters as ``key, value`` rows."""
    rows = [(f"{section}.{key}", str(value)) for section, values in sections.items() for key, value in values.items()]
    return pd.DataFrame(rows, columns=["key", "value"])


def inputs(run: dict[str, list[dict[str, str]]]) -> pd.DataFrame:
    """Checksums of what was evaluated: ``kind, sha256``, the first sixteen digits."""
    return pd.DataFrame([(item["kind"], item["sha256"][:16]) for item in run["inputs"]], columns=["kind", "sha256"])
