"""Verb ``score``: what most people come for."""

from __future__ import annotations

import contextlib
import csv
import functools
import json
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from causaliqa.cli.options import Jobs
from causaliqa.datasets.names import IMAGE_SUFFIXES

if TYPE_CHECKING:
    import numpy as np

    from causaliqa.images import ImageRules, SourceImage

#: (reference, distorted image).
Pair = tuple[Path, Path]
#: A score, or why there is none, and what is to be said of the reference.
Outcome = tuple[float | None, str | None, str | None]
#: Takes a reference's pixels; returns what judges distorted pixels against them.
Prepare = Callable[["np.ndarray"], Callable[["np.ndarray"], float]]


@dataclass(frozen=True)
class _Choice:
    """What the user asks each pair to be judged by."""

    metric: str | None
    projection: str | None
    data_range: float | None
    baseline: str | None
    mask: Path | None
    rules: ImageRules


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


class _Scorer:
    """Scores pairs one by one; what depends on the reference alone is kept until another reference comes."""

    def __init__(self, choice: _Choice) -> None:
        self.choice, self.mask = choice, choice.mask
        self.convert, self.prepare = _learned(choice) if choice.baseline is None else _classical(choice)
        if "torch" in sys.modules:
            import torch

            # Threads that wait for each other lose more on a busy machine (fifteenfold, seen) than they gain on an idle
            # one; `--jobs` is how several cores are used.
            torch.set_num_threads(1)
        self.known: Path | None = None
        self.size: tuple[int, int] = (0, 0)
        self.note: str | None = None

    def __call__(self, pair: Pair) -> Outcome:
        from causaliqa.errors import DataError

        try:
            return self._score(*pair), None, self.note
        except DataError as error:
            return None, str(error), None

    def _score(self, reference: Path, image: Path) -> float:
        from causaliqa.errors import DataError

        if self.known != reference:
            self._meet(reference)
        pixels = self._load(image)
        if self.size != (pixels.shape[1], pixels.shape[0]):
            raise DataError(
                f"{image}: {pixels.shape[1]}x{pixels.shape[0]} pixels, its reference {reference} has "
                f"{self.size[0]}x{self.size[1]}; register and crop them to the same size"
            )
        try:
            return self.judge(pixels)
        except DataError as error:
            named = any(str(path) in str(error) for path in (image, self.mask))
            raise DataError(str(error) if named else f"{image}: {error}") from None

    def _meet(self, reference: Path) -> None:
        from causaliqa.errors import DataError

        self.known = self.note = None
        pixels = self._load(reference)
        self.size = (pixels.shape[1], pixels.shape[0])
        try:
            self.judge = self.prepare(pixels)
        except DataError as error:
            raise DataError(f"{reference}: {error}") from None
        self.known = reference

    def _load(self, path: Path) -> np.ndarray:
        from causaliqa.errors import DataError
        from causaliqa.images import read_image

        try:
            source = read_image(path, self.choice.rules)
            if self.known is None and self.choice.data_range is None:
                self.note = _narrow(path, source)
            return self.convert(source)
        except DataError as error:
            raise DataError(str(error) if str(path) in str(error) else f"{path}: {error}") from None


def _narrow(path: Path, source: SourceImage) -> str | None:
    """Return what to say of a reference whose values leave more than two of its file's bits unused."""
    top = int(source.values.max(initial=0))
    if source.bit_depth != 16 or source.data_range is not None or not 0 < top < 2**14:
        return None
    likely = 2 ** max(8, top.bit_length()) - 1
    return (
        f"{path}: 16-bit values up to {top} only, scored as parts of 65535; if white is less, say so: it is "
        f"--data-range {likely} where the values have {likely.bit_length()} bits"
    )


