"""What a second look at a fetched dataset finds, and what it does not."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import spearmanr
from toy_datasets import (
    BLIND,
    PRISTINE,
    blind_folder,
    download_entry,
    entry,
    fetched,
    picture,
    png,
    read_table,
    scored_folder,
    tar_gz,
    write_table,
)

from causaliqa.baselines.psnr import psnr
from causaliqa.datasets.raw import RawSet
from causaliqa.datasets.validate import bars, require_valid, summary, validate
from causaliqa.errors import CausalIQAError, DataError
from causaliqa.images import as_rgb
from causaliqa.io import read_json, sha256_file, write_json

MOS = {"kind": "mos", "higher_is_better": True}
DMOS = {"kind": "dmos", "higher_is_better": False}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fetched set of 4 references and 24 images, whose scores fall with the noise."""
    root = tmp_path_factory.mktemp("source")
    folder, _ = fetched(root, entry(scored_folder(root / "own"), counts={"references": 4, "distorted": 24, "types": 2}))
    return folder


@pytest.fixture
def toy(source: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(source, tmp_path / "toy"))


def rewrite(folder: Path, old: str, new: str, count: int = 1) -> None:
    """Edit the manifest, and make its description agree, so that only the content of rows is wrong."""
    path = folder / "manifest.csv"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, count))
    about = read_json(folder / "dataset.json")
    write_json(folder / "dataset.json", {**about, "manifest_sha256": sha256_file(path)})


def test_a_good_set_is_valid(source: Path) -> None:
    found = validate(source)
    assert (found["problems"], found["warnings"]) == ([], [])
    assert (found["rows"], found["found"]) == (28, {"references": 4, "distorted": 24, "types": 2})
    assert found["expected"] == found["found"]
    assert (found["sizes"], found["n_sizes"], found["bit_depths"]) == ({"40x40": 28}, 1, {"8 bit colour": 28})
    assert (found["duplicates"], found["unlisted"], found["splits"]) == (0, 0, 10)
    rows = [row for row in RawSet(source).rows() if row.distortion != "reference"]
    scores = [row.score for row in rows]
    assert found["scores"] == {"n": 24, "low": min(scores), "mean": round(np.mean(scores), 6), "high": max(scores)}
    assert sum(found["histogram"]["counts"]) == 24
    assert len(found["histogram"]["edges"]) == 21
    require_valid(found)


def test_srcc_of_psnr_is_that_of_the_images(source: Path) -> None:
    raw = RawSet(source)
    references = raw.references()
    rows = [row for row in raw.rows() if row.distortion != "reference"]
    quality = [psnr(raw.read(references[row.reference]).values, raw.read(row).values) for row in rows]
    found = {row["name"]: row for row in validate(source)["psnr"]}
    assert list(found) == ["all", "blur", "white_noise"]
    expected = spearmanr(quality, [row.score for row in rows]).statistic
    assert found["all"] == {"group": "all", "name": "all", "n": 24, "srcc": round(expected, 6), "published": None}
    assert expected > 0.9
    blur = [k for k, row in enumerate(rows) if row.distortion == "blur"]
    expected = spearmanr([quality[k] for k in blur], [rows[k].score for k in blur]).statistic
    assert (found["blur"]["n"], found["blur"]["srcc"]) == (12, round(expected, 6))


def test_the_result_does_not_depend_on_the_number_of_processes(source: Path) -> None:
    assert validate(source, jobs=2) == validate(source, jobs=1) == validate(source)


def test_a_changed_file(toy: Path) -> None:
    (toy / "images/dist/r2_3.png").write_bytes(png(picture(9)))
    (problem,) = validate(toy)["problems"]
    assert "images/dist/r2_3.png: does not match its checksum in manifest.csv; delete" in problem


def test_a_changed_reference_is_one_problem_also_when_the_set_was_read_before(toy: Path) -> None:
    assert validate(toy)["problems"] == []
    (toy / "images/ref3.png").write_bytes(png(picture(9)))
    found = validate(toy)
    (problem,) = found["problems"]
    assert "images/ref3.png: does not match its checksum" in problem
    assert found["psnr"][0]["n"] == 18


