"""DICOM: one gray frame, as values above the lower end of a window.

Stored values are rescaled (slope and intercept), clipped to the window [lower, upper] and stored as value - lower, so
that 0 is black and `data_range` = upper - lower is white: uint16 where slope, intercept and window are integers,
else float32. MONOCHROME1, whose smallest value is white, is stored as upper - value. The window is that of the rules,
or the file's own (PS3.3, C.11.2.1.2: LINEAR from centre - 0.5 - (width - 1) / 2 to centre - 0.5 + (width - 1) / 2,
LINEAR_EXACT from centre - width / 2 to centre + width / 2).
"""

from __future__ import annotations

import io
import warnings
from typing import Any

import numpy as np

from causaliqa.errors import DataError
from causaliqa.images.jpeg2000 import read_size
from causaliqa.images.rules import ImageRules
from causaliqa.images.source import Decoded, check_frames, check_size

_DEFLATED = "1.2.840.10008.1.2.1.99"
_DECLARE = "declare image_rules.window as [lower, upper]"


def decode(content: bytes, name: str, rules: ImageRules, max_pixels: int) -> Decoded:
    """Decode a gray DICOM file of one frame; see :func:`causaliqa.images.read.read_image`."""
    import pydicom
    from pydicom.filereader import read_dataset

    with warnings.catch_warnings():
        # Odd but harmless values of other attributes.
        warnings.simplefilter("ignore")
        # A deflated file is inflated as a whole, whatever its size.
        stream = io.BytesIO(content)
        stream.seek(132)
        meta = read_dataset(stream, False, True, stop_when=lambda tag, vr, length: tag >> 16 != 2)
        if meta.get("TransferSyntaxUID") == _DEFLATED:
            raise DataError(f"{name}: is a deflated DICOM file; save it uncompressed")
        dataset = pydicom.dcmread(io.BytesIO(content))
        _check(dataset, name, max_pixels)
        stored = _pixels(dataset, name)
    return _windowed(dataset, name, stored, rules)


def _check(dataset: Any, name: str, max_pixels: int) -> None:
    if "Rows" not in dataset or "Columns" not in dataset:
        raise DataError(f"{name}: is a DICOM file without an image; leave it out")
    check_size(name, int(dataset.Columns), int(dataset.Rows), max_pixels)
    check_frames(name, int(dataset.get("NumberOfFrames") or 1))
    interpretation = str(dataset.get("PhotometricInterpretation", "none"))
    if interpretation not in ("MONOCHROME1", "MONOCHROME2") or int(dataset.get("SamplesPerPixel", 1)) != 1:
        raise DataError(
            f"{name}: is a DICOM image of {interpretation}, not of gray; export it as 8-bit RGB PNG or TIFF"
        )
    if "ModalityLUTSequence" in dataset:
        raise DataError(f"{name}: rescales its values by a table (Modality LUT); export it as 16-bit PNG or TIFF")
    if dataset.get("BitsAllocated") not in (8, 16, 32):
        raise DataError(
            f"{name}: allocates {dataset.get('BitsAllocated')} bits a pixel; export it as 16-bit PNG or TIFF"
        )
    syntax = dataset.file_meta.TransferSyntaxUID
    if "JPEG 2000" in syntax.name and "PixelData" in dataset:
        from pydicom.encaps import get_frame

        inner = read_size(get_frame(dataset.PixelData, 0, number_of_frames=1))
        if (inner.width, inner.height) != (int(dataset.Columns), int(dataset.Rows)):
            raise ValueError("the size of its compressed pixels differs")


def _pixels(dataset: Any, name: str) -> np.ndarray:
    try:
        stored = np.asarray(dataset.pixel_array)
    except RuntimeError as error:
        # pydicom's way to say that no installed package decodes this compression.
        if "plugin" in str(error) or "decode" in str(error):
            syntax = dataset.file_meta.TransferSyntaxUID.name
            raise DataError(f"{name}: its pixels ({syntax}) cannot be decoded here; save it uncompressed") from None
        raise
    if stored.ndim != 2:
        raise DataError(f"{name}: holds an array of shape {stored.shape}, not one gray slice; export the slice")
    return stored


def _windowed(dataset: Any, name: str, stored: np.ndarray, rules: ImageRules) -> Decoded:
    slope, intercept = float(dataset.get("RescaleSlope", 1)), float(dataset.get("RescaleIntercept", 0))
    lower, upper = rules.window or _own_window(dataset, name)
    if not np.isfinite([slope, intercept, lower, upper]).all() or not slope:
        raise ValueError("its rescaling or window is no finite number")
    if not np.isfinite(stored).all():
        raise DataError(f"{name}: holds NaN or infinite values; replace them by valid ones")
    values = np.clip(stored.astype(np.float64) * slope + intercept, lower, upper)
    inverted = str(dataset.PhotometricInterpretation) == "MONOCHROME1"
    values = upper - values if inverted else values - lower
    exact = stored.dtype.kind in "iu" and all(part.is_integer() for part in (slope, intercept, lower, upper))
    kind = np.uint16 if exact and upper - lower <= 65535 else np.float32
    # The range goes the way of the values, so that rounding leaves none above it.
    return Decoded(values.astype(kind), data_range=float(np.float32(upper - lower)))


def _own_window(dataset: Any, name: str) -> tuple[float, float]:
    from pydicom.multival import MultiValue

    centre, width = dataset.get("WindowCenter"), dataset.get("WindowWidth")
    if centre is None or width is None:
        raise DataError(f"{name}: states no window; {_DECLARE}")
    if isinstance(centre, MultiValue) or isinstance(width, MultiValue):
        centres = list(centre) if isinstance(centre, MultiValue) else [centre]
        widths = list(width) if isinstance(width, MultiValue) else [width]
        if len(centres) != len(widths) or len(set(zip(centres, widths, strict=True))) > 1:
            raise DataError(f"{name}: states {len(centres)} windows; {_DECLARE}")
        centre, width = centres[0], widths[0]
    function = str(dataset.get("VOILUTFunction") or "LINEAR")
    if function == "LINEAR":
        middle, half = float(centre) - 0.5, (float(width) - 1) / 2
    elif function == "LINEAR_EXACT":
        middle, half = float(centre), float(width) / 2
    else:
        raise DataError(f"{name}: states a window of shape {function}, which is not linear; {_DECLARE}")
    if not half > 0:
        raise DataError(f"{name}: states a window of width {float(width):g}; {_DECLARE}")
    return middle - half, middle + half
