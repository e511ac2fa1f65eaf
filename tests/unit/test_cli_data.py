"""The verbs for people (`causaliqa data ...`) and the pipeline's `fetch` and `validate`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from toy_datasets import PRISTINE, download_entry, entry, picture, png, scored_folder, tar_gz, write_registry
from typer.testing import CliRunner

from causaliqa.cli import build_app, main
from causaliqa.datasets.splits import Split, read_splits
from causaliqa.io import read_json


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project folder with a registry of four datasets, none of which is here."""
    own = scored_folder(tmp_path / "own", references=4, levels=6)
    pool = tar_gz(tmp_path / "mirror/pool.tar.gz", {"a.png": png(picture(0)), "b.png": png(picture(1))})
    form = {"name": "form.zip", "urls": [], "manual": "Fill in the form"}
    root = tmp_path / "project"
    write_registry(
        root / "data/registry.yaml",
        mine=entry(own, citation="Toy et al., 2020", note="Mind the gap.", counts={"references": 4, "distorted": 24}),
        pool=download_entry({"name": "pool.tar.gz", "size": pool.stat().st_size}, **PRISTINE, title="Pool"),
        form=download_entry(form, title="By form", note=""),
        bundled={
            "title": "Bundled", "version": "1", "kind": "pristine", "domain": "natural", "source": "bundled",
            "redistribution": True,
            "images": [{"name": "camera", "package": "skimage", "path": "data/camera.png", "licence": "CC0",
                        "origin": "someone", "sha256": "0" * 64}],
        },
    )  # fmt: skip
    monkeypatch.chdir(root)
    monkeypatch.setenv("CAUSALIQA_MIRROR", str(tmp_path / "mirror"))
    return root


def run(*arguments: object, code: int = 0) -> Result:
    result = CliRunner().invoke(build_app(), [str(item) for item in arguments])
    assert result.exit_code == code, (result.output, result.exception)
    return result


