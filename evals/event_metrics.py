"""Figures for scores over time: range-aware ones by Paparrizos et al. (PVLDB 2022), and events found and missed."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Interval = tuple[int, int]
"""First and last sample, both inside."""

_THRESHOLDS = 250


class EventScores(NamedTuple):
    """Precision by samples and recall by events: the composite F1 of Garg et al. (2021).

    By events alone, one alarm over a whole recording would be perfect; by samples alone, one long event would outweigh
    all others.
    """

    precision: float | None
    """Share of the reported samples that are true; None where none is reported."""
    recall: float | None
    """Share of the true intervals that share a sample with a reported one; None where there is none."""

    @property
    def f1(self) -> float:
        """Harmonic mean; 0 where either is 0 or missing."""
        if not self.precision or not self.recall:
            return 0.0
        return 2 * self.precision * self.recall / (self.precision + self.recall)


def intervals_of(truth: Bools) -> list[Interval]:
    """Runs of true samples of (T,)."""
    edges = np.diff(np.concatenate([[0], truth.astype(np.int8), [0]]))
    firsts, lasts = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1) - 1
    return [(int(first), int(last)) for first, last in zip(firsts, lasts, strict=True)]


def vus_pr(truth: Bools, scores: Floats, buffer: int = 100) -> float:
    """Volume under the range-aware precision-recall surface, over buffers of 0 .. `buffer` samples around the intervals.

    The definition is that of `RangeAUC_volume_opt` in the authors' package `vus`: soft labels sqrt(1 - d / l) up to l / 2
    from an interval, 250 thresholds at evenly spaced ranks, recall times the share of intervals met at all. Each
    threshold adds samples to those of the one before, so sums over thresholds are cumulative and nothing is counted twice.

    Args:
        truth: (T,) with at least one true sample.
        scores: (T,) higher meaning more anomalous.
        buffer: widest buffer; 100 in TSB-AD where a series has no period.
    """
    if not truth.any():
        raise ValueError("expected at least one true sample")
    ranks = np.linspace(0, len(scores) - 1, _THRESHOLDS).astype(int)
    thresholds = -np.sort(-scores)[ranks]
    entered = np.searchsorted(-thresholds, -scores, side="left")
    predicted = _cumulated(entered, np.ones(len(scores)))
    intervals = intervals_of(truth)
    areas = [_area(truth, entered, predicted, intervals, width) for width in range(buffer + 1)]
    return float(np.mean(areas))


def event_scores(truth: Bools, reported: Bools) -> EventScores:
    """Of (T,) reported samples against (T,) true ones."""
    true = intervals_of(truth)
    found = sum(bool(reported[first : last + 1].any()) for first, last in true)
    return EventScores(float(truth[reported].mean()) if reported.any() else None, found / len(true) if true else None)


def best_event_f1(truth: Bools, scores: Floats, thresholds: int = 50) -> float:
    """The highest composite F1 over thresholds at evenly spaced ranks.

    The threshold is chosen with the truth in hand, so this is what the scores could do and not what they will do.
    """
    levels = np.unique(np.quantile(scores, np.linspace(0, 1, thresholds, endpoint=False)))
    return max(event_scores(truth, scores > level).f1 for level in levels)


def _area(truth: Bools, entered: NDArray[np.int64], predicted: Floats, intervals: list[Interval], width: int) -> float:
    """Area under range-aware precision over recall at one buffer width."""
    soft, positives = _soft_labels(truth, intervals, width), float(truth.sum())
    hits = _cumulated(entered, soft)
    in_buffers = _cumulated(entered, np.where(truth, 0.0, soft))
    first_hits = np.array([entered[first : last + 1].min() for first, last in _widened(intervals, width, len(truth))])
    met = (first_hits <= np.arange(_THRESHOLDS)[:, None]).mean(axis=1)
    recall = np.minimum(hits / (positives + in_buffers / 2), 1) * met
    return float(np.dot(np.diff(np.concatenate([[0.0], recall])), hits / predicted))


def _cumulated(entered: NDArray[np.int64], weights: Floats) -> Floats:
    """(250,) sum of the weights of the samples at or over each threshold."""
    return np.cumsum(np.bincount(entered, weights, minlength=_THRESHOLDS + 1)[:_THRESHOLDS])


def _soft_labels(truth: Bools, intervals: list[Interval], width: int) -> Floats:
    soft = truth.astype(np.float64)
    for first, last in intervals if width else []:
        after = np.arange(last + 1, min(last + width // 2 + 1, len(soft)))
        before = np.arange(max(first - width // 2, 0), first)
        soft[after] += np.sqrt(1 - (after - last) / width)
        soft[before] += np.sqrt(1 - (first - before) / width)
    return np.minimum(soft, 1)


def _widened(intervals: list[Interval], width: int, samples: int) -> list[Interval]:
    """Intervals with half a buffer on either side; those that meet are one."""
    half, widened = width // 2, [intervals[0]]
    for first, last in intervals[1:]:
        if widened[-1][1] + half < first - half:
            widened.append((first, last))
        else:
            widened[-1] = (widened[-1][0], last)
    return [
        (max(first - half, 0) if index == 0 else first - half, min(last + half, samples - 1))
        for index, (first, last) in enumerate(widened)
    ]
