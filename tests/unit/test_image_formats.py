"""Every format, depth and number of channels: the right values, or a refusal that names the remedy."""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from image_files import dicom, encode, exif, plain_tiff, png, png_chunk, tiff
from PIL import Image, ImageFile

from causaliqa.errors import DataError
from causaliqa.images import ImageRules, SourceImage, decode_image, encode_png

GRAY, RGB, PALETTE, GRAY_ALPHA, RGB_ALPHA = 0, 2, 3, 4, 6
RNG = np.random.default_rng(0)


def read(content: bytes, **rules: Any) -> np.ndarray:
    return decode_image(content, "scan", ImageRules(**rules)).values


def refused(content: bytes, message: str, **rules: Any) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read(content, **rules)
    assert str(caught.value).startswith("scan: ")
    assert ";" in str(caught.value)
    assert "\n" not in str(caught.value)


def noise(dtype: Any, *shape: int) -> np.ndarray:
    return RNG.integers(0, np.iinfo(dtype).max, shape, dtype=dtype, endpoint=True)


def arrays(dtype: Any, *channels: int) -> st.SearchStrategy[np.ndarray]:
    sides = st.tuples(st.integers(1, 9), st.integers(1, 9))
    shapes = st.one_of([sides if n == 1 else sides.map(lambda s, n=n: (*s, n)) for n in channels])
    return shapes.flatmap(lambda shape: npst.arrays(dtype, shape))


INTEGERS = st.one_of(arrays(np.uint8, 1, 3), arrays(np.uint16, 1, 3))


def same(source: Any, values: np.ndarray) -> None:
    assert source.values.dtype == values.dtype
    assert source.bit_depth == 8 * values.dtype.itemsize
    assert np.array_equal(source.values, values)


# --- lossless formats: what was written is read ---------------------------------------------------------------------


@given(INTEGERS, st.lists(st.integers(0, 4), min_size=1, max_size=5), st.booleans())
def test_png(values: np.ndarray, filters: list[int], interlaced: bool) -> None:
    samples = values.reshape(*values.shape[:2], -1).astype(int)
    content = png(samples, 8 * values.dtype.itemsize, RGB if values.ndim == 3 else GRAY, filters=filters,
                  interlaced=interlaced)  # fmt: skip
    same(decode_image(content, "x"), values)


@given(INTEGERS)
def test_encoded_png(values: np.ndarray) -> None:
    content = encode_png(values)
    assert content == encode_png(values.copy())
    same(decode_image(content, "x"), values)


@given(st.sampled_from([1, 2, 4]), st.data(), st.booleans())
def test_shallow_gray_is_spread_exactly(depth: int, data: st.DataObject, interlaced: bool) -> None:
    levels = npst.arrays(
        np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(0, 2**depth - 1)
    )
    values = data.draw(levels)
    expected = values * np.uint8(255 // (2**depth - 1))
    same(decode_image(png(values[..., None].astype(int), depth, GRAY, interlaced=interlaced), "x"), expected)
    bits = (values[..., None] >> np.arange(depth)[::-1]) & 1
    packed = np.packbits(bits.reshape(len(values), -1), axis=1).tobytes()
    same(decode_image(plain_tiff(packed, values.shape[1], values.shape[0], t258=depth), "x"), expected)


@settings(deadline=None)
@given(
    st.one_of(INTEGERS, arrays(np.float32, 1, 3)),
    st.sampled_from("<>"),
    st.booleans(),
    st.sampled_from([None, 16]),
    st.sampled_from([None, "zlib"]),
    st.booleans(),
    st.sampled_from([None, 1, 3]),
)
def test_tiff(
    values: np.ndarray,
    order: str,
    big: bool,
    tile: int | None,
    compression: str | None,
    planar: bool,
    rows: int | None,
) -> None:
    values = np.nan_to_num(values)
    options: dict[str, Any] = {"byteorder": order, "bigtiff": big, "compression": compression, "metadata": None}
    if tile:
        options["tile"] = (tile, tile)
    elif rows:
        options["rowsperstrip"] = rows
    stored = values
    if values.ndim == 3:
        options |= {"photometric": "rgb", "planarconfig": "separate" if planar else "contig"}
        stored = values.transpose(2, 0, 1) if planar else values
    else:
        options["photometric"] = "minisblack"
    same(decode_image(tiff(stored, **options), "x"), values)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("codec", ["tiff_lzw", "packbits", "tiff_adobe_deflate", "tiff_deflate", "zstd", "lzma"])
def test_tiff_codecs_and_differences(kind: Any, channels: int, codec: str) -> None:
    values = noise(kind, 11, 7, channels)
    for predictor in (1, 2):
        stored = values.copy()
        if predictor == 2:
            stored[:, 1:] = values[:, 1:] - values[:, :-1]
        as_bytes = np.frombuffer(stored.tobytes(), np.uint8)[None]
        # Pillow compresses the bytes as one gray row; its strip then is that of the file in question.
        with Image.open(io.BytesIO(encode(Image.fromarray(as_bytes), "TIFF", compression=codec))) as image:
            start, length, number = image.tag_v2[273][0], image.tag_v2[279][0], image.tag_v2[259]
            strip = encode(image.copy(), "TIFF", compression=codec)[start : start + length]
        depth = 8 * values.dtype.itemsize
        content = plain_tiff(strip, 7, 11, t258=[depth] * channels, t259=number, t262=2 if channels == 3 else 1,
                             t277=channels, t317=predictor)  # fmt: skip
        same(decode_image(content, "x"), values[..., 0] if channels == 1 else values)


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.float16])
@pytest.mark.parametrize("channels", [1, 3])
def test_float_tiff_with_the_floating_point_predictor(kind: Any, channels: int) -> None:
    values = RNG.normal(size=(5, 6, channels)).astype(kind)
    size = values.dtype.itemsize
    # TIFF Technical Note 3: the bytes of a row by significance, then differences to the sample before.
    planes = np.frombuffer(values.astype(values.dtype.newbyteorder(">")).tobytes(), np.uint8).reshape(5, -1, size)
    flat = np.ascontiguousarray(planes.transpose(0, 2, 1)).reshape(5, -1)
    stored = flat.copy()
    stored[:, channels:] = flat[:, channels:] - flat[:, :-channels]
    content = plain_tiff(zlib.compress(stored.tobytes()), 6, 5, t258=[8 * size] * channels, t259=8,
                         t262=2 if channels == 3 else 1, t277=channels, t317=3, t339=[3] * channels)  # fmt: skip
    same(decode_image(content, "x"), (values[..., 0] if channels == 1 else values).astype(np.float32))


