"""The distortion types by name, their levels, and chains of them.

The types are those of KADID-10k (Lin, Hosu, Saupe, "KADID-10k: a large-scale artificially distorted IQA database",
QoMEX 2019). What a level means is read from ``ladders.yaml``, which ``causaliqa.degradations.calibrate`` writes.
"""

from __future__ import annotations

import difflib
import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from causaliqa.config import read_yaml
from causaliqa.degradations import blur, colour, compression, noise, spatial, tone
from causaliqa.errors import ConfigError, DataError
from causaliqa.images import to_float, to_uint8
from causaliqa.seeding import generator

LEVELS = (1, 2, 3, 4, 5)
LADDERS = Path(__file__).with_name("ladders.yaml")
#: Distortion name of the visually lossless copies, and how many there are.
IMPERCEPTIBLE = "imperceptible"
IMPERCEPTIBLE_VARIANTS = (1, 2, 3)

Function = Callable[[np.ndarray, float, np.random.Generator], np.ndarray]


@dataclass(frozen=True)
class Distortion:
    """A type of distortion.

    Attributes
    ----------
    name : its name in tables and params.yaml.
    group : family, the name of its module: ``blur | colour | compression | noise | spatial | tone``.
    function : (float32 image in [0, 1], strength, generator) -> float32 image of the same shape in [0, 1].
    unit : what the strength measures.
    bounds : (weakest, strongest) strength that a ladder may use.
    needs_colour : it does nothing to a grey image, so grey references skip it.
    deterministic : it draws no random numbers: equal image and strength give an equal result whatever the seed.
    homogeneous : its recipe is the same everywhere in the image; crops of the result are results for the crop, up to
        borders (noise: in distribution).
    integer : the strength is a whole number.
    """

    name: str
    group: str
    function: Function
    unit: str
    bounds: tuple[float, float]
    needs_colour: bool = False
    deterministic: bool = True
    homogeneous: bool = True
    integer: bool = False

    def __call__(self, image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
        """Apply the type at a strength to a float32 image in [0, 1]."""
        return self.function(image, strength, rng)


_ALL = [
    Distortion("gaussian_blur", "blur", blur.gaussian_blur, "standard deviation, px", (0.3, 6.0)),
    Distortion("lens_blur", "blur", blur.lens_blur, "radius, px", (0.6, 9.0)),
    Distortion("motion_blur", "blur", blur.motion_blur, "path length, px", (1.2, 24.0)),
    Distortion(
        "colour_diffusion", "colour", colour.colour_diffusion, "standard deviation, px", (0.5, 24.0), needs_colour=True
    ),
    Distortion(
        "colour_shift",
        "colour",
        colour.colour_shift,
        "translation, px",
        (0.2, 8.0),
        needs_colour=True,
        deterministic=False,
    ),
    Distortion(
        "colour_quantisation",
        "colour",
        colour.colour_quantisation,
        "colours",
        (256, 3),
        needs_colour=True,
        integer=True,
    ),
    Distortion(
        "saturation_hsv", "colour", colour.saturation_hsv, "factor on saturation", (0.95, -0.4), needs_colour=True
    ),
    Distortion("saturation_lab", "colour", colour.saturation_lab, "factor on a*, b*", (1.05, 9.0), needs_colour=True),
    Distortion("jpeg2000", "compression", compression.jpeg2000, "signal-to-error ratio, dB", (36.0, 6.0)),
    Distortion("jpeg", "compression", compression.jpeg, "quality", (95, 3), integer=True),
    Distortion(
        "white_noise",
        "noise",
        noise.white_noise,
        "standard deviation, of full range",
        (0.006, 0.3),
        deterministic=False,
    ),
    Distortion(
        "white_noise_ycbcr",
        "noise",
        noise.white_noise_ycbcr,
        "standard deviation, of full range",
        (0.004, 0.25),
        needs_colour=True,
        deterministic=False,
    ),
    Distortion(
        "impulse_noise", "noise", noise.impulse_noise, "share of samples hit", (0.0005, 0.2), deterministic=False
    ),
    Distortion(
        "multiplicative_noise",
        "noise",
        noise.multiplicative_noise,
        "standard deviation, of the signal",
        (0.01, 0.7),
        deterministic=False,
    ),
    Distortion(
        "denoise",
        "noise",
        noise.denoise,
        "standard deviation of the removed noise, of full range",
        (0.006, 0.3),
        deterministic=False,
    ),
    Distortion("brighten", "tone", tone.brighten, "exponent on lightness", (0.97, 0.4)),
    Distortion("darken", "tone", tone.darken, "exponent on lightness", (1.03, 2.5)),
    Distortion("mean_shift", "tone", tone.mean_shift, "offset, of full range", (0.01, 0.2)),
    Distortion(
        "jitter", "spatial", spatial.jitter, "standard deviation of displacement, px", (0.05, 5.0), deterministic=False
    ),
    Distortion(
        "non_eccentricity_patch",
        "spatial",
        spatial.non_eccentricity_patch,
        "patches of 1/16 side",
        (2, 200),
        deterministic=False,
        homogeneous=False,
        integer=True,
    ),
    Distortion("pixelate", "spatial", spatial.pixelate, "cell side, px", (1.1, 16.0)),
    Distortion("quantisation", "tone", tone.quantisation, "grey levels", (64, 3), integer=True),
    Distortion(
        "colour_block",
        "spatial",
        spatial.colour_block,
        "blocks of 1/12 side",
        (1, 25),
        deterministic=False,
        homogeneous=False,
        integer=True,
    ),
    Distortion("high_sharpen", "tone", tone.high_sharpen, "gain", (0.1, 12.0)),
    Distortion("contrast_change", "tone", tone.contrast_change, "factor on the distance from mid grey", (0.96, 0.35)),
]
TYPES: dict[str, Distortion] = {item.name: item for item in _ALL}


def distortion(name: str) -> Distortion:
    """Return a type by its name.

    Raises
    ------
    ConfigError
        If there is none; the message names the nearest.
    """
    if name in TYPES:
        return TYPES[name]
    close = difflib.get_close_matches(name, TYPES, n=1, cutoff=0.4)
    hint = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(TYPES)}"
    raise ConfigError(f"degrade.types: {name!r} is no distortion type; {hint}")


