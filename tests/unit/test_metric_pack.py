"""Metrics that come with the package: packing, verifying, loading by name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from metric_files import random_metric, small_params
from typer.testing import CliRunner

import causaliqa
from causaliqa import metric as module
from causaliqa.cli import build_app, main
from causaliqa.config import Params
from causaliqa.errors import ConfigError, DataError, ModelError
from causaliqa.io import read_json, sha256_bytes, sha256_file
from causaliqa.labelfree import pack as packing
from causaliqa.labelfree.pack import describe, pack


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a metric and the manifests of its data; the package's own folder is another, empty one."""
    random_metric(tmp_path / "metric.safetensors")
    for name in ("raw/bundled_natural/manifest.csv", "degraded/bundled_natural/manifest.parquet"):
        (tmp_path / "data" / name).parent.mkdir(parents=True)
        (tmp_path / "data" / name).write_text(name)
    package = tmp_path / "package"
    package.mkdir()
    monkeypatch.setattr(module, "weights_folder", lambda: package)
    monkeypatch.setattr(packing, "weights_folder", lambda: package)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def packed(project: Path, name: str = "natural") -> Path:
    return pack(project / "metric.safetensors", name, project / "package", params=small_params())


def pair() -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.rand(1, 3, 40, 40, generator=torch.Generator().manual_seed(0))
    return x, 0.5 * x


def test_the_packaged_default_is_used_by_name_and_without(project: Path) -> None:
    expected = causaliqa.load_metric(project / "metric.safetensors")(*pair())
    packed(project)
    packed(project, "other")
    assert module.packaged() == ["natural", "other"]
    for named in (None, "natural", "other", project / "package/natural.safetensors"):
        assert torch.equal(causaliqa.load_metric(named)(*pair()), expected)
    assert causaliqa.load_metric(projection="pc1").projection == "pc1"
    # What lies in the folder is meant before what comes with the package.
    random_metric(project / "natural", seed=1)
    assert not torch.equal(causaliqa.load_metric("natural")(*pair()), expected)


def test_without_a_packaged_metric_the_pipeline_s_own_is_meant(project: Path) -> None:
    assert module.packaged() == []
    with pytest.raises(DataError, match=r"all_domains/full/0/metric\.safetensors: no trained metric; make it with"):
        causaliqa.load_metric()
    with pytest.raises(DataError, match=r"^natural: no trained metric"):
        causaliqa.load_metric("natural")
    own = random_metric(project / module.DEFAULT_METRIC)
    assert torch.equal(causaliqa.load_metric()(*pair()), causaliqa.load_metric(own)(*pair()))


def test_the_card_says_how_to_train_it_again(project: Path) -> None:
    path = packed(project)
    card = read_json(path.with_suffix(".json"))
    assert path.read_bytes() == (project / "metric.safetensors").read_bytes()
    assert card["sha256"] == sha256_file(path)
    assert card["bytes"] == path.stat().st_size
    assert card["datasets"] == {
        "bundled_natural": {
            "raw": sha256_bytes(b"raw/bundled_natural/manifest.csv"),
            "degraded": sha256_bytes(b"degraded/bundled_natural/manifest.parquet"),
        }
    }
    assert card["command"] == "snakemake --cores all results/project/natural/full/0/metric.safetensors"
    assert card["versions"]["torch"] == torch.__version__
    assert card["versions"]["causaliqa"] == causaliqa.__version__
    assert len(card["code"]) == 64
    # The sections that decide about the metric are a part of a configuration, of this model alone.
    params = small_params()
    restored = Params.model_validate({"fetch": {"datasets": ["bundled_natural"]}, **card["params"]})
    assert restored.pretrain.variant("full") == params.pretrain.variant("full")
    assert restored.degrade == params.degrade
    assert list(restored.pretrain.scenarios) == ["natural"]
    before = path.with_suffix(".json").read_bytes()
    packed(project)
    assert path.with_suffix(".json").read_bytes() == before


