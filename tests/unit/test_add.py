"""Adding a folder of one's own to the registry."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from toy_datasets import blind_folder, fetched, picture, png, scored_folder, write_registry, write_table

from causaliqa.config import Fetch, merge, parse_params, read_yaml
from causaliqa.datasets.add import add_local
from causaliqa.datasets.fetch import fetch_dataset
from causaliqa.datasets.registry import LocalDataset, find_dataset, load_registry
from causaliqa.errors import ConfigError, DataError

HEAD = """\
# a comment that must stay
other:
  title: "Other: quoted"   # and this one
  version: "1"
  kind: pristine
  domain: natural
  source: local
  redistribution: true
  folder: other
  layout: pristine


"""


@pytest.fixture
def registry(tmp_path: Path) -> Path:
    path = tmp_path / "registry.yaml"
    path.write_text(HEAD)
    return path


def add(registry: Path, name: str, folder: Path, **changes: Any) -> str:
    options: dict[str, Any] = {
        "table": "scores.csv", "images": "", "higher_is_better": True, "domain": "radiography", "title": "Weld X-ray",
        "data_range": None, "licence": "own",
        "columns": {"image": "image", "reference": "reference", "score": "score", "distortion": "distortion"},
        **changes,
    }  # fmt: skip
    return add_local(registry, name, folder, **options)


def test_a_scored_folder_is_appended_and_can_be_fetched(registry: Path, tmp_path: Path) -> None:
    own = scored_folder(tmp_path / "own", references=3, levels=2)
    said = add(registry, "weld_xray", own, higher_is_better=False, data_range=255)
    assert said.splitlines() == [
        f"weld_xray: added to {registry}: 3 references, 6 images with a score",
        "bring it in and judge every method on it:  snakemake --cores all --config 'fetch={labelled: [weld_xray]}'",
    ]
    text = registry.read_text()
    assert text.startswith(HEAD.rstrip("\n") + "\nweld_xray:\n")
    added = yaml.safe_load(text)["weld_xray"]
    assert added["labels"] == {"kind": "dmos", "higher_is_better": False}
    assert (added["kind"], added["folder"], added["redistribution"]) == ("full_reference", str(own), False)
    found = find_dataset("weld_xray", registry)
    assert isinstance(found, LocalDataset)
    assert found.image_rules.data_range == 255
    params = Fetch(datasets=["other"], labelled=["weld_xray"])
    about = fetch_dataset("weld_xray", found, tmp_path / "raw", params)
    assert about["counts"] == {"references": 3, "distorted": 6, "types": 2}
    assert list(load_registry(registry)) == ["other", "weld_xray"]


def test_a_blind_set_and_a_pool(registry: Path, tmp_path: Path) -> None:
    columns = {"image": "image", "reference": None, "score": "mos", "distortion": None}
    said = add(registry, "phones", blind_folder(tmp_path / "blind", 4), columns=columns)
    assert "phones: added to" in said
    assert "0 references, 4 images with a score" in said
    assert "fetch={blind: [phones]}" in said
    found = find_dataset("phones", registry)
    assert isinstance(found, LocalDataset)
    assert (found.kind, found.options["reference"], "distortion" in found.options) == ("blind", None, False)
    pool = tmp_path / "pool"
    pool.mkdir()
    (pool / "a.png").write_bytes(png(picture(0)))
    said = add(registry, "pool", pool, table=None, higher_is_better=None)
    assert "1 references, 0 images with a score" in said
    preset = yaml.safe_load("\n".join(line for line in said.splitlines() if line.startswith("  ")))
    params = parse_params(merge(read_yaml(Path(__file__).resolve().parents[2] / "params.yaml"), preset), "pool.yaml")
    assert params.fetch.datasets == ["pool"]
    assert params.pretrain.scenarios == {"pool": ["pool"]}
    assert "--metric results/project/pool/full/0/metric.safetensors" in said
    found = find_dataset("pool", registry)
    assert (found.kind, found.licence) == ("pristine", "own")
    assert list(load_registry(registry)) == ["other", "phones", "pool"]


def test_images_in_a_sub_folder_and_missing_ones(registry: Path, tmp_path: Path) -> None:
    own = scored_folder(tmp_path / "own", references=2, levels=2)
    (own / "deep").mkdir()
    for path in [*own.glob("ref*.png"), own / "dist"]:
        path.rename(own / "deep" / path.name)
    (own / "deep/dist/r0_1.png").unlink()
    (own / "deep/ref1.png").unlink()
    said = add(registry, "deep", own, images="deep")
    assert f"note: 2 listed images are not in {own}; fetch will stop on them (fetch.on_missing)" in said


@pytest.mark.parametrize(
    ("name", "changes", "error", "message"),
    [
        ("Weld", {}, ConfigError, "^'Weld': names of datasets are lower-case letters, digits and _"),
        ("../up", {}, ConfigError, r"^'\.\./up': names of datasets"),
        ("other", {}, ConfigError, r"registry\.yaml: 'other' is there already; choose another name"),
        ("weld", {"higher_is_better": None}, ConfigError, "^weld: say what the scores mean: --higher-is-better"),
        ("weld", {"domain": "X ray"}, ConfigError, "^weld: domain: String should match pattern"),
        ("weld", {"data_range": -1.0}, ConfigError, r"^weld: image_rules\.data_range: Input should be greater than 0"),
        ("weld", {"table": "none.csv"}, DataError, r"not in the layout 'folder': none\.csv is missing"),
        ("weld", {"columns": {"image": "file", "reference": None, "score": "score"}}, DataError,
         r"scores\.csv: lacks the columns file; it has image, reference"),
        ("weld", {"table": "../scores.csv"}, DataError, "missing|no file inside"),
    ],
)  # fmt: skip
def test_what_is_refused_leaves_the_registry_alone(
    registry: Path, tmp_path: Path, name: str, changes: dict[str, Any], error: type[Exception], message: str
) -> None:
    own = scored_folder(tmp_path / "own", references=1, levels=1)
    with pytest.raises(error, match=message):
        add(registry, name, own, **changes)
    assert registry.read_text() == HEAD


def test_folders_without_images(registry: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="none: no such folder; give the folder that holds the images"):
        add(registry, "weld", tmp_path / "none")
    own = tmp_path / "own"
    own.mkdir()
    write_table(own, [])
    with pytest.raises(DataError, match=r"own: no image found; images end in \.png, \.tif"):
        add(registry, "weld", own)
    with pytest.raises(DataError, match=r"own: no image matches"):
        add(registry, "weld", own, table=None)
    with pytest.raises(ConfigError, match=r"none\.yaml: no such file"):
        add(tmp_path / "none.yaml", "weld", own)
    assert registry.read_text() == HEAD


def test_names_that_yaml_takes_for_something_else(registry: Path, tmp_path: Path) -> None:
    own = scored_folder(tmp_path / "own", references=1, levels=1)
    for name in ("2024", "on", "null"):
        add(registry, name, own)
    assert list(load_registry(registry)) == ["other", "2024", "on", "null"]


def test_an_added_set_can_be_added_to_a_registry_without_a_last_line_end(tmp_path: Path) -> None:
    own = scored_folder(tmp_path / "own", references=1, levels=1)
    path = write_registry(tmp_path / "registry.yaml", other=yaml.safe_load(HEAD)["other"])
    path.write_text(path.read_text().rstrip("\n"))
    add(path, "weld", own)
    assert list(load_registry(path)) == ["other", "weld"]
    folder, _ = fetched(tmp_path, yaml.safe_load(path.read_text())["weld"])
    assert (folder / "manifest.csv").is_file()
