"""Agreement of those who grade answers, by hand."""

import pytest

from evals.judge.agreement import Pair, agreement
from evals.judge.lines import agreement_words


def pairs(rr: int = 0, rw: int = 0, wr: int = 0, ww: int = 0, cr: int = 0, cw: int = 0) -> list[Pair]:
    """So many of each cell: r, w and c for right, wrong and cannot say."""
    counted = {
        ("right", "right"): rr,
        ("right", "wrong"): rw,
        ("wrong", "right"): wr,
        ("wrong", "wrong"): ww,
        ("cannot_say", "right"): cr,
        ("cannot_say", "wrong"): cw,
    }
    return [Pair(*cell) for cell, count in counted.items() for _ in range(count)]


def test_fifty_answers_by_hand() -> None:
    # Observed 35/50 = 0.7; by chance 25/50 * 30/50 + 25/50 * 20/50 = 0.5; kappa (0.7 - 0.5) / (1 - 0.5) = 0.4.
    found = agreement(pairs(rr=20, rw=5, wr=10, ww=15))
    assert found is not None
    assert (found.n, found.same, found.share, found.kappa) == (50, 35, 0.7, pytest.approx(0.4))
    # Clopper and Pearson of 35 in 50.
    assert (found.low, found.high) == (pytest.approx(0.5539, abs=1e-4), pytest.approx(0.8214, abs=1e-4))
    # By the delta method, a standard error of sqrt(0.7 * 0.3 / (50 * 0.5 ** 2)) = 0.13 around 0.4.
    assert found.kappa_low == pytest.approx(0.4 - 1.96 * 0.13, abs=0.04)
    assert found.kappa_high == pytest.approx(0.4 + 1.96 * 0.13, abs=0.04)
    assert agreement(pairs(rr=20, rw=5, wr=10, ww=15)) == found


def test_what_was_not_decided_is_counted_and_in_no_share() -> None:
    found = agreement(pairs(rr=8, ww=2, cr=3, cw=1))
    assert found is not None
    assert (found.n, found.share, found.kappa, found.undecided) == (10, 1.0, 1.0, 4)
    assert found.low == pytest.approx(0.6915, abs=1e-4)
    assert found.confusion == {
        "right": {"right": 8, "wrong": 0},
        "wrong": {"right": 0, "wrong": 2},
        "cannot_say": {"right": 3, "wrong": 1},
    }


def test_opposites_are_worse_than_chance() -> None:
    found = agreement(pairs(rw=5, wr=5))
    assert found is not None
    assert (found.share, found.kappa, found.kappa_low) == (0.0, -1.0, None)


@pytest.mark.parametrize(
    ("given", "share", "words"),
    [
        (pairs(rr=30), 1.0, "30 of 30 alike, 1.000 (0.884 .. 1.000); kappa not known, for all grades are the same"),
        (pairs(cr=2), None, "not known; 2 more not decided"),
        (
            pairs(rr=1, ww=1),
            1.0,
            "2 of 2 alike, 1.000 (0.158 .. 1.000); kappa 1.000, without an interval; right-wrong 0",
        ),
    ],
)
def test_what_too_few_or_too_like_grades_cannot_tell_is_not_told(given, share, words) -> None:
    found = agreement(given)
    assert found is not None
    assert found.share == share
    assert agreement_words(found._asdict()).startswith(words)


def test_a_kappa_beside_one_who_grades_all_the_same_has_no_interval() -> None:
    # Observed 19/20, by chance 19/20 too.
    found = agreement(pairs(rr=19, wr=1))
    assert found is not None
    assert (found.share, found.kappa, found.kappa_low) == (0.95, pytest.approx(0.0), None)


def test_nobody_to_compare_with() -> None:
    assert agreement([]) is None
