"""The table and figure of ablations."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_1samp

from causaliqa.disentangle.proofs import MASK_COLUMNS, NUMBER_COLUMNS, PROBE_COLUMNS
from causaliqa.errors import DataError
from causaliqa.figures.ablations import ablation_dots
from causaliqa.io import write_json
from causaliqa.report import ablations

#: SRCC of seeds 0, 1, 2.
VALUES = {"full": (0.90, 0.92, 0.94), "no_mask": (0.80, 0.83, 0.82), "no_order": (0.91, 0.91, 0.95)}


def opinions() -> pd.DataFrame:
    rows = [
        {
            "dataset": dataset, "subset": subset, "human": human, "method": method, "distortion": kind, "test": test,
            "model": f"natural/{variant}", "seed": seed, "value": value + shift, "n_images": 10,
        }
        for variant, values in VALUES.items()
        for seed, value in enumerate(values)
        for dataset, subset, human, method, kind, test, shift in (
            ("tid", "real_exact", True, "disentangle-norm", "", "srcc", 0.0),
            # None of these may reach the table.
            ("tid", "all", True, "disentangle-norm", "", "srcc", -0.5),
            ("tid", "real_exact", True, "disentangle-pc1", "", "srcc", -0.5),
            ("tid", "real_exact", True, "disentangle-norm", "blur", "srcc", -0.5),
            ("neutron", "all", False, "disentangle-norm", "", "srcc", -0.5),
            ("live", "all", True, "disentangle-norm", "", "srcc", 0.05),
        )
    ]  # fmt: skip
    return pd.DataFrame(rows)


def model(root: Path, variant: str, seed: int, restored: float, choices: dict[str, object]) -> Path:
    folder = root / "natural" / variant / str(seed)
    folder.mkdir(parents=True)
    numbers = pd.DataFrame(
        [
            ("d", "r", "blur", 3, name, "band", value, 1.0)
            for name, value in (("restore", restored), ("restore", 0.5), ("transfer", 0.5))
        ],
        columns=NUMBER_COLUMNS,
    )
    numbers.to_csv(folder / "numbers.csv", index=False)
    mask = pd.DataFrame(0.0, index=range(2), columns=MASK_COLUMNS).assign(scale=[-1, 0], channel=[-1, 0])
    mask.assign(contrast_srcc=[-0.5, 0.9]).to_csv(folder / "mask.csv", index=False)
    probes = pd.DataFrame(0.0, index=range(2), columns=PROBE_COLUMNS)
    probes.assign(target="identity", source=["pair", "content"], value=[0.2, 1.0]).to_csv(
        folder / "probes.csv", index=False
    )
    write_json(folder / "model.json", {"choices": choices})
    return folder


def test_agreement_is_told_over_seeds_and_paired_with_the_whole_model() -> None:
    table = ablations.agreement(opinions()).set_index(["dataset", "variant"])
    assert sorted(table.index) == [(d, v) for d in ("live", "tid") for v in ("full", "no_mask", "no_order")]
    row = table.loc[("tid", "no_mask")]
    assert row["mean"] == pytest.approx(np.mean(VALUES["no_mask"]))
    assert row["sd"] == pytest.approx(np.std(VALUES["no_mask"], ddof=1))
    assert (row["least"], row["largest"], row["seeds"]) == (0.80, 0.83, 3)
    difference = np.subtract(VALUES["no_mask"], VALUES["full"])
    assert row["delta"] == pytest.approx(difference.mean())
    interval = ttest_1samp(difference, 0).confidence_interval(0.95)
    assert (row["low"], row["high"]) == pytest.approx((interval.low, interval.high))
    assert np.isnan(table.loc[("tid", "full"), "delta"])
    assert table.loc[("live", "full"), "mean"] == pytest.approx(0.97)


def test_one_seed_has_no_interval() -> None:
    table = opinions()
    found = ablations.agreement(table[table["seed"] == 0]).set_index(["dataset", "variant"])
    assert np.isnan(found.loc[("tid", "no_mask"), "low"])
    assert np.isnan(found.loc[("tid", "no_mask"), "sd"])
    assert found.loc[("tid", "no_mask"), "delta"] == pytest.approx(-0.1)


def test_a_reader_sees_the_whole_first_then_what_matters_least_and_stars_only_sure_differences(tmp_path: Path) -> None:
    whole = {"mask": "content", "loss": {"severity": 0.5}, "without_types": []}
    changed = {"full": whole, "no_mask": whole | {"mask": "none"}, "no_order": whole | {"loss": {"severity": 0.0}}}
    folders = [
        model(tmp_path, variant, seed, 0.9 if seed else 1.1, changed[variant])
        for variant in VALUES
        for seed in range(3)
    ]
    told = ablations.proofs(folders)
    assert told["restored"].tolist() == [0.5, 1.0, 1.0] * 3
    assert (told["masking"] == -0.5).all()
    assert (told["identity"] == 0.2).all()
    text = ablations.changes([folder / "model.json" for folder in folders])
    assert text == {"full": "–", "no_mask": "mask: none", "no_order": "loss.severity: 0.0"}
    shown = ablations.wide(ablations.agreement(opinions()), told, text)
    assert shown["variant"].tolist() == ["natural/full", "natural/no_order", "natural/no_mask"]
    assert shown["tid (n=10)"].tolist() == ["0.920 ± 0.020", "0.923 ± 0.023 (+0.003)", "0.817 ± 0.015 (-0.103*)"]
    assert shown["seeds"].tolist() == [3, 3, 3]


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    folder = model(tmp_path, "full", 0, 0.9, {})
    (folder / "mask.csv").unlink()
    with pytest.raises(DataError, match=r"mask\.csv: cannot be read .*; run stage embed again"):
        ablations.proofs([folder])


def test_without_labelled_sets_the_proofs_stand_alone(tmp_path: Path) -> None:
    folder = model(tmp_path, "full", 0, 0.9, {"mask": "content"})
    empty = opinions().iloc[:0]
    table = ablations.agreement(empty)
    assert list(table.columns) == ablations.COLUMNS
    shown = ablations.wide(table, ablations.proofs([folder]), {"full": "–"})
    assert shown["variant"].tolist() == ["natural/full"]
    figure = ablation_dots(ablations.single(empty))
    assert [text.get_text() for text in figure.texts] == ["no variant was judged by people's scores"]


def test_the_figure_has_a_dot_a_seed_and_the_whole_on_top() -> None:
    figure = ablation_dots(ablations.single(opinions()).drop(columns="scenario"))
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["live", "tid"]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["full", "no_order", "no_mask"]
    dots = [line for line in figure.axes[1].lines if line.get_marker() == "o"]
    assert sorted(tuple(line.get_xdata()) for line in dots) == sorted(VALUES.values())
