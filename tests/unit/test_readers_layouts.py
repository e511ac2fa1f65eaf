"""Every published layout, as a small folder of empty files."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pytest
import scipy.io

from causaliqa.datasets.readers import kadid10k, live, read_layout, siqad, tid2013
from causaliqa.datasets.readers.base import Row
from causaliqa.degradations.registry import TYPES as DEGRADATIONS
from causaliqa.errors import ConfigError, DataError


def put(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def cells(*names: str) -> np.ndarray:
    array = np.empty((len(names), 1), dtype=object)
    array[:, 0] = names
    return array


def read(layout: str, folder: Path, **options: Any) -> list[Row]:
    return list(read_layout(layout, folder, options))


def by_image(rows: list[Row]) -> dict[str, Row]:
    assert len({row.image for row in rows}) == len(rows)
    return {row.image: row for row in rows}


# --- tid2013 ---------------------------------------------------------------------------------------------------------


def tid(
    folder: Path, names: str = "5.5 I01_01_1.bmp\n4 i25_24_5.BMP\n3.25 i01_17_2.bmp\n", stds: str = ".1\n.2\n.3\n"
) -> None:
    put(folder / "mos_with_names.txt", names)
    put(folder / "mos_std.txt", stds)
    for name in ("reference_images/I01.BMP", "reference_images/I25.bmp", "distorted_images/i01_01_1.bmp"):
        put(folder / name)


def test_tid2013(tmp_path: Path) -> None:
    tid(tmp_path)
    rows = by_image(read("tid2013", tmp_path))
    assert list(rows) == [
        "reference_images/I01.BMP",
        "distorted_images/i01_01_1.bmp",
        "reference_images/I25.bmp",
        "distorted_images/i25_24_5.BMP",
        "distorted_images/i01_17_2.bmp",
    ]
    assert rows["reference_images/I01.BMP"].distortion == "reference"
    assert rows["distorted_images/i01_01_1.bmp"] == Row(
        "distorted_images/i01_01_1.bmp", "i01", "additive_gaussian_noise", 1, 5.5, 0.1
    )
    # Not on disk: as listed.
    assert rows["distorted_images/i25_24_5.BMP"].distortion == "sparse_sampling_and_reconstruction"
    assert rows["distorted_images/i01_17_2.bmp"] == Row(
        "distorted_images/i01_17_2.bmp", "i01", "contrast_change", 2, 3.25, 0.3
    )
    assert {row.reference for row in read("tid2013", tmp_path, reference_25=False)} == {"i01"}
    assert len(set(tid2013.TYPES)) == 24


def test_tid2013_partial_copy(tmp_path: Path) -> None:
    tid(tmp_path)
    put(tmp_path / "provenance.csv", "image,provenance\ni01_01_1.bmp,exact\ni25_24_5.bmp,near\nI01_17_2.bmp,real\n")
    assert [row.provenance for row in read("tid2013", tmp_path)] == ["", "exact", "", "near", "real"]


@pytest.mark.parametrize(
    ("names", "stds", "message"),
    [
        ("5 i01_01_1.bmp\n5 I01_01_1.bmp\n", ".1\n.1\n", "line 2: I01_01_1.bmp is listed twice"),
        ("good i01_01_1.bmp\n", ".1\n", "line 1: 'good' is not a number"),
        ("nan i01_01_1.bmp\n", ".1\n", "the score is nan"),
        ("5 i01_01_1.bmp\n", "x\n", "mos_std.txt: line 1: 'x' is not a number"),
        ("5\n", ".1\n", "line 1: 1 fields, not 2"),
        ("5 i01_25_1.bmp\n", ".1\n", "types 1 to 24"),
        ("5 i01_00_1.bmp\n", ".1\n", "types 1 to 24"),
        ("5 i26_01_1.bmp\n", ".1\n", "references are 1 to 25"),
        ("5 i01_01_6.bmp\n", ".1\n", "levels 1 to 5"),
        ("5 ../i01_01_1.bmp\n", ".1\n", "cannot tell the reference of '../i01_01_1.bmp'"),
        ("5 i01_01_1.bmp\n5 i01_01_2.bmp\n", ".1\n", "mos_std.txt: has fewer lines"),
        ("5 i01_01_1.bmp\n", ".1\n.2\n", "mos_std.txt: has more lines"),
    ],
)
def test_tid2013_damaged(tmp_path: Path, names: str, stds: str, message: str) -> None:
    tid(tmp_path, names, stds)
    with pytest.raises(DataError, match=message):
        read("tid2013", tmp_path)


# --- live ------------------------------------------------------------------------------------------------------------


def live_release(folder: Path, jpeg: str = "womanhat.bmp img1.bmp 14\nBikes.bmp img3.bmp 30\n") -> None:
    scores, copies, references = np.arange(982.0), np.zeros(982, np.uint8), ["a.bmp"] * 982
    for place, reference in ((226, "lake.bmp"), (227, "womanhat.bmp"), (229, "bikes.bmp"), (981, "lake.bmp")):
        references[place] = reference
    copies[229] = 1
    scipy.io.savemat(folder / "dmos_realigned.mat", {"dmos_new": scores, "dmos_std": scores / 10, "orgs": copies})
    scipy.io.savemat(folder / "dmos.mat", {"dmos": -scores, "orgs": copies})
    names = np.empty((1, 982), dtype=object)
    names[0, :] = references
    scipy.io.savemat(folder / "refnames_all.mat", {"refnames_all": names})
    put(folder / "jp2k/info.txt", "lake.bmp img227.bmp 0.1\n")
    put(folder / "jpeg/info.txt", jpeg)
    put(folder / "fastfading/info.txt", "lake.bmp img174.bmp 20\n")
    put(folder / "refimgs/womanhat.bmp")
    put(folder / "jpeg/img1.bmp")


def test_live(tmp_path: Path) -> None:
    live_release(tmp_path)
    rows = by_image(read("live", tmp_path))
    assert list(rows) == [
        "refimgs/lake.bmp",
        "jp2k/img227.bmp",
        "refimgs/womanhat.bmp",
        "jpeg/img1.bmp",
        "fastfading/img174.bmp",
    ]
    assert rows["jpeg/img1.bmp"] == Row("jpeg/img1.bmp", "womanhat", "jpeg", 0, 227.0, 22.7)
    assert rows["jp2k/img227.bmp"].score == 226
    assert rows["fastfading/img174.bmp"].score == 981
    assert rows["fastfading/img174.bmp"].distortion == "fast_fading"
    assert sum(count for _, count in live.TYPES.values()) == live.TOTAL


def test_live_options(tmp_path: Path) -> None:
    live_release(tmp_path)
    rows = by_image(read("live", tmp_path, labels="original", pristine_copies=True))
    assert rows["jpeg/img3.bmp"].score == -229
    assert (rows["jpeg/img3.bmp"].level, rows["jpeg/img3.bmp"].reference) == (0, "bikes")
    assert math.isnan(rows["jpeg/img1.bmp"].score_std)
    with pytest.raises(ConfigError, match="option labels: Input should be 'realigned' or 'original'"):
        read("live", tmp_path, labels="new")


def test_live_partial_copy(tmp_path: Path) -> None:
    live_release(tmp_path)
    (tmp_path / "fastfading/info.txt").unlink()
    listing = "image,provenance\njpeg/img1.bmp,exact\njp2k/img227.bmp,near\n"
    put(tmp_path / "provenance.csv", listing)
    assert [row.provenance for row in read("live", tmp_path)] == ["", "near", "", "exact"]
    # Images of a type without their list are no partial copy.
    put(tmp_path / "gblur/img1.bmp")
    with pytest.raises(DataError, match=r"gblur/info\.txt is missing"):
        read("live", tmp_path)


@pytest.mark.parametrize(
    ("jpeg", "message"),
    [
        ("lake.bmp img1.bmp 14\n", "the reference is womanhat.bmp in refnames_all.mat"),
        ("womanhat.bmp img1.bmp\n", "line 1: 2 fields, not 3"),
        ("womanhat.bmp img0.bmp 1\n", "'img0.bmp' is none of img1.bmp to img233.bmp"),
        ("womanhat.bmp img234.bmp 1\n", "none of img1.bmp to img233.bmp"),
        ("womanhat.bmp ../img1.bmp 1\n", "none of img1.bmp to img233.bmp"),
        ("womanhat.bmp img1.bmp 1\nwomanhat.bmp IMG1.bmp 1\n", "listed twice"),
    ],
)
def test_live_damaged_lists(tmp_path: Path, jpeg: str, message: str) -> None:
    live_release(tmp_path, jpeg)
    with pytest.raises(DataError, match=message):
        read("live", tmp_path)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"dmos_new": np.zeros(981)}, "dmos_new has 981 numbers, not 982"),
        ({"dmos_new": np.zeros(982), "dmos_std": np.zeros(982)}, "lacks the array orgs"),
        ({"dmos_new": np.full(982, np.nan)}, "dmos_new: number 1 is nan"),
    ],
)
def test_live_damaged_scores(tmp_path: Path, arrays: dict[str, np.ndarray], message: str) -> None:
    live_release(tmp_path)
    scipy.io.savemat(tmp_path / "dmos_realigned.mat", arrays)
    with pytest.raises(DataError, match=message):
        read("live", tmp_path)


# --- folder ----------------------------------------------------------------------------------------------------------

TABLE = "image,reference,score,sd,type,severity\nb/1.png,refs/A.png,2,.5,JPEG 2000,Level-3\n"


def test_folder_with_references(tmp_path: Path) -> None:
    put(
        tmp_path / "labels.csv",
        TABLE + "refs/a.png,,4.5,,,\nb/2.png,refs/a.png,1,.1,blur,\nrefs/C.png,refs/C.png,,,,\n",
    )
    put(tmp_path / "refs/A.png")
    rows = read("folder", tmp_path, score_std="sd", distortion="type", level="severity")
    assert [row.image for row in rows] == ["refs/A.png", "refs/C.png", "b/1.png", "b/2.png"]
    assert rows[0].score == 4.5
    assert [row.reference for row in rows] == ["refs/A", "refs/C", "refs/A", "refs/A"]
    assert rows[2] == Row("b/1.png", "refs/A", "jpeg_2000", 3, 2.0, 0.5)
    assert (rows[3].level, rows[3].distortion) == (0, "blur")


def test_folder_with_references_that_are_not_listed(tmp_path: Path) -> None:
    put(tmp_path / "data/t.tsv", "file\tref\tq\tscene\nd.png\tr.png\t1\tHarbour\n")
    options = {"table": "data/t.tsv", "image": "file", "reference": "ref", "score": "q", "content": "scene"}
    rows = read("folder", tmp_path, **options, images="data", delimiter="\t")
    assert rows[0] == Row("data/r.png", "Harbour", "reference", score=rows[0].score)
    assert rows[1] == Row("data/d.png", "Harbour", "distorted", 0, 1.0, rows[1].score_std)


def test_folder_without_references(tmp_path: Path) -> None:
    put(tmp_path / "labels.csv", "image,score\na.png,1\nb.png,2\n")
    rows = read("folder", tmp_path, reference=None)
    assert [(row.image, row.reference, row.distortion, row.score) for row in rows] == [
        ("a.png", "", "authentic", 1.0),
        ("b.png", "", "authentic", 2.0),
    ]
    with pytest.raises(DataError, match="lacks the columns reference"):
        read("folder", tmp_path)


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("a.png,../r.png,1\n", {}, "'../r.png' is no file inside the dataset's folder"),
        ("../a.png,r.png,1\n", {}, "'../a.png' is no file inside"),
        ("/a.png,r.png,1\n", {}, "is no file inside"),
        ("a.png,r.png,\n", {}, "'' is not a number"),
        ("a.png,r.png,nan\n", {}, "the score is nan"),
        ("r.png,,nan\na.png,r.png,1\n", {}, "the score is nan"),
        ("a.png,r.png\n", {}, "line 2 has too few fields"),
        ("a.png,r.png,1\nA.PNG,r.png,1\n", {}, "listed twice"),
        ("r.png,,1\nr.png,r.png,1\n", {}, "listed twice"),
        ("a.png,r.png,1\nb.png,a.png,1\n", {}, "a.png is both a reference and distorted"),
        ("a.png,r.png,1\nb.png,r.bmp,1\n", {}, "content 'r' has the references r.png and r.bmp"),
        ("a.png,r.png,x\nb.png,r.png,y\n", {"content": "score"}, "r.png has the contents 'x' and 'y'"),
        ("a.png,r.png,1\n", {"level": "image"}, "level 'a.png' does not hold one whole number"),
        ("1-2.png,r.png,1\n", {"level": "image"}, "does not hold one whole number"),
        ("reference,r.png,1\n", {"distortion": "image"}, "distortion 'reference' of an image that is no reference"),
        ("a.png,r.png,1\n", {"score_std": "sd"}, "lacks the columns sd"),
        ("a.png,r.png, \n", {"content": "score"}, "the content is empty"),
    ],
)
def test_folder_damaged(tmp_path: Path, text: str, options: dict[str, str], message: str) -> None:
    put(tmp_path / "labels.csv", "image,reference,score\n" + text)
    with pytest.raises(DataError, match=message):
        read("folder", tmp_path, **options)


# --- tiqa_mri, exposure_ladder, agudelo_pansharp, mmp2k --------------------------------------------------------------

MRI = "image,mos,pair,role,width,height,max_value,pair_same_size,reference\n"
PAIR = "02.png,2,1,even_lq,9,9,900,1,01.png\n01.png,4.5,1,odd_hq,9,9,800,1,\n"
UNEQUAL = "03.png,4,2,odd_hq,9,9,800,0,\n04.png,3,2,even_lq,9,8,900,0,\n"


def test_tiqa_mri(tmp_path: Path) -> None:
    put(tmp_path / "labels.csv", MRI + PAIR + UNEQUAL)
    high, low = read("tiqa_mri", tmp_path)
    assert (high.image, high.reference, high.distortion, high.score) == ("images/01.png", "pair_01", "reference", 4.5)
    assert (low.image, low.reference, low.level, low.score) == ("images/02.png", "pair_01", 1, 2.0)
    # Both are scaled by the larger of the two.
    assert high.data_range == low.data_range == 900
    with pytest.raises(DataError, match=r"04.png: its size is not that of 03.png; set unequal: skip"):
        read("tiqa_mri", tmp_path, unequal="error")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (PAIR.replace("01.png\n", "05.png\n", 1), "the reference is '05.png', not 01.png"),
        (PAIR.splitlines()[0] + "\n", "pair 1 has one image"),
        (PAIR.replace("odd_hq", "even_lq"), "pair 1 has two images of role even_lq"),
        (PAIR.replace("odd_hq", "odd"), "role 'odd' is unknown"),
        (PAIR.replace("4.5", "nan"), "the score is nan"),
        (PAIR.replace("900", "0").replace("800", "0"), "max_value is not above 0"),
        (PAIR.replace("02.png", "01.png"), "listed twice"),
        (PAIR.replace(",1,odd", ",1.5,odd"), "'1.5' is not a whole number"),
    ],
)
def test_tiqa_mri_damaged(tmp_path: Path, text: str, message: str) -> None:
    put(tmp_path / "labels.csv", MRI + text)
    with pytest.raises(DataError, match=message):
        read("tiqa_mri", tmp_path)


LADDER = (
    "image,reference,scene,crop,exposure_s,is_reference,relative_dose\n"
    "w5.png,w60.png,w,left,5,0,0.08\nw20.png,w60.png,w,left,20,0,0.33\nw60.png,w60.png,w,left,60,1,1\n"
)


def test_exposure_ladder(tmp_path: Path) -> None:
    put(tmp_path / "labels.csv", LADDER)
    assert read("exposure_ladder", tmp_path) == [
        Row("images/w60.png", "w_left", "reference", 0, 1.0, pytest.approx(math.nan, nan_ok=True)),
        Row("images/w5.png", "w_left", "low_exposure", 2, 0.08, pytest.approx(math.nan, nan_ok=True)),
        Row("images/w20.png", "w_left", "low_exposure", 1, 0.33, pytest.approx(math.nan, nan_ok=True)),
    ]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("60,1,1\n", "60,0,1\n", "w_left has 0 references"),
        ("20,0,", "20,1,", "w_left has 2 references"),
        (",5,0,", ",90,0,", "the reference is not the longest exposure"),
        ("w20.png,w60.png", "w20.png,w90.png", "the reference is 'w90.png', not w60.png"),
        ("w20.png,w60", "w5.png,w60", "listed twice"),
        ("0.33", "much", "'much' is not a number"),
    ],
)
def test_exposure_ladder_damaged(tmp_path: Path, old: str, new: str, message: str) -> None:
    put(tmp_path / "labels.csv", LADDER.replace(old, new))
    with pytest.raises(DataError, match=message):
        read("exposure_ladder", tmp_path)


PANSHARP = (
    "image,reference,view,scene,method,distortion,level,dmos\n"
    "u.webp,ref.webp,TC,River,ATWT-M2,UD,UD,31.5\nb.webp,ref.webp,TC,River,PCA,Blr,Level-3,55\n"
)


def test_agudelo_pansharp(tmp_path: Path) -> None:
    put(tmp_path / "labels.csv", PANSHARP)
    rows = read("agudelo_pansharp", tmp_path)
    assert [(row.image, row.reference, row.distortion, row.level) for row in rows] == [
        ("ref.webp", "tc_river", "reference", 0),
        ("u.webp", "tc_river", "atwt_m2_ud", 0),
        ("b.webp", "tc_river", "pca_blr", 3),
    ]
    assert rows[1].score == 31.5


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("b.webp,ref", "b.webp,other", "tc_river has the references ref.webp and other.webp"),
        ("b.webp,ref", "u.webp,ref", "listed twice"),
        ("Level-3", "strong", "level 'strong' does not hold one whole number"),
        ("b.webp", "../b.webp", "no file inside the dataset's folder"),
        (",55", ",inf", "the score is inf"),
    ],
)
def test_agudelo_pansharp_damaged(tmp_path: Path, old: str, new: str, message: str) -> None:
    put(tmp_path / "labels.csv", PANSHARP.replace(old, new))
    with pytest.raises(DataError, match=message):
        read("agudelo_pansharp", tmp_path)


def test_mmp2k(tmp_path: Path) -> None:
    put(tmp_path / "labels.csv", "image,mos,n_ratings\nimages/1.jpg,0.0,17\nimages/2.jpg,80.5,17\n")
    assert [(row.image, row.reference, row.distortion, row.score) for row in read("mmp2k", tmp_path)] == [
        ("images/1.jpg", "", "authentic", 0.0),
        ("images/2.jpg", "", "authentic", 80.5),
    ]
    for text, message in (
        ("1.jpg,x,1\n", "not a number"),
        ("1.jpg,1,1\n1.JPG,1,1\n", "twice"),
        ("/1.jpg,1,1\n", "inside"),
    ):
        put(tmp_path / "labels.csv", "image,mos,n_ratings\n" + text)
        with pytest.raises(DataError, match=message):
            read("mmp2k", tmp_path)


# --- pristine --------------------------------------------------------------------------------------------------------


def test_pristine(tmp_path: Path) -> None:
    for name in ("Xray/A.1.PNG", "b.tif", "note.csv", ".hidden/c.png", "__MACOSX/b.tif", "xray/._A.1.png"):
        put(tmp_path / name)
    assert read("pristine", tmp_path)[0].distortion == "reference"
    assert {row.reference: row.image for row in read("pristine", tmp_path)} == {
        "xray__a.1": "Xray/A.1.PNG",
        "b": "b.tif",
    }
    assert [row.image for row in read("pristine", tmp_path, glob="Xray/*")] == ["Xray/A.1.PNG"]
    assert [row.image for row in read("pristine", tmp_path, suffixes=[".TIF"])] == ["b.tif"]
    with pytest.raises(DataError, match=r"no image matches none/\*; check the folder, glob and suffixes"):
        read("pristine", tmp_path, glob="none/*")
    for glob in ("../*", "/etc/*", ""):
        with pytest.raises(ConfigError, match=r"option glob: .*must stay inside the folder"):
            read("pristine", tmp_path, glob=glob)
    put(tmp_path / "xray__a.1.jpg")
    with pytest.raises(DataError, match=r"Xray/A.1.PNG and xray__a.1.jpg would both be named xray__a.1"):
        read("pristine", tmp_path)


# --- kadid10k, csiq, pipal -------------------------------------------------------------------------------------------


def test_kadid10k(tmp_path: Path) -> None:
    assert list(kadid10k.TYPES) == list(DEGRADATIONS)
    put(
        tmp_path / "dmos.csv",
        "dist_img,ref_img,dmos,var\nI01_01_01.png,I01.png,4.57,0.496\nI81_25_05.png,I81.png,1,0\n",
    )
    put(tmp_path / "images/I01.png")
    assert [(row.image, row.reference, row.distortion, row.level) for row in read("kadid10k", tmp_path)] == [
        ("images/I01.png", "i01", "reference", 0),
        ("images/I01_01_01.png", "i01", "gaussian_blur", 1),
        ("images/I81.png", "i81", "reference", 0),
        ("images/I81_25_05.png", "i81", "contrast_change", 5),
    ]
    assert read("kadid10k", tmp_path)[1].score_std == 0.496


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("I01_26_01.png,I01.png,1,1", "types are 1 to 25"),
        ("I01_01_06.png,I01.png,1,1", "levels 1 to 5"),
        ("I01_01_01.png,I02.png,1,1", "cannot tell its reference"),
        ("x.png,I01.png,1,1", "cannot tell its reference"),
        ("I01_01_01.png,I01.png,,1", "not a number"),
        ("I01_01_01.png,I01.png,1", "too few fields"),
        ("I01_01_01.png,I01.png,1,1\ni01_01_01.png,I01.png,1,1", "listed twice"),
    ],
)
def test_kadid10k_damaged(tmp_path: Path, line: str, message: str) -> None:
    put(tmp_path / "dmos.csv", f"dist_img,ref_img,dmos,var\n{line}\n")
    with pytest.raises(DataError, match=message):
        read("kadid10k", tmp_path)


CSIQ: list[list[object]] = [
    [None, "image", "dst_idx", "dst_type", "dst_lev", "dmos_std", "dmos"],
    [None, 1600, 1, "noise", 1, 0.06, 0.062],
    [None, 1600, 3, "jpeg 2000", 5, 0.1, 0.9],
    [None, "swarm", 6, "contrast", 3, 0.1, 0.5],
]


def csiq(folder: Path, rows: list[list[object]]) -> None:
    book = openpyxl.Workbook()
    table = book.create_sheet("all_by_image")
    for row in [[], [], *rows]:
        table.append(row)
    book.save(folder / "csiq.DMOS.xlsx")


def test_csiq(tmp_path: Path) -> None:
    csiq(tmp_path, CSIQ)
    put(tmp_path / "dst_imgs/awgn/1600.AWGN.1.png")
    expected = [
        ("src_imgs/1600.png", "1600", "reference", 0),
        ("dst_imgs/awgn/1600.AWGN.1.png", "1600", "white_noise", 1),
        ("dst_imgs/jpeg2000/1600.jpeg2000.5.png", "1600", "jpeg2000", 5),
        ("src_imgs/swarm.png", "swarm", "reference", 0),
        ("dst_imgs/contrast/swarm.contrast.3.png", "swarm", "contrast_change", 3),
    ]
    rows = read("csiq", tmp_path)
    assert [(row.image, row.reference, row.distortion, row.level) for row in rows] == expected
    assert (rows[1].score, rows[1].score_std) == (0.062, 0.06)
    assert len(read("csiq", tmp_path, contrast=False)) == 3
    text = "\n".join(",".join(str(cell) for cell in row[1:]) for row in CSIQ)
    put(tmp_path / "t.csv", text)
    assert [row.image for row in read("csiq", tmp_path, table="t.csv")] == [row.image for row in rows]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ([None, 1600, 1, "snow", 1, 0.1, 0.1], "type 'snow' is unknown; known are noise, jpeg"),
        ([None, 1600, 1, "noise", 6, 0.1, 0.1], "a level from 1 to 5"),
        ([None, 1600, 1, "noise", 1, 0.1, 0.1], "listed twice"),
        ([None, 1600, 1, "blur", 1, 0.1, None], "'' is not a number"),
        ([None, None, 1, "blur", 1, 0.1, 0.1], "needs an image"),
        ([None, "../x", 1, "blur", 1, 0.1, 0.1], "no file inside"),
    ],
)
def test_csiq_damaged(tmp_path: Path, row: list[object], message: str) -> None:
    csiq(tmp_path, [*CSIQ, row])
    with pytest.raises(DataError, match=message):
        read("csiq", tmp_path)


def test_csiq_unreadable(tmp_path: Path) -> None:
    put(tmp_path / "csiq.DMOS.xlsx", "no workbook")
    with pytest.raises(DataError, match=r"csiq.DMOS.xlsx: not a readable .xlsx file"):
        read("csiq", tmp_path)


def test_pipal(tmp_path: Path) -> None:
    put(tmp_path / "Train_Label/A0001.txt", "A0001_00_00.bmp,1520.06\nA0001_06_26.bmp, 1294.8\n")
    put(tmp_path / "Train_Label/A0002.txt", "A0002_03_10.bmp,1400\n")
    put(tmp_path / "Distortion_2/A0001_06_26.bmp")
    rows = read("pipal", tmp_path)
    assert [(row.image, row.reference, row.distortion, row.level) for row in rows] == [
        ("Train_Ref/A0001.bmp", "a0001", "reference", 0),
        ("Train_Dist/A0001_00_00.bmp", "a0001", "traditional_super_resolution", 0),
        ("Distortion_2/A0001_06_26.bmp", "a0001", "traditional", 0),
        ("Train_Ref/A0002.bmp", "a0002", "reference", 0),
        ("Train_Dist/A0002_03_10.bmp", "a0002", "gan_super_resolution", 0),
    ]
    assert rows[1].score == 1520.06
    put(tmp_path / "Train_Dist/A0001_06_26.bmp")
    assert read("pipal", tmp_path)[2].image == "Train_Dist/A0001_06_26.bmp"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("A0001_00_00.bmp\n", "1 fields, not 2"),
        ("A0001_07_00.bmp,1\n", "classes are 00 to 06"),
        ("B0001.bmp,1\n", "cannot tell the reference of 'B0001.bmp'"),
        ("A0001_00_00.bmp,nan\n", "the score is nan"),
        ("A0001_00_00.bmp,1\na0001_00_00.bmp,1\n", "listed twice"),
        ("A0001_01_00.bmp,1\n", "A0001_01_00.bmp is one/A0001_01_00.bmp and two/A0001_01_00.bmp"),
    ],
)
def test_pipal_damaged(tmp_path: Path, text: str, message: str) -> None:
    put(tmp_path / "pipal22_train.txt", text)
    put(tmp_path / "one/A0001_01_00.bmp")
    put(tmp_path / "two/A0001_01_00.bmp")
    with pytest.raises(DataError, match=message):
        read("pipal", tmp_path)


# --- koniq10k, clive -------------------------------------------------------------------------------------------------


def test_koniq10k(tmp_path: Path) -> None:
    plain = "1.jpg\t3.8\n2.jpg\t2.5\n"
    put(tmp_path / "koniq10k_label.txt", plain)
    rows = read("koniq10k", tmp_path, images="512x384")
    assert [(row.image, row.reference, row.distortion, row.score) for row in rows] == [
        ("512x384/1.jpg", "", "authentic", 3.8),
        ("512x384/2.jpg", "", "authentic", 2.5),
    ]
    with pytest.raises(ConfigError, match=r"koniq10k_label.txt holds MOS alone"):
        read("koniq10k", tmp_path, score="MOS_zscore")
    put(tmp_path / "koniq10k_scores_and_distributions.csv", 'image_name,MOS,SD,MOS_zscore\n"1.jpg",3.9,0.5,72.1\n')
    put(tmp_path / "koniq10k_1024x768/1024x768/1.jpg")
    (row,) = read("koniq10k", tmp_path)
    assert (row.image, row.score, row.score_std) == ("koniq10k_1024x768/1024x768/1.jpg", 3.9, 0.5)
    (row,) = read("koniq10k", tmp_path, score="MOS_zscore")
    assert row.score == 72.1
    assert math.isnan(row.score_std)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1.jpg\n", "1 fields, not 2"),
        ("1.jpg\tx\n", "not a number"),
        ("1.jpg\t1\n1.JPG\t1\n", "twice"),
        ("../1.jpg\t1\n", "inside"),
    ],
)
def test_koniq10k_damaged(tmp_path: Path, text: str, message: str) -> None:
    put(tmp_path / "koniq10k_label.txt", text)
    with pytest.raises(DataError, match=message):
        read("koniq10k", tmp_path)


def clive(folder: Path, names: np.ndarray, scores: list[float], stds: list[float]) -> None:
    (folder / "Data").mkdir(exist_ok=True)
    scipy.io.savemat(folder / "Data/AllImages_release.mat", {"AllImages_release": names})
    scipy.io.savemat(folder / "Data/AllMOS_release.mat", {"AllMOS_release": scores})
    scipy.io.savemat(folder / "Data/AllStdDev_release.mat", {"AllStdDev_release": stds})


def test_clive(tmp_path: Path) -> None:
    clive(tmp_path, cells("t1.bmp", "3.bmp", "4.JPG"), [63.5, 70.25, 12], [1, 2, 3])
    assert [(row.image, row.score, row.score_std) for row in read("clive", tmp_path)] == [
        ("Images/3.bmp", 70.25, 2.0),
        ("Images/4.JPG", 12.0, 3.0),
    ]
    assert read("clive", tmp_path, training=True)[0].image == "Images/trainingImages/t1.bmp"
    put(tmp_path / "t.csv", "image,mos\n3.bmp,0.5\n")
    (row,) = read("clive", tmp_path, table="t.csv")
    assert (row.image, row.score, row.reference) == ("Images/3.bmp", 0.5, "")


def test_clive_damaged(tmp_path: Path) -> None:
    clive(tmp_path, cells("t1.bmp", "3.bmp"), [63.5], [1, 2])
    with pytest.raises(DataError, match="AllMOS_release has 1 numbers, not 2"):
        read("clive", tmp_path)
    clive(tmp_path, cells("3.bmp", "3.BMP"), [1, 2], [1, 2])
    with pytest.raises(DataError, match="listed twice"):
        read("clive", tmp_path)
    clive(tmp_path, cells("../3.bmp"), [1], [1])
    with pytest.raises(DataError, match="no file inside"):
        read("clive", tmp_path)
    put(tmp_path / "Data/AllMOS_release.mat", "damaged")
    with pytest.raises(DataError, match=r"AllMOS_release.mat: not a readable .mat file"):
        read("clive", tmp_path)


# --- siqad, scid -----------------------------------------------------------------------------------------------------


def test_siqad(tmp_path: Path) -> None:
    scores = np.arange(980.0).reshape(20, 49).T
    scipy.io.savemat(tmp_path / "DMOS_SIQAD.mat", {"DMOS": scores})
    rows = by_image(read("siqad", tmp_path))
    assert len(rows) == 20 * 50
    assert rows["DistortedImages/cim1_1_2.bmp"].score == 1
    assert rows["DistortedImages/cim2_1_1.bmp"].score == 49
    last = rows["DistortedImages/cim20_7_7.bmp"]
    assert (last.score, last.distortion, last.level, last.reference) == (979, siqad.TYPES[6], 7, "cim20")
    assert rows["references/cim20.bmp"].reference == "cim20"
    scipy.io.savemat(tmp_path / "DMOS_SIQAD.mat", {"DMOS": scores.T})
    with pytest.raises(DataError, match=r"DMOS is \(20, 49\), not \(49, 20\)"):
        read("siqad", tmp_path)


def test_scid(tmp_path: Path) -> None:
    scipy.io.savemat(tmp_path / "MOS_SCID.mat", {"MOS_SCID": np.arange(1800.0)[:, None]})
    rows = by_image(read("scid", tmp_path))
    assert len(rows) == 1840
    assert rows["DistortedSCIs/SCI01_1_2.bmp"].score == 1
    assert rows["DistortedSCIs/SCI01_2_1.bmp"].score == 5
    assert rows["DistortedSCIs/SCI02_1_1.bmp"].score == 45
    assert rows["DistortedSCIs/SCI40_9_5.bmp"].reference == "sci40"
    scipy.io.savemat(tmp_path / "MOS_SCID.mat", {"MOS_SCID": np.arange(1799.0)})
    with pytest.raises(DataError, match="MOS_SCID has 1799 numbers, not 1800"):
        read("scid", tmp_path)


# --- ldctiqac2023, cid2013, espl_live_hdr, tmid, uid2021, saud -------------------------------------------------------


def test_ldctiqac2023(tmp_path: Path) -> None:
    put(tmp_path / "LDCTIQAG2023_train/train.json", json.dumps({"0000.tif": 2.4, "0001.tif": 3}))
    put(tmp_path / "LDCTIQAG2023_train/image/0000.tif")
    assert [(row.image, row.score, row.distortion) for row in read("ldctiqac2023", tmp_path)] == [
        ("LDCTIQAG2023_train/image/0000.tif", 2.4, "authentic"),
        ("image/0001.tif", 3.0, "authentic"),
    ]
    put(tmp_path / "LDCTIQAG2023_train/test.json", '{"1.tiff": 1}')
    assert read("ldctiqac2023", tmp_path, labels="test.json", images="images")[0].image == "images/1.tiff"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a.tif": NaN}', "a.tif: the score is nan"),
        ('{"a.tif": "good"}', "'good' is not a number"),
        ('{"a.tif": true}', "'True' is not a number"),
        ('{"a.tif": 1, "A.tif": 2}', "listed twice"),
        ('{"../a.tif": 1}', "no file inside"),
        ("[1, 2]", "does not hold an object"),
        ("{", "not a readable JSON file"),
    ],
)
def test_ldctiqac2023_damaged(tmp_path: Path, text: str, message: str) -> None:
    put(tmp_path / "train.json", text)
    with pytest.raises(DataError, match=message):
        read("ldctiqac2023", tmp_path)


def workbook(path: Path, title: str, rows: list[list[object]]) -> None:
    book = openpyxl.Workbook()
    book.active.title = title
    for row in rows:
        book.active.append(row)
    book.save(path)


def test_cid2013(tmp_path: Path) -> None:
    rows: list[list[object]] = [
        ["Source_ID", "MOS", "Realigned MOS"],
        ["IS_I_C01_D01", 1, 3.34],
        ["IS_VI_C10_D12", 2, -9.5],
    ]
    workbook(tmp_path / "CID2013 data - version 12112014.xlsx", "CID2013 MOS", rows)
    put(tmp_path / "all/IS_I_C01_D01.JPG")
    assert [(row.image, row.score, row.reference) for row in read("cid2013", tmp_path)] == [
        ("all/IS_I_C01_D01.JPG", 3.34, ""),
        ("IS6/co10/IS_VI_C10_D12.jpg", -9.5, ""),
    ]
    assert read("cid2013", tmp_path, score="MOS")[0].score == 1
    with pytest.raises(DataError, match="lacks the sheet 'MOS'"):
        read("cid2013", tmp_path, sheet="MOS")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("IS_I_C01_D01 1 2\n", "3 fields, not 2"),
        ("IS_VII_C01_D01 1\n", "is no name like IS_I_C01_D01"),
        ("IS_I_C01_D01 x\n", "not a number"),
        ("IS_I_C01_D01 1\nIS_I_C01_D01.jpg 1\n", "listed twice"),
    ],
)
def test_cid2013_pairs(tmp_path: Path, text: str, message: str) -> None:
    put(tmp_path / "source_id_iq_score_pairs.txt", "IS_II_C02_D03 71.5\n")
    assert [(row.image, row.score) for row in read("cid2013", tmp_path)] == [("IS2/co2/IS_II_C02_D03.jpg", 71.5)]
    put(tmp_path / "source_id_iq_score_pairs.txt", text)
    with pytest.raises(DataError, match=message):
        read("cid2013", tmp_path)


def test_espl_live_hdr(tmp_path: Path) -> None:
    put(tmp_path / "mos.txt", "V_Sequoia_WardTMO.PNG    54.77    10.52\nb.png,20\n")
    put(tmp_path / "Readme.txt", "This is no label file.")
    put(tmp_path / "Images/V_Sequoia_WardTMO.png")
    rows = read("espl_live_hdr", tmp_path)
    assert [(row.image, row.score) for row in rows] == [("Images/V_Sequoia_WardTMO.png", 54.77), ("Images/b.png", 20.0)]
    assert rows[0].score_std == 10.52
    assert math.isnan(rows[1].score_std)
    put(tmp_path / "other.txt", "a.png 1 2 3\n")
    with pytest.raises(DataError, match=r"there is mos.txt, other.txt; name it with the option table"):
        read("espl_live_hdr", tmp_path)
    with pytest.raises(DataError, match="4 fields, not 3"):
        read("espl_live_hdr", tmp_path, table="other.txt")


@pytest.mark.parametrize("layout", ["saud", "tmid", "uid2021"])
def test_tables_with_usual_titles(tmp_path: Path, layout: str) -> None:
    workbook(
        tmp_path / "scores.xlsx",
        "Tabelle1",
        [["about"], [], ["Nr", "Image Name", "MOS"], [1, "01_a.png", 2.5], [2, "02", 3]],
    )
    put(tmp_path / "deep/er/02.bmp")
    put(tmp_path / "README.txt", "no table")
    rows = read(layout, tmp_path)
    assert [(row.image, row.score, row.reference, row.distortion) for row in rows] == [
        ("images/01_a.png", 2.5, "", "authentic"),
        ("deep/er/02.bmp", 3.0, "", "authentic"),
    ]


@pytest.mark.parametrize("delimiter", [",", "\t"])
def test_tables_with_titles_that_are_given(tmp_path: Path, delimiter: str) -> None:
    lines = (
        ("picture,rank,sd", '"x, 1.png",2,0.5', "y,3,0.1")
        if delimiter == ","
        else ("picture\trank\tsd", "x, 1.png\t2\t.5", "y\t3\t.1")
    )
    put(tmp_path / "a.txt", "\n".join(lines))
    put(tmp_path / "b.csv", "image,mos\nz.png,1\n")
    rows = read("tmid", tmp_path, table="a.txt", image="Picture", score="rank", score_std="sd")
    assert [(row.image, row.score, row.score_std) for row in rows] == [
        ("images/x, 1.png", 2.0, 0.5),
        ("images/y", 3.0, 0.1),
    ]
    with pytest.raises(DataError, match=r"there is a.txt, b.csv; name it with the option table"):
        read("tmid", tmp_path)
    with pytest.raises(DataError, match="no titles of an image and a score column"):
        read("tmid", tmp_path, table="a.txt", score="mos")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a.png\n", "too few fields"),
        ("a.png,x\n", "not a number"),
        ("a.png,1\n\n,\nA.png,1\n", "listed twice"),
        ("x,y\n" * 30, "is not a number"),
        ("../a.png,1\n", "no file inside"),
        (f'"{"a" * 200_000}",1\n', "is no row of a table"),
    ],
)
def test_tables_damaged(tmp_path: Path, text: str, message: str) -> None:
    put(tmp_path / "t.csv", "image,mos\n" + text)
    with pytest.raises(DataError, match=message):
        read("uid2021", tmp_path)


def test_titles_are_looked_for_in_the_first_rows_alone(tmp_path: Path) -> None:
    put(tmp_path / "t.csv", "x,y\n" * 30 + "image,mos\na.png,1\n")
    with pytest.raises(DataError, match="no titles of an image and a score column"):
        read("saud", tmp_path)


def test_readers_stream(tmp_path: Path) -> None:
    """The first row comes before the last line is read: a damaged end is no obstacle to the start."""
    ends: list[tuple[str, Callable[[Path], Path]]] = [
        ("tid2013", lambda folder: (tid(folder, "5 i01_01_1.bmp\nbad\n", "1\n1\n"), folder)[1]),
        (
            "kadid10k",
            lambda folder: put(folder / "dmos.csv", "dist_img,ref_img,dmos,var\nI01_01_01.png,I01.png,1,1\nx\n"),
        ),
        ("koniq10k", lambda folder: put(folder / "koniq10k_label.txt", "1.jpg 1\nbad\n")),
        ("pipal", lambda folder: put(folder / "pipal22_train.txt", "A0001_00_00.bmp,1\nbad\n")),
        ("mmp2k", lambda folder: put(folder / "labels.csv", "image,mos\n1.jpg,1\nbad\n")),
    ]
    for layout, make in ends:
        folder = tmp_path / layout
        folder.mkdir()
        make(folder)
        rows = read_layout(layout, folder, {})
        assert next(rows).image
        with pytest.raises(DataError, match="fields"):
            list(rows)
