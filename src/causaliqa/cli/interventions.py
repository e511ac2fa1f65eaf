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

    do(D:=0) on the distorted image, do(D:=D_y) on the reference, do(D:=lambda D), do(C:=C') with the recipe kept;
    linear probes of what content and degradation tell; the mask beside a model of visual masking.
    """
    from causaliqa.disentangle import interventions as stage
    from causaliqa.disentangle import probes

    pairs = stage.run(model, degraded, out)
    typer.echo(f"{out}: {pairs} pairs intervened on, {len(probes.run(model, degraded, out))} probes")
