import json

import numpy as np
import pandas as pd
import pytest
from evaluation_data import make_world
from labelled_data import labelled, method
from scipy import stats

from causaliqa.config import Evaluate
from causaliqa.errors import ConfigError, DataError
from causaliqa.evaluate.labelled import TABLES
from causaliqa.evaluate.stage import OUTPUTS, run
from causaliqa.tables import quality, read_scores, score_table, write_scores

PARAMS = Evaluate(bootstrap=100)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    made = make_world(tmp_path_factory.mktemp("evaluate"))
    evaluate(made, made.root / "out")
    return made


def evaluate(world, out, **changes):
    given = {"scores": world.scores, "manifests": world.manifests, "members": world.members} | changes
    return run(
        given["scores"],
        given["manifests"],
        given["members"],
        out,
        out.with_suffix(".json"),
        given.get("params", PARAMS),
    )


def table(world, name):
    return pd.read_parquet(world.root / "out" / f"{name}.parquet")


def one(rows, **where):
    for key, value in where.items():
        rows = rows[rows[key] == value]
    assert len(rows) == 1
    return rows.iloc[0]


def test_writes_exactly_what_it_declares(world):
    assert {path.name for path in (world.root / "out").iterdir()} == set(OUTPUTS)


def test_equal_inputs_in_any_order_give_equal_bytes(world):
    evaluate(
        world,
        world.root / "again",
        scores=world.scores[::-1],
        manifests=world.manifests[::-1],
        members=world.members[::-1],
    )
    for name in OUTPUTS:
        assert (world.root / "out" / name).read_bytes() == (world.root / "again" / name).read_bytes(), name
    assert (world.root / "out.json").read_bytes() == (world.root / "again.json").read_bytes()


def test_srcc_is_over_the_rated_test_images(world):
    manifest = pd.read_parquet(world.manifests[0])
    test = manifest[(manifest["partition"] == "test") & (manifest["distortion"] != "reference")]
    scores = read_scores(*world.scores)
    gmsd = scores[(scores["method"] == "gmsd") & (scores["dataset"] == "bundled_natural")].set_index("image")
    opinion = scores[(scores["setting"] == "pseudo_mos") & (scores["dataset"] == "bundled_natural")].set_index("image")
    images = test.loc[test["distortion"] != "imperceptible", "image"]
    row = one(table(world, "correlations"), scope="bundled_natural", method="gmsd", test="srcc")
    # gmsd is lower-is-better: its declared polarity turns the sign.
    expected = stats.spearmanr(-gmsd.loc[images, "score"], opinion.loc[images, "score"]).statistic
    assert row["value"] == pytest.approx(expected)
    assert (row["n_images"], row["n_references"]) == (len(images), 4)
    assert row["low"] <= row["value"] <= row["high"]


def test_pooled_correlation_is_the_mean_weighted_by_references(world):
    rows = table(world, "correlations")
    rows = rows[(rows["method"] == "psnr") & (rows["test"] == "krcc")]
    parts, whole = rows[rows["scope"] != "all"], one(rows, scope="all")
    assert whole["value"] == pytest.approx(np.average(parts["value"], weights=parts["n_references"]))
    assert whole["n_references"] == 8


def test_tests_without_opinions_match_their_definition(world):
    manifest = pd.concat([pd.read_parquet(path) for path in world.manifests])
    test = manifest[(manifest["partition"] == "test") & (manifest["distortion"] != "reference")]
    scores = read_scores(*world.scores)
    ssim = scores[scores["method"] == "ssim"].merge(test[["image", "parent"]], on="image")
    ssim = ssim.assign(q=quality(ssim))
    found = table(world, "opinion_free")
    ladders = ssim[ssim["level"] >= 1].groupby(["reference", "distortion"])
    mean = np.mean([stats.spearmanr(ladder["level"], -ladder["q"]).statistic for _, ladder in ladders])
    assert one(found, scope="all", method="ssim", test="l_test")["value"] == pytest.approx(mean)
    by_image = ssim.set_index("image")["q"]
    composed = ssim[ssim["parent"] != ""]
    share = np.mean(composed["q"].to_numpy() < by_image.loc[composed["parent"]].to_numpy())
    assert one(found, scope="all", method="ssim", test="c_test")["value"] == pytest.approx(share)
    medians = [
        np.median([stats.spearmanr(ladder["level"], -ladder["q"]).statistic for _, ladder in part.groupby("reference")])
        for _, part in ssim[ssim["level"] >= 1].groupby("distortion")
    ]
    assert one(found, scope="all", method="ssim", test="severity_median")["value"] == pytest.approx(np.median(medians))


