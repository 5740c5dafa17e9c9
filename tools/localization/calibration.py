"""Conformal calibration: from an anomaly score to the probability of such a score on a normal part.

Split conformal prediction (Vovk et al. 2005; Angelopoulos & Bates 2023): with n scores of held-out normal parts, the
rank of a new normal part's score among them is uniform, so rejecting when p <= alpha rejects at most a share alpha
of normal parts, on average over calibrations, whatever the distribution of scores.

Several pictures of one part are more alike than those of different parts. They count for one part together, a share each:
hierarchical conformal prediction (Lee, Barber & Willett 2023). Its promise is of a picture of a new part, if that is drawn
from the part's pictures as those of the calibration were: always the same one of several views may do worse.
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

    def __init__(self, scores: Sequence[float], scheme: Scheme, shown: Sequence[int] | None = None) -> None:
        """`scheme` says how they were held out: parts apart from the memory, or in turn by cross-validation.

        `shown` numbers the part of each score, where several may be of one; by default each is of a part of its own.
        """
        found = np.asarray(scores, dtype=np.float64)
        if not np.isfinite(found).all():
            raise ValueError("expected finite calibration scores")
        numbers = np.arange(len(found)) if shown is None else np.asarray(shown, dtype=np.int64)
        if numbers.shape != found.shape:
            raise ValueError(f"expected the part of each of {len(found)} calibration scores, got {len(numbers)}")
        order = np.argsort(found, kind="stable")
        self.scores, self.shown = found[order], numbers[order]
        """Ascending, and the number of each score's part."""
        self.scheme: Scheme = scheme
        _, index, counts = np.unique(self.shown, return_inverse=True, return_counts=True)
        self.parts = len(counts)
        # Rounded, since thirds are no binary fractions and a p-value may be exactly alpha.
        self._of_highest = np.round(np.concatenate([[0.0], np.cumsum(1 / counts[index][::-1])]), 9)
        """What the k highest scores count for, in parts, for each k."""
        self._most_of_a_part = int(counts.max(initial=1))

    @property
    def count(self) -> int:
        """Of scores."""
        return len(self.scores)

    def parts_of_highest(self, count: int) -> set[int]:
        """Numbers of the parts that the `count` highest scores are of."""
        return set(self.shown[self.count - count :].tolist())

    def without_parts_of_highest(self, count: int) -> "ConformalCalibration":
        """As if the parts of the `count` highest scores had never been."""
        kept = ~np.isin(self.shown, list(self.parts_of_highest(count)))
        return ConformalCalibration(self.scores[kept].tolist(), self.scheme, self.shown[kept].tolist())

    def p_value(self, score: float, blocks: int = 1) -> float:
        """Probability that a normal asset scores at least `score`, the highest of its `blocks` scores.

        With k of the n calibration scores as high, a single one is (1 + k) / (n + 1); where several are of one part, both
        count parts, and a score is a share of its own. The highest of m stands among the k + 1 highest of all n + m
        unless those are calibration scores without exception, which by exchangeability has probability
        C(n, k + 1) / C(n + m, k + 1), if each is of a part of its own.
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
                + f", there are {self._said()}: no threshold can be promised",
            )
        if blocks > 1 or unit != "parts":
            return Promise(
                True,
                f"calibrated on {self.count} held-out normal {unit}: at most {alpha:g} false alarms on average over "
                f"{blocks} of them; they follow each other, so the promise is approximate",
            )
        if self.parts < self.count:
            return Promise(
                True,
                f"calibrated on {self.count} pictures of {self.parts} held-out normal parts: at most {alpha:g} false alarms "
                f"on average over pictures of new parts that are taken as these were{self._approximate()}",
            )
        low, high = self.realised_range(alpha)
        sentence = (
            f"calibrated on {self.count} held-out normal parts: at most {alpha:g} false alarms on average; "
            f"for one calibration of this size the realised rate lies in {low:.3f} .. {high:.3f} (95 %)"
        )
        return Promise(True, sentence + self._approximate())

    def _said(self) -> str:
        """How many there are."""
        return f"{self.parts}" if self.parts == self.count else f"{self.parts}, in {self.count} pictures"

    def _approximate(self) -> str:
        held_out = "; held out in turn by cross-validation, so the promise is approximate"
        return held_out if self.scheme == "cross" else ""

    def realised_range(self, alpha: float) -> tuple[float, float]:
        """Central 95 % of the realised false-alarm rate over calibrations of this size: a Beta law (Vovk 2012)."""
        rejected = self._rejected(alpha)
        law = stats.beta(rejected, self.count + 1 - rejected)
        return float(law.ppf(0.025)), float(law.ppf(0.975))

    def _p_value_of(self, at_least: int, blocks: int) -> float:
        if blocks == 1:
            return float((1 + self._of_highest[at_least]) / (self.parts + 1))
        if self.parts < self.count:
            raise ValueError("several blocks of a part that is shown more than once are beyond this calibration")
        higher = np.arange(min(at_least + 1, self.count + 1))
        return float(1 - np.prod((self.count - higher) / (self.count + blocks - higher)))

    def _rejected(self, alpha: float, blocks: int = 1) -> int:
        """How many calibration scores a rejected one may reach, and itself; by p-values, so that both always agree."""
        k = min(math.ceil(self._most_of_a_part * (self.parts + 1) * alpha) + 1, self.count)
        while k > 0 and self._p_value_of(k - 1, blocks) > alpha:
            k -= 1
        return k