def applicable(names: Sequence[str], *, grayscale: bool) -> list[str]:
    """Return those of `names`, in the registry's order, that do something to a grey or to a colour reference."""
    wanted = {distortion(name).name for name in names}
    return [name for name, item in TYPES.items() if name in wanted and not (grayscale and item.needs_colour)]


def strength_of(name: str, level: int) -> float:
    """Return the strength of a type at a level, 1 just visible to 5 severe, in the type's unit."""
    return float(_entry(name, level)["strength"][level - 1])


def position_of(name: str, level: int) -> float:
    """Return how severe a level of a type is on the scale of white noise, whose levels are 1 to 5 by definition.

    Types that people mind little span less than 1 to 5: compare severity across types by positions, not by levels.
    """
    return float(_entry(name, level)["position"][level - 1])


def degrade(stimulus: np.ndarray, name: str, level: int, *, key: str, seed: int) -> np.ndarray:
    """Degrade an image.

    The random pattern depends on `key`, the type and `seed`, not on the level: levels are nested, a higher one is the
    same pattern made stronger.

    Parameters
    ----------
    stimulus : uint8 array (H, W) gray or (H, W, 3) RGB.
    name : one of :data:`TYPES`.
    level : 1 (just visible) to 5 (severe).
    key : name of the reference.
    seed : the set's seed.

    Returns
    -------
    uint8 array of the same shape.

    Raises
    ------
    ConfigError
        If there is no such type or level.
    DataError
        If the type needs colour and the image is grey, or the array is no stimulus.
    """
    return degrade_by(stimulus, name, strength_of(name, level), key=key, seed=seed)


def degrade_by(stimulus: np.ndarray, name: str, strength: float, *, key: str, seed: int) -> np.ndarray:
    """Degrade an image by a strength in the type's unit instead of a level; see :func:`degrade`."""
    item = distortion(name)
    if not (stimulus.ndim == 2 or (stimulus.ndim == 3 and stimulus.shape[2] == 3)):
        raise DataError(f"a stimulus is (H, W) gray or (H, W, 3) RGB, not {stimulus.shape}")
    if item.needs_colour and stimulus.ndim == 2:
        raise DataError(f"{name} needs a colour image; this one is grey")
    return to_uint8(item(to_float(stimulus), strength, generator("degrade", key, name, seed)))


def compose(stimulus: np.ndarray, chain: Sequence[tuple[str, int]], *, key: str, seed: int) -> np.ndarray:
    """Apply types one after another, each rounded to uint8: the same as calling :func:`degrade` for each."""
    for name, level in chain:
        stimulus = degrade(stimulus, name, level, key=key, seed=seed)
    return stimulus


def chain_name(chain: Sequence[tuple[str, int]]) -> str:
    """Return the distortion name of a chain, e.g. ``jpeg@2+jitter@3``."""
    return "+".join(f"{name}@{level}" for name, level in chain)


def types_of(distortion: str) -> set[str]:
    """Return the types that a distortion's name names: one, or those of a chain."""
    return {part.split("@", 1)[0] for part in distortion.split("+")}


def imperceptible(stimulus: np.ndarray, variant: int, *, key: str, seed: int) -> np.ndarray:
    """Return a copy that looks the same but differs in its numbers.

    Parameters
    ----------
    stimulus : uint8 array (H, W) or (H, W, 3).
    variant : 1, every sample changed by -1, 0 or 1 grey level at random; 2, JPEG of quality 98 without chroma
        subsampling; 3, every sample raised by one grey level.

    Returns
    -------
    uint8 array of the same shape.
    """
    if variant == 1:
        step = generator(IMPERCEPTIBLE, key, seed).integers(-1, 2, stimulus.shape)
        return np.clip(stimulus + step, 0, 255).astype(np.uint8)
    if variant == 2:
        return compression.jpeg_roundtrip(stimulus, 98, "4:4:4")
    if variant == 3:
        return np.asarray(np.minimum(stimulus, 254) + 1, dtype=np.uint8)
    raise ConfigError(f"imperceptible variants are 1 to {len(IMPERCEPTIBLE_VARIANTS)}, not {variant}")


def _entry(name: str, level: int) -> dict[str, list[float]]:
    distortion(name)
    if level not in LEVELS:
        raise ConfigError(f"{name}: level {level} is not one of 1 to 5")
    return _ladders()[name]


@functools.cache
def _ladders() -> dict[str, dict[str, list[float]]]:
    values: Any = read_yaml(LADDERS)
    for name in TYPES:
        entry = values.get(name) if isinstance(values, dict) else None
        complete = isinstance(entry, dict) and all(len(entry.get(part, [])) == 5 for part in ("strength", "position"))
        if not complete:
            raise ConfigError(f"{LADDERS}: {name} needs five strengths and positions; reinstall the package")
    ladders: dict[str, dict[str, list[float]]] = values
    return ladders
