"""Maps, regions and colours worked by hand, then by property."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tools.localization.anomaly_map import (
    MapScale,
    anomaly_score,
    as_patches,
    blobs,
    heat_overlay,
    smooth,
    to_view,
)
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


def test_distances_without_spread_do_not_divide_by_nought() -> None:
    assert MapScale.fit(np.full(9, 2.5, np.float32)) == (2.5, 1e-6)


def test_blobs_of_a_3x3_map_by_hand() -> None:
    found = blobs(np.array([[5, 0, 0], [0, 5, 0], [0, 0, 9]], np.float32), 1.0, limit=9)
    assert len(found) == 1, "diagonal neighbours belong together"
    assert found[0].box == Box(x0=0, y0=0, x1=3, y1=3)
    assert found[0].peak == 9
    assert found[0].mask.sum() == 3


def test_blobs_come_highest_peak_first_then_top_to_bottom_and_only_so_many() -> None:
    values = np.zeros((9, 9), np.float32)
    values[0, 0], values[0, 8], values[8, 0], values[4, 4] = 2, 3, 3, 9
    assert [(b.box.x0, b.box.y0, b.peak) for b in blobs(values, 1.0, limit=9)] == [
        (4, 4, 9),
        (8, 0, 3),
        (0, 8, 3),
        (0, 0, 2),
    ]
    assert len(blobs(values, 1.0, limit=2)) == 2


def test_a_value_at_the_threshold_is_not_over_it() -> None:
    assert blobs(np.full((3, 3), 2, np.float32), 2.0, limit=9) == ()
    assert blobs(np.full((3, 3), 2, np.float32), np.inf, limit=9) == ()


@settings(max_examples=60, deadline=None)
@given(MAPS, st.floats(-4, 4, width=16))
def test_regions_cover_exactly_what_is_over_threshold(values, threshold) -> None:
    found = blobs(values, threshold, limit=1000)
    union = np.zeros(values.shape, int)
    for blob in found:
        union += blob.mask
        rows, columns = np.nonzero(blob.mask)
        assert blob.box == Box(
            x0=int(columns.min()), y0=int(rows.min()), x1=int(columns.max()) + 1, y1=int(rows.max()) + 1
        )
        assert blob.peak == values[blob.mask].max() > threshold
    assert (union == (values > threshold)).all()
    assert bool(found) == (anomaly_score(values) > threshold)


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
    overlay = heat_overlay(np.array([[-3, 0, 3], [5, 7.5, 10], [99, 5, 0]], np.float32), 5.0)
    assert overlay.shape == (3, 3, 4)
    assert overlay.dtype == np.uint8
    assert overlay[0, 0].tolist() == overlay[0, 1].tolist() == [40, 60, 160, 0]
    assert overlay[0, 2].tolist() == [60, 120, 200, 40]
    assert overlay[1, 0].tolist() == overlay[2, 1].tolist() == [250, 210, 60, 120]
    assert overlay[1, 1].tolist() == [235, 90, 30, 170]
    assert overlay[1, 2].tolist() == overlay[2, 0].tolist() == [165, 0, 30, 190]


@pytest.mark.parametrize("threshold", [0.0, -2.0])
def test_a_threshold_at_or_below_nought_still_gives_a_picture(threshold) -> None:
    assert heat_overlay(np.array([[-1, 0, 1]], np.float32), threshold)[0, 2].tolist() == [165, 0, 30, 190]


def test_the_score_is_the_highest_value_of_the_map() -> None:
    assert anomaly_score(np.array([[1, 2], [7.5, 3]], np.float32)) == 7.5