def _learned(choice: _Choice) -> tuple[Callable[[SourceImage], np.ndarray], Prepare]:
    import torch

    from causaliqa.images import as_rgb
    from causaliqa.metric import load_metric

    metric = load_metric(choice.metric, choice.projection)

    def tensor(values: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(as_rgb(values).transpose(2, 0, 1)[None].copy())

    def prepare(reference: np.ndarray) -> Callable[[np.ndarray], float]:
        with torch.inference_mode():
            known = metric.prepare(tensor(reference))

        def judge(distorted: np.ndarray) -> float:
            with torch.inference_mode():
                return float(metric.against(known, tensor(distorted))[0])

        return judge

    return lambda source: source.to_float(choice.data_range), prepare


def _classical(choice: _Choice) -> tuple[Callable[[SourceImage], np.ndarray], Prepare]:
    """Return a classical metric on float64: some of them would show the bits that float32 drops."""
    from causaliqa.baselines.psnr import PSNR_CAP_DB
    from causaliqa.baselines.registry import get
    from causaliqa.errors import DataError
    from causaliqa.images import as_rgb

    metric = get(str(choice.baseline))
    mask, data_range = choice.mask, choice.data_range
    region = None
    if mask is not None:
        metric.require_mask()
        region = _mask(mask)

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

    return load, lambda reference: functools.partial(judge, reference)


#: The scorer of a process that works on pairs for another one; such a process serves one command only.
_own: dict[_Choice, _Scorer] = {}


def _score_elsewhere(choice: _Choice, pair: Pair) -> Outcome:
    if choice not in _own:
        import signal

        # Ctrl-C reaches every process: the one that hands out the work ends the others.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        _own[choice] = _Scorer(choice)
    return _own[choice](pair)


class _Printer:
    """Writes each row to stdout as soon as there is one: what was scored survives an interruption."""

    def __init__(self, as_json: bool, labels: dict[str, str]) -> None:
        self.as_json, self.labels = as_json, labels
        self.writer = csv.writer(sys.stdout, lineterminator="\n")
        self.rows = 0

    def head(self) -> None:
        if not self.as_json:
            self.writer.writerow(["reference", "image", "score", *self.labels])

    def row(self, pair: Pair, score: float | None, error: str | None) -> None:
        if self.as_json:
            row: dict[str, Any] = {"reference": str(pair[0]), "image": str(pair[1]), "score": score} | self.labels
            if error is not None:
                row["error"] = error
            sys.stdout.write(",\n" if self.rows else "[\n")
            sys.stdout.write(textwrap.indent(json.dumps(row, indent=2), "  "))
        else:
            if not self.rows:
                self.head()
            self.writer.writerow([*pair, "" if score is None else f"{score:.6g}", *self.labels.values()])
        self.rows += 1
        sys.stdout.flush()

    def end(self) -> None:
        if self.as_json:
            sys.stdout.write("\n]\n" if self.rows else "[]\n")


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


def _rules(text: str) -> ImageRules:
    from pydantic import ValidationError

    from causaliqa.errors import ConfigError
    from causaliqa.images import ImageRules

    try:
        return ImageRules.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ConfigError(f"--image-rules: {where + ': ' if where else ''}{first['msg']}") from None


def score(
    reference: Annotated[
        Path, typer.Argument(help="Reference image, folder of references, or a CSV with the columns reference,image.")
    ],
    distorted: Annotated[list[Path] | None, typer.Argument(help="Distorted images or folders of them.")] = None,
    metric: Annotated[
        str | None,
        typer.Option(
            help="A metric.safetensors, or the name of a packaged metric; default: the packaged one, and without one "
            "what `make reproduce` trained."
        ),
    ] = None,
    projection: Annotated[
        str | None, typer.Option(help="One of the metric's, norm for instance; default: its own.")
    ] = None,
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
    image_rules: Annotated[
        str,
        typer.Option(
            metavar="JSON",
            help="How to read what a file leaves open: '{\"window\": [-1000, 400]}' of a DICOM file, "
            '\'{"alpha": "white"}\'; keys as image_rules of a dataset (docs/datasets.md).',
        ),
    ] = "{}",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON list instead of lines.")] = False,
    jobs: Jobs = 1,
) -> None:
    """Score distorted images against their reference, without labels: 0 is identical, larger is worse.

    With --baseline the score is that of a classical metric, which may be larger for the better image.

    \b
    causaliqa score reference.png distorted.png            one pair
    causaliqa score reference.png a.png b.png --json       several, as JSON
    causaliqa score references/ distorted/                 folders, paired by file name
    causaliqa score pairs.csv > scores.csv                 a list with the columns reference,image
    causaliqa score reference.png distorted.png --baseline gmsd --mask region.png

    A 12-bit image in a 16-bit file needs --data-range 4095: the range is never guessed, 16-bit values count as parts
    of 65535 otherwise. A note on standard error names a reference that uses little of them.

    Each score is printed as soon as it is there. A pair that cannot be scored gets a row without a score and a line on
    standard error that names the file; the other pairs are scored, and the exit status is 1.
    """  # noqa: D301 (a real \b keeps the examples' lines apart)
    from causaliqa.errors import ConfigError, DataError
    from causaliqa.parallel import ordered_map
    from causaliqa.progress import progress

    rules = _rules(image_rules)
    labels: dict[str, str] = {}
    if baseline is None and mask is not None:
        raise ConfigError("--mask needs a --baseline that takes one; the learned metric judges the whole image")
    if baseline is not None and (metric is not None or projection is not None):
        raise ConfigError("--baseline replaces the learned metric; leave out --metric and --projection")
    choice = _Choice(metric, projection, data_range, baseline, mask, rules)
    # Made here for any number of jobs: a metric or a mask that cannot be used is said before the first pair.
    scorer = _Scorer(choice)
    if baseline is not None:
        from causaliqa.baselines.registry import get

        named = get(baseline)
        low, high = named.range
        typer.echo(f"{named.name}: {named.title}, {named.better} is better, range {low:g} to {high:g}", err=True)
        labels = {"metric": named.name, "better": named.better}

    pairs = list(_pairs(reference, distorted or []))
    jobs = min(jobs, len(pairs))
    work = scorer if jobs <= 1 else functools.partial(_score_elsewhere, choice)
    outcomes = ordered_map(work, pairs, jobs, chunk=1)
    failed = 0
    said: set[str] = set()
    noted = False
    printer = _Printer(as_json, labels)
    with (
        contextlib.closing(outcomes),
        progress(total=len(pairs), desc="score", unit="pair", disable=len(pairs) < 2) as bar,
    ):
        # On a terminal the bar steps aside for a row; in a log file, what it has written is ended by a new line.
        terminal = sys.stderr.isatty()
        aside, line_end = (bar.external_write_mode, "") if terminal else (contextlib.nullcontext, "\n")
        try:
            for pair, (value, error, note) in zip(pairs, outcomes, strict=True):
                if error is not None and len(pairs) == 1:
                    raise DataError(error)
                with aside():
                    if note is not None and not noted:  # what the first reference says holds for a folder of them
                        sys.stderr.write(f"{line_end}note: {note}\n")
                        noted = True
                    printer.row(pair, value, error)
                    if error is not None:
                        failed += 1
                        if error not in said:  # a damaged reference is named once, not with each of its images
                            sys.stderr.write(f"{line_end}error: {error}\n")
                            said.add(error)
                bar.update()
        finally:
            printer.end()
    if not pairs:
        printer.head()
    if failed:
        raise DataError(f"{failed} of {len(pairs)} pairs could not be scored, see above; the others were")
