"""Verb ``interventions``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from causaliqa.cli.options import OutDirectory


def interventions(
    model: Annotated[Path, typer.Argument(help="Folder of a trained model.")],
    degraded: Annotated[list[Path], typer.Argument(help="Degraded sets whose test references are intervened on.")],
    out: OutDirectory,
) -> None:
    """Carry out the causal model's interventions on test references: pictures for the report, and numbers.

    do(D:=0) on the distorted image, do(D:=D_y) on the reference, do(D:=lambda D), do(C:=C') with the recipe kept.
    """
    from causaliqa.disentangle.interventions import run

    typer.echo(f"{out}: {run(model, degraded, out)} pairs intervened on")
