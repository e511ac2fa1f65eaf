"""Colour: diffusion, misregistration, palettes, saturation.

All need colour: float32 RGB (H, W, 3) in [0, 1] (sRGB code values) in and out.
"""

from __future__ import annotations

import warnings

import numpy as np
from PIL import Image
from scipy import ndimage
from skimage import color

from causaliqa.degradations.blur import blur_channels
from causaliqa.images import to_uint8


def colour_diffusion(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Blur the colour channels a* and b* of CIELAB and keep L*: colours bleed over edges.

    `strength` is the standard deviation of the Gaussian in pixels. Source: KADID-10k type 4 (Lin, Hosu, Saupe,
    QoMEX 2019).
    """
    lab = to_lab(image)
    lab[..., 1:] = blur_channels(lab[..., 1:], strength)
    return from_lab(lab)


def colour_shift(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Translate the green channel and blend it in where the image has edges: lateral chromatic aberration.

    `strength` is the length of the translation in pixels; its direction is drawn from `rng`. The blend weighs by the
    smoothed gradient magnitude, normalised by its 95th percentile. Source: KADID-10k type 5.
    """
    angle = rng.uniform(0.0, 2.0 * np.pi)
    offset = (strength * np.sin(angle), strength * np.cos(angle))
    green = image[..., 1]
    shifted = ndimage.shift(green, offset, order=1, mode="mirror", prefilter=False)
    # The map must reach as far as the displaced edge does, whatever the level: a fixed width keeps levels nested.
    edges = ndimage.gaussian_gradient_magnitude(green, 1.0, mode="reflect")
    gradient = ndimage.gaussian_filter(edges, 3.0, mode="reflect")
    weight = np.clip(gradient / max(float(np.percentile(gradient, 95)), 1e-3), 0.0, 1.0)
    result = image.copy()
    result[..., 1] = green + weight * (shifted - green)
    return result


def colour_quantisation(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Show the image with a palette of few colours, chosen by median cut, with error diffusion (Floyd-Steinberg).

    `strength` is the number of colours, an integer of 2 to 256. Source: KADID-10k type 6, whose quantiser is minimum
    variance instead of median cut.
    """
    picture = Image.fromarray(to_uint8(image))
    palette = picture.quantize(colors=int(strength), method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    shown = picture.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG).convert("RGB")
    return np.asarray(shown).astype(np.float32) / np.float32(255)


def saturation_hsv(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Multiply the saturation of HSV by a factor below 1, hue and value kept: colours fade, below 0 they invert.

    `strength` is the factor, 1 for no change. Source: KADID-10k type 7.
    """
    # HSV is linear in saturation at fixed hue and value, so no conversion is needed.
    value = image.max(axis=2, keepdims=True)
    return np.asarray(np.clip(value - np.float32(strength) * (value - image), 0.0, 1.0))


def saturation_lab(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Multiply a* and b* of CIELAB by a factor above 1: oversaturated colours, clipped to the gamut of sRGB.

    `strength` is the factor, 1 for no change. Source: KADID-10k type 8.
    """
    lab = to_lab(image)
    lab[..., 1:] *= np.float32(strength)
    return from_lab(lab)


def to_lab(image: np.ndarray) -> np.ndarray:
    """Return CIELAB (D65), float32 (H, W, 3), of an sRGB image in [0, 1]."""
    return np.asarray(color.rgb2lab(image), dtype=np.float32)


def from_lab(lab: np.ndarray) -> np.ndarray:
    """Return sRGB in [0, 1], float32; colours outside the gamut are clipped."""
    with warnings.catch_warnings():
        # Out-of-gamut colours are the point of some types; scikit-image warns about each negative Z.
        warnings.simplefilter("ignore", UserWarning)
        return np.asarray(np.clip(color.lab2rgb(lab), 0.0, 1.0), dtype=np.float32)