def failing(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """Run a command that ends with status 1; return its one line of error."""
    with pytest.raises(SystemExit) as caught:
        main([str(item) for item in arguments])
    assert caught.value.code == 1
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    return errors[0].removeprefix("error: ")


def test_list(project: Path) -> None:
    lines = run("data", "list").stdout.splitlines()
    assert [line.split()[:3] for line in lines[:4]] == [
        ["mine", "full_reference", "texture"],
        ["pool", "pristine", "texture"],
        ["form", "full_reference", "texture"],
        ["bundled", "pristine", "natural"],
    ]
    assert "4 references, 24 scored" in lines[0]
    assert [line[78:].split()[-3:] for line in lines[:2]] == [["folder", "-", "Toy"], ["download", "-", "Pool"]]
    assert "by hand" in lines[2]
    assert "1 references" in lines[3]
    lines = run("data", "list", "--kind", "full_reference").stdout.splitlines()
    assert [line.split()[0] for line in lines[:2]] == ["mine", "form"]
    assert lines[2] == ""
    run("data", "fetch", "pool")
    here = [line for line in run("data", "list").stdout.splitlines() if " here " in line]
    assert [line.split()[0] for line in here] == ["pool"]


def test_list_of_an_unknown_kind(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert failing(capsys, "data", "list", "--kind", "fr") == "--kind: 'fr' is none of pristine, full_reference, blind"
    assert failing(capsys, "data", "list", "--registry", "none.yaml").startswith("none.yaml: no such file; ")


def test_show(project: Path, tmp_path: Path) -> None:
    text = run("data", "show", "mine").stdout
    for line in (
        "mine: Toy (version 1, full_reference, domain texture)",
        "  size      4 references, 24 scored",
        "  labels    mos, higher is better, 0 to 10. toy panel",
        "  cite      Toy et al., 2020",
        "  note      Mind the gap.",
        f"  folder    {tmp_path / 'own'}",
        "  missing   bring it in: causaliqa data fetch mine",
    ):
        assert line in text.splitlines()
    text = run("data", "show", "pool").stdout
    assert "  file      pool.tar.gz, 0 MB, checksum recorded at the first download" in text
    assert "            https://example.org/pool.tar.gz" in text
    assert "labels" not in text
    assert "            Fill in the form" in run("data", "show", "form").stdout
    assert "  camera         CC0" in run("data", "show", "bundled").stdout
    found = json.loads(run("data", "show", "mine", "--json").stdout)
    assert (found["labels"]["higher_is_better"], found["counts"]["distorted"]) == (True, 24)
    run("data", "fetch", "mine")
    assert "  here      data/raw/mine; check it: causaliqa data verify mine" in run("data", "show", "mine").stdout


def test_fetch_and_verify(project: Path) -> None:
    said = run("data", "fetch", "mine", "pool").stdout.splitlines()
    assert said == [
        "mine: 28 images in data/raw/mine; check them: causaliqa data verify mine",
        "pool: 2 images in data/raw/pool; check them: causaliqa data verify pool",
    ]
    (record,) = read_json(project / "data/checksums.json").values()
    assert set(record) == {"sha256", "size"}
    assert run("data", "fetch", "pool").stdout == (
        "pool: is here (data/raw/pool); delete the folder to fetch it again\n"
    )
    text = run("data", "verify").stdout
    assert text.count("\n  valid\n") == 2
    assert text.index("mine: Toy") < text.index("pool: Pool")
    lines = run("data", "verify", "pool", "mine", "--json").stdout.splitlines()
    results = [json.loads(line) for line in lines if line.startswith("{")]
    assert [(result["dataset"], result["rows"]) for result in results] == [("pool", 2), ("mine", 28)]


def test_verify_ends_with_status_1_if_a_set_is_not_valid(project: Path) -> None:
    run("data", "fetch", "mine", "pool")
    (project / "data/raw/pool/images/a.png").write_bytes(png(picture(5)))
    text = run("data", "verify", "--page", "page.html", code=1).stdout
    assert "  NOT VALID" in text
    assert "images/a.png: does not match its checksum" in text
    assert text.endswith("  NOT VALID\n")  # the valid one comes first
    assert "images/a.png: does not match its checksum" in (project / "page.html").read_text()


def test_what_cannot_be_verified_or_fetched(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert failing(capsys, "data", "verify") == "data/raw: no dataset is here; bring one in: causaliqa data fetch NAME"
    assert failing(capsys, "data", "verify", "mine").startswith("data/raw/mine/dataset.json: missing")
    assert "no dataset 'mina'; did you mean 'mine'?" in failing(capsys, "data", "fetch", "mina")
    assert failing(capsys, "data", "fetch", "mine", "mine").startswith("datasets: mine stands there more than once")
    assert failing(capsys, "data", "fetch", "mine", "--on-missing", "pass").startswith("on_missing: Input should be")
    assert "Fill in the form" in failing(capsys, "data", "fetch", "form")
    assert "skimage/data/camera.png: sha256 is" in failing(capsys, "data", "fetch", "bundled")
    assert not (project / "data/raw").exists() or list((project / "data/raw").iterdir()) == []
    run("data", "fetch", code=2)


def test_fetch_may_leave_missing_images_out(project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "own/dist/r0_1.png").unlink()
    assert "listed images that are not there: 1 (dist/r0_1.png" in failing(capsys, "data", "fetch", "mine")
    result = run("data", "fetch", "mine", "--on-missing", "skip")
    assert "mine: left out: 1 missing image" in result.stderr
    assert "mine: 27 images in data/raw/mine" in result.stdout
    assert "  warning     listed images that were left out (missing image): 1" in run("data", "verify", "mine").stdout


def test_add(project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = tmp_path / "own"
    arguments = ("data", "add", "weld", own, "--table", "scores.csv", "--distortion", "distortion")
    assert failing(capsys, *arguments) == (
        "weld: say what the scores mean: --higher-is-better (MOS) or --higher-is-worse (DMOS)"
    )
    text = run(*arguments, "--higher-is-worse", "--domain", "radiography", "--licence", "own").stdout
    assert "weld: added to data/registry.yaml: 4 references, 24 images with a score" in text
    text = run("data", "show", "weld").stdout
    assert "weld: weld (version 1, full_reference, domain radiography)" in text
    assert "  labels    dmos, higher is worse" in text
    text = run("data", "add", "gallery", own, "--title", "My gallery").stdout
    assert "28 references, 0 images with a score" in text
    blind = ("--table", "scores.csv", "--reference", "", "--higher-is-better")
    assert "0 references, 24 images" in run("data", "add", "blind", own, *blind).stdout
    run("data", "fetch", "weld")
    text = run("data", "verify", "weld").stdout
    assert "the labels look reversed" in text  # they were declared wrongly above
    assert text.endswith("  valid\n")


def test_splits(project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("data", "fetch", "mine")
    for name, values in (("train", [[0, 6]]), ("test", [[12, 18]]), ("shared", [[1]])):
        np.save(tmp_path / f"{name}.npy", np.array(values))
    arguments = ("data", "splits", "mine", "--train", tmp_path / "train.npy")
    said = run(*arguments, "--test", tmp_path / "test.npy").stdout
    assert said == "mine-splits.json: 1 splits by reference\n"
    expected = Split("published-00", ("ref0", "ref1"), (), ("ref2", "ref3"))
    assert read_splits(project / "mine-splits.json") == [expected]
    message = failing(capsys, *arguments, "--test", tmp_path / "shared.npy", "--out", "bad.json")
    assert "split published-00: 'ref0' is both in train and in test" in message
    assert not (project / "bad.json").exists()
    assert "data/raw/none/manifest.csv: missing" in failing(
        capsys, "data", "splits", "none", *arguments[3:], "--test", "x"
    )


def test_the_pipelines_verbs(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    params = json.dumps({"datasets": ["pool"], "labelled": ["mine"], "splits": {"count": 3}})
    text = run("fetch", "mine", "--out", "out/mine", "--params", params).stdout
    assert text == "mine: 28 images in out/mine\n"
    assert len(read_splits(project / "out/mine/splits.json")) == 3
    assert run("fetch", "pool", "--out", "out/pool").stdout == "pool: 2 images in out/pool\n"
    assert (project / "data/checksums.json").is_file()
    text = run("validate", "out/mine", "--out", "out/mine.json").stdout
    assert text.endswith("  valid\n")
    found = read_json(project / "out/mine.json")
    assert (found["rows"], found["splits"], found["problems"]) == (28, 3, [])
    run("validate", "out/mine", "--out", "out/again.json", "--jobs", 2)
    assert (project / "out/again.json").read_bytes() == (project / "out/mine.json").read_bytes()
    (project / "out/pool/images/a.png").unlink()
    message = failing(capsys, "validate", "out/pool", "--out", "out/pool.json")
    assert message.startswith("pool: problems: 1, the first: out/pool/images/a.png: no such image")
    assert not (project / "out/pool.json").exists()
    message = failing(capsys, "fetch", "mine", "--out", "out/x", "--params", '{"datasets": ["a"], "labeled": []}')
    assert message.startswith("--params: labeled: unknown key in the top level; did you mean 'labelled'?")
