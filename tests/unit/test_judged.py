"""Subsets of labelled datasets, and published per-image scores beside ours."""

import numpy as np
import pandas as pd
import pytest
from labelled_data import images_of, labelled, method
from scipy import stats

from causaliqa.config import Evaluate, PublishedScores
from causaliqa.errors import ConfigError, DataError
from causaliqa.evaluate.judged import read_judged
from causaliqa.evaluate.opinion import compare_opinions, evaluate_opinions, opinion_metrics
from causaliqa.evaluate.split_spread import split_spread

PARAMS = Evaluate(bootstrap=100)


def rows(table, **where):
    where = {"distortion": "", "test": "srcc", **where}
    return table[np.logical_and.reduce([table[key] == value for key, value in where.items()])]


def published(folder, path, images=None, sign=-1.0):
    """A CSV of a distance, under the authors' names: I01_01_1.bmp."""
    kept = images_of(folder) if images is None else images
    names = kept["image"].str.removeprefix("images/").str.upper().str.replace(".BMP", ".bmp")
    noise = np.random.default_rng(5).normal(size=len(kept))
    pd.DataFrame({"image": names, "score_in_file": 0.0, "deep": sign * kept["score"].to_numpy() + noise}).to_csv(
        path, index=False
    )
    return PublishedScores(csv=str(path), higher_is_better=sign > 0)


def test_protocol_subsets_leave_out_what_they_say(tmp_path):
    folder = labelled(tmp_path, layout="tid2013", references=4, first=22)
    scores = method(folder, "m", 1.0)
    table = evaluate_opinions([folder], scores, PARAMS)
    images = images_of(folder)
    row = rows(table, subset="without_i25").iloc[0]
    kept = (images["reference"] != "i25").to_numpy()
    assert row["value"] == pytest.approx(stats.spearmanr(scores["score"][kept], images["score"][kept]).statistic)
    assert (row["n_images"], row["n_references"]) == (18, 3)
    assert row["low"] < row["value"] < row["high"]
    assert rows(table, subset="all").iloc[0]["n_images"] == 24
    # Not in comparisons: one protocol is enough there.
    other = pd.concat([scores, method(folder, "other", 2.0)])
    assert set(compare_opinions([folder], other, PARAMS)["subset"]) == {"all"}
    # A copy without that reference has nothing to leave out; another layout has other references.
    for where, layout, first in (("a", "tid2013", 1), ("b", "folder", 22)):
        plain = labelled(tmp_path / where, layout=layout, references=4, first=first)
        assert set(evaluate_opinions([plain], method(plain, "m", 1.0), PARAMS)["subset"]) == {"all"}


def test_a_protocol_may_leave_out_a_distortion(tmp_path):
    folder = labelled(tmp_path, layout="csiq", types=("jpeg", "contrast_change"), kind="dmos", higher_is_better=False)
    table = evaluate_opinions([folder], method(folder, "m", 1.0, sign=-1.0), PARAMS)
    assert rows(table, subset="without_contrast")["n_images"].tolist() == [18]


def test_published_scores_of_a_whole_set_stand_in_every_row(tmp_path):
    folder = labelled(tmp_path / "raw", references=5)
    params = PARAMS.model_copy(update={"published": {"toy": published(folder, tmp_path / "deep.csv")}})
    table = evaluate_opinions([folder], method(folder, "m", 1.0), params)
    row = rows(table, method="deep").iloc[0]
    assert set(table["subset"]) == {"all"}
    assert (row["setting"], row["n_images"], row["model"]) == ("published", 30, "")
    assert row["value"] > 0.8, "the declared polarity turns a distance round"
    assert set(table.loc[table["method"] == "deep", "distortion"]) == {"", "blur", "jpeg"}
    assert "deep" not in opinion_metrics(table)["opinions"]["toy"]["baselines"]
    compared = compare_opinions([folder], method(folder, "m", 1.0), params)
    assert set(compared["method_a"]) | set(compared["method_b"]) == {"m", "deep"}


