"""Verb ``regress``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from causaliqa.cli.options import OutDirectory, Params


def regress(
    model: Annotated[Path, typer.Argument(help="Folder of the trained model.")],
    features: Annotated[list[Path], typer.Argument(help="Feature tables of that model, one a dataset.")],
    labels: Annotated[list[Path], typer.Option("--labels", help="Score tables that hold the labels (repeat it).")],
    out: OutDirectory,
    params: Params = "{}",
) -> None:
    """Learn quality from few or all labels of train references; score the pairs of test references."""
    from causaliqa.config import Regress, parse_section
    from causaliqa.supervised.stage import run

    fits = run(model, features, labels, out, parse_section(Regress, params))
    typer.echo(f"{out}: {fits} fits")
