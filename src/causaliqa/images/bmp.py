"""BMP."""

from __future__ import annotations

import io
import struct

import numpy as np

from causaliqa.errors import DataError
from causaliqa.images.rules import ImageRules
from causaliqa.images.source import Decoded, check_size, look_up


def decode(content: bytes, name: str, rules: ImageRules, max_pixels: int) -> Decoded:
    """Decode a BMP of 1, 4, 8, 24 or 32 bits a pixel; see :func:`causaliqa.images.read.read_image`."""
    try:
        (size,) = struct.unpack_from("<I", content, 14)
        layout = "<HHHH" if size == 12 else "<iiHH"
        width, height, _, bits = struct.unpack_from(layout, content, 18)
        used = 0 if size == 12 else struct.unpack_from("<I", content, 46)[0]
    except struct.error:
        raise ValueError("the file is truncated") from None
    check_size(name, abs(width), abs(height), max_pixels)
    if bits == 16:
        raise DataError(f"{name}: is a BMP of 16 bits a pixel, 5 or 6 a channel; save it with 24 bits")
    from PIL.BmpImagePlugin import BmpImageFile

    with BmpImageFile(io.BytesIO(content)) as image:
        values, mode = np.asarray(image).copy(), image.mode
    if mode == "1":
        return Decoded(values.astype(np.uint8) * np.uint8(255))
    if mode == "RGBA":
        return Decoded(values[..., :3], values[..., 3])
    if mode == "P":
        entry = 3 if size == 12 else 4
        table = content[14 + size :][: min(used or 256, 1 << bits) * entry]
        palette = np.frombuffer(table[: len(table) // entry * entry], np.uint8).reshape(-1, entry)
        return Decoded(look_up(name, values, palette[:, 2::-1], rules)[0])
    if mode not in ("L", "RGB"):
        raise DataError(f"{name}: mode {mode} is not read; save it as 8-bit gray or 24-bit RGB")
    return Decoded(values)