def test_a_deleted_file(toy: Path) -> None:
    (toy / "images/dist/r0_1.png").unlink()
    found = validate(toy)
    (problem,) = found["problems"]
    assert "images/dist/r0_1.png: no such image; delete" in problem
    with pytest.raises(CausalIQAError, match=r"^toy: problems: 1, the first: .*r0_1\.png: no such image"):
        require_valid(found)


def test_a_file_that_nobody_lists_and_copies(toy: Path) -> None:
    for name in ("images/dist/new.png", "images/New.PNG"):
        (toy / name).write_bytes(png(picture(9)))
    (toy / "images/readme.txt").write_text("x")
    found = validate(toy)
    assert found["problems"] == []
    assert found["unlisted"] == 2
    start = "images without a row (no label): 2 (images/New.PNG, images/dist/new.png); "
    assert [text.startswith(start) for text in found["warnings"]] == [True]


def test_copies_of_one_image(tmp_path: Path) -> None:
    own = scored_folder(tmp_path / "own", references=2, levels=4)
    for k in (2, 3, 4):
        (own / f"dist/r0_{k}.png").write_bytes((own / "dist/r0_1.png").read_bytes())
    folder, _ = fetched(tmp_path, entry(own))
    found = validate(folder)
    assert found["duplicates"] == 3
    assert found["warnings"] == [
        "files that are copies of others: 3 (images/dist/r0_2.png = images/dist/r0_1.png, "
        "images/dist/r0_3.png = images/dist/r0_1.png, images/dist/r0_4.png = images/dist/r0_1.png); "
        "check whether the labels mean the right files"
    ]
    assert found["problems"] == []


@pytest.mark.parametrize(("labels", "sign"), [(MOS, 1), (DMOS, -1)])
def test_reversed_labels_are_noticed(tmp_path: Path, labels: dict[str, Any], sign: int) -> None:
    own = scored_folder(tmp_path / "own")
    rows = read_table(own)
    for row in rows:
        row["score"] = repr(sign * float(row["score"]))
    write_table(own, rows)
    right, _ = fetched(tmp_path, entry(own, labels=labels), out="right")
    assert validate(right)["warnings"] == []
    other = DMOS if sign > 0 else MOS
    wrong, _ = fetched(tmp_path, entry(own, labels=other), out="wrong")
    found = validate(wrong)
    direction = "higher is worse" if sign > 0 else "higher is better"
    value = found["psnr"][0]["srcc"]
    assert value == -validate(right)["psnr"][0]["srcc"] < -0.9
    assert found["warnings"] == [
        f"the labels look reversed: their SRCC with PSNR is {value:.3f}, declared is '{direction}'; "
        "check labels.higher_is_better in the registry"
    ]
    assert found["problems"] == []


def test_a_few_images_are_no_evidence_of_reversed_labels(tmp_path: Path) -> None:
    own = scored_folder(tmp_path / "own", references=3)  # 18 images
    folder, _ = fetched(tmp_path, entry(own, labels=DMOS))
    found = validate(folder)
    assert found["psnr"][0]["srcc"] < -0.9
    assert found["warnings"] == []


def test_scores_outside_their_declared_range(tmp_path: Path) -> None:
    own = scored_folder(tmp_path / "own", references=3, levels=2)  # 6.8 to 8.3
    folder, _ = fetched(tmp_path, entry(own, labels={**MOS, "range": [0, 7.5]}))
    above = sum(row.score > 7.5 for row in RawSet(folder).rows())
    assert above == 3
    assert validate(folder)["warnings"] == [
        "scores outside the declared range [0, 7.5]: 3; check labels.range in the registry"
    ]


