"""Verbs ``metric show | pack``: the trained metrics that come with the package."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    help="Trained metrics: what one is, and how one becomes part of the package.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("show")
def show_metric(
    metric: Annotated[
        str | None, typer.Argument(help="A packaged metric's name, or a metric.safetensors; default: what score takes.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole card, with every parameter.")] = False,
) -> None:
    """Show what a metric was trained on and how; of a packaged one, verify that it is the one of its card.

    Example: causaliqa metric show natural
    """
    import json

    from causaliqa.labelfree.pack import describe
    from causaliqa.metric import metric_path

    path = metric_path(metric)
    card = describe(path)
    if as_json:
        typer.echo(json.dumps(card, indent=2, sort_keys=True))
        return
    typer.echo(f"{path}: {card['bytes'] / 1e6:.2f} MB, SHA-256 {card['sha256']}")
    typer.echo(
        f"model        {card['scenario']}/{card['variant']}, seed {card['seed']}, {card['parameters']} parameters"
    )
    typer.echo(f"projections  {', '.join(card['projections'])}; default {card['default']}")
    typer.echo(f"training     {card['train_references']} references, {card['choices']['steps']} steps")
    for name, hashes in card["datasets"].items():
        known = ", ".join(f"{kind} manifest {digest}" for kind, digest in hashes.items())
        typer.echo(f"dataset      {name}{': ' if known else ''}{known}")
    if "command" in card:
        versions = ", ".join(f"{name} {version}" for name, version in card["versions"].items())
        typer.echo(f"versions     {versions}; code {card['code']}")
        typer.echo(f"command      {card['command']}")


@app.command("pack")
def pack_metric(
    metric: Annotated[Path, typer.Argument(help="A metric.safetensors written by stage project.")],
    name: Annotated[str, typer.Option(help="Its name in the package; `natural` is the default of score.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="DIR", help="Folder to write; default: the package's own.")
    ] = None,
    data: Annotated[Path, typer.Option(help="The project's data, whose manifests the card names.")] = Path("data"),
    params: Annotated[
        str | None,
        typer.Option(metavar="JSON", help="The configuration it was trained with; default: params.yaml and --preset."),
    ] = None,
    preset: Annotated[
        list[str] | None,
        typer.Option("--preset", "-p", metavar="NAME", help="Preset laid over params.yaml (config/NAME.yaml)."),
    ] = None,
    command: Annotated[
        str | None, typer.Option(help="What made it, for the card; default: the pipeline's command for this file.")
    ] = None,
) -> None:
    """Make a metric part of the package: its weights, and a card with all that is needed to train it again.

    Example: causaliqa metric pack results/project/natural/full/0/metric.safetensors --name natural --preset natural
    """
    from causaliqa.cli.config import PARAMS, preset_file
    from causaliqa.config import Params, load_params, parse_section
    from causaliqa.errors import ConfigError
    from causaliqa.labelfree.pack import pack
    from causaliqa.metric import weights_folder

    if params is not None and preset:
        raise ConfigError("--params is a whole configuration; leave out --preset")
    chosen = load_params(PARAMS, *map(preset_file, preset or [])) if params is None else parse_section(Params, params)
    made = pack(metric, name, out or weights_folder(), params=chosen, data=data, command=command)
    typer.echo(f"{made}: {made.stat().st_size / 1e6:.2f} MB; its card is {made.with_suffix('.json').name}")
