"""Verb ``fetch``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from causaliqa.cli.options import Jobs, OutDirectory, Params


def fetch(
    dataset: Annotated[str, typer.Argument(help="Name in the registry; `causaliqa data list` shows them.")],
    out: OutDirectory,
    registry: Annotated[Path, typer.Option(help="The registry file.")] = Path("data/registry.yaml"),
    downloads: Annotated[Path, typer.Option(help="Where downloaded archives are kept.")] = Path("data/downloads"),
    record: Annotated[Path, typer.Option(help="Checksums of first downloads.")] = Path("data/checksums.json"),
    params: Params = '{"datasets": ["any"]}',
    jobs: Jobs = 1,
) -> None:
    """Bring one dataset in: download, verify, unpack, read its labels, write manifest.csv and splits.json.

    CAUSALIQA_MIRROR names a folder or an address that serves the archives by name; it is asked first.

    Example: causaliqa fetch bundled_natural --out data/raw/bundled_natural
    """
    from causaliqa.config import Fetch, parse_section
    from causaliqa.datasets.fetch import Places, fetch_dataset
    from causaliqa.datasets.registry import find_dataset

    section = parse_section(Fetch, params)
    entry = find_dataset(dataset, registry)
    places = Places(downloads=downloads, record=record)
    about = fetch_dataset(dataset, entry, out, section, places=places, jobs=jobs)
    typer.echo(f"{dataset}: {about['rows']} images in {out}")
