"""Verb score on many pairs: rows as they are ready, damaged files, processes, memory of a reference."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from metric_files import random_metric
from PIL import Image
from synthetic import reference

import causaliqa
from causaliqa.cli import main
from causaliqa.cli import score as verb
from causaliqa.errors import DataError
from causaliqa.images import ImageRules

PAIRS = 100


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hundred tiny pairs in two folders, two of them damaged, and a metric."""
    folder = tmp_path_factory.mktemp("pairs")
    for part in ("references", "distorted"):
        (folder / part).mkdir()
    random_metric(folder / "metric.safetensors")
    x = reference("a", 48)
    for index in range(PAIRS):
        shifted = np.roll(x, index, axis=1)
        Image.fromarray(shifted).save(folder / f"references/{index:03}.png")
        Image.fromarray(shifted // 2).save(folder / f"distorted/{index:03}.png")
    (folder / "distorted/013.png").write_bytes((folder / "distorted/013.png").read_bytes()[:150])
    Image.fromarray(x[:40]).save(folder / "distorted/077.png")
    return folder


def run(files: Path, capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, str, list[str]]:
    """Score both folders; return the status, standard output and the lines of errors."""
    with pytest.raises(SystemExit) as stop:
        main(
            ["score", str(files / "references"), str(files / "distorted"),
             "--metric", str(files / "metric.safetensors"), *options]
        )  # fmt: skip
    heard = capsys.readouterr()
    return int(stop.value.code or 0), heard.out, [x for x in heard.err.splitlines() if x.startswith("error:")]


def test_damaged_pairs_are_named_and_the_others_scored(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, errors = run(files, capsys)
    rows = list(csv.DictReader(io.StringIO(out)))
    assert code == 1
    assert [Path(row["image"]).stem for row in rows] == [f"{index:03}" for index in range(PAIRS)]
    assert [Path(row["image"]).stem for row in rows if not row["score"]] == ["013", "077"]
    metric = causaliqa.load_metric(files / "metric.safetensors")

    def tensor(path: str) -> torch.Tensor:
        values = np.asarray(Image.open(path)).astype(np.float32) / np.float32(255)
        return torch.from_numpy(values.transpose(2, 0, 1)[None].copy())

    for row in rows[10:13]:
        assert row["score"] == f"{float(metric(tensor(row['reference']), tensor(row['image']))):.6g}"
    assert len(errors) == 3
    assert "distorted/013.png: not a readable image" in errors[0]
    assert "distorted/077.png: 48x40 pixels, its reference" in errors[1]
    assert errors[2] == "error: 2 of 100 pairs could not be scored, see above; the others were"


def test_processes_change_nothing(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    alone = run(files, capsys, "--json")
    spread = run(files, capsys, "--json", "--jobs", "2")
    assert spread[0] == alone[0] == 1
    assert spread[2] == alone[2]
    one, two = json.loads(alone[1]), json.loads(spread[1])
    assert [row | {"score": 0} for row in two] == [row | {"score": 0} for row in one]
    for mine, theirs in zip(one, two, strict=True):
        if mine["score"] is None:
            assert theirs["score"] is None
            assert "not a readable image" in mine["error"] or "48x40 pixels" in mine["error"]
        else:
            assert theirs["score"] == pytest.approx(mine["score"], rel=1e-5)


@pytest.mark.parametrize("form", ["csv", "json"])
def test_what_was_scored_survives_an_interruption(
    files: Path, form: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[str] = []

    def three_then_stop(self: verb._Scorer, pair: verb.Pair) -> verb.Outcome:
        if len(seen) == 3:
            flushed.append(capsys.readouterr().out)
            raise KeyboardInterrupt
        seen.append(pair)
        return 0.5, None, None

    seen: list[verb.Pair] = []
    monkeypatch.setattr(verb._Scorer, "__call__", three_then_stop)
    code, end, _ = run(files, capsys, *(["--json"] if form == "json" else []))
    assert code != 0
    if form == "csv":
        assert [row["score"] for row in csv.DictReader(io.StringIO(flushed[0]))] == ["0.5"] * 3
    else:
        assert [row["score"] for row in json.loads(flushed[0] + end)] == [0.5] * 3


def test_a_damaged_reference_is_named_once(tmp_path: Path, files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "ref.png").write_bytes(b"no image")
    images = [str(files / f"distorted/00{index}.png") for index in range(4)]
    with pytest.raises(SystemExit) as stop:
        main(["score", str(tmp_path / "ref.png"), *images, "--metric", str(files / "metric.safetensors")])
    heard = capsys.readouterr()
    assert stop.value.code == 1
    assert heard.err.count("ref.png: not a readable image") == 1
    assert "4 of 4 pairs could not be scored" in heard.err
    assert len(heard.out.splitlines()) == 5


def test_a_reference_is_prepared_once(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scorer = verb._Scorer(verb._Choice(str(files / "metric.safetensors"), None, None, None, None, ImageRules()))
    prepared: list[int] = []
    inner = scorer.prepare

    def counted(pixels: np.ndarray) -> object:
        prepared.append(1)
        return inner(pixels)

    monkeypatch.setattr(scorer, "prepare", counted)
    one, two = files / "references/001.png", files / "references/002.png"
    scores = [scorer((a, files / "distorted/003.png")) for a in (one, one, two, one)]
    assert len(prepared) == 3
    assert scores[0] == scores[1] == scores[3]
    assert scores[0] != scores[2]


def test_an_empty_list_gives_an_empty_table(tmp_path: Path, files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "list.csv").write_text("reference,image\n")
    for options, expected in (([], "reference,image,score\n"), (["--json", "--jobs", "3"], "[]\n")):
        with pytest.raises(SystemExit) as stop:
            main(["score", str(tmp_path / "list.csv"), "--metric", str(files / "metric.safetensors"), *options])
        assert stop.value.code == 0
        assert capsys.readouterr().out == expected


def test_on_a_terminal_rows_and_bar_keep_apart(
    files: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    code, out, _ = run(files, capsys)
    assert code == 1
    assert len(list(csv.reader(io.StringIO(out)))) == PAIRS + 1


@pytest.mark.parametrize("known", [1, 2])
def test_a_prepared_reference_scores_as_the_pair_does(files: Path, known: int) -> None:
    metric = causaliqa.load_metric(files / "metric.safetensors")
    x = torch.rand(known, 3, 50, 70, generator=torch.Generator().manual_seed(0))
    y = (0.5 * x).requires_grad_()
    score = metric.against(metric.prepare(x), y)
    assert torch.equal(score, metric(x, y))
    with torch.inference_mode():
        assert torch.equal(metric.against(metric.prepare(x), y.detach()), score.detach())
    score.sum().backward()
    assert y.grad is not None
    assert float(y.grad.abs().sum()) > 0
    with pytest.raises(DataError, match="differ in shape"):
        metric.against(metric.prepare(x), torch.rand(3 if known == 2 else 1, 3, 50, 72))
    with pytest.raises(DataError, match=r"distorted: values must lie in \[0, 1\]"):
        metric.against(metric.prepare(x), x + 2)


def test_one_reference_serves_a_batch(files: Path) -> None:
    metric = causaliqa.load_metric(files / "metric.safetensors")
    x = torch.rand(1, 3, 50, 70)
    y = torch.rand(3, 3, 50, 70)
    expected = metric(x.expand(3, -1, -1, -1).contiguous(), y)
    assert metric.against(metric.prepare(x), y).tolist() == pytest.approx(expected.tolist(), rel=1e-5)
    with pytest.raises(DataError, match="holds no pixel"):
        metric.prepare(x[:0])


def pools() -> Iterator[list[torch.Tensor]]:
    torch.manual_seed(0)
    maps = [torch.randn(2, 3, 24, 17), torch.randn(2, 3, 12, 9), torch.zeros(2, 3, 4, 4), torch.randn(2, 3, 1, 2)]
    yield maps
    yield [item.contiguous(memory_format=torch.channels_last) for item in maps]


@pytest.mark.parametrize("percentile", [50.5, 95.0, 99.9])
def test_the_percentile_is_the_same_with_and_without_gradients(percentile: float) -> None:
    from causaliqa.disentangle.features import pool

    for maps in pools():
        alike = [torch.ones_like(item[:, :1]) for item in maps]
        found = pool([item.clone().requires_grad_() for item in maps], alike, percentile)
        assert torch.equal(pool(maps, alike, percentile), found.detach())


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_sixteen_bits_that_use_twelve_are_noted_once(
    tmp_path: Path, files: Path, capsys: pytest.CaptureFixture[str], jobs: str
) -> None:
    twelve = np.random.default_rng(0).integers(0, 4096, (48, 48), dtype=np.uint16)
    for name in ("a", "b"):
        for part, image in (("references", twelve), ("distorted", twelve // 2)):
            (tmp_path / part).mkdir(exist_ok=True)
            Image.fromarray(image).save(tmp_path / part / f"{name}.png")
    metric = ["--metric", str(files / "metric.safetensors"), "--jobs", jobs]
    folders = [str(tmp_path / "references"), str(tmp_path / "distorted")]
    with pytest.raises(SystemExit):
        main(["score", *folders, *metric])
    heard = capsys.readouterr()
    assert len(heard.out.splitlines()) == 3
    notes = [line for line in heard.err.splitlines() if line.startswith("note:")]
    assert len(notes) == 1
    assert "a.png: 16-bit values up to 4093 only" in notes[0]
    assert "--data-range 4095 where the values have 12 bits" in notes[0]
    for more in (["--data-range", "4095"], ["--image-rules", '{"data_range": 4095}']):
        with pytest.raises(SystemExit):
            main(["score", *folders, *metric, *more])
        said = capsys.readouterr()
        assert "note:" not in said.err
        assert said.out != heard.out


def test_rules_for_what_a_file_leaves_open(tmp_path: Path, files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clear = np.full((48, 48, 4), 90, dtype=np.uint8)
    Image.fromarray(clear).save(tmp_path / "clear.png")
    pair = ["score", str(tmp_path / "clear.png"), str(tmp_path / "clear.png")]
    metric = ["--metric", str(files / "metric.safetensors")]
    with pytest.raises(SystemExit) as stop:
        main([*pair, *metric])
    heard = capsys.readouterr()
    assert stop.value.code == 1
    assert heard.out == ""
    assert "declare image_rules.alpha" in heard.err
    with pytest.raises(SystemExit) as stop:
        main([*pair, *metric, "--image-rules", '{"alpha": "white"}'])
    assert stop.value.code == 0
    assert capsys.readouterr().out.endswith(",0\n")
    with pytest.raises(SystemExit):
        main([*pair, *metric, "--image-rules", '{"alfa": "white"}'])
    assert "--image-rules: alfa: Extra inputs are not permitted" in capsys.readouterr().err
