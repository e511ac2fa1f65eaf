"""Atomic and deterministic writers.

A reader never sees half a file: content goes to a temporary neighbour, is flushed to disk and renamed. The same
content always gives the same bytes: no dates, host names or file stems are embedded.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from causaliqa.errors import CausalIQAError, DataError

if TYPE_CHECKING:
    import pandas as pd
    import torch


def _explain(error: OSError, path: Path) -> CausalIQAError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return CausalIQAError(f"{path}: the disk is full; free some space and run the same command again")
    if error.errno in (errno.EACCES, errno.EROFS, errno.EPERM):
        return CausalIQAError(f"{path}: not writable ({error.strerror}); choose another folder or fix its permissions")
    return CausalIQAError(f"{path}: cannot be written ({error.strerror or error}); check the path and the disk")


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary neighbour of `path`; rename it to `path` when the block ends without an error.

    Raises
    ------
    CausalIQAError
        If the disk is full or the folder is not writable; the message names `path`.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with temporary.open("rb") as handle:
            os.fsync(handle.fileno())
        temporary.replace(path)
    except OSError as error:
        raise _explain(error, path) from error
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_directory(path: Path) -> Iterator[Path]:
    """Yield an empty temporary folder; put it in the place of `path` when the block ends without an error."""
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        temporary.mkdir(parents=True)
        yield temporary
        if path.exists():
            shutil.rmtree(path)
        temporary.replace(path)
    except OSError as error:
        raise _explain(error, path) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` atomically."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8 atomically."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> None:
    """Write JSON with sorted keys and a final newline. NaN and infinities are refused."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read JSON.

    Raises
    ------
    DataError
        If the file is missing or not JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{path}: missing; run the stage that makes it (snakemake {path})") from None
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise DataError(f"{path}: not valid JSON ({error}); delete it and run its stage again") from None


def write_csv(path: Path, table: pd.DataFrame) -> None:
    """Write a table as CSV with ten significant digits and Unix line ends."""
    write_text(path, table.to_csv(index=False, float_format="%.10g", lineterminator="\n"))


def write_parquet(path: Path, table: pd.DataFrame) -> None:
    """Write a table as Parquet (zstd), without its index."""
    with atomic_path(path) as temporary:
        table.reset_index(drop=True).to_parquet(temporary, index=False, compression="zstd")


def read_parquet(path: Path, columns: list[str] | None = None) -> pd.DataFrame:
    """Read a Parquet table.

    Raises
    ------
    DataError
        If the file is missing, truncated or lacks one of `columns`.
    """
    import pandas as pd
    import pyarrow as pa

    if not Path(path).is_file():
        raise DataError(f"{path}: missing; run the stage that makes it (snakemake {path})")
    try:
        return pd.read_parquet(path, columns=columns)
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"{path}: truncated or not Parquet ({reason}); delete it and run its stage again") from None


def write_tensors(path: Path, tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """Write tensors as safetensors: no code, no file stem, the same bytes for the same values."""
    from safetensors.torch import save

    # safetensors refuses shared or strided memory; the header keeps insertion order, so sort for stable bytes.
    ready = {name: tensors[name].detach().cpu().contiguous() for name in sorted(tensors)}
    write_bytes(path, _with_sorted_metadata(save(ready, metadata=dict(metadata or {}) or None)))


def _with_sorted_metadata(content: bytes) -> bytes:
    """Return a safetensors file with its metadata in order: the library writes several keys in any order."""
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    if len(header.get("__metadata__", {})) < 2:
        return content
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + content[8 + size :]


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """Read a safetensors file.

    Raises
    ------
    DataError
        If the file is missing, truncated or not safetensors.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        return dict(load(Path(path).read_bytes()))
    except FileNotFoundError:
        raise DataError(f"{path}: missing; train the model first (snakemake stage_pretrain)") from None
    except (SafetensorError, ValueError) as error:
        raise DataError(f"{path}: truncated or not safetensors ({error}); delete it and train again") from None


def sha256_bytes(content: bytes) -> str:
    """Return the SHA-256 of `content` as 64 hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file, read in blocks so that memory stays bounded."""
    with Path(path).open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
