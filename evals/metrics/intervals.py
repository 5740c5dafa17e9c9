"""Means over many cases, with how far they may be off."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from evals.metrics.detection import Interval, binomial_interval

RESAMPLES = 2000

_AT_ONCE = 256
"""Resamples drawn together, so that memory does not grow with their number."""


class Estimate(NamedTuple):
    """A mean and its interval."""

    mean: float
    low: float | None
    high: float | None
    """None of a single value that is no rate: it says nothing of its spread."""
    n: int


def mean_with_interval(
    values: Sequence[float], seed: int = 0, confidence: float = 0.95, *, shares: bool = True
) -> Estimate | None:
    """Mean of the values; `None` where there are none.

    Of values that are all 0 or 1 the interval is exact (Clopper and Pearson 1934), of others it is the percentile
    bootstrap over 2,000 resamples (Efron 1979), the same for the same seed. Without `shares` a 0 or 1 is a number like
    any other, as where things are counted.
    """
    if not values:
        return None
    mean, count = float(np.mean(values)), len(values)
    if shares and set(values) <= {0.0, 1.0}:
        return Estimate(mean, *binomial_interval(round(sum(values)), count, confidence), count)
    if count == 1:
        return Estimate(mean, None, None, count)
    return Estimate(mean, *_bootstrapped(values, seed, confidence), count)


def paired_difference(
    first: Sequence[float], second: Sequence[float], seed: int = 0, confidence: float = 0.95
) -> Estimate | None:
    """Mean of first minus second over the same cases, in the same order, by percentile bootstrap over cases.

    An interval that does not hold 0 tells the two apart. `None` without cases; the values may be of any kind.
    """
    if len(first) != len(second):
        raise ValueError(f"expected values of the same cases, got {len(first)} and {len(second)}")
    differences = [one - two for one, two in zip(first, second, strict=True)]
    if not differences:
        return None
    mean, count = float(np.mean(differences)), len(differences)
    if count == 1:
        return Estimate(mean, None, None, count)
    return Estimate(mean, *_bootstrapped(differences, seed, confidence), count)


def _bootstrapped(values: Sequence[float], seed: int, confidence: float) -> Interval:
    found = stats.bootstrap(
        (np.asarray(values, np.float64),),
        np.mean,
        n_resamples=RESAMPLES,
        batch=_AT_ONCE,
        confidence_level=confidence,
        method="percentile",
        random_state=np.random.default_rng(seed),
    )
    return Interval(float(found.confidence_interval.low), float(found.confidence_interval.high))
