"""Organised scans: each pixel's coordinates become a point, and what only looks like a scan is refused or a picture."""

import io
import struct
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from knowledge import AssetError, Modality, Product
from tools.assets import Limits
from tools.decoding.organised_scans import is_scan, read_scan
from tools.decoding.point_clouds import decode_point_cloud
from tools.geometry import read_height_map, read_point_cloud
from tools.intake import load_asset, modality_of

Scan = NDArray[np.float32]


def scan(height: int = 24, width: int = 32) -> Scan:
    """(H, W, 3) of a wavy surface in front of a camera; row r, column c lies at x = c, y = r."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([columns, rows, 500 + np.sin(columns / 5)], axis=-1).astype(np.float32)


def tiff(array: NDArray[Any], **options: Any) -> bytes:
    buffer = io.BytesIO()
    kind = "rgb" if array.ndim == 3 else "minisblack"
    tifffile.imwrite(buffer, array, **{"photometric": kind, **options})
    return buffer.getvalue()


def npy(array: NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def planes(array: NDArray[Any]) -> bytes:
    return tiff(np.ascontiguousarray(np.moveaxis(array, -1, 0)), planarconfig="separate")


# -- what is written is read -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        tiff(scan()),
        tiff(scan(), compression="zlib", predictor=True),
        tiff(scan(), tile=(16, 16)),
        tiff(scan(), bigtiff=True, byteorder=">"),
        tiff(scan().astype(np.float64)),
        planes(scan()),
        npy(scan()),
        npy(np.asfortranarray(scan())),
    ],
)
def test_points_come_out_in_row_major_order(content: bytes) -> None:
    cloud = read_point_cloud(content, "000.tiff", unit="mm")
    np.testing.assert_array_equal(cloud.points, scan().reshape(-1, 3))
    np.testing.assert_array_equal(cloud.kept, np.arange(24 * 32))
    assert cloud.grid == (24, 32)


def test_pixels_without_a_point_are_left_out_and_counted() -> None:
    seen = scan()
    seen[0, 1] = 0
    seen[2, 3] = np.nan
    seen[4, 5, 1] = np.inf
    seen[5, 0] = 0, 0, 500  # on the axis of the camera
    cloud = read_point_cloud(tiff(seen), "000.tiff", unit="mm")
    assert set(range(24 * 32)) - set(cloud.kept.tolist()) == {1, 2 * 32 + 3, 4 * 32 + 5}
    assert cloud.notes == ("an organised scan of 32 x 24 pixels, 3 of which have no point (0.4%)",)
    facts = cloud.facts()
    assert (facts["format"], facts["grid"], facts["points_in_file"]) == ("tiff", [24, 32], 24 * 32 - 3)


@settings(max_examples=60, deadline=None)
@given(
    arrays(np.bool_, st.tuples(st.integers(4, 12), st.integers(4, 12))),
    st.sampled_from([0.0, np.nan, np.inf, -np.inf]),
    st.sampled_from([tiff, npy, planes]),
)
def test_every_pixel_that_saw_something_is_a_point(lost: NDArray[np.bool_], mark: float, write: Any) -> None:
    array = scan(*lost.shape)
    array[0, 0, 0] = 0.25  # else x, y of the first would be zeros, as is allowed beside z
    array[lost] = mark
    found = read_scan(write(array), limit=10_000, max_pixels=10_000)
    np.testing.assert_array_equal(found.pixels, np.flatnonzero(~lost))
    np.testing.assert_array_equal(found.points, array[~lost])
    assert (found.seen, found.grid) == (int((~lost).sum()), lost.shape)


def test_too_many_points_are_thinned_evenly_and_keep_their_pixels() -> None:
    found = decode_point_cloud(tiff(scan()), limit=100)
    kept = found.arrays["kept"]
    assert len(kept) == 100
    assert (kept[0], kept[-1]) == (0, 24 * 32 - 1)
    assert np.ptp(np.diff(kept)) <= 1
    np.testing.assert_array_equal(found.arrays["points"], scan().reshape(-1, 3)[kept])
    assert found.about["in_file"] == 24 * 32


def test_only_the_first_page_is_a_scan_and_that_is_said() -> None:
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as file:
        for _ in range(2):
            file.write(scan(), photometric="rgb")
    assert "first of 2 pages of the TIFF" in read_point_cloud(buffer.getvalue(), "a.tiff").notes


# -- what a file is taken for ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [tiff(scan()), npy(scan())])
@pytest.mark.parametrize(
    "allowed", [("point_cloud",), ("image", "point_cloud"), ("depth", "point_cloud", "time_series", "video", "image")]
)
def test_a_scan_is_known_by_its_content(content: bytes, allowed: tuple[Modality, ...]) -> None:
    assert modality_of(content, "file.bin", allowed) == "point_cloud"


@pytest.mark.parametrize("allowed", ["image", "depth", "video"])
def test_a_product_that_is_not_inspected_by_scans_says_what_it_was_given(allowed: Modality) -> None:
    with pytest.raises(
        AssetError, match=rf"^000\.tiff: is of modality point_cloud, .* inspected by {allowed}; add it to"
    ):
        modality_of(tiff(scan()), "000.tiff", (allowed,))


@pytest.mark.parametrize("content", [tiff(scan()), npy(scan())])
def test_the_reader_of_height_maps_says_that_it_is_a_scan(content: bytes) -> None:
    with pytest.raises(AssetError, match=r"three floating-point channels.* inspect it as a point_cloud"):
        read_height_map(content, "000.tiff")


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_three_channels_of_counts_stay_a_picture(dtype: Any) -> None:
    content = tiff(scan().astype(dtype))
    assert not is_scan(content)
    assert modality_of(content, "a.tiff", ("image", "point_cloud")) == "image"


def test_one_channel_of_heights_stays_a_height_map() -> None:
    assert modality_of(tiff(scan()[..., 2]), "a.tiff", ("point_cloud", "depth")) == "depth"


def test_an_asset_says_what_is_in_it(tmp_path: Path) -> None:
    path = tmp_path / "000.tiff"
    path.write_bytes(tiff(scan()))
    loaded = load_asset(path, Product(name="p", description="d", modality=("image", "point_cloud"), unit="mm"))
    assert loaded.asset.modality == "point_cloud"
    assert "0 of which have no point" in loaded.asset.notes[0]


# -- odd and hostile files -------------------------------------------------------------------------------------------


def lone_point() -> Scan:
    array = np.zeros_like(scan())
    array[3, 4] = 1, 2, 3
    return array


def claiming(content: bytes, width: int, height: int) -> bytes:
    """A TIFF whose header says another size."""
    with tifffile.TiffFile(io.BytesIO(content)) as file:
        tags = file.pages.first.tags
        places = {tags["ImageWidth"].valueoffset: width, tags["ImageLength"].valueoffset: height}
    changed = bytearray(content)
    for place, value in places.items():
        changed[place : place + 4] = struct.pack("<I", value)
    return bytes(changed)


def npy_claiming(shape: tuple[int, ...], dtype: str = "<f4") -> bytes:
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}}}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (tiff(scan()[..., :2].copy(), photometric="minisblack", planarconfig="contig"), "has 2 channels of float32"),
        (tiff(np.concatenate([scan(), scan()[..., :1]], -1)), "has 4 channels of float32"),
        (tiff(scan().astype(np.uint8)), "not a point cloud or mesh"),
        (tiff(scan().astype(np.float16)), "coordinates of float16"),
        (npy(scan().astype(np.float16)), "coordinates of float16"),
        (claiming(tiff(scan()), 60_000, 60_000), "60000 x 60000 pixels are more than the limit"),
        (claiming(tiff(scan(), tile=(16, 16)), 4000, 4000), "parts of the scan are missing"),
        (npy_claiming((60_000, 60_000, 3)), "more than the limit"),
        (npy_claiming((400, 400, 3)), "not what follows"),
        (tiff(scan())[:-50], "parts of the scan are missing"),
        (tiff(scan(), compression="zlib")[:-50], "parts of the scan are missing"),
        (tiff(scan())[:150], "not a point cloud or mesh"),
        (tiff(np.zeros_like(scan())), "holds 0 usable points of 768"),
        (tiff(np.full_like(scan(), np.nan)), "holds 0 usable points of 768"),
        (tiff(lone_point()), "holds 1 usable points of 768"),
        (tiff(np.ones_like(scan())), "in one place"),
    ],
)
def test_what_is_no_scan_is_refused_in_one_sentence(content: bytes, reason: str) -> None:
    begun = time.monotonic()
    with pytest.raises(AssetError, match=reason) as error:
        read_point_cloud(content, "000.tiff")
    assert str(error.value).startswith("000.tiff: ")
    assert "\n" not in str(error.value)
    assert time.monotonic() - begun < 10


def test_the_limit_of_pixels_is_the_users() -> None:
    with pytest.raises(AssetError, match="32 x 24 pixels are more than the limit of 700"):
        read_point_cloud(tiff(scan()), "000.tiff", limits=Limits(max_pixels=700))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_damage_is_an_error_and_never_a_crash(data: st.DataObject) -> None:
    whole = data.draw(st.sampled_from([tiff(scan()), tiff(scan(), compression="zlib"), npy(scan())]))
    content = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, min(len(content) - 1, 300)))] = data.draw(st.integers(0, 255))
    is_scan(bytes(content))
    # whatever a library raises, the bounded process makes an `AssetError` of it
    with suppress(Exception):
        found = read_scan(bytes(content), limit=1000, max_pixels=1_000_000)
        assert np.isfinite(found.points).all()
