"""Verb ``degrade``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from causaliqa.cli.options import Jobs, OutDirectory, Params


def degrade(
    raw: Annotated[Path, typer.Argument(metavar="RAW_DIR", help="Folder that fetch wrote: manifest.csv and images.")],
    out: OutDirectory,
    params: Params = "{}",
    jobs: Jobs = 1,
) -> None:
    """Degrade every reference of a dataset: all types, levels and some chains, as shards and a manifest.

    Example:  causaliqa degrade data/raw/bundled_natural --out data/degraded/bundled_natural --jobs 2
    """
    from causaliqa.config import Degrade, parse_section
    from causaliqa.datasets.shards import DegradedSet
    from causaliqa.degradations.build import build_set

    build_set(raw, out, parse_section(Degrade, params), jobs)
    made = DegradedSet(out)
    typer.echo(
        f"degrade: {made.name}: {len(made.manifest)} images of {len(made.references)} references in {out}", err=True
    )
