"""Stage audit, its tables and its page, on made-up scores; known answers are in tests/realdata."""

from __future__ import annotations

import json
import re
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from causaliqa.cli import main
from causaliqa.config import Audit, Params, Report, parse_params, read_yaml
from causaliqa.errors import ConfigError, DataError
from causaliqa.evaluate import audit
from causaliqa.evaluate.audit_stage import EPOCH_OUTPUTS, OUTPUTS, inputs, outputs, read_log, run
from causaliqa.report import protocols, session, stage

ROOT = Path(__file__).parents[2]
TEMPLATE = ROOT / "workflow/notebooks/audit.ipynb"
CSIQ = {"AWGN": 5, "JPEG": 5, "jpeg2000": 5, "fnoise": 5, "BLUR": 5}


def csiq_names(contrast: bool) -> list[str]:
    """Names as CSIQ's: 30 references, five types of five levels, and 116 contrast changes."""
    names = [f"r{r:02d}.{kind}.{n}.png" for r in range(30) for kind in CSIQ for n in range(1, 6)]
    if contrast:
        names += [f"r{r:02d}.contrast.{n}.png" for r in range(30) for n in range(1, 4 if r < 4 else 5)]
    return names


def write_csv(folder: Path, contrast: bool = True) -> None:
    """Method `a` is the better one without contrast changes; on these it is turned round."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    names = csiq_names(contrast)
    opinion = random.uniform(0, 1, len(names))
    a, b = opinion + 0.1 * random.normal(size=len(names)), opinion + 0.15 * random.normal(size=len(names))
    a[750:] = 1 - opinion[750:]
    table = pd.DataFrame({"image": names, "score_in_file": opinion, "a": a, "b": b, "c": np.exp(6 * b)})
    table.to_csv(folder / "csiq.csv", index=False)


def write_log(path: Path) -> None:
    rows = [
        (split, epoch, part, 0.8 + 0.01 * epoch * (epoch < 3) + 0.02 * (split + 1) * (part == "test") * (epoch == 4))
        for split in range(3)
        for epoch in range(1, 6)
        for part in ("val", "test")
    ]
    pd.DataFrame(rows, columns=audit.LOG_COLUMNS).to_csv(path, index=False)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("audit")
    write_csv(root / "scores")
    write_log(root / "log.csv")
    run(Audit(scores=str(root / "scores"), bootstrap=100, epochs=str(root / "log.csv")), root / "results/audit")
    return root


@pytest.fixture(scope="module")
def page(made: Path) -> Path:
    stage.run("audit", TEMPLATE, made / "reports", Report(dpi=72), audit=made / "results/audit")
    return made / "reports"


# ---- tables ----------------------------------------------------------------------------------------------------------


def test_the_declared_files_are_written_and_no_path_is_in_them(made: Path) -> None:
    folder = made / "results/audit"
    assert {path.name for path in folder.iterdir()} == {*OUTPUTS, *EPOCH_OUTPUTS}
    assert outputs(Audit(scores="x")) == OUTPUTS
    assert all(str(made) not in path.read_text() for path in folder.iterdir())
    about = json.loads((folder / "run.json").read_text())
    assert [item["protocol"] for item in about["protocols"]] == ["csiq_866", "csiq_750"]
    assert [item["kind"] for item in about["inputs"]] == ["csiq.csv", "log of trainings"]
    assert about["left_out"] == []


def test_equal_content_elsewhere_gives_equal_bytes(made: Path, tmp_path: Path) -> None:
    write_csv(tmp_path / "elsewhere")
    (tmp_path / "another.csv").write_bytes((made / "log.csv").read_bytes())
    section = Audit(scores=str(tmp_path / "elsewhere"), bootstrap=100, epochs=str(tmp_path / "another.csv"))
    run(section, tmp_path / "out")
    for name in (*OUTPUTS, *EPOCH_OUTPUTS):
        assert (tmp_path / "out" / name).read_bytes() == (made / "results/audit" / name).read_bytes(), name


def test_contrast_changes_make_the_866_images_a_protocol_of_its_own(tmp_path: Path) -> None:
    write_csv(tmp_path / "with")
    write_csv(tmp_path / "without", contrast=False)
    chosen, files = audit.protocols_of(tmp_path / "with")
    assert [item.name for item in chosen] == ["csiq_866", "csiq_750"]
    counts = [
        len(audit.protocol_data(item, files["csiq"], higher_is_better=False).opinion) for item in chosen
    ]  # fmt: skip
    assert counts == [866, 750]
    assert [item.name for item in audit.protocols_of(tmp_path / "without")[0]] == ["csiq_750"]
    run(Audit(scores=str(tmp_path / "without"), bootstrap=100), tmp_path / "out")
    about = json.loads((tmp_path / "out/run.json").read_text())
    assert about["left_out"] == [{"protocol": "csiq_866", "dataset": "csiq", "needs": "contrast_change"}]
    table = pd.read_csv(tmp_path / "with/csiq.csv")
    table.iloc[:-1].to_csv(tmp_path / "with/csiq.csv", index=False)
    with pytest.raises(DataError, match="csiq_866: 865 images, not 866"):
        run(Audit(scores=str(tmp_path / "with")), tmp_path / "out")


def made_up(values: dict[str, tuple[float, ...]]) -> pd.DataFrame:
    rows = [
        ("d", name, method, "srcc", v) for name, line in values.items() for method, v in zip("abcd", line, strict=True)
    ]
    return pd.DataFrame(rows, columns=["dataset", "protocol", "method", "test", "value"])


def test_swapped_pairs_by_hand() -> None:
    # One pair swaps (a, b); c and d are tied under the second protocol, which is no swap.
    order = audit.order_changes(made_up({"p": (0.9, 0.8, 0.7, 0.6), "q": (0.8, 0.9, 0.7, 0.7)}))
    assert order[["protocol_a", "protocol_b", "pairs", "swapped"]].to_numpy().tolist() == [["p", "q", 6, 1]]
    assert order["agreement"].iloc[0] == pytest.approx((4 - 1) / np.sqrt(6 * 5))
    assert audit.order_changes(made_up({"p": (0.9, 0.8, 0.7, 0.6)})).empty
    reversed_ = audit.order_changes(made_up({"p": (4, 3, 2, 1), "q": (1, 2, 3, 4), "r": (4, 3, 2, 1)}))
    assert reversed_["swapped"].tolist() == [6, 0, 6]


def test_swapped_pairs_need_the_same_methods() -> None:
    table = made_up({"p": (0.9, 0.8, 0.7, 0.6), "q": (0.8, 0.9, 0.7, 0.7)})
    with pytest.raises(DataError, match="q: lacks method 'd'"):
        audit.order_changes(table.iloc[:-1])


def test_widths_by_hand() -> None:
    table = made_up({"p": (0.9, 0.8, 0.7, 0.6)}).assign(
        low=[0.8, 0.7, 0.5, np.nan], high=[1.0, 0.9, 0.9, np.nan], low_image=0.5, high_image=0.6, n_references=7
    )
    (row,) = audit.interval_widths(table).to_dict("records")
    assert (row["by_reference"], row["by_image"], row["ratio"]) == pytest.approx((0.2, 0.1, 2.0))
    assert (row["n_references"], row["n_methods"]) == (7, 3)


# ---- what a user may get wrong ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"epochs": "log.csv"}, "audit: epochs would not be read without scores; set audit.scores"),
        ({"live_labels": "live"}, "audit: live_labels would not be read without scores"),
        ({"score": "x"}, "audit.score: unknown key in audit; did you mean 'scores'?"),
        ({"scores": ""}, "audit.scores: String should have at least 1 character"),
    ],
)
def test_a_section_that_does_not_fit_is_refused(section: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse_params(read_yaml(ROOT / "params.yaml") | {"audit": section}, "params.yaml")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_the_page_comes_with_the_scores() -> None:
    values = read_yaml(ROOT / "params.yaml")
    assert "audit" not in Params.model_validate(values).pages
    assert Params.model_validate(values | {"audit": {"scores": "x"}}).pages[-1] == "audit"
    only = values | {"report": {"notebooks": ["audit"]}}
    assert Params.model_validate(only | {"audit": {"scores": "x"}}).pages == ["audit"]
    with pytest.raises(ConfigError, match=r"the page 'audit' needs audit\.scores"):
        parse_params(only, "params.yaml")


def test_inputs_are_the_files_that_are_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"holds none of live\.csv, csiq\.csv"):
        inputs(Audit(scores=str(tmp_path)))
    with pytest.raises(ConfigError, match="not set"):
        inputs(Audit())
    for name in ("tid2013.csv", "live.csv", "notes.csv"):
        (tmp_path / name).touch()
    section = Audit(scores=str(tmp_path), live_labels="labels", epochs="log.csv")
    assert inputs(section) == [
        tmp_path / "live.csv", tmp_path / "tid2013.csv", Path("labels/dmos_realigned.mat"),
        Path("labels/refnames_all.mat"), Path("log.csv"),
    ]  # fmt: skip
    (tmp_path / "live.csv").unlink()
    assert inputs(section) == [tmp_path / "tid2013.csv", Path("log.csv")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("split,epoch,part,srcc\n0,1,val,good\n", "line 2: srcc is 'good', not a number"),
        ("split,epoch,part,srcc\n0,1,val,0.5\n0,x,test,0.5\n", "line 3: epoch is 'x', not a number"),
        ('split,epoch\n"0,1\n', "not a readable CSV"),
    ],
)
def test_a_log_that_does_not_fit_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "log.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        read_log(tmp_path / "log.csv")


def test_a_log_is_missing_or_lacks_columns(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"log\.csv: missing"):
        read_log(tmp_path / "log.csv")
    write_csv(tmp_path / "scores")
    (tmp_path / "log.csv").write_text("split,epoch\n0,1\n")
    with pytest.raises(DataError, match="lacks the columns part, srcc"):
        run(Audit(scores=str(tmp_path / "scores"), epochs=str(tmp_path / "log.csv")), tmp_path / "out")
    assert not (tmp_path / "out").exists()


# ---- the verb --------------------------------------------------------------------------------------------------------


def call(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    return int(stop.value.code or 0)


def test_the_verb_writes_the_same_tables_and_figures_beside_them(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert (
        call("audit", str(made / "scores"), "--bootstrap", "100", "--epochs", str(made / "log.csv"), "-o", str(out))
        == 0
    )
    for name in (*OUTPUTS, *EPOCH_OUTPUTS):
        assert (out / name).read_bytes() == (made / "results/audit" / name).read_bytes()
    assert {path.name for path in out.glob("ranks_*")} == {"ranks_csiq.pdf", "ranks_csiq.png"}
    said = capsys.readouterr().out
    assert re.search(r"csiq_750 +750 +a 0\.\d{4}   another than under the first protocol", said)
    assert re.search(r"csiq_866 +866 +b 0\.\d{4}\n", said)


def test_options_win_over_params_and_figures_may_be_left_out(made: Path, tmp_path: Path) -> None:
    params = Audit(scores="nowhere", bootstrap=100, seed=3, confidence=0.8).model_dump_json()
    given = ["audit", str(made / "scores"), "--no-figures", "--params", params]
    assert call(*given, "--seed", "5", "-o", str(tmp_path / "out")) == 0
    about = json.loads((tmp_path / "out/run.json").read_text())
    assert about["params"] == {"bootstrap": 100, "confidence": 0.8, "higher_is_better": False, "seed": 5}
    assert not list((tmp_path / "out").glob("*.png"))
    assert call(*given, "--confidence", "1.5", "-o", str(tmp_path / "other")) == 1


# ---- the page --------------------------------------------------------------------------------------------------------


def test_the_page_holds_its_figures_and_tables(page: Path) -> None:
    assert {path.stem for path in (page / "figures/audit").iterdir()} == {"ranks_csiq", "srcc_csiq", "fits", "epochs"}
    assert {path.stem for path in (page / "tables/audit").iterdir()} == {
        "protocols", "order", "widths", "srcc_csiq", "fits", "best", "epochs",
    }  # fmt: skip
    text = (page / "html/audit.html").read_text()
    assert "<script" not in text
    assert not re.search(r"""(?:src|srcset|data)\s*=\s*["'](?!data:)""", text)
    assert "another method is best under another protocol" in text


