"""How far those who grade answers agree with each other: raw, and beyond chance."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evals.judge.store import Grade, Label
from evals.metrics import Interval, binomial_interval, cohen_kappa
from evals.metrics.intervals import RESAMPLES

DECIDED: tuple[Label, Label] = ("right", "wrong")
UNDECIDED: Grade = "cannot_say"


class Pair(NamedTuple):
    """Two grades of one answer."""

    first: Grade
    second: Label


class Agreement(NamedTuple):
    """Over the answers that the first decided on."""

    n: int
    same: int
    share: float | None
    low: float | None
    high: float | None
    """95 %, exact (Clopper and Pearson 1934)."""
    kappa: float | None
    """Cohen's; `None` where all grades are one and the same: chance explains everything then."""
    kappa_low: float | None
    kappa_high: float | None
    """95 %, percentile bootstrap over answers; `None` where it would see no spread, for all are alike, or none, or one of
    the two grades all the same."""
    undecided: int
    """Answers on which the first said that it cannot say: in no figure but this one, and in the confusion."""
    confusion: dict[str, dict[str, int]]
    """Grade of the first -> grade of the second -> answers."""


def agreement(pairs: Sequence[Pair], seed: int = 0) -> Agreement | None:
    """Of two who graded the same answers; `None` where there are none."""
    if not pairs:
        return None
    decided = [pair for pair in pairs if pair.first != UNDECIDED]
    same, n = sum(pair.first == pair.second for pair in decided), len(decided)
    share, interval = (same / n, binomial_interval(same, n)) if n else (None, None)
    kappa = cohen_kappa([pair.first for pair in decided], [pair.second for pair in decided])
    spread = _kappa_interval(decided, seed) if 0 < same < n and _both_vary(decided) else None
    return Agreement(
        n=n,
        same=same,
        share=share,
        low=interval.low if interval else None,
        high=interval.high if interval else None,
        kappa=kappa,
        kappa_low=spread.low if spread else None,
        kappa_high=spread.high if spread else None,
        undecided=len(pairs) - n,
        confusion={
            first: {second: pairs.count(Pair(first, second)) for second in DECIDED} for first in (*DECIDED, UNDECIDED)
        },
    )


def _both_vary(pairs: Sequence[Pair]) -> bool:
    return all(len(set(grades)) > 1 for grades in zip(*pairs, strict=True))


def _kappa_interval(pairs: Sequence[Pair], seed: int) -> Interval:
    """Answers drawn anew with replacement are a draw from the four cells of their table."""
    cells = np.array([[pairs.count(Pair(first, second)) for second in DECIDED] for first in DECIDED], np.float64)
    drawn = np.random.default_rng(seed).multinomial(len(pairs), cells.ravel() / len(pairs), RESAMPLES)
    low, high = np.percentile(_kappas(drawn.reshape(-1, 2, 2) / len(pairs)), (2.5, 97.5))
    return Interval(float(low), float(high))


def _kappas(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cohen's kappa of (N, 2, 2) tables of shares; those where chance explains everything have none."""
    agreed = shares[:, 0, 0] + shares[:, 1, 1]
    by_chance = (shares.sum(axis=1) * shares.sum(axis=2)).sum(axis=1)
    known = by_chance < 1 - 1e-12
    kappas: NDArray[np.float64] = (agreed[known] - by_chance[known]) / (1 - by_chance[known])
    return kappas
