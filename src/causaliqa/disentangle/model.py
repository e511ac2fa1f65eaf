"""The disentanglement model: content encoder, degradation encoder, content-driven mask, decoder.

An independent implementation of the ideas of Zhang et al., arXiv 2604.21654. Structural causal model: C -> X_ref,
(C, D) -> X_dist, C -> M, Dm = M(C) * D -> Q. Scores are read off the masked degradation Dm alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from causaliqa.config import PretrainChoices
from causaliqa.disentangle.analysis import opponent, pyramid
from causaliqa.disentangle.light import exposure_gain, under_light
from causaliqa.disentangle.stem import STEM_WIDTHS, SqueezeStem
from causaliqa.errors import ModelError
from causaliqa.seeding import torch_generator

#: Images are padded so that every scale has whole pixels.
STRIDE = 32
#: Lifts an untrained encoder's maps to the size of the bottleneck's unit noise: a code that starts far below the
#: noise carries nothing, earns no gradient from reconstruction, and is driven to zero by the energy term.
_GAIN = 10.0
#: Brings opponent colours to about unit size for the first convolution.
_LIFT = 2.0
#: Hidden channels of the mask's heads.
_MASK_WIDTH = 16
#: What is local: so many positions of a scale.
_AROUND = 7


class _Block(nn.Module):
    """Two 3x3 convolutions, the first strided; instance normalisation only for content."""

    def __init__(self, inputs: int, outputs: int, stride: int, normalise: bool) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1)
        self.second = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.norm: nn.Module = nn.InstanceNorm2d(outputs, affine=True) if normalise else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        x = functional.leaky_relu(self.norm(self.first(x)), 0.1, inplace=True)
        return functional.leaky_relu(self.second(x), 0.1, inplace=True)


class Encoder(nn.Module):
    """Multi-scale convolutional features of an RGB image.

    The image enters at half size by pixel-unshuffle: twelve channels lose nothing and cost a quarter.
    """

    def __init__(self, widths: list[int], normalise: bool) -> None:
        super().__init__()
        inputs = [12, *widths[:-1]]
        self.blocks = nn.ModuleList(
            _Block(before, after, 1 if scale == 0 else 2, normalise)
            for scale, (before, after) in enumerate(zip(inputs, widths, strict=True))
        )

    def forward(self, rgb: Tensor) -> list[Tensor]:
        """Map (N,3,H,W) in [0,1] to one (N, widths[s], H/2^(s+1), W/2^(s+1)) a scale."""
        return self.features(at_half_scale(rgb))

    def features(self, x: Tensor) -> list[Tensor]:
        """Map an image at half scale, (N,12,H/2,W/2), to its features; see :meth:`forward`."""
        features = []
        for block in self.blocks:
            x = block(x)
            features.append(x)
        return features


class Decoder(nn.Module):
    """Content and masked degradation of all scales to an opponent image.

    At every scale the degradation modulates what content says: ``h = conv(content) * (1 + A Dm) + B Dm``, without
    biases on the degradation's side, so that D = 0 leaves content alone. What comes out is a change of the image that
    content came from; it starts small, so that training is about interventions and not about redrawing texture.
    """

    def __init__(self, widths: list[int], channels: int) -> None:
        super().__init__()
        coarser = [*widths[1:], 0]
        inputs = [12 if scale == 0 else 0 for scale in range(len(widths))]
        self.merge = nn.ModuleList(
            nn.Conv2d(width + above + image, width, 3, padding=1)
            for width, above, image in zip(widths, coarser, inputs, strict=True)
        )
        self.modulate = nn.ModuleList(nn.Conv2d(channels, 2 * width, 1, bias=False) for width in widths)
        self.out = nn.Conv2d(widths[0], 12, 3, padding=1)
        with torch.no_grad():
            self.out.weight.mul_(0.1)
            for head in self.modulate:
                head.weight.mul_(0.3)  # type: ignore[operator]
            self.out.bias.zero_()  # type: ignore[union-attr]

    def forward(self, content: list[Tensor], degradation: list[Tensor]) -> Tensor:
        """Return (N,3,H,W) in opponent colours; the last of `content` is the image at half scale."""
        x: Tensor | None = None
        for scale in reversed(range(len(degradation))):
            parts = [content[scale]]
            if x is not None:
                parts.append(functional.interpolate(x, scale_factor=2.0, mode="nearest"))
            if scale == 0:
                parts.append(content[-1])
            gain, offset = self.modulate[scale](degradation[scale]).chunk(2, dim=1)
            x = functional.leaky_relu(self.merge[scale](torch.cat(parts, dim=1)) * (1 + gain) + offset, 0.1)
        assert x is not None
        return functional.pixel_shuffle(content[-1] + self.out(x), 2) / _LIFT


class DisentanglementModel(nn.Module):
    """Both encoders, the mask and the decoder.

    Parameters
    ----------
    choices : sizes and switches; see :class:`causaliqa.config.PretrainChoices`.

    Notes
    -----
    Inputs are RGB, (N,3,H,W), float, in [0, 1], with H and W multiples of 32 (see :func:`pad`). Features are lists
    with one tensor a scale.
    """

    def __init__(self, choices: PretrainChoices) -> None:
        super().__init__()
        self.choices = choices
        widths = [choices.width * (scale + 2) // 2 for scale in range(choices.scales)]
        self.content_encoder = Encoder(widths, normalise=True)
        seen_by_d: Sequence[int] = widths
        self.degradation_encoder: nn.Module
        if choices.stem == "imagenet":
            self.degradation_encoder, seen_by_d = SqueezeStem(choices.scales), STEM_WIDTHS[: choices.scales]
        else:
            self.degradation_encoder = Encoder(widths, normalise=False)
        self.to_degradation = nn.ModuleList(nn.Conv2d(width, choices.channels, 1) for width in seen_by_d)
        seen = 3 if choices.mask == "content" else 0
        self.to_mask = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(width + seen, _MASK_WIDTH, 1), nn.LeakyReLU(0.1), nn.Conv2d(_MASK_WIDTH, choices.channels, 1)
            )
            for width in widths
        )
        self.decoder = Decoder(widths, choices.channels)
        for head in self.to_mask:
            # M starts at 1 everywhere: masking is learned, not assumed.
            nn.init.zeros_(head[-1].weight)  # type: ignore[index]
            nn.init.zeros_(head[-1].bias)  # type: ignore[index]

    def content(self, rgb: Tensor) -> list[Tensor]:
        """Return the content: the features E_c of every scale, then the image they came from at half scale."""
        image = at_half_scale(rgb)
        return [*self.content_encoder.features(image), image]

    def degradation(self, rgb: Tensor, half: Tensor | None = None) -> list[Tensor]:
        """Return the unmasked degradation maps E_d, (N, channels, ., .) a scale.

        Parameters
        ----------
        half : the same images at half scale, where they are known already: the last item of :meth:`content`.
        """
        encoder = self.degradation_encoder
        shared = isinstance(encoder, Encoder) and half is not None
        features = encoder.features(half) if shared else encoder(rgb)  # type: ignore[operator]
        maps = [_GAIN * head(x) for head, x in zip(self.to_degradation, features, strict=True)]
        if self.choices.stem == "scratch":
            return maps
        height, width = rgb.shape[-2:]
        sizes = [(height >> (scale + 1), width >> (scale + 1)) for scale in range(self.choices.scales)]
        return [
            functional.interpolate(x, size=size, mode="bilinear", align_corners=False)
            for x, size in zip(maps, sizes, strict=True)
        ]

    def mask(self, content: list[Tensor], at_reference: list[Tensor]) -> list[Tensor]:
        """Return M in (0, 2): 1 neither hides nor exaggerates a degradation.

        A function of the reference alone: of its content, and of what E_d itself hears in it. The louder that is, the
        higher the threshold: (1 + E)^(-p/2), E the local energy in just noticeable units and p ``pretrain.masking``
        (Watson, Human Vision, Visual Processing, and Digital Display IV, 1993: p = 0.7; Legge and Foley, JOSA 1980).

        Parameters
        ----------
        content : as :meth:`content` returns it.
        at_reference : :meth:`degradation` of the same images.
        """
        image, content = content[-1], content[: self.choices.scales]
        if self.choices.mask == "none":
            return [torch.ones_like(x[:, :1]).expand(-1, self.choices.channels, -1, -1) for x in content]
        if self.choices.mask == "random":
            return [
                2.0
                * torch.sigmoid(
                    torch.randn((self.choices.channels, *x.shape[-2:]), generator=torch_generator("random mask", scale))
                )
                .to(x)
                .expand(x.shape[0], -1, -1, -1)
                for scale, x in enumerate(content)
            ]
        if self.choices.mask == "content":
            contrast = _local_contrast(image, self.choices.scales)
            content = [torch.cat(parts, dim=1) for parts in zip(content, contrast, strict=True)]
        learned = [2.0 * torch.sigmoid(head(x)) for head, x in zip(self.to_mask, content, strict=True)]
        if self.choices.masking == 0:
            return learned
        return [m * _threshold(x, self.choices.masking) for m, x in zip(learned, at_reference, strict=True)]

    def importance(self, at_reference: list[Tensor]) -> list[Tensor]:
        """Return how much each place counts when degradation is pooled, (N,1,h,w) a scale, of mean 1 over an image.

        Like the mask a function of the reference alone: (1 + E)^q, E the local energy of what E_d hears in it and q
        ``pretrain.importance``. Information content decides where people look (Wang and Li, IEEE TIP 2011).
        """
        if self.choices.importance == 0:
            return [torch.ones_like(x[:, :1]) for x in at_reference]
        weights = [(1.0 + _energy(x)).pow(self.choices.importance) for x in at_reference]
        return [w / w.mean(dim=(2, 3), keepdim=True) for w in weights]

    def masked(self, mask: list[Tensor], degradation: list[Tensor]) -> list[Tensor]:
        """Return the content-influenced degradation Dm = M * D."""
        return [m * d for m, d in zip(mask, degradation, strict=True)]

    def decode(self, content: list[Tensor], degradation: list[Tensor]) -> Tensor:
        """Return the image that content and masked degradation give, (N,3,H,W) in opponent colours."""
        return torch.as_tensor(self.decoder(content, degradation))

    def origin(self, reference: Tensor, known: list[Tensor], distorted: Tensor) -> list[Tensor]:
        """Return E_d of references under the light of their distorted images: where a degradation is measured from.

        Parameters
        ----------
        reference, distorted : N pairs, (N,3,H,W).
        known : E_d of the references as they are; used wherever light does nothing, which costs no second pass.
        """
        if not self.choices.light:
            return known
        gain = exposure_gain(reference, distorted)
        lit = (gain > 1).nonzero().flatten()
        if not len(lit):
            return known
        again = self.degradation(under_light(reference[lit], gain[lit]))
        return [x.index_copy(0, lit, y) for x, y in zip(known, again, strict=True)]

    def difference(self, reference: Tensor, distorted: Tensor) -> list[Tensor]:
        """Return Dm(distorted) - Dm(reference under the same light), both masked by the reference's content."""
        at_reference = self.degradation(reference)
        mask = self.mask(self.content(reference), at_reference)
        origin = self.origin(reference, at_reference, distorted)
        at_distorted = self.degradation(distorted)
        return [m * (y - x) for m, x, y in zip(mask, origin, at_distorted, strict=True)]


