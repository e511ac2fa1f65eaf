import json
import re
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from evaluation_data import make_world
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from causaliqa.config import Evaluate, Report
from causaliqa.errors import CausalIQAError, DataError
from causaliqa.evaluate import stage as evaluate_stage
from causaliqa.report import latex, narrative, prepare, stage

TEMPLATES = Path(__file__).parents[2] / "workflow" / "notebooks"


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    made = make_world(tmp_path_factory.mktemp("report"))
    evaluate_stage.run(
        made.scores,
        made.manifests,
        made.members,
        made.root / "results/evaluate",
        made.root / "metrics.json",
        Evaluate(bootstrap=100),
    )
    return made


def render(world, notebook, out, template=None, **changes):
    given = {
        "evaluate": world.root / "results/evaluate", "scores": world.scores, "features": world.features,
        "interventions": world.interventions, "history": world.history,
        "models": [path.with_name("model.json") for path in world.history],
    } | changes  # fmt: skip
    return stage.run(notebook, template or TEMPLATES / f"{notebook}.ipynb", out, Report(dpi=72), **given)


def small(folder, *sources, name="small"):
    """A template of a few cells."""
    notebook = new_notebook(cells=[new_markdown_cell("# Small page"), *map(new_code_cell, sources)])
    path = folder / f"{name}.ipynb"
    path.write_text(nbformat.writes(notebook))
    return path


@pytest.fixture(scope="module")
def benchmark(world):
    render(world, "benchmark", world.root / "reports")
    return world.root / "reports"


@pytest.fixture(scope="module")
def cross_domain(world, benchmark):
    render(world, "cross_domain", world.root / "reports")
    return world.root / "reports"


def files(root, notebook):
    return {
        path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file() and notebook in path.as_posix()
    }


def test_benchmark_holds_every_figure_and_table(benchmark):
    names = {path.stem for path in (benchmark / "figures/benchmark").iterdir()}
    assert names == {
        "opinion_free", "agreement", "severity", "scatter", "few_label", "features", "scaling", "training",
        "interventions_all_domains_full", "interventions_natural_full", "probes", "variance", "mask",
        "mask_all_domains_full", "mask_natural_full",
    }  # fmt: skip
    for name in names:
        for kind in ("pdf", "png"):
            assert (benchmark / f"figures/benchmark/{name}.{kind}").stat().st_size > 1000
    tables = {path.stem for path in (benchmark / "tables/benchmark").iterdir()}
    assert tables == {"datasets", "models", "opinion_free", "severity", "agreement", "few_label", "gmad",
                      "interventions", "reconstruction", "probes", "variance", "mask"}  # fmt: skip


def test_cross_domain_adds_its_own_files_and_leaves_the_other_alone(cross_domain):
    assert {path.name for path in (cross_domain / "html").iterdir()} == {"benchmark.html", "cross_domain.html"}
    assert {path.stem for path in (cross_domain / "figures/cross_domain").iterdir()} == {
        "transfer_opinion_free",
        "transfer_agreement",
    }
    assert (cross_domain / "figures/benchmark/scatter.png").is_file()


@pytest.mark.parametrize("notebook", ["benchmark", "cross_domain"])
def test_page_opens_offline_and_is_readable(cross_domain, notebook):
    page = (cross_domain / f"html/{notebook}.html").read_text()
    assert "<script" not in page
    assert "<link" not in page
    # Nothing that a browser loads points elsewhere; prose may name an address.
    assert not re.search(r"""(?:src|srcset|data)\s*=\s*["'](?!data:)""", page)
    assert not re.search(r"url\(", page)
    images = re.findall(r"<img [^>]*>", page)
    assert images
    assert all(re.search(r'src="data:image/png;base64,[^"]{200,}"', tag) for tag in images)
    assert all(re.search(r'alt="[^"]{10,}"', tag) for tag in images)
    assert page.count("<h1") == 1
    assert 'class="input"' not in page
    assert "prepare." not in page, "code is shown"
    assert "not human opinion" in page


def test_page_and_tables_say_the_same(benchmark):
    page = (benchmark / "html/benchmark.html").read_text()
    table = pd.read_csv(benchmark / "tables/benchmark/opinion_free.csv")
    row = table[(table["method"] == "psnr") & (table["test"] == "l_test")].iloc[0]
    text = f"{row['value']:.3f} [{row['low']:.3f}, {row['high']:.3f}]".replace("0.", ".")
    assert text in page
    assert text in (benchmark / "tables/benchmark/opinion_free.tex").read_text()


