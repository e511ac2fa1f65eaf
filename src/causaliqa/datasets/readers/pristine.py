"""A folder of references without labels: every image of it.

A reference's name is its path without suffix, slashes as ``__``, in lower case
(:func:`causaliqa.datasets.names.content_name`). Hidden files and those of ``__MACOSX``
folders, which some archives hold beside each image, are no images.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import Field, field_validator

from causaliqa.datasets.names import IMAGE_SUFFIXES, REFERENCE, content_name
from causaliqa.datasets.readers.base import Files, Options, Row, parse_options
from causaliqa.errors import DataError


class PristineOptions(Options):
    """Options of the layout.

    Attributes
    ----------
    glob : which files, relative to the folder.
    suffixes : of images, in any case.
    """

    glob: str = "**/*"
    suffixes: tuple[str, ...] = Field(IMAGE_SUFFIXES, min_length=1)

    @field_validator("glob")
    @classmethod
    def _inside(cls, value: str) -> str:
        path = PurePosixPath(value)
        if not path.parts or path.is_absolute() or ".." in path.parts:
            raise ValueError("must stay inside the folder")
        return value


def read(folder: Path, options: dict[str, Any]) -> Iterator[Row]:
    """Yield the rows; see :func:`causaliqa.datasets.readers.read_layout`."""
    chosen = parse_options(PristineOptions, options, "pristine")
    files = Files(folder)
    wanted = {path.relative_to(files.folder).as_posix() for path in files.folder.glob(chosen.glob)}
    names: dict[str, str] = {}
    for image in files.matching("", tuple(suffix.lower() for suffix in chosen.suffixes)):
        path = PurePosixPath(image)
        if image not in wanted or any(part.startswith((".", "__MACOSX")) for part in path.parts):
            continue
        name = content_name(image)
        if (other := names.setdefault(name, image)) != image:
            raise DataError(f"{files.folder}: {other} and {image} would both be named {name}; rename one of them")
        yield Row(image, name, REFERENCE)
    if not names:
        raise DataError(f"{files.folder}: no image matches {chosen.glob}; check the folder, glob and suffixes")
