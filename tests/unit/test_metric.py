import json
from pathlib import Path

import numpy as np
import pytest
import torch
from metric_files import random_metric
from PIL import Image
from safetensors import safe_open
from synthetic import degraded_set, reference
from typer.testing import CliRunner

import causaliqa
from causaliqa.cli import build_app, main
from causaliqa.config import Base, Embed, PretrainChoices, Project
from causaliqa.disentangle.features import embed_set
from causaliqa.disentangle.training import pretrain
from causaliqa.errors import DataError, ModelError
from causaliqa.io import read_tensors, write_tensors
from causaliqa.labelfree.stage import run
from causaliqa.tables import read_scores

CHOICES = PretrainChoices(width=4, scales=2, channels=2, groups=2, crop=32, steps=1)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("metric")
    toy = degraded_set(folder / "toy")
    pretrain(
        [toy],
        folder / "model",
        scenario="s",
        variant="full",
        seed=0,
        choices=CHOICES,
        base=Base(),
        checkpoints=folder / "ck",
    )
    embed_set(folder / "model", toy, folder / "toy.parquet", 95.0)
    run(folder / "model", [folder / "toy.parquet"], folder / "out", Project(), Embed())
    return folder


@pytest.fixture(scope="module")
def metric_file(trained: Path) -> Path:
    return trained / "out" / "metric.safetensors"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    x = reference("a", 64)
    noise = np.random.default_rng(0).standard_normal(x.shape)
    Image.fromarray(x).save(tmp_path / "ref.png")
    for name, amount in (("mild", 5), ("severe", 40)):
        Image.fromarray(np.clip(x + amount * noise, 0, 255).astype(np.uint8)).save(tmp_path / f"{name}.png")
    return tmp_path


def command(*arguments: object) -> str:
    result = CliRunner().invoke(build_app(), [str(item) for item in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_metric_file_gives_the_scores_of_the_stage(trained: Path, metric_file: Path) -> None:
    from causaliqa.datasets.shards import DegradedSet
    from causaliqa.disentangle.features import to_tensor

    table = read_scores(trained / "out" / "scores.parquet")
    stored = DegradedSet(trained / "toy")
    for projection in ("pc1", "norm", "mahalanobis"):
        metric = causaliqa.load_metric(metric_file, projection)
        rows = table[table["method"] == f"disentangle-{projection}"].set_index("image")
        for image, x, y, _ in stored.pairs("e"):
            if "/reference/" not in image:
                assert float(metric(to_tensor(x), to_tensor(y))) == pytest.approx(rows.loc[image, "score"], rel=1e-4)


def test_the_module_is_a_batch_function_with_gradients(metric_file: Path) -> None:
    metric = causaliqa.load_metric(metric_file)
    x = torch.rand(2, 3, 50, 70)
    y = (0.7 * x + 0.1).requires_grad_()
    both = metric(x, y)
    assert both.shape == (2,)
    assert metric(x[1:], y[1:]).item() == pytest.approx(both[1].item(), rel=1e-5)
    both.sum().backward()
    assert y.grad is not None
    assert float(y.grad.abs().sum()) > 0
    assert metric(x, x).tolist() == [0.0, 0.0]
    same = x.clone().requires_grad_()
    metric(x, same).sum().backward()
    assert same.grad is not None
    assert torch.isfinite(same.grad).all()


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (torch.rand(1, 3, 40, 40) * 255, torch.rand(1, 3, 40, 40), r"reference: values must lie in \[0, 1\]"),
        (torch.full((1, 3, 40, 40), float("nan")), torch.rand(1, 3, 40, 40), "reference: values must lie in"),
        (torch.rand(1, 1, 40, 40), torch.rand(1, 1, 40, 40), r"expected a float tensor \(N,3,H,W\)"),
        (torch.rand(1, 3, 40, 40), torch.rand(1, 3, 40, 48), "differ in shape"),
        (torch.rand(1, 3, 20, 40), torch.rand(1, 3, 20, 40), "at least 32x32"),
        (torch.zeros(1, 3, 40, 40, dtype=torch.uint8), torch.rand(1, 3, 40, 40), "expected a float tensor"),
    ],
)
def test_bad_tensors_are_named(metric_file: Path, x: torch.Tensor, y: torch.Tensor, message: str) -> None:
    with pytest.raises(DataError, match=message):
        causaliqa.load_metric(metric_file)(x, y)