@given(arrays(np.uint8, 1, 3))
def test_bmp_and_webp(values: np.ndarray) -> None:
    same(decode_image(encode(Image.fromarray(values), "BMP"), "x"), values)
    colour = values if values.ndim == 3 else np.repeat(values[..., None], 3, axis=2)
    same(decode_image(encode(Image.fromarray(colour), "WEBP", lossless=True), "x"), colour)


@given(INTEGERS, st.integers(1, 65535))
def test_pnm(values: np.ndarray, top: int) -> None:
    top = min(top, int(np.iinfo(values.dtype).max))
    values = np.minimum(values, top).astype(np.uint16 if top > 255 else np.uint8)
    height, width = values.shape[:2]
    raw, plain = (b"P6", b"P3") if values.ndim == 3 else (b"P5", b"P2")
    head = b"\n# a comment\n%d %d # another\n%d\n" % (width, height, top)
    stored = values.astype(">u2" if top > 255 else "u1").tobytes()
    for content in (
        raw + head + stored,
        plain + head + b"# here\n" + b" ".join(b"%d" % v for v in values.flat) + b"\n",
    ):
        source = decode_image(content, "x")
        same(source, values)
        assert source.white == top


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("jp2", [True, False])
def test_jpeg2000_of_8_bits(mode: str, jp2: bool) -> None:
    values = noise(np.uint8, 40, 33, *(() if mode == "L" else (3,)))
    same(decode_image(encode(Image.fromarray(values), "JPEG2000", no_jp2=not jp2), "x"), values)


def test_jpeg2000_of_16_bits_gray() -> None:
    values = noise(np.uint16, 40, 33)
    same(decode_image(encode(Image.fromarray(values), "JPEG2000"), "x"), values)


@pytest.mark.parametrize(("channels", "jp2"), [(1, 0), (1, 1), (3, 0), (3, 1), (4, 0)])
@pytest.mark.parametrize("depth", [5, 8, 10, 12, 16])
def test_jpeg2000_of_any_depth(channels: int, depth: int, jp2: int) -> None:
    openjpeg = pytest.importorskip("openjpeg.utils")
    kind = np.uint8 if depth <= 8 else np.uint16
    values = RNG.integers(0, 2**depth, (64, 65, channels), dtype=kind)
    if channels == 4:
        values[..., 3] = 2**depth - 1
    content = openjpeg.encode_array(
        values[..., 0] if channels == 1 else values, bits_stored=depth, codec_format=jp2,
        photometric_interpretation={1: 2, 3: 1, 4: 0}[channels],
    )  # fmt: skip
    source = decode_image(content, "x")
    same(source, values[..., 0] if channels == 1 else values[..., :3])
    assert source.white == 2**depth - 1


def test_deep_colour_jpeg2000_without_its_decoder_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    openjpeg = pytest.importorskip("openjpeg.utils")
    content = openjpeg.encode_array(noise(np.uint16, 64, 64, 3), photometric_interpretation=1)
    monkeypatch.setitem(__import__("sys").modules, "openjpeg.utils", None)
    refused(content, "install pylibjpeg-openjpeg")


def test_jpeg_is_what_its_decoder_gives() -> None:
    values = noise(np.uint8, 16, 16, 3)
    for picture in (values, values[..., 0]):
        content = encode(Image.fromarray(picture), "JPEG", quality=90)
        same(decode_image(content, "x"), np.array(Image.open(io.BytesIO(content))))


# --- orientation ----------------------------------------------------------------------------------------------------

#: Where the pixels 1 2 / 3 4 / 5 6 go, by the drawing of the EXIF standard.
UPRIGHT = {
    1: [[1, 2], [3, 4], [5, 6]],
    2: [[2, 1], [4, 3], [6, 5]],
    3: [[6, 5], [4, 3], [2, 1]],
    4: [[5, 6], [3, 4], [1, 2]],
    5: [[1, 3, 5], [2, 4, 6]],
    6: [[5, 3, 1], [6, 4, 2]],
    7: [[6, 4, 2], [5, 3, 1]],
    8: [[2, 4, 6], [1, 3, 5]],
    0: [[1, 2], [3, 4], [5, 6]],
    9: [[1, 2], [3, 4], [5, 6]],
}


