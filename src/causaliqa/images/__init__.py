"""Images in memory, with explicit bit depth and range.

Two conventions, nothing else:

* **stimuli** are ``uint8`` arrays, (H, W) gray or (H, W, 3) RGB: what shards store and what people look at;
* **linear arithmetic** is done on ``float32`` arrays of the same shapes in [0, 1].

Files are read by what their own header says (PNG's IHDR, TIFF's tags, JPEG 2000's SIZ marker, ...), never by the
mode that a decoder happens to offer, because decoders drop bits without a word. A conversion that would be a guess is
refused unless :class:`~causaliqa.images.rules.ImageRules` declares it. Colour profiles and gamma are not applied.
"""

from causaliqa.images.arrays import as_rgb, to_float, to_uint8
from causaliqa.images.png import encode_png
from causaliqa.images.read import decode_image, read_image
from causaliqa.images.rules import ImageRules
from causaliqa.images.source import MAX_PIXELS, SourceImage

__all__ = [
    "MAX_PIXELS",
    "ImageRules",
    "SourceImage",
    "as_rgb",
    "decode_image",
    "encode_png",
    "read_image",
    "to_float",
    "to_uint8",
]
