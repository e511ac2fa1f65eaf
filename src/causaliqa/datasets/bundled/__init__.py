"""Images inside installed Python packages: found, verified, written as PNG.

A package of its own: modules that look others up at run time make all their neighbours part of a stage's code.
"""

from __future__ import annotations

import gzip
import importlib.util
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from causaliqa.datasets.names import REFERENCE
from causaliqa.datasets.raw import IMAGES, RawRow
from causaliqa.datasets.registry import BundledDataset, BundledImage
from causaliqa.errors import DataError
from causaliqa.images import SourceImage, decode_image, encode_png
from causaliqa.io import sha256_bytes, write_bytes


def packaged_file(image: BundledImage) -> Path:
    """Return where the installed package holds the file.

    Raises
    ------
    DataError
        If the package or the file is missing.
    """
    spec = importlib.util.find_spec(image.package)
    if spec is None or spec.origin is None:
        raise DataError(f"package {image.package} (image {image.name}) is not installed; install requirements.lock")
    path = Path(spec.origin).parent / image.path
    if not path.is_file():
        raise DataError(
            f"{image.package}/{image.path} is missing from the installed package; install requirements.lock"
        )
    return path


def _decode(image: BundledImage, content: bytes) -> tuple[SourceImage, int]:
    """Return the image and the stored value that means full scale."""
    name = f"{image.package}/{image.path}"
    if image.format == "image":
        source = decode_image(content, name)
        return source, 2**source.bit_depth - 1
    assert image.window is not None
    lower, upper = image.window
    if image.format == "dicom":
        import pydicom

        try:
            values = pydicom.dcmread(io.BytesIO(content)).pixel_array
        except Exception as error:  # pydicom and its decoders raise many types on corrupt input
            raise DataError(f"{name}: not a readable DICOM file ({error}); install requirements.lock") from None
    else:
        values = np.frombuffer(gzip.decompress(content), dtype=">u2").reshape(256, 256)
    if values.ndim != 2:
        raise DataError(f"{name}: holds an array of shape {values.shape}, not one gray slice")
    clipped = np.clip(values.astype(np.int64), lower, upper) - lower
    return SourceImage(clipped.astype(np.uint16), 16), upper - lower


def bundled_rows(name: str, dataset: BundledDataset, folder: Path) -> Iterator[RawRow]:
    """Write the images of a bundled dataset to `folder` as PNG; yield the manifest's rows.

    Raises
    ------
    DataError
        If a file is missing, unreadable, or does not have the registry's checksum.
    """
    for image in sorted(dataset.images, key=lambda item: item.name):
        path = packaged_file(image)
        content = path.read_bytes()
        if (found := sha256_bytes(content)) != image.sha256:
            raise DataError(
                f"{image.package}/{image.path}: sha256 is {found[:12]}..., "
                f"the registry says {image.sha256[:12]}...; install the versions of requirements.lock"
            )
        source, data_range = _decode(image, content)
        encoded = encode_png(source.values)
        target = f"{IMAGES}/{image.name}.png"
        write_bytes(folder / target, encoded)
        height, width = source.values.shape[:2]
        yield RawRow(
            dataset=name, domain=dataset.domain, image=target, reference=image.name, distortion=REFERENCE, level=0,
            score=float("nan"), score_std=float("nan"), provenance="", grayscale=source.values.ndim == 2,
            bit_depth=source.bit_depth, data_range=data_range, width=width, height=height, licence=image.licence,
            source=f"{image.package}/{image.path}: {image.origin}", sha256=sha256_bytes(encoded),
        )  # fmt: skip
