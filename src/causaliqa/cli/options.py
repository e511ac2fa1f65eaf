"""Options that several verbs share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Params = Annotated[
    str,
    typer.Option("--params", metavar="JSON", help="The stage's section of params.yaml as JSON; default: its defaults."),
]
Jobs = Annotated[int, typer.Option("--jobs", "-j", min=1, help="Processes that work on images.")]
OutDirectory = Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Folder to write, whole or not at all.")]
OutFile = Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="File to write, whole or not at all.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Seed; the same seed gives the same bytes.")]
