"""Exposure: gains by hand, and that levelling takes them out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tools.motion.exposure import gain, level


def scene(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(40, 110, (24, 32, 3)).astype(np.uint8)


def test_twice_as_bright_by_hand() -> None:
    typical = np.full((2, 2, 3), 50, np.uint8)
    frame = np.full((2, 2, 3), (50, 100, 25), np.uint8)
    np.testing.assert_allclose(gain(frame, typical), [1, 2, 0.5])


@given(wanted=st.floats(0.6, 1.8), seed=st.integers(0, 100))
@settings(max_examples=30, deadline=None)
def test_a_gain_is_found_and_taken_out(wanted, seed) -> None:
    typical = scene(seed)
    brighter = np.rint(typical * wanted).astype(np.uint8)
    levelled, gains = level(brighter[None], typical)
    np.testing.assert_allclose(gains[0], wanted, rtol=0.03)
    assert np.abs(levelled[0].astype(int) - typical).mean() < 3


def test_what_happens_on_a_third_of_the_picture_does_not_count() -> None:
    typical = scene()
    frame = typical.copy()
    frame[:8] = 240
    np.testing.assert_allclose(gain(frame, typical), 1, atol=0.02)


def test_a_black_picture_has_no_gain() -> None:
    black = np.zeros((4, 4, 3), np.uint8)
    assert gain(black, black) == pytest.approx(np.ones(3))
