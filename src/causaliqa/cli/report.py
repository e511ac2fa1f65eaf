"""``causaliqa report``: render one notebook to a page, figures and tables."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from causaliqa.cli.options import OutDirectory, Params


def report(
    notebook: Annotated[
        str, typer.Argument(help="Name of the notebook: benchmark, cross_domain, datasets, ablations or audit.")
    ],
    template: Annotated[Path, typer.Option("--template", metavar="IPYNB", help="The notebook without outputs.")],
    out: OutDirectory,
    evaluate: Annotated[
        Path | None,
        typer.Option("--evaluate", metavar="DIR", help="Tables of stage evaluate; all but audit need them."),
    ] = None,
    audit: Annotated[
        Path | None,
        typer.Option("--audit", metavar="DIR", help="Tables of stage audit; the notebook audit needs them."),
    ] = None,
    scores: Annotated[
        list[Path] | None, typer.Option("--scores", metavar="FILE", help="Score table; repeat it.")
    ] = None,
    features: Annotated[
        list[Path] | None, typer.Option("--features", metavar="FILE", help="Feature table; repeat it.")
    ] = None,
    interventions: Annotated[
        list[Path] | None, typer.Option("--interventions", metavar="DIR", help="Interventions of a model; repeat it.")
    ] = None,
    history: Annotated[
        list[Path] | None, typer.Option("--history", metavar="CSV", help="Loss curve of a model; repeat it.")
    ] = None,
    model: Annotated[
        list[Path] | None, typer.Option("--model", metavar="JSON", help="model.json of a model; repeat it.")
    ] = None,
    validation: Annotated[
        list[Path] | None, typer.Option("--validation", metavar="JSON", help="Verified dataset; repeat it.")
    ] = None,
    degraded: Annotated[
        list[Path] | None, typer.Option("--degraded", metavar="DIR", help="Degraded set, for its pictures; repeat it.")
    ] = None,
    labelled: Annotated[
        list[Path] | None,
        typer.Option("--labelled", metavar="FILE", help="Heads on labelled sets; repeat it."),
    ] = None,
    params: Params = "{}",
) -> None:
    """Render a notebook: one HTML page that opens offline, figures as PDF and PNG, tables as CSV and LaTeX.

    Only the notebook's own files below --out are replaced, and only when all its cells succeeded.
    """
    from causaliqa.config import Report, parse_section
    from causaliqa.report.stage import run

    said = run(
        notebook,
        template,
        out,
        parse_section(Report, params),
        evaluate=evaluate,
        audit=audit,
        scores=scores or [],
        features=features or [],
        interventions=interventions or [],
        history=history or [],
        models=model or [],
        validations=validation or [],
        degraded=degraded or [],
        labelled=labelled or [],
    )
    typer.echo(said, err=True)
