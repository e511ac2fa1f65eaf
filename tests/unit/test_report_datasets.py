"""The page of `causaliqa data verify --page`, and the tables and figures on datasets."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from toy_datasets import BLIND, PRISTINE, blind_folder, entry, fetched, picture, png, scored_folder

from causaliqa.datasets.validate import validate
from causaliqa.evaluate.opinion import OPINION_COLUMNS
from causaliqa.figures.datasets import dataset_sizes, methods_by_datasets, psnr_by_distortion, score_histograms
from causaliqa.figures.style import render
from causaliqa.io import write_json, write_parquet
from causaliqa.report.opinions import (
    by_distortion,
    load_opinions,
    load_validations,
    of_test,
    psnr_table,
    validation_table,
    variants_text,
    warnings_text,
    wide,
)
from causaliqa.report.validation import write_page


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """A scored set with a hostile title, a blind one and a pool; the first has a warning."""
    root = tmp_path_factory.mktemp("results")
    own = scored_folder(root / "own")
    (own / "dist/r0_1.png").unlink()
    (root / "pool").mkdir()
    (root / "pool/a.png").write_bytes(png(picture(0)))
    made = []
    for name, values in (
        ("scored", entry(own, title="<script>alert(1)</script> & more", psnr_srcc={"all": 0.9})),
        ("blind", entry(blind_folder(root / "blind", 6), **BLIND)),
        ("pool", entry(root / "pool", **PRISTINE)),
    ):
        folder, _ = fetched(root, values, out=name, on_missing="skip")
        made.append(validate(folder) | {"dataset": name})
    return made


def test_the_page_is_one_file_that_opens_offline(results: list[dict[str, Any]], tmp_path: Path) -> None:
    write_page(tmp_path / "page.html", results)
    page = (tmp_path / "page.html").read_text()
    assert page.startswith("<!DOCTYPE html>")
    assert not re.search(r"""(?:src|href|action)\s*=\s*["']?\s*(?!data:)\w""", page)
    assert not re.search(r"url\(|@import|https?://", page)
    assert page.count('src="data:image/png;base64,') == 2  # histograms, and PSNR of the one set of pairs
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; more" in page
    assert [page.index(f"<h2>{name}</h2>") for name in ("scored", "blind", "pool")] == sorted(
        page.index(f"<h2>{name}</h2>") for name in ("scored", "blind", "pool")
    )
    assert "listed images that were left out (missing image): 1" in page
    write_page(tmp_path / "again.html", results)
    assert (tmp_path / "again.html").read_bytes() == (tmp_path / "page.html").read_bytes()
    write_page(tmp_path / "pool.html", results[2:])
    assert "<img" not in (tmp_path / "pool.html").read_text()


def test_the_page_for_docs_has_its_figures_beside_it(results: list[dict[str, Any]], tmp_path: Path) -> None:
    write_page(tmp_path / "validation.md", results)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "validation-scored.png", "validation-scores.png", "validation.md",
    ]  # fmt: skip
    text = (tmp_path / "validation.md").read_text()
    assert re.findall(r"\]\((.*?)\)", text) == ["validation-scores.png", "validation-scored.png"]
    assert (tmp_path / "validation-scored.png").read_bytes() == render(psnr_by_distortion(results[0]), "png", 110)
    assert "`causaliqa data verify scored blind pool --page validation.md`" in text
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    assert [row[:5] for row in rows] == [
        ["dataset", "kind", "domain", "references", "scored"],
        ["---"] * 5,
        ["scored", "full reference", "texture", "4", "23"],
        ["blind", "blind", "texture", "0", "6"],
        ["pool", "pristine", "texture", "1", "0"],
    ]
    assert len({len(row) for row in rows}) == 1
    assert [line for line in text.splitlines() if line.startswith("#")] == [
        "# Datasets, verified", "## scored", "## blind", "## pool",
    ]  # fmt: skip


