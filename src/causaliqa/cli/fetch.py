"""Verb ``fetch``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from causaliqa.cli.options import OutDirectory


def fetch(
    dataset: Annotated[str, typer.Argument(help="Name in the registry; `causaliqa data list` shows them.")],
    out: OutDirectory,
    registry: Annotated[Path, typer.Option(help="The registry file.")] = Path("data/registry.yaml"),
) -> None:
    """Bring one dataset in: verify its files and write images and manifest.csv.

    Example: causaliqa fetch bundled_natural --out data/raw/bundled_natural
    """
    from causaliqa.datasets.fetch import fetch_dataset
    from causaliqa.datasets.registry import find_dataset

    manifest = fetch_dataset(dataset, find_dataset(dataset, registry), out)
    typer.echo(f"{dataset}: {len(manifest)} images in {out}")
