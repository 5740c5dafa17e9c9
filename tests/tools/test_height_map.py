"""Height maps as they are read: units, facts, planes and whole-part numbers."""

import io

import imagecodecs
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from knowledge import AssetError, ToolFailure
from tools.assets import Limits
from tools.geometry.height_map import HeightMap, fit_plane, looks_like_height_map, measure_part, read_height_map


def counts() -> np.ndarray:
    found = np.full((20, 30), 512, np.uint16)
    found[:, 15:] = 1024
    found[0, 0] = 0
    return found


def png(array: np.ndarray) -> bytes:
    return bytes(imagecodecs.png_encode(array))


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def test_counts_become_lengths_where_a_count_is_known() -> None:
    found = read_height_map(png(counts()), "part.png", per_count=1 / 256, pixel_size=0.5, unit="mm")
    assert found.heights[0, 1] == 2.0
    assert found.heights[0, 29] == 4.0
    assert not found.valid[0, 0]
    assert (found.height_unit, found.pixel_size, found.pixel_unit) == ("mm", 0.5, "mm")
    assert found.notes == ("zeros are taken as no data", "a count is 0.00390625 mm")
    assert found.facts() == {
        "width": 30,
        "height": 20,
        "unit": "mm",
        "pixel_size": 0.5,
        "pixel_unit": "mm",
        "lowest": 2.0,
        "highest": 4.0,
        "missing_share": pytest.approx(1 / 600),
    }


def test_units_are_never_guessed() -> None:
    plain = read_height_map(png(counts()), "part.png", unit="mm", pixel_size=0.5)
    assert (plain.height_unit, plain.pixel_unit) == ("counts", "mm")
    assert "heights are counts of the sensor" in plain.notes[-1]
    floats = read_height_map(npy(counts().astype(np.float32)), "part.npy", unit="mm")
    assert floats.height_unit == "mm"
    assert "taken to be in mm" in floats.notes[-1]
    assert read_height_map(npy(counts().astype(np.float32)), "part.npy").height_unit == "counts"


def test_errors_name_the_file() -> None:
    for content in (b"", b"text", png(np.zeros((20, 30), np.uint8)), png(counts())[:60]):
        with pytest.raises(AssetError, match=r"^part\.png: "):
            read_height_map(content, "part.png")
    with pytest.raises(AssetError, match="limit of 100"):
        read_height_map(png(counts()), "part.png", limits=Limits(max_pixels=100))
    with pytest.raises(AssetError, match="larger than 10 bytes"):
        read_height_map(png(counts()), "part.png", limits=Limits(max_bytes=10))


def test_looks_go_by_content() -> None:
    import tifffile

    buffer = io.BytesIO()
    tifffile.imwrite(buffer, counts())
    assert all(looks_like_height_map(content, "a.jpg") for content in (png(counts()), npy(counts()), buffer.getvalue()))
    pictures = [png(np.zeros((20, 30, 3), np.uint8)), png(np.zeros((20, 30, 3), np.uint16)), npy(np.zeros((20, 30, 3)))]
    pictures += [
        npy(np.zeros((20, 30), np.uint8)),
        npy(np.zeros((4, 30))),
        b"",
        b"II*\x00junk",
        b"\x93NUMPY\x01",
        b"x,y\n1,2",
    ]
    assert not any(looks_like_height_map(content, "a.png") for content in pictures)


@settings(max_examples=30, deadline=None)
@given(st.floats(-100, 100), st.floats(-2, 2), st.floats(-2, 2))
@example(0.0, 2.0, 0.78125)
def test_a_plane_is_found_under_a_dent_and_gaps(offset: float, slope_x: float, slope_y: float) -> None:
    y, x = np.mgrid[:24, :32]
    heights = (offset + slope_x * (x - 15.5) + slope_y * (y - 11.5)).astype(np.float32)
    heights[3:9, 4:12] -= 5
    heights[20:, 20:] = np.nan
    found = fit_plane(heights)
    assert found == pytest.approx((offset, slope_x, slope_y), abs=2e-3)
    assert np.allclose(found.over((24, 32))[0, 0], offset - 15.5 * slope_x - 11.5 * slope_y, atol=0.1)


def test_no_plane_through_two_pixels() -> None:
    heights = np.full((5, 5), np.nan, np.float32)
    heights[0, :2] = 1
    with pytest.raises(ToolFailure, match="fewer than three"):
        fit_plane(heights)


def test_a_part_in_numbers() -> None:
    heights = np.zeros((40, 40), np.float32)
    heights[:, 20:] = 2.0
    heights[:4] = np.nan
    found = {each.name: each for each in measure_part(HeightMap(heights, "mm", 0.5, "mm"))}
    assert found["height_range"].value == 2.0
    assert found["height_range"].unit == "mm"
    assert found["missing_share"].value == pytest.approx(0.1)
    assert found["area"].value == pytest.approx(1440 * 0.25)
    assert found["roughness"].value == 0.0
    assert "area" not in {each.name for each in measure_part(HeightMap(heights))}
