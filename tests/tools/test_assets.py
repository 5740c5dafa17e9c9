"""Intake of picture files: what is decoded, what is refused, and that nothing else ever comes out."""

import contextlib
import io
import json
import logging
import os
import random
import struct
import subprocess
import sys
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from pydantic import ValidationError

from knowledge import AssetError
from tools import Limits, Window, clean_name, decode_image, load_image

Pixels = NDArray[np.uint8]
ORIENTATION = 0x0112
SMALL = Limits(max_pixels=1_000_000)
STORED = {
    1: lambda upright: upright,
    2: np.fliplr,
    3: lambda upright: np.rot90(upright, 2),
    4: np.flipud,
    5: lambda upright: np.swapaxes(upright, 0, 1),
    6: lambda upright: np.rot90(upright, 1),
    7: lambda upright: np.rot90(np.swapaxes(upright, 0, 1), 2),
    8: lambda upright: np.rot90(upright, -1),
}
"""How a camera stores an upright picture under each orientation mark, worked from EXIF 2.3, tag 274."""


def encoded(pixels: NDArray[Any] | Image.Image, kind: str, **options: Any) -> bytes:
    """A file as Pillow writes it."""
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(np.ascontiguousarray(pixels))
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def tiff(array: NDArray[Any], **options: Any) -> bytes:
    """A TIFF as tifffile writes it."""
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, np.ascontiguousarray(array), **options)
    return buffer.getvalue()


