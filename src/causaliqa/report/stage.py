"""Stage report: run a notebook, normalise it, make one HTML page that opens offline. Equal inputs, equal bytes."""

from __future__ import annotations

import contextlib
import html
import json
import logging
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from causaliqa.config import Report
from causaliqa.errors import CausalIQAError, DataError
from causaliqa.io import atomic_directory, write_text
from causaliqa.report.session import STAGING

_KERNEL = "causaliqa-report"
#: Whatever a browser would fetch: (what it is, pattern).
_REMOTE = re.compile(
    r"""<(?:script|link|img|iframe|source|video|audio|object|embed)\b[^>]*?\b(?:src|href|data)\s*=\s*["']?(?:https?:)?//"""
    r"""|@import\s+|url\(\s*["']?(?:https?:)?//""",
    re.IGNORECASE,
)

STYLE = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1.5rem 4rem; max-width: 1180px; background: #fff; color: #1f2328;
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", "Liberation Sans", "DejaVu Sans", Arial, sans-serif; }
h1 { font-size: 1.9rem; line-height: 1.25; margin: .5rem 0 1rem; }
h2 { font-size: 1.4rem; margin: 2.6rem 0 .8rem; padding-top: .6rem; border-top: 1px solid #d8dee4; }
h3 { font-size: 1.12rem; margin: 1.6rem 0 .5rem; }
p, ul { max-width: 80ch; }
li { margin: .2rem 0; }
a { color: #0550ae; }
code { font: .9em ui-monospace, "Liberation Mono", "DejaVu Sans Mono", monospace; background: #f2f4f6;
  padding: .1em .3em; border-radius: 3px; }
figure { margin: 1.2rem 0; }
figure img { max-width: 100%; height: auto; display: block; }
figcaption { color: #57606a; font-size: .9rem; margin-top: .4rem; max-width: 95ch; }
figure.tabular figcaption { margin: 0 0 .4rem; }
.scroll { overflow-x: auto; }
.scroll.long { max-height: 85vh; overflow-y: auto; }
table { border-collapse: separate; border-spacing: 0; font-size: .86rem; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .3rem .75rem .3rem 0; border-bottom: 1px solid #e6e9ec; vertical-align: top;
  background: #fff; }
thead th { border-bottom: 2px solid #8c959f; vertical-align: bottom; }
table.wide { font-size: .78rem; line-height: 1.4; }
table.wider { font-size: .7rem; line-height: 1.35; }
table.wide th, table.wide td { padding-right: .55rem; }
table.wider th, table.wider td { padding-right: .4rem; }
th:first-child, td:first-child { position: sticky; left: 0; z-index: 1; }
.long thead th { position: sticky; top: 0; z-index: 2; }
.long thead th:first-child { z-index: 3; }
details { margin: .8rem 0; }
summary { cursor: pointer; color: #0550ae; }
nav ul { list-style: none; padding: 0; display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; max-width: none; }
.anchor-link { display: none; }
pre { white-space: pre-wrap; }
@media print { body { max-width: none; padding: 0; } .scroll.long { max-height: none; }
  h2 { break-after: avoid; } figure { break-inside: avoid; } }
"""


def _relative(path: Path) -> str:
    """Return a path as the notebook should name it: relative to the working folder where it lies below it."""
    absolute = Path(path).resolve()
    with contextlib.suppress(ValueError):
        return absolute.relative_to(Path.cwd().resolve()).as_posix()
    return absolute.as_posix()


@contextlib.contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _own_kernel(staging: Path) -> Iterator[None]:
    """Offer this interpreter as a kernel, whatever is installed; keep Jupyter's files out of the home folder."""
    with tempfile.TemporaryDirectory(prefix="causaliqa-") as name:
        folder = Path(name) / "kernels" / _KERNEL
        folder.mkdir(parents=True)
        source = str(Path(__file__).resolve().parents[2])
        kernel = {
            "argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}", "--log-level=50"],
            "display_name": "causaliqa",
            "language": "python",
            "env": {
                STAGING: str(staging.resolve()),
                "MPLBACKEND": "agg",
                "PYTHONHASHSEED": "0",
                "PYTHONPATH": os.pathsep.join(filter(None, [source, os.environ.get("PYTHONPATH", "")])),
            },
        }
        (folder / "kernel.json").write_text(json.dumps(kernel), encoding="utf-8")
        folders = {
            "JUPYTER_PATH": name,
            "JUPYTER_RUNTIME_DIR": f"{name}/runtime",
            "JUPYTER_CONFIG_DIR": f"{name}/config",
            "JUPYTER_DATA_DIR": f"{name}/data",
            "IPYTHONDIR": f"{name}/ipython",
        }
        with _environment(folders):
            yield


def _parameters(
    notebook: str, params: Report, evaluate: Path | None, audit: Path | None, scores: Sequence[Path],
    features: Sequence[Path], interventions: Sequence[Path], history: Sequence[Path], models: Sequence[Path],
    validations: Sequence[Path], degraded: Sequence[Path], labelled: Sequence[Path],
) -> dict[str, Any]:  # fmt: skip
    if audit is not None:
        # The page on protocols has nothing to do with models: its notebook has one input.
        return {"notebook": notebook, "dpi": params.dpi, "audit": _relative(audit)}
    if evaluate is None:
        raise DataError(f"{notebook}: has no tables to show; name their folder with --evaluate, or with --audit")
    lists = {
        "scores": scores,
        "features": features,
        "interventions": interventions,
        "history": history,
        "models": models,
        "validations": validations,
        "degraded": degraded,
        "labelled": labelled,
    }
    return {
        "notebook": notebook,
        "dpi": params.dpi,
        "evaluate": _relative(evaluate),
        **{name: [_relative(path) for path in paths] for name, paths in lists.items()},
    }


def _execute(template: Path, parameters: dict[str, Any], staging: Path) -> Any:
    """Run the notebook; return it with its outputs.

    Raises
    ------
    CausalIQAError
        If a cell fails: the template, the cell and the error, in one line.
    """
    import nbformat
    import papermill
    from papermill.exceptions import PapermillException, PapermillExecutionError

    logging.getLogger("papermill").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory(prefix="causaliqa-") as folder, _own_kernel(staging):
        target = Path(folder) / "run.ipynb"
        try:
            papermill.execute_notebook(
                str(template), str(target), parameters=parameters, kernel_name=_KERNEL, language="python",
                progress_bar=sys.stderr.isatty(), request_save_on_cell_execute=False, start_timeout=120,
            )  # fmt: skip
        except PapermillExecutionError as error:
            where = f"cell {error.cell_index + 1}" if error.cell_index is not None else "a cell"
            reason = " ".join(str(error.evalue).split())
            raise CausalIQAError(f"{template}: {where} failed with {error.ename}: {reason}") from None
        except (PapermillException, RuntimeError, OSError, ValueError) as error:
            raise CausalIQAError(
                f"{template}: the notebook could not be run ({' '.join(str(error).split())})"
            ) from None
        return nbformat.read(str(target), as_version=4)  # type: ignore[no-untyped-call]


def normalise(notebook: Any) -> Any:
    """Remove from a notebook what differs between equal runs; changes and returns it.

    Dropped: papermill's and execution metadata, times, counters, warnings on stderr, the kernel's and the
    interpreter's version. Cell ids become ``0``, ``1`` ... as nbstripout writes them.
    """
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for index, cell in enumerate(notebook.cells):
        cell["id"] = str(index)
        tags = list(cell.get("metadata", {}).get("tags", []))
        cell["metadata"] = {"tags": tags} if tags else {}
        if cell["cell_type"] != "code":
            continue
        cell["execution_count"] = None
        kept = []
        for output in cell["outputs"]:
            if output["output_type"] == "stream" and output["name"] == "stderr":
                sys.stderr.write(str(output["text"]))
                continue
            if "execution_count" in output:
                output["execution_count"] = None
            output.pop("transient", None)
            kept.append(output)
        cell["outputs"] = kept
    return notebook


def strip(notebook: Any) -> Any:
    """Normalise a template and drop its outputs: what git should hold."""
    for cell in normalise(notebook).cells:
        if cell["cell_type"] == "code":
            cell["outputs"] = []
    return notebook


def to_html(notebook: Any) -> str:
    """Return one page: outputs and prose without code, styles and images inside, nothing to fetch.

    Raises
    ------
    CausalIQAError
        If the page would load something from elsewhere.
    """
    from nbconvert import HTMLExporter

    exporter = HTMLExporter(  # type: ignore[no-untyped-call]
        template_name="basic", exclude_input=True, exclude_input_prompt=True, exclude_output_prompt=True
    )
    body, _ = exporter.from_notebook_node(notebook)
    body = re.sub(r"<script\b.*?</script>", "", body, flags=re.DOTALL | re.IGNORECASE)
    headings = re.findall(r'<h2 id="([^"]+)">(.*?)<a class="anchor-link"', body, flags=re.DOTALL)
    contents = "".join(
        f'<li><a href="#{name}">{re.sub("<[^>]+>", "", text).strip()}</a></li>' for name, text in headings
    )
    title_match = re.search(r"<h1[^>]*>(.*?)<a class=", body, flags=re.DOTALL)
    title = html.escape(
        re.sub("<[^>]+>", "", title_match.group(1)).strip() if title_match else "causaliqa", quote=False
    )
    end = body.find("</h1>")
    nav = f"<nav aria-label='Contents'><ul>{contents}</ul></nav>" if contents else ""
    body = body[: end + 5] + nav + body[end + 5 :] if end >= 0 else nav + body
    page = (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n{body.strip()}\n</main>\n</body>\n</html>\n"
    )
    if found := _REMOTE.search(page):
        raise CausalIQAError(
            f"the page would load something from elsewhere ({found.group(0)[:80]}...); embed it instead"
        )
    return page


def _replace(source: Path, target: Path) -> int:
    """Put the files of `source` in the place of the folder `target`; return how many they are."""
    names = sorted(path.name for path in source.iterdir()) if source.is_dir() else []
    with atomic_directory(target) as folder:
        for name in names:
            shutil.copyfile(source / name, folder / name)
    return len(names)


def run(
    notebook: str,
    template: Path,
    out: Path,
    params: Report,
    *,
    evaluate: Path | None = None,
    audit: Path | None = None,
    scores: Sequence[Path] = (),
    features: Sequence[Path] = (),
    interventions: Sequence[Path] = (),
    history: Sequence[Path] = (),
    models: Sequence[Path] = (),
    validations: Sequence[Path] = (),
    degraded: Sequence[Path] = (),
    labelled: Sequence[Path] = (),
) -> str:
    """Render one notebook; return a one-line summary.

    Writes ``html/<notebook>.html``, ``notebooks/<notebook>.ipynb``, ``figures/<notebook>/`` and ``tables/<notebook>/``
    below `out`, and nothing else: other notebooks' files stay. Nothing is replaced unless every cell succeeded. With
    `audit`, tables of that stage, the notebook is given these alone; without it, `evaluate` is needed.

    Raises
    ------
    DataError
        If the template or an input is missing, or no folder of tables is named.
    CausalIQAError
        If a cell fails or the page is not self-contained.
    """
    import nbformat

    folders = [path for path in (evaluate, audit) if path is not None]
    files = (*scores, *features, *interventions, *history, *models, *validations, *degraded, *labelled)
    for path in (template, *folders, *files):
        if not Path(path).exists():
            raise DataError(f"{path}: missing; run the stage that makes it (snakemake {path})")
    with tempfile.TemporaryDirectory(prefix="causaliqa-report-") as name:
        staging = Path(name)
        parameters = _parameters(
            notebook,
            params,
            evaluate,
            audit,
            scores,
            features,
            interventions,
            history,
            models,
            validations,
            degraded,
            labelled,
        )
        executed = normalise(_execute(Path(template), parameters, staging))
        page = to_html(executed)
        out = Path(out)
        figures = _replace(staging / "figures" / notebook, out / "figures" / notebook)
        tables = _replace(staging / "tables" / notebook, out / "tables" / notebook)
        text = str(nbformat.writes(executed, version=4))  # type: ignore[no-untyped-call]
        write_text(out / "notebooks" / f"{notebook}.ipynb", text + "\n")
        write_text(out / "html" / f"{notebook}.html", page)
    return f"{out / 'html' / f'{notebook}.html'}: {figures} figure files, {tables} table files"
