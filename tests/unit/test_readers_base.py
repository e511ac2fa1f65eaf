"""What readers share: finding files, label files that are damaged or hostile, options."""

from __future__ import annotations

import importlib
import math
import zipfile
import zlib
from pathlib import Path

import numpy as np
import openpyxl
import pytest
import scipy.io

from causaliqa.datasets.readers import LAYOUTS, base, read_layout
from causaliqa.datasets.readers.base import (
    Files,
    Row,
    Unique,
    finite,
    inside,
    number,
    provenance_of,
    read_json,
    read_lines,
    read_mat,
    read_names,
    read_provenance,
    read_sheet,
    read_table,
    read_vector,
    snake,
    whole,
    with_references,
)
from causaliqa.errors import ConfigError, DataError


def put(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def sheet(path: Path, rows: list[list[object]], title: str = "one") -> Path:
    book = openpyxl.Workbook()
    book.active.title = title
    for row in rows:
        book.active.append(row)
    book.save(path)
    return path


def test_files_are_found_without_regard_to_case(tmp_path: Path) -> None:
    put(tmp_path / "Refs/I01.BMP")
    put(tmp_path / "list.txt")
    files = Files(tmp_path)
    assert files.find("refs/i01.bmp") == "Refs/I01.BMP"
    assert files.path("refs\\i01.bmp") == "Refs/I01.BMP"
    assert files.path("refs/i02.bmp") == "refs/i02.bmp"
    assert files.find("refs/i02.bmp") is None
    assert files.need("LIST.txt", "x") == tmp_path / "list.txt"
    assert files.matching("REFS", (".bmp",)) == ["Refs/I01.BMP"]


def test_a_folder_around_the_whole_archive_is_looked_into(tmp_path: Path) -> None:
    put(tmp_path / "release/v2/refs/a.png")
    put(tmp_path / "release/v2/labels.csv")
    files = Files(tmp_path)
    assert files.find("refs/a.png") == "release/v2/refs/a.png"
    assert files.need("labels.csv", "x") == tmp_path / "release/v2/labels.csv"
    assert files.matching("refs", (".png",)) == ["release/v2/refs/a.png"]
    # With a file beside it, the folder is no wrapper any more.
    put(tmp_path / "note.txt")
    assert Files(tmp_path).find("refs/a.png") is None


def test_a_file_of_which_only_the_name_is_sure(tmp_path: Path) -> None:
    put(tmp_path / "part_2/A.bmp")
    put(tmp_path / "x.txt")
    assert Files(tmp_path).locate("a.bmp", "images/a.bmp", "x") == "part_2/A.bmp"
    assert Files(tmp_path).locate("b.bmp", "images/b.bmp", "x") == "images/b.bmp"
    put(tmp_path / "part_3/a.bmp")
    with pytest.raises(DataError, match=r"^x: a.bmp is part_2/A.bmp and part_3/a.bmp; keep"):
        Files(tmp_path).locate("a.bmp", "images/a.bmp", "x")
    put(tmp_path / "images/a.bmp")
    assert Files(tmp_path).locate("a.bmp", "images/a.bmp", "x") == "images/a.bmp"


def test_a_folder_that_is_missing_or_ambiguous_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such folder; fetch the dataset first"):
        Files(tmp_path / "none")
    put(tmp_path / "a.png")
    put(tmp_path / "A.PNG")
    if len(list(tmp_path.iterdir())) < 2:
        pytest.skip("this file system does not tell upper from lower case")
    with pytest.raises(DataError, match="differ in case alone"):
        Files(tmp_path)


@pytest.mark.parametrize(
    "name", ["../x.png", "a/../../x.png", "/etc/x.png", "C:\\x.png", "", "a\0.png", "a\n.png", ".."]
)
def test_paths_that_escape_the_folder_are_refused(name: str) -> None:
    with pytest.raises(DataError, match=r"^labels.csv: line 3: .* is no file inside the dataset's folder; repair"):
        inside(name, "labels.csv: line 3")


def test_paths_inside_the_folder_are_normalised() -> None:
    assert inside(" .\\a\\b c.png ", "x") == "a/b c.png"


@pytest.mark.parametrize("text", ["nan", "NaN", "inf", "-Infinity"])
def test_scores_that_are_not_finite_are_refused(text: str) -> None:
    with pytest.raises(DataError, match=r"x: the score is .*; remove the row"):
        number(text, "x")


@pytest.mark.parametrize("text", ["", "good", "1,5", "1_000"])
def test_scores_that_are_no_numbers_are_refused(text: str) -> None:
    with pytest.raises(DataError, match="is not a number; repair the label file"):
        number(text, "x")


def test_numbers() -> None:
    assert number(" -1.5e1 ", "x") == -15
    assert whole("3", "x") == 3
    assert finite(2, "x") == 2.0
    for value in (True, "2", None, [1]):
        with pytest.raises(DataError, match="is not a number"):
            finite(value, "x")
    with pytest.raises(DataError, match=r"'3\.5' is not a whole number"):
        whole("3.5", "x")
    assert snake("MTF-GLP-CBD ") == "mtf_glp_cbd"


def test_tables(tmp_path: Path) -> None:
    path = put(tmp_path / "t.csv", "\ufeffa,b\n1,2\n\n3,4\n")
    assert list(read_table(path, ["b", "a"])) == [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}]
    with pytest.raises(DataError, match=r"t.csv: lacks the columns c; it has a, b"):
        list(read_table(path, ["a", "c"]))
    with pytest.raises(DataError, match=r"line 2 has too few fields"):
        list(read_table(put(path, "a,b\n1\n"), ["a", "b"]))
    with pytest.raises(DataError, match=r"line 3 has too many fields"):
        list(read_table(put(path, "a,b\n1,2\n1,2,3\n"), ["a", "b"]))
    path.write_bytes(b"a,b\n\xff\xfe,1\n")
    with pytest.raises(DataError, match="not a readable text table"):
        list(read_table(path, ["a", "b"]))
    with pytest.raises(DataError, match="cannot be read"):
        list(read_table(tmp_path / "none.csv", ["a"]))


