"""Verb ``validate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from causaliqa.cli.options import Jobs, OutFile


def validate(
    folder: Annotated[Path, typer.Argument(help="A fetched dataset, e.g. data/raw/bundled_natural.")],
    out: OutFile,
    jobs: Jobs = 1,
) -> None:
    """Verify a fetched dataset, every image of it, and write what was found as JSON; stop on a problem.

    People use `causaliqa data verify`, which prints the same as text.
    """
    from causaliqa.datasets.validate import require_valid, summary
    from causaliqa.datasets.validate import validate as verify
    from causaliqa.io import write_json

    result = verify(folder, jobs)
    typer.echo("\n".join(summary(result)))
    require_valid(result)
    write_json(out, result)
