"""Bringing datasets in: what is written, what is refused, and that nothing is left behind."""

from __future__ import annotations

import errno
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from image_files import tiff
from PIL import Image
from toy_datasets import (
    BLIND,
    OPTIONS,
    PRISTINE,
    blind_folder,
    dataset,
    download_entry,
    entry,
    fetched,
    files_of,
    picture,
    png,
    read_table,
    scored_folder,
    tar_gz,
    write_registry,
    write_table,
)

from causaliqa.config import Fetch, Splits, parse_options
from causaliqa.datasets.fetch import Places, fetch_dataset
from causaliqa.datasets.pack import PackReader, is_packed, write_packs
from causaliqa.datasets.raw import RAW_COLUMNS, RawSet, iterate_manifest, read_raw_manifest
from causaliqa.datasets.registry import BundledDataset, find_dataset, load_registry
from causaliqa.datasets.splits import read_splits
from causaliqa.errors import CausalIQAError, ConfigError, DataError
from causaliqa.io import read_json, sha256_bytes, sha256_file


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with 3 references and 2 x 3 scored images; tests that change it copy it first."""
    return scored_folder(tmp_path_factory.mktemp("source") / "own", references=3, levels=2)


@pytest.fixture
def own(source: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(source, tmp_path / "own"))


def left(tmp_path: Path) -> list[str]:
    """What a failed fetch has left in the folder of datasets."""
    folder = tmp_path / "raw"
    return [path.name for path in folder.iterdir()] if folder.exists() else []


# --- a folder of one's own ------------------------------------------------------------------------------------------


def test_a_scored_folder_becomes_exactly_its_manifest(own: Path, tmp_path: Path) -> None:
    folder, about = fetched(tmp_path, entry(own))
    lines = (folder / "manifest.csv").read_text().splitlines()
    assert lines[0] == ",".join(RAW_COLUMNS)
    digest = {name: sha256_bytes(content) for name, content in files_of(own).items()}
    start = "toy,texture,images/"
    shared = "False,8,255,40,40,CC0-1.0,made here"
    assert lines[1] == f"{start}ref0.png,ref0,reference,0,,,,{shared},{digest['ref0.png']}"
    assert lines[4] == (f"{start}dist/r0_1.png,ref0,blur,1,8.299999999999999,0.25,,{shared},{digest['dist/r0_1.png']}")
    assert lines[5] == f"{start}dist/r0_2.png,ref0,white_noise,2,6.8,0.25,,{shared},{digest['dist/r0_2.png']}"
    assert len(lines) == 1 + 3 + 6
    assert files_of(folder / "images") == {k: v for k, v in files_of(own).items() if k.endswith(".png")}
    rows = list(iterate_manifest(folder))
    assert rows[3].score == 8 + 0.1 + 0.2
    assert np.isnan(rows[0].score)
    assert about == read_json(folder / "dataset.json")
    assert about["counts"] == {"references": 3, "distorted": 6, "types": 2}
    assert (about["rows"], about["skipped"], about["expected"], about["kind"]) == (9, {}, {}, "full_reference")
    assert about["manifest_sha256"] == sha256_file(folder / "manifest.csv")
    assert about["labels"] == {"kind": "mos", "higher_is_better": True, "range": [0.0, 10.0], "text": "toy panel"}
    assert about["options"] == OPTIONS
    assert str(tmp_path) not in (folder / "dataset.json").read_text()


def test_splits_are_by_reference(own: Path, tmp_path: Path) -> None:
    folder, _ = fetched(tmp_path, entry(own), splits=Splits(count=4, train=0.4, val=0.1))
    splits = read_splits(folder / "splits.json")
    assert [split.name for split in splits] == ["random-00", "random-01", "random-02", "random-03"]
    assert all(sorted((*s.train, *s.val, *s.test)) == ["ref0", "ref1", "ref2"] for s in splits)
    assert read_json(folder / "splits.json")["header"]["unit"] == "reference"


def test_scores_survive_as_they_are_written(own: Path, tmp_path: Path) -> None:
    texts = ["0.30000000000000004", "1e-17", "-3", "123456789.123456789", "0.1", "5.0"]
    rows = read_table(own)
    for row, text in zip(rows, texts, strict=True):
        row["score"] = text
    write_table(own, rows)
    folder, _ = fetched(tmp_path, entry(own))
    scores = [row.score for row in iterate_manifest(folder) if row.distortion != "reference"]
    assert scores == [0.1 + 0.2, 1e-17, -3.0, 123456789.12345679, 0.1, 5.0]
    written = [line.split(",")[6] for line in (folder / "manifest.csv").read_text().splitlines()[4:]]
    assert written == ["0.30000000000000004", "1e-17", "-3", "123456789.12345679", "0.1", "5"]


def test_equal_bytes_whatever_the_number_of_processes(own: Path, tmp_path: Path) -> None:
    made = []
    for name, jobs in (("one", 1), ("two", 2), ("again", 1)):
        folder, _ = fetched(tmp_path, entry(own), jobs=jobs, out=name)
        made.append(files_of(folder))
    assert made[0] == made[1] == made[2]
    assert {"manifest.csv", "dataset.json", "splits.json"} < set(made[0])


def test_a_pristine_folder(tmp_path: Path) -> None:
    own = tmp_path / "own"
    (own / "Sub dir").mkdir(parents=True)
    (own / "Sub dir" / "B.PNG").write_bytes(png(picture(1, colour=False)))
    (own / "a.bmp").write_bytes(b"")
    Image.fromarray(picture(2)).save(own / "a.bmp")
    (own / "notes.txt").write_text("not an image")
    folder, about = fetched(tmp_path, entry(own, **PRISTINE))
    rows = {row.reference: row for row in iterate_manifest(folder)}
    assert {name: row.image for name, row in rows.items()} == {
        "a": "images/a.bmp", "sub_dir__b": "images/Sub dir/B.PNG",
    }  # fmt: skip
    assert (rows["a"].grayscale, rows["sub_dir__b"].grayscale) == (False, True)
    assert about["labels"] is None
    assert about["counts"] == {"references": 2, "distorted": 0, "types": 0}
    assert read_splits(folder / "splits.json") == []
    assert not (folder / "images/notes.txt").exists()


def test_a_blind_set_is_split_by_the_images_of_its_manifest(tmp_path: Path) -> None:
    folder, _ = fetched(tmp_path, entry(blind_folder(tmp_path / "own", 5), **BLIND), splits=Splits(count=1))
    rows = list(iterate_manifest(folder))
    assert {(row.reference, row.distortion) for row in rows} == {("", "authentic")}
    (split,) = read_splits(folder / "splits.json")
    assert sorted((*split.train, *split.val, *split.test)) == [row.image for row in rows]
    assert read_json(folder / "splits.json")["header"]["unit"] == "image"


def test_ranges_are_the_registrys_then_the_files_then_the_containers(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    values = np.arange(64 * 64).reshape(64, 64).astype(np.uint16) // 8
    (own / "a.pgm").write_bytes(b"P5 64 64 1023\n" + values.astype(">u2").tobytes())
    (own / "b.tif").write_bytes(tiff(values))
    folder, _ = fetched(tmp_path, entry(own, **PRISTINE))
    assert [(r.image, r.bit_depth, r.data_range) for r in iterate_manifest(folder)] == [
        ("images/a.pgm", 16, 1023.0), ("images/b.tif", 16, 65535.0),
    ]  # fmt: skip
    folder, _ = fetched(tmp_path, entry(own, **PRISTINE, image_rules={"data_range": 511}), out="declared")
    assert [row.data_range for row in iterate_manifest(folder)] == [511, 511]


def test_a_file_with_an_exclamation_mark_is_no_pack(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "wow!.png").write_bytes(png(picture(0)))
    folder, _ = fetched(tmp_path, entry(own, **PRISTINE))
    (row,) = iterate_manifest(folder)
    assert np.array_equal(RawSet(folder).read(row).values, picture(0))


def test_fetching_again_replaces_what_was_there(own: Path, tmp_path: Path) -> None:
    folder, _ = fetched(tmp_path, entry(own))
    (folder / "old.txt").write_text("x")
    fetched(tmp_path, entry(own))
    assert sorted(path.name for path in folder.iterdir()) == ["dataset.json", "images", "manifest.csv", "splits.json"]


# --- downloads, from a mirror folder --------------------------------------------------------------------------------


def test_one_common_top_folder_is_taken_away(own: Path, tmp_path: Path) -> None:
    plain, _ = fetched(tmp_path, entry(own), out="plain")
    tar_gz(tmp_path / "mirror/toy.tar.gz", files_of(own, "toy-v1/"))
    folder, about = fetched(tmp_path, download_entry({"name": "toy.tar.gz"}))
    assert files_of(folder / "images") == files_of(own)
    assert (folder / "manifest.csv").read_bytes() == (plain / "manifest.csv").read_bytes()
    assert (about["source"], about["rows"]) == ("download", 9)
    assert next(iter(read_json(tmp_path / "checksums.json").values()))["sha256"] == sha256_file(
        tmp_path / "mirror/toy.tar.gz"
    )


@pytest.mark.parametrize("top", ["", "toy/"])
def test_several_archives_become_one_folder(own: Path, tmp_path: Path, top: str) -> None:
    files = files_of(own)
    tar_gz(tmp_path / "mirror/refs.tar.gz", {top + k: v for k, v in files.items() if k.startswith("ref")})
    tar_gz(tmp_path / "mirror/rest.tar.gz", {top + k: v for k, v in files.items() if not k.startswith("ref")})
    folder, about = fetched(tmp_path, download_entry({"name": "refs.tar.gz"}, {"name": "rest.tar.gz"}))
    assert about["rows"] == 9
    assert files_of(folder / "images") == files


def test_archives_go_into_their_folders_and_plain_files_beside_them(own: Path, tmp_path: Path) -> None:
    files = files_of(own)
    images = {k.replace("dist/", "Distorted images/"): v for k, v in files.items() if k.startswith("dist")}
    tar_gz(tmp_path / "mirror/dist.tar.gz", images)
    tar_gz(tmp_path / "mirror/refs.tar.gz", {k: v for k, v in files.items() if k.startswith("ref")})
    (tmp_path / "mirror/scores.csv").write_bytes(files["scores.csv"])
    archives = ({"name": "dist.tar.gz", "into": "dist"}, {"name": "refs.tar.gz"}, {"name": "scores.csv"})
    folder, _ = fetched(tmp_path, download_entry(*archives))
    assert files_of(folder / "images") == files


def test_a_folder_that_archives_are_to_go_into_stays(own: Path, tmp_path: Path) -> None:
    files = files_of(own)
    tar_gz(tmp_path / "mirror/refs.tar.gz", {"a/" + k: v for k, v in files.items() if k.startswith("ref")})
    tar_gz(tmp_path / "mirror/rest.tar.gz", {"b/" + k: v for k, v in files.items() if not k.startswith("ref")})
    archives = [{"name": f"{name}.tar.gz", "into": "all"} for name in ("refs", "rest")]
    folder, _ = fetched(tmp_path, download_entry(*archives, options={**OPTIONS, "images": "all"}))
    assert files_of(folder / "images") == {f"all/{name}": content for name, content in files.items()}


def test_a_wrong_checksum_is_refused(own: Path, tmp_path: Path) -> None:
    tar_gz(tmp_path / "mirror/toy.tar.gz", files_of(own))
    with pytest.raises(DataError, match=r"toy\.tar\.gz: has SHA-256 .*, not 0000"):
        fetched(tmp_path, download_entry({"name": "toy.tar.gz", "sha256": "0" * 64}))
    assert left(tmp_path) == []


def test_what_is_only_given_by_hand_says_how(tmp_path: Path) -> None:
    (tmp_path / "mirror").mkdir()
    values = download_entry({"name": "toy.zip", "urls": [], "manual": "Fill in the form at example.org"})
    with pytest.raises(
        DataError, match=r"toy: toy\.zip .*Fill in the form at example\.org.*put the file at .*toy\.zip"
    ):
        fetched(tmp_path, values)
    assert left(tmp_path) == []


def test_errors_name_the_dataset_not_a_folder_that_is_gone(own: Path, tmp_path: Path) -> None:
    (own / "ref1.png").write_bytes(b"no image")
    tar_gz(tmp_path / "mirror/toy.tar.gz", files_of(own))
    with pytest.raises(DataError, match=r"^toy: ref1\.png: not a readable image") as caught:
        fetched(tmp_path, download_entry({"name": "toy.tar.gz"}))
    assert ".tmp" not in str(caught.value)
    assert left(tmp_path) == []


# --- packs ----------------------------------------------------------------------------------------------------------


def test_a_large_pool_lies_in_packs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("causaliqa.datasets.pack.PACK_IMAGES", 20)
    images = {f"pool/x{n:02d}.png": png(picture(n, 32, colour=n % 2 == 0)) for n in range(45)}
    others = {"pool/readme.txt": b"text", "pool/._x00.png": b"not an image", "pool/.cache/y.png": b"nor this"}
    tar_gz(tmp_path / "mirror/pool.tar.gz", {**images, **others})
    values = download_entry({"name": "pool.tar.gz"}, **PRISTINE, store="shards", counts={"references": 45})
    folder, about = fetched(tmp_path, values)
    assert sorted(path.name for path in (folder / "images").iterdir()) == [
        f"pack-0000{n}.parquet" for n in range(3)
    ]  # fmt: skip
    assert about["counts"] == {"references": 45, "distorted": 0, "types": 0}
    rows = list(iterate_manifest(folder))
    assert [row.image for row in rows[18:21]] == [
        "images/pack-00000.parquet!pool/x18.png",
        "images/pack-00000.parquet!pool/x19.png",
        "images/pack-00001.parquet!pool/x20.png",
    ]
    assert [row.reference for row in rows] == [f"pool__x{n:02d}" for n in range(45)]
    raw = RawSet(folder)
    for n in (0, 44, 17, 20, 19):  # not in order
        assert raw.content(rows[n]) == images[f"pool/x{n:02d}.png"]
        assert np.array_equal(raw.read(rows[n]).values, picture(n, 32, colour=n % 2 == 0))
    again, _ = fetched(tmp_path, values, out="again")
    assert files_of(again) == files_of(folder)


def test_packs_refuse_two_images_of_one_name(tmp_path: Path) -> None:
    tar_gz(tmp_path / "mirror/a.tar.gz", {"x y.png": png(picture(0)), "x_y.png": png(picture(1))})
    values = download_entry({"name": "a.tar.gz"}, **PRISTINE, store="shards")
    with pytest.raises(DataError, match=r"^toy: two images are called x_y; rename one"):
        fetched(tmp_path, values)
    assert left(tmp_path) == []


def test_packs_need_images_in_the_right_number(tmp_path: Path) -> None:
    tar_gz(tmp_path / "mirror/a.tar.gz", {"readme.txt": b"x"})
    with pytest.raises(DataError, match=r"^toy: its archives hold no image; images end in \.png"):
        fetched(tmp_path, download_entry({"name": "a.tar.gz"}, **PRISTINE, store="shards"))
    tar_gz(tmp_path / "mirror/b.tar.gz", {"a.png": png(picture(0))})
    with pytest.raises(DataError, match=r"^toy: has 1 references, the registry says 2"):
        fetched(tmp_path, download_entry({"name": "b.tar.gz"}, **PRISTINE, store="shards", counts={"references": 2}))
    tar_gz(tmp_path / "mirror/c.tar.gz", {"a.png": png(picture(0))[:60]})
    with pytest.raises(DataError, match=r"^toy: a\.png: not a readable image"):
        fetched(tmp_path, download_entry({"name": "c.tar.gz"}, **PRISTINE, store="shards"))
    assert left(tmp_path) == []


def test_an_image_too_large_for_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("causaliqa.datasets.fetch.PACK_BYTES", 1000)
    tar_gz(tmp_path / "mirror/a.tar.gz", {"a.png": png(picture(0))})
    with pytest.raises(DataError, match=r"a\.tar\.gz: member 'a\.png'.*1000"):
        fetched(tmp_path, download_entry({"name": "a.tar.gz"}, **PRISTINE, store="shards"))


def test_packs_are_closed_at_their_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("causaliqa.datasets.pack.PACK_BYTES", 250)
    members = [(f"{n}.png", bytes([n]) * 100) for n in range(5)]
    written = list(write_packs(tmp_path, "images", members))
    assert [image.split("!")[0][-9] for image, _ in written] == ["0", "0", "1", "1", "2"]
    reader = PackReader(tmp_path)
    assert [reader.read(image) for image, _ in written] == [content for _, content in members]
    assert [is_packed(image) for image in (written[0][0], "images/a!b.png", "images/x.parquet!a.png")] == [
        True, False, False,
    ]  # fmt: skip


def test_damaged_packs_are_named(tmp_path: Path) -> None:
    (image, _), *_ = list(write_packs(tmp_path, "images", [("a.png", b"x" * 300), ("b.png", b"y" * 300)]))
    pack = tmp_path / "images/pack-00000.parquet"
    whole = pack.read_bytes()
    with pytest.raises(DataError, match=r"pack-00000\.parquet: lacks 'c\.png'; delete .* and fetch the dataset again"):
        PackReader(tmp_path).read("images/pack-00000.parquet!c.png")
    for start in (4, 8, 20):  # headers of pages
        pack.write_bytes(whole[:start] + b"\xff" * 12 + whole[start + 12 :])
        with pytest.raises(DataError, match=r"pack-00000\.parquet: (truncated or not Parquet|lacks)"):
            PackReader(tmp_path).read(image)
    pack.write_bytes(whole[:100])
    with pytest.raises(DataError, match=r"pack-00000\.parquet: truncated or not Parquet"):
        PackReader(tmp_path).read(image)
    pack.unlink()
    with pytest.raises(DataError, match=r"pack-00000\.parquet: missing; delete"):
        PackReader(tmp_path).read(image)


# --- what is refused ------------------------------------------------------------------------------------------------


def test_a_missing_image_stops_or_is_counted(own: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("r0_1", "r0_2", "r1_1", "r1_2"):
        (own / f"dist/{name}.png").unlink()
    with pytest.raises(
        DataError,
        match=(
            r"^toy: listed images that are not there: 4 "
            r"\(dist/r0_1\.png, dist/r0_2\.png, dist/r1_1\.png and 1 more\);"
        ),
    ) as caught:
        fetched(tmp_path, entry(own))
    assert "fetch.on_missing: skip" in str(caught.value)
    assert left(tmp_path) == []
    folder, about = fetched(tmp_path, entry(own, counts={"distorted": 6}), on_missing="skip")
    assert about["skipped"] == {"missing_image": 4}
    assert about["counts"] == {"references": 3, "distorted": 2, "types": 2}
    assert (about["expected"], about["on_missing"]) == ({"distorted": 6}, "skip")
    assert "toy: left out: 4 missing image" in capsys.readouterr().err
    assert len(list(iterate_manifest(folder))) == 5


def test_a_missing_reference_takes_its_images_along(own: Path, tmp_path: Path) -> None:
    (own / "ref2.png").unlink()
    with pytest.raises(
        DataError, match=r"listed images that are not there: 3 \(ref2\.png, the reference ref2 of dist/r2_1\.png"
    ):
        fetched(tmp_path, entry(own))
    folder, about = fetched(tmp_path, entry(own), on_missing="skip")
    assert about["skipped"] == {"missing_image": 1, "missing_reference": 2}
    assert {row.reference for row in iterate_manifest(folder)} == {"ref0", "ref1"}


def test_a_copy_without_any_image_is_refused_even_if_missing_ones_are_skipped(own: Path, tmp_path: Path) -> None:
    for path in own.rglob("*.png"):
        path.unlink()
    with pytest.raises(DataError, match=r"^toy: none of the 9 listed images is in .*own; complete the copy"):
        fetched(tmp_path, entry(own), on_missing="skip")


def test_an_image_without_a_label_is_left_aside(own: Path, tmp_path: Path) -> None:
    (own / "dist/extra.png").write_bytes(png(picture(9)))
    folder, about = fetched(tmp_path, entry(own))
    assert about["rows"] == 9
    assert not (folder / "images/dist/extra.png").exists()


def test_a_listed_size_that_differs(own: Path, tmp_path: Path) -> None:
    (own / "dist/r1_2.png").write_bytes(png(picture(1, size=36)))
    with pytest.raises(
        DataError, match=r"^toy: dist/r1_2\.png is 36x36 and its reference ref1 40x40 pixels; replace the file"
    ):
        fetched(tmp_path, entry(own))
    assert left(tmp_path) == []
    folder, about = fetched(tmp_path, entry(own), on_missing="skip")
    assert about["skipped"] == {"size_differs": 1}
    assert about["counts"]["distorted"] == 5
    assert not (folder / "images/dist/r1_2.png").exists()
    assert len(list(iterate_manifest(folder))) == about["rows"] == 8


def test_a_row_twice_in_another_case(own: Path, tmp_path: Path) -> None:
    rows = read_table(own)
    write_table(own, [*rows, {**rows[0], "image": rows[0]["image"].upper()}])
    with pytest.raises(DataError, match=r"scores\.csv.*r0_1\.png is listed twice"):
        fetched(tmp_path, entry(own))


def test_a_reader_that_lists_twice_is_caught(own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from causaliqa.datasets.readers.base import Row

    rows = [Row("ref0.png", "ref0", "reference"), Row("REF0.png", "ref0", "reference")]
    monkeypatch.setattr("causaliqa.datasets.fetch.read_layout", lambda *_: iter(rows))
    with pytest.raises(DataError, match=r"^toy: image REF0\.png is listed twice \(also as ref0\.png\); repair"):
        fetched(tmp_path, entry(own))
    monkeypatch.setattr("causaliqa.datasets.fetch.read_layout", lambda *_: iter([]))
    with pytest.raises(DataError, match=r"^toy: layout 'folder' lists no image in"):
        fetched(tmp_path, entry(own))


@pytest.mark.parametrize(
    ("content", "rules", "message"),
    [
        (
            tiff(np.full((40, 40), 300, np.uint16)),
            {"data_range": 255},
            r"ref0\.tif: a pixel has the value 300, above the",
        ),
        (
            tiff(np.ones((40, 40), np.float32)),
            {},
            r"ref0\.tif: float pixels have no full scale .* image_rules\.data_range",
        ),
        (tiff(np.full((40, 40), -1, np.float32)), {"data_range": 1}, r"ref0\.tif: a pixel has the value -1, below 0"),
        (b"nothing", {}, r"ref0\.tif: not a readable image"),
        (tiff(np.ones((40, 40), np.uint8))[:50], {}, r"ref0\.tif: not a readable image"),
    ],
)
def test_unusable_pixels(tmp_path: Path, content: bytes, rules: dict[str, Any], message: str) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "ref0.tif").write_bytes(content)
    for jobs in (1, 2) if content == b"nothing" else (1,):
        with pytest.raises(DataError, match=message):
            fetched(tmp_path, entry(own, **PRISTINE, image_rules=rules), jobs=jobs)
    assert left(tmp_path) == []


def test_an_image_that_may_not_be_read(own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Path.read_bytes

    def refuse(path: Path) -> bytes:
        if path.name == "ref1.png":
            raise PermissionError(errno.EACCES, "Permission denied")
        return real(path)

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(DataError, match=r"own/ref1\.png: cannot be read \(Permission denied\); check the file's"):
        fetched(tmp_path, entry(own))


def test_a_full_disk_leaves_nothing(own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("causaliqa.datasets.fetch.shutil.copyfile", full)
    with pytest.raises(CausalIQAError, match=r"raw/toy/manifest\.csv: the disk is full; free some space") as caught:
        fetched(tmp_path, entry(own))
    assert ".tmp" not in str(caught.value)
    assert left(tmp_path) == []


def test_a_failed_fetch_keeps_what_was_there(own: Path, tmp_path: Path) -> None:
    folder, _ = fetched(tmp_path, entry(own))
    before = files_of(folder)
    (own / "ref0.png").unlink()
    with pytest.raises(DataError, match="are not there"):
        fetched(tmp_path, entry(own))
    assert files_of(folder) == before
    assert left(tmp_path) == ["toy"]


def test_counts_are_held_against_the_registry(own: Path, tmp_path: Path) -> None:
    for counts, message in (
        ({"references": 4}, "has 3 references, the registry says 4"),
        ({"distorted": 5}, "has 6 distorted, the registry says 5"),
        ({"types": 3}, "has 2 types, the registry says 3"),
    ):
        with pytest.raises(DataError, match=f"^toy: {message}; the copy is not complete"):
            fetched(tmp_path, entry(own, counts=counts))
        # The message's own remedy.
        _, about = fetched(tmp_path, entry(own, counts=counts), on_missing="skip", out="accepted")
        assert about["expected"] == counts
    fetched(tmp_path, entry(own, counts={"references": 3, "distorted": 6, "types": 2}))
    # Other options mean other rows: nothing to compare with.
    _, about = fetched(tmp_path, entry(own, counts={"types": 2}), options={"toy": {"distortion": None}}, out="other")
    assert about["counts"]["types"] == 1


def test_an_empty_or_absent_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"^toy: .*none: no such folder; correct its folder in the registry"):
        fetched(tmp_path, entry(tmp_path / "none"))
    (tmp_path / "own").mkdir()
    with pytest.raises(DataError, match=r"own: not in the layout 'folder': scores\.csv is missing"):
        fetched(tmp_path, entry(tmp_path / "own"))
    with pytest.raises(DataError, match=r"own: no image matches \*\*/\*"):
        fetched(tmp_path, entry(tmp_path / "own", **PRISTINE))
    write_table(tmp_path / "own", [])
    with pytest.raises(DataError, match=r"^toy: layout 'folder' lists no image in"):
        fetched(tmp_path, entry(tmp_path / "own"))


def test_layouts_and_options_are_checked(own: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="unknown layout 'foldr'; did you mean 'folder'"):
        fetched(tmp_path, entry(own, layout="foldr"))
    with pytest.raises(ConfigError, match=r"layout folder: option colum: .*its options are: table, image"):
        fetched(tmp_path, entry(own, options={"colum": "x"}))
    with pytest.raises(DataError, match=r"scores\.csv: lacks the columns mos; it has image, reference"):
        fetched(tmp_path, entry(own), options={"toy": {"score": "mos"}})
    assert left(tmp_path) == []


# --- manifests ------------------------------------------------------------------------------------------------------


def test_manifests_say_what_is_wrong_with_them(own: Path, tmp_path: Path) -> None:
    folder, _ = fetched(tmp_path, entry(own))
    path = folder / "manifest.csv"
    lines = path.read_text().splitlines()

    def written(*new: str) -> Path:
        path.write_text("\n".join(new) + "\n")
        return folder

    for changed, message in (
        (lines[1].replace("False", "perhaps"), "line 2: grayscale is 'perhaps'; it must be True or False"),
        (lines[1].replace(",8,", ",eight,"), "line 2: invalid literal for int"),
        (lines[1].rsplit(",", 3)[0], "line 2: too few fields"),
    ):
        with pytest.raises(DataError, match=rf"manifest\.csv: {re.escape(message)}.*; delete .* and fetch it again"):
            read_raw_manifest(written(lines[0], changed))
    with pytest.raises(DataError, match=r"manifest\.csv: lacks the columns sha256; delete"):
        read_raw_manifest(written(lines[0].removesuffix(",sha256")))
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match=r"manifest\.csv: not a readable CSV"):
        read_raw_manifest(folder)
    path.unlink()
    with pytest.raises(DataError, match=r"manifest\.csv: missing; fetch the dataset first"):
        read_raw_manifest(folder)


def test_a_damaged_description(own: Path, tmp_path: Path) -> None:
    folder, _ = fetched(tmp_path, entry(own))
    for text in ("{}", "[]", '{"image_rules": {"alpha": "blue"}}'):
        (folder / "dataset.json").write_text(text)
        with pytest.raises(DataError, match=r"dataset\.json: is not the description of a fetched dataset; delete"):
            RawSet(folder)
    (folder / "dataset.json").unlink()
    with pytest.raises(DataError, match=r"dataset\.json: missing"):
        RawSet(folder)


# --- the registry and the section -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": None}, "toy: labels are declared for kinds full_reference and blind, and only for them"),
        ({"kind": "pristine", "layout": "pristine", "options": {}}, "toy: labels are declared"),
        ({"labels": {"kind": "mos"}}, "toy.labels.higher_is_better: Field required"),
        ({"labels": {"kind": "stars", "higher_is_better": True}}, "toy.labels.kind: Input should be 'mos', 'dmos'"),
        ({"source": "ftp"}, "toy: Input tag 'ftp' found using 'source' does not match any of the expected tags"),
        ({"folder": None}, "toy.folder: Field required"),
        ({"domain": "X ray"}, "toy.domain: String should match pattern"),
        ({"image_rules": {"data_range": 0}}, "toy.image_rules.data_range: Input should be greater than 0"),
        ({"store": "shards"}, "toy: store: shards is for downloads in the layout pristine"),
        ({"option": {}}, "toy.option: Extra inputs are not permitted"),
    ],
)
def test_bad_entries(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        dataset(tmp_path, entry(Path("own"), **changes))
    assert str(caught.value).startswith(f"{tmp_path / 'registry.yaml'}: {message}")


@pytest.mark.parametrize(
    ("archives", "message"),
    [
        (
            [{"name": "a.zip", "urls": ["ftp://example.org/a.zip"]}],
            "toy.archives.0.urls.0: String should match pattern",
        ),
        ([{"name": "a.zip", "urls": ["file:///etc/passwd"]}], "toy.archives.0.urls.0: String should match pattern"),
        (
            [{"name": "a.zip", "urls": []}],
            "toy.archives.0: a.zip: give urls, or the steps to obtain the file as manual",
        ),
        ([{"name": "a.zip", "into": "../up"}], "toy.archives.0: a.zip: into must stay inside the dataset's folder"),
        ([{"name": "a.zip", "into": "/etc"}], "toy.archives.0: a.zip: into must stay inside the dataset's folder"),
        ([{"name": "a.zip", "into": "a\\b"}], "toy.archives.0: a.zip: into must stay inside the dataset's folder"),
        ([{"name": "../a.zip"}], "toy.archives.0.name: String should match pattern"),
        ([{"name": ".zip"}], "toy.archives.0.name: String should match pattern"),
        ([{"name": "a.zip", "sha256": "F" * 64}], "toy.archives.0.sha256: String should match pattern"),
        ([{"name": "a.zip", "size": 0}], "toy.archives.0.size: Input should be greater than 0"),
        ([{"name": "a.zip"}, {"name": "a.zip", "into": "b"}], "toy: two archives have the same name"),
        ([], "toy.archives: List should have at least 1 item"),
    ],
)
def test_bad_archives(tmp_path: Path, archives: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        dataset(tmp_path, download_entry(*archives))
    assert str(caught.value).startswith(f"{tmp_path / 'registry.yaml'}: {message}")


def test_bad_names_of_datasets(tmp_path: Path) -> None:
    for name in ("Upper", "../up", "a-b", "_a"):
        with pytest.raises(ConfigError, match=f"{re.escape(name)}: names of datasets are lower-case letters"):
            load_registry(write_registry(tmp_path / "registry.yaml", **{name: entry(Path("own"))}))
    (tmp_path / "registry.yaml").write_text("- a\n")
    with pytest.raises(ConfigError, match=r"registry\.yaml: must map dataset names to entries"):
        load_registry(tmp_path / "registry.yaml")
    path = write_registry(tmp_path / "registry.yaml", toy=entry(Path("own")))
    with pytest.raises(ConfigError, match="no dataset 'tay'; did you mean 'toy'"):
        find_dataset("tay", path)
    with pytest.raises(ConfigError, match="no dataset 'live'; known are toy"):
        find_dataset("live", path)


def test_the_section_names_each_dataset_once() -> None:
    section = parse_options(Fetch, {"datasets": ["a"], "labelled": ["b"], "options": {"b": {"labels": "x"}}})
    assert section.options == {"b": {"labels": "x"}}
    assert (section.on_missing, section.splits.count, section.splits.train) == ("error", 10, 0.6)
    for values, message in (
        ({"datasets": ["a"], "labelled": ["a"]}, "^a stands there more than once"),
        ({"datasets": ["a"], "blind": ["b", "b"]}, "^blind: b stands there more than once"),
        ({"datasets": ["a"], "options": {"aa": {}}}, "options.aa: no such dataset is fetched; did you mean 'a'"),
        ({"datasets": ["a"], "labelled": ["A B"]}, r"labelled\.0: String should match pattern"),
        ({"datasets": []}, "datasets: List should have at least 1 item"),
        ({"datasets": ["a"], "on_missing": "ignore"}, "on_missing: Input should be 'error' or 'skip'"),
        ({"datasets": ["a"], "splits": {"train": 0.8, "val": 0.2}}, "splits: train must be above 0 and train"),
        ({"datasets": ["a"], "splits": {"train": 0.0}}, "splits: train must be above 0"),
        ({"datasets": ["a"], "splits": {"count": 0}}, "splits.count: Input should be greater than or equal to 1"),
        ({"datasets": ["a"], "splits": {"trian": 0.5}}, "splits.trian: unknown key in splits; did you mean 'train'"),
    ):
        with pytest.raises(ConfigError, match=message):
            parse_options(Fetch, values)


def test_bundled_sets_need_no_places(tmp_path: Path) -> None:
    bundled = load_registry(Path(__file__).resolve().parents[2] / "data/registry.yaml")["bundled_texture"]
    assert isinstance(bundled, BundledDataset)
    places = Places(tmp_path / "downloads", tmp_path / "record.json", mirror=None)
    about = fetch_dataset("t", bundled, tmp_path / "t", Fetch(datasets=["t"]), places=places)
    assert (about["rows"], about["counts"]["references"], about["labels"]) == (3, 3, None)
    assert not (tmp_path / "downloads").exists()


def test_archives_must_not_overwrite_each_other(tmp_path: Path) -> None:
    from causaliqa.datasets.fetch import _move_new

    for name, text in (("a", "1"), ("b", "1"), ("c", "2")):
        (tmp_path / name).write_text(text)
    _move_new(str(tmp_path / "a"), str(tmp_path / "target"))
    _move_new(str(tmp_path / "b"), str(tmp_path / "target"))
    with pytest.raises(DataError, match="target: two archives hold this file with different content; unpack one"):
        _move_new(str(tmp_path / "c"), str(tmp_path / "target"))
    assert (tmp_path / "target").read_text() == "1"
