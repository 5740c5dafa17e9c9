"""Conformal p-values and thresholds by hand, then the promise itself."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tools.localization.calibration import ConformalCalibration

TIED = st.lists(st.integers(-5, 5).map(float), min_size=1, max_size=60)
ALPHAS = st.integers(1, 99).map(lambda percent: percent / 100)


def test_nine_scores_worked_by_hand() -> None:
    calibration = ConformalCalibration([5, 1, 9, 3, 7, 2, 8, 4, 6], "split")
    assert calibration.p_value(9.5) == 1 / 10
    assert calibration.p_value(9) == 2 / 10
    assert calibration.p_value(5) == 6 / 10
    assert calibration.p_value(0) == 1.0
    assert calibration.threshold(0.1) == 9
    assert calibration.threshold(0.2) == 8
    assert calibration.threshold(0.25) == 8
    assert calibration.threshold(0.05) == math.inf


def test_ties_count_against_the_part() -> None:
    calibration = ConformalCalibration([1, 2, 2, 2, 3], "split")
    assert calibration.p_value(2) == 5 / 6
    assert calibration.p_value(2.0001) == 2 / 6


@settings(max_examples=80, deadline=None)
@given(TIED, st.integers(-6, 6).map(float), ALPHAS)
def test_p_is_at_most_alpha_exactly_when_the_score_is_over_the_threshold(scores, score, alpha) -> None:
    calibration = ConformalCalibration(scores, "split")
    assert (calibration.p_value(score) <= alpha) == (score > calibration.threshold(alpha))


@pytest.mark.parametrize("alpha", [1 - 0.9, 0.3 - 0.2, 0.15 - 0.05])
def test_an_alpha_that_was_computed_keeps_p_value_and_threshold_together(alpha) -> None:
    calibration = ConformalCalibration(range(9), "split")
    assert (calibration.p_value(100.0) <= alpha) == (calibration.threshold(alpha) < 100.0)


@settings(max_examples=60, deadline=None)
@given(TIED, st.integers(-6, 6).map(float))
def test_the_p_value_is_the_share_counted_one_by_one(scores, score) -> None:
    counted = (1 + sum(known >= score for known in scores)) / (len(scores) + 1)
    assert ConformalCalibration(scores, "split").p_value(score) == counted


@settings(max_examples=60, deadline=None)
@given(TIED.filter(lambda scores: len(scores) > 1), ALPHAS)
def test_among_exchangeable_parts_at_most_a_share_alpha_is_rejected(scores, alpha) -> None:
    """Each part in turn is the new one: the average over turns is the false-alarm rate, exactly."""
    turns = [ConformalCalibration(scores[:i] + scores[i + 1 :], "split") for i in range(len(scores))]
    rejected = sum(turn.p_value(score) <= alpha for turn, score in zip(turns, scores, strict=True))
    assert rejected <= alpha * len(scores) + 1e-9


@pytest.mark.parametrize(("count", "alpha"), [(19, 0.05), (100, 0.05), (57, 0.1)])
def test_the_realised_rate_on_random_scores_is_what_is_promised(count, alpha) -> None:
    random = np.random.default_rng(7)
    calibrations = [ConformalCalibration(random.uniform(size=count), "split") for _ in range(2000)]
    realised = np.array([1 - calibration.threshold(alpha) for calibration in calibrations])
    low, high = calibrations[0].realised_range(alpha)
    expected = math.floor((count + 1) * alpha + 1e-9) / (count + 1)
    assert realised.mean() == pytest.approx(expected, abs=4 * realised.std() / 2000**0.5)
    assert realised.mean() <= alpha + 4 * realised.std() / 2000**0.5
    assert 0.935 < np.mean((realised >= low) & (realised <= high)) < 0.965


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 120), ALPHAS)
def test_too_few_parts_promise_nothing_and_the_sentence_says_how_many_are_needed(count, alpha) -> None:
    calibration = ConformalCalibration(range(count), "split")
    needed = next(n for n in range(200) if 1 / (n + 1) <= alpha)
    promise = calibration.promise(alpha)
    assert promise.kept == (count >= needed) == math.isfinite(calibration.threshold(alpha))
    if not promise.kept:
        assert f"at least {needed} held-out" in promise.sentence
        assert f"there are {count}" in promise.sentence


def test_a_promise_by_cross_validation_says_that_it_is_approximate() -> None:
    assert "approximate" in ConformalCalibration(range(40), "cross").promise(0.05).sentence
    assert "approximate" not in ConformalCalibration(range(40), "split").promise(0.05).sentence


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf])
def test_scores_that_are_no_numbers_are_refused(odd) -> None:
    with pytest.raises(ValueError, match="finite"):
        ConformalCalibration([1.0, odd], "split")


# --- of the highest of several scores


def test_the_highest_of_several_worked_by_hand() -> None:
    calibration = ConformalCalibration([1.0, 2.0, 3.0], "split")
    assert calibration.p_value(9.0, 1) == pytest.approx(1 / 4)
    assert calibration.p_value(9.0, 3) == pytest.approx(1 / 2)  # the highest of six is one of the three new ones
    # among the two highest of five is a new one, unless both are calibration scores: 1 - (3 choose 2) / (5 choose 2)
    assert calibration.p_value(2.5, 2) == pytest.approx(1 - 3 / 10)
    assert calibration.p_value(0.5, 2) == pytest.approx(1.0)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-5, 5), min_size=1, max_size=60), st.integers(1, 30), st.floats(-6, 6), ALPHAS)
def test_threshold_and_p_value_agree_for_any_number_of_blocks(scores, blocks, score, alpha) -> None:
    calibration = ConformalCalibration(scores, "split")
    assert (score > calibration.threshold(alpha, blocks)) == (calibration.p_value(score, blocks) <= alpha)
    assert calibration.p_value(score, blocks) >= calibration.p_value(score, 1) - 1e-12


def test_normal_recordings_of_several_stretches_are_rejected_no_more_often_than_promised() -> None:
    random = np.random.default_rng(0)
    p_values = [
        ConformalCalibration(random.normal(size=60), "split").p_value(random.normal(size=5).max(), 5)
        for _ in range(3000)
    ]
    for alpha in (0.1, 0.2, 0.5):
        assert np.mean(np.array(p_values) <= alpha) <= alpha + 0.02


def test_too_few_stretches_for_a_long_recording_promise_nothing() -> None:
    calibration = ConformalCalibration(range(60), "split")
    assert calibration.promise(0.05, 1).kept
    promise = calibration.promise(0.05, 5, "stretches of 60 s")
    assert not promise.kept
    assert "at least 95 held-out normal stretches of 60 s for 5 of them in a row, there are 60" in promise.sentence
    assert "approximate" in calibration.promise(0.1, 5, "stretches of 60 s").sentence
