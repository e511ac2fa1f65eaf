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
    labelled: Annotated[
        list[Path] | None,
        typer.Option("--labelled", metavar="DIR", help="Fetched set with published scores; repeat it."),
    ] = None,
    labelled_features: Annotated[
        list[Path] | None,
        typer.Option("--labelled-features", metavar="FILE", help="Feature table of a labelled set; repeat it."),
    ] = None,
    projected: Annotated[
        Path | None, typer.Option("--projected", metavar="FILE", help="Label-free scores of stage project.")
    ] = None,
    params: Params = "{}",
) -> None:
    """Learn quality from few or all labels of train references; score the pairs of test references.

    On labelled sets the published scores teach and judge, split by split.
    """
    from causaliqa.config import Regress, parse_section
    from causaliqa.supervised.stage import run

    section = parse_section(Regress, params)
    fits = run(model, features, labels, out, section, labelled or (), labelled_features or (), projected)
    typer.echo(f"{out}: {fits} fits")