def test_lines(tmp_path: Path) -> None:
    path = put(tmp_path / "t.txt", "\ufeffone\r\n\n  two \n")
    assert list(read_lines(path)) == [(f"{path}: line 1", "one"), (f"{path}: line 3", "two")]
    path.write_bytes(b"one\n\xff\n")
    with pytest.raises(DataError, match="not a readable text file"):
        list(read_lines(path))


def test_label_files_that_are_too_large_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "MAX_TEXT", 5)
    monkeypatch.setattr(base, "MAX_BINARY", 5)
    path = put(tmp_path / "t.txt", "too long")
    for read in (
        lambda: list(read_lines(path)),
        lambda: list(read_table(path, ["a"])),
        lambda: read_mat(path, "x"),
        lambda: list(read_sheet(path, None, ["a"])),
        lambda: read_json(path),
    ):
        with pytest.raises(DataError, match="8 bytes are too many for a label file, at most 5"):
            read()


def test_images_listed_twice_are_refused() -> None:
    unique = Unique()
    assert unique.add("a.png", "x") == "a.png"
    with pytest.raises(DataError, match=r"x: A\.png is listed twice; remove one"):
        unique.add("A.png", "x")


def test_each_reference_comes_once_before_its_images() -> None:
    rows = [Row("a1", "a", "jpeg"), Row("b1", "b", "jpeg"), Row("a2", "a", "jpeg")]
    listed = list(with_references((row, f"{row.reference}.png") for row in rows))
    assert [row.image for row in listed] == ["a.png", "a1", "b.png", "b1", "a2"]
    assert listed[0].distortion == "reference"
    assert math.isnan(listed[0].score)


