"""A metric with random weights, for tests that need a file of one and no quality."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch

from causaliqa.config import Params, merge, parse_params, read_yaml
from causaliqa.disentangle.features import feature_names
from causaliqa.disentangle.model import DisentanglementModel
from causaliqa.io import write_tensors
from causaliqa.labelfree.projections import fit

ROOT = Path(__file__).resolve().parents[2]
SMALL = {"width": 4, "scales": 2, "channels": 2}


def small_params(**pretrain: object) -> Params:
    """Return params.yaml with a tiny model."""
    return parse_params(merge(read_yaml(ROOT / "params.yaml"), {"pretrain": {**SMALL, **pretrain}}), "test")


def random_metric(path: Path, params: Params | None = None, seed: int = 0) -> Path:
    """Write a metric file as stage project does, of an untrained model."""
    params = params or small_params()
    choices = params.pretrain.variant("full")
    torch.manual_seed(seed)
    model = DisentanglementModel(choices)
    names = feature_names(choices.scales, choices.channels)
    about = {
        "scenario": "natural",
        "variant": "full",
        "seed": 0,
        "datasets": params.pretrain.scenarios["natural"],
        "choices": choices.model_dump(),
        "train_references": ["bundled_natural/camera"],
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "percentile": params.embed.percentile,
        "default": params.project.methods[0],
    }
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    for method in ("norm", "pc1"):
        item = fit(method, np.eye(len(names)) + 1.0, names)
        tensors[f"projection.{method}"] = torch.from_numpy(item.matrix)
        tensors[f"groups.{method}"] = torch.from_numpy(item.groups)
    write_tensors(path, tensors, {"causaliqa": json.dumps(about, sort_keys=True)})
    return path
