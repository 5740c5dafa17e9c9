"""A second opinion on recordings: plots of windows, judged by the localiser for pictures.

Plain line plots without axes are what a network for pictures can compare. Whether they say more than the samples
themselves is measured on normal data with made anomalies; they are used only where they do.
"""

import hashlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from knowledge import FittedPartError
from tools.localization.fitting import Part, fit_localizer
from tools.localization.localizer import Localizer
from tools.localization.manifest import LocalizerSettings
from tools.signals.channel_scale import ChannelScale
from tools.signals.detector import Floats
from tools.signals.ensemble import fit_ensemble
from tools.signals.synthesis import KINDS, put_anomaly

_SIDE = 224
_BANDS = 4
"""Channels of one picture: more would be too low to be seen."""
_SHOWN = 6.0
"""Deviations at the upper and lower edge of a band."""
_PICTURES = 48
_LEAST = 64
_INK = 20


class Opinions(NamedTuple):
    """Mean area under the ROC curve over samples of normal data with made anomalies."""

    samples: float
    views: float

    @property
    def prefers_views(self) -> bool:
        return self.views > self.samples


class ViewLocalizer:
    """Judges (C, T) pieces in deviations of their channels by pictures of their windows."""

    def __init__(self, localizer: Localizer, length: int) -> None:
        self._localizer = localizer
        self.length = length

    @classmethod
    def fit(cls, pieces: Sequence[Floats], window: int, seed: int = 0) -> "ViewLocalizer":
        """Learn from normal pieces; a picture shows eight windows of the other detectors, at least 64 samples."""
        length = max(_LEAST, 8 * window)
        shown = [drawn for piece in pieces for _, drawn in _pictures(piece, length)]
        if len(shown) < 2:
            raise FittedPartError(
                f"normal data shorter than two pictures of {length} samples cannot be learned as pictures"
            )
        every = max(1, len(shown) // _PICTURES)
        parts = [_part(pixels) for pixels in shown[::every][:_PICTURES]]
        settings = LocalizerSettings(seed=seed, areas=(_SIDE * _SIDE,), prompts="none")
        return cls(fit_localizer(parts, (), settings), length)

    def judge(self, piece: Floats) -> Floats:
        """(C, T) in the units of the pictures' own maps: the mean over the pictures that show a sample."""
        sums, counts = np.zeros(piece.shape), np.zeros(piece.shape)
        for where, pixels in _pictures(piece, self.length):
            shown = self._localizer.localize(pixels).map
            for band, channel in enumerate(where.channels):
                top, bottom = _rows(band, len(where.channels))
                columns = shown[top:bottom].max(axis=0)
                stretch = slice(where.first, where.first + self.length)
                sums[channel, stretch] += columns[_column_of_samples(self.length)][: piece.shape[1] - where.first]
                counts[channel, stretch] += 1
        return np.asarray(sums / np.maximum(counts, 1))


def compare_opinions(pieces: Sequence[Floats], window: int, seed: int = 0, repeats: int = 2) -> Opinions:
    """Learn from the first 60 % of normal (C, T) pieces, and find made anomalies in the rest, by samples and by views."""
    scale = ChannelScale.fit(pieces)
    learned = [scale.scaled(piece[:, : int(0.6 * piece.shape[1])]) for piece in pieces]
    rest = [scale.scaled(piece[:, int(0.6 * piece.shape[1]) :]) for piece in pieces]
    halves = [
        ([piece[:, : piece.shape[1] // 2] for piece in learned], [piece[:, piece.shape[1] // 2 :] for piece in learned])
    ]
    ensemble, _ = fit_ensemble(learned, halves, window, lambda done, of: None)
    views = ViewLocalizer.fit(learned, window, seed)
    rng = np.random.default_rng(seed)
    made = [put_anomaly(piece, kind, window, rng) for kind in KINDS for piece in rest for _ in range(repeats)]
    return Opinions(
        _mean_auc([(each.truth, ensemble.judge(each.piece).together) for each in made]),
        _mean_auc([(each.truth, views.judge(each.piece).max(axis=0)) for each in made]),
    )


class _Where(NamedTuple):
    first: int
    channels: range


def _pictures(piece: Floats, length: int) -> list[tuple[_Where, NDArray[np.uint8]]]:
    """Pictures of windows that overlap by half, of four channels each."""
    samples = piece.shape[1]
    firsts = sorted({*range(0, max(samples - length, 0) + 1, length // 2), max(samples - length, 0)})
    groups = [range(first, min(first + _BANDS, len(piece))) for first in range(0, len(piece), _BANDS)]
    return [
        (_Where(first, channels), draw_window(piece[channels.start : channels.stop, first : first + length], length))
        for first in firsts
        for channels in groups
    ]


def draw_window(window: Floats, length: int) -> NDArray[np.uint8]:
    """(C, T) deviations -> (224, 224, 3): a black line a channel on white, six deviations to either side."""
    pixels = np.full((_SIDE, _SIDE), 255, np.uint8)
    columns = np.arange(_SIDE) * length // _SIDE
    nexts = np.maximum((np.arange(_SIDE) + 1) * length // _SIDE, columns + 1)
    held = np.pad(window, ((0, 0), (0, length + 1 - window.shape[1])), mode="edge")
    for band, values in enumerate(held):
        top, bottom = _rows(band, len(held))
        at = np.rint((1 - (np.clip(values / _SHOWN, -1, 1) + 1) / 2) * (bottom - top - 3)).astype(int) + top + 1
        for column in range(_SIDE):
            behind = at[columns[column] : nexts[column] + 1]
            pixels[behind.min() : behind.max() + 1, column] = _INK
    return np.repeat(pixels[..., None], 3, axis=2)


def _rows(band: int, bands: int) -> tuple[int, int]:
    return band * _SIDE // bands, (band + 1) * _SIDE // bands


def _column_of_samples(length: int) -> NDArray[np.int64]:
    return np.minimum(np.arange(length) * _SIDE // length, _SIDE - 1)


def _part(pixels: NDArray[np.uint8]) -> Part:
    give: Callable[[], NDArray[np.uint8]] = lambda: pixels  # noqa: E731
    return Part(hashlib.sha256(pixels.tobytes()).hexdigest(), give)


def _mean_auc(judged: Sequence[tuple[NDArray[np.bool_], Floats]]) -> float:
    return float(np.mean([roc_auc_score(truth, scores) for truth, scores in judged]))
