"""TIFF (TIFF 6.0 with its technical notes; BigTIFF).

The pixels are put together here from strips or tiles, because decoders drop bits, take missing strips for black or
leave MinIsWhite as it is. Only the codecs are Pillow's (libtiff).
"""

from __future__ import annotations

import io
import re
import struct
import warnings
import zlib
from dataclasses import dataclass
from typing import Literal

import numpy as np

from causaliqa.errors import DataError
from causaliqa.images.ifd import Directory, orientation, read_directory
from causaliqa.images.rules import ImageRules
from causaliqa.images.source import Decoded, check_frames, check_size, ink_to_rgb, look_up

_SUBFILE, _WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _FILL, _DESCRIPTION = (
    254,
    256,
    257,
    258,
    259,
    262,
    266,
    270,
)
_STRIPS, _ORIENTATION, _SAMPLES, _ROWS, _STRIP_BYTES, _PLANAR, _PREDICTOR, _COLORMAP = (
    273,
    274,
    277,
    278,
    279,
    284,
    317,
    320,
)
_TILE_WIDTH, _TILE_HEIGHT, _TILES, _TILE_BYTES, _EXTRA, _FORMAT, _DEPTH = 322, 323, 324, 325, 338, 339, 32997
#: Codecs that give back the bytes they were given: LZW, deflate (two numbers), PackBits, LZMA, Zstandard.
_DEFLATE = {8, 32946}
_BYTE_CODECS = {5, 32773, 34925, 50000} | _DEFLATE
#: Bytes of a decompressed strip that Pillow still takes; it refuses images of more pixels.
_LARGEST_STRIP = 170_000_000
#: CCITT (three kinds) and JPEG, whose whole image Pillow decodes.
_FAX, _JPEG = {2, 3, 4}, 7
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _INKS, _YCBCR = 0, 1, 2, 3, 5, 6
_COLOURS = {_WHITE_IS_ZERO: 1, _BLACK_IS_ZERO: 1, _RGB: 3, _PALETTE: 1, _INKS: 4}
_ALPHA: dict[int, Literal["premultiplied", "straight"]] = {1: "premultiplied", 2: "straight"}


@dataclass(frozen=True)
class _Layout:
    """How the samples are stored. `kind` is NumPy's: u unsigned, f float."""

    width: int
    height: int
    samples: int
    bits: int
    kind: str
    order: Literal["<", ">"]
    compression: int
    predictor: int

    @property
    def dtype(self) -> np.dtype:
        return np.dtype(f"{self.kind}{max(8, self.bits) // 8}")