def test_a_perfect_method_and_a_reversed_one(world):
    opinion = read_scores(*[path for path in world.scores if path.name == "consensus.parquet"])
    perfect = pd.concat(
        [
            score_table(
                opinion, opinion["score"].to_numpy(), method="perfect", setting="baseline", higher_is_better=True
            ),
            score_table(
                opinion, opinion["score"].to_numpy(), method="reversed", setting="baseline", higher_is_better=False
            ),
            score_table(opinion, np.ones(len(opinion)), method="constant", setting="baseline", higher_is_better=True),
        ]
    )
    write_scores(world.root / "perfect.parquet", perfect)
    consensus = [path for path in world.scores if path.name == "consensus.parquet"]
    evaluate(world, world.root / "perfect", scores=[*consensus, world.root / "perfect.parquet"])
    rows = pd.concat(
        [pd.read_parquet(world.root / "perfect" / f"{n}.parquet") for n in ("correlations", "opinion_free")]
    )
    for test in ("srcc", "krcc", "p_test"):
        assert one(rows, scope="all", method="perfect", test=test)["value"] == pytest.approx(1)
    assert one(rows, scope="all", method="reversed", test="srcc")["value"] == pytest.approx(-1)
    assert one(rows, scope="all", method="reversed", test="p_test")["value"] == 0
    constant = rows[(rows["method"] == "constant") & (rows["scope"] == "all")]
    assert np.isfinite(constant[["value", "low", "high"]].to_numpy()).all()
    for test, value in {"srcc": 0, "plcc": 0, "l_test": 0, "d_test": 0.5, "p_test": 0, "c_test": 0}.items():
        assert one(constant, test=test)["value"] == value


def test_too_few_references_give_no_interval(world):
    rows = pd.concat([table(world, name) for name in ("correlations", "opinion_free", "severity")])
    alone = rows[rows["scope"] == "bundled_document"]
    assert (alone["n_references"] == 1).all()
    assert alone[["low", "high"]].isna().all().all()
    assert rows.loc[rows["scope"] == "all", ["low", "high"]].notna().all().all()


def test_the_consensus_has_no_row_where_it_is_the_yardstick(world):
    assert "consensus" not in set(table(world, "correlations")["method"])
    rows = table(world, "opinion_free")
    assert set(rows.loc[rows["method"] == "consensus", "test"]) == {"d_test", "l_test", "c_test", "severity_median"}


def test_few_label_rows_are_medians_over_draws(world):
    draws, rows = table(world, "few_label_draws"), table(world, "few_label")
    where = {"scope": "all", "method": "disentangle-ridge", "model": "natural/full", "labels": 5, "test": "srcc"}
    picked = draws
    for key, value in where.items():
        picked = picked[picked[key] == value]
    row = one(rows, **where)
    assert row["n_draws"] == len(picked) == 3
    assert row["value"] == pytest.approx(picked["value"].median())
    assert row["low"] == pytest.approx(picked["value"].quantile(0.1))
    assert set(rows["setting"]) == {"few_label", "supervised"}


def test_metrics_are_small_and_nested(world):
    metrics = json.loads((world.root / "out.json").read_text())
    assert set(metrics) == {"baselines", "all_domains/full", "natural/full"}
    assert {"disentangle-pc1", "disentangle-ridge"} <= set(metrics["natural/full"])
    value = metrics["baselines"]["ssim"]["l_test"]
    assert (
        value
        == round(value, 6)
        == round(one(table(world, "opinion_free"), scope="all", method="ssim", test="l_test")["value"], 6)
    )


