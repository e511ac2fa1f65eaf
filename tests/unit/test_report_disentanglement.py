import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from evaluation_data import make_world

from causaliqa.disentangle.proofs import MASK_COLUMNS
from causaliqa.errors import DataError
from causaliqa.figures import disentanglement as draw
from causaliqa.figures.style import render
from causaliqa.io import write_csv, write_json
from causaliqa.report import disentanglement as proof


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    return make_world(tmp_path).interventions


def test_a_perfect_model_is_said_to_be_one(folders: list[Path]) -> None:
    table, shares = proof.probes(folders), proof.variance(folders)
    note = proof.probe_note(table, shares)
    assert note.count("12 of 12 probes come out as disentanglement asks.") == 2
    assert "20% is the content's, 70% the recipe's, 10%" in note
    wide = proof.probe_wide(table)
    assert (wide["should"] == wide["does"]).all()
    assert len(wide) == 24


def test_a_leak_is_named_with_its_numbers(folders: list[Path]) -> None:
    path = folders[0] / "probes.csv"
    table = pd.read_csv(path)
    leak = (table["target"] == "identity") & (table["source"] == "pair")
    table.loc[leak, ["value", "low", "high"]] = [0.75, 0.7, 0.8]
    write_csv(path, table)
    note = proof.probe_note(proof.probes(folders), proof.variance(folders))
    assert "11 of 12 probes" in note
    assert "identity can be read from D̃(y) − D̃(x), scored (.75, chance .20, untrained .50)" in note


def test_a_trace_within_its_interval_of_chance_is_not_found(folders: list[Path]) -> None:
    path = folders[0] / "probes.csv"
    table = pd.read_csv(path)
    table.loc[table["target"] == "identity", ["value", "low", "permuted_high"]] = [0.3, 0.15, 0.25]
    write_csv(path, table)
    identity = proof.probes(folders[:1]).query("target == 'identity'")
    assert not identity["found"].any()
    # Two references give no interval: then the permuted labels decide.
    write_csv(path, table.assign(low=np.nan, high=np.nan))
    assert proof.probes(folders[:1]).query("target == 'identity'")["found"].all()


def masks(**values: float) -> pd.DataFrame:
    row = {"mean": 1.0, "std_space": 0.1, "std_images": 0.1, "contrast_srcc": -0.5, "flat": 1.1, "edge": 1.0,
           "texture": 0.9} | values  # fmt: skip
    rows = [
        {"model": "s/full", "dataset": "d", "reference": f"r{k}", "scale": scale, "channel": scale, **row}
        for k in range(4) for scale in (-1, 0)
    ]  # fmt: skip
    return pd.DataFrame(rows)[["model", *MASK_COLUMNS]]


@pytest.mark.parametrize(
    ("values", "kind", "said"),
    [
        ({}, "image", "lower where the image is busy, as visual masking asks"),
        ({"contrast_srcc": 0.4}, "image", "higher where the image is busy, against visual masking"),
        (
            {"std_space": 0.0, "std_images": 0.0, "contrast_srcc": np.nan},
            "constant",
            "1.00 everywhere: it masks nothing",
        ),
        ({"std_images": 0.0, "contrast_srcc": 0.0}, "fixed", "one map whatever the image"),
    ],
)
def test_the_kind_of_mask_is_told(values: dict[str, float], kind: str, said: str) -> None:
    summary = proof.mask_summary(masks(**values))
    assert summary["kind"].tolist() == [kind, kind]
    assert said in proof.mask_note(summary)
    assert len(proof.mask_wide(summary)) == 2


def test_an_unclear_correlation_is_called_so() -> None:
    table = masks()
    table["contrast_srcc"] = [-0.5, -0.5, 0.5, 0.5, -0.4, -0.4, 0.4, 0.4]
    assert "not clearly related" in proof.mask_note(proof.mask_summary(table))


def test_types_are_summed_up_with_monotone_shares(folders: list[Path]) -> None:
    path = folders[0] / "numbers.csv"
    numbers = pd.read_csv(path)
    pairs = numbers[numbers["intervention"] == "restore"]
    scaling = pairs.assign(intervention="scaling", measure="SRCC", value=[1.0, 0.8, 1.0, 1.0], baseline=1.0)
    write_csv(path, pd.concat([numbers, scaling]))
    table = proof.by_type(folders[:1]).set_index("distortion")
    assert table.index[-1] == "all types"
    assert table.loc["all types", "monotone"] == 0.75
    assert table.loc["jpeg", "monotone"] == 0
    assert table.loc["all types", "pairs"] == 4
    assert table.loc["gaussian_blur", ["band_restore", "band_own"]].tolist() == pytest.approx([0.1, 0.15])
    assert table.loc["jpeg", ["psnr_transfer", "psnr_content"]].tolist() == pytest.approx([24.5, 24.49])
    wide = proof.by_type_wide(proof.by_type(folders[:1]))
    assert wide["do(D := 0): band distance"].iloc[0] == "0.100 / 0.150"
    assert wide["monotone"].tolist()[-1] == "75%"


