"""The configuration: messages, presets, schema, and what Snakemake makes of them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import jsonschema
import pytest
import yaml
from projects import ROOT, Project

from causaliqa.cli import main
from causaliqa.config import Params, load_params, merge, parse_params, read_yaml
from causaliqa.errors import ConfigError
from causaliqa.workflow.params import describe_keys, lay_over

PRESETS = sorted((ROOT / "config").glob("*.yaml"))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the configuration only."""
    shutil.copy(ROOT / "params.yaml", tmp_path)
    shutil.copytree(ROOT / "config", tmp_path / "config")
    shutil.copytree(ROOT / "workflow" / "schemas", tmp_path / "workflow" / "schemas")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def call(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    return int(stop.value.code or 0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pretrain": {"mas": "none"}}, "pretrain.mas: unknown key in pretrain; did you mean 'mask'?"),
        ({"degrad": {}}, "degrad: unknown key in the top level; did you mean 'degrade'?"),
        ({"degrade": {"size": "big"}}, "degrade.size: Input should be a valid integer"),
        (
            {"pretrain": {"loss": {"energi": 1}}},
            "pretrain.loss.energi: unknown key in pretrain.loss; did you mean 'energy'?",
        ),
        ({"pretrain": {"scenarios": {"a": ["bundled_natura"]}}}, "did you mean 'bundled_natural'?"),
    ],
)
def test_a_bad_key_names_itself_its_section_and_its_neighbour(change: dict[str, object], message: str) -> None:
    values = merge(read_yaml(ROOT / "params.yaml"), change)
    with pytest.raises(ConfigError) as error:
        parse_params(values, "params.yaml")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("preset", PRESETS, ids=lambda path: path.stem)
def test_presets_are_valid(preset: Path) -> None:
    load_params(ROOT / "params.yaml", preset)


def test_null_in_a_preset_removes_a_scenario(folder: Path) -> None:
    preset = folder / "one.yaml"
    preset.write_text("pretrain:\n  scenarios:\n    natural: null\n")
    assert set(load_params(folder / "params.yaml", preset).pretrain.scenarios) == {"all_domains"}
    lay_over(folder / "params.yaml", preset)
    assert set(read_yaml(folder / "params.yaml")["pretrain"]["scenarios"]) == {"all_domains"}


def test_use_writes_block_style_and_keeps_the_comment(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    expected = load_params(folder / "params.yaml", folder / "config" / "ci.yaml")
    first = (folder / "params.yaml").read_text().splitlines()[0]
    assert call("config", "use", "ci") == 0
    text = (folder / "params.yaml").read_text()
    assert text.splitlines()[0] == first
    assert "[" not in text.split("\n", 1)[1].replace("[]", "")
    assert parse_params(yaml.safe_load(text), "params.yaml") == expected
    assert "config/ci.yaml laid over it" in capsys.readouterr().out
    assert call("config", "use", "nothing") == 1
    known = "known are benchmark, ci, cross_domain, natural, paper"
    assert f"config/nothing.yaml: no such preset; {known}" in capsys.readouterr().err
    assert (folder / "params.yaml").read_text() == text


def test_an_invalid_preset_changes_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (folder / "params.yaml").read_text()
    (folder / "config" / "bad.yaml").write_text("regress:\n  draw: 3\n")
    assert call("config", "use", "bad") == 1
    assert "regress.draw: unknown key in regress; did you mean 'draws'?" in capsys.readouterr().err
    assert (folder / "params.yaml").read_text() == before
    assert call("config", "check", "config/bad.yaml") == 1
    assert call("config", "check") == 0


def test_describe_and_show_cover_every_key(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    described = {key.name for key in describe_keys()}
    assert {name.split(".")[0] for name in described} == set(Params.model_fields)
    assert {"pretrain.loss.swap", "degrade.partition.val", "base.seeds"} <= described
    assert all(key.meaning and key.kind != "any" for key in describe_keys())
    assert call("config", "describe", "pretrain") == 0
    assert 'pretrain.mask  (content | features | none | random)  default: "content"' in capsys.readouterr().out
    assert call("config", "describe", "pretrai") == 1
    capsys.readouterr()
    assert call("config", "show", "degrade", "--preset", "ci") == 0
    assert yaml.safe_load(capsys.readouterr().out)["degrade"]["size"] == 176


def test_the_schema_is_fresh_and_accepts_what_the_models_accept(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("config", "schema", "--check") == 0
    schema = json.loads((folder / "workflow" / "schemas" / "params.schema.json").read_text())
    jsonschema.validate(read_yaml(folder / "params.yaml"), schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(merge(read_yaml(folder / "params.yaml"), {"pretrain": {"mas": "none"}}), schema)
    (folder / "workflow" / "schemas" / "params.schema.json").write_text("{}")
    capsys.readouterr()
    assert call("config", "schema", "--check") == 1
    assert "causaliqa config schema --write" in capsys.readouterr().err


def test_snakemake_refuses_a_bad_key_in_one_line(tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("pretrain:\n  mas: none\n")
    done = Project(ROOT).snakemake("--dry-run", "--configfile", str(bad), ok=False)
    assert done.code != 0
    assert "pretrain.mas: unknown key in pretrain; did you mean 'mask'?" in done.said
    assert "Traceback" not in done.said


@pytest.mark.parametrize("preset", PRESETS, ids=lambda path: path.stem)
def test_snakemake_plans_every_preset(preset: Path, tmp_path: Path) -> None:
    done = Project(ROOT).snakemake(
        "--dry-run",
        "--forceall",
        "--quiet",
        "rules",
        "--configfile",
        str(preset),
        "--snakefile",
        str(ROOT / "Snakefile"),
    )
    params = load_params(ROOT / "params.yaml", preset)
    models = len(params.pretrain.scenarios) * len(params.pretrain.variants) * len(params.base.seeds)
    rows = [line.split() for line in done.said.splitlines()]
    assert ["pretrain", str(models)] in rows
    judged = len(params.fetch.datasets) + len(params.fetch.labelled)
    assert ["embed", str(models * judged)] in rows
    assert ["fetch", str(judged + len(params.fetch.blind))] in rows
