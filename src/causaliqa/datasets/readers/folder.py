"""Any folder with a table of its images: one row an image, columns named by the options.

A row whose reference is empty or the image itself is a reference's own row. Every reference is emitted once, also if
the table does not list it. In a blind set (``reference: null``) there are none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import Field

from causaliqa.datasets.names import AUTHENTIC, REFERENCE
from causaliqa.datasets.readers.base import (
    Files,
    Options,
    Row,
    Unique,
    inside,
    number,
    parse_options,
    read_table,
    snake,
)
from causaliqa.errors import DataError

#: Distortion name where the table has no such column.
DISTORTED = "distorted"


class FolderOptions(Options):
    """Options of the layout.

    Attributes
    ----------
    table : the label file.
    image, score : columns; references may have no score.
    reference : column with the file of the reference image; null for blind sets.
    score_std, distortion, level : columns, or null. A level may be a text with one number, like Level-3.
    content : column with the name of the content; null: the path of the reference without its suffix.
    images : sub-folder that the paths of the table are relative to.
    delimiter : of the table.
    """

    table: str = "labels.csv"
    image: str = "image"
    reference: str | None = "reference"
    score: str = "score"
    score_std: str | None = None
    distortion: str | None = None
    level: str | None = None
    content: str | None = None
    images: str = ""
    delimiter: str = Field(",", min_length=1, max_length=1)


def level_of(text: str, where: str) -> int:
    """Return the number in a level's text, 0 for an empty one.

    Raises
    ------
    DataError
        If the text has no number, or several.
    """
    if not text.strip():
        return 0
    numbers = re.findall(r"\d+", text)
    if len(numbers) != 1 or len(numbers[0]) > 6:
        raise DataError(f"{where}: level {text!r} does not hold one whole number; repair the label file")
    return int(numbers[0])


def read(folder: Path, options: dict[str, Any]) -> Iterator[Row]:
    """Yield the rows; see :func:`causaliqa.datasets.readers.read_layout`."""
    chosen = parse_options(FolderOptions, options, "folder")
    yield from _Table(Files(folder), chosen).rows()


class _Table:
    def __init__(self, files: Files, options: FolderOptions) -> None:
        self.files, self.options = files, options
        self.path = files.need(options.table, "folder")
        self.columns = [options.image, options.score]
        self.columns += [
            name
            for name in (options.reference, options.score_std, options.distortion, options.level, options.content)
            if name is not None
        ]

    def rows(self) -> Iterator[Row]:
        references = self._references() if self.options.reference is not None else {}
        yield from references.values()
        unique = Unique()
        for where, values in self._read():
            image = unique.add(self._file(values[self.options.image], where), where)
            if self.options.reference is None:
                yield self._row(values, image, "", AUTHENTIC, where)
            elif reference := self._reference(values, image, where):
                if image.lower() in references:
                    raise DataError(f"{where}: {image} is both a reference and distorted; repair its reference")
                content = references[reference.lower()].reference
                yield self._row(values, image, content, DISTORTED, where)

    def _references(self) -> dict[str, Row]:
        """Return image (lower case) -> row of each reference, in the order of the table."""
        found: dict[str, Row] = {}
        contents: dict[str, str] = {}
        listed = Unique()
        for where, values in self._read():
            image = self._file(values[self.options.image], where)
            reference = self._reference(values, image, where)
            file = reference or image
            content = self._content(values, where)
            if (other := contents.setdefault(content.lower(), file)).lower() != file.lower():
                raise DataError(f"{where}: content {content!r} has the references {other} and {file}; name one of them")
            known = found.setdefault(file.lower(), Row(file, content, REFERENCE))
            if known.reference.lower() != content.lower():
                raise DataError(f"{where}: {file} has the contents {known.reference!r} and {content!r}; name one")
            if not reference:
                listed.add(file, where)
                score, std = (
                    number(values[name], where) if name is not None and values[name].strip() else float("nan")
                    for name in (self.options.score, self.options.score_std)
                )
                found[file.lower()] = Row(file, known.reference, REFERENCE, 0, score, std)
        return found

    def _read(self) -> Iterator[tuple[str, dict[str, str]]]:
        for values in read_table(self.path, self.columns, self.options.delimiter):
            yield f"{self.path}: {values[self.options.image]}", values

    def _file(self, name: str, where: str) -> str:
        return self.files.path(f"{self.options.images}/{name}" if self.options.images and name else name, where)

    def _reference(self, values: dict[str, str], image: str, where: str) -> str:
        """Return the file of a row's reference, empty if the row is the reference's own."""
        name = values[self.options.reference or ""].strip()
        file = self._file(name, where) if name else ""
        return "" if file.lower() == image.lower() else file

    def _content(self, values: dict[str, str], where: str) -> str:
        if self.options.content is None:
            file = inside(values[self.options.reference or ""].strip() or values[self.options.image], where)
            return file.removesuffix(PurePosixPath(file).suffix)
        if not (content := values[self.options.content].strip()):
            raise DataError(f"{where}: the content is empty; name it")
        return content

    def _row(self, values: dict[str, str], image: str, content: str, distortion: str, where: str) -> Row:
        options = self.options
        if options.distortion is not None:
            distortion = snake(values[options.distortion])
            if distortion in ("", REFERENCE):
                text = values[options.distortion]
                raise DataError(f"{where}: distortion {text!r} of an image that is no reference; name its type")
        return Row(
            image,
            content,
            distortion,
            0 if options.level is None else level_of(values[options.level], where),
            number(values[options.score], where),
            float("nan") if options.score_std is None else number(values[options.score_std], where),
        )
