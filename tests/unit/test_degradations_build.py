"""Stage degrade: partitions, sizes, what is stored, equal bytes, and what bad input gets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from causaliqa.config import Degrade
from causaliqa.datasets.raw import RawRow, write_manifest
from causaliqa.datasets.shards import MANIFEST_COLUMNS, DegradedSet, shard_path
from causaliqa.datasets.splits import partition_references
from causaliqa.degradations.build import build_set, draw_chains, prepare_reference, read_manifest
from causaliqa.degradations.measure import distance
from causaliqa.degradations.registry import compose, degrade
from causaliqa.errors import ConfigError, DataError
from causaliqa.images import encode_png
from causaliqa.io import sha256_bytes, sha256_file, write_bytes, write_json

SMALL = Degrade(
    size=64, types=["jpeg", "white_noise", "saturation_hsv", "gaussian_blur"], levels=[1, 3], compositions=3
)


def raw_set(folder: Path, images: dict[str, np.ndarray], data_range: float = 255) -> Path:
    rows = []
    for name, values in images.items():
        content = encode_png(values)
        write_bytes(folder / "images" / f"{name}.png", content)
        rows.append(
            RawRow(
                dataset="toy",
                domain="natural",
                image=f"images/{name}.png",
                reference=name,
                distortion="reference",
                level=0,
                score=float("nan"),
                score_std=float("nan"),
                provenance="",
                grayscale=values.ndim == 2,
                bit_depth=values.dtype.itemsize * 8,
                data_range=data_range,
                width=values.shape[1],
                height=values.shape[0],
                licence="CC0-1.0",
                source="made here",
                sha256=sha256_bytes(content),
            )
        )
    write_manifest(folder / "manifest.csv", rows)
    write_json(folder / "dataset.json", {"name": "toy", "kind": "pristine", "image_rules": {}})
    return folder


def scene(height: int, width: int, colour: bool) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    image = np.stack([128 + 90 * np.sin(x / 7), 128 + 90 * np.cos(y / 9), (x * y // 16) % 200], axis=2)
    image = image.astype(np.uint8)
    return image if colour else image[..., 0].copy()


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    return raw_set(tmp_path / "raw", {"tree": scene(70, 90, True), "bone": scene(80, 66, False)})


@settings(max_examples=100, deadline=None)
@given(
    count=st.integers(1, 60),
    train=st.floats(0, 0.99),
    share=st.floats(0, 1),
    seed=st.integers(0, 5),
    order=st.randoms(use_true_random=False),
)
def test_partitions(count: int, train: float, share: float, seed: int, order: object) -> None:
    val = share * (0.99 - train)
    names = [f"r{i}" for i in range(count)]
    shuffled = names.copy()
    order.shuffle(shuffled)  # type: ignore[attr-defined]
    part = partition_references(names, dataset="d", train=train, val=val, seed=seed)
    assert part == partition_references(shuffled, dataset="d", train=train, val=val, seed=seed)
    assert list(part) == sorted(names)
    found = list(part.values())
    assert set(found) <= {"train", "val", "test"}
    assert "test" in found
    assert ("train" in found) == (count >= 2)
    assert ("val" in found) == (count >= 4 and val > 0)
    if count >= 20 and train * count >= 1 and val * count >= 1 and (1 - train - val) * count >= 2:
        assert abs(found.count("train") - train * count) <= 1
        assert abs(found.count("val") - val * count) <= 1


def test_partitions_differ_between_datasets_and_seeds() -> None:
    names = [f"r{i}" for i in range(20)]
    made = [
        tuple(partition_references(names, dataset=dataset, train=0.5, val=0.1, seed=seed).values())
        for dataset, seed in (("a", 0), ("b", 0), ("a", 1))
    ]
    assert len(set(made)) == 3
    with pytest.raises(DataError, match="'r1' stands there more than once"):
        partition_references(["r1", "r2", "r1"], dataset="a", train=0.5, val=0.1, seed=0)


def test_what_is_stored(raw: Path, tmp_path: Path) -> None:
    build_set(raw, tmp_path / "out", SMALL, jobs=1)
    made = DegradedSet(tmp_path / "out")
    table = made.manifest
    assert list(table.columns) == MANIFEST_COLUMNS
    assert table["image"].is_unique
    assert made.references == ["bone", "tree"]
    assert sorted(table.groupby("reference")["partition"].first()) == ["test", "train"]
    assert (table.groupby("reference")["partition"].nunique() == 1).all()
    bone, tree = made.of_reference("bone"), made.of_reference("tree")
    assert len(bone) == 1 + 3 + 3 * 2 + 3
    assert len(tree) == 1 + 3 + 4 * 2 + 3
    assert list(tree["image"][:4]) == ["tree/reference/0", *(f"tree/imperceptible/{k}" for k in (1, 2, 3))]
    assert (tree[tree["distortion"] == "imperceptible"]["level"] == 0).all()
    assert bone["grayscale"].all()
    assert not tree["grayscale"].any()
    reference = made.stimulus("tree/reference/0")
    assert reference.shape == (64, 64, 3)
    assert np.array_equal(made.stimulus("tree/jpeg/3"), degrade(reference, "jpeg", 3, key="tree", seed=0))
    chains = tree[tree["distortion"].str.contains("+", regex=False)]
    assert len(chains) == 3
    for row in chains.itertuples():
        steps = [(step.split("@")[0], int(step.split("@")[1])) for step in str(row.distortion).split("+")]
        assert row.image == f"tree/{row.distortion}/0"
        assert row.level == 0
        assert row.parent == f"tree/{steps[0][0]}/{steps[0][1]}"
        assert row.parent in set(tree["image"])
        assert steps[0][0] != steps[1][0]
        image = made.stimulus(str(row.image))
        assert np.array_equal(image, compose(reference, steps, key="tree", seed=0))
        assert distance(reference, image) > distance(reference, made.stimulus(str(row.parent)))


def test_equal_bytes_whatever_the_number_of_processes(raw: Path, tmp_path: Path) -> None:
    for name, jobs in (("one", 1), ("two", 2), ("again", 1)):
        build_set(raw, tmp_path / name, SMALL, jobs=jobs)
    files = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*.parquet"))
    assert [str(path) for path in files] == ["manifest.parquet", "shards/bone.parquet", "shards/tree.parquet"]
    for path in files:
        assert len({sha256_file(tmp_path / name / path) for name in ("one", "two", "again")}) == 1
    build_set(raw, tmp_path / "other", SMALL.model_copy(update={"seed": 1}), jobs=1)
    assert sha256_file(tmp_path / "other" / files[1]) != sha256_file(tmp_path / "one" / files[1])


def test_another_reference_does_not_change_a_shard(tmp_path: Path) -> None:
    images = {"tree": scene(64, 64, True), "bone": scene(64, 64, False)}
    build_set(raw_set(tmp_path / "a", images), tmp_path / "out_a", SMALL, jobs=1)
    build_set(raw_set(tmp_path / "b", {"tree": images["tree"]}), tmp_path / "out_b", SMALL, jobs=1)
    shards = [sha256_file(shard_path(tmp_path / out, "tree")) for out in ("out_a", "out_b")]
    assert shards[0] == shards[1]


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((300, 200), (128, 128)), ((200, 128), (128, 128)), ((131, 90), (128, 88)), ((50, 400), (48, 128))],
)
@pytest.mark.parametrize("colour", [True, False])
def test_sizes(shape: tuple[int, int], expected: tuple[int, int], colour: bool, tmp_path: Path) -> None:
    row = read_manifest(raw_set(tmp_path, {"a": scene(*shape, colour)}))[0]
    assert prepare_reference(row, 128).shape == expected + ((3,) if colour else ())


def test_reduction_is_antialiased_and_small_images_are_kept(tmp_path: Path) -> None:
    stripes = np.tile(np.array([[0, 255]], np.uint8), (256, 128))
    row = read_manifest(raw_set(tmp_path / "a", {"a": stripes}))[0]
    error = np.abs(prepare_reference(row, 64).astype(int) - 128)
    assert error.max() < 16
    assert error[:, 8:-8].max() <= 2
    exact = scene(64, 60, True)
    row = read_manifest(raw_set(tmp_path / "b", {"a": exact}))[0]
    assert np.array_equal(prepare_reference(row, 64), exact)


def test_sixteen_bits_follow_the_declared_range(tmp_path: Path) -> None:
    slope = np.linspace(0, 4095, 64 * 64).reshape(64, 64).astype(np.uint16)
    row = read_manifest(raw_set(tmp_path / "a", {"a": slope}, data_range=4095))[0]
    image = prepare_reference(row, 64)
    assert (image.min(), image.max()) == (0, 255)
    row = read_manifest(raw_set(tmp_path / "b", {"a": slope}, data_range=255))[0]
    with pytest.raises(DataError, match=r"a\.png.*above the declared data range 255.*data_range"):
        prepare_reference(row, 64)


def test_chains_that_repair_are_not_drawn() -> None:
    stimulus = scene(64, 64, True)
    noisy = degrade(stimulus, "white_noise", 3, key="a", seed=0)
    same = {("white_noise", 3): noisy, ("white_noise", 4): noisy}
    assert list(draw_chains(same, stimulus, key="a", seed=0, count=5)) == []
    pool = {
        (name, 4): degrade(stimulus, name, 4, key="a", seed=0) for name in ("white_noise", "gaussian_blur", "jitter")
    }
    drawn = list(draw_chains(pool, stimulus, key="a", seed=0, count=6))
    assert drawn
    for (first, _), image in drawn:
        assert distance(stimulus, image) > distance(stimulus, pool[first])
    assert list(draw_chains(pool, stimulus, key="a", seed=0, count=0)) == []


def test_truncated_shard_is_named(raw: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    build_set(raw, out, SMALL, jobs=1)
    path = shard_path(out, "tree")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DataError, match=r"tree\.parquet: truncated"):
        DegradedSet(out).stimulus("tree/reference/0")


def test_bad_input_leaves_nothing_behind(raw: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    image = raw / "images" / "tree.png"
    whole = image.read_bytes()
    for jobs in (1, 2):
        image.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(DataError, match=r"tree\.png: does not match its checksum"):
            build_set(raw, out, SMALL, jobs=jobs)
    image.unlink()
    with pytest.raises(DataError, match=r"tree\.png: no such image"):
        build_set(raw, out, SMALL, jobs=1)
    image.write_bytes(whole)
    with pytest.raises(ConfigError, match="did you mean 'gaussian_blur'"):
        build_set(raw, out, SMALL.model_copy(update={"types": ["jpeg", "gauss_blur"]}), jobs=1)
    with pytest.raises(DataError, match=r"nowhere/manifest\.csv: missing"):
        build_set(tmp_path / "nowhere", out, SMALL, jobs=1)
    assert [path.name for path in tmp_path.iterdir()] == ["raw"]


@pytest.mark.parametrize(
    ("column", "value", "text"),
    [
        ("reference", "../up", "must be made of"),
        ("grayscale", "perhaps", "must be True or False"),
        ("grayscale", "True", "is colour, its manifest says otherwise"),
        (
            "data_range",
            "wide",
            r"manifest\.csv: line 2: could not convert string to float: 'wide'; delete .* and fetch",
        ),
    ],
)
def test_bad_manifest_is_named(column: str, value: str, text: str, tmp_path: Path) -> None:
    raw = raw_set(tmp_path / "raw", {"a": scene(64, 64, True)})
    table = pd.read_csv(raw / "manifest.csv", dtype=str)
    table[column] = value
    table.to_csv(raw / "manifest.csv", index=False)
    with pytest.raises(DataError, match=text):
        build_set(raw, tmp_path / "out", SMALL, jobs=1)


def test_tiny_references_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="at least 32 a side"):
        build_set(raw_set(tmp_path / "raw", {"a": scene(20, 64, True)}), tmp_path / "out", SMALL, jobs=1)


def test_verb(raw: Path, tmp_path: Path) -> None:
    import typer

    from causaliqa.cli.degrade import degrade as verb

    app = typer.Typer()
    app.command()(verb)
    result = CliRunner().invoke(app, [str(raw), "--out", str(tmp_path / "out"), "--params", SMALL.model_dump_json()])
    assert result.exit_code == 0, result.output
    assert "degrade: toy: 28 images of 2 references" in result.stderr