def test_provenance(tmp_path: Path) -> None:
    assert read_provenance(Files(tmp_path)) is None
    assert provenance_of("a.png", None) == ""
    put(tmp_path / "provenance.csv", "image,provenance\nA.png,exact\n")
    known = read_provenance(Files(tmp_path))
    assert provenance_of("a.PNG", known) == "exact"
    with pytest.raises(DataError, match=r"provenance.csv: lacks b.png"):
        provenance_of("b.png", known)
    put(tmp_path / "provenance.csv", "image,provenance\nA.png,guessed\n")
    with pytest.raises(DataError, match="'guessed' is unknown; it is real, exact, near, resynth"):
        read_provenance(Files(tmp_path))
    put(tmp_path / "provenance.csv", "image,provenance\nA.png,real\na.png,real\n")
    with pytest.raises(DataError, match="listed twice"):
        read_provenance(Files(tmp_path))


@pytest.mark.parametrize("compressed", [True, False])
def test_matlab_arrays(tmp_path: Path, compressed: bool) -> None:
    path = tmp_path / "m.mat"
    names = np.empty((2, 1), dtype=object)
    names[:] = [["a.bmp"], ["b.bmp"]]
    scipy.io.savemat(path, {"x": [[1.5, 2]], "u": np.uint8([[1, 0]]), "names": names}, do_compression=compressed)
    assert read_vector(path, "x", 2).tolist() == [1.5, 2.0]
    assert read_vector(path, "u").dtype == np.float64
    assert read_names(path, "names", 2) == ["a.bmp", "b.bmp"]
    with pytest.raises(DataError, match="lacks the array y; check"):
        read_vector(path, "y")
    with pytest.raises(DataError, match="x has 2 numbers, not 3; download it again"):
        read_vector(path, "x", 3)
    with pytest.raises(DataError, match="names has 2 names, not 3"):
        read_names(path, "names", 3)
    with pytest.raises(DataError, match="names does not hold numbers"):
        read_vector(path, "names")
    with pytest.raises(DataError, match="x does not hold names"):
        read_names(path, "x")
    scipy.io.savemat(path, {"x": [1.0, np.nan]})
    with pytest.raises(DataError, match="x: number 2 is nan; download it again"):
        read_vector(path, "x")


@pytest.mark.parametrize("content", [b"", b"no mat file at all" * 20, b"\x89HDF\r\n\x1a\n" + b"\0" * 600])
def test_a_mat_file_that_is_none_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m.mat"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"m.mat: not a readable .mat file .*; download it again") as caught:
        read_mat(path, "x")
    assert "\n" not in str(caught.value)


def test_a_truncated_mat_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.mat"
    scipy.io.savemat(path, {"x": np.arange(1000.0)}, do_compression=True)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(DataError, match=r"not a readable \.mat file"):
        read_mat(path, "x")


def test_mat_files_that_would_fill_the_memory_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "m.mat"
    monkeypatch.setattr(base, "MAX_BINARY", 2**16)
    scipy.io.savemat(path, {"x": np.zeros(2**20)}, do_compression=True)
    assert path.stat().st_size < 2**16
    with pytest.raises(DataError, match="unpacks to more than 65536 bytes"):
        read_mat(path, "x")
    # A header that asks for 2 ** 40 numbers and brings none.
    scipy.io.savemat(path, {"x": np.zeros((1234, 1))[:1]}, do_compression=False)
    content = bytearray(path.read_bytes())
    place = content.index(np.int32([1, 1]).tobytes(), 128)
    content[place : place + 8] = np.int32([2**20, 2**20]).tobytes()
    path.write_bytes(bytes(content))
    with pytest.raises(DataError, match="unpacks to more than 65536 bytes"):
        read_mat(path, "x")


def test_sheets(tmp_path: Path) -> None:
    path = sheet(tmp_path / "s.xlsx", [[], [None, "b", "a"], [None, 1, "x"], [], [None, 2.5, "y"]])
    assert list(read_sheet(path, "one", ["a", "b"])) == [{"a": "x", "b": "1"}, {"a": "y", "b": "2.5"}]
    assert len(list(read_sheet(path, None, ["a"]))) == 2
    with pytest.raises(DataError, match="lacks the sheet 'two'; it has one"):
        list(read_sheet(path, "two", ["a"]))
    with pytest.raises(DataError, match="no row of the sheet holds the titles a, c"):
        list(read_sheet(path, "one", ["a", "c"]))


