"""The registry: what datasets exist, where they come from, on what terms."""

from __future__ import annotations

import difflib
import re
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from causaliqa.config import read_yaml
from causaliqa.errors import ConfigError
from causaliqa.images.rules import ImageRules

#: Default place of the registry, relative to the project.
REGISTRY = Path("data/registry.yaml")

Checksum = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_]*$")]
KINDS = ("pristine", "full_reference", "blind")


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _inside(path: str) -> bool:
    pure = PurePosixPath(path)
    return not (pure.is_absolute() or ".." in pure.parts or "\\" in path)


class BundledImage(_Entry):
    """An image file inside an installed Python package."""

    name: str = Field(pattern=r"^[a-z0-9_]+$", description="Name of the reference.")
    package: str = Field(pattern=r"^[a-z_]+$", description="Import name of the package that holds the file.")
    path: str = Field(description="Path inside the package.")
    licence: str
    origin: str = Field(description="Author and source.")
    sha256: Checksum = Field(description="Checksum of the packaged file.")
    format: Literal["image", "dicom", "raw_gzip_be16_256x256"] = "image"
    window: tuple[int, int] | None = Field(None, description="Lowest and highest stored value that is kept.")

    @model_validator(mode="after")
    def _window_is_declared(self) -> BundledImage:
        if (self.format == "image") != (self.window is None):
            raise ValueError("a window [lower, upper] is declared for dicom and raw formats, and only for them")
        if self.window is not None and not self.window[0] < self.window[1] < self.window[0] + 2**16:
            raise ValueError("window must be [lower, upper] with lower < upper, at most 65535 apart")
        if not _inside(self.path):
            raise ValueError("path must stay inside the package")
        return self


class Archive(_Entry):
    """A file that is downloaded, and unpacked if its name ends in an archive's suffix (.tar, .tar.gz, .zip, .rar)."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="File name, also on a mirror.")
    urls: tuple[Annotated[str, Field(pattern=r"^https?://")], ...] = Field((), description="Primary, then mirrors.")
    size: int | None = Field(None, gt=0, description="Bytes, if known.")
    sha256: Checksum | None = Field(None, description="If unknown, the first download's is recorded and enforced.")
    manual: str | None = Field(None, description="Steps to obtain the file where no address serves it to everyone.")
    into: str = Field("", description="Folder inside the dataset that it is unpacked or put into.")

    @model_validator(mode="after")
    def _can_be_had(self) -> Archive:
        if not self.urls and not self.manual:
            raise ValueError(f"{self.name}: give urls, or the steps to obtain the file as manual")
        if not _inside(self.into):
            raise ValueError(f"{self.name}: into must stay inside the dataset's folder")
        return self


class Labels(_Entry):
    """What the scores of a dataset are. Nothing of it is ever guessed from the data."""

    kind: Literal["mos", "dmos", "elo", "exposure"] = Field(description="exposure: ordered by physics, not by people.")
    higher_is_better: bool
    range: tuple[float, float] | None = Field(None, description="Lowest and highest score that can occur.")
    text: str = Field("", description="Whose opinions, on what scale, which variant.")

    @property
    def human(self) -> bool:
        """Whether people gave the scores."""
        return self.kind != "exposure"


class Counts(_Entry):
    """How many images the published dataset has."""

    references: int | None = Field(None, ge=0)
    distorted: int | None = Field(None, ge=0, description="Images with a score.")
    types: int | None = Field(None, ge=0, description="Distortion types.")


class _Common(_Entry):
    title: str
    version: str
    kind: Literal["pristine", "full_reference", "blind"]
    domain: Name
    redistribution: bool = Field(description="Whether the terms allow passing the images on.")
    licence: str = Field("", description="Licence or terms of use.")
    terms: str = Field("", description="Address of the terms, or of the project's page.")
    citation: str = Field("", description="Paper to cite.")
    note: str = Field("", description="What a user must know: partial copies, traps, variants.")


class BundledDataset(_Common):
    """Images inside installed Python packages."""

    source: Literal["bundled"]
    kind: Literal["pristine"]
    images: list[BundledImage] = Field(min_length=1)

    @model_validator(mode="after")
    def _names_differ(self) -> BundledDataset:
        names = [image.name for image in self.images]
        if len(set(names)) < len(names):
            raise ValueError("two images have the same name")
        return self


class _Published(_Common):
    source: Literal["download", "local"]
    layout: Name = Field(description="Reader of the published layout, see causaliqa.datasets.readers.")
    options: dict[str, Any] = Field(default_factory=dict, description="Options of the reader.")
    labels: Labels | None = None
    counts: Counts = Field(default_factory=lambda: Counts())
    image_rules: ImageRules = Field(default_factory=lambda: ImageRules())
    psnr_srcc: dict[str, float] = Field(
        default_factory=dict,
        description="Published SRCC of PSNR by distortion, `all` for the whole set: a sanity figure.",
    )
    store: Literal["files", "shards"] = Field("files", description="shards: for sets of 10^5 images and more.")

    @model_validator(mode="after")
    def _labels_are_declared(self) -> _Published:
        if (self.kind == "pristine") != (self.labels is None):
            raise ValueError("labels are declared for kinds full_reference and blind, and only for them")
        return self

    @model_validator(mode="after")
    def _shards_are_plain(self) -> _Published:
        if self.store == "shards" and (self.layout != "pristine" or self.options or self.source != "download"):
            raise ValueError("store: shards is for downloads in the layout pristine, without options")
        return self


class DownloadedDataset(_Published):
    """Files from the authors' servers, a mirror, or by hand."""

    source: Literal["download"]
    archives: list[Archive] = Field(min_length=1)

    @model_validator(mode="after")
    def _names_differ(self) -> DownloadedDataset:
        names = [archive.name for archive in self.archives]
        if len(set(names)) < len(names):
            raise ValueError("two archives have the same name")
        return self


class LocalDataset(_Published):
    """A folder on this machine; its files stay where they are and are copied into the project's data."""

    source: Literal["local"]
    folder: Path = Field(description="Absolute, or relative to the project.")


Dataset = Annotated[BundledDataset | DownloadedDataset | LocalDataset, Field(discriminator="source")]
_ADAPTER: TypeAdapter[BundledDataset | DownloadedDataset | LocalDataset] = TypeAdapter(Dataset)


def load_registry(path: Path = REGISTRY) -> dict[str, Dataset]:
    """Read the registry.

    Raises
    ------
    ConfigError
        If the file is missing or an entry is not valid; the message names the entry and key.
    """
    values = read_yaml(path)
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: must map dataset names to entries; correct the file")
    registry = {}
    for name, entry in values.items():
        if not re.fullmatch(r"[a-z0-9][a-z0-9_]*", str(name)):
            raise ConfigError(f"{path}: {name}: names of datasets are lower-case letters, digits and _; rename it")
        try:
            registry[str(name)] = _ADAPTER.validate_python(entry)
        except ValidationError as error:
            first = error.errors()[0]
            # The tag of the union (bundled, download, local) is no key of the file.
            location = [part for part in first["loc"] if part not in ("bundled", "download", "local")]
            where = ".".join(str(part) for part in (name, *location))
            raise ConfigError(
                f"{path}: {where}: {first['msg'].removeprefix('Value error, ')}; correct the entry"
            ) from None
    return registry


def find_dataset(name: str, path: Path = REGISTRY) -> Dataset:
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
        raise ConfigError(f"{path}: no dataset {name!r}; {hint}")
    return registry[name]
