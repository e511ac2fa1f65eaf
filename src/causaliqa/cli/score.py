"""Verb ``score``: what most people come for."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from causaliqa.datasets.names import IMAGE_SUFFIXES


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
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON list instead of lines.")] = False,
) -> None:
    """Score distorted images against their reference, without labels: 0 is identical, larger is worse.

    \b
    causaliqa score reference.png distorted.png            one pair
    causaliqa score reference.png a.png b.png --json       several, as JSON
    causaliqa score references/ distorted/                 folders, paired by file name
    causaliqa score pairs.csv > scores.csv                 a list with the columns reference,image

    A 12-bit image in a 16-bit file needs --data-range 4095: the range is never guessed.
    """  # noqa: D301 (a real \b keeps the examples' lines apart)
    import torch

    from causaliqa.errors import DataError
    from causaliqa.images import as_rgb, read_image
    from causaliqa.metric import DEFAULT_METRIC, load_metric
    from causaliqa.progress import progress

    def load(path: Path) -> Any:
        try:
            values = as_rgb(read_image(path).to_float(data_range))
        except DataError as error:
            raise DataError(str(error) if str(path) in str(error) else f"{path}: {error}") from None
        return torch.from_numpy(values.transpose(2, 0, 1)[None].copy())

    judge = load_metric(metric or DEFAULT_METRIC, projection)
    pairs = list(_pairs(reference, distorted or []))
    rows: list[dict[str, Any]] = []
    writer = csv.writer(sys.stdout, lineterminator="\n")
    if not as_json:
        writer.writerow(["reference", "image", "score"])
    previous: tuple[Path, Any] | None = None
    with torch.no_grad():
        for original, image in progress(pairs, desc="score", unit="pair", disable=len(pairs) < 2):
            if previous is None or previous[0] != original:
                previous = (original, load(original))
            x, y = previous[1], load(image)
            if x.shape != y.shape:
                raise DataError(
                    f"{image}: {y.shape[-1]}x{y.shape[-2]} pixels, its reference {original} has "
                    f"{x.shape[-1]}x{x.shape[-2]}; register and crop them to the same size"
                )
            value = float(judge(x, y)[0])
            if as_json:
                rows.append({"reference": str(original), "image": str(image), "score": value})
            else:
                writer.writerow([original, image, f"{value:.6g}"])
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
