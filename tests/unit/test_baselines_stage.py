"""Stage baselines: score tables of a degraded set and the pseudo-MOS."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from causaliqa.baselines.registry import METRICS
from causaliqa.baselines.stage import PSNR_CAP_DB, consensus, run, score_set
from causaliqa.cli import main
from causaliqa.config import Baselines
from causaliqa.datasets.shards import MANIFEST_COLUMNS, DegradedSet, shard_path, write_shard
from causaliqa.errors import ConfigError, DataError
from causaliqa.io import write_parquet
from causaliqa.tables import SCORE_COLUMNS, read_scores, score_table

PARAMS = Baselines(metrics=["psnr", "gmsd"], consensus=["mdsi", "haarpsi", "gmsd"])


def make_set(folder: Path, references: int = 2, size: int = 48) -> Path:
    """Write noise of three levels, a chain and an exact copy of random pictures."""
    rows = []
    for index in range(references):
        rng = np.random.default_rng(index)
        name = f"picture{index}"
        pristine = np.kron(rng.integers(0, 256, (size // 8, size // 8, 3)), np.ones((8, 8, 1))).astype(np.uint8)
        stimuli, about = {f"{name}/reference/0": pristine}, [("reference", 0)]
        for level in (1, 2, 3):
            noise = rng.normal(0, 6 * level, pristine.shape)
            stimuli[f"{name}/noise/{level}"] = np.clip(pristine + noise, 0, 255).astype(np.uint8)
            about.append(("noise", level))
        stimuli[f"{name}/noise@1+copy@1/0"] = 255 - pristine
        stimuli[f"{name}/imperceptible/1"] = pristine
        about += [("noise@1+copy@1", 0), ("imperceptible", 0)]
        digests = write_shard(folder, name, stimuli)
        for (image, sha256), (distortion, level) in zip(digests.items(), about, strict=True):
            rows.append(("toy", "natural", image, name, distortion, level, "", "test", False, 8, sha256))
    write_parquet(folder / "manifest.parquet", pd.DataFrame(rows, columns=MANIFEST_COLUMNS))
    return folder


@pytest.fixture(scope="module")
def degraded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_set(tmp_path_factory.mktemp("data") / "toy")


def test_scores_are_those_of_the_metrics(degraded: Path) -> None:
    table = score_set(degraded, ["psnr", "mdsi", "haarpsi"], jobs=1)
    assert list(table.columns) == SCORE_COLUMNS
    assert len(table) == 3 * 2 * 5
    assert not (table["distortion"] == "reference").any()
    assert set(table["setting"]) == {"baseline"}
    stored = DegradedSet(degraded)
    for row in table.itertuples():
        pristine = stored.stimulus(f"{row.reference}/reference/0")
        expected = METRICS[str(row.method)].function(pristine, stored.stimulus(str(row.image)))
        assert row.score == min(expected, PSNR_CAP_DB)
        assert row.higher_is_better == METRICS[str(row.method)].higher_is_better


def test_infinite_psnr_is_capped_in_the_table_only(degraded: Path) -> None:
    table = score_set(degraded, ["psnr"], jobs=1)
    copies = table[table["distortion"] == "imperceptible"]
    assert (copies["score"] == 100).all()
    assert (table.loc[table["distortion"] != "imperceptible", "score"] < 60).all()


def test_run_writes_the_same_bytes_whatever_the_number_of_processes(degraded: Path, tmp_path: Path) -> None:
    line = run(degraded, tmp_path / "one", PARAMS, jobs=1)
    assert "toy: 10 images" in line
    run(degraded, tmp_path / "two", PARAMS, jobs=2)
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert names == ["consensus.parquet", "members.parquet", "scores.parquet"]
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    scores, members = read_scores(tmp_path / "one/scores.parquet"), read_scores(tmp_path / "one/members.parquet")
    assert set(scores["method"]) == {"psnr", "gmsd"}
    assert set(members["method"]) == {"mdsi", "haarpsi", "gmsd"}
    pseudo = read_scores(tmp_path / "one/consensus.parquet")
    assert set(pseudo["method"]) == {"consensus"}
    assert set(pseudo["setting"]) == {"pseudo_mos"}
    assert pseudo["higher_is_better"].all()
    noise = pseudo[pseudo["distortion"] == "noise"].groupby("level")["score"].mean()
    assert noise.is_monotonic_decreasing
    assert (pseudo.loc[pseudo["distortion"] == "imperceptible", "score"] > noise.max()).all()


def members_of(columns: dict[str, tuple[bool, list[float]]], dataset: str = "toy") -> pd.DataFrame:
    count = len(next(iter(columns.values()))[1])
    images = pd.DataFrame(
        {
            "dataset": dataset,
            "image": [f"a/noise/{level}" for level in range(1, count + 1)],
            "reference": "a",
            "distortion": "noise",
            "level": range(1, count + 1),
        }
    )
    return pd.concat(
        [
            score_table(images, np.array(values), method=name, setting="baseline", higher_is_better=higher)
            for name, (higher, values) in columns.items()
        ],
        ignore_index=True,
    )


def test_consensus_by_hand() -> None:
    members = members_of({"good": (True, [0.9, 0.5, 0.1]), "bad": (False, [0.2, 0.2, 7.0])})
    pseudo = consensus(members)
    # good ranks 3, 2, 1; bad, where less is better, 2.5, 2.5, 1; normalised by (rank - 1) / 2.
    np.testing.assert_allclose(pseudo["score"], [(1 + 0.75) / 2, (0.5 + 0.75) / 2, 0])


def test_consensus_depends_on_ranks_only_and_on_its_own_dataset() -> None:
    columns = {"good": (True, [0.9, 0.5, 0.1, 0.3]), "bad": (False, [0.2, 0.4, 7.0, 1.0])}
    stretched = {"good": (True, [81.0, 25.0, 1.0, 9.0]), "bad": (False, [-3.0, 0.4, 8.0, 7.9])}
    alone = consensus(members_of(columns))
    np.testing.assert_allclose(consensus(members_of(stretched))["score"], alone["score"])
    other = members_of({"good": (True, [99.0, 98.0]), "bad": (False, [-9.0, -8.0])}, "other")
    both = consensus(pd.concat([other, members_of(columns)], ignore_index=True))
    np.testing.assert_allclose(both.loc[both["dataset"] == "toy", "score"], alone["score"])


def test_consensus_ignores_the_order_of_rows() -> None:
    members = members_of({"good": (True, [0.9, 0.5, 0.1, 0.3]), "bad": (False, [0.2, 0.4, 7.0, 1.0])})
    shuffled = consensus(members.sample(frac=1, random_state=4))
    ordered = consensus(members).set_index("image")["score"]
    np.testing.assert_allclose(ordered.loc[shuffled["image"]].to_numpy(), shuffled["score"])


def test_consensus_of_one_image_is_defined() -> None:
    assert np.isfinite(consensus(members_of({"good": (True, [0.9]), "bad": (False, [0.2])}))["score"]).all()


def test_consensus_needs_complete_members() -> None:
    members = members_of({"good": (True, [0.9, 0.5]), "bad": (False, [0.2, 0.4])})
    with pytest.raises(DataError, match="'a/noise/2' of toy is not scored exactly once"):
        consensus(members.iloc[:-1])
    with pytest.raises(DataError, match="exactly once"):
        consensus(pd.concat([members, members.iloc[:1]]))
    with pytest.raises(DataError, match="at least two metrics"):
        consensus(members[members["method"] == "good"])


def test_unknown_metric_is_named_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'gmsdd'; did you mean 'gmsd'"):
        score_set(tmp_path / "not there", ["psnr", "gmsdd"], jobs=1)


def test_too_small_image_is_named_and_nothing_is_written(degraded: Path, tmp_path: Path) -> None:
    params = Baselines(metrics=["ms_ssim"], consensus=["mdsi", "vsi"])
    with pytest.raises(DataError, match=r"'picture0/noise/1': MS-SSIM is defined from 161x161"):
        run(degraded, tmp_path / "out", params, jobs=1)
    assert list(tmp_path.iterdir()) == []


def test_damaged_shard_is_named(tmp_path: Path) -> None:
    folder = make_set(tmp_path / "toy", references=1)
    shard = shard_path(folder, "picture0")
    shard.write_bytes(shard.read_bytes()[:-40])
    with pytest.raises(DataError, match=r"picture0\.parquet: truncated"):
        score_set(folder, ["psnr"], jobs=1)


def test_errors_of_processes_reach_the_caller(degraded: Path) -> None:
    with pytest.raises(DataError, match="MS-SSIM is defined from"):
        score_set(degraded, ["ms_ssim"], jobs=2)


def test_verb(degraded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    params = json.dumps({"metrics": ["psnr"], "consensus": ["mdsi", "haarpsi"]})
    with pytest.raises(SystemExit) as exit_info:
        main(["baselines", str(degraded), "--out", str(tmp_path / "out"), "--params", params])
    assert exit_info.value.code == 0
    assert "10 images by psnr" in capsys.readouterr().err
    assert len(read_scores(tmp_path / "out/scores.parquet")) == 10


def test_verb_reports_a_bad_metric_on_one_line(
    degraded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_info:
        main(["baselines", str(degraded), "--out", str(tmp_path / "out"), "--params", '{"metrics": ["ssym"]}'])
    assert exit_info.value.code == 1
    assert "no metric is named 'ssym'; did you mean 'ssim'?" in capsys.readouterr().err
