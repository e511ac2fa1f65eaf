"""The interventions of the causal model, carried out on test references and measured.

The numbers say how far each claim holds; the pictures show it. Nothing here is used in training or scoring.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.stats import spearmanr
from torch import Tensor
from torch.nn import functional

from causaliqa.baselines.ms_ssim import ms_ssim
from causaliqa.baselines.psnr import psnr
from causaliqa.datasets.names import REFERENCE
from causaliqa.datasets.shards import DegradedSet
from causaliqa.disentangle.analysis import band_distance, from_opponent, opponent, with_low_pass_of
from causaliqa.disentangle.features import to_tensor
from causaliqa.disentangle.model import STRIDE, DisentanglementModel, zeros_like
from causaliqa.disentangle.proofs import NUMBER_COLUMNS
from causaliqa.disentangle.training import load_model
from causaliqa.errors import DataError
from causaliqa.io import write_csv, write_json, write_tensors
from causaliqa.progress import progress
from causaliqa.seeding import derive_seed, make_deterministic

#: Types shown in the grid, in this order of preference; one severe enough to see, mild enough to read.
_SHOWN = ("gaussian_blur", "jpeg", "white_noise", "jpeg2000", "colour_quantisation", "contrast_change")
#: Levels intervened on: a clear degradation of each type on each test reference.
_LEVELS = (3,)
#: Longest side intervened on, px: enough to see, and a third of the time.
_SIDE = 192
_LAMBDAS = (0.0, 0.5, 1.0, 1.5)
#: Test references measured, spread over the sets: each takes some seconds, and intervals narrow slowly beyond.
_MOST = 8
#: Below this side, px, MS-SSIM is not defined.
_MS_SSIM_SIDE = 161


def centre_crop(image: Tensor) -> Tensor:
    """Cut (N,C,H,W) to whole pixels at every scale and at most 192, centred."""
    height, width = (min(side, _SIDE) // STRIDE * STRIDE for side in image.shape[-2:])
    top, left = (image.shape[-2] - height) // 2, (image.shape[-1] - width) // 2
    return image[..., top : top + height, left : left + width]


def choose_references(stored: Sequence[DegradedSet], most: int = _MOST) -> pd.DataFrame:
    """Choose test references, a set in turn, by lot; at least one of every set that has any.

    Returns
    -------
    DataFrame
        ``set`` (position in `stored`), ``reference``.

    Raises
    ------
    DataError
        If the sets hold no distorted image of a test reference.
    """
    rows = []
    for index, item in enumerate(stored):
        table = item.manifest[(item.manifest["partition"] == "test") & (item.manifest["level"] > 0)]
        names = sorted(table["reference"].unique(), key=lambda name: derive_seed("interventions", item.name, str(name)))
        rows += [(turn, index, str(name)) for turn, name in enumerate(names)]
    if not rows:
        raise DataError(f"{', '.join(item.name for item in stored)}: no distorted image of a test reference")
    first = sum(turn == 0 for turn, _, _ in rows)
    return pd.DataFrame(sorted(rows)[: max(most, first)], columns=["turn", "set", "reference"])[["set", "reference"]]


def _pixels(image: Tensor) -> np.ndarray:
    """Return an opponent image (1,3,H,W) as RGB (H,W,3) in [0, 1]."""
    return np.asarray(from_opponent(image).clamp(0, 1)[0].permute(1, 2, 0).numpy())


def _fidelity(found: dict[str, Any], x: Tensor, y: Tensor) -> list[tuple[str, str, float, float]]:
    """PSNR and MS-SSIM of the decoded images, whole as they are, beside those of no intervention."""
    reference, distorted = opponent(x), opponent(y)
    pairs = {
        "restore": (reference, found["restored"], distorted),
        "transfer": (distorted, found["transferred"], found["plain"]),
    }
    metrics = {"psnr": psnr, "ms_ssim": ms_ssim}
    if min(x.shape[-2:]) < _MS_SSIM_SIDE:
        del metrics["ms_ssim"]
    return [
        (
            name,
            measure,
            metric(_pixels(target), _pixels(decoded), data_range=1.0),
            metric(_pixels(target), _pixels(untouched), data_range=1.0),
        )
        for name, (target, decoded, untouched) in pairs.items()
        for measure, metric in metrics.items()
    ]


def _show(decoded: Tensor, low_pass_from: Tensor) -> Tensor:
    return from_opponent(with_low_pass_of(decoded, low_pass_from)).clamp(0, 1)


def _map(features: list[Tensor], size: tuple[int, int]) -> Tensor:
    """Average the scales of feature maps, brought to one size, over channels: (N,H,W)."""
    parts = [
        functional.interpolate(x.mean(dim=1, keepdim=True), size=size, mode="bilinear", align_corners=False)
        for x in features
    ]
    return torch.stack(parts).mean(dim=0)[:, 0]


def intervene(model: DisentanglementModel, x: Tensor, y: Tensor) -> dict[str, Any]:
    """Carry out every intervention on one pair.

    Parameters
    ----------
    x, y : reference and distorted image, RGB (1,3,H,W) in [0, 1], sides multiples of 32.

    Returns
    -------
    dict
        ``restored`` do(D:=0) on y, ``transferred`` do(D:=D_y) on x, ``plain`` do(D:=0) on x (opponent colours),
        ``mask`` and ``degradation`` maps (1,H,W), ``lambda_curve`` distance of the decoded image from the reference
        over lambda, and the distances ``restore, restore_baseline, transfer, transfer_baseline``.
    """
    content_x, content_y = model.content(x), model.content(y)
    mask = model.mask(content_x, model.degradation(x))
    degradation = model.masked(mask, model.degradation(y))
    restored = model.decode(content_y, zeros_like(degradation))
    transferred = model.decode(content_x, degradation)
    plain = model.decode(content_x, zeros_like(degradation))
    reference, distorted = opponent(x), opponent(y)
    images = {0.0: plain, 1.0: transferred}
    curve = [
        float(
            band_distance(
                images[lam] if lam in images else model.decode(content_x, [lam * d for d in degradation]), plain
            )
        )
        for lam in _LAMBDAS
    ]
    return {
        "restored": restored,
        "transferred": transferred,
        "plain": plain,
        "mask": _map(mask, (x.shape[-2], x.shape[-1])),
        "degradation": _map([d.abs() for d in model.difference(x, y)], (x.shape[-2], x.shape[-1])),
        "lambda_curve": curve,
        "restore": float(band_distance(restored, reference)),
        # What content alone decodes to is as near as this decoder can come to the reference.
        "restore_floor": float(band_distance(plain, reference)),
        "restore_baseline": float(band_distance(distorted, reference)),
        "transfer": float(band_distance(transferred, distorted)),
        "transfer_baseline": float(band_distance(plain, distorted)),
    }


def _measures(found: dict[str, Any]) -> list[tuple[str, str, float, float]]:
    curve = found["lambda_curve"]
    monotone = float(spearmanr(_LAMBDAS, curve).statistic) if max(curve) > 0 else 0.0
    return [
        ("restore", "band distance to the reference", found["restore"], found["restore_baseline"]),
        ("restore_floor", "band distance to the reference", found["restore_floor"], found["restore_baseline"]),
        ("transfer", "band distance to the distorted image", found["transfer"], found["transfer_baseline"]),
        ("scaling", "SRCC of decoded change with lambda", monotone, 1.0),
    ]


@torch.no_grad()
def run(model_folder: Path, degraded: Sequence[Path], out: Path, shown: int = 6) -> int:
    """Write ``interventions.safetensors`` (pictures), ``interventions.json``, ``numbers.csv``, ``reconstruction.csv``.

    Returns the number of pairs measured: level 3 of every type of at most eight test references (of as many as there
    are sets, if these are more).

    Raises
    ------
    DataError
        If the sets hold no test reference.
    """
    make_deterministic(1)
    model, _ = load_model(model_folder)
    stored = [DegradedSet(folder) for folder in degraded]
    tables = [item.manifest.assign(set=index) for index, item in enumerate(stored)]
    chosen = choose_references(stored)
    manifest = pd.concat(tables, ignore_index=True).merge(chosen, on=["set", "reference"])
    manifest = manifest[manifest["level"] > 0]
    picked = manifest[manifest["level"].isin(_LEVELS)]
    if picked.empty:
        picked = manifest
    numbers: list[dict[str, Any]] = []
    fidelity: list[dict[str, Any]] = []
    pictures: list[dict[str, Any]] = []
    for row in progress(list(picked.itertuples()), desc="interventions", unit="pair"):
        source = stored[int(row.set)]
        x = centre_crop(to_tensor(source.stimulus(f"{row.reference}/{REFERENCE}/0")))
        y = centre_crop(to_tensor(source.stimulus(str(row.image))))
        found = intervene(model, x, y)
        identity = {
            "dataset": source.name,
            "reference": row.reference,
            "distortion": row.distortion,
            "level": row.level,
        }
        for rows, measures in ((numbers, _measures(found)), (fidelity, _fidelity(found, x, y))):
            rows += [
                {**identity, "intervention": name, "measure": measure, "value": value, "baseline": baseline}
                for name, measure, value, baseline in measures
            ]
        kind = str(row.distortion)
        if (
            kind in _SHOWN
            and row.level == picked["level"].max()
            and len({p["kind"] for p in pictures} | {kind}) > len(pictures)
        ):
            contents = {p["content"] for p in pictures}
            content = f"{source.name} {row.reference}"
            # A new content for each row where there is one: the grid should not show the same picture six times.
            if content not in contents or len(contents) == picked.groupby(["set", "reference"]).ngroups:
                pictures.append({"kind": kind, "content": content, "x": x, "y": y, "level": int(row.level), **found})
    write_csv(out / "numbers.csv", pd.DataFrame(numbers, columns=NUMBER_COLUMNS))
    write_csv(out / "reconstruction.csv", pd.DataFrame(fidelity, columns=NUMBER_COLUMNS))
    _write_pictures(out, pictures[:shown])
    return len(picked)


def _write_pictures(out: Path, pictures: list[dict[str, Any]]) -> None:
    side = min((min(p["x"].shape[-2:]) for p in pictures), default=STRIDE)

    def centre(image: Tensor) -> Tensor:
        top, left = (image.shape[-2] - side) // 2, (image.shape[-1] - side) // 2
        return image[..., top : top + side, left : left + side]

    def stack(parts: list[Tensor], empty: tuple[int, ...]) -> Tensor:
        return torch.cat([centre(part) for part in parts]) if parts else torch.zeros(empty)

    rgb, plane = (0, 3, side, side), (0, side, side)
    write_tensors(
        out / "interventions.safetensors",
        {
            "reference": stack([p["x"] for p in pictures], rgb),
            "distorted": stack([p["y"] for p in pictures], rgb),
            "restored": stack([_show(p["restored"], opponent(p["y"])) for p in pictures], rgb),
            "transferred": stack([_show(p["transferred"], opponent(p["x"])) for p in pictures], rgb),
            "mask": stack([p["mask"] for p in pictures], plane),
            "degradation": stack([p["degradation"] for p in pictures], plane),
            "lambdas": torch.tensor(_LAMBDAS),
            "lambda_curve": torch.tensor([p["lambda_curve"] for p in pictures], dtype=torch.float32).reshape(
                len(pictures), len(_LAMBDAS)
            ),
        },
    )
    write_json(
        out / "interventions.json",
        {"labels": [f"{p['content']} {p['kind']} level {p['level']}" for p in pictures]},
    )
