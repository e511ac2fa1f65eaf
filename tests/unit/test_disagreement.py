import numpy as np
import pandas as pd
import pytest
from compared import images_of, scored

from causaliqa.datasets.shards import MANIFEST_COLUMNS, write_shard
from causaliqa.errors import ConfigError, DataError
from causaliqa.evaluate.disagreement import gmad_table
from causaliqa.evaluate.gmad import GMAD_COLUMNS, gmad_pairs
from causaliqa.figures.comparison import gmad_figure
from causaliqa.io import write_parquet
from causaliqa.report.gmad import by_dataset, folders, load_pairs, load_pictures, table


def world():
    """Two sets of 100 images; two models of one method, two metrics."""
    parts = []
    for dataset in ("toy", "other"):
        images = images_of(100).assign(dataset=dataset)
        random = np.random.default_rng(len(dataset))
        for method, about in (
            ("mdsi", {"higher_is_better": False}),
            ("psnr", {}),
            ("disentangle-pc1", {"setting": "label_free", "model": "a/full", "seed": 0}),
            ("disentangle-norm", {"setting": "label_free", "model": "a/full", "seed": 0}),
            ("disentangle-norm", {"setting": "label_free", "model": "b/full", "seed": 0}),
            ("disentangle-ridge", {"setting": "few_label", "model": "b/full", "seed": 0, "labels": 5}),
        ):
            parts.append(scored(images, random.normal(size=100), method, **about))
    scores = pd.concat(parts, ignore_index=True)
    return scores, {name: images_of(100).assign(dataset=name) for name in ("other", "toy")}


def test_by_default_a_label_free_method_and_mdsi_attack_each_other():
    scores, images = world()
    found = gmad_table(scores, images, None)
    assert list(found.columns) == GMAD_COLUMNS
    assert set(found["dataset"]) == {"toy", "other"}
    roles = found[["defender", "attacker"]].drop_duplicates().to_numpy().tolist()
    assert roles == [["disentangle-norm · a/full", "mdsi"], ["mdsi", "disentangle-norm · a/full"]]
    assert set(found["level"]) == {0.15, 0.85}
    mine = scores[(scores["dataset"] == "toy") & ((scores["model"] == "a/full") | (scores["method"] == "mdsi"))]
    expected = gmad_pairs(mine, "disentangle-norm", "mdsi")
    got = found[found["dataset"] == "toy"].reset_index(drop=True)
    columns = ["image_a", "image_b", "defender_a", "attacker_b"]
    pd.testing.assert_frame_equal(got[columns], expected[columns])
    without = scores[scores["method"] != "mdsi"]
    assert gmad_table(without, images, None).empty


def test_named_pairs_and_only_the_images_asked_for():
    scores, images = world()
    few = {"toy": images["toy"].iloc[:60]}
    found = gmad_table(scores, few, [["psnr", "mdsi"]])
    assert set(found["dataset"]) == {"toy"}
    assert set(found["image_a"]) | set(found["image_b"]) <= set(few["toy"]["image"])
    # A metric that stands in two files is one method.
    twice = pd.concat([scores, scores[scores["method"] == "mdsi"]])
    pd.testing.assert_frame_equal(gmad_table(twice, few, [["psnr", "mdsi"]]), found)
    assert gmad_table(scores, images, []).empty


def test_a_method_that_calls_all_images_equal_has_no_pairs_there():
    scores, images = world()
    flat = (scores["dataset"] == "toy") & (scores["method"] == "psnr")
    found = gmad_table(scores.assign(score=scores["score"].where(~flat, 1.0)), images, [["psnr", "mdsi"]])
    assert set(found["dataset"]) == {"other"}


def test_unknown_methods_are_named_with_their_key():
    scores, images = world()
    with pytest.raises(
        ConfigError, match=r"^evaluate\.gmad\[1\]: no method 'disentangle-norm'; there are disentangle-nor"
    ):
        gmad_table(scores, images, [["psnr", "mdsi"], ["psnr", "disentangle-norm"]])
    with pytest.raises(ConfigError, match=r"^evaluate\.gmad\[0\]: 'psnr' cannot attack itself; name two methods$"):
        gmad_table(scores, images, [["psnr", "psnr"]])


@pytest.fixture
def stored(tmp_path):
    pictures = {f"lake/blur/{k}": np.full((12, 10, 3), 40 * k, np.uint8) for k in (1, 2, 3)}
    sums = write_shard(tmp_path, "lake", pictures)
    manifest = pd.DataFrame({"image": list(sums), "sha256": list(sums.values())}).assign(
        dataset="toy", domain="natural", reference="lake", distortion="blur", level=1, parent="", partition="test",
        grayscale=False, bit_depth=8,
    )  # fmt: skip
    write_parquet(tmp_path / "manifest.parquet", manifest[MANIFEST_COLUMNS])
    return tmp_path, pictures


def pairs(dataset="toy"):
    row = dict.fromkeys(GMAD_COLUMNS, 0.5) | {
        "dataset": dataset, "defender": "mdsi", "attacker": "psnr", "image_a": "lake/blur/1", "image_b": "lake/blur/3",
        "reference_a": "lake", "reference_b": "lake", "distortion_a": "blur", "distortion_b": "blur",
    }  # fmt: skip
    return pd.DataFrame([row], columns=GMAD_COLUMNS)


def test_pictures_of_pairs_can_be_drawn(stored, tmp_path):
    folder, pictures = stored
    write_parquet(tmp_path / "out/gmad.parquet", pairs())
    read = load_pairs(tmp_path / "out")
    found = load_pictures(read, {"toy": folder})
    assert set(found) == {"lake/blur/1", "lake/blur/3"}
    assert np.array_equal(found["lake/blur/3"], pictures["lake/blur/3"])
    assert len(gmad_figure(read, found).axes) == 3


def test_pictures_that_cannot_be_told_apart_or_found_are_refused(stored):
    folder, _ = stored
    both = pd.concat([pairs(), pairs("other")])
    with pytest.raises(DataError, match=r"^image 'lake/blur/1': in two datasets of these pairs; draw each"):
        load_pictures(both, {"toy": folder, "other": folder})
    with pytest.raises(DataError, match=r"^toy: no folder of its images is given"):
        load_pictures(pairs(), {})


def test_pages_show_few_datasets_and_list_all(tmp_path):
    everything = pd.concat([pairs(name).assign(attacker_gap=0.625) for name in ("d", "b", "a", "c")])
    assert [name for name, _ in by_dataset(everything)] == ["a", "b", "c"]
    assert [len(rows) for _, rows in by_dataset(everything)] == [1, 1, 1]
    listed = table(everything)
    assert len(listed) == 4
    assert set(listed["apart by (attacker)"]) == {"62%"}
    assert folders([tmp_path / "x/toy"]) == {"toy": tmp_path / "x/toy"}