def oriented(mark: int) -> Image.Exif:
    exif = Image.Exif()
    exif[ORIENTATION] = mark
    return exif


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, depth: int, colour: int, rows: bytes, extra: bytes = b"") -> bytes:
    """A PNG whose header says what it is told to say; `rows` holds one filter byte a row."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + extra + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def bmp(width: int, height: int, data: bytes) -> bytes:
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, len(data), 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54 + len(data), 0, 0, 54) + header + data


def raw_tiff(tags: dict[int, int], data: bytes, offsets: int = 273) -> bytes:
    """A little-endian gray TIFF with one strip or tile; every tag is one LONG."""
    tags = {259: 1, 262: 1, 277: 1, 284: 1, offsets: 0} | tags
    tags[offsets] = 8 + 2 + 12 * len(tags) + 4
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(tags.items()))
    return struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + entries + bytes(4) + data


def with_tag(content: bytes, tag: int, *, count: int | None = None, value: int | None = None) -> bytes:
    """A little-endian TIFF with another count or value in one of its tags."""
    changed = bytearray(content)
    (page,) = struct.unpack_from("<I", changed, 4)
    (length,) = struct.unpack_from("<H", changed, page)
    entries = range(page + 2, page + 2 + 12 * length, 12)
    place = next(at for at in entries if struct.unpack_from("<H", changed, at) == (tag,))
    for offset, number in ((4, count), (8, value)):
        if number is not None:
            struct.pack_into("<I", changed, place + offset, number)
    return bytes(changed)


def jpeg_claiming(width: int, height: int) -> bytes:
    content = encoded(np.zeros((64, 64, 3), np.uint8), "JPEG")
    start = content.index(b"\xff\xc0")
    return content[: start + 5] + struct.pack(">HH", height, width) + content[start + 9 :]


def webp_claiming(width: int, height: int) -> bytes:
    canvas = struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    body = b"VP8X" + struct.pack("<I", 10) + b"\x02\0\0\0" + canvas + b"ANIM" + struct.pack("<IIH", 6, 0, 0)
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def noise(height: int = 24, width: int = 32, channels: int = 3) -> Pixels:
    shape = (height, width, channels) if channels > 1 else (height, width)
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def smooth() -> Pixels:
    """Soft gradients, so that lossy formats change little."""
    rows, columns = np.mgrid[0:24, 0:32]
    return np.stack([rows * 8, columns * 6, 255 - rows * 4 - columns * 2], axis=2).astype(np.uint8)


RAMP = np.linspace(0, 65535, 40 * 48).reshape(40, 48).astype(np.uint16)
"""Every 34th count of 16 bits, in order."""
DEEP_COLOUR = np.stack([RAMP, RAMP[::-1], RAMP[:, ::-1]], axis=2)


# --- by hand


def test_a_3x3_picture_becomes_rgb_pixel_by_pixel() -> None:
    gray = np.array([[0, 1, 2], [100, 101, 102], [253, 254, 255]], np.uint8)
    loaded = decode_image(encoded(gray, "PNG"), "part.png", Limits(min_side=1), asset_id="a7")
    assert loaded.pixels.dtype == np.uint8
    assert loaded.pixels.tolist() == [[[value] * 3 for value in row] for row in gray.tolist()]
    asset = loaded.asset
    assert (asset.id, asset.modality, asset.name, asset.media_type) == ("a7", "image", "part.png", "image/png")
    assert (asset.width, asset.height, asset.bits, asset.window, asset.notes) == (3, 3, 8, None, ())


def test_a_window_maps_its_ends_to_black_and_white_and_clips_the_rest() -> None:
    counts = np.array([[0, 1000, 1001], [1100, 1127, 1128], [1255, 1256, 65535]], np.uint16)
    window = Window(low=1000, high=1255)
    loaded = decode_image(tiff(counts), "part.tif", Limits(min_side=1), window=window)
    assert loaded.pixels[..., 0].tolist() == [[0, 0, 1], [100, 127, 128], [255, 255, 255]]
    assert loaded.asset.window == window
    assert loaded.asset.bits == 16


# --- eight bits


@pytest.mark.parametrize(
    ("kind", "media_type", "options"),
    [
        ("PNG", "image/png", {}),
        ("PNG", "image/png", {"compress_level": 0}),
        ("BMP", "image/bmp", {}),
        ("WEBP", "image/webp", {"lossless": True, "exact": True}),
        ("TIFF", "image/tiff", {}),
        ("TIFF", "image/tiff", {"compression": "tiff_lzw"}),
        ("TIFF", "image/tiff", {"compression": "tiff_adobe_deflate"}),
        ("TIFF", "image/tiff", {"compression": "packbits"}),
        ("TIFF", "image/tiff", {"big_tiff": True}),
    ],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_lossless_formats_come_through_bit_for_bit(kind, media_type, options, channels) -> None:
    pixels = noise(channels=channels)
    loaded = decode_image(encoded(pixels, kind, **options), "x")
    assert np.array_equal(loaded.pixels, pixels if channels == 3 else np.repeat(pixels[:, :, None], 3, axis=2))
    assert loaded.asset.media_type == media_type
    assert (loaded.asset.width, loaded.asset.height, loaded.asset.bits) == (32, 24, 8)


@pytest.mark.parametrize(("kind", "options"), [("JPEG", {"quality": 95}), ("WEBP", {"quality": 95})])
def test_lossy_formats_come_through_nearly(kind, options) -> None:
    loaded = decode_image(encoded(smooth(), kind, **options), "x")
    assert np.abs(loaded.pixels.astype(int) - smooth()).mean() < 4


@pytest.mark.parametrize("options", [{"byteorder": ">"}, {"bigtiff": True}, {"tile": (16, 16)}, {"rowsperstrip": 5}])
def test_any_layout_of_an_8_bit_tiff_is_read(options) -> None:
    assert np.array_equal(decode_image(tiff(noise(), photometric="rgb", **options), "x").pixels, noise())


def test_planes_stored_apart_are_put_together() -> None:
    for pixels in (noise(), DEEP_COLOUR):
        planes = tiff(np.moveaxis(pixels, 2, 0), photometric="rgb", planarconfig="separate")
        together = tiff(pixels, photometric="rgb")
        assert np.array_equal(decode_image(planes, "x").pixels, decode_image(together, "x").pixels)


def test_a_gray_tiff_whose_zero_is_white_is_turned_over() -> None:
    gray = noise(channels=1)
    assert np.array_equal(decode_image(tiff(gray, photometric="miniswhite"), "x").pixels[..., 0], 255 - gray)


def test_one_bit_becomes_black_and_white() -> None:
    bits = Image.fromarray(noise(channels=1)).convert("1", dither=Image.Dither.NONE)
    for kind in ("PNG", "TIFF", "BMP"):
        loaded = decode_image(encoded(bits, kind), "x")
        assert np.array_equal(loaded.pixels[..., 0], np.asarray(bits).astype(np.uint8) * 255)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP"])
def test_a_palette_is_looked_up(kind) -> None:
    palette = Image.fromarray(smooth()).quantize(16)
    expected = np.asarray(palette.convert("RGB"))
    assert np.array_equal(decode_image(encoded(palette, kind), "x").pixels, expected)
    assert len(np.unique(expected.reshape(-1, 3), axis=0)) > 8


def test_transparent_areas_are_laid_on_white() -> None:
    colours = np.zeros((24, 32, 4), np.uint8)
    colours[..., 0] = 200
    colours[:, 8:16, 3] = 51
    colours[:, 16:, 3] = 255
    for kind in ("PNG", "TIFF", "WEBP"):
        options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
        loaded = decode_image(encoded(colours, kind, **options), "x")
        assert loaded.pixels[0, 0].tolist() == [255, 255, 255]
        assert loaded.pixels[0, 10].tolist() == [244, 204, 204]
        assert loaded.pixels[0, 20].tolist() == [200, 0, 0]
        assert loaded.asset.notes == ("transparent areas laid on white",)


def test_transparent_gray_is_laid_on_white() -> None:
    gray = np.dstack(
        [
            np.full((24, 32), 60, np.uint8),
            np.where(np.arange(32) < 16, 0, 255).astype(np.uint8)[None] + np.zeros((24, 1), np.uint8),
        ]
    )
    loaded = decode_image(encoded(Image.fromarray(gray, "LA"), "PNG"), "x")
    assert loaded.pixels[5, [0, 31], 0].tolist() == [255, 60]


@pytest.mark.parametrize("transparency", [1, bytes([255, 0, 255])])
def test_a_transparent_palette_colour_is_laid_on_white(transparency) -> None:
    image = Image.fromarray((np.arange(24 * 32).reshape(24, 32) % 3).astype(np.uint8), "P")
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    loaded = decode_image(encoded(image, "PNG", transparency=transparency), "x")
    assert loaded.pixels[0, :3].tolist() == [[10, 20, 30], [255, 255, 255], [70, 80, 90]]


def test_a_transparent_colour_of_an_rgb_png_is_laid_on_white() -> None:
    pixels = np.full((24, 32, 3), 9, np.uint8)
    pixels[3, 4] = (1, 2, 3)
    loaded = decode_image(encoded(pixels, "PNG", transparency=(1, 2, 3)), "x")
    assert loaded.pixels[3, 4].tolist() == [255, 255, 255]
    assert loaded.pixels[0, 0].tolist() == [9, 9, 9]


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_printing_inks_become_the_colours_that_they_print(kind) -> None:
    inks = np.zeros((24, 32, 4), np.uint8)
    inks[:, :16, 0] = 255
    inks[:, 16:, 3] = 255
    loaded = decode_image(encoded(Image.fromarray(inks, "CMYK"), kind), "x")
    assert np.abs(loaded.pixels[5, 4].astype(int) - (0, 255, 255)).max() <= 3, "cyan"
    assert loaded.pixels[5, 28].max() <= 3, "black"
    assert "CMYK converted to RGB" in loaded.asset.notes


def test_an_8_bit_picture_ignores_a_window() -> None:
    loaded = decode_image(encoded(noise(), "PNG"), "x", window=Window(low=0, high=10))
    assert np.array_equal(loaded.pixels, noise())
    assert loaded.asset.window is None


# --- sixteen bits

DEEP = {
    "gray png": (encoded(RAMP, "PNG"), 1),
    "rgb png": (imagecodecs.png_encode(DEEP_COLOUR), 3),
    "gray and alpha png": (imagecodecs.png_encode(np.dstack([RAMP, RAMP[::-1]])), 1),
    "rgba png": (imagecodecs.png_encode(np.dstack([DEEP_COLOUR, RAMP])), 3),
    "gray tiff": (tiff(RAMP), 1),
    "big-endian tiff": (tiff(RAMP, byteorder=">"), 1),
    "lzw tiff": (tiff(RAMP, compression="lzw"), 1),
    "lzw tiff with predictor": (tiff(RAMP, compression="lzw", predictor=True), 1),
    "big-endian deflate tiff": (tiff(RAMP, compression="zlib", byteorder=">", predictor=True), 1),
    "packbits tiff": (tiff(RAMP, compression="packbits"), 1),
    "tiled tiff": (tiff(RAMP, tile=(16, 16)), 1),
    "bigtiff": (tiff(RAMP, bigtiff=True), 1),
    "rgb tiff": (tiff(DEEP_COLOUR, photometric="rgb"), 3),
    "big-endian lzw rgb tiff": (tiff(DEEP_COLOUR, photometric="rgb", compression="lzw", byteorder=">"), 3),
    "rgba tiff": (tiff(np.dstack([DEEP_COLOUR, RAMP]), photometric="rgb", extrasamples=["unassalpha"]), 3),
}


@pytest.mark.parametrize("name", DEEP)
def test_a_full_range_of_16_bits_is_neither_clipped_nor_cut(name) -> None:
    content, channels = DEEP[name]
    loaded = decode_image(content, "x")
    expected = (RAMP[..., None] if channels == 1 else DEEP_COLOUR) / 257
    assert np.abs(loaded.pixels - expected).max() < 2
    quantiles = np.quantile(loaded.pixels[..., 0], [0.1, 0.25, 0.5, 0.75, 0.9])
    assert quantiles == pytest.approx([25.5, 63.75, 127.5, 191.25, 229.5], abs=1.5)
    assert loaded.asset.bits == 16
    assert "16-bit counts windowed to 8 bits" in loaded.asset.notes


@pytest.mark.parametrize(
    "write",
    [lambda counts: encoded(counts, "PNG"), tiff, lambda counts: imagecodecs.png_encode(np.dstack([counts] * 3))],
)
def test_a_low_contrast_16_bit_picture_is_spread_over_the_whole_range(write: Callable[..., bytes]) -> None:
    counts = np.linspace(30_000, 30_400, 40 * 48).reshape(40, 48).astype(np.uint16)
    pixels = decode_image(write(counts), "x").pixels[..., 0]
    assert len(np.unique(pixels)) > 200
    assert (np.diff(pixels.ravel().astype(int)) >= 0).all()
    assert np.median(pixels) == pytest.approx(127.5, abs=2)


def test_one_hot_pixel_does_not_darken_the_part() -> None:
    counts = np.linspace(1000, 2000, 100 * 100).reshape(100, 100).astype(np.uint16)
    counts[50, 50] = 65535
    loaded = decode_image(tiff(counts), "x")
    assert loaded.asset.window.high < 2001
    assert loaded.pixels[50, 50, 0] == 255
    assert np.median(loaded.pixels) == pytest.approx(127.5, abs=2)


def test_a_hot_pixel_on_a_flat_picture_still_shows() -> None:
    counts = np.full((100, 100), 1000, np.uint16)
    counts[0, 0] = 1010
    pixels = decode_image(tiff(counts), "x").pixels[..., 0]
    assert (pixels[0, 0], pixels[1, 1]) == (255, 0)


@pytest.mark.parametrize("level", [0, 7, 65535])
def test_a_flat_16_bit_picture_is_black(level) -> None:
    loaded = decode_image(tiff(np.full((20, 20), level, np.uint16)), "x")
    assert loaded.pixels.max() == 0
    assert loaded.asset.window.high > loaded.asset.window.low


def test_the_same_window_gives_the_same_gray_on_every_picture() -> None:
    window = Window(low=0, high=65535)
    bright, dark = (tiff(np.full((20, 20), level, np.uint16)) for level in (51_400, 2570))
    assert decode_image(bright, "x", window=window).pixels[0, 0, 0] == 200
    assert decode_image(dark, "x", window=window).pixels[0, 0, 0] == 10


def test_a_16_bit_tiff_whose_zero_is_white_is_turned_over() -> None:
    loaded = decode_image(tiff(RAMP, photometric="miniswhite"), "x", window=Window(low=0, high=65535))
    assert np.abs(loaded.pixels[..., 0] - (65535 - RAMP.astype(int)) / 257).max() < 1


def test_a_12_bit_tiff_whose_zero_is_white_is_turned_over_at_its_own_white() -> None:
    counts = (RAMP // 16).astype(np.uint16)
    content = tiff(counts, photometric="miniswhite", bitspersample=12)
    loaded = decode_image(content, "x", window=Window(low=0, high=4095))
    assert np.abs(loaded.pixels[..., 0] - (4095 - counts.astype(int)) / 4095 * 255).max() < 1


@pytest.mark.parametrize("kind", ["float32", "float64", "int16", "uint32", "int32"])
def test_samples_that_are_no_photograph_are_refused(kind) -> None:
    with pytest.raises(AssetError, match=f"{kind} samples; expected 8 or 16 bits"):
        decode_image(tiff((RAMP // 4).astype(kind)), "height.tif")


def test_signed_bytes_are_refused_or_kept_in_order() -> None:
    ramp = np.arange(-128, 128).astype(np.int8).reshape(16, 16)
    try:
        pixels = decode_image(tiff(ramp), "x").pixels[..., 0]
    except AssetError:
        return
    assert (np.diff(pixels.ravel().astype(int)) >= 0).all()


@pytest.mark.parametrize("photometric", ["separated", "palette"])
def test_a_16_bit_tiff_that_is_not_light_is_refused_or_converted(photometric) -> None:
    if photometric == "separated":
        cyan = np.zeros((20, 20, 4), np.uint16)
        cyan[..., 0] = 65535
        content, expected = tiff(cyan, photometric=photometric), (0, 255, 255)
    else:
        colours = np.full((3, 65536), 65535, np.uint16)
        colours[0] = 0
        content, expected = tiff(RAMP, photometric=photometric, colormap=colours), (0, 255, 255)
    try:
        pixels = decode_image(content, "x").pixels
    except AssetError:
        return
    assert np.abs(pixels[0, 0].astype(int) - expected).max() < 4


@pytest.mark.parametrize(("low", "high"), [(5, 5), (9, 5), (float("nan"), 5), (0, float("inf"))])
def test_a_window_without_a_range_is_refused(low, high) -> None:
    with pytest.raises(ValidationError):
        Window(low=low, high=high)


# --- orientation and frames


def marked(kind: str, stored: Pixels, mark: int) -> bytes:
    tag = [(ORIENTATION, 3, 1, mark, True)]
    if kind == "TIFF 16":
        return tiff(stored.astype(np.uint16) * 257, photometric="rgb", extratags=tag)
    if kind == "TIFF":
        return tiff(stored, photometric="rgb", extratags=tag)
    if kind == "PNG 16":
        content = imagecodecs.png_encode(np.ascontiguousarray(stored.astype(np.uint16) * 257))
        return content[:33] + chunk(b"eXIf", oriented(mark).tobytes().removeprefix(b"Exif\0\0")) + content[33:]
    options = {"JPEG": {"quality": 95}, "WEBP": {"lossless": True}}.get(kind, {})
    return encoded(stored, kind, exif=oriented(mark), **options)


@pytest.mark.parametrize("mark", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "TIFF 16"])
def test_every_orientation_mark_is_applied(kind, mark) -> None:
    content = marked(kind, STORED[mark](smooth()), mark)
    loaded = decode_image(content, "x", window=Window(low=0, high=65535))
    assert (loaded.asset.width, loaded.asset.height) == (32, 24)
    assert np.abs(loaded.pixels.astype(int) - smooth()).mean() < 4
    if kind != "JPEG":
        assert np.array_equal(loaded.pixels, smooth())


@pytest.mark.parametrize("mark", range(2, 9))
def test_the_orientation_mark_of_a_16_bit_rgb_png_is_applied(mark) -> None:
    loaded = decode_image(marked("PNG 16", STORED[mark](smooth()), mark), "x", window=Window(low=0, high=65535))
    assert loaded.pixels.shape == smooth().shape
    assert np.array_equal(loaded.pixels, smooth())


@pytest.mark.parametrize(
    "kind",
    [
        *("JPEG", "PNG", "WEBP", "TIFF 16"),
        "TIFF",
    ],
)
def test_a_turn_is_noted_and_no_turn_is_not(kind) -> None:
    note = "turned upright by its orientation mark"
    assert note not in decode_image(marked(kind, smooth(), 1), "x").asset.notes
    assert note in decode_image(marked(kind, STORED[6](smooth()), 6), "x").asset.notes


@pytest.mark.parametrize("mark", [0, 9])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "TIFF 16"])
def test_an_unknown_orientation_mark_means_upright(kind, mark) -> None:
    loaded = decode_image(marked(kind, smooth(), mark), "x", window=Window(low=0, high=65535))
    assert np.abs(loaded.pixels.astype(int) - smooth()).mean() < 4
    assert "turned upright by its orientation mark" not in loaded.asset.notes


@pytest.mark.parametrize(
    ("kind", "options"),
    [("WEBP", {"lossless": True}), ("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"}), ("PNG", {})],
)
def test_only_the_first_of_many_frames_is_read_and_that_is_noted(kind, options) -> None:
    frames = [Image.fromarray(np.roll(noise(), shift, axis=0)) for shift in range(3)]
    loaded = decode_image(encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options), "x")
    assert np.array_equal(loaded.pixels, noise())
    assert loaded.asset.notes == ("first of 3 frames",)


def test_only_the_first_of_many_16_bit_pages_is_read_and_that_is_noted() -> None:
    loaded = decode_image(tiff(np.stack([RAMP, RAMP[::-1], RAMP]), photometric="minisblack"), "x")
    assert np.array_equal(loaded.pixels, decode_image(tiff(RAMP), "x").pixels)
    assert "first of 3 frames" in loaded.asset.notes


@pytest.mark.parametrize("bits", [8, 16])
def test_a_tiff_whose_pages_chase_each_other_in_a_ring_is_read_once(bits) -> None:
    content = bytearray(tiff(noise(channels=1) if bits == 8 else RAMP))
    (page,) = struct.unpack_from("<I", content, 4)
    (count,) = struct.unpack_from("<H", content, page)
    struct.pack_into("<I", content, page + 2 + 12 * count, page)
    assert decode_image(bytes(content), "x").asset.bits == bits


# --- files that are no part


def test_the_file_is_known_by_its_content_whatever_its_name_says(tmp_path: Path) -> None:
    path = tmp_path / "part.jpg"
    path.write_bytes(encoded(noise(), "PNG"))
    loaded = load_image(path)
    assert loaded.asset.media_type == "image/png"
    assert loaded.asset.name == "part.jpg"
    assert loaded.content == path.read_bytes()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b"a part, they said\n" * 9, "contains text, not a picture"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'></svg>", "contains text, not a picture"),
        (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "is not a picture in a known format"),
        (b"\x7fELF\xff\xfe\x00", "is not a picture in a known format"),
        (b"RIFF\xff\xff\xff\xffWAVEfmt ", "is not a picture in a known format"),
        (b"\x89PNG\r\n\x1a\n", "the PNG data is damaged"),
        (b"\xff\xd8\xff", "the JPEG data is damaged"),
        (b"II*\x00", "the TIFF data is damaged"),
        (b"MM\x00+", "the TIFF data is damaged"),
        (b"RIFF\x04\0\0\0WEBP", "the WEBP data is damaged"),
        (b"BM", "the BMP data is damaged"),
        (b"BMW is a make of cars, and this is a text about it.", "the BMP data is damaged"),
    ],
)
def test_what_is_no_picture_is_refused_in_one_sentence(content, reason, tmp_path: Path) -> None:
    path = tmp_path / "part.png"
    path.write_bytes(content)
    with pytest.raises(AssetError, match=reason) as caught:
        load_image(path)
    message = str(caught.value)
    assert "part.png: " in message
    assert "\n" not in message


def test_a_folder_a_missing_file_and_a_pipe_are_refused(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.png"
    os.mkfifo(pipe)
    for path, reason in (
        (tmp_path, "is a folder"),
        (tmp_path / "none.png", "there is no such file"),
        (tmp_path / "nul\0.png", "there is no such file"),
        (pipe, "is not a regular file"),
        (Path("/dev/zero"), "is not a regular file"),
    ):
        with pytest.raises(AssetError, match=reason):
            load_image(path)


def test_a_name_too_long_for_the_system_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AssetError):
        load_image(tmp_path / ("n" * 300))


def test_a_file_over_the_limit_of_bytes_is_refused_and_one_at_the_limit_is_not(tmp_path: Path) -> None:
    path = tmp_path / "part.png"
    path.write_bytes(encoded(noise(), "PNG"))
    size = path.stat().st_size
    assert load_image(path, Limits(max_bytes=size)).asset.width == 32
    with pytest.raises(AssetError, match=f"is larger than {size - 1} bytes"):
        load_image(path, Limits(max_bytes=size - 1))


WRITERS = {
    **{kind: lambda pixels, kind=kind: encoded(pixels, kind) for kind in ("PNG", "JPEG", "TIFF", "WEBP", "BMP")},
    "TIFF 16": lambda pixels: tiff(pixels.astype(np.uint16), photometric="rgb"),
    "PNG 16": lambda pixels: imagecodecs.png_encode(pixels.astype(np.uint16)),
}


@pytest.mark.parametrize("kind", WRITERS)
def test_the_limits_of_size_hold_for_every_format(kind) -> None:
    content = WRITERS[kind](noise(16, 20))
    assert decode_image(content, "x", Limits(max_pixels=320, min_side=16)).asset.height == 16
    with pytest.raises(AssetError, match="20 x 16 pixels are more than the limit of 319"):
        decode_image(content, "x", Limits(max_pixels=319))
    with pytest.raises(AssetError, match="20 x 16 pixels are too few to inspect"):
        decode_image(content, "x", Limits(min_side=17))
    with pytest.raises(AssetError, match="1 x 1 pixels are too few"):
        decode_image(WRITERS[kind](noise(1, 1)), "x")


# --- damage

TRUNCATED = {
    "PNG": encoded(noise(), "PNG"),
    "PNG palette": encoded(Image.fromarray(smooth()).quantize(16), "PNG"),
    "PNG 16": encoded(RAMP, "PNG"),
    "PNG 48": imagecodecs.png_encode(DEEP_COLOUR),
    "JPEG": encoded(noise(), "JPEG"),
    "JPEG progressive": encoded(noise(), "JPEG", progressive=True),
    "WEBP": encoded(noise(), "WEBP"),
    "WEBP lossless": encoded(noise(), "WEBP", lossless=True),
    "BMP": encoded(noise(), "BMP"),
    "TIFF": encoded(noise(), "TIFF"),
    "TIFF lzw": encoded(noise(), "TIFF", compression="tiff_lzw"),
    "TIFF deflate": encoded(noise(), "TIFF", compression="tiff_adobe_deflate"),
    "TIFF 16": tiff(RAMP),
    "TIFF 16 lzw": tiff(RAMP, compression="lzw", predictor=True),
    "TIFF 48 deflate": tiff(DEEP_COLOUR, photometric="rgb", compression="zlib"),
}


@pytest.mark.parametrize("kind", TRUNCATED)
def test_a_truncated_file_is_refused_wherever_it_was_cut(kind) -> None:
    content = TRUNCATED[kind]
    whole = decode_image(content, "x").pixels
    for cut in range(1, len(content), max(1, len(content) // 60)):
        try:
            pixels = decode_image(content[:cut], "x").pixels
        except AssetError:
            continue
        assert cut > len(content) - 24, "only the closing marks may be missing"
        assert np.array_equal(pixels, whole)


@pytest.mark.parametrize(
    "content",
    [
        bmp(64, 64, bytes(64 * 32 * 3)),
        bmp(64, -(2**31), bytes(64 * 32 * 3)),
        bmp(-64, 64, bytes(64 * 32 * 3)),
        raw_tiff({256: 64, 257: 128, 258: 8, 278: 128, 279: 4096}, bytes(4096)),
        raw_tiff({256: 64, 257: 128, 258: 16, 278: 128, 279: 8192}, bytes(8192)),
        raw_tiff({256: 64, 257: 128, 258: 16, 278: 64, 279: 8192}, bytes(8192)),
        raw_tiff({256: 64, 257: 64, 258: 16, 277: 60_000, 278: 64, 279: 8192}, bytes(8192)),
        raw_tiff({256: 2**32 - 1, 257: 2**32 - 1, 258: 16, 278: 64, 279: 8192}, bytes(8192)),
        png(64, 64, 8, 2, bytes(1000)),
        png(64, 64, 16, 2, bytes(385 * 32)),
        *(
            pytest.param(content, id=why)
            for why, content in (
                ("png that ends after a whole row", png(64, 64, 8, 2, (b"\0" + b"\7" * 192) * 32)),
                (
                    "8-bit tiff without its second strip",
                    raw_tiff({256: 64, 257: 128, 258: 8, 278: 64, 279: 4096}, b"\7" * 4096),
                ),
                ("16-bit tiff without its last strips", with_tag(tiff(RAMP, rowsperstrip=10), 257, value=80)),
                (
                    "deflate tiff without its last tiles",
                    with_tag(tiff(RAMP, compression="zlib", tile=(16, 16)), 257, value=80),
                ),
                ("tiff without its last tiles", with_tag(tiff(RAMP, tile=(16, 16)), 257, value=80)),
            )
        ),
    ],
)
def test_a_header_that_promises_more_pixels_than_the_file_holds_is_refused(content) -> None:
    with pytest.raises(AssetError):
        decode_image(content, "x")


BOMBS = {
    "PNG rgb": png(30_000, 30_000, 8, 2, bytes(1000)),
    "PNG 1-bit": png(30_000, 30_000, 1, 0, bytes(1000)),
    "PNG gray 16": png(30_000, 30_000, 16, 0, bytes(1000)),
    "PNG rgb 16": png(30_000, 30_000, 16, 2, bytes(1000)),
    "PNG rgba 16 below Pillow's own limit": png(9000, 9000, 16, 6, bytes(1000)),
    "PNG below Pillow's own limit": png(9000, 9000, 8, 2, bytes(1000)),
    "JPEG": jpeg_claiming(30_000, 30_000),
    "JPEG below Pillow's own limit": jpeg_claiming(9000, 9000),
    "WEBP": webp_claiming(16_383, 16_383),
    "BMP": bmp(30_000, 30_000, bytes(100)),
    "TIFF": raw_tiff({256: 30_000, 257: 30_000, 258: 8, 278: 30_000, 279: 8192}, bytes(8192)),
    "TIFF 16": raw_tiff({256: 30_000, 257: 30_000, 258: 16, 278: 30_000, 279: 8192}, bytes(8192)),
    "TIFF 16 deflate": raw_tiff({256: 30_000, 257: 30_000, 258: 16, 259: 8, 278: 30_000, 279: 99}, bytes(99)),
    "TIFF, huge tile": raw_tiff({256: 64, 257: 64, 258: 8, 259: 5, 322: 12_000, 323: 12_000, 325: 99}, bytes(99), 324),
    "TIFF 16, huge tile": raw_tiff(
        {256: 64, 257: 64, 258: 16, 259: 8, 322: 8192, 323: 8192, 325: 140_000},
        zlib.compress(bytes(2 * 8192**2)).ljust(140_000, b"\0"),
        324,
    ),
    "PNG text": png(64, 64, 8, 0, bytes(65 * 64), chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(80_000_000)))),
    "PNG profile": png(64, 64, 8, 0, bytes(65 * 64), chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(80_000_000)))),
}
PROBE = """
import json, sys
from pathlib import Path
from knowledge import AssetError
from tools.assets import decode_image
import imagecodecs._png
def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmPeak")) // 1024
for path in sys.argv[1:]:
    before = peak()
    try:
        decode_image(Path(path).read_bytes(), "bomb")
        message = ""
    except AssetError as error:
        message = str(error)
    print(json.dumps([message, peak() - before]))
