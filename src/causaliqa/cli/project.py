"""Verb ``project``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from causaliqa.cli.options import OutDirectory, Params


def project(
    model: Annotated[Path, typer.Argument(help="Folder of the trained model.")],
    features: Annotated[list[Path], typer.Argument(help="Feature tables of that model, one a dataset.")],
    out: OutDirectory,
    consensus: Annotated[
        list[Path] | None,
        typer.Option("--consensus", metavar="FILE", help="Consensus of a synthetic set, for projection `consensus`."),
    ] = None,
    params: Params = "{}",
    embed: Annotated[str, typer.Option(metavar="JSON", help="Section embed of params.yaml as JSON.")] = "{}",
) -> None:
    """Turn features into label-free scores; fitted on the synthetic pairs of the model's own train references.

    Writes scores.parquet and metric.safetensors, which `causaliqa score --metric` takes.
    """
    from causaliqa.config import Embed, Project, parse_section
    from causaliqa.labelfree.stage import run

    counts = run(model, features, out, parse_section(Project, params), parse_section(Embed, embed), consensus or ())
    typer.echo(f"{out}: fitted on {counts['fitted']} pairs of train references, scored {counts['scored']} pairs")