@pytest.mark.parametrize("orientation", sorted(UPRIGHT))
def test_orientation(orientation: int) -> None:
    gray = (np.array(UPRIGHT[1]) * 40).astype(np.uint8)
    upright = np.array(UPRIGHT[orientation]) * 40
    colour = np.repeat(gray[..., None], 3, axis=2)
    block = exif(orientation)
    flat = np.kron(gray, np.ones((8, 8), np.uint8))
    contents = {
        "png": png(gray[..., None].astype(int), 8, GRAY, before=png_chunk(b"eXIf", block)),
        "png, late": png(gray[..., None].astype(int), 8, GRAY, after=png_chunk(b"eXIf", block)),
        "tiff": plain_tiff(gray.tobytes(), 2, 3, t274=orientation),
        "tiff, deflated": tiff(gray, compression="zlib", extratags=[(274, 3, 1, orientation, True)]),
        "webp": encode(Image.fromarray(colour), "WEBP", lossless=True, exif=block),
        "jpeg": encode(Image.fromarray(flat), "JPEG", quality=100, exif=b"Exif\0\0" + block),
    }
    if 1 <= orientation <= 8:
        contents["jpeg in tiff"] = encode(
            Image.fromarray(flat), "TIFF", compression="jpeg", tiffinfo={274: orientation}
        )
    for form, content in contents.items():
        for rule, expected in (("apply", upright), ("ignore", gray)):
            values = read(content, exif=rule)
            values = values if values.ndim == 2 else values[..., 0]
            scale = 8 if "jpeg" in form else 1
            assert np.abs(values[::scale, ::scale].astype(int) - expected).max() <= (3 if "jpeg" in form else 0), form
            assert values.shape == (expected.shape[0] * scale, expected.shape[1] * scale), form


def test_a_damaged_exif_block_is_named() -> None:
    content = png(noise(np.uint8, 3, 3, 1).astype(int), 8, GRAY, before=png_chunk(b"eXIf", b"MM\0*\0\0\0\x08\0\x09"))
    refused(content, "EXIF block cannot be read.*image_rules.exif: ignore")
    assert read(content, exif="ignore").shape == (3, 3)


# --- transparency, palettes, inks -----------------------------------------------------------------------------------


def composite(values: np.ndarray, alpha: np.ndarray, background: float, top: int) -> np.ndarray:
    weight = alpha / top if values.ndim == 2 else alpha[..., None] / top
    return np.floor(values * weight + background * top * (1 - weight) + 0.5)


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("channels", [2, 4])
def test_alpha_needs_a_rule_unless_it_is_opaque(depth: int, channels: int) -> None:
    kind, top = {8: np.uint8, 16: np.uint16}[depth], 2**depth - 1
    pixels = noise(kind, 7, 5, channels)
    values = pixels[..., 0] if channels == 2 else pixels[..., :3]
    solid = pixels.copy()
    solid[..., -1] = top

    def files(samples: np.ndarray) -> list[bytes]:
        colour = {2: GRAY_ALPHA, 4: RGB_ALPHA}[channels]
        photometric = "minisblack" if channels == 2 else "rgb"
        found = [
            png(samples.astype(int), depth, colour, filters=[4, 2, 3, 1]),
            png(samples.astype(int), depth, colour, interlaced=True),
            tiff(samples, photometric=photometric, extrasamples=["unassalpha"], planarconfig="contig"),
        ]
        if depth == 8:
            found.append(encode(Image.fromarray(samples, "LA" if channels == 2 else "RGBA"), "JPEG2000"))
        if depth == 8 and channels == 4:
            found.append(encode(Image.fromarray(samples), "WEBP", lossless=True, exact=True))
        return found

    for content in files(solid):
        same(decode_image(content, "x"), values)
    for content in files(pixels):
        refused(content, "has transparent pixels.*image_rules.alpha")
        assert np.array_equal(read(content, alpha="drop"), values)
        assert np.array_equal(read(content, alpha="black"), composite(values, pixels[..., -1], 0, top))
        assert np.array_equal(read(content, alpha="white"), composite(values, pixels[..., -1], 1, top))


def test_bmp_with_alpha() -> None:
    pixels = noise(np.uint8, 4, 4, 4)
    # A version 4 header with masks for red, green, blue and alpha; without one, the fourth byte is unused.
    masks = struct.pack("<4I", 0xFF, 0xFF00, 0xFF0000, 0xFF000000)
    header = struct.pack("<2sIHHIIiiHHIIiiII", b"BM", 186, 0, 0, 122, 108, 4, -4, 1, 32, 3, 64, 0, 0, 0, 0)
    content = header + masks + bytes(52) + pixels.tobytes()
    refused(content, "has transparent pixels")
    assert np.array_equal(read(content, alpha="drop"), pixels[..., :3])
    assert np.array_equal(read(content, alpha="black"), composite(pixels[..., :3], pixels[..., 3], 0, 255))
    assert np.array_equal(read(encode(Image.fromarray(pixels), "BMP")), pixels[..., :3])


