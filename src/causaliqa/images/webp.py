"""WebP (RFC 9649)."""

from __future__ import annotations

import io

import numpy as np

from causaliqa.errors import DataError
from causaliqa.images.ifd import exif_orientation
from causaliqa.images.rules import ImageRules
from causaliqa.images.source import Decoded, check_frames, check_size


def _canvas(content: bytes) -> tuple[int, int]:
    """Return width and height as the first chunk states them."""
    kind, data = content[12:16], content[20:30]
    if len(data) < 10:
        raise ValueError("the file is truncated")
    if kind == b"VP8X":
        return int.from_bytes(data[4:7], "little") + 1, int.from_bytes(data[7:10], "little") + 1
    if kind == b"VP8L":
        bits = int.from_bytes(data[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 ":
        return int.from_bytes(data[6:8], "little") & 0x3FFF, int.from_bytes(data[8:10], "little") & 0x3FFF
    raise ValueError("its first chunk is no image")


def decode(content: bytes, name: str, rules: ImageRules, max_pixels: int) -> Decoded:
    """Decode a WebP; see :func:`causaliqa.images.read.read_image`."""
    # The decoder allocates the whole canvas when it opens the file.
    check_size(name, *_canvas(content), max_pixels)
    if int.from_bytes(content[4:8], "little") + 8 > len(content):
        raise ValueError("the file is truncated")
    from PIL.WebPImagePlugin import WebPImageFile

    with WebPImageFile(io.BytesIO(content)) as image:
        check_frames(name, image.n_frames)
        values, mode, exif = np.asarray(image).copy(), image.mode, image.info.get("exif")
    turned = exif_orientation(exif, name, rules.exif == "ignore")
    if mode == "RGBA":
        return Decoded(values[..., :3], values[..., 3], orientation=turned)
    if mode != "RGB":
        raise DataError(f"{name}: mode {mode} is not read; save it as PNG")
    return Decoded(values, orientation=turned)
