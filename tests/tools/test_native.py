"""From an asset's own elements to a view and back."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tools.native import shown_members, shown_values

BACKGROUND = -1


def test_a_view_shows_the_values_of_its_elements() -> None:
    values = np.array([0.5, 7.0, 2.0], np.float32)
    index = np.array([[0, 1], [BACKGROUND, 2]], np.int32)
    assert shown_values(index, 1, values).tolist() == [[0.5, 7.0], [0.0, 2.0]]


def test_a_column_of_a_plot_shows_the_highest_of_its_samples() -> None:
    values = np.array([1, 5, 2, 3, 9, 0], np.float32)
    index = np.array([[0, 3]], np.int32)
    assert shown_values(index, 3, values).tolist() == [[5.0, 9.0]]
    assert shown_values(index, 2, values).tolist() == [[5.0, 9.0]]
    assert shown_values(np.array([[2, 5]], np.int32), 2, values).tolist() == [[3.0, 0.0]]


def test_a_mask_marks_the_pixels_that_show_a_member() -> None:
    index = np.array([[0, 1], [BACKGROUND, 2]], np.int32)
    assert shown_members(index, 1, np.array([2]), 3).tolist() == [[False, False], [False, True]]
    assert shown_members(np.array([[0, 4]], np.int32), 4, np.array([6]), 8).tolist() == [[False, True]]


@given(st.integers(1, 9), st.lists(st.floats(0, 100, width=32), min_size=1, max_size=60))
def test_spans_are_maxima_over_exactly_their_elements(span, numbers) -> None:
    values = np.array(numbers, np.float32)
    index = np.arange(len(values), dtype=np.int32)[None, :]
    expected = [max(values[first : first + span]) for first in range(len(values))]
    assert shown_values(index, span, values)[0].tolist() == [float(value) for value in expected]
