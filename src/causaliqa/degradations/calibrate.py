"""Place the five levels of every type at equal perceptual steps.

``python -m causaliqa.degradations.calibrate data/raw/* --write`` degrades references with a range of strengths,
measures each result and writes ``ladders.yaml``.

The scale is that of white noise: its levels 1 to 5 are Gaussian noise of standard deviation 4, 9, 18, 32 and 55 grey
levels. For each of three measures (MDSI, HaarPSI, normalised Laplacian pyramid) the median over references of a type
at a strength is read off the medians of white noise, linearly between its levels (level 0 is the reference itself,
beyond 5 the last step goes on); the mean of the three readings is the *position* of that strength. A type's levels
are the strengths at positions 1 to 5, or, if its strongest bound lies below 5, at five equal steps up to that.
"""

from __future__ import annotations

import argparse
import functools
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import numpy.typing as npt

from causaliqa.baselines.haarpsi import haarpsi
from causaliqa.baselines.mdsi import mdsi
from causaliqa.degradations.build import RawImage, prepare_reference, read_manifest
from causaliqa.degradations.measure import Pyramid, pyramid, pyramid_distance
from causaliqa.degradations.registry import LADDERS, LEVELS, TYPES, Distortion, degrade_by
from causaliqa.io import write_text
from causaliqa.progress import progress

Array = npt.NDArray[np.float64]

#: Standard deviations of white noise at levels 1 to 5, grey levels.
ANCHOR = (4.0, 9.0, 18.0, 32.0, 55.0)
_GRID = 9
_REFINEMENTS = 2
_DIGITS = 4
_SEED = 0

_HEADER = """\
# Strength of every distortion type at levels 1 to 5, in the type's unit (causaliqa.degradations.registry), and the
# position of each level on the scale of white noise. Generated, do not edit:
# python -m causaliqa.degradations.calibrate {folders} --write
"""


_PREPARED: dict[tuple[Path, str, int], tuple[np.ndarray, Pyramid]] = {}


def _reference(image: RawImage, size: int) -> tuple[np.ndarray, Pyramid]:
    # Keyed by name: a row holds NaN, which equals nothing, itself included.
    key = (image.folder, image.reference, size)
    if key not in _PREPARED:
        stimulus = prepare_reference(image, size)
        _PREPARED[key] = (stimulus, pyramid(stimulus))
    return _PREPARED[key]


def _measure(job: tuple[str, float, RawImage, int]) -> list[float]:
    """Return the three distances of a reference, degraded by a strength, from itself; larger is worse."""
    name, strength, row, size = job
    stimulus, bands = _reference(row, size)
    distorted = degrade_by(stimulus, name, strength, key=row.reference, seed=_SEED)
    return [
        mdsi(stimulus, distorted),
        1.0 - haarpsi(stimulus, distorted),
        pyramid_distance(bands, pyramid(distorted)),
    ]


class Scale:
    """Positions on the scale of white noise.

    Parameters
    ----------
    anchors : array (5, M), medians of M measures at the five anchors, increasing along axis 0.
    """

    def __init__(self, anchors: Array) -> None:
        self.anchors = np.vstack([np.zeros(anchors.shape[1]), np.maximum.accumulate(anchors, axis=0)])

    def position(self, medians: Array) -> float:
        """Return the mean position of M medians; 0 is the reference, 5 the strongest anchor."""
        readings = []
        for value, curve in zip(medians, self.anchors.T, strict=True):
            reading = float(np.interp(value, curve, np.arange(len(curve))))
            if value > curve[-1]:
                reading += float((value - curve[-1]) / (curve[-1] - curve[-2]))
            readings.append(reading)
        return float(np.mean(readings))


def invert(strengths: Sequence[float], positions: Sequence[float], target: float, logarithmic: bool) -> float:
    """Return the strength at which a sampled position curve, made monotone, reaches `target`."""
    x = np.log(strengths) if logarithmic else np.asarray(strengths, dtype=np.float64)
    order = np.argsort(x if strengths[0] < strengths[-1] else -x)
    curve = np.maximum.accumulate(np.asarray(positions)[order])
    # A flat stretch has no inverse: a tiny slope picks its weakest end.
    curve = curve + np.arange(len(curve)) * 1e-9
    found = float(np.interp(target, curve, x[order]))
    return float(np.exp(found)) if logarithmic else found


def round_strength(item: Distortion, value: float) -> float:
    """Round to what the ladder stores: 4 significant digits, or a whole number."""
    return float(round(value)) if item.integer else float(f"{value:.{_DIGITS}g}")


