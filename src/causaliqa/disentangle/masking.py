"""Does the mask do what visual masking does? Its spread, and its relation to the reference's contrast and structure.

Visual masking: a degradation is seen less where the image itself is busy (Legge and Foley, "Contrast masking in human
vision", J. Opt. Soc. Am. 70, 1980). The simplest model of it is the local contrast of the reference at the same scale.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from scipy.stats import spearmanr
from torch import Tensor
from torch.nn import functional

from causaliqa.disentangle.analysis import opponent
from causaliqa.disentangle.proofs import CLASSES
from causaliqa.io import write_json, write_tensors

#: Side of the window of local statistics, in pixels of the map.
_WINDOW = 5
#: Share of an image's pixels, those of least gradient energy, that count as flat.
_FLAT = 1 / 3
#: Spread below this is rounding, not structure.
_CONSTANT = 1e-6


def _local_mean(image: Tensor) -> Tensor:
    return functional.avg_pool2d(image, _WINDOW, stride=1, padding=_WINDOW // 2, count_include_pad=False)


def local_contrast(rgb: Tensor, scale: int) -> Tensor:
    """Return the standard deviation of luma over 5x5 pixels at the size of mask `scale`.

    Parameters
    ----------
    rgb : (1,3,H,W) in [0, 1].
    scale : mask scale; its maps are 2^(scale+1) times smaller than the image.

    Returns
    -------
    Tensor (h, w), at least 0, in units of full range.
    """
    luma = functional.avg_pool2d(opponent(rgb)[:, :1], 2 ** (scale + 1))
    # In double: a small variance as a difference of two squares.
    luma = luma.double()
    variance = _local_mean(luma.square()) - _local_mean(luma).square()
    return variance.clamp(min=0).sqrt()[0, 0].float()


def pixel_classes(rgb: Tensor) -> Tensor:
    """Part an image's pixels into 0 flat, 1 edge and 2 texture; int64 (H, W).

    By the structure tensor of luma over 5x5 pixels: flat is the third of least gradient energy (and all without any);
    of the others, the half whose gradients point most nearly one way is edge, the rest texture. The classes are
    relative to their image, so that every textured image has all three.
    """
    luma = opponent(rgb)[:, :1].double()
    padded = functional.pad(luma, (1, 1, 1, 1), mode="replicate")
    dx = (padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]) / 2
    dy = (padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]) / 2
    xx, yy, xy = (_local_mean(part)[0, 0] for part in (dx * dx, dy * dy, dx * dy))
    energy = xx + yy
    coherence = ((xx - yy).square() + 4 * xy.square()).sqrt() / energy.clamp(min=1e-12)
    flat = (energy <= torch.quantile(energy.flatten()[:: max(1, energy.numel() // 65536)], _FLAT)) | (energy < 1e-10)
    busy = coherence[~flat]
    edge = ~flat & (coherence >= (busy.median() if busy.numel() else 0.0))
    return torch.where(flat, 0, torch.where(edge, 1, 2))


def _to_size(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Bring maps (K, h, w) to the image's size."""
    return functional.interpolate(maps[None], size=size, mode="bilinear", align_corners=False)[0]


def mask_maps(rgb: Tensor, mask: list[Tensor]) -> dict[str, Tensor]:
    """Return maps of one image (H, W): ``mask`` and ``contrast``, means over scales and channels, and ``classes``."""
    size = (rgb.shape[-2], rgb.shape[-1])
    contrast = [_to_size(local_contrast(rgb, scale)[None], size)[0] for scale in range(len(mask))]
    return {
        "mask": torch.stack([_to_size(m[0].mean(dim=0, keepdim=True), size)[0] for m in mask]).mean(dim=0),
        "contrast": torch.stack(contrast).mean(dim=0),
        "classes": pixel_classes(rgb).float(),
    }


def _srcc(first: Tensor, second: Tensor) -> float:
    if min(float(first.std()), float(second.std())) < _CONSTANT:
        return float("nan")
    return float(spearmanr(first.flatten().numpy(), second.flatten().numpy()).statistic)


def mask_rows(masks: Sequence[tuple[str, str, Tensor, list[Tensor]]]) -> list[dict[str, Any]]:
    """Measure masks: rows of ``MASK_COLUMNS``, for each image one for the mean map and one for each scale and channel.

    Parameters
    ----------
    masks : dataset, reference, its image (1,3,H,W) and its mask (1, K, h, w) of every scale.
    """
    maps = [
        {(-1, -1): mask_maps(rgb, mask)["mask"]}
        | {(scale, channel): m[0, channel] for scale, m in enumerate(mask) for channel in range(m.shape[1])}
        for _, _, rgb, mask in masks
    ]
    alike: dict[tuple[int, ...], list[int]] = {}
    for index, (_, _, rgb, _) in enumerate(masks):
        alike.setdefault(tuple(rgb.shape), []).append(index)
    rows = []
    for index, (dataset, reference, rgb, mask) in enumerate(masks):
        size, others = (rgb.shape[-2], rgb.shape[-1]), alike[tuple(rgb.shape)]
        classes = pixel_classes(rgb)
        contrasts = {scale: local_contrast(rgb, scale) for scale in range(len(mask))}
        contrasts[-1] = mask_maps(rgb, mask)["contrast"]
        for (scale, channel), found in maps[index].items():
            average = torch.stack([maps[other][(scale, channel)] for other in others]).mean(dim=0)
            full = _to_size(found[None], size)[0]
            rows.append(
                {
                    "dataset": dataset,
                    "reference": reference,
                    "scale": scale,
                    "channel": channel,
                    "mean": float(found.mean()),
                    "std_space": float(found.std(correction=0)),
                    "std_images": float((found - average).square().mean().sqrt()) if len(others) > 1 else float("nan"),
                    "contrast_srcc": _srcc(found, contrasts[scale]),
                }
                | {
                    name: float(full[classes == code].mean()) if bool((classes == code).any()) else float("nan")
                    for code, name in enumerate(CLASSES)
                }
            )
    return rows


def write_maps(out: Path, pictures: Sequence[tuple[str, Tensor, dict[str, Tensor]]]) -> None:
    """Write ``mask.safetensors`` and ``mask.json``: references with their maps, cut to one size."""
    height = min(x.shape[-2] for _, x, _ in pictures)
    width = min(x.shape[-1] for _, x, _ in pictures)

    def cut(image: Tensor) -> Tensor:
        top, left = (image.shape[-2] - height) // 2, (image.shape[-1] - width) // 2
        return image[..., top : top + height, left : left + width]

    tensors = {"reference": torch.cat([cut(x) for _, x, _ in pictures])}
    tensors |= {name: torch.stack([cut(maps[name]) for _, _, maps in pictures]) for name in pictures[0][2]}
    write_tensors(out / "mask.safetensors", {name: tensor.contiguous() for name, tensor in tensors.items()})
    write_json(out / "mask.json", {"labels": [label for label, _, _ in pictures]})
