"""Readers of published weights: files from others, so sizes are bounded and no code in them runs.

Each returns exactly the tensors of a :class:`causaliqa.baselines.deep.layouts.Layout`, checked for shape and finite.
"""

from __future__ import annotations

import math
import pickle
import struct
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np

from causaliqa.baselines.deep.layouts import LAYOUTS, Format, Layout, Shape
from causaliqa.errors import DataError

if TYPE_CHECKING:
    from torch import Tensor

#: Largest file that is read, and the largest content that a compressed one may have, by format.
MAX_BYTES: dict[Format, int] = {"npz": 64_000_000, "caffe": 64_000_000, "torch": 1_000_000_000}
#: Format by the end of a file's name.
SUFFIXES: dict[str, Format] = {".npz": "npz", ".caffemodel": "caffe", ".pth": "torch", ".pt": "torch"}


class _Malformed(Exception):
    """The file is not what its format says; the message says where."""


def convert(path: Path, name: str, kind: Format) -> dict[str, Tensor]:
    """Read the tensors of weights from a published file.

    Parameters
    ----------
    path : the file.
    name : which weights it holds, see :data:`causaliqa.baselines.deep.layouts.LAYOUTS`.
    kind : its format.

    Returns
    -------
    Tensor by name, float32, or float16 where the layout says so.

    Raises
    ------
    DataError
        If the file is too large, damaged, or lacks a tensor of the right shape; the message names it.
    """
    layout = LAYOUTS[name]
    if kind not in layout.names:
        raise DataError(f"{path}: {name} is not read from {kind} files; pass one of {', '.join(layout.names)}")
    readers: dict[Format, Callable[[Path, Layout], dict[str, Tensor]]] = {
        "npz": _from_npz,
        "caffe": _from_caffe,
        "torch": _from_torch,
    }
    try:
        size = path.stat().st_size
        if size > MAX_BYTES[kind]:
            raise _Malformed(f"has {size} bytes, more than the {MAX_BYTES[kind]} that weights can have")
        tensors = readers[kind](path, layout)
        return {key: _finished(key, tensor, half=layout.half) for key, tensor in tensors.items()}
    except _Malformed as error:
        raise DataError(f"{path}: {error}; it is not the published file of {name}, get it anew") from None
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; check the path") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}); get it anew") from None


def _finished(key: str, tensor: Tensor, *, half: bool) -> Tensor:
    import torch

    values = tensor.detach().to(torch.float16 if half else torch.float32).contiguous()
    if not bool(torch.isfinite(values).all()):
        raise _Malformed(f"tensor {key} holds NaN or infinite values")
    return values


def _fits(theirs: str, found: Shape, expected: Shape) -> None:
    if found != expected:
        raise _Malformed(f"tensor {theirs} has shape {list(found)}, not {list(expected)}")


# NumPy


def _from_npz(path: Path, layout: Layout) -> dict[str, Tensor]:
    import torch

    tensors = {}
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(member.file_size for member in archive.infolist()) > MAX_BYTES["npz"]:
                raise _Malformed(f"unpacks to more than {MAX_BYTES['npz']} bytes")
            for ours, theirs in layout.names["npz"].items():
                try:
                    content = archive.open(f"{theirs}.npy")
                except KeyError:
                    raise _Malformed(f"has no array {theirs}") from None
                with content:
                    values = _read_array(content, theirs, layout.shapes[ours])
                tensors[ours] = torch.from_numpy(values)
    # zipfile says NotImplementedError of a compression that it does not know, and RuntimeError of an encrypted member.
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        raise _Malformed(f"is not an .npz file ({error})") from None
    return tensors


def _read_array(content: IO[bytes], theirs: str, expected: Shape) -> np.ndarray:
    """Read one .npy member: its header first, so that nothing is allocated for a shape that does not fit."""
    try:
        version = np.lib.format.read_magic(content)
        if version != (1, 0):
            raise _Malformed(f"array {theirs} is in version {version} of the .npy format, not (1, 0)")
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(content)
    except ValueError as error:
        raise _Malformed(f"array {theirs} is damaged ({error})") from None
    if dtype.kind != "f" or fortran:
        raise _Malformed(f"array {theirs} is of type {dtype}{', by columns' if fortran else ''}, not plain floats")
    # A bias or a 1 x 1 kernel may be stored with or without its sides of 1.
    if [side for side in shape if side != 1] != [side for side in expected if side != 1]:
        _fits(theirs, shape, expected)
    values = np.frombuffer(content.read(math.prod(expected) * dtype.itemsize), dtype)
    if values.size != math.prod(expected):
        raise _Malformed(f"array {theirs} is cut off")
    return values.reshape(expected).astype(np.float32)


# Caffe: NetParameter in the protocol buffers' wire format

#: Field of layers in the network to (field of its name, field of its blobs): today's messages and those before 2015.
_LAYERS = {100: (1, 7), 2: (4, 6)}
_BLOB_SIDES, _BLOB_DATA, _BLOB_SHAPE, _SHAPE_DIM = (1, 2, 3, 4), 5, 7, 1
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    """Return a number and the place behind it."""
    value = 0
    for count in range(10):
        if at >= len(data):
            raise _Malformed("ends inside a number")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << (7 * count)
        if byte < 0x80:
            return value, at
    raise _Malformed("holds a number of more than ten bytes")


