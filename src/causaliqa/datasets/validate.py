"""Is a fetched dataset what it should be? Every file is read again, and the labels are held against PSNR.

Images pass one at a time (a few a process), so that memory does not grow with the dataset.
"""

from __future__ import annotations

import functools
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from causaliqa.baselines.psnr import PSNR_CAP_DB, psnr
from causaliqa.datasets.names import IMAGE_SUFFIXES, REFERENCE
from causaliqa.datasets.raw import ABOUT, IMAGES, MANIFEST, SPLITS, RawRow, RawSet
from causaliqa.datasets.splits import read_splits
from causaliqa.errors import CausalIQAError, DataError
from causaliqa.images import SourceImage, as_rgb
from causaliqa.io import sha256_file
from causaliqa.parallel import ordered_map
from causaliqa.progress import progress

#: Bins of the score histogram.
BINS = 20
#: Labels whose SRCC with PSNR over this many images lies below the threshold look reversed.
REVERSED = -0.2
REVERSED_IMAGES = 20
#: Examples named with each finding.
_SHOWN = 5
#: Keys of ``dataset.json`` that are used here.
_NEEDED = (
    "name", "title", "version", "kind", "domain", "labels", "options", "rows", "manifest_sha256", "counts", "expected",
    "skipped", "provenance", "psnr_srcc",
)  # fmt: skip


@dataclass(frozen=True)
class _Job:
    row: RawRow
    reference: RawRow | None


@dataclass(frozen=True)
class _Result:
    problem: str
    psnr: float


@functools.lru_cache(maxsize=1)
def _open(folder: Path) -> RawSet:
    return RawSet(folder)


#: The last reference: neighbouring images of a manifest mostly share theirs.
_LAST: dict[tuple[Path, str], SourceImage] = {}


def _reference(folder: Path, row: RawRow) -> SourceImage:
    key = (folder, row.image)
    if key not in _LAST:
        image = _open(folder).read(row)
        _LAST.clear()
        _LAST[key] = image
    return _LAST[key]


def _check(folder: Path, job: _Job) -> _Result:
    """Read one image and compare it with its row; PSNR against its reference where it has one."""
    row = job.row
    try:
        image = _open(folder).read(row)
        height, width = image.values.shape[:2]
        found = (width, height, image.bit_depth, image.values.ndim == 2)
        if found != (row.width, row.height, row.bit_depth, row.grayscale):
            return _Result(
                f"{row.image}: is {found}, its row says otherwise (width, height, bits, gray); fetch the dataset again",
                np.nan,
            )
        if float(image.values.max()) > row.data_range:
            return _Result(
                f"{row.image}: a pixel lies above its data range {row.data_range:g}; "
                "correct image_rules.data_range in the registry and fetch the dataset again",
                np.nan,
            )
    except DataError as error:
        return _Result(str(error), np.nan)
    if job.reference is None:
        return _Result("", np.nan)
    try:
        first, second = _reference(folder, job.reference).values, image.values
    except DataError:  # found at the reference's own row
        return _Result("", np.nan)
    if first.shape[:2] != second.shape[:2]:
        return _Result(
            f"{row.image}: differs in size from its reference {row.reference}; fetch the dataset again", np.nan
        )
    if first.ndim != second.ndim:
        first, second = as_rgb(first), as_rgb(second)
    data_range = max(row.data_range, job.reference.data_range)
    try:
        return _Result("", min(psnr(first, second, data_range=data_range), PSNR_CAP_DB))
    except DataError as error:
        return _Result(f"{row.image}: {error}", np.nan)


def _named(items: list[str], total: int) -> str:
    return ", ".join(items[:_SHOWN]) + (f" and {total - _SHOWN} more" if total > _SHOWN else "")


def _files(folder: Path) -> Iterator[str]:
    """Yield every file under the image folder, relative to the dataset, without holding them all."""
    for root, _, names in os.walk(folder / IMAGES):
        for name in names:
            yield (Path(root) / name).relative_to(folder).as_posix()


