"""Images in memory, with explicit bit depth and range.

Two conventions, nothing else:

* **stimuli** are ``uint8`` arrays, (H, W) gray or (H, W, 3) RGB: what shards store and what people look at;
* **linear arithmetic** is done on ``float32`` arrays of the same shapes in [0, 1].
"""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from causaliqa.errors import DataError

#: Images with more pixels than this are refused before they are decoded.
MAX_PIXELS = 200_000_000


@dataclass(frozen=True)
class SourceImage:
    """An image as its file states it.

    Attributes
    ----------
    values : array (H, W) or (H, W, 3), uint8 or uint16, exactly as stored.
    bit_depth : 8 or 16, bits of the container.
    """

    values: np.ndarray
    bit_depth: int

    @property
    def full_range(self) -> float:
        """Largest value the container can hold."""
        return float(2**self.bit_depth - 1)

    def to_float(self, data_range: float | None = None) -> np.ndarray:
        """Return float32 in [0, 1]: values / `data_range`, default the container's full range.

        Raises
        ------
        DataError
            If a value exceeds `data_range`: then the declared range is wrong.
        """
        top = self.full_range if data_range is None else float(data_range)
        if self.values.max(initial=0) > top:
            raise DataError(f"a pixel has the value {self.values.max()}, above the declared data range {top:g}")
        return np.asarray(self.values / top, dtype=np.float32)


def read_image(path: Path, max_pixels: int = MAX_PIXELS) -> SourceImage:
    """Read an 8- or 16-bit gray or an 8-bit RGB image without any conversion of its values.

    Raises
    ------
    DataError
        If the file is missing, corrupt, too large, animated, or of a mode whose conversion would be a guess
        (alpha, palette, CMYK, float); the message names the file and the remedy.
    """
    path = Path(path)
    try:
        return decode_image(path.read_bytes(), str(path), max_pixels)
    except FileNotFoundError:
        raise DataError(f"{path}: no such image") from None
    except IsADirectoryError:
        raise DataError(f"{path}: is a folder, not an image") from None


def decode_image(content: bytes, name: str, max_pixels: int = MAX_PIXELS) -> SourceImage:
    """Decode an encoded image held in memory; `name` is used in error messages. See :func:`read_image`."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            handle = Image.open(io.BytesIO(content))
            width, height = handle.size
            if width * height > max_pixels:
                raise DataError(
                    f"{name}: {width}x{height} pixels, more than the limit of {max_pixels}; crop or tile it"
                )
            if (frames := getattr(handle, "n_frames", 1)) > 1:
                raise DataError(f"{name}: holds {frames} frames; save the one to be judged as its own file")
            mode = handle.mode
            values = np.asarray(handle)
    except DataError:
        raise
    except Exception as error:  # Pillow's decoders raise many types on corrupt input
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{name}: not a readable image ({reason}); replace the file") from None
    if mode in ("L", "RGB"):
        return SourceImage(values.astype(np.uint8), 8)
    if mode in ("I;16", "I;16B", "I;16L"):
        return SourceImage(values.astype(np.uint16), 16)
    if mode == "1":
        return SourceImage(values.astype(np.uint8) * np.uint8(255), 8)
    remedy = {
        "RGBA": "composite it on the background it is meant for and save as RGB",
        "LA": "composite it on the background it is meant for and save as gray",
        "P": "save it as RGB",
        "CMYK": "convert it to RGB with its colour profile",
    }.get(mode, "save it as 8- or 16-bit gray or 8-bit RGB")
    raise DataError(f"{name}: mode {mode} is not read, because converting it would be a guess; {remedy}")


def to_uint8(values: np.ndarray) -> np.ndarray:
    """Round float values in [0, 1] to uint8 (half away from zero); values outside are clipped."""
    return np.asarray(np.floor(np.clip(values, 0.0, 1.0) * 255.0 + 0.5), dtype=np.uint8)


def to_float(stimulus: np.ndarray) -> np.ndarray:
    """Return a uint8 stimulus as float32 in [0, 1]."""
    if stimulus.dtype != np.uint8:
        raise DataError(f"a stimulus is uint8, not {stimulus.dtype}")
    return np.asarray(stimulus.astype(np.float32) / np.float32(255))


def as_rgb(image: np.ndarray) -> np.ndarray:
    """Return (H, W, 3): gray is repeated, RGB returned as it is."""
    return np.repeat(image[..., None], 3, axis=2) if image.ndim == 2 else image


def encode_png(stimulus: np.ndarray) -> bytes:
    """Encode a uint8 (H, W) or (H, W, 3), or a uint16 (H, W) array as PNG; equal pixels give equal bytes."""
    buffer = io.BytesIO()
    Image.fromarray(stimulus).save(buffer, format="PNG", compress_level=4)
    return buffer.getvalue()
