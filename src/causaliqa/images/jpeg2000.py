"""JPEG 2000 (ITU-T T.800): codestreams, and JP2 files around them."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass

import numpy as np

from causaliqa.errors import DataError
from causaliqa.images.rules import ImageRules
from causaliqa.images.source import Decoded, check_frames, check_size

_CODESTREAM = b"\xff\x4f\xff\x51"
#: Enumerated colour spaces of JP2's colr box that are read, by the number of colour channels.
_COLOURS = {16: 3, 17: 1}


@dataclass(frozen=True)
class _Size:
    """What the SIZ marker says: one entry of `precisions`, `signed` and `steps` a component."""

    width: int
    height: int
    precisions: tuple[int, ...]
    signed: tuple[bool, ...]
    steps: tuple[tuple[int, int], ...]


def read_size(codestream: bytes) -> _Size:
    """Read the SIZ marker.

    Raises
    ------
    ValueError
        If it is damaged.
    """
    try:
        *_, right, bottom, left, top, _, _, _, _, count = struct.unpack_from(">HHHIIIIIIIIH", codestream, 2)
        parts = [struct.unpack_from(">BBB", codestream, 42 + 3 * number) for number in range(count)]
    except struct.error:
        raise ValueError("the file is truncated") from None
    return _Size(
        right - left,
        bottom - top,
        tuple((part[0] & 0x7F) + 1 for part in parts),
        tuple(part[0] > 0x7F for part in parts),
        tuple((part[1], part[2]) for part in parts),
    )


def _check_whole(codestream: bytes) -> None:
    """Walk from tile part to tile part up to the end marker: decoders fill in what is missing."""
    position = 2
    try:
        while True:
            marker, length = struct.unpack_from(">HH", codestream, position)
            if marker == 0xFFD9:
                return
            if marker == 0xFF90:
                (part,) = struct.unpack_from(">I", codestream, position + 6)
                if part == 0:  # the last one, up to the end marker
                    if codestream.find(b"\xff\xd9", position) < 0:
                        raise ValueError("the file is truncated")
                    return
                length = part - 2
            position += 2 + max(2, length)
            if codestream[position : position + 2] == b"\xff\xd9":
                return
    except struct.error:
        raise ValueError("the file is truncated") from None


def _boxes(content: bytes, start: int, end: int) -> list[tuple[bytes, int, int]]:
    """Return type, first and last position of each box between `start` and `end`."""
    found = []
    while start + 8 <= end:
        length, kind = struct.unpack_from(">I4s", content, start)
        header = 8
        if length == 1:
            if start + 16 > end:
                break
            (length,) = struct.unpack_from(">Q", content, start + 8)
            header = 16
        stop = end if length == 0 else start + length
        # Only the boxes that are read must be whole; a codestream is checked by itself.
        if (length != 0 and length < header) or (stop > end and kind != b"jp2c"):
            break
        found.append((kind, start + header, min(stop, end)))
        start = stop
    return found


def _unpack(content: bytes, name: str) -> tuple[bytes, int | None, bool]:
    """Return the codestream, the number of colour channels if stated, and whether alpha is premultiplied."""
    if content.startswith(_CODESTREAM):
        return content, None, False
    boxes = _boxes(content, 0, len(content))
    streams = [content[start:stop] for kind, start, stop in boxes if kind == b"jp2c"]
    headers = [box for box in boxes if box[0] == b"jp2h"]
    if not streams or not headers or not streams[0].startswith(_CODESTREAM):
        raise ValueError("the file is truncated")
    check_frames(name, len(streams))
    inner: dict[bytes, bytes] = {}
    for kind, start, stop in _boxes(content, *headers[0][1:]):
        inner.setdefault(kind, content[start:stop])
    if b"pclr" in inner:
        raise DataError(f"{name}: is a palette image; save it as RGB")
    colours = None
    colour = inner.get(b"colr", b"")
    if colour[:1] == b"\1":
        space = int.from_bytes(colour[3:7], "big")
        if space not in _COLOURS:
            kind_of = {12: "CMYK", 18: "YCC"}.get(space, f"colour space {space}")
            raise DataError(f"{name}: is a JPEG 2000 of {kind_of}; convert it to RGB with its colour profile")
        colours = _COLOURS[space]
    # cdef: per channel its number, type (1 opacity, 2 premultiplied opacity) and association.
    kinds = [struct.unpack_from(">H", inner[b"cdef"], at)[0] for at in range(4, len(inner.get(b"cdef", b"")) - 3, 6)]
    return streams[0], colours, 2 in kinds


def decode(content: bytes, name: str, rules: ImageRules, max_pixels: int) -> Decoded:
    """Decode a JPEG 2000 of up to 16 bits; see :func:`causaliqa.images.read.read_image`."""
    codestream, colours, premultiplied = _unpack(content, name)
    size = read_size(codestream)
    check_size(name, size.width, size.height, max_pixels)
    channels = len(size.precisions)
    if not 1 <= channels <= 4 or (colours is not None and channels not in (colours, colours + 1)):
        raise DataError(f"{name}: holds {channels} channels; save it as gray or RGB")
    if len(set(size.precisions)) > 1 or any(size.signed) or set(size.steps) != {(1, 1)}:
        raise DataError(
            f"{name}: its channels are signed, subsampled or of different depths; "
            "save it as unsigned 8- or 16-bit gray or RGB"
        )
    precision = size.precisions[0]
    if precision > 16:
        raise DataError(f"{name}: holds {precision}-bit integers; save it as 16-bit gray or RGB")
    _check_whole(codestream)
    if channels > 1 and precision > 8:
        values = _decode_deep(codestream, name)
    else:
        from PIL.Jpeg2KImagePlugin import Jpeg2KImageFile

        with Jpeg2KImageFile(io.BytesIO(codestream)) as image:
            values = np.asarray(image).copy()
        # Pillow moves the bits to the top of its container.
        values = values >> values.dtype.type(8 * values.dtype.itemsize - precision)
    data_range = None if precision in (8, 16) else float(2**precision - 1)
    if channels in (1, 3):
        return Decoded(values, data_range=data_range)
    return Decoded(
        values[..., 0] if channels == 2 else values[..., :3],
        values[..., -1],
        "premultiplied" if premultiplied else "straight",
        data_range=data_range,
    )


def _decode_deep(codestream: bytes, name: str) -> np.ndarray:
    """Decode several channels of more than 8 bits, of which Pillow would keep 8."""
    try:
        from openjpeg.utils import decode as decode_codestream
    except ImportError:
        raise DataError(
            f"{name}: is a JPEG 2000 of over 8 bits in colour; install pylibjpeg-openjpeg, or save it as 16-bit PNG"
        ) from None
    return np.asarray(decode_codestream(codestream), dtype=np.uint16)
