"""Verb score with a classical metric, on whole images and on regions."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data
from typer.testing import CliRunner

from causaliqa.baselines.registry import get
from causaliqa.cli import build_app, main

PHOTO = data.astronaut()[:200, :180]


@pytest.fixture
def files(tmp_path: Path) -> Path:
    noise = np.random.default_rng(0).standard_normal(PHOTO.shape)
    mask = np.zeros(PHOTO.shape[:2], np.uint8)
    mask[80:120, 60:100] = 1
    for name, image in {
        "ref": PHOTO,
        "mild": np.clip(PHOTO + 5 * noise, 0, 255).astype(np.uint8),
        "severe": np.clip(PHOTO + 40 * noise, 0, 255).astype(np.uint8),
        "gray": PHOTO[..., 1],
        "mask": mask,
        "rgbmask": np.stack([mask, 0 * mask, 0 * mask], axis=2) * 200,
        "mask16": mask.astype(np.uint16) * 300,
        "small": mask[:-1],
        "none": 0 * mask,
        "tiny": PHOTO[:20, :20],
    }.items():
        Image.fromarray(image).save(tmp_path / f"{name}.png")
    return tmp_path


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path))


def command(*arguments: object) -> tuple[str, str]:
    result = CliRunner().invoke(build_app(), [str(item) for item in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout, result.stderr


@pytest.mark.parametrize("name", ["psnr", "gmsd", "mad", "haarpsi"])
def test_classical_scores_with_their_polarity(files: Path, name: str) -> None:
    text, notes = command("score", files / "ref.png", files / "mild.png", files / "severe.png", "--baseline", name)
    metric = get(name)
    lines = text.splitlines()
    assert lines[0] == "reference,image,score,metric,better"
    for line, image in zip(lines[1:], ("mild", "severe"), strict=True):
        expected = metric.function(PHOTO, pixels(files / f"{image}.png"))
        assert line == f"{files / 'ref.png'},{files / f'{image}.png'},{expected:.6g},{name},{metric.better}"
    low, high = metric.range
    assert f"{name}: {metric.title}, {metric.better} is better, range {low:g} to {high:g}" in notes


def test_json_of_identical_images_is_valid(files: Path) -> None:
    text, _ = command("score", files / "ref.png", files / "ref.png", "--baseline", "psnr", "--json")

    def refuse(constant: str) -> float:
        raise AssertionError(constant)

    (row,) = json.loads(text, parse_constant=refuse)
    assert row == {
        "reference": str(files / "ref.png"),
        "image": str(files / "ref.png"),
        "score": 100.0,
        "metric": "psnr",
        "better": "higher",
    }


@pytest.mark.parametrize("mask", ["mask", "rgbmask"])
def test_a_mask_selects_the_pixels_that_are_not_black(files: Path, mask: str) -> None:
    region = np.zeros(PHOTO.shape[:2], dtype=bool)
    region[80:120, 60:100] = True
    for name in ("psnr", "ssim", "ms_gmsdc"):
        expected = get(name).score(PHOTO, pixels(files / "severe.png"), mask=region)
        text, _ = command(
            "score", files / "ref.png", files / "severe.png", "--baseline", name, "--mask", files / f"{mask}.png"
        )
        assert text.splitlines()[1].split(",")[2] == f"{expected:.6g}"
        assert expected != get(name).function(PHOTO, pixels(files / "severe.png"))


def test_gray_and_colour_and_declared_ranges(files: Path) -> None:
    text, _ = command("score", files / "gray.png", files / "ref.png", "--baseline", "gmsd")
    gray = np.repeat(PHOTO[..., 1:2], 3, axis=2)
    assert text.splitlines()[1].split(",")[2] == f"{get('gmsd').function(gray, PHOTO):.6g}"

    twelve = PHOTO[..., 1].astype(np.uint16) * 16
    Image.fromarray(twelve).save(files / "x12.png")
    Image.fromarray(twelve // 128 * 128).save(files / "y12.png")
    text, _ = command("score", files / "x12.png", files / "y12.png", "--baseline", "psnr", "--data-range", 4095)
    expected = get("psnr").function(twelve, twelve // 128 * 128, data_range=4095)
    assert text.splitlines()[1].split(",")[2] == f"{expected:.6g}"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("ref.png", "mild.png", "--mask", "mask.png"), "--mask needs a --baseline that takes one"),
        (("ref.png", "mild.png", "--baseline", "vif", "--mask", "mask.png"), "vif takes no mask; leave it out or"),
        (("ref.png", "mild.png", "--baseline", "gmsx"), "no metric is named 'gmsx'; did you mean 'gmsd'?"),
        (("ref.png", "mild.png", "--baseline", "gmsd", "--projection", "norm"), "leave out --metric and --projection"),
        (("ref.png", "mild.png", "--baseline", "gmsd", "--metric", "mask.png"), "leave out --metric and --projection"),
        (("ref.png", "mild.png", "--baseline", "ssim", "--mask", "small.png"), "small.png: is 199x180, the images 200"),
        (("ref.png", "mild.png", "--baseline", "ssim", "--mask", "none.png"), "none.png: no pixel counts; set the"),
        (("ref.png", "mild.png", "--baseline", "ssim", "--mask", "mask16.png"), "mask16.png: a mask is an image of 8"),
        (("ref.png", "mild.png", "--baseline", "ssim", "--mask", "absent.png"), "absent.png: no such image"),
        (("ref.png", "tiny.png", "--baseline", "ssim"), "tiny.png: 20x20 pixels, its reference"),
        (("tiny.png", "tiny.png", "--baseline", "mad"), "tiny.png: MAD is defined from 34x34 pixels on"),
        (("ref.png", "mild.png", "--baseline", "ssim", "--data-range", "100"), "above the declared data range 100"),
    ],
)
def test_errors_are_one_line_and_name_the_file(
    files: Path, arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    full = [str(files / item) if item.endswith(".png") else item for item in arguments]
    with pytest.raises(SystemExit) as caught:
        main(["score", *full])
    assert caught.value.code == 1
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error:")]
    assert len(errors) == 1
    assert message in errors[0]