def test_train_images_do_not_count(world, tmp_path):
    """Scores of train images may be absurd without changing a number."""
    changed = []
    for path in world.scores:
        scores = read_scores(path)
        train = scores["reference"].str.endswith("_0")
        scores["score"] = np.where(train, 1e6, scores["score"])
        target = tmp_path / f"{len(changed)}.parquet"
        write_scores(target, scores)
        changed.append(target)
    evaluate(world, tmp_path / "out", scores=changed)
    assert (tmp_path / "out/opinion_free.parquet").read_bytes() == (
        world.root / "out/opinion_free.parquet"
    ).read_bytes()


def test_a_method_without_one_image_is_named(world, tmp_path):
    scores = read_scores(world.scores[0])
    gone = scores[~((scores["method"] == "psnr") & (scores["image"] == "bundled_natural_1/jpeg/3"))]
    write_scores(tmp_path / "scores.parquet", gone)
    with pytest.raises(DataError, match=r"'psnr'.*'bundled_natural_1/jpeg/3'"):
        evaluate(world, tmp_path / "out", scores=[tmp_path / "scores.parquet", *world.scores[1:]])
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("drop", "message"),
    [("consensus.parquet", "neither"), ("members", "members.parquet"), ("manifests", "--manifest")],
)
def test_missing_inputs_are_named(world, tmp_path, drop, message):
    changes = (
        {drop: []} if drop in ("members", "manifests") else {"scores": [p for p in world.scores if p.name != drop]}
    )
    if drop == "members":
        changes = {"members": world.members[1:]}
    with pytest.raises(DataError, match=message):
        evaluate(world, tmp_path / "out", **changes)


def test_pseudo_mos_and_mos_are_never_mixed(world, tmp_path):
    opinion = read_scores(*[path for path in world.scores if path.name == "consensus.parquet"])
    write_scores(tmp_path / "mos.parquet", opinion.assign(setting="mos", method="mos"))
    with pytest.raises(DataError, match="mos and pseudo_mos"):
        evaluate(world, tmp_path / "out", scores=[*world.scores, tmp_path / "mos.parquet"])


def test_the_same_table_twice_is_refused(world, tmp_path):
    with pytest.raises(DataError, match="two scores for image"):
        evaluate(world, tmp_path / "out", scores=[*world.scores, world.scores[0]])


def test_a_score_table_that_is_none_is_named(world, tmp_path):
    with pytest.raises(DataError, match="not a score table"):
        evaluate(world, tmp_path / "out", scores=[*world.scores, world.manifests[0]])


def test_one_dataset_alone_has_no_pooled_rows(world, tmp_path):
    natural = [path for path in world.scores if "bundled_natural" in str(path)]
    evaluate(world, tmp_path / "out", scores=natural, manifests=world.manifests[:1], members=world.members[:1])
    rows = pd.read_parquet(tmp_path / "out/correlations.parquet")
    assert set(rows["scope"]) == {"bundled_natural"}
    assert len(pd.read_csv(tmp_path / "out/methods.csv")) > 0


def test_verb(world, tmp_path, capsys):
    from causaliqa.cli import evaluate as module

    module.evaluate(
        scores=world.scores, manifest=world.manifests, members=world.members, out=tmp_path / "out",
        metrics=tmp_path / "metrics.json", params='{"bootstrap": 100}',
    )  # fmt: skip
    assert "47 methods on 200 test images of 8 references in 3 datasets" in capsys.readouterr().err
    assert (tmp_path / "metrics.json").is_file()