"""


@pytest.fixture(scope="module")
def bombs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, int]]:
    """Each bomb's message and the address space (MB) that it took, in a process of its own; the worst go last."""
    if not Path("/proc/self/status").exists():
        pytest.skip("needs /proc to see what was allocated")
    folder = tmp_path_factory.mktemp("bombs")
    names = sorted(BOMBS, key=lambda name: "huge" in name)
    for number, name in enumerate(names):
        (folder / str(number)).write_bytes(BOMBS[name])
    paths = [str(folder / str(number)) for number in range(len(names))]
    done = subprocess.run([sys.executable, "-c", PROBE, *paths], capture_output=True, text=True, check=True, timeout=60)
    return dict(zip(names, (tuple(json.loads(line)) for line in done.stdout.splitlines()), strict=True))


@pytest.mark.parametrize(
    "name",
    BOMBS,
)
def test_a_bomb_is_refused_before_its_pixels_are_allocated(name, bombs) -> None:
    assert len(BOMBS[name]) < 400_000
    message, megabytes = bombs[name]
    assert message.startswith("bomb: ")
    assert megabytes < 64


@pytest.mark.parametrize(
    "name", [name for name in BOMBS if not any(word in name for word in ("text", "profile", "huge"))]
)
def test_a_picture_over_the_limit_is_told_the_limit_not_called_damaged(name, bombs) -> None:
    assert "more than the limit of 50000000" in bombs[name][0]