def _around(x: Tensor) -> Tensor:
    """Average over 7x7 positions, fewer at the border; by rows, then by columns, which is the same and sooner."""
    half = _AROUND // 2
    rows = functional.avg_pool2d(x, (1, _AROUND), stride=1, padding=(0, half), count_include_pad=False)
    return functional.avg_pool2d(rows, (_AROUND, 1), stride=1, padding=(half, 0), count_include_pad=False)


def _energy(at_reference: Tensor) -> Tensor:
    """Return the local energy, (N,1,h,w); it is a fact about the reference, not a way to learn: no gradient."""
    return _around(at_reference.detach().square().mean(dim=1, keepdim=True))


def _threshold(at_reference: Tensor, exponent: float) -> Tensor:
    """Return (1 + E)^(-p/2), (N,1,h,w)."""
    return (1.0 + _energy(at_reference)).pow(-exponent / 2)


def _local_contrast(image: Tensor, scales: int) -> list[Tensor]:
    """Return the local contrast of a half-scale image's opponent bands, one (N,3,h,w) a scale, log, of about unit size.

    Instance normalisation takes contrast out of the content features, and contrast is what masks.
    """
    bands, _ = pyramid(image.view(len(image), 3, 4, *image.shape[-2:]).mean(dim=2), scales)
    return [0.5 * (_around(x.square()) + 1e-4).log() + 3.5 for x in bands]


