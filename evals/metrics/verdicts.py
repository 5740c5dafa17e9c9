"""How good verdicts are over all parts, and how good they are on those where the system is surest."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from sklearn.metrics import recall_score

_KINDS = ("normal", "anomalous")


class CoveragePoint(NamedTuple):
    coverage: float
    """Share of the cases that are answered: the surest ones."""
    risk: float
    """Share of those that are answered wrong."""


def balanced_accuracy(truth: Sequence[str], verdicts: Sequence[str | None]) -> float | None:
    """Mean of the shares of normal and of anomalous parts that were judged right (Brodersen et al. 2010).

    Every other verdict, or none at all, is wrong. `None` unless there are parts of both kinds; others are left out.
    """
    known = [(true, said or "failed") for true, said in zip(truth, verdicts, strict=True) if true in _KINDS]
    if {true for true, _ in known} != set(_KINDS):
        return None
    true, said = zip(*known, strict=True)
    return float(recall_score(true, said, labels=list(_KINDS), average="macro"))


def risk_coverage(confidence: Sequence[float], right: Sequence[bool]) -> list[CoveragePoint]:
    """Selective risk (El-Yaniv and Wiener 2010), from the surest cases to all; ties are answered together."""
    sure, wrong = np.asarray(confidence, np.float64), ~np.asarray(right, np.bool_)
    if sure.shape != wrong.shape:
        raise ValueError(f"expected a confidence for each answer, got {len(sure)} and {len(wrong)}")
    if not len(sure):
        return []
    order = np.argsort(-sure, kind="stable")
    last_of_tie = np.r_[np.flatnonzero(np.diff(sure[order])), len(sure) - 1]
    errors = np.cumsum(wrong[order])[last_of_tie]
    return [
        CoveragePoint((last + 1) / len(sure), float(error) / (last + 1))
        for last, error in zip(last_of_tie.tolist(), errors, strict=True)
    ]


def area_under_risk_coverage(confidence: Sequence[float], right: Sequence[bool]) -> float | None:
    """AURC (Geifman, Uziel and El-Yaniv 2019): the mean risk over all coverages 1/n .. 1, 0 best; `None` without cases.

    Coverages within a tie have the risk at its end.
    """
    points = risk_coverage(confidence, right)
    if not points:
        return None
    steps = np.diff([0.0, *(point.coverage for point in points)])
    return float(np.dot(steps, [point.risk for point in points]))