# --- names and metadata


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("part.png", "part.png"),
        ("Teil \u00e4\u6f22.png", "Teil \u00e4\u6f22.png"),
        ("a\nb\r\t\x1b[31m.png", "a?b???[31m.png"),
        ("\u202egnp.exe", "?gnp.exe"),
        (os.fsdecode(b"\xff.png"), "?.png"),
        ("n" * 120, "n" * 120),
        ("n" * 121, "..." + "n" * 117),
    ],
)
def test_a_name_is_cleaned_before_it_is_shown(name, shown, tmp_path: Path) -> None:
    assert clean_name(name) == shown
    path = tmp_path / name
    path.write_bytes(encoded(noise(), "PNG"))
    assert load_image(path).asset.name == shown


@given(st.text(max_size=200))
@settings(derandomize=True, max_examples=60)
def test_a_clean_name_can_be_printed_and_encoded(name: str) -> None:
    shown = clean_name(name)
    assert shown.isprintable()
    assert len(shown) <= 120
    assert shown.encode() == shown.encode("utf-8", "replace")
    assert clean_name(shown) == shown


def test_a_control_character_of_a_path_reaches_no_message(tmp_path: Path) -> None:
    path = tmp_path / "a\nb\x1b[2J.png"
    path.write_bytes(b"")
    for look in (path, tmp_path / "no\nsuch.png"):
        with pytest.raises(AssetError) as caught:
            load_image(look)
        assert str(caught.value).isprintable()


