"""PNG (W3C Portable Network Graphics, third edition)."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from causaliqa.errors import DataError
from causaliqa.images.ifd import exif_orientation
from causaliqa.images.rules import ImageRules
from causaliqa.images.source import Decoded, check_frames, check_size, look_up

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GRAY, _RGB, _PALETTE, _GRAY_ALPHA, _RGB_ALPHA = 0, 2, 3, 4, 6
#: Chunks whose damage would change the image.
_CHECKED = {b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"eXIf", b"acTL"}


def _chunks(content: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """Yield type and data of all chunks; what follows IEND is not looked at."""
    view, position = memoryview(content), len(_SIGNATURE)
    while True:
        length, kind = struct.unpack_from(">I4s", content, position)
        end = position + 8 + length
        if end + 4 > len(content):
            raise ValueError("the file is truncated")
        if kind in _CHECKED and zlib.crc32(view[position + 4 : end]) != struct.unpack_from(">I", content, end)[0]:
            raise ValueError(f"checksum of a {kind.decode()} chunk differs")
        yield kind, view[position + 8 : end]
        if kind == b"IEND":
            return
        position = end + 4


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def decode(content: bytes, name: str, rules: ImageRules, max_pixels: int) -> Decoded:
    """Decode a PNG of any depth and colour type; see :func:`causaliqa.images.read.read_image`."""
    try:
        width, height, depth, colour = _header(content)
        check_size(name, width, height, max_pixels)
        extra: dict[bytes, bytes] = {}
        for number, (kind, data) in enumerate(_chunks(content)):
            if kind == b"IHDR" and number:
                raise ValueError("it has two headers")
            if kind == b"fdAT" or (kind == b"acTL" and bytes(data[:4]) != b"\0\0\0\1"):
                frames = struct.unpack(">I", extra.get(b"acTL", bytes(data))[:4])[0]
                check_frames(name, max(2, frames))
            if kind in (b"PLTE", b"tRNS", b"eXIf", b"acTL"):
                extra.setdefault(kind, bytes(data))
    except struct.error:
        raise ValueError("the file is truncated") from None
    samples = _samples(content, depth, colour)
    turned = exif_orientation(extra.get(b"eXIf"), name, rules.exif == "ignore")
    key = extra.get(b"tRNS")
    if colour == _PALETTE:
        palette = np.frombuffer(extra.get(b"PLTE", b""), np.uint8).reshape(-1, 3)
        alphas = None
        if key is not None:
            alphas = np.full(max(len(palette), len(key)), 255, np.uint8)
            alphas[: len(key)] = np.frombuffer(key, np.uint8)
        values, alpha = look_up(name, samples, palette, rules, alphas)
        return Decoded(values, alpha, orientation=turned)
    if colour in (_GRAY_ALPHA, _RGB_ALPHA):
        values = samples[..., 0] if colour == _GRAY_ALPHA else samples[..., :3]
        return Decoded(values, samples[..., -1], orientation=turned)
    if key is None:
        return Decoded(samples, orientation=turned)
    # One value or colour is transparent; it is stated in the file's own depth.
    clear = np.array(struct.unpack(">H" if colour == _GRAY else ">3H", key))
    if depth < 8:
        clear = clear * (255 // (2**depth - 1))
    matches = samples == clear[0] if colour == _GRAY else (samples == clear).all(axis=2)
    top = np.iinfo(samples.dtype).max
    return Decoded(samples, np.where(matches, 0, top).astype(samples.dtype), orientation=turned)


def _header(content: bytes) -> tuple[int, int, int, int]:
    """Return width, height, bit depth and colour type."""
    _, kind, width, height, depth, colour = struct.unpack_from(">I4sIIBB", content, len(_SIGNATURE))
    if kind != b"IHDR":
        raise ValueError("it does not begin with its header")
    return width, height, depth, colour


def _samples(content: bytes, depth: int, colour: int) -> np.ndarray:
    """Return (H, W) or (H, W, channels), uint8 or uint16; gray below 8 bits is scaled to 0..255."""
    if depth == 16 and colour in (_RGB, _RGB_ALPHA):
        # Pillow keeps one byte of each sample: the first one, or the second if it takes them for little-endian.
        high, low = (_load(content, order) for order in "BL")
        return np.asarray((high.astype(np.uint16) << np.uint16(8)) | low)
    if depth == 16 and colour == _GRAY_ALPHA:
        # Pillow would keep 8 bits. The same rows, announced as 8-bit RGBA, are the four bytes of a pixel.
        header = content[16:24] + bytes((8, _RGB_ALPHA)) + content[26:29]
        quads = _load(_SIGNATURE + _chunk(b"IHDR", header) + content[33:])
        return np.ascontiguousarray(quads).view(">u2").astype(np.uint16)
    values = _load(content)
    if values.dtype == bool:
        return values.astype(np.uint8) * np.uint8(255)
    return values


def _load(content: bytes, byte_order: str = "") -> np.ndarray:
    with PngImageFile(io.BytesIO(content)) as image:
        if byte_order:
            image.tile = [tile._replace(args=f"{image.mode};16{byte_order}") for tile in image.tile]
        return np.asarray(image).copy()


def encode_png(stimulus: np.ndarray) -> bytes:
    """Encode a uint8 or uint16 array (H, W) or (H, W, 3) as PNG; equal pixels give equal bytes.

    Raises
    ------
    DataError
        If the array has another type or shape.
    """
    if (
        stimulus.dtype not in (np.uint8, np.uint16)
        or stimulus.ndim not in (2, 3)
        or stimulus.shape[2:] not in ((), (3,))
    ):
        raise DataError(
            f"a PNG holds uint8 or uint16 values (H, W) or (H, W, 3), not {stimulus.dtype} {stimulus.shape}; "
            "convert them first"
        )
    if stimulus.dtype == np.uint16 and stimulus.ndim == 3:
        return _encode_rgb16(stimulus)
    buffer = io.BytesIO()
    Image.fromarray(stimulus).save(buffer, format="PNG", compress_level=4)
    return buffer.getvalue()


def _encode_rgb16(values: np.ndarray) -> bytes:
    """Write what Pillow cannot: each byte as its difference to the one above (filter 2, Up)."""
    height, width = values.shape[:2]
    rows = np.ascontiguousarray(values.astype(">u2")).view(np.uint8).reshape(height, -1)
    filtered = np.empty((height, rows.shape[1] + 1), np.uint8)
    filtered[:, 0] = 2
    filtered[0, 1:] = rows[0]
    filtered[1:, 1:] = rows[1:] - rows[:-1]
    header = struct.pack(">IIBBBBB", width, height, 16, _RGB, 0, 0, 0)
    return (
        _SIGNATURE
        + _chunk(b"IHDR", header)
        + _chunk(b"IDAT", zlib.compress(filtered.tobytes(), 4))
        + _chunk(b"IEND", b"")
    )
