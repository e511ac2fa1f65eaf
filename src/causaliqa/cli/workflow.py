"""Verbs ``workflow dvc | record | sync | verify``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    help="Keep Snakemake and DVC in step. Run these in the project's folder.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("dvc")
def dvc(
    write: Annotated[bool, typer.Option("--write", help="Write dvc.yaml.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Print a diff and exit with 1 if dvc.yaml is stale.")] = False,
) -> None:
    """Generate dvc.yaml from the Snakemake workflow; without an option, print it."""
    from causaliqa.workflow import dvcfile

    root = Path.cwd()
    if write:
        changed = dvcfile.write(root)
        typer.echo("dvc.yaml: written" if changed else "dvc.yaml: already follows the workflow")
    elif check:
        if changes := dvcfile.difference(root):
            typer.echo(changes, nl=False)
            typer.echo("error: dvc.yaml does not follow the workflow; run `causaliqa workflow dvc --write`", err=True)
            raise typer.Exit(1)
        typer.echo("dvc.yaml: follows the workflow")
    else:
        typer.echo(dvcfile.generate(root), nl=False)


@app.command("record")
def record(
    prune: Annotated[
        bool, typer.Option("--prune", help="Delete outputs that belong to another configuration.")
    ] = False,
) -> None:
    """After `snakemake`: let DVC record what was made, without running it again."""
    from causaliqa.workflow import tools

    tools.record(Path.cwd(), typer.echo, prune=prune)


@app.command("sync")
def sync() -> None:
    """After `dvc pull`, `dvc checkout` or `dvc exp apply`: let Snakemake accept what is there."""
    from causaliqa.workflow import tools

    tools.sync(Path.cwd(), typer.echo)


@app.command("verify")
def verify() -> None:
    """Check that both tools agree and that everything is made, recorded and unchanged."""
    from causaliqa.workflow import tools

    tools.verify(Path.cwd(), typer.echo)
