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

    def p_value(self, score: float, blocks: int = 1) -> float:
        """Probability that a normal asset scores at least `score`, the highest of its `blocks` scores.

        With k of the n calibration scores as high, a single one is (1 + k) / (n + 1). The highest of m stands among the
        k + 1 highest of all n + m unless those are calibration scores without exception, which by exchangeability has
        probability C(n, k + 1) / C(n + m, k + 1).
        """
        at_least = self.count - int(np.searchsorted(self.scores, score, side="left"))
        return self._p_value_of(at_least, blocks)

    def threshold(self, alpha: float, blocks: int = 1) -> float:
        """Score above which p <= alpha; infinite when n is too small to promise alpha."""
        rejected = self._rejected(alpha, blocks)
        return float(self.scores[self.count - rejected]) if rejected else math.inf

    def promise(self, alpha: float, blocks: int = 1, unit: str = "parts") -> Promise:
        """`unit` is what was calibrated on: parts, or stretches of so many seconds."""
        needed = math.ceil(blocks / alpha - blocks - 1e-9)
        if not math.isfinite(self.threshold(alpha, blocks)):
            return Promise(
                False,
                f"alpha = {alpha:g} needs at least {needed} held-out normal {unit}"
                + (f" for {blocks} of them in a row" if blocks > 1 else "")
                + f", there are {self.count}: no threshold can be promised",
            )
        if blocks > 1 or unit != "parts":
            return Promise(
                True,
                f"calibrated on {self.count} held-out normal {unit}: at most {alpha:g} false alarms on average over "
                f"{blocks} of them; they follow each other, so the promise is approximate",
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

    def _p_value_of(self, at_least: int, blocks: int) -> float:
        if blocks == 1:
            return (1 + at_least) / (self.count + 1)
        higher = np.arange(min(at_least + 1, self.count + 1))
        return float(1 - np.prod((self.count - higher) / (self.count + blocks - higher)))

    def _rejected(self, alpha: float, blocks: int = 1) -> int:
        """How many calibration scores a rejected one may reach, and itself; by p-values, so that both always agree."""
        k = min(math.ceil((self.count + 1) * alpha) + 1, self.count)
        while k > 0 and self._p_value_of(k - 1, blocks) > alpha:
            k -= 1
        return k
