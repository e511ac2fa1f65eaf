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
    labelled: Annotated[
        list[Path] | None,
        typer.Option("--labelled", metavar="DIR", help="Fetched set with published scores; repeat it."),
    ] = None,
    labelled_scores: Annotated[
        list[Path] | None,
        typer.Option("--labelled-scores", metavar="FILE", help="Score table of a labelled set; repeat it."),
    ] = None,
    literature: Annotated[
        Path | None, typer.Option("--literature", metavar="FILE", help="YAML of published correlations of databases.")
    ] = None,
    params: Params = "{}",
) -> None:
    """Evaluate score tables on the test images: correlations, D-, L-, P- and C-test, intervals over references."""
    from causaliqa.config import Evaluate, parse_section
    from causaliqa.evaluate.stage import run

    section = parse_section(Evaluate, params)
    line = run(scores, manifest, members, out, metrics, section, labelled or (), labelled_scores or (), literature)
    typer.echo(line, err=True)
