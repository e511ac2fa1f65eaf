"""Synthetic files of weights in every published format."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path

import numpy as np
import torch

from causaliqa.baselines.deep.layouts import LAYOUTS
from causaliqa.io import write_tensors


def drawn(name: str) -> dict[str, np.ndarray]:
    """Return tensors of weights by this project's names, representable in half precision."""
    rng = np.random.default_rng(5)
    values = {}
    for key, shape in LAYOUTS[name].shapes.items():
        fan = np.prod(shape[1:]) if len(shape) > 1 else 1
        values[key] = rng.normal(0, np.sqrt(2 / fan) if len(shape) > 1 else 0.02, shape).astype(np.float16)
        if name.startswith(("lpips", "dists")):
            values[key] = np.abs(values[key])  # as trained ones are
    return values


def npz(arrays: dict[str, np.ndarray], compression: int = zipfile.ZIP_STORED) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", compression) as archive:
        for name, values in arrays.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, values, version=(1, 0))
            archive.writestr(f"{name}.npy", member.getvalue())
    return content.getvalue()


def squeezenet_npz() -> bytes:
    names = LAYOUTS["squeezenet1_1"].names["npz"]
    arrays = {names[key]: values for key, values in drawn("squeezenet1_1").items()}
    # The published file has the classifier too; it is left out.
    return npz({**arrays, "w25": np.zeros((10, 512, 1, 1), np.float16), "b25": np.zeros(10, np.float16)})


def varint(value: int) -> bytes:
    out = bytearray()
    while True:
        out.append(value & 0x7F | (0x80 if value > 0x7F else 0))
        value >>= 7
        if not value:
            return bytes(out)


def field(number: int, content: bytes | int) -> bytes:
    if isinstance(content, int):
        return varint(number << 3) + varint(content)
    return varint(number << 3 | 2) + varint(len(content)) + content


def blob(values: np.ndarray, *, old: bool = False, packed: bool = True) -> bytes:
    """A BlobProto; `old` has four sides, as before 2015."""
    if old:
        sides = (1,) * (4 - values.ndim) + values.shape
        shape = b"".join(field(number, side) for number, side in enumerate(sides, 1))
    elif packed:
        shape = field(7, field(1, b"".join(varint(side) for side in values.shape)))
    else:
        shape = field(7, b"".join(field(1, side) for side in values.shape))
    floats = np.ascontiguousarray(values, dtype="<f4")
    if packed:
        return shape + field(5, floats.tobytes())
    return shape + b"".join(varint(5 << 3 | 5) + struct.pack("<f", value) for value in floats.ravel().tolist())


def squeezenet_caffe(*, old: bool = False, packed: bool = True) -> bytes:
    """A NetParameter with the layers of SqueezeNet, a layer without blobs, and one that nobody asked for."""
    names, values = LAYOUTS["squeezenet1_1"].names["caffe"], drawn("squeezenet1_1")
    layers: dict[str, list[np.ndarray]] = {}
    for key, theirs in names.items():
        layers.setdefault(theirs.rpartition(".")[0], []).append(values[key])
    layer_field, name_field, blob_field = (2, 4, 6) if old else (100, 1, 7)
    content = field(1, b"SqueezeNet") + field(layer_field, field(name_field, b"relu_conv1"))
    # A loss weight: a fixed 32-bit field on the way.
    content += field(layer_field, field(name_field, b"loss") + varint(5 << 3 | 5) + b"\0\0\x80?")
    for name, (weight, bias) in layers.items():
        body = field(name_field, name.encode()) + b"".join(
            field(blob_field, blob(part, old=old, packed=packed)) for part in (weight, bias)
        )
        content += field(layer_field, body)
    return content + field(layer_field, field(name_field, b"conv10") + field(blob_field, blob(np.zeros((3, 2)))))


def torch_file(path: Path, name: str, *, legacy: bool = False) -> Path:
    """What the authors publish with torch.save, with a tensor that is left out."""
    names = LAYOUTS[name].names["torch"]
    tensors = {names[key]: torch.from_numpy(values.astype(np.float32)) for key, values in drawn(name).items()}
    torch.save({**tensors, "classifier.6.weight": torch.zeros(2, 2)}, path, _use_new_zipfile_serialization=not legacy)
    return path


def write_weights(folder: Path, *names: str) -> Path:
    """Write converted weights as `causaliqa weights` would."""
    for name in names:
        write_tensors(folder / f"{name}.safetensors", {k: torch.from_numpy(v) for k, v in drawn(name).items()})
    return folder
