"""Bring a dataset in: verified source files become ``data/raw/<dataset>/`` with a manifest."""

from __future__ import annotations

import gzip
import importlib.util
import io
from pathlib import Path

import numpy as np
import pandas as pd

from causaliqa.datasets.registry import BundledImage, Dataset
from causaliqa.errors import DataError
from causaliqa.images import SourceImage, decode_image, encode_png
from causaliqa.io import atomic_directory, sha256_bytes, write_bytes, write_csv

#: Columns of ``data/raw/<dataset>/manifest.csv``, in order.
#:
#: image : path relative to the folder
#: data_range : the stored value that means full scale (white)
RAW_COLUMNS = [
    "dataset",
    "domain",
    "image",
    "reference",
    "grayscale",
    "bit_depth",
    "data_range",
    "width",
    "height",
    "licence",
    "source",
    "sha256",
]


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
        return source, int(source.full_range)
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


def fetch_dataset(name: str, dataset: Dataset, out: Path) -> pd.DataFrame:
    """Write one dataset's images and manifest to `out`, whole or not at all.

    Returns
    -------
    DataFrame
        The manifest, with the columns :data:`RAW_COLUMNS`, one row an image.

    Raises
    ------
    DataError
        If a file is missing, unreadable, or does not have the registry's checksum.
    """
    rows = []
    with atomic_directory(out) as folder:
        for image in dataset.images:
            path = packaged_file(image)
            content = path.read_bytes()
            if (found := sha256_bytes(content)) != image.sha256:
                raise DataError(
                    f"{image.package}/{image.path}: sha256 is {found[:12]}..., "
                    f"the registry says {image.sha256[:12]}...; install the versions of requirements.lock"
                )
            source, data_range = _decode(image, content)
            encoded = encode_png(source.values)
            target = Path("images") / f"{image.name}.png"
            write_bytes(folder / target, encoded)
            height, width = source.values.shape[:2]
            rows.append(
                {
                    "dataset": name,
                    "domain": dataset.domain,
                    "image": target.as_posix(),
                    "reference": image.name,
                    "grayscale": source.values.ndim == 2,
                    "bit_depth": source.bit_depth,
                    "data_range": data_range,
                    "width": width,
                    "height": height,
                    "licence": image.licence,
                    "source": f"{image.package}/{image.path}: {image.origin}",
                    "sha256": sha256_bytes(encoded),
                }
            )
        manifest = pd.DataFrame(rows, columns=RAW_COLUMNS).sort_values("reference", kind="stable", ignore_index=True)
        write_csv(folder / "manifest.csv", manifest)
    return manifest


def read_raw_manifest(folder: Path) -> pd.DataFrame:
    """Read ``manifest.csv`` of a fetched dataset.

    Raises
    ------
    DataError
        If it is missing or lacks a column.
    """
    path = Path(folder) / "manifest.csv"
    try:
        table = pd.read_csv(path, dtype={"reference": str, "image": str})
    except FileNotFoundError:
        raise DataError(f"{path}: missing; fetch the dataset first (snakemake stage_fetch)") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not a readable CSV ({error}); delete {folder} and fetch it again") from None
    if missing := [name for name in RAW_COLUMNS if name not in table.columns]:
        raise DataError(f"{path}: lacks the columns {', '.join(missing)}; delete {folder} and fetch it again")
    return table
