"""Normal parts that stand out from all others: perhaps they are none, and alone decide what else passes for normal."""

from collections.abc import Sequence

import numpy as np

_FEWEST = 10
"""Parts among which some can stand out."""

_AT_MOST = 10
"""One of so many may stand out: where more do, that is how the product is."""

_TIMES = 2.0
"""As high as the highest of the others."""


def odd_parts(scores: Sequence[float]) -> tuple[int, ...]:
    """Positions of those held-out scores of normal parts that are at least twice as high as all others."""
    if len(scores) < _FEWEST:
        return ()
    order = np.argsort(scores, kind="stable")[::-1].tolist()
    for count in range(len(scores) // _AT_MOST, 0, -1):
        lowest_of_them, highest_other = scores[order[count - 1]], scores[order[count]]
        if lowest_of_them >= _TIMES * max(highest_other, 0.0) and lowest_of_them > 0:
            return tuple(sorted(order[:count]))
    return ()
