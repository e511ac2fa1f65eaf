"""Bring a dataset in: verified source files become ``data/raw/<dataset>/``, whole or not at all."""

from __future__ import annotations

import contextlib
import functools
import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from causaliqa.config import Fetch
from causaliqa.datasets.archives import Limits, is_archive, open_members, unpack
from causaliqa.datasets.bundled import bundled_rows
from causaliqa.datasets.download import lock, mirror_from_environment, obtain
from causaliqa.datasets.names import IMAGE_SUFFIXES, REFERENCE, content_name
from causaliqa.datasets.pack import PACK_BYTES, write_packs
from causaliqa.datasets.raw import ABOUT, IMAGES, MANIFEST, SPLITS, RawRow, write_manifest
from causaliqa.datasets.readers import read_layout
from causaliqa.datasets.readers.base import Row
from causaliqa.datasets.registry import BundledDataset, Dataset, DownloadedDataset, LocalDataset
from causaliqa.datasets.splits import make_splits, splits_document
from causaliqa.errors import CausalIQAError, ConfigError, DataError
from causaliqa.images import decode_image
from causaliqa.images.rules import ImageRules
from causaliqa.io import atomic_directory, sha256_bytes, sha256_file, write_json
from causaliqa.parallel import ordered_map
from causaliqa.progress import progress

#: Where downloads are kept, so that nothing is downloaded twice.
DOWNLOADS = Path("data/downloads")
#: Checksums of first downloads whose true ones are not published.
RECORD = Path("data/checksums.json")


@dataclass(frozen=True)
class Places:
    """Where downloads come from and go to.

    Attributes
    ----------
    mirror : folder or address that serves the archives by name, or None.
    """

    downloads: Path = DOWNLOADS
    record: Path = RECORD
    mirror: str | None = field(default_factory=mirror_from_environment)


# --- published layouts ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Facts:
    grayscale: bool
    bit_depth: int
    white: float | None
    top: float
    width: int
    height: int
    sha256: str


def _facts(content: bytes, name: str, rules: ImageRules) -> _Facts:
    source = decode_image(content, name, rules)
    height, width = source.values.shape[:2]
    # What the file itself declares (the maximum of a PGM, a DICOM window) goes before the container's range.
    white = source.full_range if source.data_range is None else source.data_range
    if (bottom := float(source.values.min())) < 0:
        raise DataError(f"{name}: a pixel has the value {bottom:g}, below 0; shift the values so that 0 is black")
    return _Facts(
        source.values.ndim == 2, source.bit_depth, white, float(source.values.max()), width, height,
        sha256_bytes(content),
    )  # fmt: skip


def _facts_of_file(folder: Path, rules: ImageRules, image: str) -> _Facts:
    path = folder / image
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check the file's permissions") from None
    return _facts(content, str(path), rules)


def _raw_row(name: str, dataset: Dataset, row: Row, image: str, facts: _Facts, rules: ImageRules) -> RawRow:
    declared = row.data_range or facts.white
    if declared is None:
        raise DataError(
            f"{name}: {row.image}: float pixels have no full scale of their own; declare image_rules.data_range"
        )
    if facts.top > declared:
        raise DataError(
            f"{name}: {row.image}: a pixel has the value {facts.top:g}, above the declared data range {declared:g}; "
            "correct image_rules.data_range in the registry"
        )
    return RawRow(
        dataset=name, domain=dataset.domain, image=image, reference=row.reference, distortion=row.distortion,
        level=row.level, score=row.score, score_std=row.score_std, provenance=row.provenance,
        grayscale=facts.grayscale, bit_depth=facts.bit_depth, data_range=float(declared), width=facts.width,
        height=facts.height, licence=dataset.licence, source=dataset.terms, sha256=facts.sha256,
    )  # fmt: skip


