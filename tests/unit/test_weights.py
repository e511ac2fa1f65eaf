"""Weights of deep metrics: registry, readers of published files, fetching."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from weight_files import drawn, field, npz, squeezenet_caffe, squeezenet_npz, torch_file, varint

from causaliqa.baselines.deep import NEEDS, needed_weights
from causaliqa.baselines.deep import convert as module
from causaliqa.baselines.deep.convert import convert
from causaliqa.baselines.deep.layouts import LAYOUTS, Format
from causaliqa.baselines.deep.load import load_weights
from causaliqa.baselines.deep.models import RECIPES
from causaliqa.baselines.deep.weights import fetch_weights, load_registry
from causaliqa.baselines.registry import DEEP, METRICS
from causaliqa.cli import main
from causaliqa.datasets.fetch import Places
from causaliqa.errors import ConfigError, DataError, ModelError
from causaliqa.io import sha256_bytes, write_tensors

ROOT = Path(__file__).parents[2]


# Declarations


def test_registry_has_all_weights_that_metrics_need() -> None:
    registry = load_registry(ROOT / "data/weights.yaml")
    assert set(registry) == set(LAYOUTS) == {name for needed in NEEDS.values() for name in needed}
    for entry in registry.values():
        assert entry.licence
        assert entry.citation
        assert any(source.urls for source in entry.sources)


def test_metrics_weights_and_recipes_agree() -> None:
    assert set(DEEP) == set(NEEDS) == set(RECIPES)
    assert not set(DEEP) & set(METRICS)
    assert all(metric.weights == NEEDS[name] for name, metric in DEEP.items())
    assert needed_weights(["psnr", "dists", "lpips_vgg"]) == ["dists", "lpips_vgg", "vgg16"]
    assert needed_weights(["psnr"]) == []


@pytest.mark.parametrize("metric", RECIPES)
def test_networks_take_the_tensors_of_their_layout(metric: str) -> None:
    network = RECIPES[metric].network()
    assert {key: tuple(value.shape) for key, value in network.state_dict().items()} == LAYOUTS[NEEDS[metric][0]].shapes
    assert not any(parameter.requires_grad for parameter in network.parameters())


def write_registry(folder: Path, **changes: object) -> Path:
    entry = {
        "title": "toy",
        "licence": "none",
        "sources": [{"name": "toy.npz", "format": "npz", "manual": "ask for it"}],
        **changes,
    }
    path = folder / "weights.yaml"
    path.write_text(yaml.safe_dump({"squeezenet1_1": entry}))
    return path


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"licence": None}, r"squeezenet1_1\.licence: .*; correct the entry"),
        ({"licens": "x"}, r"squeezenet1_1\.licens: "),
        ({"sources": []}, r"squeezenet1_1\.sources: "),
        ({"sources": [{"name": "a.pth", "format": "torch", "manual": "x"}]}, r"a\.pth: .* is read from npz, caffe"),
        ({"sources": [{"name": "a.npz", "format": "npz"}]}, r"give urls, or the steps"),
        ({"sources": [{"name": "../a.npz", "format": "npz", "manual": "x"}]}, r"sources\.0\.name"),
        ({"sources": [{"name": "a.npz", "format": "npz", "manual": "x"}] * 2}, r"two sources have the same file name"),
    ],
)  # fmt: skip
def test_wrong_entries_are_named(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_registry(write_registry(tmp_path, **changes))


def test_wrong_registries_are_named(tmp_path: Path) -> None:
    path = tmp_path / "weights.yaml"
    path.write_text("resnet: {}")
    with pytest.raises(
        ConfigError, match=r"weights\.yaml: resnet: no network takes such weights; known are squeezenet1_1"
    ):
        load_registry(path)
    path.write_text("[]")
    with pytest.raises(ConfigError, match="must map names of weights"):
        load_registry(path)


# Readers


def equal(found: dict[str, torch.Tensor], name: str) -> None:
    expected = drawn(name)
    assert set(found) == set(expected)
    for key, tensor in found.items():
        assert tensor.dtype == (torch.float16 if LAYOUTS[name].half else torch.float32)
        np.testing.assert_array_equal(tensor.float().numpy(), expected[key].astype(np.float32))


def test_npz_is_read(tmp_path: Path) -> None:
    path = tmp_path / "toy.npz"
    path.write_bytes(squeezenet_npz())
    equal(convert(path, "squeezenet1_1", "npz"), "squeezenet1_1")


@pytest.mark.parametrize(("old", "packed"), [(False, True), (False, False), (True, True)])
def test_caffe_model_is_read(tmp_path: Path, old: bool, packed: bool) -> None:
    path = tmp_path / "toy.caffemodel"
    path.write_bytes(squeezenet_caffe(old=old, packed=packed))
    equal(convert(path, "squeezenet1_1", "caffe"), "squeezenet1_1")


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize(
    "name", ["alexnet", "squeezenet1_1_torchvision", "lpips_alex", "lpips_vgg", "lpips_squeeze", "dists"]
)
def test_torch_file_is_read(tmp_path: Path, name: str, legacy: bool) -> None:
    equal(convert(torch_file(tmp_path / "toy.pth", name, legacy=legacy), name, "torch"), name)


def test_parameters_in_a_torch_file_are_read(tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    torch.save(
        {key: torch.nn.Parameter(torch.from_numpy(v.astype(np.float32))) for key, v in drawn("dists").items()}, path
    )
    equal(convert(path, "dists", "torch"), "dists")


class _Evil:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return open, (str(self.path), "w")


@pytest.mark.parametrize("protocol", ["torch", "pickle"])
def test_code_in_a_torch_file_does_not_run(tmp_path: Path, protocol: str) -> None:
    path, trace = tmp_path / "toy.pth", tmp_path / "trace"
    if protocol == "torch":
        torch.save({"alpha": _Evil(trace)}, path)
    else:
        path.write_bytes(pickle.dumps(_Evil(trace), protocol=2))
    with pytest.raises(
        DataError, match=r"toy\.pth: is not a file of PyTorch weights .*; it is not the published file"
    ) as caught:
        convert(path, "dists", "torch")
    assert not trace.exists()
    assert "\n" not in str(caught.value)
    assert "weights_only" not in str(caught.value)


def test_an_array_of_objects_is_refused(tmp_path: Path) -> None:
    path, trace = tmp_path / "toy.npz", tmp_path / "trace"
    member = io.BytesIO()
    np.lib.format.write_array(member, np.array([_Evil(trace)], dtype=object), version=(1, 0))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("w00.npy", member.getvalue())
    with pytest.raises(DataError, match="array w00 is of type object"):
        convert(path, "squeezenet1_1", "npz")
    assert not trace.exists()


def _npz_with(**changes: np.ndarray | None) -> bytes:
    names = LAYOUTS["squeezenet1_1"].names["npz"]
    arrays = {names[key]: values for key, values in drawn("squeezenet1_1").items()}
    return npz({key: value for key, value in {**arrays, **changes}.items() if value is not None})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not an .npz file"),
        (b"PK\x03\x04 nothing", "is not an .npz file"),
        (_npz_with(w03=None), "has no array w03"),
        (
            _npz_with(w00=np.zeros((64, 3, 7, 7), np.float16)),
            r"tensor w00 has shape \[64, 3, 7, 7\], not \[64, 3, 3, 3\]",
        ),
        (_npz_with(w00=np.zeros((64, 3, 3, 3), np.int16)), "array w00 is of type int16"),
        (_npz_with(w00=np.asfortranarray(np.zeros((64, 3, 3, 3), np.float16))), "by columns"),
        (_npz_with(b02=np.full(64, np.nan, np.float16)), r"tensor fires\.0\.one\.bias holds NaN"),
    ],
)
def test_wrong_npz_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "toy.npz"
    path.write_bytes(content)
    with pytest.raises(
        DataError, match=rf"toy\.npz: .*{message}.*; it is not the published file of squeezenet1_1, get it anew"
    ):
        convert(path, "squeezenet1_1", "npz")


def test_a_header_that_promises_too_much_allocates_nothing(tmp_path: Path) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (1 << 40,)})
    path = tmp_path / "toy.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("w00.npy", header.getvalue())
    with pytest.raises(DataError, match="tensor w00 has shape"):
        convert(path, "squeezenet1_1", "npz")
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (64, 3, 3, 3)})
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("w00.npy", header.getvalue() + b"\0" * 8)
    with pytest.raises(DataError, match="array w00 is cut off"):
        convert(path, "squeezenet1_1", "npz")


def test_a_bomb_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "toy.npz"
    path.write_bytes(npz({"w00": np.zeros(20_000_000, np.float32)}, zipfile.ZIP_DEFLATED))
    assert path.stat().st_size < 1_000_000
    with pytest.raises(DataError, match="unpacks to more than"):
        convert(path, "squeezenet1_1", "npz")


@pytest.mark.parametrize("kind", ["npz", "caffe", "torch"])
def test_a_file_that_is_too_large_is_not_read(tmp_path: Path, kind: Format) -> None:
    name = "dists" if kind == "torch" else "squeezenet1_1"
    path = tmp_path / "toy"
    with path.open("wb") as handle:
        handle.truncate(module.MAX_BYTES[kind] + 1)
    with pytest.raises(DataError, match="more than the"):
        convert(path, name, kind)


_LAYER = field(1, b"conv1")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "has no weight of layer conv1"),
        (b"\x80" * 11, "a number of more than ten bytes"),
        (b"\x80", "ends inside a number"),
        (b"<!doctype html>", "not a Caffe model"),
        (varint(100 << 3 | 2) + varint(1 << 60), "is cut off"),
        (field(100, _LAYER), "has no weight of layer conv1"),
        (
            field(100, _LAYER + field(7, field(7, field(1, b"\x40\x03\x05\x05")))),
            r"conv1\.weight has shape \[64, 3, 5, 5\]",
        ),
        (field(100, _LAYER + field(7, field(7, field(1, b"\x40\x03\x03\x03")))), r"blob conv1\.weight has 0 bytes"),
        (field(100, _LAYER + field(7, field(7, field(1, varint(1 << 62))))), r"conv1\.weight has shape"),
        (field(100, field(1, b"\xff\xfe")), "has no weight of layer conv1"),
    ],
)
def test_wrong_caffe_model_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "toy.caffemodel"
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf"toy\.caffemodel: .*{message}"):
        convert(path, "squeezenet1_1", "caffe")


_CAFFE = squeezenet_caffe()


@settings(max_examples=60, deadline=None)
@given(
    cut=st.integers(0, len(_CAFFE) - 30),
    flips=st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 255)), max_size=6),
)
def test_damaged_caffe_models_are_refused_or_read(
    cut: int, flips: list[tuple[int, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    content = bytearray(_CAFFE[:cut])
    for place, value in flips:
        if place < len(content):
            content[place] = value
    path = tmp_path_factory.getbasetemp() / "damaged.caffemodel"
    path.write_bytes(content)
    with pytest.raises(DataError):
        convert(path, "squeezenet1_1", "caffe")


@settings(max_examples=40, deadline=None)
@given(content=st.binary(max_size=400), zipped=st.booleans())
@example(content=b"J", zipped=False)  # a truncated integer, which torch's unpickler does not expect
def test_any_bytes_are_no_torch_weights(content: bytes, zipped: bool, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "any.pth"
    path.write_bytes(content)
    if zipped:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", content)
            archive.writestr("archive/version", "3")
    with pytest.raises(DataError, match=r"any\.pth: "):
        convert(path, "dists", "torch")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], "does not hold tensors by name"),
        ({"alpha": torch.ones(1, 1475, 1, 1)}, "has no tensor beta"),
        ({"alpha": torch.ones(1, 1475, 1, 1, dtype=torch.int32)}, "has no tensor alpha"),
        ({"alpha": "a"}, "has no tensor alpha"),
        ({"alpha": torch.ones(1475)}, r"tensor alpha has shape \[1475\], not \[1, 1475, 1, 1\]"),
        # One number that claims to be many: refused before it is spread out.
        ({"alpha": torch.ones(1).expand(1 << 40)}, "tensor alpha has shape"),
        (
            {key: torch.full((1, 1475, 1, 1), torch.inf) for key in ("alpha", "beta")},
            "tensor alpha holds NaN or infinite",
        ),
    ],
)
def test_wrong_torch_file_is_refused(tmp_path: Path, content: object, message: str) -> None:
    path = tmp_path / "toy.pt"
    torch.save(content, path)
    with pytest.raises(DataError, match=rf"toy\.pt: .*{message}"):
        convert(path, "dists", "torch")


def test_a_missing_file_and_a_wrong_format_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.npz: no such file; check the path"):
        convert(tmp_path / "none.npz", "squeezenet1_1", "npz")
    with pytest.raises(DataError, match=r"is not read from npz files; pass one of torch"):
        convert(tmp_path / "none.npz", "dists", "npz")
    with pytest.raises(DataError, match=r"cannot be read \(Is a directory\)"):
        convert(tmp_path, "squeezenet1_1", "caffe")


# Fetching


def places(folder: Path, mirror: Path | str | None = None) -> Places:
    return Places(folder / "downloads", folder / "checksums.json", mirror=None if mirror is None else str(mirror))


def two_sources(folder: Path, **npz_changes: object) -> Path:
    return write_registry(
        folder,
        sources=[
            {"name": "toy.npz", "format": "npz", "manual": "ask for it", **npz_changes},
            {"name": "toy.caffemodel", "format": "caffe", "manual": "ask for it"},
        ],
    )


def test_either_source_gives_the_same_file(tmp_path: Path) -> None:
    registry = two_sources(tmp_path)
    made = []
    for file, content in (("toy.npz", squeezenet_npz()), ("toy.caffemodel", squeezenet_caffe())):
        mirror, out = tmp_path / f"mirror of {file}", tmp_path / f"out of {file}"
        mirror.mkdir()
        (mirror / file).write_bytes(content)
        card = fetch_weights("squeezenet1_1", out, registry=registry, places=places(tmp_path, mirror))
        assert card == json.loads((out / "squeezenet1_1.json").read_text())
        assert card["source"] == {
            "file": file,
            "format": "npz" if file == "toy.npz" else "caffe",
            "sha256": sha256_bytes(content),
            "size": len(content),
        }
        assert sorted(path.name for path in out.iterdir()) == ["squeezenet1_1.json", "squeezenet1_1.safetensors"]
        made.append((out / "squeezenet1_1.safetensors").read_bytes())
        assert card["sha256"] == sha256_bytes(made[-1])
        equal({key: value.half() for key, value in load_weights("squeezenet1_1", out).items()}, "squeezenet1_1")
    assert made[0] == made[1]


def test_the_first_source_goes_first_where_both_are(tmp_path: Path) -> None:
    (tmp_path / "toy.npz").write_bytes(squeezenet_npz())
    (tmp_path / "toy.caffemodel").write_bytes(b"not asked for")
    card = fetch_weights(
        "squeezenet1_1", tmp_path / "out", registry=two_sources(tmp_path), places=places(tmp_path, tmp_path)
    )
    assert card["source"]["file"] == "toy.npz"


def test_a_file_put_among_the_downloads_is_used(tmp_path: Path) -> None:
    (tmp_path / "downloads").mkdir()
    (tmp_path / "downloads/toy.caffemodel").write_bytes(squeezenet_caffe())
    card = fetch_weights("squeezenet1_1", tmp_path / "out", registry=two_sources(tmp_path), places=places(tmp_path))
    assert card["source"]["file"] == "toy.caffemodel"


def test_the_first_checksum_is_enforced_from_then_on(tmp_path: Path) -> None:
    registry = two_sources(tmp_path)
    (tmp_path / "toy.npz").write_bytes(squeezenet_npz())
    fetch_weights("squeezenet1_1", tmp_path / "out", registry=registry, places=places(tmp_path, tmp_path))
    assert set(json.loads((tmp_path / "checksums.json").read_text())) == {"squeezenet1_1/toy.npz"}
    (tmp_path / "toy.npz").write_bytes(squeezenet_npz() + b"\0")
    with pytest.raises(DataError, match=r"toy\.npz: has \d+ bytes, not the \d+ of the first download"):
        fetch_weights("squeezenet1_1", tmp_path / "out", registry=registry, places=places(tmp_path, tmp_path))


def test_a_wrong_file_on_the_mirror_is_reported_not_passed_over(tmp_path: Path) -> None:
    (tmp_path / "toy.npz").write_bytes(squeezenet_npz())
    (tmp_path / "toy.caffemodel").write_bytes(squeezenet_caffe())
    registry = two_sources(tmp_path, sha256="0" * 64)
    with pytest.raises(DataError, match=r"toy\.npz: has SHA-256 .*; put the right file on the mirror"):
        fetch_weights("squeezenet1_1", tmp_path / "out", registry=registry, places=places(tmp_path, tmp_path))
    assert not (tmp_path / "out").exists()


def test_where_no_source_is_all_are_named(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"toy\.npz is not served to everyone.*CAUSALIQA_MIRROR.*; or .*toy\.caffemodel"
    ):
        fetch_weights("squeezenet1_1", tmp_path / "out", registry=two_sources(tmp_path), places=places(tmp_path))


def test_unknown_weights_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no weights 'squeezenet1_0'; did you mean 'squeezenet1_1'\?"):
        fetch_weights("squeezenet1_0", tmp_path, registry=ROOT / "data/weights.yaml", places=places(tmp_path))


# Converted files


def test_missing_and_damaged_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"dists\.safetensors: missing, metric dists needs it; .*weights fetch dists"):
        load_weights("dists", tmp_path)
    (tmp_path / "dists.safetensors").write_bytes(b"\xff" * 100)
    with pytest.raises(ModelError, match=r"dists\.safetensors: truncated or not safetensors"):
        load_weights("dists", tmp_path)
    write_tensors(tmp_path / "dists.safetensors", {"alpha": torch.zeros(3)})
    with pytest.raises(ModelError, match=r"does not hold the tensors of dists, metric dists needs it; make it anew"):
        load_weights("dists", tmp_path)


# Command line


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    registry, out = ("--registry", str(ROOT / "data/weights.yaml")), ("--out", str(tmp_path / "out"))

    def said(*arguments: str) -> str:
        with pytest.raises(SystemExit) as ended:
            main(["weights", *arguments])
        captured = capsys.readouterr()
        return f"{ended.value.code}: {captured.out}{captured.err}"

    listed = said("list", *registry, *out)
    assert "squeezenet1_1              -" in listed
    assert "for squeeze_lpips, squeeze_dists, squeeze_wsd" in listed
    file = torch_file(tmp_path / "lpips_v0.1_alex.pth", "lpips_alex")
    assert "1152 parameters" in said("convert", str(file), *registry, *out)
    assert "lpips_alex                 here" in said("list", *registry, *out)
    other = file.rename(tmp_path / "alex.pth")
    assert "error: " in said("convert", str(other), *registry, *out)
    assert "--as NAME" in said("convert", str(other), *registry, *out)
    assert said("convert", str(other), "--as", "lpips_alex", *registry, *out).startswith("0: ")
    assert "--as: no weights 'alex'" in said("convert", str(other), "--as", "alex", *registry, *out)
    strange = other.rename(tmp_path / "alex.bin")
    assert "must end in .npz" in said("convert", str(strange), "--as", "lpips_alex", *registry, *out)
    monkeypatch.setenv("CAUSALIQA_MIRROR", str(tmp_path))
    (tmp_path / "toy.npz").write_bytes(squeezenet_npz())
    rest = ("--downloads", str(tmp_path / "downloads"), "--record", str(tmp_path / "record.json"))
    assert "722496 parameters from toy.npz" in said(
        "fetch", "squeezenet1_1", "--registry", str(write_registry(tmp_path)), *out, *rest
    )