def test_the_page_says_what_the_tables_say(made: Path, page: Path) -> None:
    audited = protocols.load(made / "results/audit")
    srcc = audited.values[audited.values["test"] == "srcc"].set_index(["protocol", "method"])
    line = protocols.best_text(audited)
    assert line.startswith("- **csiq**: another method is best under another protocol: b (")
    value = f"{srcc.loc[('csiq_750', 'a'), 'value']:.4f}".removeprefix("0")
    assert f"a ({value}) under csiq_750" in line
    # b and c have equal ranks of images: SRCC is the same, and only `a` passes both.
    assert "Between csiq_866 and csiq_750 2 of 3 pairs swap order." in line
    ratio = audited.widths[audited.widths["test"] == "srcc"]["ratio"]
    assert f"{ratio.max():.2f}" in protocols.width_text(audited)
    plcc = audited.values.pivot(index=["protocol", "method"], columns="test", values="value")
    gain = (plcc["plcc_5p"] - plcc["plcc_raw"]).groupby("method").max()
    assert gain.idxmax() == "c"
    assert "The fit adds the most to c under" in protocols.fit_text(audited)
    # The best test values are .82, .84, .86; the validation set always chooses epoch 2, with .82.
    said = protocols.epoch_text(audited)
    assert said.startswith("Over 3 splits the mean SRCC is .8400 if the test set chooses the epoch, .8200 if the valid")
    assert (
        ", and .8000 after the last epoch: choosing by the test set instead of the validation set adds .0200 [" in said
    )
    shown = protocols.wide(audited, "csiq")
    assert shown["method"].tolist()[-1] == "a"
    assert shown.set_index("method").loc["a", "csiq_750"].startswith(f"1. {value} [")
    assert (page / "tables/audit/srcc_csiq.csv").read_text().count("\n") == 1 + 6