def decode(content: bytes, name: str, rules: ImageRules, max_pixels: int) -> Decoded:
    """Decode a TIFF; see :func:`causaliqa.images.read.read_image`."""
    tags = read_directory(content)
    width, height = tags.number(_WIDTH, 0), tags.number(_HEIGHT, 0)
    check_size(name, width, height, max_pixels)
    photometric = tags.number(_PHOTOMETRIC, -1)
    layout = _layout(tags, name, width, height)
    _check_alone(tags, name, layout)
    turned = orientation(tags)
    if layout.compression in _FAX or layout.compression == _JPEG:
        return Decoded(_by_pillow(tags, name, photometric, layout), orientation=turned)
    if photometric not in _COLOURS:
        raise DataError(f"{name}: is a TIFF of photometric interpretation {photometric}; save it as gray or RGB")
    colours = _COLOURS[photometric]
    if layout.samples not in (colours, colours + 1):
        raise DataError(f"{name}: holds {layout.samples} samples a pixel; save it as gray or RGB")
    pixels = _assemble(tags, name, layout, max_pixels)
    values = pixels[..., 0] if colours == 1 else pixels[..., :colours]
    alpha = pixels[..., colours] if layout.samples > colours else None
    if layout.kind == "f":
        values, alpha = _as_float32(values), None if alpha is None else _as_float32(alpha)
    if layout.kind == "f" and photometric not in (_BLACK_IS_ZERO, _RGB):
        raise DataError(f"{name}: is a TIFF of float values that are neither gray nor RGB; save it as one of these")
    if layout.bits < 8 and photometric != _PALETTE:
        values = values * np.uint8(255 // (2**layout.bits - 1))
    if photometric == _WHITE_IS_ZERO:
        values = values.dtype.type(2 ** (8 * values.dtype.itemsize) - 1) - values
    elif photometric == _INKS:
        values = ink_to_rgb(name, values, rules)
    elif photometric == _PALETTE:
        values, _ = look_up(name, values, _palette(tags, name, layout.bits), rules)
    return Decoded(values, alpha, _ALPHA.get(tags.number(_EXTRA, 0), "unknown"), turned)


def _check_alone(tags: Directory, name: str, layout: _Layout) -> None:
    """Refuse stacks, also those that put all their slices behind one directory, and thumbnails of raw files."""
    frames, seen, following = 1, {0}, tags.following
    while following not in seen:
        seen.add(following)
        frames += 1
        following = read_directory(tags.content, following).following
    frames = max(frames, tags.number(_DEPTH, 1))
    if _DESCRIPTION in tags.entries:
        _, count, position = tags.entries[_DESCRIPTION]
        text = tags.content[position : position + count]
        if text.startswith(b"ImageJ=") and (stack := re.search(rb"^images=(\d{1,9})", text, re.MULTILINE)):
            frames = max(frames, int(stack[1]))
        if shape := re.match(rb'\{"shape": \[([0-9, ]{1,99})\]', text):
            values = int(np.prod([int(side) for side in shape[1].split(b",")], dtype=np.float64))
            frames = max(frames, values // (layout.width * layout.height * layout.samples))
    check_frames(name, frames)
    if tags.number(_SUBFILE, 0) & 1:
        raise DataError(f"{name}: its first picture is a thumbnail of another; save the full picture as its own file")


def _layout(tags: Directory, name: str, width: int, height: int) -> _Layout:
    samples = tags.number(_SAMPLES, 1)
    bits, formats = tags.numbers(_BITS), tags.numbers(_FORMAT)
    depths = {1} if bits is None else set(bits.tolist())
    kinds = {1} if formats is None else set(formats.tolist())
    if len(depths) > 1 or len(kinds) > 1:
        raise DataError(f"{name}: its channels have different types; save it as 8- or 16-bit gray or RGB")
    depth, kind = depths.pop(), kinds.pop()
    known = {1: (1, 2, 4, 8, 16), 3: (16, 32, 64)}.get(kind, ())
    if depth not in known or (depth < 8 and samples > 1):
        of = {1: "unsigned", 2: "signed", 3: "float"}.get(kind, "undefined or complex")
        raise DataError(
            f"{name}: holds {of} values of {depth} bits in {samples} channel(s); "
            "save it as unsigned 8- or 16-bit integers, or as 32-bit float with its data_range declared"
        )
    return _Layout(
        width,
        height,
        samples,
        depth,
        "u" if kind == 1 else "f",
        tags.order,
        tags.number(_COMPRESSION, 1),
        tags.number(_PREDICTOR, 1),
    )


def _assemble(tags: Directory, name: str, layout: _Layout, max_pixels: int) -> np.ndarray:
    """Return (H, W, samples) of the stored type."""
    if layout.compression != 1 and layout.compression not in _BYTE_CODECS:
        raise DataError(f"{name}: TIFF compression {layout.compression} is not read; save it uncompressed or deflated")
    if tags.number(_FILL, 1) != 1:
        raise DataError(f"{name}: its bytes hold their bits in reverse (FillOrder 2); save it with FillOrder 1")
    tiled = _TILES in tags.entries
    wide = tags.number(_TILE_WIDTH, 0) if tiled else layout.width
    high = tags.number(_TILE_HEIGHT, 0) if tiled else min(tags.number(_ROWS, 2**32 - 1), layout.height)
    if wide < 1 or high < 1:
        raise ValueError("its tiles or strips have no size")
    across, down = -(-layout.width // wide), -(-layout.height // high)
    check_size(name, across * wide, down * high, max_pixels)
    planes = layout.samples if tags.number(_PLANAR, 1) == 2 else 1
    starts = tags.numbers(_TILES if tiled else _STRIPS)
    lengths = tags.numbers(_TILE_BYTES if tiled else _STRIP_BYTES)
    if starts is None or lengths is None or min(len(starts), len(lengths)) < planes * across * down:
        raise ValueError("it does not say where its pixels are")
    out = np.empty((layout.height, layout.width, layout.samples), layout.dtype)
    together = layout.samples // planes
    for number in range(planes * across * down):
        plane, place = divmod(number, across * down)
        top, left = place // across * high, place % across * wide
        rows = high if tiled else min(high, layout.height - top)
        start, length = int(starts[number]), int(lengths[number])
        if start + length > len(tags.content):
            raise ValueError("the file is truncated")
        part = _samples(tags.content[start : start + length], name, layout, rows, wide, together)
        part = part[: layout.height - top, : layout.width - left]
        out[top : top + rows, left : left + wide, plane * together : (plane + 1) * together] = part
    return out


def _samples(stored: bytes, name: str, layout: _Layout, rows: int, width: int, samples: int) -> np.ndarray:
    """Decode one strip or tile to (rows, width, samples)."""
    row_bytes = (width * samples * layout.bits + 7) // 8
    data = stored if layout.compression == 1 else _decompress(stored, rows * row_bytes, layout.compression, name)
    if len(data) < rows * row_bytes:
        raise ValueError("the file is truncated")
    flat = np.frombuffer(data, np.uint8, rows * row_bytes).reshape(rows, row_bytes)
    if layout.compression == 1 or layout.predictor == 1:
        if layout.bits < 8:
            bits = np.unpackbits(flat, axis=1)[:, : width * layout.bits].reshape(rows, width, layout.bits)
            return np.asarray(bits @ (1 << np.arange(layout.bits, dtype=np.uint8)[::-1]))[..., None]
        return flat.view(layout.dtype.newbyteorder(layout.order)).reshape(rows, width, samples)
    if layout.predictor == 2 and layout.kind == "u" and layout.bits >= 8:
        steps = flat.view(layout.dtype.newbyteorder(layout.order)).reshape(rows, width, samples)
        return np.cumsum(steps, axis=1, dtype=layout.dtype)
    if layout.predictor == 3 and layout.kind == "f":
        # Differences of bytes; the most significant bytes of a row come first, then the next ones, and so on.
        size = layout.bits // 8
        planes = np.cumsum(flat.reshape(rows, size * width, samples), axis=1, dtype=np.uint8)
        together = planes.reshape(rows, size, width * samples).transpose(0, 2, 1)
        return np.ascontiguousarray(together).view(layout.dtype.newbyteorder(">")).reshape(rows, width, samples)
    raise ValueError(f"predictor {layout.predictor} does not fit its samples")


def _decompress(stored: bytes, size: int, compression: int, name: str) -> bytes:
    """Decompress one strip to `size` bytes; but for deflate, hand it to libtiff as an 8-bit gray image of one row."""
    if compression in _DEFLATE:
        return zlib.decompressobj().decompress(stored, size)
    if size > _LARGEST_STRIP:
        raise DataError(f"{name}: a strip of it has {size} bytes; save it in more strips, uncompressed or deflated")
    from PIL.Image import DecompressionBombWarning
    from PIL.TiffImagePlugin import TiffImageFile

    entries = {
        _WIDTH: size,
        _HEIGHT: 1,
        _BITS: 8,
        _COMPRESSION: compression,
        _PHOTOMETRIC: _BLACK_IS_ZERO,
        _STRIPS: 0,
        _SAMPLES: 1,
        _ROWS: 1,
        _STRIP_BYTES: len(stored),
    }
    head = 8 + 2 + 12 * len(entries) + 4
    entries[_STRIPS] = head
    table = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries.items())
    wrapped = struct.pack("<2sHIH", b"II", 42, 8, len(entries)) + table + bytes(4) + stored
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DecompressionBombWarning)  # the size has been checked
        return TiffImageFile(io.BytesIO(wrapped)).tobytes()


def _by_pillow(tags: Directory, name: str, photometric: int, layout: _Layout) -> np.ndarray:
    """Decode CCITT and JPEG inside TIFF as stored, that is without turning it as its orientation says."""
    from PIL.TiffImagePlugin import TiffImageFile

    fits = (
        layout.bits == 1 and photometric in (_WHITE_IS_ZERO, _BLACK_IS_ZERO)
        if layout.compression in _FAX
        else layout.bits == 8
        and (photometric, layout.samples) in ((_BLACK_IS_ZERO, 1), (_RGB, 3), (_YCBCR, 3))
        and tags.number(_PLANAR, 1) == 1
    )
    if not fits:
        raise DataError(
            f"{name}: compression {layout.compression} with these samples is not read; save it uncompressed or deflated"
        )
    content = bytearray(tags.content)
    if _ORIENTATION in tags.entries:
        kind, _, position = tags.entries[_ORIENTATION]
        struct.pack_into(tags.order + ("H" if kind == 3 else "B"), content, position, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # about other tags
        image = TiffImageFile(io.BytesIO(bytes(content)))
        values, mode = np.asarray(image).copy(), image.mode
    if mode == "1":
        return values.astype(np.uint8) * np.uint8(255)
    if mode not in ("L", "RGB"):
        raise DataError(f"{name}: mode {mode} is not read; save it as 8-bit gray or RGB")
    return values


def _palette(tags: Directory, name: str, bits: int) -> np.ndarray:
    """Return the colours (N, 3): uint8 where all of them are widened 8-bit values, else uint16 as stored."""
    table = tags.numbers(_COLORMAP)
    if bits > 8 or table is None or len(table) != 3 * 2**bits:
        raise ValueError("its colour map is missing or has the wrong length")
    colours = table.reshape(3, -1).T
    if (colours % 257 == 0).all():
        return (colours // 257).astype(np.uint8)
    if (colours % 256 == 0).all():
        return (colours // 256).astype(np.uint8)
    if colours.max() < 256:
        raise DataError(f"{name}: its colour map holds 8-bit values where 16-bit ones belong; save it as RGB")
    return colours.astype(np.uint16)


def _as_float32(values: np.ndarray) -> np.ndarray:
    """Round to float32; what is too large becomes infinite, and is refused with the other such values."""
    with np.errstate(over="ignore"):
        return values.astype(np.float32)
