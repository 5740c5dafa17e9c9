"""Events: connected parts in space and time, by hand."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tools.motion import Video, intervals_of, places_of


def video_of(count: int, step: float = 0.1) -> Video:
    """Every third frame of a file of 80 x 60 pixels."""
    frames = np.zeros((count, 6, 8, 3), np.uint8)
    times = np.arange(count) * step
    return Video(
        frames,
        frames[..., 0],
        np.full(count, 0.2),
        times,
        3 * np.arange(count),
        80,
        60,
        float(times[-1]),
        3 * count,
        30.0,
    )


def test_one_event_by_hand() -> None:
    values = np.zeros((10, 6, 8), np.float32)
    values[3:6, 1:3, 2:5] = 7
    values[4, 1, 2] = 9
    (place,) = places_of(video_of(10), values, 5.0)
    assert place.peak == 9
    assert len(place.members) == 18
    assert place.native == {"frames": [9, 15], "seconds": [0.3, 0.5], "box": [20, 10, 50, 30]}


def test_a_short_gap_does_not_part_an_event_and_a_long_one_does() -> None:
    values = np.zeros((30, 6, 8), np.float32)
    values[[2, 3, 6, 7, 20, 21], 2, 2] = 8
    found = places_of(video_of(30), values, 5.0)
    assert sorted(tuple(place.native["frames"]) for place in found) == [(6, 21), (60, 63)]
    assert [len(place.members) for place in found] == [4, 2]
    assert [tuple(interval) for interval in intervals_of(video_of(30), values, 5.0)] == [(2, 7), (20, 21)]


def test_an_event_that_passed_the_threshold_goes_on_a_little_below_it() -> None:
    values = np.zeros((8, 6, 8), np.float32)
    values[2:6, 2, 2] = [4.5, 6, 4.5, 3]
    (place,) = places_of(video_of(8), values, 5.0)
    assert place.native["frames"] == [6, 12]
    values[3] = 4.5
    assert places_of(video_of(8), values, 5.0) == ()


def test_nothing_over_an_infinite_threshold() -> None:
    assert places_of(video_of(4), np.ones((4, 6, 8), np.float32), float("inf")) == ()


@given(values=arrays(np.float32, (7, 6, 8), elements=st.floats(0, 10, width=32)), threshold=st.floats(0.5, 9.5))
@settings(max_examples=50, deadline=None)
def test_every_cell_over_threshold_is_in_exactly_one_place(values, threshold) -> None:
    found = places_of(video_of(7), values, threshold)
    members = np.concatenate([place.members for place in found]) if found else np.zeros(0, np.int64)
    assert len(np.unique(members)) == len(members)
    assert set(np.flatnonzero(values > threshold)) <= set(members)
    assert [place.peak for place in found] == sorted((place.peak for place in found), reverse=True)
