"""From values over time to intervals over threshold."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


class Interval(NamedTuple):
    """Samples `first` to `last`, both inside."""

    first: int
    last: int
    peak: float


def intervals_over(levels: Floats, threshold: float, gap: int) -> tuple[Interval, ...]:
    """Intervals where (T,) `levels` are over threshold, the highest peak first.

    Those closer than `gap` samples are one. What is odd lights up its surroundings, since windows reach beyond it, so
    an interval is cut back to where the level is at least half its peak.
    """
    found = []
    for first, last in runs(levels > threshold, gap):
        part = levels[first : last + 1]
        peak = float(part.max())
        core = part >= max(threshold, peak / 2)
        found += [_interval(levels, first + a, first + b) for a, b in runs(core, gap)]
    return tuple(sorted(found, key=lambda interval: (-interval.peak, interval.first)))


def runs(inside: NDArray[np.bool_], gap: int = 1) -> list[tuple[int, int]]:
    """First and last index of each run of true values; runs with fewer than `gap` indices between them are one."""
    edges = np.diff(np.concatenate([[0], inside.astype(np.int8), [0]]))
    firsts, lasts = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1) - 1
    if not len(firsts):
        return []
    apart = np.flatnonzero(firsts[1:] - lasts[:-1] - 1 >= gap)
    starts, ends = np.append(firsts[0], firsts[apart + 1]), np.append(lasts[apart], lasts[-1])
    return [(int(first), int(last)) for first, last in zip(starts, ends, strict=True)]


def _interval(levels: Floats, first: int, last: int) -> Interval:
    return Interval(first, last, float(levels[first : last + 1].max()))
