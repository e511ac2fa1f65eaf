"""The trained metric as one file and one module: what ``causaliqa score`` and the Python API use."""

from __future__ import annotations

import json
import re
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from causaliqa.disentangle.features import (
    ReferenceFeatures,
    feature_names,
    features_against,
    reference_features,
    root,
)
from causaliqa.disentangle.model import build_model
from causaliqa.errors import DataError, ModelError
from causaliqa.io import read_tensors, sha256_bytes
from causaliqa.labelfree import SIGNED

#: The metric that a plain ``snakemake`` run trains first.
DEFAULT_METRIC = Path("results/project/all_domains/full/0/metric.safetensors")
#: The packaged metric that is meant where none is named.
DEFAULT_NAME = "natural"
#: A metric file is a few megabytes; anything far above it is not one.
_MAX_BYTES = 512_000_000
_NAME = re.compile(r"[a-z0-9][a-z0-9_]*")


class DisentanglementMetric(nn.Module):
    """Label-free full-reference quality: distance of two images in masked degradation features.

    Parameters
    ----------
    about : description stored in the metric file.
    tensors : weights, prefixed ``model.``, and of each projection ``projection.<name>`` and ``groups.<name>``.
    projection : one of the file's, ``norm`` for instance; None takes its default.

    Notes
    -----
    ``forward(reference, distorted)`` takes RGB images (N,3,H,W), float, in [0, 1] (declared, not guessed: a value
    outside is an error), at least 32 pixels a side, and returns (N,) distances: 0 for identical images, larger is
    worse. Gray images are passed with their channel repeated. Gradients flow to both images; the importance of places
    and the masking threshold, which the reference's own degradation maps decide, are taken as given.

    More than two thirds of the work is about the reference. Where one has many distorted images, do it once:
    ``known = metric.prepare(reference)``, then ``metric.against(known, distorted)`` for each.
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
        #: What ``projection`` may be.
        self.projections = tuple(sorted(matrices))
        if self.projection not in matrices:
            raise ModelError(
                f"{name}: no projection {self.projection!r}; this metric has {', '.join(self.projections)}"
            )
        weights = {key.removeprefix("model."): value for key, value in tensors.items() if key.startswith("model.")}
        self.model = build_model(about["choices"], weights, name)
        self.percentile = float(about["percentile"])
        if f"groups.{self.projection}" not in tensors:
            raise ModelError(
                f"{name}: written by an earlier version; run stage project again (snakemake stage_project)"
            )
        matrix, groups = matrices[self.projection].to(torch.float32), tensors[f"groups.{self.projection}"]
        features = len(feature_names(self.model.choices.scales, self.model.choices.channels))
        remedy = "run stage project again, or take another copy of the file"
        if matrix.ndim != 2 or len(matrix) != features or not bool(matrix.isfinite().all()):
            raise ModelError(f"{name}: projection.{self.projection} is no finite matrix of {features} rows; {remedy}")
        if groups.is_floating_point() or groups.shape != matrix.shape[1:] or not len(groups):
            raise ModelError(f"{name}: groups.{self.projection} does not fit the columns of its projection; {remedy}")
        self.register_buffer("matrix", matrix)
        self._signed = bool((groups == SIGNED).all())
        self.register_buffer("members", (groups[:, None] == torch.unique(groups)).to(torch.float32))
        self.requires_grad_(False)

    def forward(self, reference: Tensor, distorted: Tensor) -> Tensor:
        """Return the distance of each pair, shape (N,).

        Raises
        ------
        DataError
            If shapes differ, are not (N,3,H,W), a side is below 32 pixels, or a value is outside [0, 1] or not finite.
        """
        for role, image in (("reference", reference), ("distorted", distorted)):
            _check(role, image)
        if reference.shape != distorted.shape:
            raise DataError(
                f"reference {tuple(reference.shape)} and distorted {tuple(distorted.shape)} differ in shape"
            )
        return self._distance(self._prepare(reference), distorted)

    def prepare(self, reference: Tensor) -> ReferenceFeatures:
        """Return what the references (N,3,H,W) alone decide, for :meth:`against`.

        Raises
        ------
        DataError
            As :meth:`forward`.
        """
        _check("reference", reference)
        return self._prepare(reference)

    def against(self, reference: ReferenceFeatures, distorted: Tensor) -> Tensor:
        """Return the distances of distorted images (N,3,H,W) from their N references, or from a single one.

        The values are those of :meth:`forward`, to the bit for equal batches.

        Raises
        ------
        DataError
            As :meth:`forward`.
        """
        _check("distorted", distorted)
        known = (reference.mask[0].shape[0], 3, *reference.size)
        if known[0] not in (1, distorted.shape[0]) or tuple(distorted.shape[-2:]) != reference.size:
            raise DataError(f"reference {known} and distorted {tuple(distorted.shape)} differ in shape")
        return self._distance(reference, distorted)

    def _prepare(self, reference: Tensor) -> ReferenceFeatures:
        if min(reference.shape[-2:]) < 32:
            raise DataError(f"images are {reference.shape[-1]}x{reference.shape[-2]}; at least 32x32 pixels are needed")
        return reference_features(self.model, reference)

    def _distance(self, reference: ReferenceFeatures, distorted: Tensor) -> Tensor:
        features = features_against(self.model, reference, distorted, self.percentile)
        projected = features @ self.get_buffer("matrix")
        if self._signed:
            return projected.sum(dim=1)
        return root(projected.square() @ self.get_buffer("members")).sum(dim=1)


def _check(role: str, image: Tensor) -> None:
    if image.ndim != 4 or image.shape[1] != 3 or not image.is_floating_point():
        raise DataError(f"{role}: expected a float tensor (N,3,H,W), found {tuple(image.shape)} {image.dtype}")
    if image.numel() == 0:
        raise DataError(f"{role}: {tuple(image.shape)} holds no pixel; give at least one image")
    low, high = (float(value) for value in torch.aminmax(image.detach()))
    if not (low >= 0.0 and high <= 1.0):
        raise DataError(f"{role}: values must lie in [0, 1], found [{low:g}, {high:g}]; divide by the data range")


def weights_folder() -> Path:
    """Return the folder of the packaged metrics, each a ``NAME.safetensors`` with its card ``NAME.json``."""
    return Path(str(resources.files("causaliqa") / "weights"))


def packaged() -> list[str]:
    """Return the names of the metrics that come with the package, sorted."""
    return sorted(path.stem for path in weights_folder().glob("*.safetensors") if _NAME.fullmatch(path.stem))


def metric_path(named: str | Path | None = None) -> Path:
    """Return the file that a metric's name or path means.

    Parameters
    ----------
    named : a path; or the name of a packaged metric; or None for the packaged default, and where the package comes
        without one, for :data:`DEFAULT_METRIC`.
    """
    if named is None:
        path = weights_folder() / f"{DEFAULT_NAME}.safetensors"
        return path if path.is_file() else DEFAULT_METRIC
    if _NAME.fullmatch(str(named)) and not Path(named).exists():
        path = weights_folder() / f"{named}.safetensors"
        if path.is_file():
            return path
    return Path(named)


def read_card(path: Path) -> dict[str, Any]:
    """Return the card of a packaged metric, by the path of its weights; their checksum is compared with the card's.

    Raises
    ------
    ModelError
        If the card is missing or damaged, or the weights are not the ones that it describes.
    """
    card_path = path.with_suffix(".json")
    remedy = "install causaliqa again"
    try:
        card = json.loads(card_path.read_text(encoding="utf-8"))
        expected = card["sha256"]
    except FileNotFoundError:
        raise ModelError(f"{card_path}: missing, so {path.name} cannot be verified; {remedy}") from None
    except (UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError) as error:
        raise ModelError(f"{card_path}: not the card of a metric ({error}); {remedy}") from None
    found = sha256_bytes(path.read_bytes())
    if found != expected:
        raise ModelError(f"{path}: its SHA-256 is {found}, its card says {expected}; {remedy}")
    return dict(card)


def load_metric(path: str | Path | None = None, projection: str | None = None) -> DisentanglementMetric:
    """Load a trained metric.

    Parameters
    ----------
    path : a ``metric.safetensors`` written by stage ``project``; or the name of a metric that comes with the package,
        whose checksum is verified; None for the packaged default, else what a plain run of the pipeline trained.
        Safetensors holds numbers only: loading it never runs code.
    projection : one of the file's, ``norm`` for instance; None takes its default.

    Raises
    ------
    DataError
        If the file is missing or corrupt.
    ModelError
        If it is not a metric file, lacks the projection, or is a packaged one that does not fit its card.
    """
    path = metric_path(path)
    if not path.is_file():
        raise DataError(f"{path}: no trained metric; make it with `make reproduce`, or name one with --metric")
    if path.stat().st_size > _MAX_BYTES:
        raise ModelError(f"{path}: larger than any metric file; is it one written by stage project?")
    if path.parent == weights_folder():
        read_card(path)
    tensors = read_tensors(path)
    try:
        from safetensors import safe_open

        with safe_open(path, framework="pt") as handle:
            about = json.loads((handle.metadata() or {})["causaliqa"])
        return DisentanglementMetric(about, tensors, str(path), projection)
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise ModelError(f"{path}: not a metric file ({error}); expected one written by stage project") from None