def _message(data: memoryview) -> Iterator[tuple[int, int, int | memoryview]]:
    """Yield (field, wire type, value) of a message; values of fixed and given length are views, nothing is copied."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, wire = key >> 3, key & 7
        if wire == _VARINT:
            value, at = _varint(data, at)
            yield number, wire, value
            continue
        if wire == _BYTES:
            size, at = _varint(data, at)
        elif wire in (_FIXED32, _FIXED64):
            size = 4 if wire == _FIXED32 else 8
        else:
            raise _Malformed(f"is not a Caffe model (wire type {wire})")
        if size > len(data) - at:
            raise _Malformed("is cut off, or not a Caffe model")
        yield number, wire, data[at : at + size]
        at += size


def _blob(data: memoryview, theirs: str, expected: Shape) -> np.ndarray:
    """Return the values of one blob."""
    sides: dict[int, int] = {}
    dims: list[int] | None = None
    parts: list[memoryview] = []
    for number, _, value in _message(data):
        if number == _BLOB_SHAPE and isinstance(value, memoryview):
            dims = _dims(value)
        elif number in _BLOB_SIDES and isinstance(value, int):
            sides[number] = value
        elif number == _BLOB_DATA and isinstance(value, memoryview):
            parts.append(value)
    found = tuple(dims) if dims is not None else tuple(sides.get(number, 1) for number in _BLOB_SIDES)
    # Old files give a bias four sides, three of them 1.
    if [side for side in found if side != 1] != [side for side in expected if side != 1]:
        _fits(theirs, found, expected)
    values = b"".join(parts)
    if len(values) != 4 * math.prod(expected):
        raise _Malformed(f"blob {theirs} has {len(values)} bytes of values, not {4 * math.prod(expected)}")
    return np.frombuffer(values, "<f4").reshape(expected)


def _dims(data: memoryview) -> list[int]:
    dims: list[int] = []
    for number, _, value in _message(data):
        if number != _SHAPE_DIM:
            continue
        if isinstance(value, int):
            dims.append(value)
            continue
        at = 0
        while at < len(value):
            side, at = _varint(value, at)
            dims.append(side)
    return dims


def _from_caffe(path: Path, layout: Layout) -> dict[str, Tensor]:
    import torch

    wanted = {theirs.rpartition(".")[0] for theirs in layout.names["caffe"].values()}
    blobs: dict[str, list[memoryview]] = {}
    for number, _, layer in _message(memoryview(path.read_bytes())):
        if number not in _LAYERS or not isinstance(layer, memoryview):
            continue
        name_field, blob_field = _LAYERS[number]
        fields = [(field, value) for field, _, value in _message(layer) if isinstance(value, memoryview)]
        name = next((bytes(value).decode(errors="replace") for field, value in fields if field == name_field), "")
        if name in wanted:
            blobs[name] = [value for field, value in fields if field == blob_field]
    tensors = {}
    for ours, theirs in layout.names["caffe"].items():
        layer_name, _, part = theirs.rpartition(".")
        place = ("weight", "bias").index(part)
        found = blobs.get(layer_name, [])
        if place >= len(found):
            raise _Malformed(f"has no {part} of layer {layer_name}")
        tensors[ours] = torch.from_numpy(_blob(found[place], theirs, layout.shapes[ours]).copy())
    return tensors


# PyTorch


def _from_torch(path: Path, layout: Layout) -> dict[str, Tensor]:
    import torch

    zipped = zipfile.is_zipfile(path)
    try:
        if zipped:
            with zipfile.ZipFile(path) as archive:
                if sum(member.file_size for member in archive.infolist()) > MAX_BYTES["torch"]:
                    raise _Malformed(f"unpacks to more than {MAX_BYTES['torch']} bytes")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about pickles that it then refuses
            # weights_only: an unpickler that knows tensors and nothing that could run.
            loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except (
        pickle.UnpicklingError, zipfile.BadZipFile, RuntimeError, EOFError, ValueError, LookupError, TypeError,
        AttributeError, AssertionError, ArithmeticError, MemoryError, ImportError, struct.error,
    ) as error:  # fmt: skip
        # Its own advice, to load without the safeguard, must not reach the user.
        reason = str(error).strip().splitlines()[:1] or [type(error).__name__]
        raise _Malformed(f"is not a file of PyTorch weights ({reason[0].split('. ')[0]})") from None
    if not isinstance(loaded, dict):
        raise _Malformed("does not hold tensors by name")
    tensors = {}
    for ours, theirs in layout.names["torch"].items():
        tensor = loaded.get(theirs)
        if not isinstance(tensor, torch.Tensor) or not tensor.is_floating_point():
            raise _Malformed(f"has no tensor {theirs}")
        _fits(theirs, tuple(tensor.shape), layout.shapes[ours])
        tensors[ours] = tensor
    return tensors
