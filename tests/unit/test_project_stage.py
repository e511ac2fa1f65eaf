"""Stage project: linear projections, anchored ones, and manifolds on labelled sets."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from causaliqa.config import Embed, Project
from causaliqa.disentangle.features import IDENTITY, feature_names
from causaliqa.errors import DataError
from causaliqa.io import read_tensors, write_json, write_parquet, write_tensors
from causaliqa.labelfree.stage import run
from causaliqa.tables import read_scores, score_table, write_scores

NAMES = feature_names(1, 2)


def table(dataset: str, references: int, partition: str, seed: int) -> pd.DataFrame:
    """Features that grow with the level; the second channel hears compositions as well."""
    rng = np.random.default_rng(seed)
    rows = []
    for reference in range(references):
        own = f"r{reference}"
        rows.append((f"{own}/reference/0", own, "reference", 0, "", np.zeros(len(NAMES))))
        for kind in ("blur", "noise"):
            for level in (1, 2, 3):
                values = level * rng.uniform(0.8, 1.2, len(NAMES))
                rows.append((f"{own}/{kind}/{level}", own, kind, level, "", values))
        chain = 4 * rng.uniform(0.8, 1.2, len(NAMES))
        rows.append((f"{own}/blur@1+noise@3/0", own, "blur+noise", 0, f"{own}/blur/1", chain))
    found = pd.DataFrame(
        [row[:5] for row in rows], columns=["image", "reference", "distortion", "level", "parent"]
    ).assign(dataset=dataset, domain="natural", partition=partition)
    return pd.concat([found[IDENTITY], pd.DataFrame([row[5] for row in rows], columns=NAMES)], axis=1)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    write_json(folder / "model.json", {"scenario": "s", "variant": "full", "seed": 3, "datasets": ["own"]})
    write_tensors(folder / "model.safetensors", {})
    write_parquet(tmp_path / "own.parquet", table("own", 10, "train", 0))
    write_parquet(tmp_path / "people.parquet", table("people", 4, "test", 1))
    images = table("own", 10, "train", 0)
    images = images[images["distortion"] != "reference"]
    opinion = -images[NAMES].to_numpy().sum(axis=1)
    scores = score_table(images, opinion, method="consensus", setting="pseudo_mos", higher_is_better=True)
    write_scores(tmp_path / "consensus.parquet", scores)
    return folder


def project(model: Path, consensus: bool = True, **params: object) -> pd.DataFrame:
    root = model.parent
    run(
        model,
        [root / "own.parquet", root / "people.parquet"],
        root / "out",
        Project.model_validate(params),
        Embed(),
        [root / "consensus.parquet"] if consensus else [],
    )
    return read_scores(root / "out" / "scores.parquet")


def test_every_projection_is_written_and_only_linear_ones_are_packed(model: Path) -> None:
    scores = project(
        model,
        methods=["norm", "severity", "consensus"],
        inductive=["isomap"],
        transductive=["isomap", "tsne"],
        manifold_seeds=2,
        manifold_points=50,
    )
    count = scores.groupby(["method", "setting", "dataset"]).size().to_dict()
    linear = {
        (f"disentangle-{name}", "label_free", dataset): count
        for name in ("norm", "severity", "consensus")
        for dataset, count in (("own", 70), ("people", 28))
    }
    assert count == linear | {
        ("disentangle-isomap-0", "manifold", "people"): 28,
        ("disentangle-isomap-1", "manifold", "people"): 28,
        ("disentangle-transductive-isomap", "manifold", "people"): 28,
        ("disentangle-transductive-tsne-0", "manifold", "people"): 28,
        ("disentangle-transductive-tsne-1", "manifold", "people"): 28,
    }
    assert (scores["seed"] == 3).all()
    levels = scores[(scores["level"] > 0) & (scores["setting"] == "label_free")]
    for name, rows in levels.groupby("method"):
        assert rows["score"].corr(rows["level"], method="spearman") > 0.8, name
    packed = read_tensors(model.parent / "out" / "metric.safetensors")
    assert sorted(packed) == [
        f"{kind}.{name}" for kind in ("groups", "projection") for name in ("consensus", "norm", "severity")
    ]


def test_an_inductive_score_does_not_depend_on_what_else_is_scored(model: Path) -> None:
    chosen = {"methods": ["severity"], "inductive": ["isomap"], "transductive": ["isomap"], "manifold_points": 50}
    before = project(model, **chosen)
    people, others = table("people", 4, "test", 1), table("people", 4, "test", 5)
    kept = people["reference"] == "r0"
    write_parquet(model.parent / "people.parquet", pd.concat([people[kept], others[~kept]]))
    after = project(model, **chosen)
    key = ["method", "dataset", "image"]
    same = [
        rows[(rows["dataset"] == "own") | rows["image"].str.startswith("r0/")].set_index(key)["score"]
        for rows in (before, after)
    ]
    inductive = [rows[~rows.index.get_level_values("method").str.contains("transductive")] for rows in same]
    assert {"disentangle-severity", "disentangle-isomap-0"} <= set(inductive[0].index.get_level_values("method"))
    pd.testing.assert_series_equal(*inductive)
    with pytest.raises(AssertionError):  # a transductive one does, which is why it stands apart
        pd.testing.assert_series_equal(*same)


def test_one_seed_where_all_train_pairs_span_the_manifold(model: Path) -> None:
    scores = project(model, methods=["norm"], inductive=["isomap"], manifold_seeds=3, manifold_points=70)
    assert set(scores["method"]) == {"disentangle-norm", "disentangle-isomap"}


def test_a_set_too_small_for_a_line_is_left_out_and_named(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_parquet(model.parent / "people.parquet", table("people", 1, "test", 1))
    scores = project(model, methods=["norm"], transductive=["isomap", "tsne"])
    assert set(scores["method"]) == {"disentangle-norm"}
    assert "people: 7 pairs, no transductive manifold is fitted" in capsys.readouterr().err


@pytest.mark.parametrize("method", ["norm", "severity", "consensus"])
def test_a_collapsed_code_is_named_by_every_projection(model: Path, method: str) -> None:
    silent = table("own", 10, "train", 0)
    silent[NAMES] = 0.0
    write_parquet(model.parent / "own.parquet", silent)
    with pytest.raises(DataError, match="the model's degradation code has collapsed"):
        project(model, methods=[method])


def test_a_missing_consensus_is_named(model: Path) -> None:
    with pytest.raises(DataError, match="projection consensus: no consensus scores of the synthetic pairs are given"):
        project(model, consensus=False, methods=["consensus"])
    known = read_scores(model.parent / "consensus.parquet")
    write_scores(model.parent / "consensus.parquet", known[known["image"] != "r0/blur/2"])
    with pytest.raises(DataError, match="projection consensus: no score for image 'r0/blur/2'"):
        project(model, methods=["consensus"])
