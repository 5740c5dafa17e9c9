"""Whether a product's recordings are judged by their samples, by plots of them, or by both.

Anomalies are made on the product's own normal data, and each opinion says of every sample how odd it is. Plots are
looked at only where that is surely better: samples are cheaper, and what made anomalies tell of real ones is limited.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from sklearn.metrics import average_precision_score

from knowledge import Frozen
from tools.signals.detector import Floats
from tools.signals.ensemble import OPINIONS, Fold, Opinion, Plotting, fit_ensemble, shares_of
from tools.signals.plotted_windows import BANDS, Eye
from tools.signals.synthesis import KINDS, Synthetic, put_anomaly

_WINDOWS = 8
"""That a plot shows."""
_WINDOWS_OF_RUN = 4
"""That are enough where the recordings are runs so short that a plot shows a whole one."""
_LEAST_SAMPLES = 64
_MOST_CHANNELS = 8 * BANDS
"""A plot shows four; of more channels too many plots would have to be looked at."""
_KEPT = 600
"""Plots whose features are kept while a product is learned: some 90 MB."""

_BY_PIECES = 5
"""From so many pieces on some are learned from and some are changed; of fewer, the beginning and the rest of each."""
_LEARNED = 0.6
_MOST_PIECES = 20
_MOST_SAMPLES = 20_000
"""That are learned from for the comparison."""
_CHANGED = 4
"""Normal stretches that anomalies are put into, one of each kind."""
_PLOTS_EACH = 4
"""Plots' lengths of such a stretch, at most."""
_FEWEST = 12
"""Anomalies that a comparison takes."""
_SURE = 3.0
"""Standard errors by which the mean gain must lie above nothing."""

_BY: Mapping[Opinion, str] = {
    "samples": "the samples alone",
    "views": "plots of the samples alone",
    "both": "the samples and plots of them",
}


class Choice(Frozen):
    """By what recordings of a product are judged, and why."""

    opinion: Opinion = "samples"
    figures: dict[Opinion, float] = Field(default_factory=dict)
    """Mean average precision over made anomalies; empty where nothing was compared."""
    sentence: str = "judged by the samples alone"


class _Data(NamedTuple):
    """What is compared on."""

    learned: list[Floats]
    halves: list[Fold]
    made: list[Synthetic]


def plotting_of(folds: Sequence[Fold], window: int, seed: int, *, whole: bool) -> Plotting | str:
    """How a product's plots are made, or the reason why they cannot be.

    What is held out must fill a plot: what is calibrated on plots that are filled in part says little of others. `whole`
    says that runs are held out as they are, and not parts of them.
    """
    channels, shortest = len(folds[0][0][0]), min(piece.shape[1] for _, held_out in folds for piece in held_out)
    if channels > _MOST_CHANNELS:
        return f"plots of {channels} channels would take too long"
    length, least = _WINDOWS * window, (_WINDOWS_OF_RUN if whole else _WINDOWS) * window
    if shortest < max(least, _LEAST_SAMPLES):
        return f"normal data are held out in pieces of {shortest} samples, too short for plots of {max(length, _LEAST_SAMPLES)}"
    return Plotting(max(min(length, shortest), _LEAST_SAMPLES), seed, Eye(_KEPT))


def compared(pieces: Sequence[Floats], window: int, plotting: Plotting) -> dict[Opinion, Floats]:
    """(N,) average precision of each opinion on the same N anomalies, made on normal (C, T) pieces."""
    data = _data(pieces, window, plotting)
    ensemble, _ = fit_ensemble(data.learned, data.halves, window, lambda done, of: None, plotting, "both")
    levels = [np.stack([scaled.judge(each.piece)[0] for scaled in ensemble.detectors]) for each in data.made]
    truths = [each.truth for each in data.made]
    return {opinion: _precisions(truths, [_weighed(level, opinion) for level in levels]) for opinion in OPINIONS}


