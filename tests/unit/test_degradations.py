"""Every type keeps shape, dtype and range; levels are nested; randomness depends on names alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causaliqa.degradations import registry, tone
from causaliqa.degradations.blur import _disk, lens_blur, motion_blur
from causaliqa.degradations.measure import distance
from causaliqa.degradations.registry import LEVELS, TYPES, compose, degrade, imperceptible, strength_of
from causaliqa.errors import ConfigError, DataError
from causaliqa.io import sha256_bytes

KADID = [
    *("gaussian_blur", "lens_blur", "motion_blur", "colour_diffusion", "colour_shift", "colour_quantisation"),
    *("saturation_hsv", "saturation_lab", "jpeg2000", "jpeg", "white_noise", "white_noise_ycbcr", "impulse_noise"),
    *("multiplicative_noise", "denoise", "brighten", "darken", "mean_shift", "jitter", "non_eccentricity_patch"),
    *("pixelate", "quantisation", "colour_block", "high_sharpen", "contrast_change"),
]


def scene(height: int = 64, width: int = 64, *, colour: bool = True, seed: int = 0) -> np.ndarray:
    """A smooth gradient, hard-edged rectangles and some grain: something for every type to act on."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width] / max(height, width)
    image = np.stack([0.2 + 0.5 * y, 0.3 + 0.4 * x, 0.6 - 0.3 * x * y], axis=2)
    for _ in range(6):
        top, left = rng.integers(0, max(1, height - 4)), rng.integers(0, max(1, width - 4))
        image[top : top + height // 4 + 1, left : left + width // 4 + 1] = rng.random(3)
    image += 0.03 * rng.standard_normal(image.shape)
    stimulus = np.clip(image * 255, 0, 255).astype(np.uint8)
    return stimulus if colour else stimulus[..., 1].copy()


def rng() -> np.random.Generator:
    return np.random.default_rng(3)


def test_the_types_are_those_of_kadid() -> None:
    assert list(TYPES) == KADID
    assert {item.group for item in TYPES.values()} == {"blur", "colour", "compression", "noise", "spatial", "tone"}
    for item in TYPES.values():
        assert item.function.__module__ == f"causaliqa.degradations.{item.group}"
        assert item.function.__name__ == item.name
        assert "Source" in (item.function.__doc__ or "")


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from(KADID),
    level=st.sampled_from(LEVELS),
    height=st.integers(1, 41),
    width=st.integers(1, 41),
    colour=st.booleans(),
    constant=st.none() | st.sampled_from([0, 1, 128, 255]),
)
def test_shape_type_and_range_are_kept(
    name: str, level: int, height: int, width: int, colour: bool, constant: int | None
) -> None:
    colour = colour or TYPES[name].needs_colour
    stimulus = scene(height, width, colour=colour)
    if constant is not None:
        stimulus[...] = constant
    image = stimulus.astype(np.float32) / np.float32(255)
    before = image.copy()
    result = TYPES[name](image, strength_of(name, level), rng())
    assert result.dtype == np.float32
    assert result.shape == image.shape
    assert np.isfinite(result).all()
    assert result.min() >= 0
    assert result.max() <= 1
    assert np.array_equal(image, before), "the input must not be changed"
    assert degrade(stimulus, name, level, key="r", seed=0).dtype == np.uint8


@pytest.mark.parametrize("name", KADID)
@pytest.mark.parametrize("end", [0, 1])
def test_both_bounds_are_valid(name: str, end: int) -> None:
    stimulus = scene(48, 40)
    result = registry.degrade_by(stimulus, name, TYPES[name].bounds[end], key="r", seed=0)
    assert result.shape == stimulus.shape
    assert not np.array_equal(result, stimulus) or (name, end) == ("gaussian_blur", 0)


@pytest.mark.parametrize("name", KADID)
def test_flags_are_true(name: str) -> None:
    item = TYPES[name]
    image = scene().astype(np.float32) / np.float32(255)
    strength = strength_of(name, 4)
    first, second = (item(image, strength, np.random.default_rng(seed)) for seed in (1, 2))
    assert np.array_equal(first, second) == item.deterministic
    gray = np.repeat(image[..., :1], 3, axis=2)
    if name in ("colour_diffusion", "saturation_hsv", "saturation_lab"):
        assert np.abs(item(gray, strength, rng()) - gray).max() < 2 / 255, "colour types leave grey alone"
    if item.integer:
        assert all(strength_of(name, level).is_integer() for level in LEVELS)


@pytest.mark.parametrize("name", KADID)
@pytest.mark.parametrize("colour", [True, False])
def test_severity_rises_with_the_level(name: str, colour: bool) -> None:
    if TYPES[name].needs_colour and not colour:
        pytest.skip("needs colour")
    stimulus = scene(96, 96, colour=colour)
    values = [distance(stimulus, degrade(stimulus, name, level, key="r", seed=0)) for level in LEVELS]
    assert values[0] > 0
    assert values[-1] > 1.5 * values[0]


