"""Maps, regions and colours worked by hand, then by property."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from tools.localization.anomaly_map import (
    MapScale,
    anomaly_score,
    blobs,
    heat_overlay,
    smooth,
    to_view,
)
from tools.localization.features import as_patches
from tools.views import Box

MAPS = arrays(np.float32, (7, 9), elements=st.floats(-4, 4, width=16))


def test_smoothing_a_3x3_map_by_hand() -> None:
    peak = torch.zeros(1, 3, 3)
    peak[0, 1, 1] = 36.0
    assert smooth(peak)[0].tolist() == [[9.0, 6.0, 9.0], [6.0, 4.0, 6.0], [9.0, 6.0, 9.0]]


def test_scale_is_the_median_and_1_4826_times_the_median_deviation() -> None:
    scale = MapScale.fit(np.array([1, 2, 3, 4, 1000], np.float32))
    assert scale.median == 3
    assert scale.deviation == pytest.approx(1.4826)


def test_the_scale_of_what_is_mostly_the_same_is_that_of_the_rest() -> None:
    distances = np.full(1000, 2.0, np.float32)
    distances[:60] = np.linspace(1, 9, 60)
    assert MapScale.fit(distances).deviation == pytest.approx(distances.std(), rel=1e-5)


def test_distances_without_spread_do_not_divide_by_nought() -> None:
    assert MapScale.fit(np.full(9, 2.5, np.float32)) == (2.5, 1e-6)


def test_blobs_of_a_3x3_map_by_hand() -> None:
    found = blobs(np.array([[5, 0, 0], [0, 5, 0], [0, 0, 9]], np.float32), 1.0)
    assert len(found) == 1, "diagonal neighbours belong together"
    assert found[0].box == Box(x0=0, y0=0, x1=3, y1=3)
    assert found[0].peak == 9
    assert found[0].mask(3, 3).sum() == 3


def test_blobs_come_highest_peak_first_then_top_to_bottom_on_the_map() -> None:
    values = np.zeros((9, 9), np.float32)
    values[0, 0], values[0, 8], values[8, 0], values[4, 4] = 2, 3, 3, 9
    assert [(b.box.x0, b.box.y0, b.peak) for b in blobs(values, 1.0)] == [
        (4, 4, 9),
        (8, 0, 3),
        (0, 8, 3),
        (0, 0, 2),
    ]


def test_a_value_at_the_threshold_is_not_over_it() -> None:
    assert blobs(np.full((3, 3), 2, np.float32), 2.0) == ()
    assert blobs(np.full((3, 3), 2, np.float32), np.inf) == ()


def test_a_strong_area_is_cut_back_to_half_its_peak_and_may_fall_apart() -> None:
    values = np.array([[20, 9, 12, 4, 0, 4]], np.float32)
    found = blobs(values, 3.0)
    assert [(blob.box.as_list(), blob.peak) for blob in found] == [
        ([0, 0, 1, 1], 20),
        ([2, 0, 3, 1], 12),
        ([5, 0, 6, 1], 4),
    ]


def test_a_weaker_defect_that_a_bridge_joins_to_a_strong_one_is_not_lost() -> None:
    values = np.array([[0, 20, 4, 4, 4, 4, 9, 0]], np.float32)
    assert [blob.peak for blob in blobs(values, 3.0)] == [20, 9]


def check_blobs(values: np.ndarray, threshold: float) -> None:
    """Regions lie over the threshold and over half their own peak, each in one piece, and none over another."""
    found = blobs(values, threshold)
    taken = np.zeros(values.shape, int)
    for blob in found:
        mask = blob.mask(*values.shape)
        taken += mask
        rows, columns = np.nonzero(mask)
        assert blob.box.as_list() == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        assert blob.peak == values[mask].max() > threshold
        assert values[mask].min() > threshold
        assert values[mask].min() >= blob.peak / 2
        assert ndimage.label(mask, structure=np.ones((3, 3)))[1] == 1
    assert taken.max() <= 1
    assert bool(found) == (anomaly_score(values) > threshold)
    assert not found or found[0].peak == anomaly_score(values)


@settings(max_examples=60, deadline=None)
@given(MAPS, st.floats(0, 4, width=16))
def test_regions_are_what_is_over_threshold_and_over_half_the_peak(values, threshold) -> None:
    check_blobs(values, threshold)


def test_a_score_over_a_threshold_below_nought_has_a_place_on_the_map_too() -> None:
    assert len(blobs(np.array([[-3, -1, -3]], np.float32), -2.0)) == 1


@pytest.mark.parametrize("size", [(96, 128), (16, 900), (301, 17), (28, 28), (5, 7)])
def test_the_map_has_the_size_of_the_view_and_no_value_beyond_the_grid(size) -> None:
    grid = torch.randn(12, 9, generator=torch.Generator().manual_seed(0))
    shown = to_view(grid, *size)
    assert shown.shape == size
    assert shown.dtype == np.float32
    assert shown.flags.c_contiguous
    assert grid.min() - 1e-6 <= shown.min()
    assert shown.max() <= grid.max() + 1e-6


def test_a_patch_shows_where_it_lies() -> None:
    grid = torch.zeros(4, 6)
    grid[1, 4] = 1.0
    row, column = np.unravel_index(to_view(grid, 40, 60).argmax(), (40, 60))
    assert 10 <= row < 20
    assert 40 <= column < 50


def test_patches_are_taken_row_by_row() -> None:
    features = torch.arange(12.0).reshape(1, 2, 2, 3)
    assert as_patches(features).tolist() == [[0, 6], [1, 7], [2, 8], [3, 9], [4, 10], [5, 11]]


def test_colours_hang_on_the_threshold_alone() -> None:
    levels = np.array([[-3, 0, 1], [3, 5, 7.5], [10, 99, 5]], np.float32)
    overlay = heat_overlay(levels, 5.0)
    assert overlay.shape == (3, 3, 4)
    assert overlay.dtype == np.uint8
    assert np.array_equal(overlay, heat_overlay(levels * 8, 40.0))
    clear, at, twice = overlay[0, 0], overlay[1, 1], overlay[2, 0]
    assert np.array_equal(overlay[0, 1], clear)
    assert np.array_equal(overlay[2, 1], twice), "beyond twice the threshold the colour stays"
    assert np.array_equal(overlay[2, 2], at)
    assert clear[3] == 0
    assert 0 < at[3] < twice[3]
    assert twice[0] > twice[2]
    assert twice[1] < at[1]


def test_the_picture_gets_no_clearer_as_the_anomaly_grows() -> None:
    ramp = np.linspace(-1, 12, 200, dtype=np.float32)[None]
    assert (np.diff(heat_overlay(ramp, 5.0)[0, :, 3].astype(int)) >= 0).all()


@pytest.mark.parametrize("threshold", [0.0, -2.0])
def test_a_threshold_at_or_below_nought_still_gives_a_picture(threshold) -> None:
    overlay = heat_overlay(np.array([[-1, 0, 1]], np.float32), threshold)[0]
    assert overlay[0, 3] == 0
    assert overlay[2, 3] > 0


def test_the_score_is_the_highest_value_of_the_map() -> None:
    assert anomaly_score(np.array([[1, 2], [7.5, 3]], np.float32)) == 7.5
