"""The directory of tags that TIFF files and EXIF blocks share (TIFF 6.0, section 2; BigTIFF)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Literal

import numpy as np

from causaliqa.errors import DataError

_ORIENTATION = 274
_ORDERS: dict[bytes, Literal["<", ">"]] = {b"II": "<", b"MM": ">"}
#: TIFF type of a tag: NumPy type of its numbers. Only those that say something about pixels are read.
_TYPES = {1: "u1", 2: "u1", 3: "u2", 4: "u4", 13: "u4", 16: "u8", 18: "u8"}


@dataclass(frozen=True)
class Directory:
    """Tags of one image.

    Attributes
    ----------
    order : ``<`` or ``>``, byte order of the file.
    entries : tag to (type, count, position of its numbers).
    following : position of the next directory, 0 if there is none.
    """

    content: bytes
    order: Literal["<", ">"]
    entries: dict[int, tuple[int, int, int]]
    following: int

    def numbers(self, tag: int) -> np.ndarray | None:
        """Return the tag's integers, int64 (N,), or None if the tag is absent.

        Raises
        ------
        ValueError
            If they are of another type or outside the file.
        """
        if tag not in self.entries:
            return None
        kind, count, position = self.entries[tag]
        if kind not in _TYPES:
            raise ValueError(f"tag {tag} has type {kind}")
        dtype = np.dtype(self.order + _TYPES[kind])
        if count < 1 or position + count * dtype.itemsize > len(self.content):
            raise ValueError(f"tag {tag} lies outside the file")
        return np.frombuffer(self.content, dtype, count, position).astype(np.int64)

    def number(self, tag: int, default: int) -> int:
        """Return the tag's first integer, or `default` if the tag is absent."""
        found = self.numbers(tag)
        return default if found is None else int(found[0])


def read_directory(content: bytes, position: int | None = None) -> Directory:
    """Read the directory at `position`, default the first one.

    Raises
    ------
    ValueError
        If it is cut off or damaged.
    """
    try:
        order = _ORDERS[bytes(content[:2])]
        big = {42: False, 43: True}[struct.unpack_from(order + "H", content, 2)[0]]
        offset, entry, inline = ("Q", "HHQ", 12) if big else ("I", "HHI", 8)
        if position is None:
            position = int(struct.unpack_from(order + offset, content, 8 if big else 4)[0])
        (count,) = struct.unpack_from(order + ("Q" if big else "H"), content, position)
        position += 8 if big else 2
        width = inline + (8 if big else 4)
        if position + count * width > len(content):
            raise ValueError("its directory is cut off")
        entries: dict[int, tuple[int, int, int]] = {}
        for start in range(position, position + count * width, width):
            tag, kind, number = struct.unpack_from(order + entry, content, start)
            where = start + inline
            if number * np.dtype(_TYPES.get(kind, "u1")).itemsize > width - inline:
                (where,) = struct.unpack_from(order + offset, content, where)
            entries.setdefault(tag, (kind, number, where))
        (following,) = struct.unpack_from(order + offset, content, position + count * width)
    except (KeyError, struct.error, OverflowError):
        raise ValueError("its directory of tags is damaged") from None
    return Directory(content, order, entries, following)


def orientation(directory: Directory) -> int:
    """Return the orientation, 1 if it is absent or not one of 1 to 8."""
    found = directory.number(_ORIENTATION, 1)
    return found if 1 <= found <= 8 else 1


def exif_orientation(exif: bytes | None, name: str, ignore: bool) -> int:
    """Return the orientation of an EXIF block, 1 if there is no block.

    Raises
    ------
    DataError
        If the block is damaged.
    """
    if ignore or not exif:
        return 1
    try:
        return orientation(read_directory(exif.removeprefix(b"Exif\0\0")))
    except ValueError as error:
        raise DataError(
            f"{name}: its EXIF block cannot be read ({error}); remove it, or declare image_rules.exif: ignore"
        ) from None