def build_model(choices: dict[str, Any], weights: dict[str, Tensor], name: str) -> DisentanglementModel:
    """Build a model from its choices and weights; `name` is used in error messages."""
    try:
        model = DisentanglementModel(PretrainChoices.model_validate(choices))
        model.load_state_dict(weights)
    except (ValueError, RuntimeError) as error:
        raise ModelError(
            f"{name}: the weights do not fit the description ({str(error).splitlines()[0]}); train again"
        ) from None
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # in place; a quarter faster on CPU
    return model.eval()


def at_half_scale(rgb: Tensor) -> Tensor:
    """Return RGB (N,3,H,W) as opponent colours at half size, (N,12,H/2,W/2): nothing is lost."""
    return functional.pixel_unshuffle(opponent(rgb), 2) * _LIFT


def pad(image: Tensor) -> Tensor:
    """Replicate the border of (N,C,H,W) so that H and W become multiples of 32."""
    height, width = image.shape[-2:]
    return functional.pad(image, (0, -width % STRIDE, 0, -height % STRIDE), mode="replicate")


def zeros_like(features: list[Tensor]) -> list[Tensor]:
    """Return the null degradation: zeros of the same shapes."""
    return [torch.zeros_like(x) for x in features]


def pooled_norm(difference: list[Tensor], importance: list[Tensor]) -> Tensor:
    """Return the size of a degradation difference, (N,): the sum over scales of its root mean square length.

    Parameters
    ----------
    difference : (N,K,h,w) a scale.
    importance : weights of the places, (N,1,h,w) a scale, of mean 1.
    """
    energies = [
        (x.square().sum(dim=1, keepdim=True) * w).mean(dim=(1, 2, 3))
        for x, w in zip(difference, importance, strict=True)
    ]
    # The smallest number only keeps the root's gradient finite.
    return torch.stack([(energy + 1e-8).sqrt() for energy in energies]).sum(dim=0)