def validate(folder: Path, jobs: int = 1) -> dict[str, Any]:
    """Verify a fetched dataset.

    Parameters
    ----------
    folder : ``data/raw/<dataset>``.
    jobs : processes; the result does not depend on it.

    Returns
    -------
    dict : ``problems`` (what is wrong, one line each), ``warnings`` (what looks wrong), counts found and expected,
        histogram of the scores, sizes and bit depths, and for full-reference sets the SRCC of PSNR with the scores
        (oriented so that larger is better) by distortion, beside the published one. The same files give the same
        result.

    Raises
    ------
    DataError
        If the dataset is not there or its manifest is damaged.
    """
    folder = Path(folder)
    # Files may have changed since this process looked at them last.
    _open.cache_clear()
    _LAST.clear()
    raw = RawSet(folder)
    about = raw.about
    if missing := [key for key in _NEEDED if key not in about]:
        raise DataError(f"{folder / ABOUT}: lacks {', '.join(missing)}; delete {folder} and fetch the dataset again")
    problems: list[str] = []
    warnings: list[str] = []
    if sha256_file(folder / MANIFEST) != about["manifest_sha256"]:
        problems.append(
            f"{folder / MANIFEST}: is not the one that was written with {ABOUT}; "
            f"delete {folder} and fetch the dataset again"
        )
    try:
        splits = read_splits(folder / SPLITS)
    except DataError as error:
        problems.append(str(error))
        splits = []

    paired = about["kind"] == "full_reference"
    references = raw.references() if paired else {}
    listed: set[int] = set()
    first_of: dict[str, str] = {}
    duplicates: list[str] = []
    sizes: Counter[str] = Counter()
    depths: Counter[str] = Counter()
    types: dict[str, tuple[list[float], list[float]]] = {}
    provenance: dict[str, tuple[list[float], list[float]]] = {}
    scores: list[float] = []
    sign = 1.0 if about["labels"] is None or about["labels"]["higher_is_better"] else -1.0
    rows = 0

    def jobs_of() -> Iterator[_Job]:
        for row in raw.rows():
            yield _Job(row, references.get(row.reference) if paired and row.distortion != REFERENCE else None)

    results = ordered_map(functools.partial(_check, folder), jobs_of(), jobs)
    total = int(about["rows"])
    for row, result in progress(
        zip(raw.rows(), results, strict=True), total=total, desc=f"verify {raw.name}", unit="image"
    ):
        rows += 1
        # Hashes of names: 10^5 of them are a few megabytes.
        listed.add(hash(row.image))
        sizes[f"{row.width}x{row.height}"] += 1
        depths[f"{row.bit_depth} bit {'gray' if row.grayscale else 'colour'}"] += 1
        digest = row.sha256[:24]
        if (first := first_of.setdefault(digest, row.image)) != row.image:
            duplicates.append(f"{row.image} = {first}")
        if result.problem:
            problems.append(result.problem)
        if row.score == row.score and row.distortion != REFERENCE:
            scores.append(row.score)
            if result.psnr == result.psnr:
                for name, home in ((row.distortion, types), (row.provenance, provenance)):
                    values = home.setdefault(name, ([], []))
                    values[0].append(result.psnr)
                    values[1].append(sign * row.score)
    unlisted = sorted(
        name for name in _files(folder) if name.lower().endswith(IMAGE_SUFFIXES) and hash(name) not in listed
    )
    if duplicates:
        warnings.append(
            f"files that are copies of others: {len(duplicates)} ({_named(duplicates, len(duplicates))}); "
            "check whether the labels mean the right files"
        )
    if unlisted:
        warnings.append(
            f"images without a row (no label): {len(unlisted)} ({_named(unlisted, len(unlisted))}); "
            "add them to the label file, or leave them: no method is judged on them"
        )
    for what, number in about["skipped"].items():
        warnings.append(f"listed images that were left out ({what.replace('_', ' ')}): {number}; complete the copy")
    for what, expected in about["expected"].items():
        if (found := about["counts"].get(what, 0)) != expected:
            warnings.append(f"{what}: {found} found, the registry says {expected}; complete the copy")
    low, high = (about["labels"] or {}).get("range") or (-np.inf, np.inf)
    if outside := sum(not low <= score <= high for score in scores):
        warnings.append(
            f"scores outside the declared range [{low:g}, {high:g}]: {outside}; check labels.range in the registry"
        )
    agreement = _agreement(types, provenance, about["psnr_srcc"])
    whole = agreement[0]["srcc"] if agreement else None
    if whole is not None and whole < REVERSED and agreement[0]["n"] >= REVERSED_IMAGES:
        declared = "higher is better" if sign > 0 else "higher is worse"
        warnings.append(
            f"the labels look reversed: their SRCC with PSNR is {whole:.3f}, declared is '{declared}'; "
            "check labels.higher_is_better in the registry"
        )
    histogram: dict[str, list[float]] = {}
    if scores:
        counts, edges = np.histogram(scores, bins=BINS)
        histogram = {"counts": [int(n) for n in counts], "edges": [round(float(edge), 6) for edge in edges]}
    return {
        "dataset": raw.name,
        "title": about["title"],
        "version": about["version"],
        "kind": about["kind"],
        "domain": about["domain"],
        "labels": about["labels"],
        "options": about["options"],
        "rows": rows,
        "found": about["counts"],
        "expected": about["expected"],
        "skipped": about["skipped"],
        "provenance": about["provenance"],
        "sizes": dict(sizes.most_common(10)),
        "n_sizes": len(sizes),
        "bit_depths": dict(sorted(depths.items())),
        "duplicates": len(duplicates),
        "unlisted": len(unlisted),
        "splits": len(splits),
        "scores": {"n": len(scores), **_range(scores)},
        "histogram": histogram,
        "psnr": agreement,
        "problems": problems,
        "warnings": warnings,
    }


