import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from image_files import encode
from PIL import Image
from pydantic import ValidationError

from causaliqa import images
from causaliqa.errors import DataError


@given(npst.arrays(np.uint16, npst.array_shapes(min_dims=2, max_dims=2, max_side=9)))
def test_16_bit_gray_survives_png(values: np.ndarray) -> None:
    source = images.decode_image(images.encode_png(values), "x")
    assert source.bit_depth == 16
    assert source.values.dtype == np.uint16
    assert np.array_equal(source.values, values)


@given(
    st.one_of(
        npst.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9))),
        npst.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3))),
    )
)
def test_8_bit_survives_png(values: np.ndarray) -> None:
    source = images.decode_image(images.encode_png(values), "x")
    assert source.bit_depth == 8
    assert np.array_equal(source.values, values)


def test_a_12_bit_image_in_a_16_bit_file_is_read_with_its_declared_range() -> None:
    source = images.decode_image(images.encode_png(np.array([[0, 2048, 4095]], dtype=np.uint16)), "x")
    assert source.to_float(4095).tolist()[0] == pytest.approx([0.0, 2048 / 4095, 1.0])
    assert source.to_float().max() == pytest.approx(4095 / 65535)
    with pytest.raises(DataError, match="4095, above the declared data range 4000"):
        source.to_float(4000)


@pytest.mark.parametrize(
    ("mode", "message"),
    [
        ("RGBA", "transparent pixels; composite it on the background"),
        ("LA", "transparent pixels; composite it on the background"),
        ("CMYK", "is a CMYK image; convert it to RGB with its colour profile"),
        ("I", "signed values of 32 bits.*save it as unsigned 8- or 16-bit"),
    ],
)
def test_modes_whose_conversion_would_be_a_guess_are_refused(mode: str, message: str) -> None:
    content = encode(Image.new(mode, (4, 4)), "TIFF")
    with pytest.raises(DataError, match=f"scan: .*{message}"):
        images.decode_image(content, "scan")


def test_float_values_need_a_declared_range() -> None:
    values = np.array([[0.0, 0.5, 2.0]], dtype=np.float32)
    source = images.decode_image(encode(Image.fromarray(values), "TIFF"), "x")
    assert source.values.dtype == np.float32
    assert source.bit_depth == 32
    assert source.full_range is None
    assert np.array_equal(source.values, values)
    with pytest.raises(DataError, match="float values have no full range; declare data_range"):
        source.to_float()
    with pytest.raises(DataError, match="above the declared data range 1"):
        source.to_float(1)
    assert source.to_float(2).tolist() == [[0.0, 0.25, 1.0]]
    declared = images.decode_image(encode(Image.fromarray(values), "TIFF"), "x", images.ImageRules(data_range=2))
    assert declared.white == 2
    assert declared.to_float().tolist() == [[0.0, 0.25, 1.0]]
    negative = images.SourceImage(-values, 32)
    with pytest.raises(DataError, match=r"the value -2\.0, below 0; shift"):
        negative.to_float(2)


def test_a_rule_declares_the_range_of_integers() -> None:
    content = images.encode_png(np.array([[0, 4095]], dtype=np.uint16))
    source = images.decode_image(content, "x", images.ImageRules(data_range=4095))
    assert source.full_range == 65535
    assert source.to_float().tolist() == [[0.0, 1.0]]
    assert images.decode_image(content, "x").white == 65535


def test_rules_are_checked() -> None:
    with pytest.raises(ValidationError, match="lower < upper"):
        images.ImageRules(window=(5, 5))


@pytest.mark.parametrize(
    "values", [np.zeros((2, 2)), np.zeros((2, 2, 4), np.uint8), np.zeros(4, np.uint8), np.zeros((2, 2), np.int16)]
)
def test_what_png_cannot_hold_is_refused(values: np.ndarray) -> None:
    with pytest.raises(DataError, match="a PNG holds uint8 or uint16 values"):
        images.encode_png(values)


def test_a_stimulus_is_8_bit() -> None:
    with pytest.raises(DataError, match="a stimulus is uint8, not uint16"):
        images.to_float(np.zeros((2, 2), np.uint16))
    assert images.as_rgb(np.array([[7]], np.uint8)).tolist() == [[[7, 7, 7]]]


def test_importing_loads_no_decoder_that_is_not_needed() -> None:
    code = (
        "import sys, causaliqa.images; print(sorted({'tifffile', 'pydicom', 'openjpeg', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_damage_is_named(tmp_path: Path) -> None:
    content = images.encode_png(np.random.default_rng(0).integers(0, 255, (64, 64), dtype=np.uint8))
    (tmp_path / "cut.png").write_bytes(content[: len(content) // 2])
    (tmp_path / "text.png").write_text("no image")
    for name in ("cut.png", "text.png"):
        with pytest.raises(DataError, match=rf"{name}: not a readable image .*replace the file"):
            images.read_image(tmp_path / name)
    with pytest.raises(DataError, match=r"none\.png: no such image"):
        images.read_image(tmp_path / "none.png")
    with pytest.raises(DataError, match="is a folder"):
        images.read_image(tmp_path)
    looped = tmp_path / "loop.png"
    looped.symlink_to(looped)
    with pytest.raises(DataError, match=r"loop\.png: cannot be read .*; check"):
        images.read_image(looped)


def test_a_bomb_is_refused_before_it_is_decoded() -> None:
    content = encode(Image.new("1", (3000, 3000)))
    with pytest.raises(DataError, match="bomb: 3000x3000 pixels, more than the limit of 1000000"):
        images.decode_image(content, "bomb", max_pixels=1_000_000)


def test_animations_are_refused() -> None:
    buffer = io.BytesIO()
    frames = [Image.new("L", (4, 4), color) for color in (0, 200)]
    frames[0].save(buffer, format="TIFF", save_all=True, append_images=frames[1:])
    with pytest.raises(DataError, match="holds 2 frames"):
        images.decode_image(buffer.getvalue(), "x")


def test_rounding_to_uint8() -> None:
    assert images.to_uint8(np.array([-1.0, 0.0, 0.5 / 255, 0.49 / 255, 1.0, 2.0])).tolist() == [0, 0, 1, 0, 255, 255]
    every = np.arange(256, dtype=np.uint8).reshape(16, 16)
    assert np.array_equal(images.to_uint8(images.to_float(every)), every)
