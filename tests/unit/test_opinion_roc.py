import numpy as np
import pandas as pd
import pytest
from labelled_data import labelled, method

from causaliqa.config import Evaluate
from causaliqa.errors import ConfigError
from causaliqa.evaluate import roc
from causaliqa.evaluate.judged import read_judged
from causaliqa.evaluate.opinion_roc import OPINION_ROC_COLUMNS, RATINGS, roc_tables

PARAMS = Evaluate(bootstrap=100)


def methods(folder):
    return pd.concat([method(folder, "sharp", 0.05), method(folder, "dull", 3.0)])


def test_values_are_those_of_the_analysis(tmp_path):
    folder = labelled(tmp_path)
    judged = read_judged([folder], methods(folder))
    values, comparisons = roc_tables(judged, PARAMS)
    assert list(values.columns) == OPINION_ROC_COLUMNS
    paired = judged[0].paired(np.arange(36))
    expected, expected_comparisons = roc.roc_analysis([(paired, np.full(36, 0.4))])
    pd.testing.assert_frame_equal(values[roc.ROC_COLUMNS], expected)
    pd.testing.assert_frame_equal(comparisons[expected_comparisons.columns], expected_comparisons)
    assert set(values["uncertainty"]) == {"published"}
    sharp = values.set_index(["analysis", "method"])["auc"]
    assert sharp["better_worse", "sharp"] == pytest.approx(1.0)
    assert sharp["better_worse", "sharp"] > sharp["better_worse", "dull"]


def test_without_errors_every_difference_counts(tmp_path):
    folder = labelled(tmp_path, std=float("nan"))
    judged = read_judged([folder], methods(folder))
    values, comparisons = roc_tables(judged, PARAMS)
    assert set(values["analysis"]) == {"better_worse"}
    assert set(values["uncertainty"]) == {"none"}
    assert set(comparisons["test"]) == {"better_worse", "correct", "better_worse_delong"}
    score = judged[0].opinion
    i, j = np.triu_indices(36, 1)
    assert set(values["n_pairs"]) == {int((score[i] != score[j]).sum())}
    sharp = judged[0].paired(np.arange(36)).quality[1]
    right = np.mean(((sharp[i] - sharp[j]) * (score[i] - score[j]))[score[i] != score[j]] > 0)
    assert values.set_index("method").loc["sharp", "correct"] == pytest.approx(right)


def test_errors_that_call_no_two_images_similar_leave_one_analysis(tmp_path):
    folder = labelled(tmp_path, std=0.0, types=("jpeg",))
    values, _ = roc_tables(read_judged([folder], methods(folder)), PARAMS)
    assert set(values["analysis"]) == {"better_worse"}
    assert set(values["uncertainty"]) == {"published"}


def test_spread_of_ratings_is_divided_by_the_root_of_their_number(tmp_path):
    folders = [labelled(tmp_path, name=name, layout=name) for name in ("folder", "kadid10k")]
    values, _ = roc_tables(read_judged(folders, pd.concat([methods(folder) for folder in folders])), PARAMS)
    different = values.groupby("dataset")["n_different"].first()
    assert RATINGS["kadid10k"] == 30
    assert different["kadid10k"] > different["folder"]


def test_originals_are_analysed_by_themselves(tmp_path):
    kinds = {1: "real", 2: "exact", 3: "exact", 4: "near", 5: "resynth", 6: "resynth"}
    folder = labelled(tmp_path, provenance=lambda number, _: kinds[number], layout="tid2013")
    values, comparisons = roc_tables(read_judged([folder], methods(folder)), PARAMS)
    assert values.groupby("subset")["n_images"].first().to_dict() == {"all": 36, "real_exact": 18}
    assert set(comparisons["subset"]) == {"all", "real_exact"}


def test_no_more_pairs_than_asked_for(tmp_path):
    folder = labelled(tmp_path)
    values, _ = roc_tables(read_judged([folder], methods(folder)), PARAMS.model_copy(update={"roc_pairs": 200}))
    assert set(values.loc[values["analysis"] == "different_similar", "n_pairs"]) == {200}


def test_nothing_to_analyse_is_an_empty_table(tmp_path):
    values, comparisons = roc_tables([], PARAMS)
    assert values.empty
    assert comparisons.empty
    assert {"subset", "human", "uncertainty"} <= set(comparisons.columns)


def test_an_unknown_analysis_is_refused(tmp_path):
    folder = labelled(tmp_path)
    paired = read_judged([folder], methods(folder))[0].paired(np.arange(36))
    for wrong in (["better"], []):
        with pytest.raises(ConfigError, match="choose some of different_similar, better_worse"):
            roc.roc_analysis([(paired, np.full(36, 0.4))], analyses=wrong)