def chosen(found: Mapping[Opinion, Floats]) -> Choice:
    """The best of those that are surely better than the samples alone; these where none is."""
    if len(found["samples"]) < _FEWEST:
        return not_compared("normal data are too short or too still for a comparison")
    figures = {opinion: float(precisions.mean()) for opinion, precisions in found.items()}
    better = [opinion for opinion in OPINIONS if _surely_above(found[opinion], found["samples"])]
    best: Opinion = max(better, key=lambda opinion: figures[opinion]) if better else "samples"
    verdict = "surely better than the samples alone" if better else "nothing else is surely better"
    said = ", ".join(f"{figures[opinion]:.2f} by {_BY[opinion]}" for opinion in OPINIONS)
    return Choice(
        opinion=best,
        figures=figures,
        sentence=f"judged by {_BY[best]}: {verdict} on {len(found['samples'])} anomalies made on normal data "
        f"(mean average precision {said})",
    )


def not_compared(reason: str) -> Choice:
    return Choice(sentence=f"judged by the samples alone: {reason}")


def _data(pieces: Sequence[Floats], window: int, plotting: Plotting) -> _Data:
    learned, halves, rest = _parted(pieces)
    stretches = _stretches(rest, _PLOTS_EACH * plotting.length)
    rng = np.random.default_rng(plotting.seed)
    fit = [each for each in stretches if each.shape[1] >= plotting.length and (each.std(axis=1) > 0).any()]
    return _Data(learned, halves, [put_anomaly(each, kind, window, rng) for each in fit for kind in KINDS])


class _Parted(NamedTuple):
    learned: list[Floats]
    halves: list[Fold]
    """Each half of what is learned held out from the other."""
    rest: list[Floats]


def _parted(pieces: Sequence[Floats]) -> _Parted:
    """Three fifths of normal data, no more than is needed for a comparison, and the rest."""
    if len(pieces) >= _BY_PIECES:
        some = [pieces[index] for index in _spread(len(pieces), _MOST_PIECES)]
        part = round(_LEARNED * len(some))
        most = _MOST_SAMPLES // part
        learned, rest = [piece[:, :most] for piece in some[:part]], some[part:]
        one, other = learned[::2], learned[1::2]
    else:
        most = _MOST_SAMPLES // len(pieces)
        ends = [int(_LEARNED * piece.shape[1]) for piece in pieces]
        learned = [piece[:, max(end - most, 0) : end] for piece, end in zip(pieces, ends, strict=True)]
        rest = [piece[:, end:] for piece, end in zip(pieces, ends, strict=True)]
        one = [piece[:, : piece.shape[1] // 2] for piece in learned]
        other = [piece[:, piece.shape[1] // 2 :] for piece in learned]
    return _Parted(learned, [(one, other), (other, one)], rest)


def _stretches(rest: Sequence[Floats], size: int) -> list[Floats]:
    """Four of at most so many samples, evenly over all."""
    each = -(-_CHANGED // len(rest))
    found = [
        piece[:, int(first) : int(first) + size]
        for piece in rest
        for first in np.linspace(0, max(piece.shape[1] - size, 0), each)
    ]
    return [found[index] for index in _spread(len(found), _CHANGED)]


def _spread(count: int, most: int) -> list[int]:
    """At most so many of the first `count` numbers, evenly."""
    return [int(index) for index in np.unique(np.linspace(0, count - 1, min(count, most)).round())]


def _weighed(levels: Floats, opinion: Opinion) -> Floats:
    """(T,) of the (D, T) that the detectors of samples and plots say, in the order of `both`."""
    shares = shares_of(opinion)
    asked = levels[: len(shares)] if opinion != "views" else levels[-1:]
    return np.asarray(np.average(asked, axis=0, weights=shares))


def _precisions(truths: Sequence[NDArray[np.bool_]], said: Sequence[Floats]) -> Floats:
    return np.array([average_precision_score(truth, scores) for truth, scores in zip(truths, said, strict=True)])


def _surely_above(precisions: Floats, others: Floats) -> bool:
    gains = precisions - others
    return bool(gains.mean() > _SURE * gains.std(ddof=1) / len(gains) ** 0.5)