def test_an_edited_manifest(toy: Path) -> None:
    path = toy / "manifest.csv"
    path.write_text(path.read_text().replace("8.299999999999999", "1", 1))
    assert validate(toy)["problems"] == [
        f"{path}: is not the one that was written with dataset.json; delete {toy} and fetch the dataset again"
    ]
    path.write_text(path.read_text().replace(",8,255,", ",8,wide,", 1))
    with pytest.raises(DataError, match=r"manifest\.csv: line 2: could not convert"):
        validate(toy)


def test_edited_splits(toy: Path) -> None:
    path = toy / "splits.json"
    path.write_text(path.read_text().replace("ref1", "ref7"))
    found = validate(toy)
    assert found["splits"] == 0
    assert found["problems"] == [
        f"{path}: its splits are not those of its hash; fetch the dataset again or import them anew"
    ]


def test_wrong_facts_of_an_image(toy: Path) -> None:
    for old, new in ((",255,40,40,", ",255,41,40,"), ("False,8,", "True,8,"), (",8,255,", ",16,255,")):
        rewrite(toy, old, new)
        (problem,) = validate(toy)["problems"]
        assert problem == (
            "images/ref0.png: is (40, 40, 8, False), its row says otherwise (width, height, bits, gray); "
            "fetch the dataset again"
        )
        rewrite(toy, new, old)
    rewrite(toy, "False,8,255,", "False,8,100,")
    (problem,) = validate(toy)["problems"]
    assert problem.startswith("images/ref0.png: a pixel lies above its data range 100; correct image_rules.data_range")
    rewrite(toy, "False,8,100,", "False,8,255,")
    rewrite(toy, RawSet(toy).references()["ref0"].sha256, "no checksum")
    assert "images/ref0.png: does not match its checksum" in validate(toy)["problems"][0]


def test_another_size_than_the_reference(toy: Path) -> None:
    image = toy / "images/dist/r1_1.png"
    row = next(row for row in RawSet(toy).rows() if row.image.endswith("r1_1.png"))
    image.write_bytes(png(picture(1, size=36)))
    rewrite(toy, row.sha256, sha256_file(image))
    path = toy / "manifest.csv"
    line = next(line for line in path.read_text().splitlines() if "r1_1.png" in line)
    rewrite(toy, line, line.replace("255,40,40", "255,36,36"))
    assert validate(toy)["problems"] == [
        "images/dist/r1_1.png: differs in size from its reference ref1; fetch the dataset again"
    ]


def test_a_damaged_description(toy: Path) -> None:
    about = read_json(toy / "dataset.json")
    write_json(toy / "dataset.json", {key: about[key] for key in ("name", "kind", "image_rules", "labels")})
    with pytest.raises(DataError, match=r"dataset\.json: lacks title, version, domain, .*; delete .* and fetch"):
        validate(toy)
    with pytest.raises(DataError, match=r"none/dataset\.json: missing"):
        validate(toy.with_name("none"))


def test_what_was_left_out_and_what_is_expected(tmp_path: Path) -> None:
    own = scored_folder(tmp_path / "own", references=3, levels=2)
    (own / "dist/r0_1.png").unlink()
    values = entry(own, counts={"distorted": 6, "references": 3})
    folder, _ = fetched(tmp_path, values, on_missing="skip")
    found = validate(folder)
    assert found["warnings"] == [
        "listed images that were left out (missing image): 1; complete the copy",
        "distorted: 5 found, the registry says 6; complete the copy",
    ]
    assert found["problems"] == []


