import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree

from tools.geometry.places import cores

LINE = np.column_stack([np.arange(20.0), np.zeros(20), np.zeros(20)])


def found(values: list[float], threshold: float, together: tuple[list[int], ...] = ()) -> list[list[int]]:
    groups = [np.array(group) for group in together]
    members = cores(
        LINE[: len(values)], cKDTree(LINE[: len(values)]), np.array(values, np.float32), threshold, 1.5, groups
    )
    return [each.tolist() for each in members]


def test_places_by_hand() -> None:
    assert found([0, 0, 0], 1) == []
    assert found([0, 5, 5, 0, 0, 9, 0], 1) == [[5], [1, 2]]


def test_a_place_is_cut_back_to_half_its_peak() -> None:
    assert found([2, 3, 6, 10, 6, 3, 2], 1) == [[2, 3, 4]]


def test_a_lower_peak_is_a_place_where_values_fall_below_half_of_it() -> None:
    assert found([10, 5, 2, 5, 6, 5], 1) == [[0, 1], [3, 4, 5]]
    assert found([10, 5, 4, 5, 6, 5], 1) == [[0, 1, 3, 4, 5]] or len(found([10, 5, 4, 5, 6, 5], 1)) == 2


def test_points_around_one_hole_are_one_place() -> None:
    values = [8.0, 0, 0, 0, 7, 0, 0, 0, 6]
    assert found(values, 1) == [[0], [4], [8]]
    assert found(values, 1, ([0, 4, 8],)) == [[0, 4, 8]]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0, 10, width=32), min_size=2, max_size=20), st.floats(0.5, 5))
def test_places_are_apart_over_threshold_and_hold_the_highest_point(values: list[float], threshold: float) -> None:
    places = found(values, threshold)
    members = [index for place in places for index in place]
    assert len(members) == len(set(members))
    assert all(values[index] >= threshold for index in members)
    peaks = [max(values[index] for index in place) for place in places]
    assert peaks == sorted(peaks, reverse=True)
    assert bool(places) == (max(np.array(values, np.float32)) > np.float32(threshold))
    if places:
        assert peaks[0] == max(values)
