"""Reading converted weights: apart from fetching them, so that an edit there measures nothing anew."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from causaliqa.baselines.deep import NEEDS, WEIGHTS, weights_file
from causaliqa.baselines.deep.layouts import LAYOUTS
from causaliqa.errors import ModelError

if TYPE_CHECKING:
    from torch import Tensor


def load_weights(name: str, folder: Path = WEIGHTS) -> dict[str, Tensor]:
    """Read converted weights as float32.

    Raises
    ------
    ModelError
        If the file is missing, damaged or holds other tensors; the message names a metric that needs it.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path, shapes = weights_file(name, folder), LAYOUTS[name].shapes
    metric = next(metric for metric, needed in NEEDS.items() if name in needed)
    remedy = f"metric {metric} needs it; make it anew with `causaliqa weights fetch {name}`"
    try:
        tensors = load_file(path)
    except FileNotFoundError:
        raise ModelError(f"{path}: missing, {remedy}") from None
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelError(f"{path}: truncated or not safetensors ({error}), {remedy}") from None
    if {key: tuple(tensor.shape) for key, tensor in tensors.items()} != shapes:
        raise ModelError(f"{path}: does not hold the tensors of {name}, {remedy}")
    return {key: tensor.to(torch.float32) for key, tensor in tensors.items()}