def test_premultiplied_and_unknown_samples_in_tiff() -> None:
    alpha = noise(np.uint8, 6, 6)
    values = (noise(np.uint8, 6, 6, 3).astype(int) * alpha[..., None] // 255).astype(np.uint8)
    pixels = np.dstack([values, alpha])
    content = tiff(pixels, photometric="rgb", extrasamples=["assocalpha"])
    assert np.array_equal(read(content, alpha="black"), values)
    assert np.array_equal(read(content, alpha="white"), values + (255 - alpha[..., None]))
    refused(content, "multiplied by alpha.*black or white", alpha="drop")
    too_bright = np.dstack([np.full((6, 6, 3), 255, np.uint8), alpha // 2])
    refused(tiff(too_bright, photometric="rgb", extrasamples=["assocalpha"]), "exceeds its alpha", alpha="white")
    unknown = tiff(pixels, photometric="rgb", extrasamples=["unspecified"])
    refused(unknown, "unknown meaning.*image_rules.alpha: drop", alpha="black")
    assert np.array_equal(read(unknown, alpha="drop"), values)
    refused(plain_tiff(bytes(60), 2, 2, t262=2, t277=5, t258=[8] * 5), "holds 5 samples a pixel; save it")
    floats = np.full((2, 2, 4), 0.5, np.float32)
    content = tiff(floats, photometric="rgb", extrasamples=["unassalpha"])
    refused(content, "float values; composite", alpha="black")
    assert np.array_equal(read(content, alpha="drop"), floats[..., :3])


def test_transparent_colours_of_png() -> None:
    gray = np.array([[0, 1, 2, 3]])[..., None]
    content = png(gray, 2, GRAY, before=png_chunk(b"tRNS", b"\0\2"))
    refused(content, "transparent pixels")
    assert read(content, alpha="white").tolist() == [[0, 85, 255, 255]]
    content = png(gray * 16384, 16, GRAY, before=png_chunk(b"tRNS", struct.pack(">H", 16384)))
    assert read(content, alpha="black").tolist() == [[0, 0, 32768, 49152]]
    # A key in 16 bits: a colour that only shares the upper bytes is opaque.
    colours = np.array([[[256, 512, 768], [257, 512, 768]]])
    content = png(colours, 16, RGB, before=png_chunk(b"tRNS", struct.pack(">3H", 256, 512, 768)))
    assert read(content, alpha="white").tolist() == [[[65535] * 3, [257, 512, 768]]]
    unused = png(colours, 16, RGB, before=png_chunk(b"tRNS", struct.pack(">3H", 1, 2, 3)))
    assert np.array_equal(read(unused), colours)


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_palettes(depth: int) -> None:
    palette = noise(np.uint8, 2**depth, 3)
    indices = RNG.integers(0, 2**depth, (5, 9))
    indices[0, :2] = 0, 1
    table = png_chunk(b"PLTE", palette.tobytes())
    content = png(indices[..., None], depth, PALETTE, before=table)
    packed = np.packbits(((indices[..., None] >> np.arange(depth)[::-1]) & 1).reshape(5, -1), axis=1).tobytes()
    for factor in (257, 256):
        wide = (palette.T.astype(int) * factor).ravel().tolist()
        colour_map = plain_tiff(packed, 9, 5, t258=depth, t262=3, t320=wide)
        same(decode_image(colour_map, "x"), palette[indices])
    deep = RNG.integers(256, 65536, (2**depth, 3))
    colour_map = plain_tiff(packed, 9, 5, t258=depth, t262=3, t320=deep.T.ravel().tolist())
    same(decode_image(colour_map, "x"), deep.astype(np.uint16)[indices])
    narrow = np.full(3 * 2**depth, 200).tolist()
    refused(plain_tiff(packed, 9, 5, t258=depth, t262=3, t320=narrow), "8-bit values where 16-bit ones belong")
    refused(plain_tiff(packed, 9, 5, t258=depth, t262=3), "colour map is missing")
    same(decode_image(content, "x"), palette[indices])
    refused(content, "is a palette image.*image_rules.palette: expand", palette="refuse")
    short = png(indices[..., None], depth, PALETTE, before=png_chunk(b"PLTE", palette[:1].tobytes()))
    refused(short, "of a palette of 1")
    clear = png(indices[..., None], depth, PALETTE, before=table + png_chunk(b"tRNS", b"\x80"))
    refused(clear, "transparent pixels")
    alpha = np.where(indices == 0, 128, 255)
    assert np.array_equal(read(clear, alpha="white"), composite(palette[indices], alpha, 1, 255))
    opaque = png(indices[..., None], depth, PALETTE, before=table + png_chunk(b"tRNS", b"\xff"))
    same(decode_image(opaque, "x"), palette[indices])


@pytest.mark.parametrize("count", [2, 16, 256])
def test_bmp_palettes(count: int) -> None:
    palette, indices = noise(np.uint8, count, 3), RNG.integers(0, count, (6, 10)).astype(np.uint8)
    image = Image.fromarray(indices, "P")
    image.putpalette(palette.tobytes())
    content = encode(image, "BMP")
    same(decode_image(content, "x"), palette[indices])
    refused(content, "is a palette image", palette="refuse")


def test_cmyk_needs_a_rule_and_inverts_only_adobe_files() -> None:
    inks = np.kron(noise(np.uint8, 2, 2, 4), np.ones((8, 8, 1), np.uint8))
    paper = 255 - inks.astype(int)
    expected = np.floor(paper[..., :3] * paper[..., 3:] / 255 + 0.5)
    for form, content in {
        "tiff": encode(Image.fromarray(inks, "CMYK"), "TIFF"),
        "jpeg": encode(Image.fromarray(inks, "CMYK"), "JPEG", quality=100, subsampling=0),
    }.items():
        refused(content, "is a CMYK image.*image_rules.cmyk: convert")
        assert np.abs(read(content, cmyk="convert") - expected).max() <= (3 if form == "jpeg" else 0)
    marker = content.index(b"\xff\xee")
    assert content[marker + 4 : marker + 9] == b"Adobe"
    bare = content[:marker] + content[marker + 16 :]
    # Without the marker the same bytes are ink, not 255 - ink.
    swapped = np.floor(inks[..., :3].astype(int) * inks[..., 3:] / 255 + 0.5)
    assert np.abs(read(bare, cmyk="convert") - swapped).max() <= 3
    deep = noise(np.uint16, 4, 4, 4)
    deep_paper = 65535 - deep.astype(np.int64)
    deep_expected = (deep_paper[..., :3] * deep_paper[..., 3:] + 32767) // 65535
    same(
        decode_image(tiff(deep, photometric="separated"), "x", ImageRules(cmyk="convert")),
        deep_expected.astype(np.uint16),
    )


# --- TIFF's own traps -----------------------------------------------------------------------------------------------


def test_white_is_zero_is_inverted() -> None:
    for kind in (np.uint8, np.uint16):
        values = noise(kind, 5, 4)
        same(decode_image(tiff(values, photometric="miniswhite"), "x"), np.iinfo(kind).max - values)
    bits = noise(np.uint8, 8, 16) > 127
    fax = encode(Image.fromarray(bits), "TIFF", compression="group4")
    assert np.array_equal(read(fax), bits * 255)
    with Image.open(io.BytesIO(fax)) as image:
        photometric = image.tag_v2[262]
    swapped = fax.replace(
        struct.pack("<HHIH", 262, 3, 1, photometric), struct.pack("<HHIH", 262, 3, 1, 1 - photometric)
    )
    assert np.array_equal(read(swapped), ~bits * 255)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lambda: tiff(noise(np.int16, 4, 4)), "signed values of 16 bits.*save it as unsigned"),
        (lambda: tiff(noise(np.int8, 4, 4)), "signed values of 8 bits"),
        (lambda: tiff(noise(np.uint32, 4, 4)), "unsigned values of 32 bits.*32-bit float"),
        (lambda: tiff(noise(np.int32, 4, 4)), "signed values of 32 bits"),
        (lambda: tiff(np.ones((4, 4), np.complex64)), "undefined or complex"),
        (lambda: tiff(noise(np.uint8, 3, 8, 8), photometric="minisblack"), "holds 3 frames"),
        (lambda: tiff(noise(np.uint8, 3, 8, 8), photometric="minisblack", imagej=True), "holds 3 frames"),
        (lambda: tiff(noise(np.uint8, 3, 8, 8), photometric="minisblack", metadata={}, truncate=True), "3 frames"),
        (lambda: tiff(noise(np.uint8, 16, 16, 16), volumetric=True, tile=(16, 16, 16)), "holds 16 frames"),
        (lambda: tiff(noise(np.uint8, 8, 8), subfiletype=1), "is a thumbnail"),
        (lambda: tiff(noise(np.uint8, 8, 8), photometric="cfa"), "photometric interpretation 32803"),
        (lambda: plain_tiff(bytes(4), 2, 2, t262=8), "photometric interpretation 8"),
        (lambda: plain_tiff(bytes(4), 2, 2, t266=2), "FillOrder 2"),
        (lambda: plain_tiff(bytes(4), 2, 2, t259=34712), "compression 34712 is not read; save it uncompressed"),
        (lambda: plain_tiff(bytes(4), 2, 2, t258=12), "unsigned values of 12 bits"),
        (lambda: plain_tiff(bytes(99), 2, 2, t262=2, t277=3, t258=[5, 6, 5]), "channels have different types"),
        (lambda: plain_tiff(bytes(99), 2, 2, t262=2, t277=3, t258=[8] * 3, t259=4), "compression 4 with these samples"),
        (lambda: plain_tiff(bytes(16), 2, 2, t262=0, t258=32, t339=3), "neither gray nor RGB"),
        (lambda: plain_tiff(bytes(9), 2, 2, t259=8, t317=1), "while decompressing"),
        (lambda: plain_tiff(zlib.compress(bytes(4)), 2, 2, t259=8, t317=9), "predictor 9 does not fit"),
        (lambda: plain_tiff(zlib.compress(bytes(3)), 2, 2, t259=8), "the file is truncated"),
        (lambda: plain_tiff(bytes(4), 2, 2, t322=0, t323=16, t324=8, t325=4), "no size"),
        (lambda: plain_tiff(bytes(4), 2, 2, t278=1), "where its pixels are"),
        (lambda: plain_tiff(bytes(4), 2, 2, t322=10**5, t323=10**5, t324=8, t325=4), "more than the limit"),
        (lambda: tiff(np.array([[1.0, np.nan]], np.float32)), "holds NaN or infinite values"),
        (lambda: tiff(np.array([[1.0, np.inf]], np.float32)), "holds NaN or infinite values"),
        (lambda: tiff(np.array([[1.0, 1e300]])), "holds NaN or infinite values"),
    ],
)  # fmt: skip
def test_what_tiff_may_hold_and_is_refused(content: Callable[[], bytes], message: str) -> None:
    refused(content(), message)