def test_gray_beside_colour_is_compared_in_colour(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    gray = [picture(n, colour=False) for n in range(4)]
    (own / "ref.png").write_bytes(png(picture(9)))
    rows = []
    for n, x in enumerate(gray):
        (own / f"g{n}.png").write_bytes(png(x))
        rows.append({"image": f"g{n}.png", "reference": "ref.png", "distortion": "gray", "level": 1,
                     "score": psnr(picture(9), as_rgb(x)), "score_std": 0})  # fmt: skip
    write_table(own, rows)
    folder, _ = fetched(tmp_path, entry(own))
    found = validate(folder)
    assert found["psnr"] == [{"group": "all", "name": "all", "n": 4, "srcc": 1.0, "published": None}]
    assert found["bit_depths"] == {"8 bit colour": 1, "8 bit gray": 4}


def test_blind_and_pristine_sets_have_no_psnr(tmp_path: Path) -> None:
    folder, _ = fetched(tmp_path, entry(blind_folder(tmp_path / "blind", 5), **BLIND))
    found = validate(folder)
    assert (found["psnr"], found["scores"]["n"], found["problems"], found["warnings"]) == ([], 5, [], [])
    tar_gz(tmp_path / "mirror/pool.tar.gz", {f"x{n}.png": png(picture(n)) for n in range(3)})
    packed, _ = fetched(tmp_path, download_entry({"name": "pool.tar.gz"}, **PRISTINE, store="shards"), out="packed")
    found = validate(packed)
    assert (found["rows"], found["problems"], found["warnings"], found["histogram"]) == (3, [], [], {})
    pack = packed / "images/pack-00000.parquet"
    content = bytearray(pack.read_bytes())
    content[content.index(b"\x89PNG") + 50] ^= 1
    pack.write_bytes(bytes(content))
    (problem,) = validate(packed)["problems"]
    assert "pack-00000.parquet!x0.png: does not match its checksum" in problem


def test_the_summary_says_all_of_it(toy: Path) -> None:
    lines = summary(validate(toy))
    assert lines[0] == "toy: Toy (version 1, full_reference, texture)"
    assert lines[1] == ("  images      28: 4 references, 24 with a score, 2 distortion types; 1 sizes; 28 8 bit colour")
    assert lines[2].startswith("  scores      mos, higher is better: 2.4 to 8.3, mean ")
    assert lines[3].startswith("  SRCC of PSNR with the scores (both oriented); ")
    assert lines[4].split() == ["all", "24", f"{validate(toy)['psnr'][0]['srcc']:.3f}"]
    assert lines[-1] == "  valid"
    for path in (toy / "images/dist").iterdir():
        path.unlink()
    (toy / "images/new.png").write_bytes(png(picture(9)))
    lines = summary(validate(toy))
    assert any(line.startswith("  warning     images without a row (no label): 1 (images/new.png); ") for line in lines)
    assert sum(line.startswith("  PROBLEM     ") for line in lines) == 21
    assert lines[-2:] == ["  PROBLEM     and 4 more", "  NOT VALID"]


def test_bars() -> None:
    assert bars([0, 1, 50, 100]) == " ▁▄█"
    assert bars([0, 0]) == "  "


def test_published_values_and_provenance_stand_beside_ours(toy: Path) -> None:
    path = toy / "manifest.csv"
    lines = path.read_text().splitlines()
    kinds = {"r0": "real", "r1": "exact", "r2": "near", "r3": "near"}
    for k, line in enumerate(lines):
        for start, kind in kinds.items():
            if f"dist/{start}_" in line:
                cells = line.split(",")
                cells[8] = kind
                lines[k] = ",".join(cells)
    path.write_text("\n".join(lines) + "\n")
    about = read_json(toy / "dataset.json")
    write_json(
        toy / "dataset.json",
        {**about, "manifest_sha256": sha256_file(path), "psnr_srcc": {"all": 0.5, "blur": 0.25},
         "provenance": {"real": 6, "exact": 6, "near": 12}},
    )  # fmt: skip
    found = validate(toy)
    assert [(row["group"], row["name"], row["n"], row["published"]) for row in found["psnr"]] == [
        ("all", "all", 24, 0.5),
        ("provenance", "exact", 6, None),
        ("provenance", "near", 12, None),
        ("provenance", "real", 6, None),
        ("distortion", "blur", 12, 0.25),
        ("distortion", "white_noise", 12, None),
    ]
    lines = summary(found)
    assert "  provenance  12 near, 6 exact, 6 real" in lines or "  provenance  6 exact, 12 near, 6 real" in lines
    assert any(line.split() == ["blur", "12", f"{found['psnr'][4]['srcc']:.3f}", "[0.250]"] for line in lines)