def test_tables_of_validations(results: list[dict[str, Any]], tmp_path: Path) -> None:
    table = validation_table(results).set_index("dataset")
    assert table.loc["scored"].to_dict() == {
        "kind": "full reference", "domain": "texture", "references": 4, "scored": 23, "types": 2,
        "labels": "mos, higher better", "bits": "8 bit colour", "left out": 1, "duplicates": 0, "unlisted": 0,
    }  # fmt: skip
    assert (table.loc["pool", "labels"], table.loc["blind", "types"]) == ("", 1)
    assert (
        warnings_text(results) == "- **scored**: listed images that were left out (missing image): 1; complete the copy"
    )
    assert warnings_text(results[1:]) == "Nothing looked wrong."
    psnr = psnr_table(results)
    assert list(psnr["name"]) == ["all", "blur", "white_noise"]
    assert psnr["published"].iloc[0] == 0.9
    assert psnr["srcc"].iloc[0] == results[0]["psnr"][0]["srcc"]
    assert list(psnr_table(results[1:]).columns) == ["dataset", "group", "name", "n", "srcc", "published"]
    for result in results:
        write_json(tmp_path / f"{result['dataset']}.json", result)
    paths = [tmp_path / f"{name}.json" for name in ("scored", "pool", "blind")]
    assert [result["dataset"] for result in load_validations(paths)] == ["blind", "pool", "scored"]


def titles(figure: Figure) -> list[str]:
    return [axes.get_title(loc="left") for axes in figure.axes]


def shown(figure: Figure) -> str:
    return " ".join(text.get_text() for text in figure.texts)


def test_histograms_show_every_score(results: list[dict[str, Any]]) -> None:
    figure = score_histograms(results)
    assert titles(figure) == ["scored", "blind"]
    for axes, count in zip(figure.axes, (23, 6), strict=True):
        assert sum(bar.get_height() for bar in axes.patches) == count
        assert axes.get_xlabel() == "MOS, higher is better"
    assert render(figure, "png") == render(score_histograms(results), "png")
    assert "no dataset of this run has scores" in shown(score_histograms(results[2:]))


def test_psnr_by_distortion_marks_what_is_published(results: list[dict[str, Any]]) -> None:
    (axes,) = psnr_by_distortion(results[0]).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["white_noise (12)", "blur (11)", "all (23)"]
    points = {(float(x), y) for line in axes.lines for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)}
    values = [row["srcc"] for row in results[0]["psnr"]]
    assert points == {(values[0], 2), (values[1], 1), (values[2], 0), (0.9, 2)}
    assert "blind: no scores of pairs" in shown(psnr_by_distortion(results[1]))


def opinions() -> pd.DataFrame:
    def row(dataset: str, method: str, value: float, **changes: Any) -> dict[str, Any]:
        return {
            "dataset": dataset, "title": dataset.upper(), "domain": "texture", "target": "mos", "human": True,
            "variant": "", "subset": "all", "distortion": "", "method": method, "setting": "baseline", "labels": 0,
            "model": "", "seed": -1, "test": "srcc", "value": value, "low": value - 0.05, "high": value + 0.05,
            "n_images": 24, "n_references": 4, "n_skipped": 0, "n_draws": 100, **changes,
        }  # fmt: skip

    free = {"setting": "label_free", "model": "all/full", "seed": 0}
    none = {"low": np.nan, "high": np.nan, "n_draws": 0}
    rows = [
        row("a", "psnr", 0.7), row("b", "psnr", 0.5, n_skipped=3, variant="five levels"),
        row("a", "gmsd", 0.8), row("b", "gmsd", 0.6, n_skipped=3, variant="five levels"),
        row("a", "disentangle-norm", 0.9, **free), row("a", "consensus", 0.95, setting="pseudo_mos", **none),
        row("a", "psnr", 0.4, distortion="blur", n_images=12), row("a", "gmsd", 0.45, distortion="blur", n_images=12),
        row("a", "psnr", 0.3, subset="real_exact"), row("a", "psnr", 0.2, test="krcc"),
        row("c", "psnr", 1.0, human=False, target="exposure", **none),
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=OPINION_COLUMNS)


@pytest.fixture
def table(tmp_path: Path) -> pd.DataFrame:
    write_parquet(tmp_path / "opinions.parquet", opinions())
    return load_opinions(tmp_path)


