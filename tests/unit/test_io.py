import errno
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from causaliqa import io
from causaliqa.errors import CausalIQAError, DataError


def test_atomic_path_leaves_nothing_when_the_block_fails(tmp_path: Path) -> None:
    target = tmp_path / "a" / "file.txt"
    with pytest.raises(ZeroDivisionError), io.atomic_path(target) as temporary:
        temporary.write_text("half")
        raise ZeroDivisionError
    assert list(target.parent.iterdir()) == []


def test_atomic_path_keeps_the_old_content_when_the_block_fails(tmp_path: Path) -> None:
    target = tmp_path / "file.txt"
    io.write_text(target, "old")
    with pytest.raises(ZeroDivisionError), io.atomic_path(target) as temporary:
        temporary.write_text("half")
        raise ZeroDivisionError
    assert target.read_text() == "old"


def test_a_full_disk_is_named_with_its_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, content: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(CausalIQAError, match=r"table\.csv: the disk is full; free some space"):
        io.write_csv(tmp_path / "table.csv", pd.DataFrame({"a": [1]}))
    assert list(tmp_path.iterdir()) == []


def test_a_real_full_disk(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("/dev/full exists on Linux only")
    with pytest.raises(CausalIQAError, match="the disk is full"), io.atomic_path(tmp_path / "x") as temporary:
        temporary.symlink_to("/dev/full")
        with temporary.open("wb", buffering=0) as handle:
            handle.write(b"x")


def test_atomic_directory_replaces_as_a_whole(tmp_path: Path) -> None:
    target = tmp_path / "set"
    for content in ("old", "new"):
        with io.atomic_directory(target) as folder:
            (folder / content).write_text(content)
    assert [item.name for item in target.iterdir()] == ["new"]
    with pytest.raises(ZeroDivisionError), io.atomic_directory(target) as folder:
        (folder / "half").write_text("")
        raise ZeroDivisionError
    assert [item.name for item in target.iterdir()] == ["new"]
    assert [item.name for item in tmp_path.iterdir()] == ["set"]


def test_tensors_have_the_same_bytes_under_any_name_and_order(tmp_path: Path) -> None:
    a, b = torch.arange(6.0).reshape(2, 3).T, torch.ones(2, dtype=torch.float64)
    io.write_tensors(tmp_path / "one.safetensors", {"a": a, "b": b}, {"x": "1", "y": "2"})
    io.write_tensors(tmp_path / "two.safetensors", {"b": b, "a": a}, {"y": "2", "x": "1"})
    assert (tmp_path / "one.safetensors").read_bytes() == (tmp_path / "two.safetensors").read_bytes()
    back = io.read_tensors(tmp_path / "one.safetensors")
    assert torch.equal(back["a"], a)
    assert torch.equal(back["b"], b)


@pytest.mark.parametrize("cut", [0, 5, 40])
def test_truncated_tensors_are_named(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "m.safetensors"
    io.write_tensors(path, {"a": torch.ones(9)})
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(DataError, match=r"m\.safetensors: truncated or not safetensors"):
        io.read_tensors(path)


def test_truncated_parquet_is_named(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    io.write_parquet(path, pd.DataFrame({"a": np.arange(1000)}))
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match=r"t\.parquet: truncated or not Parquet"):
        io.read_parquet(path)
    with pytest.raises(DataError, match=r"none\.parquet: missing"):
        io.read_parquet(tmp_path / "none.parquet")


def test_json_refuses_nan_and_names_damage(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Out of range float"):
        io.write_json(tmp_path / "a.json", {"x": float("nan")})
    assert not (tmp_path / "a.json").exists()
    (tmp_path / "b.json").write_text("{")
    with pytest.raises(DataError, match=r"b\.json: not valid JSON"):
        io.read_json(tmp_path / "b.json")
