"""``causaliqa evaluate``: from score tables to tidy tables with intervals."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from causaliqa.cli.options import OutDirectory, Params


def evaluate(
    scores: Annotated[
        list[Path],
        typer.Option("--scores", metavar="FILE", help="Score table of methods or of the pseudo-MOS; repeat it."),
    ],
    manifest: Annotated[
        list[Path], typer.Option("--manifest", metavar="FILE", help="manifest.parquet of a degraded set; repeat it.")
    ],
    members: Annotated[
        list[Path], typer.Option("--members", metavar="FILE", help="Score table of the consensus metrics; repeat it.")
    ],
    out: OutDirectory,
    metrics: Annotated[Path, typer.Option("--metrics", metavar="FILE", help="JSON of a few numbers, for dvc metrics.")],
    params: Params = "{}",
) -> None:
    """Evaluate score tables on the test images: correlations, D-, L-, P- and C-test, intervals over references."""
    from causaliqa.config import Evaluate, parse_section
    from causaliqa.evaluate.stage import run

    typer.echo(run(scores, manifest, members, out, metrics, parse_section(Evaluate, params)), err=True)