def _range(scores: list[float]) -> dict[str, float]:
    if not scores:
        return {}
    return {"low": min(scores), "mean": round(float(np.mean(scores)), 6), "high": max(scores)}


def _agreement(
    types: dict[str, tuple[list[float], list[float]]],
    provenance: dict[str, tuple[list[float], list[float]]],
    published: dict[str, float],
) -> list[dict[str, Any]]:
    """Return the SRCC of PSNR over everything, by provenance and by distortion."""
    from causaliqa.evaluate.correlation import srcc  # SciPy is heavy, and no process that reads images needs it

    def row(group: str, name: str, x: list[float], y: list[float]) -> dict[str, Any]:
        value = srcc(np.asarray(x), np.asarray(y)) if len(x) > 2 else float("nan")
        return {
            "group": group,
            "name": name,
            "n": len(x),
            "srcc": round(value, 6) if np.isfinite(value) else None,
            "published": published.get(name),
        }

    if not types:
        return []
    everything = [[value for pair in types.values() for value in pair[i]] for i in (0, 1)]
    rows = [row("all", "all", *everything)]
    if set(provenance) != {""}:
        rows += [row("provenance", name or "not stated", *provenance[name]) for name in sorted(provenance)]
    if len(types) > 1:
        rows += [row("distortion", name, *types[name]) for name in sorted(types)]
    return rows


def summary(result: dict[str, Any]) -> list[str]:
    """Return a validation in lines for a terminal."""
    found = result["found"]
    lines = [
        f"{result['dataset']}: {result['title']} (version {result['version']}, {result['kind']}, {result['domain']})",
        f"  images      {result['rows']}: {found['references']} references, {found['distorted']} with a score, "
        f"{found['types']} distortion types; {result['n_sizes']} sizes; "
        + ", ".join(f"{n} {what}" for what, n in result["bit_depths"].items()),
    ]
    if result["provenance"]:
        lines.append("  provenance  " + ", ".join(f"{n} {kind}" for kind, n in result["provenance"].items()))
    if result["scores"]["n"]:
        labels, scores = result["labels"], result["scores"]
        direction = "higher is better" if labels["higher_is_better"] else "higher is worse"
        lines.append(
            f"  scores      {labels['kind']}, {direction}: {scores['low']:g} to {scores['high']:g}, "
            f"mean {scores['mean']:g}; {bars(result['histogram']['counts'])}"
        )
    if result["psnr"]:
        lines.append("  SRCC of PSNR with the scores (both oriented); in brackets: published for the whole set:")
        for row in result["psnr"]:
            value = "  n/a" if row["srcc"] is None else f"{row['srcc']:6.3f}"
            known = f"  [{row['published']:.3f}]" if row["published"] is not None else ""
            lines.append(f"    {row['name']:38} {row['n']:6}  {value}{known}")
    lines += [f"  warning     {text}" for text in result["warnings"]]
    shown = result["problems"][:20]
    lines += [f"  PROBLEM     {text}" for text in shown]
    if len(result["problems"]) > len(shown):
        lines.append(f"  PROBLEM     and {len(result['problems']) - len(shown)} more")
    lines.append("  " + ("NOT VALID" if result["problems"] else "valid"))
    return lines


def bars(counts: list[int]) -> str:
    """Return a histogram as one line of block characters."""
    blocks = " ▁▂▃▄▅▆▇█"
    top = max(counts) or 1
    return "".join(blocks[0 if n == 0 else max(1, round(n / top * 8))] for n in counts)


def require_valid(result: dict[str, Any]) -> None:
    """Stop on a dataset with problems.

    Raises
    ------
    CausalIQAError
        Naming the first problem.
    """
    if result["problems"]:
        raise CausalIQAError(
            f"{result['dataset']}: problems: {len(result['problems'])}, the first: {result['problems'][0]}"
        )
