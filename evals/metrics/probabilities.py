"""Whether numbers that are read as probabilities, and false-alarm rates that are promised, come true."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import brier_score_loss

from evals.metrics.detection import Interval, binomial_interval

BINS = 10


class ReliabilityBin(NamedTuple):
    """Probabilities in [low, high), the last bin with its end."""

    low: float
    high: float
    n: int
    stated: float | None
    """Mean probability; None of an empty bin."""
    observed: float | None
    """Share of the parts that are anomalous."""


class AlarmRate(NamedTuple):
    """How often normal parts were rejected at a false-alarm rate that was asked for."""

    alpha: float
    rate: float
    interval: Interval
    """Exact (Clopper-Pearson), 95 %."""
    n: int

    @property
    def kept(self) -> bool:
        """Whether alpha is not refuted: the interval does not lie above it."""
        return self.interval.low <= self.alpha


class _Checked(NamedTuple):
    stated: NDArray[np.float64]
    truth: NDArray[np.int64]


def anomaly_probability(p_value: float) -> float:
    """1 - p, the nearest thing to a probability of being anomalous that a conformal p-value gives.

    It is no posterior: p is how often a normal part looks this unusual, whatever share of the parts is anomalous, so that
    1 - p of normal parts is spread evenly over 0 .. 1 and no calibration error of it will ever be near 0. Errors are
    to be compared between systems and not read alone.
    """
    return 1.0 - p_value


def reliability_bins(
    probabilities: Sequence[float], anomalous: Sequence[bool], bins: int = BINS
) -> list[ReliabilityBin]:
    """Stated against observed in bins of equal width over 0 .. 1 (DeGroot and Fienberg 1983)."""
    stated, truth = _checked(probabilities, anomalous)
    numbers = np.minimum((stated * bins).astype(np.int64), bins - 1)
    return [
        ReliabilityBin(
            number / bins,
            (number + 1) / bins,
            int(inside.sum()),
            float(stated[inside].mean()) if inside.any() else None,
            float(truth[inside].mean()) if inside.any() else None,
        )
        for number, inside in ((number, numbers == number) for number in range(bins))
    ]


def calibration_error(probabilities: Sequence[float], anomalous: Sequence[bool], bins: int = BINS) -> float | None:
    """Expected calibration error: the mean of |stated - observed| over the bins, each by its share of the cases.

    Naeini, Cooper and Hauskrecht 2015, in bins of equal width; `None` without cases.
    """
    found = reliability_bins(probabilities, anomalous, bins)
    gaps = [
        each.n * abs(each.stated - each.observed)
        for each in found
        if each.stated is not None and each.observed is not None
    ]
    return sum(gaps) / len(probabilities) if gaps else None


def brier_score(probabilities: Sequence[float], anomalous: Sequence[bool]) -> float | None:
    """Mean squared difference of probability and outcome (Brier 1950), 0 best; `None` without cases."""
    stated, truth = _checked(probabilities, anomalous)
    return float(brier_score_loss(truth, stated, pos_label=1)) if len(stated) else None


def alarm_rates(p_values: Sequence[float], alphas: Sequence[float]) -> list[AlarmRate]:
    """Of the p-values of normal parts, the share at or below each alpha; empty without p-values.

    A conformal p-value promises that the rate is at most alpha (Vovk, Gammerman and Shafer 2005), on average over
    calibration sets: over one calibration set the rate itself varies, the more the smaller the set.
    """
    count = len(p_values)
    hits = [sum(p <= alpha for p in p_values) for alpha in alphas] if count else []
    return [
        AlarmRate(alpha, hit / count, binomial_interval(hit, count), count)
        for alpha, hit in zip(alphas, hits, strict=False)
    ]


def _checked(probabilities: Sequence[float], anomalous: Sequence[bool]) -> _Checked:
    stated, truth = np.asarray(probabilities, np.float64), np.asarray(anomalous, np.int64)
    if stated.shape != truth.shape:
        raise ValueError(f"expected a truth for each probability, got {len(stated)} and {len(truth)}")
    if len(stated) and not (stated.min() >= 0 and stated.max() <= 1):
        raise ValueError(f"expected probabilities in 0 .. 1, got {stated.min():g} .. {stated.max():g}")
    return _Checked(stated, truth)
