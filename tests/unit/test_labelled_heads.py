"""Heads on labelled sets: what teaches, what judges, and what the tables hold."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from labelled_data import images_of, labelled
from scipy import stats
from typer.testing import CliRunner

from causaliqa.cli import build_app
from causaliqa.config import Regress
from causaliqa.datasets.raw import read_raw_manifest
from causaliqa.datasets.splits import read_splits
from causaliqa.disentangle.features import feature_names
from causaliqa.errors import DataError
from causaliqa.evaluate.correlation import fit_logistic
from causaliqa.figures.labelled_curves import labelled_curves
from causaliqa.figures.style import render
from causaliqa.io import read_parquet, write_parquet
from causaliqa.supervised import stage
from causaliqa.supervised.labelled import (
    LABELLED_COLUMNS,
    LABELLED_TYPES,
    SUMMARY_COLUMNS,
    agreement,
    label_budgets,
    labelled_summary,
    labelled_tests,
    read_labelled,
    synthetic_space,
)
from causaliqa.tables import score_table, write_scores

NAMES = feature_names(2, 2)
QUICK = Regress(label_counts=[5, 10], label_shares=[0.5], labelled_regressors=["anchored", "ridge"])


def embedded(images: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Features that grow with the level, each type with a profile of its own, and differ by content."""
    kinds = sorted(images["distortion"].unique())
    profile = np.exp(np.random.default_rng(3).normal(0, 0.8, (len(kinds), len(NAMES))))
    contents, content = np.unique(images["reference"], return_inverse=True)
    rng = np.random.default_rng(seed)
    spread = rng.normal(0, 0.15, (len(contents), len(NAMES)))[content]
    level = images["level"].to_numpy()[:, None] + rng.normal(0, 0.2, (len(images), 1))
    kind = np.searchsorted(kinds, images["distortion"])
    about = images[["dataset", "domain", "image", "reference", "distortion", "level"]].assign(parent="", partition="")
    values = pd.DataFrame(profile[kind] * np.exp(0.6 * level + spread), columns=NAMES, index=about.index)
    return pd.concat([about, values], axis=1)


def synthetic(partitions: tuple[str, ...] = ("train", "test")) -> pd.DataFrame:
    rows = [
        {"dataset": "synth", "domain": "natural", "image": f"{r}/{t}/{level}", "reference": f"s{r}", "distortion": t,
         "level": level}
        for r in range(12) for t in ("blur", "jpeg", "noise") for level in range(1, 6)
    ]  # fmt: skip
    table = embedded(pd.DataFrame(rows), 9)
    names = np.array(partitions)
    return table.assign(partition=names[table["reference"].str[1:].astype(int).to_numpy() % len(names)])


def projected(table: pd.DataFrame, method: str = "disentangle-norm") -> pd.DataFrame:
    distance = np.sqrt(np.square(table[[name for name in NAMES if "_rms_" in name]].to_numpy()).sum(axis=1))
    return score_table(table, distance, method=method, setting="label_free", higher_is_better=False, model="toy/full")


def taught(*folders: Path, params: Regress = QUICK) -> pd.DataFrame:
    features = pd.concat([embedded(images_of(folder), 1) for folder in folders], ignore_index=True)
    sets = read_labelled(folders, features, projected(features), NAMES)
    return labelled_tests(sets, synthetic_space(synthetic(), ["synth"]), params, model="toy/full", seed=3)


def rewrite(folder: Path, change) -> None:
    """Change the scores of a fetched set: `change` takes a row of the manifest."""
    table = read_raw_manifest(folder)
    table["score"] = [change(row) for row in table.itertuples()]
    table.to_csv(folder / "manifest.csv", index=False)