@pytest.mark.parametrize("notebook", ["benchmark", "cross_domain"])
def test_notebook_is_normalised(cross_domain, notebook):
    text = (cross_domain / f"notebooks/{notebook}.ipynb").read_text()
    found = json.loads(text)
    nbformat.validate(found)
    assert [cell["id"] for cell in found["cells"]] == [str(index) for index in range(len(found["cells"]))]
    assert set(found["metadata"]) == {"kernelspec", "language_info"}
    assert all(set(cell["metadata"]) <= {"tags"} for cell in found["cells"])
    assert all(cell["execution_count"] is None for cell in found["cells"] if cell["cell_type"] == "code")
    assert not re.search(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}", text)


def test_a_second_run_gives_equal_bytes_and_drops_stale_files(world, cross_domain):
    before = {name: (cross_domain / name).read_bytes() for name in files(cross_domain, "cross_domain")}
    (cross_domain / "figures/cross_domain/stale.png").write_bytes(b"old")
    render(world, "cross_domain", cross_domain)
    after = {name: (cross_domain / name).read_bytes() for name in files(cross_domain, "cross_domain")}
    assert set(after) == set(before)
    assert [name for name in before if before[name] != after[name]] == []


def test_relative_inputs_leave_no_absolute_path_in_the_outputs(world, tmp_path, monkeypatch):
    monkeypatch.chdir(world.root)
    template = small(tmp_path, "notebook = ''\nevaluate = ''", "print(evaluate)")
    render(world, "small", Path("elsewhere"), template, evaluate=Path("results/evaluate"))
    text = (world.root / "elsewhere/notebooks/small.ipynb").read_text()
    assert "results/evaluate" in text
    assert str(world.root) not in text


def test_a_failing_cell_is_one_line_and_replaces_nothing(world, tmp_path):
    out = tmp_path / "reports"
    save = (
        "from causaliqa.report.session import Report\nimport pandas as pd\n"
        "Report('small').table('t', pd.DataFrame({'a': [%d]}), 'c')"
    )
    render(world, "small", out, small(tmp_path, save % 1))
    before = {name: (out / name).read_bytes() for name in files(out, "small")}
    assert "tables/small/t.csv" in before
    broken = small(tmp_path, save % 2, "raise ValueError('two\\nlines')")
    with pytest.raises(CausalIQAError, match=r"small\.ipynb: cell \d+ failed with ValueError: two lines$") as caught:
        render(world, "small", out, broken)
    assert "\n" not in str(caught.value)
    assert {name: (out / name).read_bytes() for name in files(out, "small")} == before


def test_a_missing_input_is_named_before_anything_runs(world, tmp_path):
    with pytest.raises(DataError, match="absent"):
        render(world, "benchmark", tmp_path / "out", scores=[tmp_path / "absent.parquet"])
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "content",
    [
        '<img src="https://example.org/a.png">',
        '<link rel="stylesheet" href="//example.org/a.css">',
        "<style>@import 'a';</style>",
    ],
)
def test_a_page_that_would_load_something_is_refused(content):
    output = nbformat.v4.new_output("display_data", {"text/html": content})
    notebook = new_notebook(cells=[new_markdown_cell("# Page"), new_code_cell("1", outputs=[output])])
    with pytest.raises(CausalIQAError, match="elsewhere"):
        stage.to_html(notebook)


@pytest.mark.parametrize("name", ["benchmark", "cross_domain", "datasets", "audit"])
def test_templates_are_stripped(name):
    text = (TEMPLATES / f"{name}.ipynb").read_text()
    assert text == nbformat.writes(stage.strip(nbformat.reads(text, as_version=4)), version=4) + "\n"


@pytest.mark.parametrize("name", ["benchmark", "cross_domain", "datasets", "audit"])
def test_templates_hold_no_numbers(name):
    """Results come from tables: prose holds no decimal fraction but chance levels."""
    cells = nbformat.read(TEMPLATES / f"{name}.ipynb", as_version=4).cells
    prose = " ".join(cell.source for cell in cells if cell.cell_type == "markdown")
    assert set(re.findall(r"(?<![\d.])\.\d+|\d\.\d+", prose.replace("2604.21654", ""))) <= {".5"}