def test_a_single_method_and_a_single_protocol_are_said_plainly(tmp_path: Path) -> None:
    write_csv(tmp_path / "scores", contrast=False)
    path = tmp_path / "scores/csiq.csv"
    pd.read_csv(path)[["image", "score_in_file", "a"]].to_csv(path, index=False)
    run(Audit(scores=str(tmp_path / "scores"), bootstrap=100), tmp_path / "out")
    audited = protocols.load(tmp_path / "out")
    assert protocols.best_text(audited).startswith("- **csiq**: the best of 1 is a (")
    assert protocols.choice_text(audited) == "There is one method: nothing was chosen."
    assert protocols.epoch_text(audited) == ""
    assert protocols.best_table(audited)["second"].tolist() == ["–"] * 5
    assert (
        protocols.left_out_text(audited)
        == "- `csiq_866` is left out: the scores hold no image of type contrast change."
    )
    stage.run("audit", TEMPLATE, tmp_path / "reports", Report(dpi=72), audit=tmp_path / "out")
    assert "No log of trainings was audited" in (tmp_path / "reports/html/audit.html").read_text()


def test_missing_tables_name_the_stage(made: Path, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(DataError, match=r"audit\.csv: cannot be read .* run stage audit again"):
        protocols.load(tmp_path)
    with pytest.raises(DataError, match="name their folder with --evaluate, or with --audit"):
        stage.run("audit", TEMPLATE, tmp_path / "reports", Report())


def test_the_template_is_stripped_and_holds_no_numbers() -> None:
    text = TEMPLATE.read_text()
    assert text == nbformat.writes(stage.strip(nbformat.reads(text, as_version=4)), version=4) + "\n"
    cells = nbformat.reads(text, as_version=4).cells
    prose = " ".join(cell.source for cell in cells if cell.cell_type == "markdown")
    assert not re.findall(r"(?<![\d.])\.\d+|\d\.\d+", prose)


# ---- tables of all pages ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("columns", "size"), [(6, "table"), (7, "table wide"), (13, "table wider")])
def test_wide_tables_are_set_smaller(columns: int, size: str) -> None:
    table = pd.DataFrame({f"c_{n}": [".9 [.8, 1.0]", "a_b <i>"] * 7 for n in range(columns)})
    text = session.table_html(table)
    assert f'class="dataframe {size}"' in text
    interval = ".9 [.8, 1.0]" if columns == 6 else ".9 [.8,&nbsp;1.0]"  # it is never broken in two
    assert text.count(interval) == 7 * columns
    assert text.count("a_b &lt;i&gt;") == 7 * columns
    assert text.count("<th>c_<wbr>") == columns  # a name may be


def test_tables_of_few_rows_and_many_columns_are_shown_upright() -> None:
    methods = {f"m{n}": [0.5, np.nan, 0.125] for n in range(14)}
    table = pd.DataFrame({"distortion": ["blur", "jpeg", "<b>"], "n": [10, 20, 30], **methods})
    text = session.table_html(table)
    heads = re.findall(r"<th>(.*?)</th>", text)
    assert heads == ["distortion", "blur", "jpeg", "&lt;b&gt;"]
    rows = [re.findall(r"<td>(.*?)</td>", row) for row in re.findall(r"<tr>(.*?)</tr>", text, flags=re.DOTALL)]
    assert rows[0] == ["n", "10", "20", "30"]
    assert rows[1:] == [[f"m{n}", "0.500", "–", "0.125"] for n in range(14)]
    high = pd.concat([table] * 6, ignore_index=True)
    assert re.findall(r"<th>(.*?)</th>", session.table_html(high)) == list(table.columns)


def test_long_tables_keep_their_head_in_view(tmp_path: Path) -> None:
    cell = "import pandas as pd\nfrom causaliqa.report import session\nr = session.Report('small')\nfor n in (30, 31): r.show(pd.DataFrame({'a': range(n)}), f'{n} rows')"  # noqa: E501
    template = tmp_path / "small.ipynb"
    template.write_text(nbformat.writes(new_notebook(cells=[new_markdown_cell("# Small"), new_code_cell("audit = ''"), new_code_cell(cell)])))  # fmt: skip # noqa: E501
    stage.run("small", template, tmp_path / "out", Report(), audit=tmp_path)
    text = (tmp_path / "out/html/small.html").read_text()
    assert re.findall(r'<div class="(scroll[^"]*)">', text) == ["scroll", "scroll long"]
