"""JPEG (ITU-T T.81), 8 bits a sample."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np

from causaliqa.errors import DataError
from causaliqa.images.ifd import exif_orientation
from causaliqa.images.rules import ImageRules
from causaliqa.images.source import Decoded, check_frames, check_size, ink_to_rgb

#: Markers that start a frame: SOF0 to SOF15 without DHT, JPG and DAC, which lie between them.
_FRAME = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


@dataclass
class _Header:
    precision: int = 0
    width: int = 0
    height: int = 0
    adobe: bool = False
    exif: bytes | None = None


def _read_header(content: bytes) -> _Header:
    """Read the segments up to the first scan."""
    header, position = _Header(), 2
    while position + 4 <= len(content):
        if content[position] != 0xFF:
            raise ValueError("a marker is missing")
        marker = content[position + 1]
        if marker == 0xFF:  # a fill byte
            position += 1
            continue
        length = int.from_bytes(content[position + 2 : position + 4], "big")
        data = content[position + 4 : position + 2 + length]
        if marker == 0xDA:
            return header
        if marker in _FRAME and len(data) >= 5:
            header.precision = data[0]
            header.height, header.width = (int.from_bytes(data[i : i + 2], "big") for i in (1, 3))
        elif marker == 0xEE and data.startswith(b"Adobe"):
            header.adobe = True
        elif marker == 0xE1 and data.startswith(b"Exif\0\0") and header.exif is None:
            header.exif = data
        position += 2 + max(2, length)
    raise ValueError("the file is truncated")


def decode(content: bytes, name: str, rules: ImageRules, max_pixels: int) -> Decoded:
    """Decode a JPEG; see :func:`causaliqa.images.read.read_image`."""
    from PIL.JpegImagePlugin import jpeg_factory

    header = _read_header(content)
    check_size(name, header.width, header.height, max_pixels)
    if header.precision != 8:
        raise DataError(f"{name}: is a JPEG of {header.precision} bits, not 8; save it as 16-bit PNG or TIFF")
    turned = exif_orientation(header.exif, name, rules.exif == "ignore")
    with jpeg_factory(io.BytesIO(content)) as image:
        check_frames(name, getattr(image, "n_frames", 1))
        values, mode = np.asarray(image).copy(), image.mode
    if mode == "CMYK":
        # Pillow takes all files for Adobe's, which store 255 - ink; others store ink.
        values = ink_to_rgb(name, values if header.adobe else 255 - values, rules)
    elif mode not in ("L", "RGB"):
        raise DataError(f"{name}: mode {mode} is not read; save it as 8-bit gray or RGB")
    return Decoded(values, orientation=turned)