def test_latex_escapes_and_formats():
    table = pd.DataFrame({"method_name": ["a_b & 50%", "c"], "value": [0.123456, float("nan")], "n": [3, 4]})
    text = latex.latex_table(table, "A caption: 100%", "x")
    assert r"method\_name & value & n \\" in text
    assert r"a\_b \& 50\% & 0.1235 & 3 \\" in text
    assert r"c & -- & 4 \\" in text
    assert r"\begin{tabular}{lrr}" in text
    assert text.count(r"\toprule") == text.count(r"\bottomrule") == 1


def test_leaders_say_when_intervals_part_and_when_they_do_not():
    rows = pd.DataFrame(
        [
            ("GMSD", "baseline", "l_test", 0.80, 0.75, 0.85), ("pc1", "label_free", "l_test", 0.95, 0.90, 0.97),
            ("GMSD", "baseline", "p_test", 0.90, 0.85, 0.95), ("pc1", "label_free", "p_test", 0.92, 0.88, 0.96),
            ("GMSD", "baseline", "d_test", 0.99, 0.98, 1.00), ("pc1", "label_free", "d_test", 0.80, 0.70, 0.85),
        ],
        columns=["label", "setting", "test", "value", "low", "high"],
    )  # fmt: skip
    lines = narrative.leaders(rows, ["l_test", "p_test", "d_test"]).splitlines()
    assert "in favour of the label-free score" in lines[0]
    assert "overlap" in lines[1]
    assert "in favour of the classical metric" in lines[2]
    assert ".950 [.900, .970]" in lines[0]


def test_few_label_note_finds_the_crossing():
    curves = pd.DataFrame(
        [("m", "ridge", n, "srcc", v, v - 0.1, v + 0.1) for n, v in ((5, 0.6), (20, 0.85), (50, 0.9))],
        columns=["model", "method", "labels", "test", "value", "low", "high"],
    )
    levels = pd.DataFrame(
        [("m", "pc1", "label_free", "srcc", 0.8)], columns=["model", "method", "setting", "test", "value"]
    )
    assert "from 20 labels on" in narrative.few_label_note(curves, levels)
    assert "still not above" in narrative.few_label_note(curves, levels.assign(value=0.95))


def test_transfer_marks_the_training_scenario(world):
    results = prepare.load(world.root / "results/evaluate")
    trained = prepare.trained_on([path.with_name("model.json") for path in world.history])
    table = prepare.transfer(results, trained, ["l_test"])
    assert set(table.loc[table["trained"], "dataset"]) == {"bundled_natural"}
    assert not table.loc[table["setting"] == "baseline", "trained"].any()
    summary = prepare.transfer_summary(table)
    outside = summary[(summary["model"] == "norm · natural/full") & (summary["datasets"] == "not trained on")].iloc[0]
    rows = table[(table["label"] == "norm · natural/full") & ~table["trained"]]
    assert outside["number"] == len(rows) == 2
    assert outside["mean"] == pytest.approx(rows["value"].mean())


def test_transfer_note_speaks_of_unseen_datasets_only():
    summary = pd.DataFrame(
        [("m", "L-test", "not trained on", 2, 0.9, "GMSD", 0.95), ("m", "L-test", "trained on", 1, 0.99, "GMSD", 0.8),
         ("m", "P-test", "not trained on", 2, 0.97, "GMSD", 0.96)],
        columns=["model", "test", "datasets", "number", "mean", "best baseline", "its mean"],
    )  # fmt: skip
    note = narrative.transfer_note(summary)
    assert "L-test 0.900, below GMSD (0.950); P-test 0.970, above GMSD (0.960)" in note
    assert "0.99" not in note
    assert "No model" in narrative.transfer_note(summary[1:2])


def test_features_of_an_unknown_model_name_what_to_pass(world):
    with pytest.raises(DataError, match="--features"):
        prepare.feature_plane(world.features, "absent/full")


def test_feature_plane_is_oriented_and_complete(world):
    points, share = prepare.feature_plane(world.features, "all_domains/full")
    assert points["x"].corr(points["level"].astype(float)) > 0.5
    assert 0 < share[1] <= share[0] < 1
    assert set(points["family"]) <= {"blur", "compression", "noise", "tone", "colour", "spatial"}
