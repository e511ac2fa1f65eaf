"""Verbs ``weights list | fetch | convert``: the pretrained networks that deep metrics need."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    help="Pretrained weights of deep metrics: which there are, which are here, how to bring them in.",
    no_args_is_help=True,
)

_Registry = Annotated[Path, typer.Option(help="The registry of weights.")]
_Out = Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Where converted weights lie.")]
REGISTRY, FOLDER = Path("data/weights.yaml"), Path("data/weights")


@app.command("list")
def list_weights(registry: _Registry = REGISTRY, out: _Out = FOLDER) -> None:
    """List all weights: whether they are here, licence, the metrics that need them, their source files."""
    from causaliqa.baselines.deep import NEEDS, weights_file
    from causaliqa.baselines.deep.weights import load_registry

    for name, entry in load_registry(registry).items():
        here = "here" if weights_file(name, out).is_file() else "-"
        metrics = ", ".join(metric for metric, needed in NEEDS.items() if name in needed)
        typer.echo(f"{name:26} {here:5} {entry.title} ({entry.licence}); for {metrics}")
        for source in entry.sources:
            size = f", {source.size / 1e6:,.3g} MB" if source.size else ""
            known = "checksum known" if source.sha256 else "checksum recorded at the first download"
            where = source.urls[0] if source.urls else source.manual
            typer.echo(f"{'':32} {source.name}{size}, {known}: {where}")
    typer.echo("\nBring one in:      causaliqa weights fetch NAME\nFrom a file:       causaliqa weights convert FILE")


@app.command("fetch")
def fetch_weights(
    names: Annotated[list[str], typer.Argument(help="Names in the registry of weights.")],
    registry: _Registry = REGISTRY,
    out: _Out = FOLDER,
    downloads: Annotated[Path, typer.Option(help="Where downloaded files are kept.")] = Path("data/downloads"),
    record: Annotated[Path, typer.Option(help="Checksums of first downloads.")] = Path("data/checksums.json"),
) -> None:
    """Bring weights in: download, verify, convert to safetensors.

    CAUSALIQA_MIRROR names a folder or an address that serves the source files by name; it is asked first.

    Example: causaliqa weights fetch squeezenet1_1
    """
    from causaliqa.baselines.deep import weights_file
    from causaliqa.baselines.deep.weights import fetch_weights
    from causaliqa.datasets.fetch import Places

    for name in names:
        card = fetch_weights(name, out, registry=registry, places=Places(downloads=downloads, record=record))
        typer.echo(f"{weights_file(name, out)}: {card['parameters']} parameters from {card['source']['file']}")


@app.command("convert")
def convert_weights(
    file: Annotated[Path, typer.Argument(help="A published file: .npz, .caffemodel, .pth or .pt.")],
    name: Annotated[
        str | None, typer.Option("--as", metavar="NAME", help="Which weights it holds; default: by its file name.")
    ] = None,
    registry: _Registry = REGISTRY,
    out: _Out = FOLDER,
) -> None:
    """Convert a published file that is here already; nothing is downloaded, its checksum is not compared.

    Example: causaliqa weights convert alex.pth --as lpips_alex
    """
    from causaliqa.baselines.deep import weights_file
    from causaliqa.baselines.deep.weights import load_registry, recognise, write_weights

    entries = load_registry(registry)
    found, kind = recognise(file, entries, name)
    card = write_weights(found, entries[found], kind, file, out)
    typer.echo(f"{weights_file(found, out)}: {card['parameters']} parameters from {file.name}")
