"""Agreement with published scores: equal to its definition, told apart by provenance and distortion."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from toy_datasets import PRISTINE, entry, fetched, read_table, scored_folder, write_table

from causaliqa.config import Evaluate
from causaliqa.datasets.raw import read_raw_manifest
from causaliqa.errors import DataError
from causaliqa.evaluate import intervals
from causaliqa.evaluate.agreement import TESTS, Agreement
from causaliqa.evaluate.correlation import fit_logistic, krcc, plcc, srcc
from causaliqa.evaluate.opinion import OPINION_COLUMNS, compare_opinions, evaluate_opinions, opinion_metrics
from causaliqa.io import read_json, sha256_file, write_json
from causaliqa.tables import score_table

PARAMS = Evaluate(bootstrap=100)
MOS = {"kind": "mos", "higher_is_better": True, "text": "toy panel"}


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """4 references, 2 types of 12 images each; scores as fetched."""
    root = tmp_path_factory.mktemp("toy")
    folder, _ = fetched(root, entry(scored_folder(root / "own"), labels=MOS))
    return folder


def images_of(folder: Path) -> pd.DataFrame:
    table = read_raw_manifest(folder)
    return table[table["distortion"] != "reference"].reset_index(drop=True)


def scores_of(folder: Path, noise: float = 1.5, **changes: Any) -> pd.DataFrame:
    """A method that sees the score through noise; a change of higher_is_better turns it round."""
    images = images_of(folder)
    about = {"method": "m", "setting": "baseline", "higher_is_better": True, **changes}
    seed = sum(map(ord, about["method"]))
    seen = images["score"].to_numpy() + noise * np.random.default_rng(seed).normal(size=len(images))
    return score_table(images, seen if about["higher_is_better"] else -seen, **about)


def one(table: pd.DataFrame, **where: Any) -> pd.Series:
    where = {"subset": "all", "distortion": "", "test": "srcc", **where}
    rows = table[np.logical_and.reduce([table[key] == value for key, value in where.items()])]
    assert len(rows) == 1, rows
    return rows.iloc[0]


def test_every_coefficient_equals_its_definition() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=60), rng.normal(size=60)
    y += 2 * x
    cluster = np.repeat(np.arange(6), 10)
    found = Agreement(x, y, cluster, 6)
    five, four = fit_logistic(x, y, "5p"), fit_logistic(x, y, "4p")
    assert tuple(found.values) == TESTS
    assert found.values == {
        "srcc": srcc(x, y), "krcc": krcc(x, y), "plcc": five.plcc, "rmse": five.rmse, "plcc_4p": four.plcc,
        "plcc_raw": plcc(x, y),
    }  # fmt: skip
    assert found.values["srcc"] == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-12)
    assert found.values["krcc"] == pytest.approx(stats.kendalltau(x, y).statistic, abs=1e-12)
    assert found.values["plcc_raw"] == pytest.approx(stats.pearsonr(x, y).statistic, abs=1e-12)


def test_a_draw_equals_the_coefficients_of_the_repeated_images() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=40), rng.normal(size=40)
    y += x
    cluster = np.repeat(np.arange(5), 8)
    found = Agreement(x, y, cluster, 5)
    draws = np.array([[1, 1, 1, 1, 1], [2, 0, 1, 0, 2], [0, 3, 0, 1, 1]])
    drawn = found.drawn(draws, intervals.RankBootstrap(y, cluster, draws))
    assert set(drawn) == set(TESTS)
    for test in TESTS:
        assert drawn[test][0] == pytest.approx(found.values[test], abs=1e-9), test
    for number, draw in enumerate(draws):
        chosen = np.concatenate([np.flatnonzero(cluster == k) for k in np.repeat(range(5), draw)])
        five, four = found.fits
        again, target = x[chosen], y[chosen]
        expected = {
            "srcc": stats.spearmanr(again, target).statistic,
            "krcc": stats.kendalltau(again, target).statistic,
            "plcc": stats.pearsonr(five(again), target).statistic,
            "rmse": np.sqrt(np.mean((five(again) - target) ** 2)),
            "plcc_4p": stats.pearsonr(four(again), target).statistic,
            "plcc_raw": stats.pearsonr(again, target).statistic,
        }
        assert {test: drawn[test][number] for test in TESTS} == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("better", [True, False])
@pytest.mark.parametrize("kind", ["mos", "dmos"])
def test_srcc_follows_both_polarities(tmp_path: Path, better: bool, kind: str) -> None:
    labels = {"kind": kind, "higher_is_better": kind == "mos"}
    folder, _ = fetched(tmp_path, entry(scored_folder(tmp_path / "own", references=3, levels=4), labels=labels))
    scores = scores_of(folder, higher_is_better=better)
    row = one(evaluate_opinions([folder], scores.sample(frac=1, random_state=1), PARAMS))
    expected = stats.spearmanr(scores["score"], images_of(folder)["score"]).statistic
    expected *= (1 if better else -1) * (1 if kind == "mos" else -1)
    assert row["value"] == pytest.approx(expected, abs=1e-12)
    assert (expected > 0) == (kind == "mos")
    assert (row["target"], row["human"], row["n_images"], row["n_references"]) == (kind, True, 12, 3)
    assert row["low"] - 1e-9 <= row["value"] <= row["high"] + 1e-9
    assert row["low"] < row["high"]
    assert row["n_draws"] == 100


def test_the_table_is_complete_and_repeatable(toy: Path) -> None:
    scores = pd.concat(
        [
            scores_of(toy),
            scores_of(toy, method="d", setting="label_free", model="all/full", seed=0, higher_is_better=False),
            scores_of(toy, method="consensus", setting="pseudo_mos"),
            scores_of(toy, method="ridge", setting="few_label", labels=5),  # fitted on opinions: not shown here
            scores_of(toy).assign(dataset="another"),
        ]
    )
    table = evaluate_opinions([toy], scores, PARAMS)
    assert list(table.columns) == OPINION_COLUMNS
    assert set(table["method"]) == {"m", "d", "consensus"}
    assert set(table["dataset"]) == {"toy"}
    assert len(table) == 3 * 3 * len(TESTS)
    assert not table[["dataset", "subset", "distortion", "method", "test"]].duplicated().any()
    assert set(table["variant"]) == {"toy panel"}, "columns of a table are no variant"
    assert (table["n_skipped"] == 0).all()
    shuffled = scores.sample(frac=1, random_state=3)
    pd.testing.assert_frame_equal(evaluate_opinions([toy], shuffled, PARAMS), table)
    metrics = opinion_metrics(table)
    assert metrics == {
        "opinions": {
            "toy": {
                "baselines": {
                    name: round(one(table, method=name)["value"], 6) for name in ("consensus", "m")
                },
                "all/full": {"d": round(one(table, method="d")["value"], 6)},
            }
        }
    }  # fmt: skip


def test_each_distortion_has_its_rows(toy: Path) -> None:
    scores = scores_of(toy)
    table = evaluate_opinions([toy], scores, PARAMS)
    assert set(table["distortion"]) == {"", "blur", "white_noise"}
    images = images_of(toy)
    for kind in ("blur", "white_noise"):
        mine = (images["distortion"] == kind).to_numpy()
        row = one(table, distortion=kind)
        expected = stats.spearmanr(scores["score"][mine], images["score"][mine]).statistic
        assert row["value"] == pytest.approx(expected, abs=1e-12)
        assert (row["n_images"], row["n_references"]) == (12, 4)


def test_distortions_with_few_images_have_none(tmp_path: Path) -> None:
    folder, _ = fetched(tmp_path, entry(scored_folder(tmp_path / "own", references=3, levels=6)))
    assert set(images_of(folder).groupby("distortion").size()) == {9}
    assert set(evaluate_opinions([folder], scores_of(folder), PARAMS)["distortion"]) == {""}


def with_provenance(folder: Path, kinds: dict[str, str]) -> None:
    path = folder / "manifest.csv"
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    start = table["image"].str.extract(r"dist/(r\d)_")[0]
    table["provenance"] = start.map(kinds).fillna("")
    table.to_csv(path, index=False)
    about = read_json(folder / "dataset.json")
    write_json(folder / "dataset.json", {**about, "manifest_sha256": sha256_file(path)})


def test_originals_and_regenerated_images_are_told_apart(tmp_path: Path) -> None:
    folder, _ = fetched(tmp_path, entry(scored_folder(tmp_path / "own")))
    with_provenance(folder, {"r0": "real", "r1": "exact", "r2": "near", "r3": "resynth"})
    scores = scores_of(folder)
    table = evaluate_opinions([folder], scores, PARAMS)
    assert set(table["subset"]) == {"all", "real_exact", "near_resynth"}
    images = images_of(folder)
    for subset, names in (("real_exact", ["ref0", "ref1"]), ("near_resynth", ["ref2", "ref3"])):
        mine = images["reference"].isin(names).to_numpy()
        row = one(table, subset=subset)
        expected = stats.spearmanr(scores["score"][mine], images["score"][mine]).statistic
        assert row["value"] == pytest.approx(expected, abs=1e-12)
        assert (row["n_images"], row["n_references"]) == (12, 2)
        # Two references could only reproduce themselves.
        assert row["n_draws"] == 0
        assert np.isnan(row["low"])
        assert np.isnan(row["high"])
    assert one(table)["n_draws"] == 100
    # One kind only: a subset would say the same again. Few images: they say nothing.
    with_provenance(folder, dict.fromkeys(("r0", "r1", "r2", "r3"), "near"))
    assert set(evaluate_opinions([folder], scores, PARAMS)["subset"]) == {"all"}
    with_provenance(folder, {"r0": "real", "r1": "near", "r2": "near", "r3": "near"})
    assert set(evaluate_opinions([folder], scores, PARAMS)["subset"]) == {"all", "near_resynth"}


def test_exposures_are_not_the_opinion_of_people(tmp_path: Path) -> None:
    labels = {"kind": "exposure", "higher_is_better": True}
    folder, _ = fetched(tmp_path, entry(scored_folder(tmp_path / "own", references=2, levels=3), labels=labels))
    table = evaluate_opinions([folder], scores_of(folder), PARAMS)
    assert set(table["human"]) == {False}
    assert set(table["target"]) == {"exposure"}
    assert table["n_draws"].eq(0).all()  # two references


def test_what_was_left_out_is_carried_along(tmp_path: Path) -> None:
    own = scored_folder(tmp_path / "own", references=3, levels=4)
    for name in ("r0_1", "r2_3"):
        (own / f"dist/{name}.png").unlink()
    folder, _ = fetched(tmp_path, entry(own), on_missing="skip")
    table = evaluate_opinions([folder], scores_of(folder), PARAMS)
    assert set(table["n_skipped"]) == {2}
    assert one(table)["n_images"] == 10


def test_a_method_must_have_scored_every_image(toy: Path) -> None:
    scores = scores_of(toy)
    with pytest.raises(
        DataError, match=r"^m on toy: no finite score for image 'images/dist/r0_3\.png'; run the method's"
    ):
        evaluate_opinions([toy], scores[scores["image"] != "images/dist/r0_3.png"], PARAMS)
    with pytest.raises(DataError, match=r"^m on toy: two scores for image 'images/dist/r0_1\.png'"):
        evaluate_opinions([toy], pd.concat([scores, scores.iloc[:1].assign(score=0.5)]), PARAMS)
    with pytest.raises(DataError, match="no method has scored toy; run stage baselines for it"):
        evaluate_opinions([toy], scores.assign(dataset="another"), PARAMS)


def test_sets_without_scores_are_refused(tmp_path: Path) -> None:
    own = scored_folder(tmp_path / "own", references=2, levels=2)
    folder, _ = fetched(tmp_path, entry(own, **PRISTINE))
    with pytest.raises(DataError, match=r"toy: has no scores to compare with; name it under fetch\.datasets"):
        evaluate_opinions([folder], pd.DataFrame(columns=["dataset"]), PARAMS)


def test_nothing_to_compare_is_an_empty_table() -> None:
    table = evaluate_opinions([], pd.DataFrame(columns=["dataset"]), PARAMS)
    assert list(table.columns) == OPINION_COLUMNS
    assert table.empty
    assert opinion_metrics(table) == {}


def test_equal_opinions_order_nothing(tmp_path: Path) -> None:
    own = scored_folder(tmp_path / "own", references=3, levels=2)
    write_table(own, [{**row, "score": "5"} for row in read_table(own)])
    folder, _ = fetched(tmp_path, entry(own))
    table = evaluate_opinions([folder], scores_of(folder), PARAMS)
    assert one(table)["value"] == 0
    assert one(table, test="krcc")["value"] == 0
    assert one(table, test="rmse")["value"] == 0


def test_a_metric_that_is_both_baseline_and_member_counts_once(toy: Path) -> None:
    # baselines.metrics and baselines.consensus may name the same metric: its rows then come from two files.
    params = Evaluate(bootstrap=100)
    scores = pd.concat([scores_of(toy), scores_of(toy, noise=3, method="other")], ignore_index=True)
    twice = pd.concat([scores, scores[scores["method"] == "other"]], ignore_index=True)
    for function in (evaluate_opinions, compare_opinions):
        once = function([toy], scores, params)
        assert len(once) > 0
        pd.testing.assert_frame_equal(function([toy], twice, params), once)
    changed = twice.assign(score=np.where(twice.index == len(twice) - 1, 99.0, twice["score"]))
    with pytest.raises(DataError, match="two scores for image"):
        evaluate_opinions([toy], changed, params)