def test_bad_metric_files_are_named(tmp_path: Path, metric_file: Path) -> None:
    with pytest.raises(DataError, match="no trained metric; make it with `make reproduce`"):
        causaliqa.load_metric(tmp_path / "none.safetensors")
    with pytest.raises(ModelError, match="no projection 'pca'; this metric has mahalanobis, norm, pc1"):
        causaliqa.load_metric(metric_file, "pca")
    write_tensors(tmp_path / "other.safetensors", {"a": torch.ones(1)})
    with pytest.raises(ModelError, match="not a metric file"):
        causaliqa.load_metric(tmp_path / "other.safetensors")
    (tmp_path / "cut.safetensors").write_bytes(metric_file.read_bytes()[:-9])
    with pytest.raises(DataError, match="truncated or not safetensors"):
        causaliqa.load_metric(tmp_path / "cut.safetensors")


@pytest.mark.parametrize(
    ("part", "value", "said"),
    [
        ("projection.norm", torch.ones(3, 2), "projection.norm is no finite matrix of 12 rows"),
        ("projection.norm", torch.full((12, 4), torch.nan), "projection.norm is no finite matrix of 12 rows"),
        ("groups.norm", torch.zeros(3, dtype=torch.int64), "groups.norm does not fit the columns"),
        ("groups.norm", torch.zeros(0, dtype=torch.int64), "groups.norm does not fit the columns"),
        ("groups.norm", torch.zeros(4), "groups.norm does not fit the columns"),
    ],
)
def test_a_projection_that_fits_nothing_is_refused(tmp_path: Path, part: str, value: torch.Tensor, said: str) -> None:
    path = random_metric(tmp_path / "metric.safetensors")
    with safe_open(path, "pt") as handle:
        about = handle.metadata()
    write_tensors(path, read_tensors(path) | {part: value}, about)
    with pytest.raises(ModelError, match=said):
        causaliqa.load_metric(path)


def test_score_pair_list_and_folders(files: Path, metric_file: Path) -> None:
    lines = command(
        "score", files / "ref.png", files / "mild.png", files / "severe.png", "--metric", metric_file
    ).splitlines()
    assert lines[0] == "reference,image,score"
    mild, severe = (float(line.split(",")[-1]) for line in lines[1:])
    assert 0 < mild < severe
    found = json.loads(command("score", files / "ref.png", files / "ref.png", "--json", "--metric", metric_file))
    assert found == [{"reference": str(files / "ref.png"), "image": str(files / "ref.png"), "score": 0.0}]
    (files / "list.csv").write_text("image,reference\nsevere.png,ref.png\n")
    assert (
        command("score", files / "list.csv", "--metric", metric_file).splitlines()[1].endswith(lines[2].split(",")[-1])
    )
    for folder, name in (("refs", "ref.png"), ("dists", "severe.png")):
        (files / folder).mkdir()
        (files / folder / "x.png").write_bytes((files / name).read_bytes())
    assert (
        command("score", files / "refs", files / "dists", "--metric", metric_file)
        .splitlines()[1]
        .endswith(lines[2].split(",")[-1])
    )


def test_gray_16_bit_needs_its_range_declared(files: Path, metric_file: Path) -> None:
    values = (reference("b", 64)[..., 0].astype(np.uint16)) * 16
    Image.fromarray(values).save(files / "x16.png")
    Image.fromarray((values // 64 * 64).astype(np.uint16)).save(files / "y16.png")
    declared = command("score", files / "x16.png", files / "y16.png", "--data-range", 4095, "--metric", metric_file)
    guessed_full = command("score", files / "x16.png", files / "y16.png", "--metric", metric_file)
    assert float(declared.split(",")[-1]) > float(guessed_full.split(",")[-1]) > 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("ref.png", "none.png"), "none.png: no such image"),
        (("ref.png",), "name at least one distorted image"),
        (("ref.png", "small.png"), "small.png: 40x40 pixels, its reference"),
        (("ref.png", "broken.png"), "broken.png: not a readable image"),
        (("bad.csv",), "bad.csv: needs the columns reference,image (found a, b)"),
        (("ref.png", "empty"), "empty: holds no image"),
        (("ref.png", "x16.png", "--data-range", "100"), "above the declared data range 100"),
    ],
)
def test_score_errors_are_one_line(
    files: Path, metric_file: Path, arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("RGB", (40, 40)).save(files / "small.png")
    Image.fromarray(np.full((64, 64), 4000, np.uint16)).save(files / "x16.png")
    (files / "broken.png").write_bytes((files / "ref.png").read_bytes()[:300])
    (files / "bad.csv").write_text("a,b\n1,2\n")
    (files / "empty").mkdir()
    full = [item if item.startswith("-") or item.isdigit() else str(files / item) for item in arguments]
    with pytest.raises(SystemExit) as caught:
        main(["score", *full, "--metric", str(metric_file)])
    assert caught.value.code == 1
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error:")]
    assert len(errors) == 1
    assert message in errors[0]