class _Scan:
    """One pass over a dataset's rows: what is missing, what does not fit, and the manifest's rows."""

    def __init__(self, name: str, dataset: DownloadedDataset | LocalDataset, params: Fetch, files: Path) -> None:
        self.name = name
        self.dataset = dataset
        self.options = {**dataset.options, **params.options.get(name, {})}
        self.skip = params.on_missing == "skip"
        self.files = files
        self.skipped: Counter[str] = Counter()
        self.counts: Counter[str] = Counter()
        self.types: set[str] = set()
        self.provenance: Counter[str] = Counter()
        self.strata: dict[str, list[float]] = {}

    def _rows(self) -> Iterator[Row]:
        return read_layout(self.dataset.layout, self.files, self.options)

    def present(self) -> Iterator[Row]:
        """Yield the rows whose image and reference are there; the others are counted.

        Raises
        ------
        DataError
            Without on_missing: skip, if an image is missing; the message says how many and names the first ones.
        """
        missing: list[str] = []
        seen: dict[str, str] = {}
        references: set[str] = set()
        paired = self.dataset.kind == "full_reference"
        for row in self._rows():
            if other := seen.get(row.image.lower()):
                raise DataError(
                    f"{self.name}: image {row.image} is listed twice (also as {other}); repair the label file"
                )
            seen[row.image.lower()] = row.image
            if not (self.files / row.image).is_file():
                missing.append(row.image)
                self.skipped["missing_image"] += 1
            elif paired and row.distortion != REFERENCE and row.reference not in references:
                missing.append(f"the reference {row.reference} of {row.image}")
                self.skipped["missing_reference"] += 1
            else:
                if row.distortion == REFERENCE:
                    references.add(row.reference)
                yield row
        if missing and not self.skip:
            shown = ", ".join(missing[:3]) + (f" and {len(missing) - 3} more" if len(missing) > 3 else "")
            raise DataError(
                f"{self.name}: listed images that are not there: {len(missing)} ({shown}); complete the copy, or set "
                "fetch.on_missing: skip to leave them out (their number then stands in every table)"
            )
        if not seen:
            raise DataError(f"{self.name}: layout {self.dataset.layout!r} lists no image in {self.files}")
        if self.skipped.total() == len(seen):
            raise DataError(f"{self.name}: none of the {len(seen)} listed images is in {self.files}; complete the copy")

    def rows(self, prefix: str, copy_to: Path | None, jobs: int) -> Iterator[RawRow]:
        """Yield the manifest's rows; `copy_to` receives the images of a local dataset."""
        rules = self.dataset.image_rules
        listed = list(self.present())
        facts = ordered_map(functools.partial(_facts_of_file, self.files, rules), (row.image for row in listed), jobs)
        sizes: dict[str, tuple[int, int]] = {}
        bar = progress(zip(listed, facts, strict=True), total=len(listed), desc=f"read {self.name}", unit="image")
        for row, found in bar:
            size = (found.width, found.height)
            if row.distortion == REFERENCE:
                sizes[row.reference] = size
            elif self.dataset.kind == "full_reference" and size != (other := sizes[row.reference]):
                if not self.skip:
                    raise DataError(
                        f"{self.name}: {row.image} is {size[0]}x{size[1]} and its reference {row.reference} "
                        f"{other[0]}x{other[1]} pixels; replace the file, or set fetch.on_missing: skip to leave it out"
                    )
                self.skipped["size_differs"] += 1
                continue
            if copy_to is not None:
                target = copy_to / row.image
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(self.files / row.image, target)
            image = f"{prefix}/{row.image}"
            self.count(row, image)
            yield _raw_row(self.name, self.dataset, row, image, found, rules)

    def count(self, row: Row, image: str) -> None:
        """Count a row of the manifest, whose column `image` is given."""
        if row.distortion == REFERENCE:
            self.counts["references"] += 1
        else:
            self.counts["distorted"] += 1
            self.types.add(row.distortion)
            self.provenance[row.provenance] += 1
            self.strata.setdefault(row.reference or image, []).append(row.score)

    def check_counts(self) -> None:
        """Compare with the registry, unless images may be left out or the reader's options are not the registry's.

        Raises
        ------
        DataError
            If a count differs.
        """
        if self.skip or self.options != self.dataset.options:
            return
        found = {**self.counts, "types": len(self.types)}
        for what, expected in self.dataset.counts.model_dump().items():
            if expected is not None and expected != found.get(what, 0):
                raise DataError(
                    f"{self.name}: has {found.get(what, 0)} {what}, the registry says {expected}; "
                    "the copy is not complete (fetch.on_missing: skip accepts it) or the registry is wrong"
                )


