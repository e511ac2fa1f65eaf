"""Verb ``pretrain``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from causaliqa.cli.options import OutDirectory, Params, Seed


def pretrain(
    degraded: Annotated[
        list[Path], typer.Argument(help="Degraded sets of the scenario, e.g. data/degraded/bundled_natural.")
    ],
    out: OutDirectory,
    params: Params,
    base: Annotated[str, typer.Option(metavar="JSON", help="Section base of params.yaml as JSON.")] = "{}",
    scenario: Annotated[str, typer.Option(help="Name of the scenario, for the record.")] = "custom",
    variant: Annotated[str, typer.Option(help="Variant of section pretrain to train.")] = "full",
    seed: Seed = 0,
    checkpoints: Annotated[Path, typer.Option(help="Where an interrupted training resumes from.")] = Path(
        ".causaliqa/checkpoints"
    ),
    pretrained: Annotated[Path, typer.Option(help="Converted weights, for stem imagenet.")] = Path("data/weights"),
) -> None:
    """Train a disentanglement model without labels; an interrupted training resumes exactly.

    Writes model.safetensors, model.json and history.csv (the learning curve) to --out.
    """
    from causaliqa.config import Base, Pretrain, parse_section
    from causaliqa.disentangle.training import pretrain as train

    section = parse_section(Pretrain, params)
    train(
        degraded,
        out,
        scenario=scenario,
        variant=variant,
        seed=seed,
        choices=section.variant(variant),
        base=parse_section(Base, base),
        checkpoints=checkpoints,
        pretrained=pretrained,
    )
    typer.echo(f"{scenario}/{variant}/{seed}: trained {section.variant(variant).steps} steps, model in {out}")
