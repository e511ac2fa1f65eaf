"""Read one image file of any format."""

from __future__ import annotations

import importlib
from pathlib import Path

from PIL import ImageFile

from causaliqa.errors import DataError
from causaliqa.images.rules import ImageRules
from causaliqa.images.source import MAX_PIXELS, SourceImage, finish

#: First bytes of a file, and the module that reads it.
_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"\xff\xd8\xff", "jpeg"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"II+\0", "tiff"),
    (b"MM\0+", "tiff"),
    (b"\xff\x4f\xff\x51", "jpeg2000"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "jpeg2000"),
    (b"BM", "bmp"),
    (b"P2", "pnm"),
    (b"P3", "pnm"),
    (b"P5", "pnm"),
    (b"P6", "pnm"),
)


def _format(content: bytes) -> str | None:
    # A DICOM file starts with 128 free bytes, which may be those of another format.
    if content[128:132] == b"DICM":
        return "dicom"
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "webp"
    return next((module for magic, module in _MAGIC if content.startswith(magic)), None)


def read_image(path: Path, rules: ImageRules | None = None, max_pixels: int = MAX_PIXELS) -> SourceImage:
    """Read a gray or RGB image without any conversion of its values that is not declared.

    Parameters
    ----------
    path : PNG, TIFF, BMP, JPEG, JPEG 2000, WebP, PGM, PPM or DICOM file.
    rules : what is declared about transparency, palettes, CMYK, orientation and ranges; default ``ImageRules()``.
    max_pixels : larger images are refused before they are decoded.

    Returns
    -------
    SourceImage
        uint8 or uint16 for integers of 1 to 16 bits, float32 for TIFF with float samples (64-bit samples rounded to
        the nearest float32). Gray of 1, 2 or 4 bits in PNG, TIFF and BMP becomes 8 bits by an exact multiple,
        so that white stays white. For DICOM see :mod:`causaliqa.images.dicom`.

    Raises
    ------
    DataError
        If the file is missing, corrupt, too large, animated, or needs a conversion that would be a guess; the message
        names the file and the remedy.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"{path}: no such image; check the path") from None
    except IsADirectoryError:
        raise DataError(f"{path}: is a folder, not an image; name a file in it") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check the file's permissions") from None
    return decode_image(content, str(path), rules, max_pixels)


def decode_image(
    content: bytes, name: str, rules: ImageRules | None = None, max_pixels: int = MAX_PIXELS
) -> SourceImage:
    """Decode an encoded image held in memory; `name` is used in error messages. See :func:`read_image`."""
    rules = rules or ImageRules()
    if (module := _format(content)) is None:
        known = "PNG, TIFF, BMP, JPEG, JPEG 2000, WebP, PGM, PPM, DICOM"
        raise DataError(f"{name}: not a readable image (none of {known}); replace the file or convert it to one")
    # Another package may have switched on that missing pixels are left gray.
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    try:
        decoded = importlib.import_module(f"causaliqa.images.{module}").decode(content, name, rules, max_pixels)
        return finish(name, decoded, rules)
    except DataError:
        raise
    except Exception as error:  # decoders raise many types on corrupt input
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{name}: not a readable image ({reason}); replace the file") from None
