"""The registry: what datasets exist, where they come from, on what terms."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from causaliqa.config import read_yaml
from causaliqa.errors import ConfigError

#: Default place of the registry, relative to the project.
REGISTRY = Path("data/registry.yaml")


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class BundledImage(_Entry):
    """An image file inside an installed Python package."""

    name: str = Field(pattern=r"^[a-z0-9_]+$", description="Name of the reference.")
    package: str = Field(pattern=r"^[a-z_]+$", description="Import name of the package that holds the file.")
    path: str = Field(description="Path inside the package.")
    licence: str
    origin: str = Field(description="Author and source.")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="Checksum of the packaged file.")
    format: Literal["image", "dicom", "raw_gzip_be16_256x256"] = "image"
    window: tuple[int, int] | None = Field(None, description="Lowest and highest stored value that is kept.")

    @model_validator(mode="after")
    def _window_is_declared(self) -> BundledImage:
        if (self.format == "image") != (self.window is None):
            raise ValueError("a window [lower, upper] is declared for dicom and raw formats, and only for them")
        if self.window is not None and not self.window[0] < self.window[1] < self.window[0] + 2**16:
            raise ValueError("window must be [lower, upper] with lower < upper, at most 65535 apart")
        if Path(self.path).is_absolute() or ".." in Path(self.path).parts:
            raise ValueError("path must stay inside the package")
        return self


class Dataset(_Entry):
    """One registry entry."""

    title: str
    version: str
    kind: Literal["pristine"]
    domain: Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]
    source: Literal["bundled"]
    redistribution: bool = Field(description="Whether the terms allow passing the images on.")
    images: list[BundledImage] = Field(min_length=1)

    @model_validator(mode="after")
    def _names_differ(self) -> Dataset:
        names = [image.name for image in self.images]
        if len(set(names)) < len(names):
            raise ValueError("two images have the same name")
        return self


def load_registry(path: Path = REGISTRY) -> dict[str, Dataset]:
    """Read the registry.

    Raises
    ------
    ConfigError
        If the file is missing or an entry is not valid; the message names the entry and key.
    """
    values = read_yaml(path)
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: must map dataset names to entries")
    registry = {}
    for name, entry in values.items():
        try:
            registry[str(name)] = Dataset.model_validate(entry)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in (name, *first["loc"]))
            raise ConfigError(f"{path}: {where}: {first['msg'].removeprefix('Value error, ')}") from None
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