def _strip_common_folder(folder: Path) -> None:
    """If all lies in one top folder, move its content up: archives differ in whether they have one."""
    inside = list(folder.iterdir())
    if len(inside) == 1 and inside[0].is_dir():
        top = inside[0].rename(folder / ".top")
        for path in top.iterdir():
            path.rename(folder / path.name)
        top.rmdir()


def _bring(name: str, dataset: DownloadedDataset, folder: Path, places: Places) -> None:
    """Download, verify and unpack all archives into `folder`."""
    several = len(dataset.archives) > 1
    for archive in dataset.archives:
        path = obtain(name, archive, places.downloads, record=places.record, mirror=places.mirror)
        target = folder / archive.into
        if not is_archive(archive.name):
            target.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target / archive.name)
            continue
        alone = folder / f".unpack-{archive.name}"
        unpack(path, alone)
        if not several or archive.into:
            _strip_common_folder(alone)
        shutil.copytree(alone, target, dirs_exist_ok=True, copy_function=_move_new)
        shutil.rmtree(alone)
    if several and not any(archive.into for archive in dataset.archives):
        _strip_common_folder(folder)


def _move_new(source: str, target: str) -> None:
    """Move a file to a place where no other file is: archives of one dataset must not overwrite each other."""
    if Path(target).exists() and sha256_file(Path(source)) != sha256_file(Path(target)):
        raise DataError(f"{target}: two archives hold this file with different content; unpack one elsewhere with into")
    shutil.move(source, target)


def _packed_rows(name: str, dataset: DownloadedDataset, folder: Path, places: Places, scan: _Scan) -> Iterator[RawRow]:
    """Yield the rows of a pristine pool that goes from its archives straight into packs."""

    def members() -> Iterator[tuple[str, bytes]]:
        for archive in dataset.archives:
            path = obtain(name, archive, places.downloads, record=places.record, mirror=places.mirror)
            # An image is held in memory, so that its size needs a limit.
            for member, handle in open_members(path, Limits(max_member_bytes=PACK_BYTES)):
                hidden = any(part.startswith(".") for part in member.split("/"))
                if member.lower().endswith(IMAGE_SUFFIXES) and not hidden:
                    yield member, handle.read()

    seen: set[str] = set()
    for image, content in progress(write_packs(folder, IMAGES, members()), desc=f"pack {name}", unit="image"):
        member = image.split("!", 1)[1]
        row = Row(image=member, reference=content_name(member), distortion=REFERENCE)
        if row.reference in seen:
            raise DataError(f"{name}: two images are called {row.reference}; rename one of them in the archive")
        seen.add(row.reference)
        scan.count(row, image)
        facts = _facts(content, f"{name}: {member}", dataset.image_rules)
        yield _raw_row(name, dataset, row, image, facts, dataset.image_rules)
    if not seen:
        raise DataError(f"{name}: its archives hold no image; images end in {', '.join(IMAGE_SUFFIXES)}")