def test_64_bit_floats_are_rounded_to_32() -> None:
    values = RNG.normal(size=(4, 5))
    same(decode_image(tiff(values), "x"), values.astype(np.float32))


def test_jpeg_and_fax_in_tiff() -> None:
    values = np.kron(noise(np.uint8, 2, 2, 3), np.ones((16, 16, 1), np.uint8))
    content = encode(Image.fromarray(values), "TIFF", compression="jpeg", quality=100)
    assert np.array_equal(read(content), np.array(Image.open(io.BytesIO(content)).convert("RGB")))


# --- other refusals -------------------------------------------------------------------------------------------------


def test_jpeg_refusals() -> None:
    content = encode(Image.fromarray(noise(np.uint8, 16, 16)), "JPEG")
    at = content.index(b"\xff\xc0")
    refused(content[: at + 4] + b"\x0c" + content[at + 5 :], "JPEG of 12 bits.*16-bit PNG or TIFF")
    pictures = [Image.fromarray(noise(np.uint8, 16, 16, 3)) for _ in range(2)]
    refused(encode(pictures[0], "MPO", save_all=True, append_images=pictures[1:]), "holds 2 frames")


def test_animations_are_refused() -> None:
    pictures = [Image.fromarray(noise(np.uint8, 16, 16, 3)) for _ in range(3)]
    for fmt in ("PNG", "WEBP"):
        refused(encode(pictures[0], fmt, save_all=True, append_images=pictures[1:]), "holds 3 frames; save the one")


