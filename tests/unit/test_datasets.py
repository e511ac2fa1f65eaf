from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from causaliqa.config import Fetch
from causaliqa.datasets import fetch, raw, registry, shards
from causaliqa.errors import ConfigError, DataError
from causaliqa.images import read_image
from causaliqa.io import sha256_file, write_parquet

ROOT = Path(__file__).resolve().parents[2]
PARAMS = Fetch(datasets=["any"])


def entry(**changes: object) -> dict[str, object]:
    image = {"name": "camera", "package": "skimage", "path": "data/camera.png", "licence": "CC0", "origin": "x"}
    real = registry.find_dataset("bundled_natural", ROOT / "data/registry.yaml")
    image["sha256"] = next(item.sha256 for item in real.images if item.name == "camera")
    image.update(changes)
    return {
        "title": "t",
        "version": "1",
        "kind": "pristine",
        "domain": "natural",
        "source": "bundled",
        "images": [image],
        "redistribution": True,
    }


def test_the_default_preset_has_enough_domains_and_references() -> None:
    known = registry.load_registry(ROOT / "data/registry.yaml")
    wanted = yaml.safe_load((ROOT / "params.yaml").read_text())["fetch"]["datasets"]
    assert len({known[name].domain for name in wanted}) >= 4
    assert sum(len(known[name].images) for name in wanted) >= 16
    assert all(image.licence and image.origin for name in wanted for image in known[name].images)


@pytest.mark.parametrize("name", ["bundled_medical", "bundled_document"])
def test_fetch_is_complete_and_byte_identical(name: str, tmp_path: Path) -> None:
    dataset = registry.find_dataset(name, ROOT / "data/registry.yaml")
    for copy in ("a", "b"):
        fetch.fetch_dataset(name, dataset, tmp_path / copy, PARAMS)
    manifest = raw.read_raw_manifest(tmp_path / "a")
    assert sorted(manifest["reference"]) == sorted(image.name for image in dataset.images)
    for row in manifest.itertuples():
        path = tmp_path / "a" / str(row.image)
        assert sha256_file(path) == row.sha256 == sha256_file(tmp_path / "b" / str(row.image))
        source = read_image(path)
        assert source.bit_depth == row.bit_depth
        assert source.values.shape[:2] == (row.height, row.width)
        assert source.values.max() <= row.data_range
    assert (tmp_path / "a/manifest.csv").read_bytes() == (tmp_path / "b/manifest.csv").read_bytes()


def test_a_13_bit_ct_slice_keeps_its_depth(tmp_path: Path) -> None:
    medical = registry.find_dataset("bundled_medical", ROOT / "data/registry.yaml")
    fetch.fetch_dataset("m", medical, tmp_path / "m", PARAMS)
    values = read_image(tmp_path / "m/images/ct_head.png").values
    assert values.dtype == np.uint16
    assert len(np.unique(values)) > 256


def test_a_changed_package_file_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    bad = registry.BundledDataset.model_validate(entry(sha256="0" * 64))
    with pytest.raises(
        DataError, match=r"skimage/data/camera\.png: sha256 is b0793d2adda0\.\.\., the registry says 000000"
    ):
        fetch.fetch_dataset("x", bad, tmp_path / "x", PARAMS)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_package_or_file_is_named(tmp_path: Path) -> None:
    for changes, message in (
        ({"package": "no_such_package"}, r"package no_such_package .* is not installed"),
        ({"path": "data/none.png"}, r"skimage/data/none\.png is missing"),
    ):
        bad = registry.BundledDataset.model_validate(entry(**changes))
        with pytest.raises(DataError, match=message):
            fetch.fetch_dataset("x", bad, tmp_path / "x", PARAMS)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"path": "../../etc/passwd"}, "path must stay inside the package"),
        ({"path": "/etc/passwd"}, "path must stay inside the package"),
        ({"sha256": "12"}, "images.0.sha256"),
        ({"format": "dicom"}, "a window"),
        ({"window": [0, 5]}, "a window"),
        ({"licens": "x"}, "images.0.licens"),
    ],
)
def test_bad_registry_entries_are_named(changes: dict[str, object], message: str, tmp_path: Path) -> None:
    path = tmp_path / "registry.yaml"
    path.write_text(yaml.safe_dump({"mine": entry(**changes)}))
    with pytest.raises(ConfigError, match=r"registry\.yaml: mine") as caught:
        registry.load_registry(path)
    assert message in str(caught.value)


def test_an_unknown_dataset_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="no dataset 'bundled_naturl'; did you mean 'bundled_natural'"):
        registry.find_dataset("bundled_naturl", ROOT / "data/registry.yaml")


def stored(folder: Path) -> shards.DegradedSet:
    rng = np.random.default_rng(0)
    stimuli = {
        f"a/{kind}/{level}": rng.integers(0, 255, (40, 48), dtype=np.uint8)
        for kind, level in (("reference", 0), ("jpeg", 1))
    }
    digests = shards.write_shard(folder, "a", stimuli)
    same = {"dataset": "d", "domain": "natural", "reference": "a", "parent": "", "partition": "test"}
    rows = [
        {**same, "image": name, "distortion": name.split("/")[1], "level": int(name[-1]), "sha256": digests[name]}
        for name in stimuli
    ]
    write_parquet(folder / "manifest.parquet", pd.DataFrame(rows).assign(grayscale=True, bit_depth=8))
    return shards.DegradedSet(folder)


def test_shards_give_back_what_was_stored(tmp_path: Path) -> None:
    item = stored(tmp_path)
    pairs = list(item.pairs("a"))
    assert [pair.image for pair in pairs] == ["a/reference/0", "a/jpeg/1"]
    assert [pair.data_range for pair in pairs] == [255, 255]
    assert np.array_equal(pairs[0].reference, pairs[0].distorted)
    assert not np.array_equal(pairs[1].reference, pairs[1].distorted)


def test_damaged_shards_are_named(tmp_path: Path) -> None:
    item = stored(tmp_path)
    with pytest.raises(DataError, match=r"a\.parquet: lacks image 'a/jpeg/9'"):
        item.stimulus("a/jpeg/9")
    other = {"a/reference/0": np.zeros((4, 4), np.uint8), "a/jpeg/1": np.ones((4, 4), np.uint8)}
    shards.write_shard(tmp_path, "a", other)
    with pytest.raises(DataError, match=r"'a/jpeg/1' does not match its checksum"):
        shards.DegradedSet(tmp_path).stimulus("a/jpeg/1")
    path = shards.shard_path(tmp_path, "a")
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(DataError, match=r"a\.parquet: truncated.*; delete .* and run stage degrade again"):
        shards.DegradedSet(tmp_path).stimulus("a/jpeg/1")
    path.unlink()
    with pytest.raises(DataError, match=r"a\.parquet: missing; delete"):
        shards.DegradedSet(tmp_path).stimulus("a/jpeg/1")
