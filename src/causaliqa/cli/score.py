"""Verb ``score``: what most people come for."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from causaliqa.datasets.names import IMAGE_SUFFIXES

if TYPE_CHECKING:
    import numpy as np

    from causaliqa.baselines.registry import Metric
    from causaliqa.images import SourceImage

#: How a file's pixels are brought to what a metric takes, and how the metric judges two of them.
Judge = tuple[Callable[["SourceImage"], "np.ndarray"], Callable[["np.ndarray", "np.ndarray"], float]]


def _pairs(reference: Path, distorted: list[Path]) -> Iterator[tuple[Path, Path]]:
    """Resolve what the user named to (reference, distorted) files."""
    from causaliqa.errors import DataError

    if reference.suffix.lower() == ".csv":
        if distorted:
            raise DataError(f"{reference}: a CSV list already names the distorted images; give nothing after it")
        yield from _listed(reference)
        return
    if not distorted:
        raise DataError("name at least one distorted image or folder after the reference")
    files = [item for name in distorted for item in (_images(name) if name.is_dir() else [name])]
    if not reference.is_dir():
        yield from ((reference, item) for item in files)
        return
    by_stem = {item.stem: item for item in _images(reference)}
    for item in files:
        if item.stem not in by_stem:
            raise DataError(f"{item}: no reference of the same name in {reference}; rename it or pass a CSV list")
        yield by_stem[item.stem], item


def _images(folder: Path) -> list[Path]:
    from causaliqa.errors import DataError

    found = sorted(item for item in folder.iterdir() if item.suffix.lower() in IMAGE_SUFFIXES)
    if not found:
        raise DataError(f"{folder}: holds no image ({', '.join(IMAGE_SUFFIXES)})")
    return found


def _listed(path: Path) -> Iterator[tuple[Path, Path]]:
    from causaliqa.errors import DataError

    try:
        with path.open(newline="", encoding="utf-8") as handle:
            rows = csv.DictReader(handle)
            names = rows.fieldnames or []
            if not {"reference", "image"} <= set(names):
                raise DataError(f"{path}: needs the columns reference,image (found {', '.join(names) or 'none'})")
            for row in rows:
                if not row["reference"] or not row["image"]:
                    raise DataError(f"{path}: line {rows.line_num} is incomplete; give reference and image")
                yield path.parent / row["reference"], path.parent / row["image"]
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None


def _learned(path: Path | None, projection: str | None, data_range: float | None) -> Judge:
    import torch

    from causaliqa.images import as_rgb
    from causaliqa.metric import DEFAULT_METRIC, load_metric

    metric = load_metric(path or DEFAULT_METRIC, projection)

    def tensor(values: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(values.transpose(2, 0, 1)[None].copy())

    def judge(reference: np.ndarray, distorted: np.ndarray) -> float:
        with torch.no_grad():
            return float(metric(tensor(reference), tensor(distorted))[0])

    return lambda source: as_rgb(source.to_float(data_range)), judge


def _classical(metric: Metric, mask: Path | None, data_range: float | None) -> Judge:
    """Return a classical metric on float64: some of them would show the bits that float32 drops."""
    from causaliqa.baselines.psnr import PSNR_CAP_DB
    from causaliqa.errors import DataError
    from causaliqa.images import as_rgb

    region = None
    if mask is not None:
        metric.require_mask()
        region = _mask(mask)
    low, high = metric.range
    typer.echo(f"{metric.name}: {metric.title}, {metric.better} is better, range {low:g} to {high:g}", err=True)

    def load(source: SourceImage) -> np.ndarray:
        source.to_float(data_range)  # refuses values outside the range
        values: np.ndarray = source.values.astype("float64")
        return values / (source.white if data_range is None else data_range)

    def judge(reference: np.ndarray, distorted: np.ndarray) -> float:
        if reference.ndim != distorted.ndim:
            reference, distorted = as_rgb(reference), as_rgb(distorted)
        try:
            value = metric.score(reference, distorted, data_range=1.0, mask=region)
        except DataError as error:
            raise DataError(str(error).replace("mask:", f"{mask}:", 1)) from None
        # As in score tables.
        return min(value, PSNR_CAP_DB) if metric.name == "psnr" else value

    return load, judge


def _mask(path: Path) -> np.ndarray:
    from causaliqa.errors import DataError
    from causaliqa.images import read_image

    values = read_image(path).values
    if values.dtype != "uint8":
        raise DataError(
            f"{path}: a mask is an image of 8 bits, not of {values.dtype}; save it with 0 where a pixel does not count"
        )
    # Of a mask stored as RGB, pixels count that are not black.
    grays: np.ndarray = values if values.ndim == 2 else values.max(axis=2)
    return grays > 0


def score(
    reference: Annotated[
        Path, typer.Argument(help="Reference image, folder of references, or a CSV with the columns reference,image.")
    ],
    distorted: Annotated[list[Path] | None, typer.Argument(help="Distorted images or folders of them.")] = None,
    metric: Annotated[
        Path | None, typer.Option(help="A metric.safetensors; default: the one `make reproduce` trained.")
    ] = None,
    projection: Annotated[str | None, typer.Option(help="norm, pc1 or mahalanobis; default: the metric's own.")] = None,
    data_range: Annotated[
        float | None,
        typer.Option(
            min=1e-12, help="Stored value that means white; default: what the file says, or its bit depth's full range."
        ),
    ] = None,
    baseline: Annotated[
        str | None,
        typer.Option(
            help="A classical metric (psnr, ssim, vif, mad, ...; all in docs/baselines.md) instead of the learned one. "
            "Each score tells whether higher or lower is better; the range goes to standard error."
        ),
    ] = None,
    mask: Annotated[
        Path | None,
        typer.Option(
            help="8-bit image of the pixels' size, not 0 where they count; with a --baseline of the families PSNR, "
            "SSIM and GMSD."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON list instead of lines.")] = False,
) -> None:
    """Score distorted images against their reference, without labels: 0 is identical, larger is worse.

    With --baseline the score is that of a classical metric, which may be larger for the better image.

    \b
    causaliqa score reference.png distorted.png            one pair
    causaliqa score reference.png a.png b.png --json       several, as JSON
    causaliqa score references/ distorted/                 folders, paired by file name
    causaliqa score pairs.csv > scores.csv                 a list with the columns reference,image
    causaliqa score reference.png distorted.png --baseline gmsd --mask region.png

    A 12-bit image in a 16-bit file needs --data-range 4095: the range is never guessed.
    """  # noqa: D301 (a real \b keeps the examples' lines apart)
    from causaliqa.errors import ConfigError, DataError
    from causaliqa.images import read_image
    from causaliqa.progress import progress

    labels: dict[str, str] = {}
    if baseline is None:
        if mask is not None:
            raise ConfigError("--mask needs a --baseline that takes one; the learned metric judges the whole image")
        convert, judge = _learned(metric, projection, data_range)
    else:
        from causaliqa.baselines.registry import get

        if metric is not None or projection is not None:
            raise ConfigError("--baseline replaces the learned metric; leave out --metric and --projection")
        classical = get(baseline)
        convert, judge = _classical(classical, mask, data_range)
        labels = {"metric": classical.name, "better": classical.better}

    def load(path: Path) -> np.ndarray:
        try:
            return convert(read_image(path))
        except DataError as error:
            raise DataError(str(error) if str(path) in str(error) else f"{path}: {error}") from None

    pairs = list(_pairs(reference, distorted or []))
    rows: list[dict[str, Any]] = []
    writer = csv.writer(sys.stdout, lineterminator="\n")
    if not as_json:
        writer.writerow(["reference", "image", "score", *labels])
    previous: tuple[Path, np.ndarray] | None = None
    for original, image in progress(pairs, desc="score", unit="pair", disable=len(pairs) < 2):
        if previous is None or previous[0] != original:
            previous = (original, load(original))
        x, y = previous[1], load(image)
        if x.shape[:2] != y.shape[:2]:
            raise DataError(
                f"{image}: {y.shape[1]}x{y.shape[0]} pixels, its reference {original} has "
                f"{x.shape[1]}x{x.shape[0]}; register and crop them to the same size"
            )
        try:
            value = judge(x, y)
        except DataError as error:
            named = any(str(path) in str(error) for path in (image, mask))
            raise DataError(str(error) if named else f"{image}: {error}") from None
        if as_json:
            rows.append({"reference": str(original), "image": str(image), "score": value} | labels)
        else:
            writer.writerow([original, image, f"{value:.6g}", *labels.values()])
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
