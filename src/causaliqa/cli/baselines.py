"""Verb ``baselines``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from causaliqa.cli.options import Jobs, OutDirectory, Params


def baselines(
    pairs: Annotated[Path, typer.Argument(metavar="DIR", help="A degraded set, or a fetched set with scores.")],
    out: OutDirectory,
    params: Params = "{}",
    jobs: Jobs = 1,
    weights: Annotated[Path, typer.Option(help="Where the weights of deep metrics lie.")] = Path("data/weights"),
) -> None:
    """Score a set of pairs with full-reference metrics; form the pseudo-MOS, their consensus.

    Example:  causaliqa baselines data/degraded/bundled_natural --out results/baselines/bundled_natural --jobs 2
    """
    from causaliqa.baselines.stage import run
    from causaliqa.config import Baselines, parse_section

    typer.echo(run(pairs, out, parse_section(Baselines, params), jobs, weights), err=True)
