"""Pairs of fetched sets with scores: bit depths, ranges, gray beside colour, and what has no pairs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from image_files import tiff
from synthetic import degraded_set
from toy_datasets import BLIND, OPTIONS, blind_folder, entry, fetched, picture, png, scored_folder, write_table

from causaliqa.baselines.psnr import psnr
from causaliqa.baselines.stage import score_set
from causaliqa.datasets.pairs import LabelledSet, Pair, open_pairs
from causaliqa.datasets.shards import DegradedSet
from causaliqa.errors import DataError


def one_pair(folder: Path, reference: bytes, distorted: bytes, suffix: str = "png") -> Path:
    folder.mkdir()
    (folder / f"x.{suffix}").write_bytes(reference)
    (folder / f"y.{suffix}").write_bytes(distorted)
    row = {"image": f"y.{suffix}", "reference": f"x.{suffix}", "distortion": "blur", "level": 1, "score": 3}
    write_table(folder, [{**row, "score_std": 0}])
    return folder


def test_pairs_of_a_scored_folder(tmp_path: Path) -> None:
    folder, _ = fetched(tmp_path, entry(scored_folder(tmp_path / "own", references=2, levels=2)))
    found = open_pairs(folder)
    assert isinstance(found, LabelledSet)
    assert (found.name, found.references) == ("toy", ["ref0", "ref1"])
    assert set(found.manifest["partition"]) == {"test"}
    assert list(found.manifest["image"]) == [
        "images/ref0.png", "images/ref1.png",
        *(f"images/dist/r{n}_{k}.png" for n in (0, 1) for k in (1, 2)),
    ]  # fmt: skip
    pairs = list(found.pairs("ref1"))
    assert [pair.image for pair in pairs] == ["images/ref1.png", "images/dist/r1_1.png", "images/dist/r1_2.png"]
    assert all(isinstance(pair, Pair) for pair in pairs)
    assert all(np.array_equal(pair.reference, picture(1)) and pair.data_range == 255 for pair in pairs)
    assert np.array_equal(pairs[0].distorted, picture(1))
    assert not np.array_equal(pairs[2].distorted, picture(1))


def test_a_degraded_set_opens_as_itself(tmp_path: Path) -> None:
    found = open_pairs(degraded_set(tmp_path / "toy"))
    assert isinstance(found, DegradedSet)
    image, x, y, data_range = next(iter(found.pairs("a")))
    assert (image, data_range) == ("a/reference/0", 255.0)
    assert np.array_equal(x, y)


def test_sixteen_bits_with_the_range_of_each_image(tmp_path: Path) -> None:
    x = picture(0, colour=False).astype(np.uint16) * 16
    y = np.minimum(x + 100, 4095).astype(np.uint16)
    folder, _ = fetched(
        tmp_path, entry(one_pair(tmp_path / "own", tiff(x), tiff(y), "tif"), options=OPTIONS,
                        image_rules={"data_range": 4095})
    )  # fmt: skip
    own, pair = LabelledSet(folder).pairs("x")
    assert pair.data_range == own.data_range == 4095
    assert pair.distorted.dtype == np.uint16
    assert np.array_equal(pair.distorted, y)
    table = score_set(folder, ["psnr"], jobs=1)
    assert table["score"].tolist() == [psnr(x, y, data_range=4095)]
    # A range of one image alone: the larger holds for both.
    path = folder / "manifest.csv"
    path.write_text(path.read_text().replace(",16,4095,", ",16,5000,", 1))
    assert [pair.data_range for pair in LabelledSet(folder).pairs("x")] == [5000, 5000]


def test_gray_and_colour(tmp_path: Path) -> None:
    gray, colour = picture(0, colour=False), picture(1)
    for name, x, y in (("a", gray, colour), ("b", colour, gray)):
        own = one_pair(tmp_path / name, png(x), png(y))
        folder, _ = fetched(tmp_path, entry(own), out=f"raw/{name}")
        first, second = LabelledSet(folder).pairs("x")
        assert first.reference.shape == x.shape
        for values, stored in ((second.reference, x), (second.distorted, y)):
            assert values.shape == (40, 40, 3)
            assert np.array_equal(values, stored if stored.ndim == 3 else np.repeat(stored[..., None], 3, axis=2))


def test_unequal_containers_are_refused(tmp_path: Path) -> None:
    x = picture(0, colour=False)
    own = one_pair(tmp_path / "own", tiff(x.astype(np.uint16) * 257), tiff(x), "tif")
    folder, _ = fetched(tmp_path, entry(own))
    with pytest.raises(DataError, match=r"y\.tif: has 8 bits and its reference images/x\.tif 16; store both alike"):
        list(LabelledSet(folder).pairs("x"))


def test_sets_without_pairs_are_refused(tmp_path: Path) -> None:
    folder, _ = fetched(tmp_path, entry(blind_folder(tmp_path / "own", 3), **BLIND))
    with pytest.raises(DataError, match=r"dataset toy is of kind blind, without pairs; name it under fetch\.datasets"):
        open_pairs(folder)
    with pytest.raises(DataError, match=r"none: holds no manifest; run the stage that makes it"):
        open_pairs(tmp_path / "none")


def test_a_reference_that_is_not_there(tmp_path: Path) -> None:
    folder, _ = fetched(tmp_path, entry(one_pair(tmp_path / "own", png(picture(0)), png(picture(1)))))
    image = folder / "images/x.png"
    content = image.read_bytes()
    image.write_bytes(png(picture(5)))
    with pytest.raises(DataError, match=r"images/x\.png: does not match its checksum in manifest\.csv; delete"):
        list(LabelledSet(folder).pairs("x"))
    image.unlink()
    with pytest.raises(DataError, match=r"images/x\.png: no such image; delete .* and fetch the dataset again"):
        list(LabelledSet(folder).pairs("x"))
    image.write_bytes(content)
    path = folder / "manifest.csv"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], *lines[2:]]) + "\n")
    with pytest.raises(DataError, match=r"toy: reference 'x' has no image; fetch the dataset again"):
        list(LabelledSet(folder).pairs("x"))
