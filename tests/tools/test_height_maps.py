"""Files of height maps: what comes out is what was written, and what is no height map is refused with a reason."""

import contextlib
import io
import struct
import zlib
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from knowledge import AssetError
from tools.decoding.height_maps import decode_height_map
from tools.decoding.worker import Decoded


def png(array: NDArray[Any]) -> bytes:
    return bytes(imagecodecs.png_encode(array))


def tiff(array: NDArray[Any], **options: Any) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, array, **options)
    return buffer.getvalue()


def npy(array: NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def decode(content: bytes) -> Decoded:
    return decode_height_map(content, max_pixels=1_000_000, min_side=16)


def ramp(dtype: Any = np.uint16) -> NDArray[Any]:
    return (np.arange(20 * 30).reshape(20, 30) * 100 + 100).astype(dtype)


def test_counts_above_8_bits_come_out_as_they_are() -> None:
    counts = ramp()
    counts[3, 4] = 0
    decoded = decode(png(counts))
    heights = decoded.arrays["heights"]
    assert heights.dtype == np.float32
    assert heights[0, 1] == 200.0
    assert heights[19, 29] == 60_000.0
    assert np.isnan(heights[3, 4])
    assert np.isnan(heights).sum() == 1
    assert decoded.about == {"format": "PNG", "dtype": "uint16", "notes": ["zeros are taken as no data"]}


@pytest.mark.parametrize("dtype", [np.uint16, np.int16, np.int32, np.uint32, np.float16, np.float32, np.float64])
@pytest.mark.parametrize("write", [tiff, npy])
def test_kinds_of_numbers(write: Any, dtype: Any) -> None:
    array = (np.arange(600).reshape(20, 30) + 1).astype(dtype)
    assert np.array_equal(decode(write(array)).arrays["heights"], array.astype(np.float32))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([png, tiff, npy]), st.floats(0.0, 0.4))
def test_what_was_written_comes_out(seed: int, write: Any, missing: float) -> None:
    generator = np.random.default_rng(seed)
    counts = generator.integers(1, 65_536, (33, 47)).astype(np.uint16)
    counts[generator.random(counts.shape) < missing] = 0
    heights = decode(write(counts)).arrays["heights"]
    assert np.array_equal(np.nan_to_num(heights), counts)


def test_with_a_nan_zero_is_a_height() -> None:
    heights = (ramp(np.float32) - 100) / 100
    assert np.isnan(decode(npy(heights)).arrays["heights"][0, 0])
    heights[5, 5] = np.nan
    assert decode(npy(heights)).arrays["heights"][0, 0] == 0


def test_infinite_and_marked_heights_are_no_data() -> None:
    heights = ramp(np.float32)
    heights[0, 0] = np.inf
    assert np.isnan(decode(npy(heights)).arrays["heights"][0, 0])
    marked = ramp(np.int16)
    marked[2, 2] = -9999
    found = decode(tiff(marked, extratags=[(42113, "s", 0, "-9999", True)]))
    assert np.isnan(found.arrays["heights"][2, 2])
    assert "the file marks -9999 as no data" in found.about["notes"]


def test_far_offsets_keep_the_detail() -> None:
    heights = 1e9 + np.arange(600, dtype=np.float64).reshape(20, 30) / 1000
    decoded = decode(npy(heights))
    found = decoded.arrays["heights"]
    assert np.allclose(found - found[0, 0], heights - heights[0, 0], atol=1e-6)
    assert "was taken off all heights" in decoded.about["notes"][0]


def test_saturated_counts_are_said() -> None:
    counts = ramp()
    counts[:5] = 65_535
    assert any("saturated" in note for note in decode(png(counts)).about["notes"])


def header_of(shape: tuple[int, ...], dtype: str = "<f4") -> bytes:
    """An .npy header that lies about what follows."""
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}}}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()


def png_claiming(width: int, height: int) -> bytes:
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 16, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "known format"),
        (b"height,map\n1,2\n", "known format"),
        (png(np.full((20, 30), 7, np.uint8)), "8-bit or colour"),
        (png(np.zeros((20, 30, 3), np.uint16)), "8-bit or colour"),
        (tiff(np.zeros((20, 30, 3), np.uint8), photometric="rgb"), "8-bit or colour"),
        (npy(np.zeros((20, 30), np.uint8)), "expected two dimensions"),
        (npy(np.zeros((20, 30, 2))), "expected two dimensions"),
        (npy(np.zeros((20, 30), complex)), "expected two dimensions"),
        (png(np.full((20, 30), 7, np.uint16)), "the same height"),
        (png(np.zeros((20, 30), np.uint16)), "only 0 of 600 pixels"),
        (npy(np.full((20, 30), np.nan)), "only 0 of 600 pixels"),
        (png(np.ones((8, 30), np.uint16)), "too few to inspect"),
        (header_of((40_000, 40_000)), "more than the limit"),
        (header_of((400, 400)), "not what follows"),
        (header_of((40, 40)) + bytes(40 * 40 * 4 + 1), "not what follows"),
        (png_claiming(60_000, 60_000), "more than the limit"),
    ],
)
def test_what_is_no_height_map_is_refused(content: bytes, reason: str) -> None:
    with pytest.raises(AssetError, match=reason):
        decode(content)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_damage_is_an_error_and_never_a_crash(data: st.DataObject) -> None:
    content = bytearray(
        data.draw(st.sampled_from([png(ramp()), tiff(ramp(), compression="zlib"), npy(ramp(np.float32))]))
    )
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, min(len(content) - 1, 300)))] = data.draw(st.integers(0, 255))
    # whatever a library raises, the bounded process makes an `AssetError` of it
    with contextlib.suppress(Exception):
        heights = decode(bytes(content)).arrays["heights"]
        assert heights.ndim == 2
        assert heights.dtype == np.float32
