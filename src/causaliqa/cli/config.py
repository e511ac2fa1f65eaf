"""Verbs ``config describe | show | check | use | schema``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from causaliqa.errors import ConfigError

app = typer.Typer(
    help="Look at, check and switch the configuration (params.yaml).", no_args_is_help=True, rich_markup_mode=None
)

PARAMS = Path("params.yaml")
SCHEMA = Path("workflow/schemas/params.schema.json")
Presets = Annotated[
    list[str] | None,
    typer.Option("--preset", "-p", metavar="NAME", help="Preset laid over params.yaml (config/NAME.yaml)."),
]


def preset_file(name: str) -> Path:
    """Return the file of a preset given by name or path."""
    path = Path(name) if name.endswith((".yaml", ".yml")) else Path("config", f"{name}.yaml")
    if not path.is_file():
        known = ", ".join(sorted(item.stem for item in Path("config").glob("*.yaml"))) or "none"
        raise ConfigError(f"{path}: no such preset; known are {known}")
    return path


@app.command("describe")
def describe(
    section: Annotated[str, typer.Argument(help="One section, e.g. pretrain; all if left out.")] = "",
) -> None:
    """Print every key with its type, default and meaning."""
    from causaliqa.workflow.params import describe_keys

    keys = [key for key in describe_keys() if not section or key.name.split(".")[0] == section]
    if not keys:
        known = ", ".join(dict.fromkeys(key.name.split(".")[0] for key in describe_keys()))
        raise ConfigError(f"{section}: no such section; known are {known}")
    for key in keys:
        typer.echo(f"{key.name}  ({key.kind})  default: {key.default}\n    {key.meaning}")


@app.command("show")
def show(
    section: Annotated[str, typer.Argument(help="One section; all if left out.")] = "", preset: Presets = None
) -> None:
    """Print the validated configuration, defaults filled in, as YAML."""
    from causaliqa.config import load_params
    from causaliqa.workflow.params import dump_yaml

    values = load_params(PARAMS, *map(preset_file, preset or [])).model_dump(mode="json")
    if section and section not in values:
        raise ConfigError(f"{section}: no such section; known are {', '.join(values)}")
    typer.echo(dump_yaml({section: values[section]} if section else values), nl=False)


@app.command("check")
def check(
    file: Annotated[Path, typer.Argument(help="A params.yaml, or a preset that is laid over params.yaml.")] = PARAMS,
) -> None:
    """Validate a configuration; each bad key is named with its section and the nearest valid key."""
    from causaliqa.config import load_params

    presets = [] if file.resolve().parent != Path("config").resolve() else [file]
    load_params(PARAMS if presets else file, *presets)
    typer.echo(f"{file}: valid")


@app.command("use")
def use(name: Annotated[str, typer.Argument(help="Preset: config/NAME.yaml, or a path that ends in .yaml.")]) -> None:
    """Lay a preset over params.yaml and write the result there, so that DVC sees it too.

    `git checkout params.yaml dvc.yaml` goes back. A plain run needs none of this:
    snakemake --configfile config/NAME.yaml
    """
    from causaliqa.workflow.params import lay_over

    preset = preset_file(name)
    lay_over(PARAMS, preset)
    typer.echo(f"{PARAMS}: {preset} laid over it; next: snakemake, or dvc repro")
    if Path("Snakefile").is_file() and Path("dvc.yaml").is_file():
        from causaliqa.workflow import dvcfile

        if dvcfile.write(Path.cwd()):
            typer.echo("dvc.yaml: written again, since the preset changes which models it plots")


@app.command("schema")
def schema(
    write: Annotated[bool, typer.Option("--write", help=f"Write {SCHEMA}.")] = False,
    verify: Annotated[bool, typer.Option("--check", help="Exit with 1 if the file is stale.")] = False,
) -> None:
    """Print the JSON schema of params.yaml, or write or check its file."""
    import json

    from causaliqa.config import json_schema
    from causaliqa.io import write_text

    text = json.dumps(json_schema(), indent=2) + "\n"
    if write:
        write_text(SCHEMA, text)
        typer.echo(f"{SCHEMA}: written")
    elif verify:
        if not SCHEMA.is_file() or SCHEMA.read_text(encoding="utf-8") != text:
            raise ConfigError(f"{SCHEMA}: stale; run `causaliqa config schema --write`")
        typer.echo(f"{SCHEMA}: up to date")
    else:
        typer.echo(text, nl=False)