def test_png_refusals() -> None:
    plain = encode_png(noise(np.uint8, 4, 4))
    damaged = bytearray(plain)
    damaged[plain.index(b"IDAT") + 6] ^= 1
    refused(bytes(damaged), "checksum of a IDAT chunk differs")
    second = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 10**6, 10**6, 8, 0, 0, 0, 0))
    refused(plain[:33] + second + plain[33:], "two headers")
    refused(plain[:8] + plain[33:], "does not begin with its header")


def test_bmp_refusals() -> None:
    header = struct.pack("<2sIHHIIiiHHIIiiII", b"BM", 62, 0, 0, 54, 40, 2, 2, 1, 16, 0, 8, 0, 0, 0, 0)
    refused(header + bytes(8), "16 bits a pixel, 5 or 6 a channel; save it with 24 bits")


def test_pnm_refusals() -> None:
    refused(b"P5 2 1 100\n\x64\x65", "outside 0 to 100")
    refused(b"P2 2 1 100\n-1 5\n", "outside 0 to 100")
    refused(b"P2 2 1 100\n1 51", "truncated, or lacks white space")
    refused(b"P2 2 1 100\n1 x\n", "not a readable image")
    refused(b"P5 2 1 70000\nabcd", "its maximum is 70000")
    refused(b"P5 2 x", "header is damaged")
    assert read(b"P2 2 1 100\n1 51 junk").tolist() == [[1, 51]]


def boxed(content: bytes, extra: bytes = b"", colour: bytes | None = None) -> bytes:
    """Put a box into the header of a JP2, or replace its colour space."""
    at = content.index(b"jp2h") - 4
    length = int.from_bytes(content[at : at + 4], "big")
    inside = content[at + 8 : at + length]
    if colour is not None:
        start = inside.index(b"colr") + 7
        inside = inside[:start] + colour + inside[start + 4 :]
    inside += extra
    return content[:at] + struct.pack(">I4s", len(inside) + 8, b"jp2h") + inside + content[at + length :]


def test_jpeg2000_refusals() -> None:
    content = encode(Image.fromarray(noise(np.uint8, 40, 40, 3)), "JPEG2000")
    refused(boxed(content, struct.pack(">I4s", 12, b"pclr") + bytes(4)), "palette image; save it as RGB")
    refused(boxed(content, colour=struct.pack(">I", 18)), "of YCC; convert it to RGB")
    refused(boxed(content, colour=struct.pack(">I", 12)), "of CMYK; convert it to RGB")
    refused(boxed(content, colour=struct.pack(">I", 17)), "holds 3 channels; save it as gray or RGB")
    stream = content.index(b"\xff\x4f\xff\x51")
    refused(content + struct.pack(">I4s", 0, b"jp2c") + content[stream:], "2 frames|truncated")
    siz = stream + 42
    for at, value in ((siz, 0x87), (siz, 0x06), (siz + 1, 2)):
        refused(content[:at] + bytes([value]) + content[at + 1 :], "signed, subsampled or of different depths")
    deep = content[:siz] + bytes([23, 1, 1] * 3) + content[siz + 9 :]
    refused(deep, "holds 24-bit integers")
    pixels = noise(np.uint8, 40, 40, 4)
    pixels[..., :3] = np.minimum(pixels[..., :3], pixels[..., 3:])
    alpha = encode(Image.fromarray(pixels), "JPEG2000")
    assert b"cdef" in alpha
    at = alpha.index(b"cdef") + 4 + 2 + 6 * 3 + 2
    assert alpha[at : at + 2] == b"\0\1"
    refused(alpha[:at] + b"\0\2" + alpha[at + 2 :], "multiplied by alpha", alpha="drop")
    assert np.array_equal(read(alpha[:at] + b"\0\2" + alpha[at + 2 :], alpha="black"), pixels[..., :3])


# --- DICOM ----------------------------------------------------------------------------------------------------------


def test_dicom_window_of_the_rules() -> None:
    stored = RNG.integers(-2000, 3000, (6, 7), dtype=np.int16)
    source = decode_image(dicom(stored, RescaleSlope=2, RescaleIntercept=-1000), "x", ImageRules(window=(-1024, 3071)))
    same(source, (np.clip(stored.astype(int) * 2 - 1000, -1024, 3071) + 1024).astype(np.uint16))
    assert source.white == 4095
    assert source.to_float().max() <= 1
    inverted = decode_image(
        dicom(stored, PhotometricInterpretation="MONOCHROME1"), "x", ImageRules(window=(-1024, 3071))
    )
    same(inverted, (3071 - np.clip(stored.astype(int), -1024, 3071)).astype(np.uint16))
    fine = decode_image(dicom(stored, RescaleSlope=0.1, RescaleIntercept=0), "x", ImageRules(window=(0, 0.3)))
    same(fine, np.clip(stored * 0.1, 0, 0.3).astype(np.float32))
    assert fine.to_float().max() == 1


@pytest.mark.parametrize(("centre", "width", "function"), [(40, 400, ""), (127.5, 256, ""), (50, 101, ""),
                                                           (40, 400, "LINEAR_EXACT")])  # fmt: skip