def test_levels_are_nested() -> None:
    stimulus = scene()
    for name in ("impulse_noise", "non_eccentricity_patch", "colour_block"):
        covered = np.zeros(stimulus.shape, dtype=bool)
        last = stimulus
        for level in LEVELS:
            now = degrade(stimulus, name, level, key="r", seed=0)
            assert np.array_equal(now[covered], last[covered]), f"{name}: what level {level - 1} covered has changed"
            covered |= now != stimulus
            last = now
    noise = [degrade(np.full((64, 64), 128, np.uint8), "white_noise", level, key="r", seed=0) for level in (2, 3)]
    a, b = (image.astype(float).ravel() - 128 for image in noise)
    assert np.corrcoef(a, b)[0, 1] > 0.99


def test_patterns_depend_on_reference_type_and_seed_alone() -> None:
    stimulus = scene()
    first = degrade(stimulus, "jitter", 3, key="a", seed=0)
    degrade(stimulus, "white_noise", 2, key="b", seed=5)
    np.random.default_rng().random(3)
    assert np.array_equal(degrade(stimulus, "jitter", 3, key="a", seed=0), first)
    assert not np.array_equal(degrade(stimulus, "jitter", 3, key="b", seed=0), first)
    assert not np.array_equal(degrade(stimulus, "jitter", 3, key="a", seed=1), first)


_DIGEST_SCRIPT = """
import numpy as np, hashlib
from causaliqa.degradations.registry import TYPES, degrade
image = (np.arange(48 * 52 * 3).reshape(48, 52, 3) * 37 % 251).astype(np.uint8)
digest = hashlib.sha256()
for name in sorted(TYPES):
    digest.update(degrade(image, name, 3, key="r", seed=7).tobytes())
print(digest.hexdigest())
"""


def test_another_process_makes_the_same_pixels() -> None:
    image = (np.arange(48 * 52 * 3).reshape(48, 52, 3) * 37 % 251).astype(np.uint8)
    backwards = {name: degrade(image, name, 3, key="r", seed=7) for name in sorted(TYPES, reverse=True)}
    here = sha256_bytes(b"".join(backwards[name].tobytes() for name in sorted(TYPES)))
    there = subprocess.run([sys.executable, "-c", _DIGEST_SCRIPT], capture_output=True, text=True, check=True)
    assert there.stdout.strip() == here


@settings(max_examples=15, deadline=None)
@given(chain=st.lists(st.tuples(st.sampled_from(KADID), st.sampled_from(LEVELS)), min_size=1, max_size=3))
def test_a_chain_is_its_steps_in_order(chain: list[tuple[str, int]]) -> None:
    stimulus = scene(40, 36)
    expected = stimulus
    for name, level in chain:
        expected = degrade(expected, name, level, key="r", seed=2)
    assert np.array_equal(compose(stimulus, chain, key="r", seed=2), expected)


@pytest.mark.parametrize("colour", [True, False])
@pytest.mark.parametrize("variant", [1, 2, 3])
def test_imperceptible_copies_are_close_but_not_equal(variant: int, colour: bool) -> None:
    stimulus = scene(64, 60, colour=colour)
    copy = imperceptible(stimulus, variant, key="r", seed=0)
    assert copy.shape == stimulus.shape
    assert copy.dtype == np.uint8
    difference = np.abs(copy.astype(int) - stimulus)
    assert 0 < difference.mean() <= 2.5
    if variant != 2:
        assert difference.max() == 1
    assert np.array_equal(copy, imperceptible(stimulus, variant, key="r", seed=0))
    assert distance(stimulus, copy) < distance(stimulus, degrade(stimulus, "white_noise", 2, key="r", seed=0))


def test_extreme_stimuli_stay_in_range_when_imperceptible() -> None:
    for value in (0, 255):
        flat = np.full((16, 16), value, np.uint8)
        for variant in (1, 2, 3):
            assert np.abs(imperceptible(flat, variant, key="r", seed=0).astype(int) - value).max() <= 1


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda s: degrade(s, "gausian_blur", 1, key="r", seed=0), ConfigError, "did you mean 'gaussian_blur'"),
        (lambda s: degrade(s, "jpeg", 6, key="r", seed=0), ConfigError, "level 6"),
        (lambda s: degrade(s, "jpeg", 0, key="r", seed=0), ConfigError, "level 0"),
        (lambda s: degrade(s[..., 0], "saturation_hsv", 1, key="r", seed=0), DataError, "needs a colour image"),
        (lambda s: degrade(s.astype(float), "jpeg", 1, key="r", seed=0), DataError, "uint8"),
        (lambda s: degrade(s[..., :2], "jpeg", 1, key="r", seed=0), DataError, "(H, W, 3)"),
        (lambda s: imperceptible(s, 4, key="r", seed=0), ConfigError, "1 to 3"),
    ],
)
def test_wrong_calls_say_what_is_wrong(call: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error) as caught:
        call(scene(32, 32))
    assert text in str(caught.value)