def test_rank_averages_are_baselines_and_not_asked_to_agree_with_themselves(world, tmp_path):
    averages = {"gmsd_psnr": ["gmsd", "psnr"], "members": ["mdsi", "haarpsi", "vsi"], "mixed": ["gmsd", "mdsi"]}
    evaluate(world, tmp_path / "out", params=PARAMS.model_copy(update={"rank_averages": averages}))
    rows = pd.read_parquet(tmp_path / "out/correlations.parquet")
    row = one(rows, scope="bundled_natural", method="gmsd_psnr", test="srcc")
    assert (row["setting"], row["model"], row["n_references"]) == ("baseline", "", 4)
    scores = read_scores(*world.scores)
    mine = scores[(scores["dataset"] == "bundled_natural") & (scores["setting"] == "baseline")]
    ranks = mine.assign(quality=quality(mine)).pivot(index="image", columns="method", values="quality").rank()
    opinion = scores[(scores["setting"] == "pseudo_mos")].set_index("image")["score"]
    manifest = pd.read_parquet(world.manifests[0])
    test = manifest[(manifest["partition"] == "test") & ~manifest["distortion"].isin(["reference", "imperceptible"])]
    joint = (ranks["gmsd"] + ranks["psnr"]).loc[test["image"]]
    assert row["value"] == pytest.approx(stats.spearmanr(joint, opinion.loc[test["image"]]).statistic)
    # The yardstick is made of these metrics: agreement with it would be agreement with themselves.
    free = pd.read_parquet(tmp_path / "out/opinion_free.parquet")
    for name in ("members", "mixed"):
        assert name not in set(rows["method"])
        assert set(free.loc[free["method"] == name, "test"]) == {"d_test", "l_test", "c_test", "severity_median"}
    # Nothing else changes.
    before = table(world, "correlations")
    pd.testing.assert_frame_equal(rows[~rows["method"].isin(averages)].reset_index(drop=True), before)


def test_gmad_pairs_are_test_images_of_the_degraded_sets(world):
    found = table(world, "gmad")
    assert set(found["defender"]) == {"disentangle-norm · all_domains/full", "mdsi"}
    manifest = pd.concat([pd.read_parquet(path) for path in world.manifests])
    test = set(manifest.loc[manifest["partition"] == "test", "image"])
    assert set(found["image_a"]) | set(found["image_b"]) <= test


def test_labelled_sets_have_tables_of_their_own(world, tmp_path):
    folder = labelled(tmp_path / "raw", name="tid2013_partial", layout="tid2013", references=6, first=20)
    scores = pd.concat([method(folder, name, noise) for name, noise in (("psnr", 2.0), ("gmsd", 1.0), ("vsi", 0.5))])
    write_scores(tmp_path / "labelled.parquet", scores)
    (tmp_path / "published.yaml").write_text(
        "sources: {a: A}\ndatabases: {tid2013: {title: T, datasets: [tid2013_partial], images: 3000, values: "
        "[{method: psnr, srcc: 0.6, source: a, seen: source}]}}\n"
    )
    params = PARAMS.model_copy(update={"rank_averages": {"gmsd_psnr": ["gmsd", "psnr"]}})
    out = tmp_path / "out"
    run(world.scores, world.manifests, world.members, out, tmp_path / "m.json", params, [folder],
        [tmp_path / "labelled.parquet"], tmp_path / "published.yaml")  # fmt: skip
    assert {path.name for path in out.iterdir()} == set(OUTPUTS)
    tables = {name: pd.read_parquet(out / f"{name}.parquet") for name in TABLES}
    everyone = {"psnr", "gmsd", "vsi", "gmsd_psnr"}
    for name in ("opinions", "roc", "splits", "split_values"):
        assert set(tables[name]["method"]) == everyone, name
    for name in ("comparisons", "roc_comparisons"):
        assert set(tables[name]["method_a"]) | set(tables[name]["method_b"]) == everyone, name
    assert set(tables["opinions"]["subset"]) == {"all", "without_i25"}
    assert tables["literature"]["reason"].str.startswith("partial copy: 36 of 3000 images; ").all()
    kinds = {item["kind"] for item in json.loads((out / "run.json").read_text())["inputs"]}
    assert {"labelled scores", "published correlations"} <= kinds
    missing = PARAMS.model_copy(update={"rank_averages": {"x": ["gmsd", "simm"]}})
    with pytest.raises(ConfigError, match=r"^evaluate\.rank_averages\.x: metric 'simm' is not scored on"):
        run(world.scores, world.manifests, world.members, out, tmp_path / "m.json", missing, [folder],
            [tmp_path / "labelled.parquet"])  # fmt: skip
