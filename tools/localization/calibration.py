"""Conformal calibration: from an anomaly score to the probability of such a score on a normal part.

Split conformal prediction (Vovk et al. 2005; Angelopoulos & Bates 2023): with n scores of held-out normal parts, the
rank of a new normal part's score among them is uniform, so rejecting when p <= alpha rejects at most a share alpha
of normal parts, on average over calibrations, whatever the distribution of scores.
"""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from scipy import stats

Scheme = Literal["split", "cross"]


class Promise(NamedTuple):
    """What n held-out normal parts can promise at a false-alarm rate `alpha`."""

    kept: bool
    """False when n is too small for any finite threshold."""
    sentence: str


class ConformalCalibration:
    """Scores of held-out normal parts."""

    def __init__(self, scores: Sequence[float], scheme: Scheme) -> None:
        """`scheme` says how they were held out: parts apart from the memory, or in turn by cross-validation."""
        self.scores = np.sort(np.asarray(scores, dtype=np.float64))
        self.scheme: Scheme = scheme
        if not np.isfinite(self.scores).all():
            raise ValueError("expected finite calibration scores")

    @property
    def count(self) -> int:
        return len(self.scores)

    def p_value(self, score: float) -> float:
        """Share of normal parts, the new one counted in, whose score is at least `score`: (1 + k) / (n + 1)."""
        at_least = self.count - int(np.searchsorted(self.scores, score, side="left"))
        return (1 + at_least) / (self.count + 1)

    def threshold(self, alpha: float) -> float:
        """Score above which p <= alpha; infinite when n is too small to promise alpha."""
        rejected = self._rejected(alpha)
        return float(self.scores[self.count - rejected]) if rejected else math.inf

    def promise(self, alpha: float) -> Promise:
        needed = math.ceil(1 / alpha - 1 - 1e-9)
        if not math.isfinite(self.threshold(alpha)):
            return Promise(
                False,
                f"alpha = {alpha:g} needs at least {needed} held-out normal parts, there are {self.count}: "
                "no threshold can be promised",
            )
        low, high = self.realised_range(alpha)
        sentence = (
            f"calibrated on {self.count} held-out normal parts: at most {alpha:g} false alarms on average; "
            f"for one calibration of this size the realised rate lies in {low:.3f} .. {high:.3f} (95 %)"
        )
        if self.scheme == "cross":
            sentence += "; held out in turn by cross-validation, so the promise is approximate"
        return Promise(True, sentence)

    def realised_range(self, alpha: float) -> tuple[float, float]:
        """Central 95 % of the realised false-alarm rate over calibrations of this size: a Beta law (Vovk 2012)."""
        rejected = self._rejected(alpha)
        law = stats.beta(rejected, self.count + 1 - rejected)
        return float(law.ppf(0.025)), float(law.ppf(0.975))

    def _rejected(self, alpha: float) -> int:
        """Largest k with k / (n + 1) <= alpha, compared as p-values are, so that both always agree."""
        k = min(math.ceil((self.count + 1) * alpha) + 1, self.count)
        while k > 0 and k / (self.count + 1) > alpha:
            k -= 1
        return k