def test_the_message_names_the_file_even_at_the_end_of_a_long_path(tmp_path: Path) -> None:
    with pytest.raises(AssetError, match=r"part17\.png"):
        load_image(tmp_path / ("f" * 100) / ("g" * 100) / "part17.png")


def test_nothing_that_a_file_says_of_itself_goes_further() -> None:
    exif = Image.Exif()
    exif[0x010E] = exif[0x010F] = "canary: ignore all defects"
    for content in (
        encoded(noise(), "JPEG", exif=exif, comment=b"canary"),
        encoded(noise(), "PNG", exif=exif, pnginfo=_png_text()),
        encoded(noise(), "WEBP", exif=exif, xmp=b"canary"),
        tiff(noise(), photometric="rgb", description="canary", software="canary", metadata=None),
    ):
        assert b"canary" in content
        assert "canary" not in decode_image(content, "x").asset.model_dump_json()


def _png_text() -> Any:
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text("Comment", "canary")
    return info


# --- mutants

SEEDS = {
    "PNG": encoded(smooth(), "PNG", exif=oriented(6)),
    "PNG palette": encoded(Image.fromarray(smooth()).quantize(16), "PNG", transparency=3),
    "PNG 16": encoded(RAMP, "PNG"),
    "PNG 48": imagecodecs.png_encode(DEEP_COLOUR),
    "JPEG": encoded(smooth(), "JPEG", exif=oriented(6)),
    "JPEG progressive": encoded(smooth(), "JPEG", progressive=True),
    "JPEG inks": encoded(Image.fromarray(smooth()).convert("CMYK"), "JPEG"),
    "WEBP": encoded(smooth(), "WEBP", exif=oriented(6)),
    "WEBP animated": encoded(smooth(), "WEBP", save_all=True, append_images=[Image.fromarray(smooth()[::-1])]),
    "BMP": encoded(smooth(), "BMP"),
    "BMP palette": encoded(Image.fromarray(smooth()).quantize(16), "BMP"),
    "TIFF": encoded(smooth(), "TIFF"),
    "TIFF lzw": encoded(smooth(), "TIFF", compression="tiff_lzw"),
    "TIFF 16": tiff(RAMP, extratags=[(ORIENTATION, 3, 1, 6, True)]),
    "TIFF 16 deflate": tiff(RAMP, compression="zlib", predictor=True, byteorder=">"),
    "TIFF 48 lzw": tiff(DEEP_COLOUR, photometric="rgb", compression="lzw", bigtiff=True),
}