def test_published_scores_are_not_compared_on_regenerated_stimuli(tmp_path):
    kinds = {1: "real", 2: "exact", 3: "exact", 4: "near", 5: "resynth"}
    folder = labelled(tmp_path / "raw", references=5, provenance=lambda number, _: kinds[number])
    params = PARAMS.model_copy(update={"published": {"toy": published(folder, tmp_path / "deep.csv")}})
    scores = method(folder, "m", 1.0)
    table = evaluate_opinions([folder], scores, params)
    assert set(rows(table, method="m")["subset"]) == {"all", "real_exact", "near_resynth"}
    mine = rows(table, method="deep")
    assert mine["subset"].tolist() == ["real_exact"]
    assert mine["n_images"].tolist() == [18]
    compared = compare_opinions([folder], scores, params)
    assert set(compared["subset"]) == {"real_exact"}, "on all images there is one method only"


def test_published_scores_of_some_images_have_a_subset_of_their_own(tmp_path):
    folder = labelled(tmp_path / "raw", references=5)
    some = images_of(folder).iloc[:16]
    params = PARAMS.model_copy(update={"published": {"toy": published(folder, tmp_path / "deep.csv", some)}})
    scores = pd.concat([method(folder, "m", 1.0), method(folder, "other", 2.0)])
    table = evaluate_opinions([folder], scores, params)
    found = rows(table, subset="published")
    assert sorted(found["method"]) == ["deep", "m", "other"], "all methods on the images that both have"
    assert set(found["n_images"]) == {16}
    assert set(rows(table, subset="all")["method"]) == {"m", "other"}
    compared = compare_opinions([folder], scores, params)
    assert compared.groupby(["subset", "test"]).size().loc["published"].eq(3).all()
    assert compared.groupby(["subset", "test"]).size().loc["all"].eq(1).all()


def test_a_published_metric_that_is_run_here_too_keeps_its_own_label(tmp_path):
    folder = labelled(tmp_path / "raw", references=5)
    source = published(folder, tmp_path / "deep.csv")
    compared = compare_opinions(
        [folder], method(folder, "deep", 1.0), PARAMS.model_copy(update={"published": {"toy": source}})
    )
    assert set(compared["method_a"]) == {"deep · baseline"}
    assert set(compared["method_b"]) == {"deep · published"}


def test_errors_of_published_scores_name_key_or_file(tmp_path):
    folder = labelled(tmp_path / "raw", references=5)
    source = published(folder, tmp_path / "deep.csv")
    with pytest.raises(ConfigError, match=r"^evaluate\.published\.tou: no labelled dataset has this name; did you mean "
                                          r"'toy'\?$"):  # fmt: skip
        read_judged([folder], method(folder, "m", 1.0), {"tou": source})
    foreign = images_of(folder).assign(image=lambda t: "images/x" + t["image"].str.removeprefix("images/"))
    published(folder, tmp_path / "foreign.csv", foreign)
    with pytest.raises(DataError, match=r"foreign\.csv: names none of the 30 original images of toy; check the names"):
        read_judged(
            [folder],
            method(folder, "m", 1.0),
            {"toy": source.model_copy(update={"csv": str(tmp_path / "foreign.csv")})},
        )
    with pytest.raises(DataError, match=r"the polarity of deep is not declared"):
        read_judged([folder], method(folder, "m", 1.0), {"toy": source.model_copy(update={"higher_is_better": {}})})


def test_ablations_of_the_projection_have_rows_and_compete_in_nothing(tmp_path):
    folder = labelled(tmp_path, references=5)
    both = [method(folder, "m", 1.0), method(folder, "disentangle-isomap-0", 2.0, setting="manifold")]
    scores = pd.concat([*both, method(folder, "other", 3.0)])
    table = evaluate_opinions([folder], scores, PARAMS)
    assert set(table["method"]) == {"m", "disentangle-isomap-0", "other"}
    assert set(opinion_metrics(table)["opinions"]["toy"]["baselines"]) == {"m", "other"}
    compared = compare_opinions([folder], scores, PARAMS)
    assert set(compared["method_a"]) | set(compared["method_b"]) == {"m", "other"}
    spread, single = split_spread(read_judged([folder], scores))
    assert set(spread["method"]) == set(single["method"]) == {"m", "other"}