def test_methods_are_named_and_ordered_for_readers(table: pd.DataFrame) -> None:
    assert set(table["label"]) == {"PSNR", "GMSD", "norm · all/full", "consensus of MDSI, HaarPSI, VSI"}
    people = of_test(table, "srcc", human=True)
    assert list(zip(people["label"], people["dataset"], strict=True)) == [
        ("norm · all/full", "a"), ("GMSD", "a"), ("GMSD", "b"), ("PSNR", "a"), ("PSNR", "b"),
        ("consensus of MDSI, HaarPSI, VSI", "a"),
    ]  # fmt: skip
    assert list(of_test(table, "srcc", human=False)["dataset"]) == ["c"]
    assert list(of_test(table, "srcc", human=True, subset="real_exact")["value"]) == [0.3]
    assert of_test(table, "rmse", human=True).empty


def test_published_scores_of_others_are_marked_and_stand_behind_ours(tmp_path: Path) -> None:
    rows = opinions()
    others = rows[rows["method"] == "psnr"].assign(setting="published", value=0.99)
    write_parquet(tmp_path / "opinions.parquet", pd.concat([rows, others]))
    people = of_test(load_opinions(tmp_path), "srcc", human=True)
    assert list(dict.fromkeys(people["label"])) == [
        "norm · all/full", "GMSD", "PSNR", "psnr (published)", "consensus of MDSI, HaarPSI, VSI",
    ]  # fmt: skip
    assert "psnr (published)" in set(wide(people)["method"])


def test_wide_tables(table: pd.DataFrame) -> None:
    found = wide(of_test(table, "srcc", human=True)).set_index("method")
    assert list(found.columns) == ["a (mos, n=24)", "b (mos, n=24, 3 left out)"]
    assert found.loc["PSNR"].to_list() == [".700 [.650, .750]", ".500 [.450, .550]"]
    assert found.loc["norm · all/full"].to_list() == [".900 [.850, .950]", "–"]
    assert found.loc["consensus of MDSI, HaarPSI, VSI"].to_list() == [".950", "–"]
    assert list(wide(table.iloc[:0]).columns) == ["method"]


def test_tables_by_distortion_and_of_variants(table: pd.DataFrame) -> None:
    found = by_distortion(table, "a")
    assert found.to_dict("records") == [{"distortion": "blur", "n": 12, "GMSD": 0.45, "PSNR": 0.4}]
    assert list(by_distortion(table, "b").columns) == ["distortion"]
    assert variants_text(table).splitlines() == [
        "- **a** (A): mos", "- **b** (B): mos, five levels", "- **c** (C): exposure",
    ]  # fmt: skip
    assert variants_text(table.iloc[:0]).startswith("No dataset with such scores is part of this run. Name some")


def test_methods_by_datasets_draws_each_value_and_interval(table: pd.DataFrame) -> None:
    rows = of_test(table, "srcc", human=True)
    figure = methods_by_datasets(rows, "SRCC")
    assert titles(figure) == ["a\nn = 24", "b\nn = 24"]
    first = figure.axes[0]
    assert [label.get_text() for label in first.get_yticklabels()] == list(dict.fromkeys(rows["label"]))
    heights = dict(zip([t.get_text() for t in first.get_yticklabels()], first.get_yticks(), strict=True))
    assert heights["norm · all/full"] == 3
    points = {(line.get_xdata()[0], line.get_ydata()[0]) for line in first.lines if len(line.get_xdata()) == 1}
    mine = rows[rows["dataset"] == "a"]
    assert points == {(row.value, heights[row.label]) for row in mine.itertuples()}
    bars = {tuple(line.get_xdata()) for line in first.lines if len(line.get_xdata()) == 2}
    assert bars == {(row.low, row.high) for row in mine.itertuples() if np.isfinite(row.low)}
    assert "no dataset with published scores" in shown(methods_by_datasets(rows.iloc[:0], "SRCC"))


def test_sizes_show_every_dataset(tmp_path: Path) -> None:
    results = [
        {"dataset": "pool", "found": {"references": 195, "distorted": 0}},
        {"dataset": "scored", "found": {"references": 18, "distorted": 1077}},
    ]
    axes = dataset_sizes(results).axes[0]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["pool", "scored"]
    assert [bar.get_width() for bar in axes.patches] == [195, 18, 0, 1077]
