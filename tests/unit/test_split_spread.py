import numpy as np
import pandas as pd
import pytest
from labelled_data import images_of, labelled, method
from scipy import stats

from causaliqa.datasets.splits import read_splits
from causaliqa.errors import DataError
from causaliqa.evaluate.correlation import fit_logistic
from causaliqa.evaluate.judged import read_judged
from causaliqa.evaluate.split_spread import SPLIT_COLUMNS, SPREAD_COLUMNS, split_spread


def test_each_split_is_judged_on_its_test_references(tmp_path):
    folder = labelled(tmp_path, references=12, levels=4)
    scores = method(folder, "m", 1.5)
    spread, values = split_spread(read_judged([folder], scores))
    assert (list(spread.columns), list(values.columns)) == (SPREAD_COLUMNS, SPLIT_COLUMNS)
    images = images_of(folder)
    splits = read_splits(folder / "splits.json")
    assert len(values) == 2 * len(splits) == 20
    for split in splits:
        mine = images["reference"].isin(split.test).to_numpy()
        found = values[values["split"] == split.name].set_index("test")
        x, y = scores["score"].to_numpy()[mine], images["score"].to_numpy()[mine]
        assert found.loc["srcc", "value"] == pytest.approx(stats.spearmanr(x, y).statistic)
        assert found.loc["plcc", "value"] == pytest.approx(fit_logistic(x, y, "5p").plcc)
        assert found.loc["srcc", "n_images"] == mine.sum() == 8 * len(split.test)
        assert found.loc["srcc", "n_references"] == len(split.test)
    row = spread[spread["test"] == "srcc"].iloc[0]
    single = values.loc[values["test"] == "srcc", "value"]
    assert (row["median"], row["low"], row["high"]) == (single.median(), single.min(), single.max())
    assert row["sd"] == pytest.approx(single.std())
    assert row["value"] == pytest.approx(stats.spearmanr(scores["score"], images["score"]).statistic)
    assert row["n_splits"] == 10
    assert row["n_distinct"] == len({split.test for split in splits})
    shuffled = split_spread(read_judged([folder], scores.sample(frac=1, random_state=0)))
    pd.testing.assert_frame_equal(shuffled[0], spread)


def test_a_perfect_method_has_no_spread(tmp_path):
    folder = labelled(tmp_path, references=10, kind="dmos", higher_is_better=False)
    spread, _ = split_spread(read_judged([folder], method(folder, "m", 0.0, higher_is_better=False)))
    row = spread[spread["test"] == "srcc"].iloc[0]
    assert row[["value", "median", "low", "high"]].tolist() == [1.0] * 4
    assert row["sd"] == 0


def test_small_test_parts_have_no_logistic_and_tiny_ones_no_row(tmp_path):
    small = labelled(tmp_path / "small", references=4)
    assert set(split_spread(read_judged([small], method(small, "m", 1.0)))[0]["test"]) == {"srcc"}
    tiny = labelled(tmp_path / "tiny", references=4, levels=1)
    assert split_spread(read_judged([tiny], method(tiny, "m", 1.0)))[0].empty
    two = labelled(tmp_path / "two", references=2, levels=6)
    spread, values = split_spread(read_judged([two], method(two, "m", 1.0)))
    assert spread.empty, "two references cannot be split three ways"
    assert values.empty


def test_splits_of_another_copy_are_refused(tmp_path):
    folder, other = labelled(tmp_path / "a", references=6), labelled(tmp_path / "b", references=5)
    (folder / "splits.json").write_bytes((other / "splits.json").read_bytes())
    with pytest.raises(DataError, match="knows no 'i06'; make the splits anew"):
        split_spread(read_judged([folder], method(folder, "m", 1.0)))
    (folder / "splits.json").unlink()
    with pytest.raises(DataError, match=r"splits\.json: missing"):
        split_spread(read_judged([folder], method(folder, "m", 1.0)))


def test_a_method_with_one_split_has_no_deviation(tmp_path):
    folder = labelled(tmp_path, references=10, splits=1)
    spread, _ = split_spread(read_judged([folder], method(folder, "m", 1.0)))
    assert np.isnan(spread["sd"]).all()
    assert set(spread["n_splits"]) == {1}
