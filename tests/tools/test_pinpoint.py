"""Where within a place of windows the odd samples are."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.signals.pinpoint import Pinpointer, fit_pinpointer, scan

RNG = np.random.default_rng(3)
NORMAL = np.stack([np.sin(2 * np.pi * np.arange(1200) / 40), np.zeros(1200)]) + 0.1 * RNG.normal(size=(2, 1200))
FOLDS = [([NORMAL[:, :600]], [NORMAL[:, 600:]]), ([NORMAL[:, 600:]], [NORMAL[:, :600]])]
POINTER = fit_pinpointer([NORMAL], FOLDS, 40)
STILL = np.zeros((0, 1200))


def test_a_scan_by_hand() -> None:
    found = scan(np.array([-1.0, -1, 2, 2, -1, 2, 2, -1]))
    assert found.statistic == pytest.approx(7 / 5**0.5)
    assert found[1:] == (2, 6)
    assert scan(np.array([-3.0, -2, -5])).first == 1
    assert scan(np.array([0.0, 9, 0, 0, 1]))[1:] == (1, 1)


@given(st.lists(st.floats(-10, 10), min_size=1, max_size=12))
def test_a_scan_is_the_best_of_all_intervals(values: list[float]) -> None:
    level = np.array(values)
    every = [
        level[first : last + 1].sum() / (last + 1 - first) ** 0.5
        for first in range(len(level))
        for last in range(first, len(level))
    ]
    found = scan(level)
    assert found.statistic == pytest.approx(max(every))
    inside = level[found.first : found.last + 1]
    assert inside.sum() / len(inside) ** 0.5 == pytest.approx(found.statistic)


@pytest.mark.parametrize("kind", ["level", "noise", "flat", "other course"])
def test_ends_of_what_is_odd(kind: str) -> None:
    odd, where = NORMAL.copy(), slice(500, 560)
    odd[0, where] = {
        "level": odd[0, where] + 3,
        "noise": odd[0, where] + RNG.normal(size=60),
        "flat": np.zeros(60),
        "other course": -odd[0, where],
    }[kind]
    found = POINTER.narrowed(odd, STILL, np.array([0]), 440, 620)
    assert abs(min(first for first, _ in found) - 500) <= 15
    assert abs(max(last for _, last in found) - 559) <= 15


def test_a_channel_that_never_moved() -> None:
    moved = np.zeros((1, 1200))
    moved[0, 700:703] = 10
    assert POINTER.narrowed(NORMAL, moved, np.zeros(0, np.int64), 695, 710) == [(700, 702)]


def test_long_places_stay_as_they_are() -> None:
    assert POINTER.narrowed(NORMAL, STILL, np.array([0]), 100, 900) == [(100, 900)]


def test_it_comes_back_from_its_tensors() -> None:
    again = Pinpointer.of_tensors(POINTER.tensors(), 2, 40)
    odd = NORMAL + 2 * ((np.arange(1200) > 500) & (np.arange(1200) < 530))
    both = np.array([0, 1])
    assert again.narrowed(odd, STILL, both, 470, 560) == POINTER.narrowed(odd, STILL, both, 470, 560)
    with pytest.raises((ValueError, KeyError)):
        Pinpointer.of_tensors(POINTER.tensors(), 3, 40)
    with pytest.raises(KeyError):
        Pinpointer.of_tensors({}, 2, 40)