def calibrate_type(item: Distortion, position: Callable[[float], float]) -> tuple[list[float], list[float]]:
    """Return five strengths and their positions.

    Parameters
    ----------
    item : the type.
    position : measured position of a strength.
    """
    weakest, strongest = item.bounds
    logarithmic = min(item.bounds) > 0
    grid = np.geomspace(weakest, strongest, _GRID) if logarithmic else np.linspace(weakest, strongest, _GRID)
    samples: dict[float, float] = {}

    def visit(strength: float) -> float:
        value = round_strength(item, strength)
        if value not in samples:
            samples[value] = position(value)
        return value

    for strength in grid:
        visit(float(strength))
    direction = 1.0 if strongest > weakest else -1.0
    chosen: list[float] = []
    for _ in range(_REFINEMENTS + 1):
        strengths = sorted(samples, key=lambda value: direction * value)
        top = min(float(len(LEVELS)), max(samples.values()))
        curve = [samples[value] for value in strengths]
        chosen = [visit(invert(strengths, curve, top * level / len(LEVELS), logarithmic)) for level in LEVELS]
    if item.integer:
        # Neighbouring levels must differ even where the parameter is too coarse for equal steps.
        for i in range(1, len(chosen)):
            if direction * (chosen[i] - chosen[i - 1]) < 1:
                chosen[i] = visit(chosen[i - 1] + direction)
    return chosen, [samples[value] for value in chosen]


def calibrate(folders: Sequence[Path], *, size: int, jobs: int) -> dict[str, tuple[list[float], list[float]]]:
    """Calibrate every type on the references of raw datasets.

    Parameters
    ----------
    folders : ``data/raw/<dataset>`` folders.
    size : side that references are reduced to, pixels.
    jobs : processes.

    Returns
    -------
    (strengths, positions) by type.
    """
    references = [row for folder in folders for row in read_manifest(folder)]
    colour = [row for row in references if not row.row.grayscale]

    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:

        def medians(name: str, strength: float, needs_colour: bool) -> Array:
            work = [(name, strength, reference, size) for reference in (colour if needs_colour else references)]
            return np.asarray(np.median(np.array(list(pool.map(_measure, work, chunksize=2))), axis=0))

        scales = {
            only_colour: Scale(np.array([medians("white_noise", sigma / 255, only_colour) for sigma in ANCHOR]))
            for only_colour in (False, True)
        }
        ladders = {}
        for name, item in progress(TYPES.items(), desc="calibrate", unit="type"):
            if name == "white_noise":
                exact = [round_strength(item, sigma / 255) for sigma in ANCHOR]
                ladders[name] = (exact, [float(level) for level in LEVELS])
                continue
            scale = scales[item.needs_colour]
            ladders[name] = calibrate_type(
                item, functools.partial(lambda n, c, s, v: s.position(medians(n, v, c)), name, item.needs_colour, scale)
            )
    return ladders


def render(ladders: dict[str, tuple[list[float], list[float]]], folders: Sequence[Path]) -> str:
    """Return the text of ladders.yaml."""
    lines = [_HEADER.format(folders=" ".join(f"data/raw/{folder.name}" for folder in folders))]
    for name, (strengths, positions) in ladders.items():
        lines.append(f"{name}:\n")
        lines.append(f"  strength: [{', '.join(f'{value:.{_DIGITS}g}' for value in strengths)}]\n")
        lines.append(f"  position: [{', '.join(f'{value:.2f}' for value in positions)}]\n")
    return "".join(lines)


def main() -> None:
    """Run the calibration from the command line."""
    parser = argparse.ArgumentParser(prog="python -m causaliqa.degradations.calibrate", description="Place the levels.")
    parser.add_argument("folders", nargs="+", type=Path, help="raw dataset folders (data/raw/NAME)")
    parser.add_argument("--write", action="store_true", help="write ladders.yaml instead of printing it")
    parser.add_argument("--size", type=int, default=256, help="side that references are reduced to")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    arguments = parser.parse_args()
    folders = sorted(arguments.folders)
    text = render(calibrate(folders, size=arguments.size, jobs=arguments.jobs), folders)
    if arguments.write:
        write_text(LADDERS, text)
        sys.stderr.write(f"calibrate: {len(TYPES)} types on {len(folders)} datasets\n")
    else:
        sys.stdout.write(text)


if __name__ == "__main__":
    main()
