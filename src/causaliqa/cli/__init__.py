"""The ``causaliqa`` command: one verb a stage of the pipeline, and a few for people.

Verbs are thin: parse, call, print. Heavy imports happen inside them, since every job of the pipeline pays the start-up.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence

import typer

from causaliqa.errors import CausalIQAError

#: Verb: (module, what `--help` says in the overview). Order is the pipeline's.
_VERBS = {
    "score": "score",
    "fetch": "fetch",
    "validate": "validate",
    "degrade": "degrade",
    "pretrain": "pretrain",
    "embed": "embed",
    "interventions": "interventions",
    "project": "project",
    "regress": "regress",
    "baselines": "baselines",
    "evaluate": "evaluate",
    "report": "report",
    "audit": "audit",
}
_GROUPS = {"data": "data", "metric": "metric", "weights": "weights", "config": "config", "workflow": "workflow"}

_HELP = """Full-reference image quality by causal disentanglement, as one reproducible pipeline.

Score images with a trained model:   causaliqa score reference.png distorted.png

Reproduce everything:                snakemake --cores all

See what is here and what is not:    causaliqa data list
"""


def build_app() -> typer.Typer:
    """Return the command with all its verbs."""
    app = typer.Typer(
        help=_HELP, no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=True
    )
    for verb, module in _VERBS.items():
        function = getattr(importlib.import_module(f"causaliqa.cli.{module}"), verb)
        app.command(verb)(function)
    for group, module in _GROUPS.items():
        app.add_typer(importlib.import_module(f"causaliqa.cli.{module}").app, name=group)
    return app


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; print an error that the user can repair as one line and exit with status 1."""
    try:
        build_app()(args=arguments, prog_name="causaliqa", standalone_mode=True)
    except CausalIQAError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(1)
    except BrokenPipeError:
        # The reader of a pipe left (`causaliqa ... | head`): not an error; silence the flush at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
