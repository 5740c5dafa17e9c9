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


# --- where several scores are of one part

SHOWN = st.lists(st.tuples(st.integers(-5, 5).map(float), st.integers(0, 9)), min_size=1, max_size=60)


def test_pictures_of_three_parts_worked_by_hand() -> None:
    calibration = ConformalCalibration([1, 2, 3, 4, 5, 6], "split", [7, 7, 7, 2, 2, 9])
    assert (calibration.count, calibration.parts) == (6, 3)
    assert calibration.p_value(6.5) == 1 / 4
    assert calibration.p_value(5.5) == 2 / 4
    assert calibration.p_value(4.5) == 2.5 / 4
    assert calibration.p_value(2.5) == pytest.approx((1 + 1 + 1 + 1 / 3) / 4, abs=1e-9)
    assert calibration.p_value(0.0) == 1.0
    assert calibration.threshold(0.25) == 6
    assert calibration.threshold(0.625) == 4
    assert calibration.threshold(0.24) == math.inf
    assert (calibration.parts_of_highest(1), calibration.parts_of_highest(2), calibration.parts_of_highest(0)) == (
        {9},
        {9, 2},
        set(),
    )
    fewer = calibration.without_parts_of_highest(1)
    assert (fewer.parts, fewer.p_value(6.5), fewer.p_value(4.5)) == (2, 1 / 3, 1.5 / 3)
    fewer = calibration.without_parts_of_highest(2)
    assert (fewer.parts, fewer.scores.tolist(), fewer.shown.tolist()) == (1, [1, 2, 3], [7, 7, 7])
    assert calibration.without_parts_of_highest(0).scores.tolist() == calibration.scores.tolist()


@settings(max_examples=60, deadline=None)
@given(TIED, st.integers(-6, 6).map(float), ALPHAS)
def test_pictures_of_a_part_each_are_parts(scores, score, alpha) -> None:
    plain, shown = ConformalCalibration(scores, "cross"), ConformalCalibration(scores, "cross", range(len(scores)))
    assert plain.p_value(score) == shown.p_value(score)
    assert plain.threshold(alpha) == shown.threshold(alpha)
    assert plain.promise(alpha) == shown.promise(alpha)


@settings(max_examples=80, deadline=None)
@given(SHOWN, st.integers(-6, 6).map(float), ALPHAS)
def test_threshold_and_p_value_agree_for_pictures_of_any_parts(pictures, score, alpha) -> None:
    scores, shown = zip(*pictures, strict=True)
    calibration = ConformalCalibration(scores, "split", shown)
    assert (calibration.p_value(score) <= alpha) == (score > calibration.threshold(alpha))
    shares = [1 / shown.count(part) for known, part in pictures if known >= score]
    assert calibration.p_value(score) == pytest.approx((1 + sum(shares)) / (len(set(shown)) + 1), abs=1e-9)
    assert calibration.promise(alpha).kept == (1 / (len(set(shown)) + 1) <= alpha)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.integers(-5, 5).map(float), min_size=1, max_size=6), min_size=2, max_size=12), ALPHAS)
def test_among_exchangeable_parts_a_picture_of_at_most_a_share_alpha_is_rejected(parts, alpha) -> None:
    """Each part in turn is the new one, and each of its pictures the one that is taken: exactly what is promised."""
    rejected = 0.0
    for new, pictures in enumerate(parts):
        others = [(score, number) for number, part in enumerate(parts) if number != new for score in part]
        calibration = ConformalCalibration(*_apart(others))
        rejected += np.mean([calibration.p_value(score) <= alpha for score in pictures])
    assert rejected <= alpha * len(parts) + 1e-6


def _apart(others: list[tuple[float, int]]) -> tuple[list[float], str, list[int]]:
    return [score for score, _ in others], "split", [part for _, part in others]


@pytest.mark.parametrize(("count", "alpha"), [(6, 0.05), (20, 0.06)])
def test_pictures_that_are_taken_for_parts_break_the_promise_and_told_as_pictures_they_keep_it(count, alpha) -> None:
    random = np.random.default_rng(3)
    shown, alarms = np.repeat(np.arange(count), 8), {"parts": 0, "pictures": 0}
    for _ in range(2000):
        scores = (random.normal(size=(count, 1)) + 0.1 * random.normal(size=(count, 8))).ravel()
        new = random.normal() + 0.1 * random.normal()
        alarms["parts"] += ConformalCalibration(scores, "split").p_value(new) <= alpha
        alarms["pictures"] += ConformalCalibration(scores, "split", shown).p_value(new) <= alpha
    assert alarms["pictures"] / 2000 <= alpha + 0.015
    assert alarms["parts"] / 2000 > alpha + 0.015


def test_a_promise_of_pictures_says_how_many_parts_they_show() -> None:
    calibration = ConformalCalibration(range(80), "cross", [number // 4 for number in range(80)])
    promise = calibration.promise(0.05)
    assert promise.kept
    assert "80 pictures of 20 held-out normal parts" in promise.sentence
    assert "approximate" in promise.sentence
    refused = calibration.promise(0.01)
    assert not refused.kept
    assert "at least 99 held-out normal parts, there are 20, in 80 pictures" in refused.sentence


def test_each_score_is_of_a_part_and_blocks_of_such_parts_are_beyond_it() -> None:
    with pytest.raises(ValueError, match="part of each of 2"):
        ConformalCalibration([1.0, 2.0], "split", [0])
    with pytest.raises(ValueError, match="several blocks"):
        ConformalCalibration([1.0, 2.0], "split", [0, 0]).p_value(1.0, 2)