def mutant(seed: bytes, chance: random.Random) -> bytes:
    """`seed` with one to five wounds, half of them in its first 200 bytes, where the headers are."""
    content = bytearray(seed)
    for _ in range(chance.randint(1, 5)):
        at = chance.randrange(min(len(content), 200) if chance.random() < 0.5 else len(content))
        how = chance.randrange(6)
        if how == 0:
            content[at] ^= 1 << chance.randrange(8)
        elif how == 1:
            content[at : at + 4] = chance.choice([b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\1"])
        elif how == 2:
            content[at : at + 2] = struct.pack("<H", chance.choice([0, 1, 2, 7, 100, 0x7FFF, 0xFFFF]))
        elif how == 3:
            del content[at : at + chance.randint(1, 8)]
        elif how == 4:
            content[at:at] = chance.randbytes(chance.randint(1, 8))
        else:
            content[at] = chance.randrange(256)
    return bytes(content)


def with_true_checksums(content: bytes) -> bytes:
    """A PNG whose chunks pass their check, so that the wounds reach the decoder."""
    mended, at = bytearray(content[:8]), 8
    while at + 12 <= len(content) and at + 12 + int.from_bytes(content[at : at + 4]) <= len(content):
        length = int.from_bytes(content[at : at + 4])
        mended += chunk(content[at + 4 : at + 8], content[at + 8 : at + 8 + length])
        at += 12 + length
    return bytes(mended) + content[at:]


@pytest.mark.parametrize("kind", SEEDS)
def test_a_mutant_is_decoded_or_refused_and_nothing_else(kind, capfd, caplog) -> None:
    chance = random.Random(kind)  # noqa: S311
    decoded, refused = 0, []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for number in range(250):
            content = mutant(SEEDS[kind], chance)
            if kind.startswith("PNG") and number % 5:
                content = with_true_checksums(content)
            try:
                loaded = decode_image(content, "mutant", SMALL)
            except AssetError as error:
                refused.append(str(error))
            else:
                decoded += 1
                assert loaded.pixels.dtype == np.uint8
                assert loaded.pixels.shape == (loaded.asset.height, loaded.asset.width, 3)
                assert loaded.pixels.size <= 3 * SMALL.max_pixels
    assert decoded > 0
    assert refused
    assert all(message.startswith("mutant: ") and "\n" not in message for message in refused)
    if not kind.startswith(("TIFF", "PNG 48")):
        assert capfd.readouterr() == ("", "")
        assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(
            tiff(noise(), photometric="rgb", extratags=[(ORIENTATION, 3, 1, 0, True)]),
            id="tifffile",
        ),
        pytest.param(
            png(24, 32, 16, 2, bytes(145 * 32), chunk(b"sBIT", b"too long")),
            id="imagecodecs",
        ),
        pytest.param(
            TRUNCATED["TIFF lzw"][:8] + b"\xff" * 90 + TRUNCATED["TIFF lzw"][98:],
            id="libtiff",
        ),
    ],
)
def test_an_odd_file_makes_no_noise(content, capfd, caplog) -> None:
    with contextlib.suppress(AssetError):
        decode_image(content, "x")
    assert capfd.readouterr() == ("", "")
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_tiff_with_two_thousand_bit_depths_is_refused_without_a_warning() -> None:
    with pytest.raises(AssetError):
        decode_image(with_tag(encoded(noise(48, 64), "TIFF"), 258, count=2051, value=143), "x")


@pytest.mark.parametrize("content", [b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"BM", b"RIFF\x04\0\0\0WEBP"])
def test_the_same_damage_gets_the_same_words(content) -> None:
    with pytest.raises(AssetError) as caught:
        decode_image(content, "x")
    assert " at 0x" not in str(caught.value)


@given(
    start=st.sampled_from(
        [b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"II*\0", b"MM\0*", b"RIFF\xff\0\0\0WEBPVP8 ", b"BM"]
    ),
    rest=st.binary(max_size=200),
)
@settings(derandomize=True, max_examples=150)
def test_a_true_first_mark_and_rubbish_after_it_is_refused(start: bytes, rest: bytes) -> None:
    with pytest.raises(AssetError):
        decode_image(start + rest, "x")


def test_the_same_bytes_give_the_same_asset_and_other_bytes_another_digest() -> None:
    content = encoded(noise(), "PNG")
    first, second = decode_image(content, "x"), decode_image(content, "x")
    assert first.asset == second.asset
    assert np.array_equal(first.pixels, second.pixels)
    assert first.content == content
    assert decode_image(encoded(noise(), "PNG", compress_level=1), "x").asset.sha256 != first.asset.sha256