def test_tampered_weights_are_refused(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = packed(project)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"natural.safetensors: its SHA-256 is [0-9a-f]{64}, its card says"):
        causaliqa.load_metric()
    with pytest.raises(SystemExit):
        main(["score", "a.png", "b.png"])
    assert "natural.safetensors: its SHA-256 is" in capsys.readouterr().err
    for text, message in (
        ("{", "not the card of a metric"),
        ("[]", "not the card of a metric"),
        ("{}", "not the card of a metric"),
    ):
        path.with_suffix(".json").write_text(text)
        with pytest.raises(ModelError, match=message):
            causaliqa.load_metric()
    path.with_suffix(".json").unlink()
    with pytest.raises(ModelError, match=r"natural.json: missing, so natural.safetensors cannot be verified"):
        causaliqa.load_metric()


def test_a_metric_that_cannot_be_packed_is_named(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, out, params = project / "metric.safetensors", project / "package", small_params()
    with pytest.raises(ConfigError, match=r"--name: '\.\./up': use lower-case letters"):
        pack(source, "../up", out, params=params)
    with pytest.raises(ConfigError, match=r"was trained with another pretrain.steps; name the preset"):
        pack(source, "natural", out, params=small_params(steps=7))
    with pytest.raises(ConfigError, match=r"another pretrain.scenarios.natural;"):
        pack(source, "natural", out, params=small_params(scenarios={"natural": ["bundled_texture"]}))
    with pytest.raises(ConfigError, match="was trained as natural/full, which the configuration lacks"):
        pack(source, "natural", out, params=small_params(scenarios={"natural": None}))
    with pytest.raises(DataError, match=r"elsewhere/raw/bundled_natural/manifest.csv: missing; its checksum"):
        pack(source, "natural", out, params=params, data=project / "elsewhere")
    (project / "text.safetensors").write_text("no tensors")
    with pytest.raises(DataError, match="truncated or not safetensors"):
        pack(project / "text.safetensors", "natural", out, params=params)
    monkeypatch.setattr(packing, "MAX_BYTES", 10_000)
    with pytest.raises(DataError, match=r"MB; a packaged metric is at most 0 MB: lower pretrain.width"):
        pack(source, "natural", out, params=params)
    assert list(out.iterdir()) == []


def test_the_verbs_pack_and_show(project: Path) -> None:
    def run(*arguments: str) -> str:
        result = CliRunner().invoke(build_app(), ["metric", *arguments], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.stdout

    made = run(
        "pack", "metric.safetensors", "--name", "natural", "--params", small_params().model_dump_json(),
        "--command", "snakemake ship_natural",
    )  # fmt: skip
    assert "natural.safetensors" in made
    shown = run("show")
    assert "natural/full, seed 0" in shown
    assert "snakemake ship_natural" in shown
    assert f"raw manifest {sha256_bytes(b'raw/bundled_natural/manifest.csv')}" in shown
    assert json.loads(run("show", "natural", "--json")) == describe(project / "package/natural.safetensors")
    other = run("show", "metric.safetensors")
    assert "natural/full, seed 0" in other
    assert "snakemake" not in other
    with pytest.raises(ConfigError, match="--params is a whole configuration; leave out --preset"):
        run("pack", "metric.safetensors", "--name", "a", "--params", "{}", "--preset", "ci")


def test_what_lies_in_the_package_is_whole() -> None:
    """Every packaged metric has a card, fits it, is small, and scores; the folder itself is part of the package."""
    folder = module.weights_folder()
    assert (folder / "README.md").is_file()
    assert {path.stem for path in folder.glob("*.json")} == set(module.packaged())
    for name in module.packaged():
        assert (folder / f"{name}.safetensors").stat().st_size <= packing.MAX_BYTES
        metric = causaliqa.load_metric(name)
        x, y = pair()
        assert float(metric(x, x)) == 0.0
        assert float(metric(x, y)) > 0.0
        assert read_json(folder / f"{name}.json")["name"] == name
