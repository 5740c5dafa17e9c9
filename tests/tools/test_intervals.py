"""Values over time -> intervals."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tools.signals.intervals import intervals_over, runs


def test_by_hand() -> None:
    levels = np.array([0, 2, 4, 9, 9, 3, 0, 0, 0, 5, 0], np.float32)
    assert [tuple(found) for found in intervals_over(levels, 1.5, 2)] == [(3, 4, 9.0), (9, 9, 5.0)]
    assert [tuple(found) for found in intervals_over(levels, 1.5, 5)] == [(3, 9, 9.0)]
    assert intervals_over(levels, np.inf, 2) == ()


def test_runs_by_hand() -> None:
    inside = np.array([1, 1, 0, 1, 0, 0, 1], bool)
    assert runs(inside) == [(0, 1), (3, 3), (6, 6)]
    assert runs(inside, 2) == [(0, 3), (6, 6)]
    assert runs(np.zeros(4, bool)) == []


@given(st.lists(st.floats(0, 100, width=32), min_size=1, max_size=60), st.floats(0, 100), st.integers(1, 10))
def test_intervals_begin_and_end_over_the_threshold(values: list[float], threshold: float, gap: int) -> None:
    levels = np.array(values, np.float32)
    found = intervals_over(levels, threshold, gap)
    for first, last, peak in found:
        assert 0 <= first <= last < len(levels)
        assert levels[first] >= threshold
        assert levels[last] >= threshold
        assert peak == levels[first : last + 1].max() > threshold
    assert bool(found) == bool((levels > threshold).any())
    assert not found or found[0].peak == levels.max()
