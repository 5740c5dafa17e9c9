"""Where within a place of windows the odd samples are.

Windows that are long enough to notice what is odd light up for their whole length around it. Once it is known that
something is odd, and roughly where, evidence of single samples is enough to say from when to when: what short windows
say, and what the components leave of a sample, each on the scale of held-out normal data and above what it says of the
surroundings. The interval is that of the highest scan statistic, the sum of the evidence over the root of the number of
samples (the likelihood ratio of a raised mean; Glaz, Naus & Wallenstein 2001), which needs no threshold.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tools.signals.detector import Detector, Floats
from tools.signals.ensemble import Fold, Scale, each_held_out, lags_of, packed_scale, unpacked_scale
from tools.signals.lagged_components import OwnResidual
from tools.signals.nearest_windows import LeastWindows, step_of
from tools.signals.statistics import LeastStatistics

_SHORTER = 10
"""How many times shorter the windows are."""
_SHORTEST = 4
_MOST_SAMPLES = 50_000
"""Of held-out data, for the scale."""
_SURROUNDINGS = 8
"""Windows to either side whose level is taken for that of the surroundings."""
_LONGEST = 16
"""Windows: a place that is longer is reported as it is, since what windows add to it matters little."""
_NOISE = 0.5
"""Deviations that normal samples show on average."""
_ANOTHER = 0.5
"""Share of the highest scan statistic from which on another interval in the same place is one of its own."""

CLOSE_DETECTORS: tuple[type[Detector], ...] = (LeastWindows, LeastStatistics, OwnResidual)


class Scan(NamedTuple):
    """Samples `first` to `last`, both inside."""

    statistic: float
    first: int
    last: int


class Pinpointer:
    """Detectors that look closely, each with the scale of what it says of the channels of held-out normal data."""

    def __init__(self, detectors: Sequence[tuple[Detector, Scale]], window: int) -> None:
        """`window` samples of the windows that places come from."""
        self._detectors = tuple(detectors)
        self._window = window

    def narrowed(
        self, piece: Floats, moved: Floats, channels: NDArray[np.int64], first: int, last: int
    ) -> list[tuple[int, int]]:
        """First and last sample of each interval that holds what is odd in a place, the most odd first.

        Args:
            piece: (C, T) in deviations of the channels.
            moved: (M, T) deviations of channels that have no others, 0 where they are as they always were.
            channels: those of the piece that are odd in the place.
            first: first sample of the place; an interval may begin half a window before it.
            last: its last sample.
        """
        if last - first >= _LONGEST * self._window or not len(channels) + len(moved):
            return [(first, last)]
        reach, around = self._window // 2, _SURROUNDINGS * self._window
        begin, stop = max(first - reach, 0), min(last + reach + 1, piece.shape[1])
        crop = slice(max(begin - around, 0), stop + around)
        inside = slice(begin - crop.start, stop - crop.start)
        evidence = np.concatenate([self._above_surroundings(piece[:, crop], channels, inside), moved[:, begin:stop]])
        level = np.sqrt((evidence**2).mean(axis=0)) - _NOISE
        return [(begin + found.first, begin + found.last) for found in _scans(level)]

    def _above_surroundings(self, piece: Floats, channels: NDArray[np.int64], inside: slice) -> Floats:
        """(K, N) deviations within a stretch, of each detector and channel, above the median outside."""
        said = [scale.apply(detector.contributions(piece).of_channels)[channels] for detector, scale in self._detectors]
        evidence = np.concatenate(said)
        outside = np.delete(evidence, np.s_[inside], axis=1)
        if outside.shape[1] < self._window:
            return evidence[:, inside]
        return np.asarray(np.maximum(evidence[:, inside] - np.median(outside, axis=1, keepdims=True), 0))

    def tensors(self) -> dict[str, NDArray[Any]]:
        saved: dict[str, NDArray[Any]] = {}
        for detector, scale in self._detectors:
            saved[f"{detector.name}.of_channels"] = packed_scale(scale)
            saved |= {f"{detector.name}.{name}": tensor for name, tensor in detector.tensors().items()}
        return saved

    @classmethod
    def of_tensors(cls, saved: Mapping[str, NDArray[Any]], channels: int, window: int) -> "Pinpointer":
        """Raises `ValueError` or `KeyError` where they do not fit together."""
        found = []
        for kind in CLOSE_DETECTORS:
            own = {name.partition(".")[2]: saved[name] for name in saved if name.startswith(f"{kind.name}.")}
            scale = unpacked_scale(own["of_channels"], (channels,))
            found.append((kind.of_tensors(own, channels), scale))
        return cls(found, window)


def fit_pinpointer(pieces: Sequence[Floats], folds: Sequence[Fold], window: int) -> Pinpointer:
    """Learn from all normal (C, T) pieces, on the scale of what detectors of each fold say of what was held out."""
    short = max(_SHORTEST, window // _SHORTER)
    lags = lags_of(len(pieces[0]), sum(piece.shape[1] for piece in pieces), window)
    step = step_of(pieces)
    makers: list[Callable[[Sequence[Floats]], Detector]] = [
        lambda learned: LeastWindows.fit(learned, short, step),
        lambda learned: LeastStatistics.fit(learned, [short]),
        lambda learned: OwnResidual.fit(learned, lags),
    ]
    most = max(window, _MOST_SAMPLES // sum(len(held_out) for _, held_out in folds))
    beginnings = [(learned, [piece[:, :most] for piece in held_out]) for learned, held_out in folds]
    return Pinpointer([(maker(pieces), _scale_of(maker, beginnings)) for maker in makers], window)


def _scale_of(maker: Callable[[Sequence[Floats]], Detector], folds: Sequence[Fold]) -> Scale:
    said = [detector.contributions(piece).of_channels for detector, piece in each_held_out(maker, folds)]
    return Scale.fit(np.concatenate(said, axis=1))


def _scans(level: Floats) -> list[Scan]:
    """The interval of the highest scan statistic of (N,), and those before and after it that come near it."""
    best = scan(level)
    rest = [(0, level[: best.first]), (best.last + 1, level[best.last + 1 :])]
    others = [(offset, scan(part)) for offset, part in rest if len(part)]
    near = [
        Scan(found.statistic, offset + found.first, offset + found.last)
        for offset, found in others
        if best.statistic > 0 and found.statistic > _ANOTHER * best.statistic
    ]
    return [best, *sorted(near, reverse=True)]


def scan(level: Floats) -> Scan:
    """The interval of (N,) with the highest sum over the root of its length; every interval is tried."""
    sums, roots = np.concatenate([[0.0], np.cumsum(level)]), np.sqrt(np.arange(1, len(level) + 1))
    best = Scan(-np.inf, 0, 0)
    for first in range(len(level)):
        statistics = (sums[first + 1 :] - sums[first]) / roots[: len(level) - first]
        length = int(np.argmax(statistics))
        if statistics[length] > best.statistic:
            best = Scan(float(statistics[length]), first, first + length)
    return best
