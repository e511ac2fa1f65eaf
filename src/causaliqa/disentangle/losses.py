"""The training terms: each intervention of the causal model is one of them.

See docs/method.md for the list with formulas. Every term is a scalar; weights are in ``pretrain.loss``.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from causaliqa.disentangle.analysis import band_distance, opponent
from causaliqa.disentangle.batches import Batch
from causaliqa.disentangle.model import DisentanglementModel, pooled_norm, zeros_like

#: Temperature of InfoNCE (as in DisQUE, arXiv 2404.13484).
_TEMPERATURE = 0.1
#: Difference of log size that a ranking asks for, a just noticeable step.
_MARGIN = 0.1
#: Slope of the ranking loss on the log-size difference.
_SLOPE = 4.0
#: Steps on the shared severity scale at which one distortion is clearly worse than another of any type.
_CLEAR = 1.5
#: Keeps the null term finite. Far below any code that is heard: a larger floor rewards a silent code.
_FLOOR = 1e-6
#: The part of a degradation that do(D := lambda D) keeps in training.
_LAMBDA = 0.5
#: Sizes below this are alike: without it the gradient of a log explodes where the code is silent.
_QUIET = 0.05


@dataclass(frozen=True)
class Noise:
    """The information bottleneck's noise: what the degradation code must outshout to be heard by the decoder.

    Attributes
    ----------
    generator : where it is drawn from.
    scale : its standard deviation; 1 at the end of training, so that sizes are in just-noticeable units.
    """

    generator: torch.Generator
    scale: float


def _add_noise(degradation: list[Tensor], noise: Noise | None) -> list[Tensor]:
    if noise is None:
        return degradation
    return [x + noise.scale * torch.randn(x.shape, generator=noise.generator).to(x) for x in degradation]


def _rank(better: Tensor, worse: Tensor) -> Tensor:
    """Logistic ranking loss on log sizes, elementwise: `worse` must be larger by the margin."""
    return functional.softplus(_SLOPE * ((better + _QUIET).log() - (worse + _QUIET).log() + _MARGIN)) / _SLOPE


def _masked_mean(values: Tensor, chosen: Tensor) -> Tensor:
    weight = chosen.to(values)
    return (values * weight).sum() / weight.sum().clamp(min=1.0)


def _ordered(sizes: Tensor, worse: Tensor) -> Tensor:
    """Mean ranking loss over the pairs (i, j), shape (N, N), of which j is worse."""
    return _masked_mean(_rank(sizes[:, None].expand_as(worse), sizes[None, :].expand_as(worse)), worse)


def _split(features: list[Tensor], parts: int) -> list[list[Tensor]]:
    chunks = [x.chunk(parts) for x in features]
    return [[scale[part] for scale in chunks] for part in range(parts)]


def _content_terms(first: list[Tensor], second: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Invariance (1 - cosine at every position) and InfoNCE over positions of the coarser scales.

    Invariance alone permits a constant; InfoNCE asks each position to be told apart from all others of the batch.
    """
    invariance = torch.stack(
        [1 - functional.cosine_similarity(x, y, dim=1).mean() for x, y in zip(first, second, strict=True)]
    ).mean()
    x, y = (
        functional.normalize(functional.adaptive_avg_pool2d(side[-2], 4).flatten(2), dim=1) for side in (first, second)
    )
    anchors, positives = (side.permute(0, 2, 1).flatten(0, 1) for side in (x, y))
    logits = anchors @ positives.T / _TEMPERATURE
    return invariance, functional.cross_entropy(logits, torch.arange(len(logits), device=logits.device))


def _recipe_code(degradation: list[Tensor]) -> Tensor:
    """Pool a degradation over space, (N, F): mean and root mean square of every scale and channel."""
    return torch.cat(
        [part for x in degradation for part in (x.mean(dim=(2, 3)), (x.square().mean(dim=(2, 3)) + 1e-6).sqrt())], dim=1
    )


