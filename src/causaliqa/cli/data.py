"""Verbs ``data list | show``: what datasets exist, what is here, on what terms."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="What datasets exist, which are here, and on what terms.", no_args_is_help=True)

_Registry = Annotated[Path, typer.Option(help="The registry file.")]
_Root = Annotated[Path, typer.Option(help="Where fetched datasets lie.")]


@app.command("list")
def list_datasets(registry: _Registry = Path("data/registry.yaml"), root: _Root = Path("data/raw")) -> None:
    """List every dataset of the registry and whether it is here."""
    from causaliqa.datasets.registry import load_registry

    for name, dataset in load_registry(registry).items():
        here = "here" if (root / name / "manifest.csv").is_file() else "not fetched"
        typer.echo(f"{name:22} {dataset.domain:12} {len(dataset.images):4} references  {here:12} {dataset.title}")
    typer.echo(
        f"\nBring one in with: causaliqa fetch NAME --out {root}/NAME   (all of params.yaml: snakemake stage_fetch)"
    )


@app.command("show")
def show_dataset(
    name: Annotated[str, typer.Argument(help="Name in the registry.")],
    registry: _Registry = Path("data/registry.yaml"),
    as_json: Annotated[bool, typer.Option("--json", help="Print the entry as JSON.")] = False,
) -> None:
    """Show one dataset: its images, their origin and their licence."""
    from causaliqa.datasets.registry import find_dataset

    dataset = find_dataset(name, registry)
    if as_json:
        typer.echo(json.dumps(dataset.model_dump(mode="json"), indent=2))
        return
    typer.echo(f"{name}: {dataset.title} (version {dataset.version}, {dataset.kind}, domain {dataset.domain})")
    for image in dataset.images:
        window = f", values {image.window[0]} to {image.window[1]}" if image.window else ""
        typer.echo(f"  {image.name:14} {image.licence:36} {image.origin}{window}")
