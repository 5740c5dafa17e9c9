"""Panels: labels and regions drawn into the pictures that a reasoner is shown."""

import numpy as np
import pytest

from tools.panels import LONGEST, SHORTEST, labelled, marked
from tools.views import Box, Region


def gray(height: int, width: int, level: int = 120) -> np.ndarray:
    return np.full((height, width, 3), level, np.uint8)


def region(box: Box) -> Region:
    return Region(id="a1.r1", view_id="a1.v1", box=box, source_box=box, mask="m.npy", peak=5.0)


@pytest.mark.parametrize("size", [(300, 400), (64, 64), (2000, 3000), (40, 2000), (2000, 40), (1, 1)])
def test_every_picture_is_brought_to_a_size_that_models_see_well(size) -> None:
    height, width, _ = labelled(gray(*size), "query").shape
    assert max(height - 26, 1) <= LONGEST
    assert width <= LONGEST
    assert min(height, width) >= min(SHORTEST, max(1, round(min(size) * LONGEST / max(size))))


def test_labels_differ_in_the_picture_itself_and_leave_the_part_alone() -> None:
    first, second = (labelled(gray(300, 400), label) for label in ("reference A", "query"))
    assert not np.array_equal(first[:26], second[:26])
    assert (first[26:] == 120).all()
    assert first[:26].min() < 60


def test_a_region_is_boxed_where_it_lies_and_the_heat_shines_through() -> None:
    heat = np.zeros((300, 400, 4), np.uint8)
    heat[100:140, 200:260] = (175, 0, 30, 125)
    shown = marked(gray(300, 400), heat, [region(Box(x0=200, y0=100, x1=260, y1=140))])
    changed = (shown != 120).any(axis=2)
    rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    assert rows[0] == 100
    assert 196 <= columns[0] <= 200  # the outline of its id is a little wider
    assert tuple(shown[120, 230]) != (120, 120, 120)
    assert not changed[:90].any()


def test_boxes_follow_a_picture_that_is_scaled() -> None:
    shown = marked(gray(1024, 2048), None, [region(Box(x0=1000, y0=500, x1=1200, y1=600))])
    assert shown.shape == (512, 1024, 3)
    rows = np.flatnonzero((shown != 120).any(axis=(1, 2)))
    assert rows[0] == 250