@pytest.mark.parametrize(
    ("name", "load"),
    [
        ("probes.csv", proof.probes), ("variance.csv", proof.variance), ("mask.csv", proof.masks),
        ("reconstruction.csv", proof.by_type),
    ],
)  # fmt: skip
def test_a_missing_or_foreign_table_is_named(folders: list[Path], name: str, load) -> None:
    path = folders[0] / name
    path.write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match=rf"{re.escape(name)}: lacks .*; run stage embed again"):
        load(folders)
    path.unlink()
    with pytest.raises(DataError, match=rf"{re.escape(name)}: cannot be read .*; run stage embed again"):
        load(folders)


def test_pictures_that_disagree_are_named(folders: list[Path]) -> None:
    pictures, labels = proof.mask_pictures(folders[0])
    assert len(pictures["mask"]) == len(labels) == 2
    write_json(folders[0] / "mask.json", {"labels": ["one"]})
    with pytest.raises(DataError, match="1 labels of another number of masks; run stage embed again"):
        proof.mask_pictures(folders[0])


def test_seeds_are_kept_apart(folders: list[Path]) -> None:
    other = folders[0].parent / "1"
    folders[0].rename(other)
    assert set(proof.probes([other, folders[1]])["model"]) == {
        "/".join(folder.parts[-3:-1]) + f" · seed {folder.name}" for folder in (other, folders[1])
    }


def test_bars_show_values_chance_and_controls(folders: list[Path]) -> None:
    table = proof.probes(folders)
    figure = draw.probe_bars(table)
    assert [axes.get_title() for axes in figure.axes] == [
        "identity of the reference", "type of distortion", "level of severity",
    ]  # fmt: skip
    for axes in figure.axes:
        assert len(axes.patches) == 8  # two models, four codes
        assert {round(patch.get_width(), 3) for patch in axes.patches} == {0.2, 0.8}
        assert sum(list(line.get_xdata()) == [0.2, 0.2] and line.get_linestyle() == ":" for line in axes.lines) == 8
        assert sum(line.get_marker() == "D" for line in axes.lines) == 8
    assert render(figure, "png", 72).startswith(b"\x89PNG")


def test_stacked_shares_fill_the_bar(folders: list[Path]) -> None:
    figure = draw.variance_bars(proof.variance(folders))
    for axes in figure.axes:
        ends = [round(patch.get_x() + patch.get_width(), 6) for patch in axes.patches]
        assert ends.count(1.0) == 4
    assert render(figure, "png", 72).startswith(b"\x89PNG")


def test_mask_figures_show_every_image_and_class(folders: list[Path]) -> None:
    table = proof.masks(folders)
    figure = draw.mask_by_class(table, proof.mask_summary(table))
    left, right = figure.axes
    assert [label.get_text() for label in left.get_xticklabels()] == ["flat", "edge", "texture"]
    # Of each model, three images and their mean.
    assert sum(list(line.get_ydata()) == pytest.approx([1.2, 1.0, 0.8]) for line in left.lines) == 8
    assert [label.get_text() for label in right.get_xticklabels()] == ["scale 0", "scale 1", "mean map"]
    assert render(figure, "png", 72).startswith(b"\x89PNG")
    maps = draw.mask_maps(*proof.mask_pictures(folders[0]))
    assert len(maps.axes) == 8
    assert render(maps, "png", 72).startswith(b"\x89PNG")


def test_a_constant_mask_is_drawn_without_a_correlation() -> None:
    table = masks(std_space=0.0, std_images=0.0, contrast_srcc=np.nan, flat=1.0, edge=1.0, texture=1.0)
    _, right = draw.mask_by_class(table, proof.mask_summary(table)).axes
    assert not [line for line in right.lines if line.get_marker() == "o"]


@pytest.mark.parametrize(
    "figure",
    [
        lambda: draw.probe_bars(proof.probes([])),
        lambda: draw.variance_bars(proof.variance([])),
        lambda: draw.mask_maps({}, []),
        lambda: draw.mask_by_class(proof.masks([]), proof.mask_summary(proof.masks([]))),
    ],
)
def test_nothing_to_draw_says_so(figure) -> None:
    found = figure()
    assert re.match("no ", found.texts[0].get_text())
    assert render(found, "png", 72).startswith(b"\x89PNG")


def test_no_probes_are_no_finding() -> None:
    assert proof.probe_note(proof.probes([]), proof.variance([])).startswith("Too few test references")
