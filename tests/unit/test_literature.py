from pathlib import Path

import pandas as pd
import pytest
import yaml

from causaliqa.baselines.registry import METRICS
from causaliqa.errors import ConfigError
from causaliqa.evaluate.literature import LITERATURE_COLUMNS, published_beside, read_literature
from causaliqa.evaluate.opinion import OPINION_COLUMNS

COMMITTED = Path(__file__).parents[2] / "data/published.yaml"
ENTRY = {
    "sources": {"a": "A paper, 2010", "b": "B paper, 2020"},
    "databases": {
        "toy": {
            "title": "Toy", "datasets": ["toy", "toy_partial"], "images": 100,
            "values": [
                {"method": "psnr", "srcc": 0.6, "krcc": 0.5, "source": "a", "seen": "source"},
                {"method": "psnr", "srcc": 0.9, "source": "b", "seen": "secondary", "variant": "luma"},
                {"method": "unseen", "srcc": 0.9, "source": "b", "seen": "secondary"},
            ],
        }
    },
}  # fmt: skip


def write(path, **changes):
    path.write_text(yaml.safe_dump(ENTRY | changes))
    return path


def opinions(*rows):
    base = dict.fromkeys(OPINION_COLUMNS, "") | {
        "dataset": "toy", "subset": "all", "distortion": "", "method": "psnr", "setting": "baseline", "test": "srcc",
        "value": 0.62, "low": 0.55, "high": 0.7, "n_images": 100,
    }  # fmt: skip
    return pd.DataFrame([base | row for row in rows], columns=OPINION_COLUMNS)


def test_published_values_stand_beside_ours(tmp_path):
    path = write(tmp_path / "p.yaml")
    found = published_beside(opinions({}, {"test": "krcc", "value": 0.4, "low": float("nan")}, {"test": "plcc"}), path)
    assert list(found.columns) == LITERATURE_COLUMNS
    assert found[["test", "published", "ours"]].to_numpy().tolist() == [
        ["krcc", 0.5, 0.4],
        ["srcc", 0.6, 0.62],
        ["srcc", 0.9, 0.62],
    ]
    assert found["reason"].tolist() == [
        "no interval",
        "inside the interval",
        "other variant: luma; outside the interval",
    ]
    assert found["comparable"].tolist() == [True, True, False]
    assert found["inside"].isna().tolist() == [True, False, False]
    assert found["inside"].tolist()[1:] == [True, False]
    assert found["source"].tolist() == ["A paper, 2010", "A paper, 2010", "B paper, 2020"]


def test_partial_copies_and_regenerated_stimuli_are_no_comparison(tmp_path):
    path = write(tmp_path / "p.yaml")
    part = {"dataset": "toy_partial", "n_images": 40}
    table = opinions(part, {**part, "subset": "real_exact", "n_images": 20}, {**part, "subset": "near_resynth"})
    found = published_beside(table, path)
    found = found[found["published"] == 0.6]
    assert found["reason"].tolist() == [
        "partial copy: 40 of 100 images; regenerated stimuli among them; inside the interval",
        "partial copy: 20 of 100 images; inside the interval",
    ]
    assert not found["comparable"].any()
    more = published_beside(opinions({"n_images": 120}), path)
    assert more["reason"].iloc[0] == "other images: 120 here, 100 there; inside the interval"


def test_only_whole_sets_of_metrics_that_are_run_here(tmp_path):
    path = write(tmp_path / "p.yaml")
    others = opinions({"distortion": "jpeg"}, {"dataset": "live"}, {"setting": "published"}, {"method": "ssim"})
    found = published_beside(others, path)
    assert found.empty
    assert list(found.columns) == LITERATURE_COLUMNS


def toy(**changes):
    return {"databases": {"toy": ENTRY["databases"]["toy"] | changes}}


VALUE = {"method": "m", "source": "a", "seen": "source"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sources": {"a": "A"}}, r"p\.yaml: the file: databases\.toy: psnr: source 'b' is not under sources; correct"),
        (toy(images=0), r"databases\.toy\.images: Input should be greater"),
        (toy(values=[VALUE]), r"databases\.toy\.values\.0: m: holds none of srcc, krcc, plcc; correct it there"),
        (
            toy(values=[VALUE | {"srcc": 60}]),
            r"databases\.toy\.values\.0\.srcc: Input should be less than or equal to 1",
        ),
        ({"more": 1}, "more: Extra inputs"),
    ],
)
def test_a_damaged_file_is_named_with_its_key(tmp_path, change, message):
    with pytest.raises(ConfigError, match=message):
        read_literature(write(tmp_path / "p.yaml", **change))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.yaml: no such file"):
        read_literature(tmp_path / "none.yaml")


def test_the_committed_file_is_sound():
    literature = read_literature(COMMITTED)
    used = {value.source for database in literature.databases.values() for value in database.values}
    assert used == set(literature.sources), "no source is left over"
    for name, database in literature.databases.items():
        methods = [(value.method, value.source) for value in database.values]
        assert len(set(methods)) == len(methods), name
        for value in database.values:
            assert value.method in METRICS or value.method in ("dists", "mad"), "names are those of params.yaml"
            if value.srcc is not None and value.krcc is not None:
                assert value.krcc < value.srcc, "Kendall's tau is the smaller one at these values"
    tid2013 = {value.method: value.srcc for value in literature.databases["tid2013"].values}
    assert (tid2013["vsi"], tid2013["ssim"], tid2013["ssim_downsampled"]) == (0.8965, 0.637, 0.742)
