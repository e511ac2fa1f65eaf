"""PGM and PPM of the Netpbm family, plain and raw, with any maximum up to 65535."""

from __future__ import annotations

import re

import numpy as np

from causaliqa.errors import DataError
from causaliqa.images.rules import ImageRules
from causaliqa.images.source import Decoded, check_size

_GAP = rb"(?:\s|#[^\n\r]*[\n\r])+"
_HEADER = re.compile(rb"P([2356])" + 3 * (_GAP + rb"(\d{1,9})") + rb"\s")


def decode(content: bytes, name: str, rules: ImageRules, max_pixels: int) -> Decoded:
    """Decode a PGM or PPM; see :func:`causaliqa.images.read.read_image`."""
    if (header := _HEADER.match(content[:4096])) is None:
        raise ValueError("its header is damaged")
    kind, width, height, top = (int(group) for group in header.groups())
    check_size(name, width, height, max_pixels)
    if not 1 <= top <= 65535:
        raise ValueError(f"its maximum is {top}")
    shape = (height, width) if kind in (2, 5) else (height, width, 3)
    count = int(np.prod(shape))
    if kind in (5, 6):
        stored = np.dtype(">u2") if top > 255 else np.dtype("u1")
        if len(content) - header.end() < count * stored.itemsize:
            raise ValueError("the file is truncated")
        values = np.frombuffer(content, stored, count, header.end())
    else:
        words = re.sub(rb"#[^\n\r]*", b"", content[header.end() :]).split(maxsplit=count)
        # A last number that ends with the file may have lost digits.
        if len(words) < count or (len(words) == count and not content[-1:].isspace()):
            raise ValueError("the file is truncated, or lacks white space after its last number")
        values = np.array(words[:count], dtype=np.int64)
    if int(values.max()) > top or int(values.min()) < 0:
        raise DataError(f"{name}: a pixel has a value outside 0 to {top}, its declared maximum; correct the header")
    values = values.astype(np.uint16 if top > 255 else np.uint8).reshape(shape)
    return Decoded(values, data_range=None if top in (255, 65535) else float(top))