def test_grey_references_skip_colour_types() -> None:
    grey = registry.applicable(list(TYPES), grayscale=True)
    assert len(grey) == 25 - 6
    assert "colour_block" in grey
    assert "colour_shift" not in grey
    assert registry.applicable(["jpeg", "gaussian_blur"], grayscale=False) == ["gaussian_blur", "jpeg"]


def test_ladder_positions_are_on_the_scale_of_noise() -> None:
    assert [registry.position_of("white_noise", level) for level in LEVELS] == [1, 2, 3, 4, 5]
    assert registry.position_of("mean_shift", 5) < registry.position_of("white_noise", 2)
    for name in TYPES:
        positions = np.array([0, *(registry.position_of(name, level) for level in LEVELS)])
        # Equal steps, as far as whole-number parameters allow.
        tolerance = 0.5 if TYPES[name].integer else 0.1
        assert np.abs(np.diff(positions) - positions[-1] / 5).max() <= tolerance


def test_disk_is_a_disk() -> None:
    kernel = _disk(6.0)
    assert kernel.shape == (13, 13)
    assert kernel.sum() == pytest.approx(1)
    assert kernel.max() * np.pi * 36 == pytest.approx(1, rel=0.01)
    assert np.array_equal(kernel, kernel.T)
    assert _disk(0.4).shape == (1, 1)


def test_lens_and_motion_blur_have_the_spread_of_their_optics() -> None:
    point = np.zeros((41, 41), np.float32)
    point[20, 20] = 1
    disk = lens_blur(point, 5.0, rng()).astype(np.float64)
    x = np.arange(41) - 20
    assert disk.sum() == pytest.approx(1, abs=1e-4)
    assert (disk.sum(axis=0) * x**2).sum() == pytest.approx(25 / 4, rel=0.02)  # variance of a disk: r^2 / 4
    assert np.unravel_index(disk[15:26, 15:26].argmax(), (11, 11)) is not None
    assert np.abs(disk - disk[::-1, ::-1]).max() < 1e-6
    line = motion_blur(point, 7.0, rng())
    assert np.array_equal(np.flatnonzero(line[20] > 1e-6), np.arange(17, 24))
    assert np.abs(line[20, 17:24] - 1 / 7).max() < 1e-6
    assert motion_blur(point, 7.5, rng())[20, 16] == pytest.approx(0.25 / 7.5, rel=1e-4)


def test_quantisation_is_the_best_partition() -> None:
    values = np.array([0, 2, 4, 100, 103, 250], np.uint8)
    image = values.repeat(7).reshape(6, 7).astype(np.float32) / 255
    result = np.rint(tone.quantisation(image, 3, rng()) * 255 * 2) / 2
    assert np.array_equal(result[:, 0], [2, 2, 2, 101.5, 101.5, 250])
    assert np.allclose(tone.quantisation(image, 64, rng()), image, atol=1e-6), "enough levels change nothing"


def test_noise_has_the_stated_deviation() -> None:
    flat = np.full((128, 128, 3), 128, np.uint8)
    noisy = degrade(flat, "white_noise", 2, key="r", seed=0).astype(float) - 128
    assert noisy.std() / 255 == pytest.approx(strength_of("white_noise", 2), rel=0.03)
    hit = degrade(flat, "impulse_noise", 5, key="r", seed=0) != flat
    assert hit.mean() == pytest.approx(strength_of("impulse_noise", 5), rel=0.1)


def test_the_documented_table_is_the_ladder() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "degradations.md").read_text(encoding="utf-8")
    rows = [
        [cell.strip() for cell in line.strip("| ").split("|")] for line in text.splitlines() if line.startswith("| `")
    ]
    assert [row[0].strip("`") for row in rows] == KADID
    for name, group, unit, values, positions, flags, _ in rows:
        item = TYPES[name.strip("`")]
        assert (group, unit) == (item.group, item.unit)
        assert values == ", ".join(f"{strength_of(item.name, level):.4g}" for level in LEVELS)
        assert positions == ", ".join(f"{registry.position_of(item.name, level):.2f}" for level in LEVELS)
        expected = [("C", item.needs_colour), ("R", not item.deterministic), ("L", not item.homogeneous)]
        assert flags.split() == [letter for letter, holds in expected if holds]
