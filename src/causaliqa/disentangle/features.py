"""Features of an image pair: pooled sizes of the masked degradation difference."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from causaliqa.disentangle.model import DisentanglementModel, pad
from causaliqa.images import as_rgb

if TYPE_CHECKING:
    import pandas as pd

#: Pooled statistics of each scale and channel.
STATISTICS = ("mean", "rms", "high")
#: Manifest columns that a feature table carries.
IDENTITY = ["dataset", "domain", "image", "reference", "distortion", "level", "parent", "partition"]


def feature_names(scales: int, channels: int) -> list[str]:
    """Return names in the order of :func:`pair_features`, e.g. ``d0_rms_3`` for scale 0, channel 3."""
    return [
        f"d{scale}_{statistic}_{channel}"
        for scale in range(scales)
        for statistic in STATISTICS
        for channel in range(channels)
    ]


def feature_columns(table: pd.DataFrame) -> list[str]:
    """Return the feature columns of a table, in order."""
    return [name for name in table.columns if name[:1] == "d" and name[1:2].isdigit()]


@dataclass(frozen=True)
class ReferenceFeatures:
    """What a reference alone decides: computed once, used for every distorted image of it.

    Attributes
    ----------
    image : the reference, (N,3,H,W), as it came.
    mask : M, one (N, K, h, w) a scale.
    degradation : the reference's own degradation maps, of the same shapes.
    importance : weights of the places, one (N, 1, h, w) a scale.
    """

    image: Tensor
    mask: list[Tensor]
    importance: list[Tensor]
    degradation: list[Tensor]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the reference in pixels."""
        return self.image.shape[-2], self.image.shape[-1]


def _smallest(flat: Tensor, rank: int) -> Tensor:
    """Return the `rank`-th smallest value of each row, (N, K) from (N, K, P)."""
    if flat.requires_grad or flat.device.type != "cpu":
        return flat.kthvalue(rank, dim=2).values
    # The same value ten times sooner: an order statistic does not depend on how it is found.
    return torch.from_numpy(np.partition(flat.numpy(), rank - 1, axis=2)[..., rank - 1].copy())


def root(squares: Tensor) -> Tensor:
    """Return the square root, whose gradient at 0 is 0 and not infinite."""
    positive = squares > 0
    return torch.where(positive, torch.where(positive, squares, 1.0).sqrt(), 0.0)


def pool(difference: list[Tensor], importance: list[Tensor], percentile: float) -> Tensor:
    """Pool |D(y) - D(x)| over space.

    Parameters
    ----------
    difference : one (N, K, h, w) a scale.
    importance : weights of the places in mean and RMS, of mean 1, one (N or 1, 1, h, w) a scale.
    percentile : the high percentile, in per cent.

    Returns
    -------
    Tensor
        (N, scales * 3 * K): weighted mean and root mean square, and the high percentile of the absolute difference.
    """
    parts = []
    for scale, weights in zip(difference, importance, strict=True):
        flat, weight = scale.abs().flatten(2), weights.flatten(2)
        # The k-th largest value, not an interpolation: exact and the same on every device.
        rank = max(1, round(flat.shape[2] * percentile / 100))
        weighted = flat * weight
        parts += [weighted.mean(dim=2), root((weighted * flat).mean(dim=2)), _smallest(flat, rank)]
    return torch.cat(parts, dim=1)


def reference_features(model: DisentanglementModel, reference: Tensor) -> ReferenceFeatures:
    """Return what :func:`features_against` needs of references (N,3,H,W), RGB in [0, 1] of any size."""
    padded = pad(reference)
    content = model.content(padded)
    known = model.degradation(padded, content[-1])
    return ReferenceFeatures(reference, model.mask(content, known), model.importance(known), known)


def features_against(
    model: DisentanglementModel, reference: ReferenceFeatures, distorted: Tensor, percentile: float
) -> Tensor:
    """Return the features of distorted images (N,3,H,W) of references, or of one reference. Shape (N, F)."""
    many = distorted.shape[0]
    padded = pad(distorted)
    known = [x.expand(many, -1, -1, -1) for x in reference.degradation]
    origin = model.origin(pad(reference.image).expand(many, -1, -1, -1), known, padded)
    maps = model.degradation(padded)
    difference = [m * (y - x) for m, x, y in zip(reference.mask, origin, maps, strict=True)]
    return pool(difference, reference.importance, percentile)


def pair_features(model: DisentanglementModel, reference: Tensor, distorted: Tensor, percentile: float) -> Tensor:
    """Return the features of pairs; images are RGB (N,3,H,W) in [0, 1] of any size. Shape (N, F)."""
    return features_against(model, reference_features(model, reference), distorted, percentile)


def to_tensor(image: np.ndarray, data_range: float = 255.0) -> Tensor:
    """Return an image (H, W) or (H, W, 3), values in [0, `data_range`], as RGB (1,3,H,W) float32 in [0, 1]."""
    return torch.from_numpy(as_rgb(image).transpose(2, 0, 1)[None].astype(np.float32) / np.float32(data_range))


@torch.no_grad()
def embed_set(model_folder: Path, folder: Path, out: Path, percentile: float) -> int:
    """Write the features of every pair of a degraded or labelled set; return how many.

    Pairs go one by one: a batch on a CPU is slower an image than a loop. What depends on the reference alone is
    computed once a reference.
    """
    # What scoring a pair can do without is imported here: `causaliqa score` starts a second sooner.
    import pandas as pd

    from causaliqa.datasets.pairs import open_pairs
    from causaliqa.disentangle.training import load_model
    from causaliqa.io import write_parquet
    from causaliqa.progress import progress
    from causaliqa.seeding import make_deterministic

    make_deterministic(1)
    model, _ = load_model(model_folder)
    stored = open_pairs(folder)
    rows, features = [], []
    with progress(total=len(stored.manifest), desc=f"embed {stored.name}", unit="pair") as bar:
        for reference in stored.references:
            known: ReferenceFeatures | None = None
            for image, pristine, distorted, data_range in stored.pairs(reference):
                if known is None:
                    known = reference_features(model, to_tensor(pristine, data_range))
                values = features_against(model, known, to_tensor(distorted, data_range), percentile)
                features.append(values[0].numpy())
                rows.append(image)
                bar.update()
    choices = model.choices
    table = stored.manifest.set_index("image").loc[rows].reset_index()[IDENTITY]
    columns = feature_names(choices.scales, choices.channels)
    numbers = pd.DataFrame(np.stack(features), columns=columns, dtype=np.float32)
    write_parquet(out, pd.concat([table, numbers], axis=1))
    return len(rows)
