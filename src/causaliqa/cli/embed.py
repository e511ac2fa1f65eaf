"""Verb ``embed``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from causaliqa.cli.options import OutFile, Params


def embed(
    model: Annotated[Path, typer.Argument(help="Folder of a trained model.")],
    pairs: Annotated[
        Path,
        typer.Argument(metavar="DIR", help="A degraded set, e.g. data/degraded/bundled_natural, or a fetched one."),
    ],
    out: OutFile,
    params: Params = "{}",
) -> None:
    """Compute the masked degradation features of every pair of a set (Parquet, one row a pair)."""
    from causaliqa.config import Embed, parse_section
    from causaliqa.disentangle.features import embed_set

    count = embed_set(model, pairs, out, parse_section(Embed, params).percentile)
    typer.echo(f"{out}: features of {count} pairs")