def _about(name: str, dataset: Dataset, scan: _Scan | None, rows: int, folder: Path, on_missing: str) -> dict[str, Any]:
    entry = dataset.model_dump(mode="json")
    common = ("title", "version", "kind", "domain", "source", "redistribution", "licence", "terms", "citation", "note")
    about: dict[str, Any] = {key: entry[key] for key in common}
    about |= {"name": name, "rows": rows, "manifest_sha256": sha256_file(folder / MANIFEST)}
    if scan is None:
        return about | {
            "labels": None, "image_rules": ImageRules().model_dump(mode="json"), "layout": "", "options": {},
            "counts": {"references": rows, "distorted": 0, "types": 0}, "expected": {}, "skipped": {},
            "provenance": {}, "psnr_srcc": {}, "on_missing": on_missing,
        }  # fmt: skip
    return about | {
        "labels": entry["labels"],
        "image_rules": entry["image_rules"],
        "layout": entry["layout"],
        "options": scan.options,
        "counts": {"references": 0, "distorted": 0, **scan.counts, "types": len(scan.types)},
        "expected": {key: value for key, value in entry["counts"].items() if value is not None},
        "skipped": dict(sorted(scan.skipped.items())),
        "provenance": {key: count for key, count in sorted(scan.provenance.items()) if key},
        "psnr_srcc": entry["psnr_srcc"],
        "on_missing": on_missing,
    }


@contextlib.contextmanager
def _lasting_names(name: str, folder: Path, out: Path) -> Iterator[None]:
    """Say in errors what the user knows: the temporary folder that they name is gone when they are read."""
    try:
        yield
    except CausalIQAError as error:
        text, images = str(error), str(folder / IMAGES)
        if isinstance(error, DataError):
            text = text.replace(f"{images}/", f"{name}: ").replace(images, name)
        elif isinstance(error, ConfigError):
            text = f"{name}: {text}"
        raise type(error)(text.replace(str(folder), str(out))) from error.__cause__


def fetch_dataset(
    name: str, dataset: Dataset, out: Path, params: Fetch, *, places: Places | None = None, jobs: int = 1
) -> dict[str, Any]:
    """Write one dataset's images, ``manifest.csv``, ``dataset.json`` and ``splits.json`` to `out`, or nothing.

    Parameters
    ----------
    params : section ``fetch``: options of readers, what to do about missing images, splits.
    places : where downloads come from and go to.
    jobs : processes that read images; the result does not depend on it.

    Returns
    -------
    The content of ``dataset.json``.

    Raises
    ------
    DataError
        If a file cannot be had, is unreadable, or is not what the registry says.
    """
    places = places or Places()
    with atomic_directory(out) as folder, _lasting_names(name, folder, out):
        (folder / IMAGES).mkdir()
        scan: _Scan | None = None
        if isinstance(dataset, BundledDataset):
            count = write_manifest(folder / MANIFEST, bundled_rows(name, dataset, folder))
        elif isinstance(dataset, LocalDataset):
            if not dataset.folder.is_dir():
                raise DataError(f"{name}: {dataset.folder}: no such folder; correct its folder in the registry")
            scan = _Scan(name, dataset, params, dataset.folder)
            count = write_manifest(folder / MANIFEST, scan.rows(IMAGES, folder / IMAGES, jobs))
        else:
            scan = _Scan(name, dataset, params, folder / IMAGES)
            with lock(name, places.downloads):
                if dataset.store == "shards":
                    rows = _packed_rows(name, dataset, folder, places, scan)
                else:
                    _bring(name, dataset, folder / IMAGES, places)
                    rows = scan.rows(IMAGES, None, jobs)
                count = write_manifest(folder / MANIFEST, rows)
        if scan is not None:
            scan.check_counts()
            if scan.skipped.total():
                left = ", ".join(f"{number} {what.replace('_', ' ')}" for what, number in sorted(scan.skipped.items()))
                sys.stderr.write(f"{name}: left out: {left}\n")
        units = {key: float(np.mean(values)) for key, values in scan.strata.items()} if scan is not None else {}
        splits = make_splits(name, units, params.splits, stratified=dataset.kind == "blind")
        write_json(
            folder / SPLITS, splits_document(name, splits, unit="image" if dataset.kind == "blind" else "reference")
        )
        about = _about(name, dataset, scan, count, folder, params.on_missing)
        write_json(folder / ABOUT, about)
    return about
