"""Splits by reference: random, stratified, leave-one-out, few labels, and those that others published."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_datasets import BLIND, blind_folder, entry, fetched, scored_folder

from causaliqa.config import Splits
from causaliqa.datasets.splits import (
    Split,
    import_splits,
    k_shot,
    leave_one_out,
    make_splits,
    published_splits,
    read_splits,
    splits_document,
)
from causaliqa.errors import DataError
from causaliqa.io import read_json, write_json

IMAGES = ["a1", "a2", "b1", "b2", "c1", "c2"]
REFERENCES = ["a", "a", "b", "b", "c", "c"]


@settings(max_examples=60, deadline=None)
@given(
    units=st.integers(0, 70),
    count=st.integers(1, 4),
    train=st.floats(0.05, 0.9),
    share=st.floats(0, 1),
    stratified=st.booleans(),
)
def test_random_splits_are_disjoint_and_complete(
    units: int, count: int, train: float, share: float, stratified: bool
) -> None:
    params = Splits(count=count, train=train, val=share * (0.99 - train), seed=3)
    scores = {f"u{n}": float(n * 7 % 11) for n in range(units)}
    splits = make_splits("d", scores, params, stratified=stratified)
    assert len(splits) == (count if units >= 3 else 0)
    for split in splits:
        assert sorted((*split.train, *split.val, *split.test)) == sorted(scores)
        assert split.train
        assert split.test
        assert bool(split.val) == (units >= 4 and params.val > 0)
        assert all(list(part) == sorted(part) for part in (split.train, split.val, split.test))
    shuffled = dict(sorted(scores.items(), key=lambda item: item[0][::-1]))
    assert make_splits("d", shuffled, params, stratified=stratified) == splits


def test_splits_differ_by_seed_number_and_dataset() -> None:
    scores = {f"u{n}": float(n) for n in range(20)}
    made = [
        split.test
        for dataset, seed in (("a", 0), ("a", 1), ("b", 0))
        for split in make_splits(dataset, scores, Splits(count=3, seed=seed), stratified=False)
    ]
    assert len(set(made)) == 9
    # A split does not depend on how many others are drawn.
    one = make_splits("a", scores, Splits(count=1), stratified=False)
    assert make_splits("a", scores, Splits(count=3), stratified=False)[0] == one[0]


def test_strata_give_every_part_good_and_bad_images() -> None:
    scores = {f"u{n:02d}": float(n) for n in range(60)}
    for split in make_splits("d", scores, Splits(count=5), stratified=True):
        for part, size in ((split.train, 7), (split.val, 2), (split.test, 3)):
            fifths = [int(unit[1:]) // 12 for unit in part]
            assert [fifths.count(k) for k in range(5)] == [size] * 5
    # 49 are too few for fifths: one draw over all.
    small = {unit: score for unit, score in scores.items() if score < 49}
    (split,) = make_splits("d", small, Splits(count=1), stratified=True)
    assert (len(split.train), len(split.val), len(split.test)) == (29, 10, 10)


def test_a_split_knows_its_units() -> None:
    split = Split("s", ("a",), ("b",), ("c",))
    assert [split.part_of(unit) for unit in "abc"] == ["train", "val", "test"]
    with pytest.raises(DataError, match="split s: knows no 'd'; make the splits anew"):
        split.part_of("d")


def test_a_splits_file_is_read_back_and_guarded(tmp_path: Path) -> None:
    path = tmp_path / "splits.json"
    splits = make_splits("d", {f"u{n}": 0.0 for n in range(9)}, Splits(count=2), stratified=False)
    document = splits_document("d", splits, unit="reference")
    write_json(path, document)
    assert read_splits(path) == splits
    assert {key: document["header"][key] for key in ("dataset", "unit", "count")} == {
        "dataset": "d", "unit": "reference", "count": 2,
    }  # fmt: skip
    edited = json.loads(path.read_text())
    edited["splits"][0]["test"].append("u99")
    write_json(path, edited)
    with pytest.raises(DataError, match=r"splits\.json: its splits are not those of its hash; fetch"):
        read_splits(path)
    write_json(path, splits_document("d", [Split("x", ("a", "b"), (), ("b",))], unit="reference"))
    with pytest.raises(
        DataError, match=r"splits\.json: split x: 'b' is both in train and in test; a split by reference"
    ):
        read_splits(path)
    for text in ("{}", "[]", '{"splits": [{}], "header": {"sha256": ""}}', '{"splits": 1, "header": {"sha256": ""}}'):
        path.write_text(text)
        with pytest.raises(DataError, match=r"splits\.json: is not a file of splits"):
            read_splits(path)
    path.write_text("{")
    with pytest.raises(DataError, match=r"splits\.json: not valid JSON"):
        read_splits(path)
    path.unlink()
    with pytest.raises(DataError, match=r"splits\.json: missing"):
        read_splits(path)


def test_leave_one_distortion_out() -> None:
    assert leave_one_out(["jpeg", "blur", "noise", "blur"]) == [
        ("blur", ("jpeg", "noise")),
        ("jpeg", ("blur", "noise")),
        ("noise", ("blur", "jpeg")),
    ]
    with pytest.raises(DataError, match="at least two distortion types"):
        leave_one_out(["blur", "blur"])


# --- few labels -----------------------------------------------------------------------------------------------------


def test_few_labels_are_spread_over_references() -> None:
    references = np.repeat(["a", "b", "c", "d"], [10, 2, 10, 1])
    for draw in range(5):
        chosen = k_shot(references, 4, draw, seed=0)
        assert sorted(references[chosen]) == ["a", "b", "c", "d"]
        assert list(chosen) == sorted(set(chosen.tolist()))
        # Small references run out; the rest comes from the others, evenly.
        more = k_shot(references, 13, draw, seed=0)
        counts = [int((references[more] == name).sum()) for name in "abcd"]
        assert counts == [5, 2, 5, 1]
    assert set(k_shot(references, 2, 0, seed=0).tolist()) <= set(range(23))


def test_few_labels_are_drawn_by_seed_draw_and_count() -> None:
    references = np.repeat([f"r{n}" for n in range(10)], 5)
    drawn = {key: tuple(k_shot(references, *key)) for key in ((7, 0, 0), (7, 1, 0), (7, 0, 1))}
    assert len(set(drawn.values())) == 3
    assert tuple(k_shot(references, 7, 0, 0)) == drawn[7, 0, 0]


def test_more_labels_than_images_are_all_of_them() -> None:
    references = np.array(["a", "b", "a"])
    assert k_shot(references, 10, 0, 0).tolist() == [0, 1, 2]
    assert k_shot(references, 3, 0, 0).tolist() == [0, 1, 2]


# --- published splits -----------------------------------------------------------------------------------------------


def saved(folder: Path, **arrays: object) -> dict[str, Path]:
    paths = {}
    for name, values in arrays.items():
        paths[name] = folder / f"{name}.npy"
        np.save(paths[name], np.asarray(values))
    return paths


def test_indices_become_references(tmp_path: Path) -> None:
    paths = saved(tmp_path, train=[[0, 1], [2, 3]], val=[[2, 3], [4, 5]], test=[[5, 4], [1, 0]])
    assert import_splits(paths, IMAGES, REFERENCES) == [
        Split("published-00", ("a",), ("b",), ("c",)),
        Split("published-01", ("b",), ("c",), ("a",)),
    ]
    flat = saved(tmp_path, train=[0, 2], test=[4])
    assert import_splits(flat, IMAGES, REFERENCES, name="live") == [Split("live-00", ("a", "b"), (), ("c",))]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (
            {"train": [0, 6], "test": [2]},
            r"train\.npy: names image 6, the order has 6 images \(from 0\); give the order",
        ),
        ({"train": [0], "test": [[2, -1]]}, r"test\.npy: names image -1, the order has 6 images"),
        ({"train": [0, 1], "test": [1]}, r"test\.npy: split published-00: 'a' is both in train and in test"),
        ({"train": [0, 2], "val": [3], "test": [4]}, r"split published-00: 'b' is both in train and in val"),
        (
            {"train": [[0], [2]], "test": [[4]]},
            "different numbers of splits: train 2, test 1; take arrays of one release",
        ),
        ({"train": [0]}, "published splits need at least train and test"),
        ({"train": [0.5], "test": [2]}, r"train\.npy: must hold whole numbers in one row a split"),
        ({"train": [[[0]]], "test": [2]}, r"train\.npy: must hold whole numbers"),
        ({"train": np.array(["0"]), "test": [2]}, r"train\.npy: must hold whole numbers"),
        ({"train": [0], "holdout": [2]}, r"holdout\.npy: part 'holdout' is not one of train, val, test"),
    ],
)
def test_bad_published_splits(tmp_path: Path, arrays: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        import_splits(saved(tmp_path, **arrays), IMAGES, REFERENCES)


class _Trap:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path("trap"),)


def test_nothing_in_an_array_is_executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.save(tmp_path / "train.npy", np.array([_Trap()], dtype=object), allow_pickle=True)
    paths = {**saved(tmp_path, test=[2]), "train": tmp_path / "train.npy"}
    with pytest.raises(DataError, match=r"train\.npy: not a readable \.npy array of numbers"):
        import_splits(paths, IMAGES, REFERENCES)
    assert not (tmp_path / "trap").exists()


def test_damaged_arrays(tmp_path: Path) -> None:
    paths = saved(tmp_path, train=[0], test=[2])
    whole = paths["train"].read_bytes()
    huge = whole.replace(b"(1,), ", b"(10000000000000,), ").replace(b" " * 13 + b"\n", b"\n")
    assert len(huge) == len(whole)
    for content in (b"", b"text", whole[:30], whole[:-4], huge):
        paths["train"].write_bytes(content)
        with pytest.raises(DataError, match=r"train\.npy: not a readable \.npy array of numbers"):
            import_splits(paths, IMAGES, REFERENCES)
    np.savez(tmp_path / "train.npz", np.array([0]))
    with pytest.raises(DataError, match=r"train\.npz: must hold whole numbers"):
        import_splits({**paths, "train": tmp_path / "train.npz"}, IMAGES, REFERENCES)
    with pytest.raises(DataError, match=r"none\.npy: not a readable"):
        import_splits({**paths, "train": tmp_path / "none.npy"}, IMAGES, REFERENCES)


def test_published_splits_of_a_fetched_dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, _ = fetched(tmp_path, entry(scored_folder(tmp_path / "own", references=3, levels=2)))
    paths = saved(tmp_path, train=[[0, 1]], test=[[4, 5]])
    # The manifest's order: two images of ref0, of ref1, of ref2.
    count, target = published_splits(folder, {**paths, "val": None}, out=tmp_path / "out.json")
    assert (count, target) == (1, tmp_path / "out.json")
    assert read_splits(target) == [Split("published-00", ("ref0",), (), ("ref2",))]
    assert read_json(target)["header"]["unit"] == "reference"
    # The publisher's own order, in another case and with an empty line.
    order = tmp_path / "order.txt"
    order.write_text("r2_1.png\nR2_2.PNG\n\nr1_1.png\nr1_2.png\ndist/r0_1.png\nr0_2.png\n")
    monkeypatch.chdir(tmp_path)
    _, target = published_splits(folder, paths, order)
    assert target == Path("toy-splits.json")
    assert read_splits(target) == [Split("published-00", ("ref2",), (), ("ref0",))]
    order.write_text("r2_1.png\nr9_1.png\nr8_1.png\n")
    with pytest.raises(DataError, match=r"order\.txt: 2 images are not in .*toy, the first is r9_1\.png; published"):
        published_splits(folder, paths, order)
    with pytest.raises(DataError, match=r"none\.txt: not a readable list of images"):
        published_splits(folder, paths, tmp_path / "none.txt")


def test_equal_file_names_in_two_folders_are_not_confused(tmp_path: Path) -> None:
    own = scored_folder(tmp_path / "own", references=3, levels=2)
    table = own / "scores.csv"
    text = table.read_text()
    # Like the folders jp2k, jpeg, ... of a known database: r0/img1.png, r1/img1.png, ...
    for number in range(3):
        (own / f"r{number}").mkdir()
        for level in (1, 2):
            (own / f"dist/r{number}_{level}.png").rename(own / f"r{number}/img{level}.png")
            text = text.replace(f"dist/r{number}_{level}.png", f"r{number}/img{level}.png")
    table.write_text(text)
    folder, _ = fetched(tmp_path, entry(own))
    paths = saved(tmp_path, train=[[0, 1]], test=[[4, 5]])
    _, target = published_splits(folder, paths, out=tmp_path / "out.json")
    assert read_splits(target) == [Split("published-00", ("ref0",), (), ("ref2",))]
    order = tmp_path / "order.txt"
    order.write_text("".join(f"r{number}/img{level}.png\n" for number in (2, 1, 0) for level in (1, 2)))
    _, target = published_splits(folder, paths, order, out=tmp_path / "out.json")
    assert read_splits(target) == [Split("published-00", ("ref2",), (), ("ref0",))]
    order.write_text("img1.png\nimg2.png\n")
    with pytest.raises(DataError, match=r"order\.txt: img1\.png is the name of several images; give each with its"):
        published_splits(folder, saved(tmp_path, train=[0], test=[1]), order)


def test_published_splits_of_a_blind_set_are_by_image(tmp_path: Path) -> None:
    folder, _ = fetched(tmp_path, entry(blind_folder(tmp_path / "own", 4), **BLIND))
    _, target = published_splits(folder, saved(tmp_path, train=[0, 3], test=[1]), out=tmp_path / "out.json")
    assert read_splits(target) == [
        Split("published-00", ("images/i000.png", "images/i003.png"), (), ("images/i001.png",))
    ]
    assert read_json(target)["header"]["unit"] == "image"