def test_dicom_window_of_the_file(centre: float, width: float, function: str) -> None:
    stored = np.arange(-300, 500, dtype=np.int16).reshape(20, 40)
    attributes = {"VOILUTFunction": function} if function else {}
    found = decode_image(dicom(stored, WindowCenter=centre, WindowWidth=width, **attributes), "x").to_float()

    def standard(x: float) -> float:
        """PS3.3 C.11.2.1.2.1 (and C.11.2.1.3.2), with output from 0 to 1."""
        c, w = (centre, width) if function else (centre - 0.5, width - 1)
        if x <= c - w / 2:
            return 0.0
        return 1.0 if x > c + w / 2 else (x - c) / w + 0.5

    assert np.abs(found - np.vectorize(standard)(stored.astype(float))).max() < 1e-6


def test_dicom_of_8_and_12_bits_with_unused_bits() -> None:
    values = noise(np.uint8, 5, 5)
    same(decode_image(dicom(values), "x", ImageRules(window=(0, 255))), values.astype(np.uint16))
    deep = RNG.integers(0, 4096, (4, 4), dtype=np.uint16)
    content = dicom(deep | np.uint16(0xF000), BitsStored=12, HighBit=11)
    same(decode_image(content, "x", ImageRules(window=(0, 4095))), deep)


def test_dicom_of_jpeg2000() -> None:
    from pydicom.encaps import encapsulate
    from pydicom.uid import JPEG2000Lossless

    values = noise(np.uint16, 64, 64)
    stream = encode(Image.fromarray(values), "JPEG2000", no_jp2=True)

    def file(rows: int) -> bytes:
        data = {"syntax": JPEG2000Lossless, "PixelData": encapsulate([stream])}
        return dicom(np.zeros((rows, 64), np.uint16), **data)

    same(decode_image(file(64), "x", ImageRules(window=(0, 65535))), values)
    refused(file(32), "size of its compressed pixels differs", window=(0, 65535))


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({}, r"states no window; declare image_rules.window as \[lower, upper\]"),
        ({"WindowCenter": [40, 50], "WindowWidth": [400, 10]}, "states 2 windows; declare image_rules.window"),
        ({"WindowCenter": 40, "WindowWidth": 1}, "width 1; declare"),
        ({"WindowCenter": 4, "WindowWidth": 9, "VOILUTFunction": "SIGMOID"}, "shape SIGMOID, which is not linear"),
        ({"NumberOfFrames": 2, "PixelData": bytes(64)}, "holds 2 frames; save the one"),
        ({"PhotometricInterpretation": "RGB", "SamplesPerPixel": 3, "PixelData": bytes(96)}, "RGB, not of gray"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "PALETTE COLOR, not of gray"),
        ({"Rows": None}, "without an image; leave it out"),
        ({"PixelData": bytes(2)}, "not a readable image"),
        ({"BitsAllocated": 1, "BitsStored": 1, "HighBit": 0}, "allocates 1 bits"),
        ({"Rows": 60000, "Columns": 60000}, "60000x60000 pixels, more than the limit"),
        ({"RescaleSlope": 0, "RescaleIntercept": 0, "WindowCenter": 40, "WindowWidth": 9}, "no finite number"),
    ],
)  # fmt: skip
def test_dicom_refusals(attributes: dict[str, Any], message: str) -> None:
    refused(dicom(noise(np.uint16, 4, 4), **attributes), message)


def test_dicom_refuses_what_it_cannot_take_apart() -> None:
    from pydicom.dataset import Dataset
    from pydicom.encaps import encapsulate
    from pydicom.sequence import Sequence
    from pydicom.uid import DeflatedExplicitVRLittleEndian, JPEGLSLossless

    stored = noise(np.uint16, 4, 4)
    refused(dicom(stored, syntax=DeflatedExplicitVRLittleEndian), "deflated DICOM file; save it uncompressed")
    refused(dicom(stored, ModalityLUTSequence=Sequence([Dataset()])), "Modality LUT")
    content = dicom(stored, syntax=JPEGLSLossless, PixelData=encapsulate([bytes(8)]))
    refused(content, "cannot be decoded here; save it uncompressed|not a readable image", window=(0, 1))


def test_dicom_floats_must_be_finite() -> None:
    from pydicom.uid import ExplicitVRLittleEndian

    values = np.array([[0.5, np.nan]], np.float32)
    content = dicom(values, syntax=ExplicitVRLittleEndian, PixelData=None, FloatPixelData=values.tobytes(),
                    BitsStored=None, HighBit=None, PixelRepresentation=None)  # fmt: skip
    refused(content, "NaN", window=(0, 1))


# --- damage and bombs -----------------------------------------------------------------------------------------------


