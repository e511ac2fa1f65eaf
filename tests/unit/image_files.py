"""Writers of image files for tests, independent of the code that reads them."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
from PIL import Image

_ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]


def encode(image: Image.Image, fmt: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=fmt, **options)
    return buffer.getvalue()


def tiff(values: np.ndarray, **options: Any) -> bytes:
    import tifffile

    buffer = io.BytesIO()
    tifffile.imwrite(buffer, values, **options)
    return buffer.getvalue()


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _filtered(rows: np.ndarray, step: int, filters: list[int]) -> bytes:
    """Filter rows of bytes (H, n) by the definitions of the standard, one byte after another."""
    out = bytearray()
    for y, row in enumerate(rows.astype(int)):
        kind = filters[y % len(filters)]
        out.append(kind)
        for x in range(len(row)):
            left = row[x - step] if x >= step else 0
            up = int(rows[y - 1, x]) if y else 0
            corner = int(rows[y - 1, x - step]) if y and x >= step else 0
            guess = left + up - corner
            distances = [abs(guess - left), abs(guess - up), abs(guess - corner)]
            paeth = (left, up, corner)[distances.index(min(distances))]
            out.append((row[x] - (0, left, up, (left + up) // 2, paeth)[kind]) % 256)
    return bytes(out)


def png(
    samples: np.ndarray,
    depth: int,
    colour: int,
    *,
    filters: list[int] | None = None,
    interlaced: bool = False,
    before: bytes = b"",
    after: bytes = b"",
) -> bytes:
    """Write integer samples (H, W, channels); `before` and `after` are chunks around the pixels."""
    height, width, channels = samples.shape
    step = max(1, depth * channels // 8)
    data = b""
    for x0, y0, dx, dy in _ADAM7 if interlaced else [(0, 0, 1, 1)]:
        part = samples[y0::dy, x0::dx]
        if part.size == 0:
            continue
        bits = (part.reshape(len(part), -1, 1) >> np.arange(depth)[::-1]) & 1
        rows = np.packbits(bits.reshape(len(part), -1).astype(np.uint8), axis=1)
        data += _filtered(rows, step, filters or [0])
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)
    return (
        b"\x89PNG\r\n\x1a\n"
        + png_chunk(b"IHDR", header)
        + before
        + png_chunk(b"IDAT", zlib.compress(data))
        + after
        + png_chunk(b"IEND", b"")
    )


def exif(orientation: int) -> bytes:
    """An EXIF block, big-endian, with nothing but an orientation."""
    return b"MM\0*\0\0\0\x08" + struct.pack(">HHHIHHI", 1, 274, 3, 1, orientation, 0, 0)


def plain_tiff(data: bytes, width: int, height: int, **tags: int | list[int]) -> bytes:
    """A little-endian TIFF of one strip; tags by number, as t256=..., replace or complete those of 8-bit gray."""
    entries: dict[int, int | list[int]] = {
        256: width, 257: height, 258: 8, 259: 1, 262: 1, 273: 0, 277: 1, 278: height, 279: len(data),
    }  # fmt: skip
    entries.update({int(tag[1:]): value for tag, value in tags.items()})
    start = 8 + 2 + 12 * len(entries) + 4
    extra, table = b"", b""
    for tag, value in sorted(entries.items()):
        numbers = value if isinstance(value, list) else [value]
        if tag == 273:
            numbers = [start]
        packed = struct.pack(f"<{len(numbers)}I", *numbers)
        if len(packed) > 4:
            extra, packed = extra + packed, struct.pack("<I", start + len(data) + len(extra))
        table += struct.pack("<HHI", tag, 4, len(numbers)) + packed
    return struct.pack("<2sHIH", b"II", 42, 8, len(entries)) + table + bytes(4) + data + extra


def dicom(stored: np.ndarray, **attributes: Any) -> bytes:
    """A gray DICOM file of unsigned or signed integers; attributes are added or replaced, None removes one."""
    import pydicom
    from pydicom.uid import ExplicitVRLittleEndian

    data = pydicom.Dataset()
    data.file_meta = pydicom.dataset.FileMetaDataset()
    data.file_meta.TransferSyntaxUID = attributes.pop("syntax", ExplicitVRLittleEndian)
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID = "1.2.3"
    data.Rows, data.Columns = stored.shape[:2]
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated = data.BitsStored = 8 * stored.dtype.itemsize
    data.HighBit, data.PixelRepresentation = data.BitsStored - 1, int(stored.dtype.kind == "i")
    pixels = stored.tobytes()
    data.PixelData = pixels + bytes(len(pixels) % 2)
    data["PixelData"].VR = "OW"
    for key, value in attributes.items():
        if value is None:
            delattr(data, key)
        else:
            setattr(data, key, value)
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, data, enforce_file_format=True)
    return buffer.getvalue()