def test_a_forged_last_cell_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "MAX_SHEET", (3, 2))
    path = sheet(tmp_path / "s.xlsx", [["a", "b", "c"], [1, 2, 3], [4, 5, 6], [7, 8, 9]])
    assert list(read_sheet(path, None, ["a", "b"])) == [{"a": "1", "b": "2"}, {"a": "4", "b": "5"}]
    with pytest.raises(DataError, match="no row of the sheet holds the titles c"):
        list(read_sheet(path, None, ["c"]))


def test_a_workbook_that_is_none_is_refused(tmp_path: Path) -> None:
    path = put(tmp_path / "s.xlsx", "no workbook")
    with pytest.raises(DataError, match=r"s.xlsx: not a readable .xlsx file .*; download it again"):
        list(read_sheet(path, None, ["a"]))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("other.txt", "no workbook either")
    with pytest.raises(DataError, match=r"not a readable \.xlsx file"):
        list(read_sheet(path, None, ["a"]))
    # A sheet that breaks off, found while its rows are read.
    sheet(path, [["a"], *([k] for k in range(500))])
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content[: len(content) // 2] if name.endswith("sheet1.xml") else content)
    with pytest.raises(DataError, match=r"not a readable \.xlsx file"):
        list(read_sheet(path, None, ["a"]))


def test_workbooks_that_would_fill_the_memory_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = sheet(tmp_path / "s.xlsx", [["a"]])
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.xml", b"0" * 10**6)
    monkeypatch.setattr(base, "MAX_BINARY", 10**5)
    with pytest.raises(DataError, match=r"unpacks to \d+ bytes, at most 100000 are read"):
        list(read_sheet(path, None, ["a"]))


def test_json_files(tmp_path: Path) -> None:
    path = put(tmp_path / "l.json", '{"a.tif": 1.5, "b.tif": 2, "a.tif": 3}')
    assert read_json(path) == [("a.tif", 1.5), ("b.tif", 2), ("a.tif", 3)]
    for text in ("[1, 2]", "3", '{"a"', "[" * 100_000):
        with pytest.raises(DataError, match=r"l.json: (not a readable JSON file|does not hold an object)"):
            read_json(put(path, text))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_refuses_what_it_does_not_know(layout: str, tmp_path: Path) -> None:
    assert callable(importlib.import_module(f"causaliqa.datasets.readers.{layout}").read)
    with pytest.raises(ConfigError, match=f"layout {layout}: option colour: .*its options are: "):
        list(read_layout(layout, tmp_path, {"colour": "red"}))
    with pytest.raises(DataError, match=r"no such folder; fetch the dataset first"):
        list(read_layout(layout, tmp_path / "none", {}))
    put(tmp_path / "some/other.file")
    with pytest.raises(DataError, match=r"not in the layout|no image matches"):
        list(read_layout(layout, tmp_path, {}))


def test_an_unknown_layout_is_named() -> None:
    with pytest.raises(ConfigError, match="unknown layout 'tid2012'; did you mean 'tid2013'"):
        read_layout("tid2012", Path(), {})
    with pytest.raises(ConfigError, match="unknown layout 'zzz'; known are agudelo_pansharp, "):
        read_layout("zzz", Path(), {})


def test_zlib_errors_are_reported(tmp_path: Path) -> None:
    path = tmp_path / "m.mat"
    scipy.io.savemat(path, {"x": np.arange(100.0)}, do_compression=True)
    content = bytearray(path.read_bytes())
    content[136:140] = b"\xff\xff\xff\xff"
    path.write_bytes(bytes(content))
    with pytest.raises(zlib.error):
        zlib.decompress(bytes(content[136:]))
    with pytest.raises(DataError, match=r"not a readable \.mat file"):
        read_mat(path, "x")
