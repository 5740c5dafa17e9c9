"""Whether choices depend on where an option stands."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from evals.metrics.intervals import Estimate, paired_difference


class PositionBias(NamedTuple):
    """Choices by the position of the option, among questions that were answered with one."""

    chosen: dict[int, float]
    """Position -> share of the choices."""
    right: dict[int, float]
    """Position -> share of the questions whose right option stands there."""
    first_excess: Estimate
    """By how much more often the first option was chosen than it is right; without bias its interval holds 0."""


def position_bias(chosen: Sequence[int | None], right: Sequence[int], seed: int = 0) -> PositionBias | None:
    """Preference for a position (Zheng et al. 2024), with the shares of right answers beside it.

    A choice of nothing is left out; `None` where nothing was chosen.
    """
    made = [(choice, answer) for choice, answer in zip(chosen, right, strict=True) if choice is not None]
    excess = paired_difference(
        [float(choice == 0) for choice, _ in made], [float(answer == 0) for _, answer in made], seed
    )
    if excess is None:
        return None
    return PositionBias(
        _shares([choice for choice, _ in made]), _shares([answer for _, answer in made]), first_excess=excess
    )


def _shares(positions: Sequence[int]) -> dict[int, float]:
    return {position: count / len(positions) for position, count in sorted(Counter(positions).items())}
