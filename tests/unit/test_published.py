import numpy as np
import pandas as pd
import pytest
from compared import images_of

from causaliqa.errors import DataError
from causaliqa.evaluate.published import NAMES, image_key, images_by_name, published_scores, read_published
from causaliqa.tables import SCORE_COLUMNS, quality

GOOD = "image,score_in_file,a,b\nx.png,1,0.5,3\ny.png,2,0.25,1e-3\n"


@pytest.fixture
def write(tmp_path):
    def make(text, name="s.csv"):
        path = tmp_path / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return make


def test_file_is_read_in_its_order(write):
    table = read_published(write(GOOD))
    assert list(table.columns) == ["image", "opinion", "a", "b"]
    assert table["image"].tolist() == ["x.png", "y.png"]
    assert table[["opinion", "a", "b"]].to_numpy().tolist() == [[1, 0.5, 3], [2, 0.25, 0.001]]


def test_columns_can_be_named_and_opinions_left_out(write):
    table = read_published(write("name,note,a\nx,word,1\n"), image="name", opinion=None, methods=["a"])
    assert list(table.columns) == ["image", "a"]


def test_an_image_may_be_called_na(write):
    assert read_published(write("image,a\nNA,1\nnan,2\n"), opinion=None)["image"].tolist() == ["NA", "nan"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not a readable CSV"),
        ("image,score_in_file,a\n", "holds no scores"),
        ("image,score_in_file\nx,1\n", "no column of a method"),
        ("image,a\nx,1\n", "lacks the columns score_in_file; it has image, a"),
        (GOOD.replace("0.25", "oops"), "line 3: a is 'oops', not a finite number"),
        (GOOD.replace("0.25", "inf"), "line 3: a is 'inf'"),
        (GOOD.replace("0.25", ""), "line 3: a is ''"),
        (GOOD.replace("0.25", "nan"), "line 3: a is 'nan'"),
        (GOOD.replace("y.png", "x.png"), "line 3: image 'x.png' a second time"),
        (GOOD.replace("y.png", " "), "line 3: no image name"),
        (b"image,score_in_file,a\n\xff\xfe,1,2\n", "not a readable CSV"),
        ('image,score_in_file,a\n"x,1,2\n', "not a readable CSV"),
    ],
)
def test_damaged_files_are_refused_in_one_line(write, text, message):
    path = write(text)
    with pytest.raises(DataError, match=message) as caught:
        read_published(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_missing_and_oversized_files_are_refused(tmp_path, monkeypatch, write):
    with pytest.raises(DataError, match="missing"):
        read_published(tmp_path / "none.csv")
    monkeypatch.setattr("causaliqa.evaluate.published.MAX_TEXT", 10)
    with pytest.raises(DataError, match="larger than 10 bytes"):
        read_published(write(GOOD))


@pytest.mark.parametrize(
    ("dataset", "name", "key", "says"),
    [
        ("live", "fastfading_img12.bmp", "fastfading_img12", ("", "fast_fading", 0)),
        ("live", "images/WN/img7.bmp", "wn_img7", ("", "white_noise", 0)),
        ("tid2013", "I25_08_4.BMP", "i25_08_4", ("i25", "gaussian_blur", 4)),
        ("kadid10k", "images/I01_10_05.png", "i01_10_05", ("i01", "jpeg", 5)),
        ("pipal", "images/Train_Dist/A0001_03_12.bmp", "a0001_03_12", ("a0001", "gan_super_resolution", 0)),
        ("csiq", "1600.AWGN.1.png", "1600.awgn.1", ("1600", "white_noise", 1)),
        ("csiq", "CSIQ/dst_imgs/jpeg2000/log_seaside.jpeg2000.5.png", "log_seaside.jpeg2000.5",
         ("log_seaside", "jpeg2000", 5)),
        ("ivc", "clown_jpeg_lumichr_r3.bmp", "clown_jpeg_lumichr_r3", ("clown", "jpeg_luma_chroma", 0)),
        ("ivc", "boats_jpeg_r2.bmp", "boats_jpeg_r2", ("boats", "jpeg", 0)),
    ],
)  # fmt: skip
def test_names_tell_content_type_and_level(dataset, name, key, says):
    assert image_key(name) == key
    assert NAMES[dataset](key) == says
    row = images_by_name(dataset, [name]).iloc[0]
    assert (row["dataset"], row["image"], row["reference"], row["distortion"], row["level"]) == (dataset, name, *says)


def test_a_packed_image_has_the_key_of_the_file_in_it():
    assert image_key("images/pack_000.tar!wn/img3.bmp") == "wn_img3"


@pytest.mark.parametrize("dataset", NAMES)
def test_names_of_another_dataset_are_refused(dataset):
    with pytest.raises(DataError, match=f"{dataset}: 'other thing' is not a name of this dataset"):
        images_by_name(dataset, ["other thing"])


def test_an_unknown_dataset_needs_a_manifest():
    with pytest.raises(DataError, match="give its manifest"):
        images_by_name("mine", ["x"])


@pytest.mark.parametrize(
    ("dataset", "name"), [("tid2013", "i01_25_1"), ("kadid10k", "i01_26_01"), ("pipal", "a0001_07_00")]
)
def test_types_that_a_dataset_does_not_have_are_refused(dataset, name):
    with pytest.raises(DataError, match="not a name"):
        images_by_name(dataset, [name])


def published():
    names = [f"I{index:03d}.BMP" for index in range(24)][::-1]
    return pd.DataFrame({"image": names, "opinion": 0.0, "a": np.arange(24.0), "b": np.arange(24.0) ** 2})


def test_scores_come_under_the_names_of_the_manifest():
    images = images_of().iloc[:20]
    table = published_scores(published(), images, higher_is_better={"a": True, "b": False}, suffix=" (published)")
    assert list(table.columns) == SCORE_COLUMNS
    assert table["method"].unique().tolist() == ["a (published)", "b (published)"]
    assert table["image"].tolist() == images["image"].tolist() * 2
    # The file runs backwards: i000 is its last row, 23.
    assert table["score"].iloc[:2].tolist() == [23, 22]
    assert quality(table)[20] == -(23**2)
    assert set(table["setting"]) == {"baseline"}


def test_references_of_the_manifest_get_no_score():
    images = images_of()
    images.loc[5, "distortion"] = "reference"
    assert len(published_scores(published()[["image", "a"]], images, higher_is_better=True)) == 23


@pytest.mark.parametrize(
    ("change", "polarity", "message"),
    [
        (lambda p: p[p["image"] != "I004.BMP"], True, "no published score for image 'i004.png'"),
        (lambda p: pd.concat([p, p.assign(image="sub/" + p["image"])]), True, "cannot be told from another image"),
        (lambda p: p, {"a": True}, "the polarity of b is not declared"),
    ],
)
def test_scores_that_do_not_fit_are_refused(change, polarity, message):
    with pytest.raises(DataError, match=message):
        published_scores(change(published()), images_of(), higher_is_better=polarity)


def test_two_datasets_at_once_are_refused():
    images = pd.concat([images_of(), images_of().assign(dataset="b")])
    with pytest.raises(DataError, match="2 datasets"):
        published_scores(published(), images, higher_is_better=True)
