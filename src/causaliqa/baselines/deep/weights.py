"""Weights of the deep metrics: their registry, their way into the project, their files.

``data/weights.yaml`` says where published files come from. :func:`fetch_weights` brings one, verified like a dataset's
archive, and writes ``<name>.safetensors`` and a card ``<name>.json`` that says what it was made from.
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from causaliqa.baselines.deep import WEIGHTS, weights_file
from causaliqa.baselines.deep.layouts import LAYOUTS, Format
from causaliqa.config import read_yaml
from causaliqa.datasets.registry import Archive
from causaliqa.errors import ConfigError, DataError
from causaliqa.io import sha256_file, write_json, write_tensors

if TYPE_CHECKING:
    from causaliqa.datasets.fetch import Places

#: Default place of the registry of weights, relative to the project.
REGISTRY = Path("data/weights.yaml")


class Source(Archive):
    """A published file that holds the weights."""

    format: Format


class Entry(BaseModel):
    """One set of weights; any one of its sources is enough, the first that can be had is taken."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str
    licence: str
    terms: str = Field("", description="Address of the terms, or of the project's page.")
    citation: str = Field("", description="Paper to cite.")
    note: str = Field("", description="What a user must know.")
    sources: list[Source] = Field(min_length=1)

    @model_validator(mode="after")
    def _names_differ(self) -> Entry:
        names = [source.name for source in self.sources]
        if len(set(names)) < len(names):
            raise ValueError("two sources have the same file name")
        return self


def load_registry(path: Path = REGISTRY) -> dict[str, Entry]:
    """Read the registry of weights.

    Raises
    ------
    ConfigError
        If the file is missing or an entry is not valid; the message names the entry and key.
    """
    values = read_yaml(path)
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: must map names of weights to entries; correct the file")
    registry = {}
    for name, value in values.items():
        if name not in LAYOUTS:
            raise ConfigError(f"{path}: {name}: no network takes such weights; known are {', '.join(LAYOUTS)}")
        try:
            entry = Entry.model_validate(value)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in (name, *first["loc"]))
            reason = first["msg"].removeprefix("Value error, ")
            raise ConfigError(f"{path}: {where}: {reason}; correct the entry") from None
        for source in entry.sources:
            if source.format not in LAYOUTS[name].names:
                known = ", ".join(LAYOUTS[name].names)
                raise ConfigError(f"{path}: {name}: {source.name}: {name} is read from {known}; correct its format")
        registry[str(name)] = entry
    return registry


def find_weights(name: str, path: Path = REGISTRY) -> Entry:
    """Return one entry.

    Raises
    ------
    ConfigError
        If it is unknown; the message names the nearest known one.
    """
    registry = load_registry(path)
    if name not in registry:
        close = difflib.get_close_matches(name, list(registry), n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(registry)}"
        raise ConfigError(f"{path}: no weights {name!r}; {hint}")
    return registry[name]


def _obtain(name: str, entry: Entry, places: Places) -> tuple[Source, Path]:
    """Return the first source that can be had, and its file.

    Sources that lie on a mirror folder or among the downloads go first, then those with an address.
    """
    from causaliqa.datasets.download import lock, obtain

    mirror = places.mirror
    folder = None if mirror is None or "://" in mirror else Path(mirror).expanduser()
    here = [
        source
        for source in entry.sources
        if (folder is not None and (folder / source.name).is_file()) or (places.downloads / source.name).is_file()
    ]
    afar = [source for source in entry.sources if source.urls or (mirror is not None and folder is None)]
    # What is here is used or, if it is wrong, reported; only of what must be downloaded the next one is tried.
    failures = []
    with lock(name, places.downloads):
        for source in here[:1] or afar or entry.sources:
            archive = Archive.model_validate(source.model_dump(exclude={"format"}))
            try:
                return source, obtain(name, archive, places.downloads, record=places.record, mirror=mirror)
            except DataError as error:
                failures.append(str(error))
    raise DataError("; or ".join(failures))


def write_weights(name: str, entry: Entry, kind: Format, path: Path, folder: Path = WEIGHTS) -> dict[str, Any]:
    """Convert a published file; write ``<name>.safetensors`` and its card into `folder`.

    Returns
    -------
    The card.

    Raises
    ------
    DataError
        If the file is not what is published.
    """
    from causaliqa.baselines.deep.convert import convert

    tensors = convert(path, name, kind)
    target = weights_file(name, folder)
    # The same bytes from whichever source: where they come from stands in the card.
    write_tensors(target, tensors, {"weights": name})
    card = {
        "name": name,
        **entry.model_dump(mode="json", include={"title", "licence", "terms", "citation", "note"}),
        "source": {"file": path.name, "format": kind, "sha256": sha256_file(path), "size": path.stat().st_size},
        "parameters": sum(tensor.numel() for tensor in tensors.values()),
        "precision": "float16" if LAYOUTS[name].half else "float32",
        "sha256": sha256_file(target),
    }
    write_json(target.with_suffix(".json"), card)
    return card


def fetch_weights(
    name: str, folder: Path = WEIGHTS, *, registry: Path = REGISTRY, places: Places | None = None
) -> dict[str, Any]:
    """Bring weights in: download or take from the mirror, verify, convert. Returns the card.

    Parameters
    ----------
    name : entry of the registry.
    folder : where the converted weights go.
    places : where downloads come from and go to; by default the project's, and the mirror of CAUSALIQA_MIRROR.

    Raises
    ------
    ConfigError
        If the entry is unknown or not valid.
    DataError
        If no source can be had, or what comes is not the published file.
    """
    from causaliqa.datasets.fetch import Places

    entry = find_weights(name, registry)
    source, path = _obtain(name, entry, places or Places())
    return write_weights(name, entry, source.format, path, folder)


def recognise(path: Path, registry: dict[str, Entry], name: str | None = None) -> tuple[str, Format]:
    """Return which weights a published file holds, by its name, and its format.

    Parameters
    ----------
    name : which weights it holds, where its file name is not that of the registry.

    Raises
    ------
    ConfigError
        If neither says so.
    """
    from causaliqa.baselines.deep.convert import SUFFIXES

    for known, entry in registry.items():
        for source in entry.sources:
            if name in (None, known) and source.name == path.name:
                return known, source.format
    kind = SUFFIXES.get(path.suffix.lower())
    if name is None:
        raise ConfigError(f"{path}: no source of the registry has this name; say which weights it holds with --as NAME")
    if name not in registry:
        raise ConfigError(f"--as: no weights {name!r}; known are {', '.join(registry)}")
    if kind is None:
        raise ConfigError(f"{path}: its format is told by its name; it must end in {', '.join(SUFFIXES)}")
    return name, kind