def test_a_table_holds_every_split_budget_and_head(tmp_path):
    folder = labelled(tmp_path, references=10, splits=2, std=0.2)
    table = taught(folder)
    assert table.dtypes.astype(str).to_dict() == LABELLED_TYPES
    assert set(table["split"]) == {split.name for split in read_splits(folder / "splits.json")}
    train = 6 * 6  # of ten references 6, 2 and 2, with six images each
    learnt = table[(table["regressor"] == "ridge") & (table["test"] == "srcc")]
    sizes = learnt[["budget", "setting", "n_labels"]].drop_duplicates().sort_values("n_labels").to_numpy().tolist()
    assert sizes == [
        ["5", "few_label", 5], ["10", "few_label", 10], ["50 %", "few_label", train // 2], ["full", "supervised", 48],
    ]  # fmt: skip
    assert (learnt.groupby(["budget", "split"]).size() == 1).all()
    assert set(table["test"]) == {"srcc", "krcc", "plcc"}
    assert set(table["n_images"]) == {12}
    assert set(table["n_references"]) == {2}
    assert table["human"].all()
    assert set(table["target"]) == {"mos"}
    pd.testing.assert_frame_equal(taught(folder), table)


def test_values_are_those_of_the_test_references(tmp_path):
    folder = labelled(tmp_path, references=10, splits=2)
    images = images_of(folder)
    norm = -projected(embedded(images, 1))["score"].to_numpy()
    table = taught(folder)
    for split in read_splits(folder / "splits.json"):
        mine = images["reference"].isin(split.test).to_numpy()
        found = table[(table["regressor"] == "norm") & (table["split"] == split.name)].set_index("test")["value"]
        x, y = norm[mine], images["score"].to_numpy()[mine]
        assert found["srcc"] == pytest.approx(stats.spearmanr(x, y).statistic)
        assert found["krcc"] == pytest.approx(stats.kendalltau(x, y).statistic)
        assert found["plcc"] == pytest.approx(fit_logistic(x, y, "5p").plcc)


def test_heads_learn_and_declared_polarity_turns_labels(tmp_path):
    mos = labelled(tmp_path / "a", references=10, splits=2)
    dmos = labelled(tmp_path / "b", references=10, splits=2, kind="dmos", higher_is_better=False)
    first, second = taught(mos), taught(dmos)
    np.testing.assert_allclose(first["value"], second["value"], atol=1e-6)
    srcc = labelled_summary(first).query("test == 'srcc'").set_index(["regressor", "budget"])["median"]
    assert srcc["anchored", "full"] > 0.9
    assert srcc["anchored", "full"] > srcc["norm", "0"] + 0.02


def test_test_labels_judge_and_choose_nothing(tmp_path):
    """Turning the test labels around turns the values around: every prediction is the same."""
    folder = labelled(tmp_path, references=10, splits=1)
    before = taught(folder)
    (split,) = read_splits(folder / "splits.json")
    rewrite(folder, lambda row: 10 - row.score if row.reference in split.test else row.score)
    after = taught(folder)
    same = before["test"] != "plcc"  # its fit keeps the sign of the rank correlation
    np.testing.assert_allclose(after.loc[same, "value"], -before.loc[same, "value"])
    assert (before.loc[same, "value"] != 0).all()


def test_validation_labels_teach_the_full_budget_alone(tmp_path):
    folder = labelled(tmp_path, references=10, splits=1)
    before = taught(folder)
    (split,) = read_splits(folder / "splits.json")
    rng = np.random.default_rng(0)
    rewrite(folder, lambda row: rng.normal() * 100 if row.reference in split.val else row.score)
    changed = taught(folder)["value"] != before["value"]
    assert not changed[before["budget"] != "full"].any()
    assert changed[(before["budget"] == "full") & (before["regressor"] == "ridge")].any()


def test_originals_are_taught_by_originals(tmp_path):
    folder = labelled(
        tmp_path, references=10, splits=2, provenance=lambda n, level: ("exact", "near", "real")[level % 3]
    )
    before = taught(folder)
    own = before["subset"] == "real_exact"
    assert set(before["subset"]) == {"all", "real_exact"}
    assert set(before.loc[own, "n_images"]) == {8}
    assert before.loc[own & (before["budget"] == "full"), "n_labels"].max() == 32
    rewrite(folder, lambda row: -50 * row.score if row.provenance == "near" else row.score)
    after = taught(folder)
    pd.testing.assert_frame_equal(after[own], before[own])
    assert (after.loc[~own, "value"] != before.loc[~own, "value"]).any()


def test_draws_differ_and_all_labels_are_drawn_once(tmp_path):
    folder = labelled(tmp_path, references=10, splits=2)
    table = taught(folder, params=QUICK.model_copy(update={"labelled_draws": 3}))
    srcc = table[(table["test"] == "srcc") & (table["regressor"] == "ridge")]
    assert srcc.groupby("budget")["draw"].nunique().to_dict() == {"10": 3, "5": 3, "50 %": 3, "full": 1}
    assert srcc[srcc["budget"] == "5"].groupby("split")["value"].nunique().max() > 1
    most = taught(folder, params=QUICK.model_copy(update={"labelled_most": 12}))
    assert most.loc[most["budget"] == "full", "n_labels"].unique().tolist() == [12]


def test_budgets_are_those_that_every_split_allows():
    found = label_budgets(Regress(), 180, 150)
    assert found == {"5": 5, "10": 10, "20": 20, "50": 50, "100": 100, "1 %": 2, "5 %": 9, "10 %": 18, "full": None}
    assert label_budgets(Regress(label_shares=[0.025]), 100, 40) == {
        "5": 5, "10": 10, "20": 20, "full": None,
    }  # fmt: skip
    assert label_budgets(Regress(label_shares=[0.025], label_counts=[2]), 120, 60) == {"2": 2, "2.5 %": 3, "full": None}


def test_agreement_needs_images_that_differ():
    x = np.arange(12.0)
    assert set(agreement(x, x)) == {"srcc", "krcc", "plcc"}
    assert set(agreement(x[:9], x[:9])) == {"srcc", "krcc"}
    assert agreement(x[:3], x[:3]) == {}
    assert agreement(x, np.ones(12)) == {}


def test_few_references_and_physics(tmp_path):
    two = labelled(tmp_path / "two", name="two", references=2, levels=6)
    ladder = labelled(tmp_path / "ladder", name="ladder", references=4, levels=5, kind="exposure", splits=3)
    table = taught(two, ladder)
    assert set(table["dataset"]) == {"ladder"}, "two references cannot be split three ways"
    assert not table["human"].any()
    assert set(table.loc[table["setting"] == "supervised", "n_labels"]) == {30}


def test_no_labelled_set_gives_an_empty_table():
    table = labelled_tests([], synthetic_space(synthetic(), ["synth"]), QUICK)
    assert table.empty
    assert table.dtypes.astype(str).to_dict() == LABELLED_TYPES
    assert list(labelled_summary(table).columns) == SUMMARY_COLUMNS


def test_what_is_missing_is_named(tmp_path):
    folder = labelled(tmp_path, references=4)
    features = embedded(images_of(folder), 1)
    scores = projected(features)
    first = features["image"].iloc[0]
    with pytest.raises(DataError, match=f"toy: features: none that is finite for image '{first}'; run stage embed"):
        read_labelled([folder], features.iloc[1:], scores, NAMES)
    with pytest.raises(DataError, match=r"toy: features: image '.*' stands there twice; run stage embed"):
        read_labelled([folder], pd.concat([features, features.iloc[:1]]), scores, NAMES)
    with pytest.raises(DataError, match=f"scores of disentangle-norm: none that is finite for image '{first}'"):
        read_labelled([folder], features, scores.iloc[1:], NAMES)
    other = labelled(tmp_path / "other", references=3)
    (folder / "splits.json").write_bytes((other / "splits.json").read_bytes())
    with pytest.raises(DataError, match="knows no 'i04'"):
        taught(folder)
    rewrite(folder, lambda row: "")
    with pytest.raises(DataError, match=r"has no labels to learn from; name it under fetch\.datasets"):
        read_labelled([folder], features, scores, NAMES)


def table_of(values: dict[tuple[str, str, int], list[float]]) -> pd.DataFrame:
    rows = []
    for (regressor, budget, labels), list_of in values.items():
        setting = "label_free" if budget == "0" else "supervised" if budget == "full" else "few_label"
        for number, value in enumerate(list_of):
            rows.append(
                {"dataset": "toy", "domain": "natural", "target": "mos", "human": True, "subset": "all",
                 "model": "natural/full", "seed": 0, "setting": setting, "regressor": regressor, "budget": budget,
                 "n_labels": labels, "split": f"random-{number:02d}", "draw": 0, "test": "srcc", "value": value,
                 "n_images": 60, "n_references": 3}
            )  # fmt: skip
    return pd.DataFrame(rows, columns=LABELLED_COLUMNS)


def curves() -> pd.DataFrame:
    free = np.linspace(0.85, 0.95, 11).tolist()
    return labelled_summary(
        table_of(
            {
                ("norm", "0", 0): free,
                ("anchored", "10 %", 20): [v + 0.01 for v in free],
                ("anchored", "20", 20): [v + 0.01 for v in free],
                ("anchored", "full", 200): [v + 0.04 for v in free],
                ("ridge", "20", 20): [*free[:3], *(v - 0.1 for v in free[3:])],
                ("ridge", "full", 200): [v + 0.02 for v in free],
            }
        )
    )


def test_a_summary_pairs_values_with_the_label_free_score():
    rows = curves().set_index(["regressor", "budget"])
    assert rows.loc[("norm", "0"), ["median", "low", "high", "gain", "not_worse"]].tolist() == pytest.approx(
        [0.9, 0.86, 0.94, 0, 1]
    )
    assert rows.loc[("norm", "0"), "sd"] == pytest.approx(np.std(np.linspace(0.85, 0.95, 11), ddof=1))
    assert rows.loc[("anchored", "20"), ["gain", "gain_low", "gain_high"]].tolist() == pytest.approx([0.01] * 3)
    assert rows.loc[("ridge", "20"), "not_worse"] == pytest.approx(3 / 11)
    assert rows.loc[("ridge", "20"), "gain"] == pytest.approx(-0.1)
    assert set(rows["n_values"]) == set(rows["n_splits"]) == {11}
    alone = labelled_summary(table_of({("ridge", "20", 20): [0.5]}))
    assert alone[["gain", "not_worse", "sd"]].isna().all(axis=None)


def test_curves_show_medians_bands_and_the_label_free_line():
    (axes,) = labelled_curves(curves()).axes
    lines = {(tuple(line.get_xdata()), tuple(np.round(line.get_ydata(), 6))) for line in axes.lines}
    assert ((20, 200), (0.91, 0.94)) in lines
    assert ((0, 1), (0.9, 0.9)) in lines
    assert ((200,), (0.92,)) in lines
    band = axes.collections[0].get_paths()[0].vertices[:, 1]
    assert (band.min(), band.max()) == pytest.approx((0.87, 0.98))
    assert [label.get_text() for label in axes.get_xticklabels()] == ["20", "200"]
    assert axes.get_title(loc="left") == "toy\n11 splits, tests of 60 images of 3 references"
    assert render(labelled_curves(curves()), "pdf") == render(labelled_curves(curves()), "pdf")
    for nothing in (curves().iloc[:0], curves()[curves()["setting"] == "label_free"]):
        assert not labelled_curves(nothing).axes


@pytest.fixture
def project(tmp_path):
    """Files as the earlier stages leave them."""
    model = tmp_path / "model"
    model.mkdir()
    (model / "model.json").write_text(
        json.dumps({"scenario": "toy", "variant": "full", "seed": 0, "datasets": ["synth"]})
    )
    own = synthetic()
    write_parquet(tmp_path / "synth.parquet", own)
    consensus = score_table(
        own, -own["level"].to_numpy(), method="consensus", setting="pseudo_mos", higher_is_better=True
    )
    write_scores(tmp_path / "consensus.parquet", consensus)
    folder = labelled(tmp_path / "raw", references=6, splits=2)
    features = embedded(images_of(folder), 1)
    write_parquet(tmp_path / "toy.parquet", features)
    write_scores(tmp_path / "projected.parquet", projected(pd.concat([own, features], ignore_index=True)))
    return tmp_path


PARAMS = Regress(
    label_counts=[5], draws=1, regressors=["ridge"], label_shares=[], labelled_regressors=["anchored", "svr"]
)


def test_the_stage_writes_both_tables(project):
    command = [
        "regress", str(project / "model"), str(project / "synth.parquet"),
        "--labels", str(project / "consensus.parquet"), "--labelled", str(project / "raw/toy"),
        "--labelled-features", str(project / "toy.parquet"), "--projected", str(project / "projected.parquet"),
        "--out", str(project / "out"), "--params", PARAMS.model_dump_json(),
    ]  # fmt: skip
    result = CliRunner().invoke(build_app(), command)
    assert result.exit_code == 0, result.output
    assert "2 fits" in result.output
    table = read_parquet(project / "out/labelled.parquet")
    assert table.dtypes.astype(str).to_dict() == LABELLED_TYPES
    assert set(table["regressor"]) == {"anchored", "svr", "norm"}
    assert set(zip(table["model"], table["seed"], strict=True)) == {("toy/full", 0)}
    content = (project / "out/labelled.parquet").read_bytes()
    CliRunner().invoke(build_app(), command)
    assert (project / "out/labelled.parquet").read_bytes() == content
    assert set(read_parquet(project / "out/scores.parquet")["dataset"]) == {"synth"}


def test_the_stage_without_labelled_sets_writes_an_empty_table(project):
    sources = (project / "model", [project / "synth.parquet"], [project / "consensus.parquet"], project / "out")
    stage.run(*sources, PARAMS)
    assert read_parquet(project / "out/labelled.parquet").columns.tolist() == LABELLED_COLUMNS
    with pytest.raises(DataError, match="toy: no label-free scores to stand beside; give those of stage project"):
        stage.run(*sources, PARAMS, [project / "raw/toy"], [project / "toy.parquet"])
    write_parquet(project / "toy.parquet", read_parquet(project / "toy.parquet").drop(columns=NAMES[0]))
    with pytest.raises(DataError, match=r"its columns differ from those of .*embed both with the same model"):
        stage.run(
            *sources, PARAMS, [project / "raw/toy"], [project / "toy.parquet"], project / "projected.parquet"
        )  # fmt: skip


def test_the_page_table_names_setting_and_gain(tmp_path):
    from causaliqa.report import labelled as page

    free = [0.90, 0.92]
    learnt = table_of({("norm", "0", 0): free, ("anchored", "20", 20): [0.93, 0.93]})
    learnt.to_parquet(tmp_path / "one.parquet")
    learnt.iloc[:0].to_parquet(tmp_path / "none.parquet")
    wide = page.wide(page.summary([tmp_path / "none.parquet", tmp_path / "one.parquet"])).set_index("Head")
    assert wide.loc["norm", ["Setting", "Gain", "Not below it"]].tolist() == ["label-free", "–", "–"]
    assert wide.loc["anchored", ["Setting", "Labels", "Gain"]].tolist() == ["few labels", "20", "+0.020"]
    assert wide.loc["anchored", "SRCC"].startswith("0.930 [")
    assert wide.loc["anchored", "Not below it"] == "100%"
    assert wide.loc["anchored", "Splits"] == 2
    assert page.wide(page.summary([tmp_path / "none.parquet"])).empty


def test_every_setting_stands_on_the_same_splits():
    from causaliqa.report.labelled import beside, beside_wide

    single = pd.DataFrame(
        [
            {"dataset": "tid", "setting": setting, "method": method, "model": model, "split": split, "test": test,
             "value": value + 0.01 * split}
            for setting, method, model, value in (
                ("baseline", "vsi", "", 0.85), ("label_free", "disentangle-norm", "natural/full", 0.90),
            )
            for split in range(3) for test in ("srcc", "plcc")
        ]
    )  # fmt: skip
    head = {"dataset": "tid", "model": "natural/full", "test": "srcc", "low": 0.9, "high": 0.96, "n_splits": 3}
    learnt = pd.DataFrame(
        [
            {"setting": "supervised", "regressor": "svr", "budget": "all", "n_labels": 800.0, "median": 0.95,
             "subset": "all", **head},
            {"setting": "few_label", "regressor": "anchored", "budget": "20", "n_labels": 20.0, "median": 0.92,
             "subset": "all", **head},
            # Neither another number of labels, nor another subset, nor the label-free rows of the heads' own table.
            {"setting": "few_label", "regressor": "anchored", "budget": "50", "n_labels": 50.0, "median": 0.93,
             "subset": "all", **head},
            {"setting": "supervised", "regressor": "svr", "budget": "all", "n_labels": 400.0, "median": 0.94,
             "subset": "real_exact", **head},
            {"setting": "label_free", "regressor": "norm", "budget": "none", "n_labels": 0.0, "median": 0.91,
             "subset": "all", **head},
            # Nor a set of physics, which `single` leaves out.
            {"setting": "supervised", "regressor": "svr", "budget": "all", "n_labels": 18.0, "median": 0.97,
             "subset": "all", **head, "dataset": "ladder"},
        ]
    )  # fmt: skip
    found = beside(learnt, single)
    assert found["setting"].tolist() == ["label_free", "baseline", "few_label", "supervised"]
    assert found["labels"].tolist() == [0, 0, 20, 800]
    assert found.loc[0, "median"] == pytest.approx(0.91)
    assert (found.loc[0, "low"], found.loc[0, "high"]) == pytest.approx((0.902, 0.918))
    shown = beside_wide(found)
    assert shown["labels"].tolist() == ["none of these", "none of these", "20 labels", "all labels"]
    assert shown["method"].tolist() == [
        "norm · natural/full", "VSI", "anchored · natural/full", "svr · natural/full",
    ]  # fmt: skip
    assert shown["tid"].tolist()[2] == "0.920 [0.900, 0.960]"
    assert beside_wide(beside(learnt.iloc[:0], single.iloc[:0])).empty
