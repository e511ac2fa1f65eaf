"""The trained metric as one file and one module: what ``causaliqa score`` and the Python API use."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from causaliqa.disentangle.features import pair_features
from causaliqa.disentangle.training import build_model
from causaliqa.errors import DataError, ModelError
from causaliqa.io import read_tensors

#: The metric that a plain ``snakemake`` run trains first.
DEFAULT_METRIC = Path("results/project/all_domains/full/0/metric.safetensors")
#: A metric file is a few megabytes; anything far above it is not one.
_MAX_BYTES = 512_000_000


class DisentanglementMetric(nn.Module):
    """Label-free full-reference quality: distance of two images in masked degradation features.

    Parameters
    ----------
    about : description stored in the metric file.
    tensors : weights, prefixed ``model.`` and ``projection.``.
    projection : ``norm``, ``pc1`` or ``mahalanobis``; None takes the file's default.

    Notes
    -----
    ``forward(reference, distorted)`` takes RGB images (N,3,H,W), float, in [0, 1] (declared, not guessed: a value
    outside is an error), at least 32 pixels a side, and returns (N,) distances: 0 for identical images, larger is
    worse. Gray images are passed with their channel repeated. Gradients flow to both images.
    """

    #: Polarity of the returned score.
    higher_is_better = False

    def __init__(
        self, about: dict[str, Any], tensors: dict[str, Tensor], name: str, projection: str | None = None
    ) -> None:
        super().__init__()
        self.about = about
        self.projection = projection or str(about["default"])
        matrices = {
            key.removeprefix("projection."): value for key, value in tensors.items() if key.startswith("projection.")
        }
        if self.projection not in matrices:
            raise ModelError(
                f"{name}: no projection {self.projection!r}; this metric has {', '.join(sorted(matrices))}"
            )
        weights = {key.removeprefix("model."): value for key, value in tensors.items() if key.startswith("model.")}
        self.model = build_model(about["choices"], weights, name)
        self.percentile = float(about["percentile"])
        self.register_buffer("matrix", matrices[self.projection].to(torch.float32))
        self.requires_grad_(False)

    def forward(self, reference: Tensor, distorted: Tensor) -> Tensor:
        """Return the distance of each pair, shape (N,).

        Raises
        ------
        DataError
            If shapes differ, are not (N,3,H,W), a side is below 32 pixels, or a value is outside [0, 1] or not finite.
        """
        for role, image in (("reference", reference), ("distorted", distorted)):
            if image.ndim != 4 or image.shape[1] != 3 or not image.is_floating_point():
                raise DataError(f"{role}: expected a float tensor (N,3,H,W), found {tuple(image.shape)} {image.dtype}")
            low, high = float(image.detach().amin()), float(image.detach().amax())
            if not (low >= 0.0 and high <= 1.0):
                raise DataError(
                    f"{role}: values must lie in [0, 1], found [{low:g}, {high:g}]; divide by the data range"
                )
        if reference.shape != distorted.shape:
            raise DataError(
                f"reference {tuple(reference.shape)} and distorted {tuple(distorted.shape)} differ in shape"
            )
        if min(reference.shape[-2:]) < 32:
            raise DataError(f"images are {reference.shape[-1]}x{reference.shape[-2]}; at least 32x32 pixels are needed")
        projected = pair_features(self.model, reference, distorted, self.percentile) @ self.get_buffer("matrix")
        if self.projection == "pc1":
            return projected[:, 0]
        return projected.square().sum(dim=1).sqrt()


def load_metric(path: str | Path = DEFAULT_METRIC, projection: str | None = None) -> DisentanglementMetric:
    """Load a trained metric.

    Parameters
    ----------
    path : a ``metric.safetensors`` written by stage ``project``. Safetensors holds numbers only: loading it never
        runs code.
    projection : ``norm``, ``pc1`` or ``mahalanobis``; None takes the file's default.

    Raises
    ------
    DataError
        If the file is missing or corrupt.
    ModelError
        If it is not a metric file or lacks the projection.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: no trained metric; make it with `make reproduce`, or name one with --metric")
    if path.stat().st_size > _MAX_BYTES:
        raise ModelError(f"{path}: larger than any metric file; is it one written by stage project?")
    tensors = read_tensors(path)
    try:
        from safetensors import safe_open

        with safe_open(path, framework="pt") as handle:
            about = json.loads((handle.metadata() or {})["causaliqa"])
        return DisentanglementMetric(about, tensors, str(path), projection)
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise ModelError(f"{path}: not a metric file ({error}); expected one written by stage project") from None