def training_terms(model: DisentanglementModel, batch: Batch, noise: Noise | None) -> dict[str, Tensor]:
    """Return every training term of a batch by its name in ``pretrain.loss``.

    Parameters
    ----------
    noise : the bottleneck's noise; None decodes without noise (validation, or no bottleneck).
    """
    groups = len(batch.reference)
    # One pass for all images of a kind: convolutions are cheaper on one large batch.
    contents = _split(model.content(torch.cat([batch.reference, batch.severe, batch.other, batch.other_severe])), 4)
    c_reference, c_severe, c_other, c_other_severe = contents
    pristine, degraded = batch.pairs()
    maps = model.degradation(torch.cat([batch.reference, batch.other, degraded]))
    d_reference, d_other = [x[:groups] for x in maps], [x[groups : 2 * groups] for x in maps]
    d_degraded = [x[2 * groups :] for x in maps]
    _, d_severe, _, _, d_other_severe = _split(d_degraded, 5)
    mask, other_mask = model.mask(c_reference, d_reference), model.mask(c_other, d_other)
    known, masks, importance = (
        [torch.cat([x, x, x, x, y]) for x, y in zip(*both, strict=True)]
        for both in (
            (d_reference, d_other),
            (mask, other_mask),
            (model.importance(d_reference), model.importance(d_other)),
        )
    )
    origin = model.origin(pristine, known, degraded)
    sizes = pooled_norm([m * (y - x) for m, x, y in zip(masks, origin, d_degraded, strict=True)], importance)
    mild, severe, first, chain, other_severe = sizes.chunk(5)

    m_severe, m_other_severe = model.masked(mask, d_severe), model.masked(other_mask, d_other_severe)

    # All decodings in one pass; a pair is (content, masked degradation).
    null = zeros_like(d_severe)
    mean_severe = [x.mean(dim=(2, 3), keepdim=True).expand_as(x) for x in d_severe]
    pairs = [
        (c_severe, null),
        (c_other_severe, null),
        (c_reference, null),
        (c_reference, _add_noise(m_severe, noise)),
        (c_other, _add_noise(m_other_severe, noise)),
        (c_other, _add_noise(model.masked(other_mask, mean_severe), noise)),
        (c_reference, [_LAMBDA * x for x in m_severe]),
        (c_reference, m_severe),
    ]
    decoded = model.decode(
        [torch.cat(scale) for scale in zip(*(content for content, _ in pairs), strict=True)],
        [torch.cat(scale) for scale in zip(*(degradation for _, degradation in pairs), strict=True)],
    )
    restored, transferred, swapped, partial, whole = torch.split(
        decoded, [3 * groups, 2 * groups, groups, groups, groups]
    )
    references = opponent(torch.cat([batch.reference, batch.other]))
    distorted = opponent(torch.cat([batch.severe, batch.other_severe]))

    # do(D := lambda D): the decoded image leaves the reference monotonically.
    leaving = [band_distance(image, references[:groups]) for image in (restored[2 * groups :], partial, whole)]
    scaling = functional.relu(leaving[0] - leaving[1]) + functional.relu(leaving[1] - leaving[2])

    invariance, contrast = _content_terms(
        [torch.cat(parts) for parts in zip(c_reference[:-1], c_other[:-1], strict=True)],
        [torch.cat(parts) for parts in zip(c_severe[:-1], c_other_severe[:-1], strict=True)],
    )
    first_code, second_code = _recipe_code(d_severe), _recipe_code(d_other_severe)
    placed = torch.cat([mild, severe, other_severe])
    positions = torch.cat([batch.mild_position, batch.severe_position, batch.severe_position]).to(placed.device)
    clear = (positions[None, :] - positions[:, None]) >= _CLEAR
    energy = torch.stack([x.square().mean() for x in (*m_severe, *m_other_severe)]).mean()
    at_rest = (*model.masked(mask, d_reference), *model.masked(other_mask, d_other))
    pristine_energy = torch.stack([x.square().mean() for x in at_rest]).mean()
    return {
        "restore": band_distance(restored, torch.cat([references, references[:groups]])).mean(),
        "transfer": band_distance(transferred, distorted).mean(),
        # Its direction alone: how loud a recipe is depends on what content masks.
        "recipe": (1 - functional.cosine_similarity(first_code, second_code, dim=1)).mean(),
        "swap": _masked_mean(band_distance(swapped, distorted[groups:]), batch.homogeneous.to(sizes.device)),
        "content": invariance,
        "contrast": contrast,
        # Relative, so that it asks for an origin and not for a code that is small everywhere.
        "null": pristine_energy / (energy + _FLOOR),
        "energy": energy,
        "severity": _rank(mild, severe).mean() + _masked_mean(_rank(first, chain), batch.has_chain.to(sizes.device)),
        "scaling": scaling.mean(),
        "ladder": _ordered(placed, clear),
        "consensus": _ordered(sizes, batch.worse.to(sizes.device)),
    }
