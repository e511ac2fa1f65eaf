"""Compression: JPEG and JPEG 2000 by Pillow's codecs (libjpeg-turbo, OpenJPEG)."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from causaliqa.images import to_uint8


def jpeg(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Compress with JPEG (ITU-T T.81), chroma subsampled 4:2:0.

    `strength` is the quality of the IJG quantisation tables, an integer of 1 to 95. Source: KADID-10k type 10 (Lin,
    Hosu, Saupe, QoMEX 2019).
    """
    return jpeg_roundtrip(to_uint8(image), int(strength), "4:2:0").astype(np.float32) / np.float32(255)


def jpeg2000(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Compress with JPEG 2000 (ITU-T T.800), irreversible 9/7 wavelet, one quality layer.

    `strength` is the ratio of the image's variance to the mean square error that the encoder's rate control aims at,
    in dB. Source: KADID-10k type 9, which fixes compression ratios instead. Ratios mean little across images: the
    headers alone exhaust a high ratio on a small image, and a simple image is nearly untouched by a low one.
    """
    stimulus = to_uint8(image)
    buffer = io.BytesIO()
    # Floored at the rounding error of 8 bits, so that a constant image has a target, too.
    variance = max(float(np.mean(np.square(stimulus - stimulus.mean(axis=(0, 1))))), 1.0 / 12.0)
    # Each resolution halves the image; OpenJPEG refuses more of them than the shorter side has halvings.
    resolutions = max(1, min(6, int(np.log2(min(stimulus.shape[:2]))) + 1))
    Image.fromarray(stimulus).save(
        buffer,
        format="JPEG2000",
        irreversible=True,
        quality_mode="dB",
        quality_layers=[strength + 10.0 * float(np.log10(255.0**2 / variance))],
        num_resolutions=resolutions,
    )
    return np.asarray(Image.open(io.BytesIO(buffer.getvalue()))).astype(np.float32) / np.float32(255)


def jpeg_roundtrip(stimulus: np.ndarray, quality: int, subsampling: str) -> np.ndarray:
    """Encode and decode a uint8 image with JPEG; returns uint8 of the same shape."""
    buffer = io.BytesIO()
    options = {} if stimulus.ndim == 2 else {"subsampling": subsampling}
    Image.fromarray(stimulus).save(buffer, format="JPEG", quality=quality, **options)
    return np.asarray(Image.open(io.BytesIO(buffer.getvalue())))
