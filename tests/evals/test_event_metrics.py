"""Figures for scores over time."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evals.event_metrics import best_event_f1, event_scores, intervals_of, vus_pr


def truth_of(samples: int, *intervals: tuple[int, int]) -> np.ndarray:  # type: ignore[type-arg]
    truth = np.zeros(samples, bool)
    for first, last in intervals:
        truth[first : last + 1] = True
    return truth


def test_intervals_by_hand() -> None:
    assert intervals_of(truth_of(9, (0, 1), (4, 4), (7, 8))) == [(0, 1), (4, 4), (7, 8)]
    assert intervals_of(np.zeros(3, bool)) == []


def test_events_by_hand() -> None:
    truth = truth_of(20, (2, 5), (10, 13))
    found = event_scores(truth, truth_of(20, (4, 7)))
    assert found == (0.5, 0.5)
    assert found.f1 == 0.5
    assert event_scores(truth, np.zeros(20, bool)) == (None, 0.0)
    assert event_scores(np.zeros(20, bool), truth) == (0.0, None)
    assert event_scores(truth, np.zeros(20, bool)).f1 == 0
    assert best_event_f1(truth, truth.astype(float)) == 1.0


def test_an_alarm_over_everything_is_not_perfect() -> None:
    truth = truth_of(100, (40, 49))
    assert event_scores(truth, np.ones(100, bool)).f1 == pytest.approx(2 * 0.1 / 1.1)


def test_known_values_of_vus_pr() -> None:
    """Computed with `vus` 0.0.6, `metricor().RangeAUC_volume_opt(labels, score, 20)`."""
    rng = np.random.default_rng(0)
    values = []
    for _ in range(3):
        truth = np.zeros(300, bool)
        for first in rng.integers(0, 280, 3):
            truth[first : first + rng.integers(1, 20)] = True
        values.append(vus_pr(truth, rng.normal(size=300) + truth, 20))
    assert values == pytest.approx([0.19934285278371744, 0.22144481892154388, 0.3173956752823184])


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 20))
def test_vus_pr_is_that_of_its_authors(seed: int, buffer: int) -> None:
    metrics = pytest.importorskip("vus.utils.metrics")
    rng = np.random.default_rng(seed)
    truth = truth_of(
        300, *[(int(a), int(a + b)) for a, b in zip(rng.integers(0, 280, 3), rng.integers(0, 19, 3), strict=True)]
    )
    scores = rng.normal(size=300) + truth
    theirs = metrics.metricor().RangeAUC_volume_opt(truth.astype(int), scores, buffer)[5]
    assert vus_pr(truth, scores, buffer) == pytest.approx(theirs)


def test_perfect_scores_and_bad_input() -> None:
    truth = truth_of(500, (200, 260))
    assert vus_pr(truth, truth.astype(float), 0) == pytest.approx(1.0, abs=0.01)
    with pytest.raises(ValueError, match="at least one"):
        vus_pr(np.zeros(5, bool), np.zeros(5))
