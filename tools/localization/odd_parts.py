"""Normal parts that stand out from all others: perhaps they are none, and alone decide what else passes for normal."""

from collections.abc import Sequence

_FEWEST = 10
"""Parts among which some can stand out."""

_AT_MOST = 10
"""One of so many may stand out: where more do, that is how the product is."""

_TIMES = 2.0
"""As high as the highest of the others."""


def odd_parts(scores: Sequence[float], shown: Sequence[int] | None = None) -> tuple[int, ...]:
    """Positions of those held-out scores of normal parts that are at least twice as high as those of all others.

    `shown` numbers the part of each score, where several may be of one: a part stands out by its highest.
    """
    shown = range(len(scores)) if shown is None else shown
    highest: dict[int, float] = {}
    for part, score in zip(shown, scores, strict=True):
        highest[part] = max(score, highest.get(part, score))
    if len(highest) < _FEWEST:
        return ()
    parts = sorted(highest, key=lambda part: -highest[part])
    for count in range(len(parts) // _AT_MOST, 0, -1):
        needed = _TIMES * max(highest[parts[count]], 0.0)
        if highest[parts[count - 1]] >= needed and highest[parts[count - 1]] > 0:
            odd = parts[:count]
            pictures = enumerate(zip(shown, scores, strict=True))
            return tuple(place for place, (part, score) in pictures if part in odd and score >= needed and score > 0)
    return ()