def samples_of_all_formats() -> dict[str, bytes]:
    gray, colour, deep = noise(np.uint8, 24, 20), noise(np.uint8, 24, 20, 3), noise(np.uint16, 24, 20, 3)
    smooth = Image.fromarray(np.kron(noise(np.uint8, 3, 3, 3), np.ones((8, 8, 1), np.uint8)))
    paletted = smooth.quantize(8)
    found = {
        "png": encode(Image.fromarray(colour), "PNG"),
        "png, 16 bits": encode_png(deep),
        "png, palette": encode(paletted, "PNG"),
        "png, exif": png(gray[..., None].astype(int), 8, GRAY, after=png_chunk(b"eXIf", exif(6))),
        "jpeg": encode(smooth, "JPEG"),
        "jpeg, progressive": encode(smooth, "JPEG", progressive=True),
        "bmp": encode(Image.fromarray(colour), "BMP"),
        "bmp, palette": encode(paletted, "BMP"),
        "webp": encode(Image.fromarray(colour), "WEBP", lossless=True),
        "webp, lossy": encode(smooth, "WEBP", exif=exif(6)),
        "jp2": encode(Image.fromarray(colour), "JPEG2000"),
        "j2k": encode(Image.fromarray(gray), "JPEG2000", no_jp2=True),
        "jp2, lossy": encode(smooth, "JPEG2000", quality_layers=[20], irreversible=True),
        "tiff": tiff(deep, photometric="rgb"),
        "tiff, tiles": tiff(colour, photometric="rgb", tile=(16, 16), compression="zlib"),
        "tiff, jpeg": encode(smooth, "TIFF", compression="jpeg"),
        "tiff, fax": encode(Image.fromarray(gray > 99), "TIFF", compression="group4"),
        "ppm": b"P6 20 24 255\n" + colour.tobytes(),
        "pgm": b"P2 4 1 255\n1 22 133 255\n",
        "dicom": dicom(gray.astype(np.uint16), WindowCenter=40, WindowWidth=80),
    }
    for codec in ("tiff_lzw", "packbits", "zstd", "lzma"):
        found[f"tiff, {codec}"] = encode(smooth, "TIFF", compression=codec)
    return found


SAMPLES = samples_of_all_formats()


def outcome(content: bytes) -> SourceImage | DataError:
    try:
        return decode_image(content, "scan", max_pixels=10**6)
    except DataError as error:
        return error


@pytest.mark.parametrize("form", sorted(SAMPLES))
def test_a_truncated_file_is_refused_or_still_right(form: str) -> None:
    content = SAMPLES[form]
    whole = decode_image(content, "scan")
    draw = random.Random(form)
    cuts = {*range(0, 30), *range(len(content) - 30, len(content)), *(draw.randrange(len(content)) for _ in range(60))}
    refusals = 0
    for cut in sorted(cut for cut in cuts if 0 <= cut < len(content)):
        source = outcome(content[:cut])
        if isinstance(source, DataError):
            assert str(source).startswith("scan: ")
            refusals += 1
        else:
            assert np.array_equal(source.values, whole.values), cut
            assert source.white == whole.white
    assert refusals > len(cuts) // 2


def test_leniency_that_another_package_switched_on_is_undone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    refused(SAMPLES["jpeg"][:-100], "truncated")


@pytest.mark.parametrize("form", sorted(SAMPLES))
def test_garbage_at_the_end_does_not_matter(form: str) -> None:
    source = decode_image(SAMPLES[form] + b"\r\n", "scan")
    assert np.array_equal(source.values, decode_image(SAMPLES[form], "scan").values)


@pytest.mark.parametrize("form", sorted(SAMPLES))
def test_damage_is_never_another_exception(form: str) -> None:
    content, draw = SAMPLES[form], random.Random(form)
    for _ in range(60):
        damaged = bytearray(content)
        for _ in range(draw.randint(1, 4)):
            damaged[draw.randrange(min(len(content), 600))] = draw.randrange(256)
        found = outcome(bytes(damaged))
        assert isinstance(found, SourceImage) or str(found).startswith("scan: ")


def test_bombs_are_refused_by_their_header() -> None:
    side = 10**6
    small = noise(np.uint8, 40, 40)
    jpeg = encode(Image.fromarray(small), "JPEG")
    at = jpeg.index(b"\xff\xc0") + 5
    stream = encode(Image.fromarray(small), "JPEG2000", no_jp2=True)
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    bombs = {
        f"{side}x{side}": [
            encode_png(small)[:8] + png_chunk(b"IHDR", header) + encode_png(small)[33:],
            plain_tiff(bytes(4), side, side, t259=8),
            struct.pack("<2sIHHIIiiHHIIiiII", b"BM", 62, 0, 0, 54, 40, side, -side, 1, 24, 0, 8, 0, 0, 0, 0) + bytes(8),
            b"P5 1000000 1000000 255\n123",
            b"P2 1000000 1000000 255\n123",
            stream[:8] + struct.pack(">II", side, side) + stream[16:],
            b"RIFF\x16\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0" + 2 * (side - 1).to_bytes(3, "little") + bytes(8),
        ],
        "65535x65535": [jpeg[:at] + b"\xff\xff\xff\xff" + jpeg[at + 4 :]],
        "16384x16384": [b"RIFF\x16\0\0\0WEBPVP8L\x0a\0\0\0\x2f\xff\xff\xff\x0f" + bytes(8)],
        "16383x16383": [b"RIFF\x16\0\0\0WEBPVP8 \x0a\0\0\0\0\0\0\x9d\x01\x2a\xff\x3f\xff\x3f" + bytes(8)],
        "60000x60000": [dicom(noise(np.uint16, 4, 4), Rows=60000, Columns=60000)],
    }
    for size, contents in bombs.items():
        for content in contents:
            refused(content, f"scan: {size} pixels, more than the limit of 200000000; crop or tile it")


def test_the_limit_holds_for_every_format() -> None:
    for form, content in SAMPLES.items():
        with pytest.raises(DataError, match="more than the limit of 3"):
            decode_image(content, form, max_pixels=3)


def test_more_pixels_than_the_libraries_own_limit_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    for form, content in SAMPLES.items():
        # WebP can hold only slightly more than that limit; TIFF's other codecs have a limit a strip, see below.
        if form in ("tiff", "tiff, tiles") or not form.startswith(("webp", "tiff")):
            assert decode_image(content, form).values.size > 0


def test_strips_that_are_too_large_for_the_codec_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("causaliqa.images.tiff._LARGEST_STRIP", 100)
    refused(SAMPLES["tiff, tiff_lzw"], "a strip of it has 1728 bytes; save it in more strips, uncompressed or deflated")
