"""Learning what the recordings of a product are like from its normal ones."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from knowledge import FittedPartError
from tools.localization.calibration import ConformalCalibration, Scheme
from tools.signals.channel_scale import ChannelScale
from tools.signals.detector import Floats
from tools.signals.ensemble import Ensemble, Fold, Opinion, Plotting, fit_ensemble
from tools.signals.opinions import Choice, chosen, compared, not_compared, plotting_of
from tools.signals.pinpoint import fit_pinpointer
from tools.signals.recording import Recording
from tools.signals.recording_localizer import OTHER_RATE, About, RecordingLocalizer, bridged, relevelled

Part = Callable[[], Recording]
Progress = Callable[[str, int, int], None]
Compare = Callable[[Sequence[Floats], int, Plotting], dict[Opinion, Floats]]

_FEWEST_SAMPLES = 200
"""Of normal data in all: less hold no window twice."""
_SHORTEST_PART = 16
_WINDOW = (8, 128)
_FOLDS = 5
_ONE_BY_ONE = 20
"""Up to so many recordings are held out one by one; from so many on, the recording is what is calibrated."""
_STRETCHES = 200
"""Stretches that normal data are cut into at most, where there are too few recordings to calibrate on those."""


def fit_recording(
    parts: Sequence[Part],
    held_out: Sequence[Part] = (),
    *,
    seed: int = 0,
    baseline: int = 0,
    progress: Progress = lambda what, done, total: None,
    compare: Compare = compared,
) -> RecordingLocalizer:
    """Learn from normal recordings.

    Args:
        parts: one long recording or many short ones, each read when it is asked for.
        held_out: recordings to calibrate on. Without them recordings are held out in turn, or, where there are fewer
            than five, fifths of each.
        seed: of the anomalies that are made for the comparison, and of what is remembered of plots.
        baseline: first samples of every recording that are normal by agreement. Each recording is brought to the level
            that it has there, so that recordings need not begin at the same level.
        progress: told what is done.
        compare: how well made anomalies are found by samples, by plots and by both; the best is used.

    Raises:
        FittedPartError: if the recordings do not belong together, or are too short to learn from.
    """
    recordings = _read(parts, "reading", progress)
    others = _read(held_out, "reading what is held out", progress)
    channels = _common_channels([*recordings, *others])
    pieces, held = _pieces(recordings, channels), _pieces(others, channels)
    shortest = min(piece.shape[1] for piece in pieces)
    total = sum(piece.shape[1] for piece in pieces)
    if total < _FEWEST_SAMPLES or shortest < _SHORTEST_PART:
        raise FittedPartError(
            f"the normal recordings have {total} samples, the shortest {shortest}; at least {_FEWEST_SAMPLES} in all "
            f"and {_SHORTEST_PART} in each are needed to learn from"
        )
    if baseline:
        target = np.median(np.concatenate([piece[:, :baseline] for piece in pieces], axis=1), axis=1)
        still = ChannelScale.fit(pieces).constant
        pieces = [relevelled(piece, piece[:, :baseline], target, still) for piece in pieces]
        held = [relevelled(piece, piece[:, :baseline], target, still) for piece in held]
    scale = ChannelScale.fit(pieces)
    if not len(scale.live):
        raise FittedPartError("no channel of the normal recordings ever moves; there is nothing to learn from them")
    window = int(np.clip(round(total**0.5), _WINDOW[0], min(_WINDOW[1], max(shortest // 2, _WINDOW[0]))))
    scaled, held = [scale.scaled(piece) for piece in pieces], [scale.scaled(piece) for piece in held]
    folds = [(scaled, held)] if held else _folds(scaled)
    choice, ensemble, levels = _judging(scaled, folds, window, seed, compare, progress)
    stretch = _stretch(window, levels, len(others) or len(parts))
    scheme: Scheme = "split" if others else "cross"
    everything = np.concatenate(pieces, axis=1)
    return RecordingLocalizer(
        scale,
        ensemble,
        fit_pinpointer(scaled, folds, window),
        ConformalCalibration(_highest(levels, stretch), scheme),
        np.sqrt((everything**2).mean(axis=1)),
        _about(recordings, channels, window=window, stretch=stretch, baseline=baseline, scheme=scheme, choice=choice),
    )


def _judging(
    pieces: Sequence[Floats], folds: Sequence[Fold], window: int, seed: int, compare: Compare, progress: Progress
) -> tuple[Choice, Ensemble, list[Floats]]:
    """What the recordings are judged by, with what it says of each held-out piece."""
    possible = plotting_of(folds, window, seed, whole=len(folds) == 1 or len(pieces) >= _FOLDS)
    plotting = None if isinstance(possible, str) else possible
    if plotting is None:
        choice = not_compared(str(possible))
    else:
        progress("comparing samples and plots", 0, 1)
        choice = chosen(compare(pieces, window, plotting))
        progress("comparing samples and plots", 1, 1)
    ensemble, levels = fit_ensemble(
        pieces, folds, window, lambda done, of: progress("learning", done, of), plotting, choice.opinion
    )
    if plotting is not None:
        plotting.eye.forget()
    return choice, ensemble, levels


def _read(parts: Sequence[Part], what: str, progress: Progress) -> list[Recording]:
    recordings = []
    for done, part in enumerate(parts):
        recordings.append(part())
        progress(what, done + 1, len(parts))
    return recordings


def _common_channels(recordings: Sequence[Recording]) -> tuple[str, ...]:
    """Those of the first, which all others must have and may have in another order."""
    if not recordings:
        raise FittedPartError("there are no normal recordings to learn from; give at least one")
    first = recordings[0]
    for recording in recordings:
        if set(recording.channels) != set(first.channels):
            apart = sorted(set(recording.channels) ^ set(first.channels))
            raise FittedPartError(
                f"the normal recordings have different channels ({', '.join(apart[:6])}); sort them apart"
            )
        if recording.timed != first.timed:
            raise FittedPartError("some of the normal recordings have times and some have none; give the rate for all")
        ratio = recording.step / first.step
        if not 1 / OTHER_RATE < ratio < OTHER_RATE:
            raise FittedPartError(
                f"the normal recordings have a sample every {first.step:.6g} s and every {recording.step:.6g} s; "
                "sort them apart by their rate"
            )
    return first.channels


def _pieces(recordings: Sequence[Recording], channels: Sequence[str]) -> list[Floats]:
    return [
        bridged(recording.values[:, [recording.channels.index(name) for name in channels]].T)
        for recording in recordings
    ]


def _folds(pieces: Sequence[Floats]) -> list[Fold]:
    """Recordings held out in turn, or fifths of each where there are fewer than five."""
    if len(pieces) < _FOLDS:
        return [_fifth(pieces, fold) for fold in range(_FOLDS)]
    count = len(pieces) if len(pieces) <= _ONE_BY_ONE else _FOLDS
    return [
        (
            [piece for index, piece in enumerate(pieces) if index % count != fold],
            [piece for index, piece in enumerate(pieces) if index % count == fold],
        )
        for fold in range(count)
    ]


def _fifth(pieces: Sequence[Floats], fold: int) -> Fold:
    """A stretch of each recording held out from what lies before and after it, in pieces that are never joined."""
    learned, held_out = [], []
    for piece in pieces:
        first, last = fold * piece.shape[1] // _FOLDS, (fold + 1) * piece.shape[1] // _FOLDS
        held_out.append(piece[:, first:last])
        learned += [side for side in (piece[:, :first], piece[:, last:]) if side.shape[1] >= _WINDOW[0]]
    return learned, held_out


def _stretch(window: int, levels: Sequence[Floats], recordings: int) -> int:
    """Samples of what is calibrated; 0 for whole recordings, where there are enough of them."""
    if recordings >= _ONE_BY_ONE:
        return 0
    return max(window, sum(map(len, levels)) // _STRETCHES)


def _highest(levels: Sequence[Floats], stretch: int) -> list[float]:
    if not stretch:
        return [float(level.max()) for level in levels]
    return [float(part.max()) for level in levels for part in np.array_split(level, max(1, len(level) // stretch))]


def _about(recordings: Sequence[Recording], channels: tuple[str, ...], **settings: Any) -> About:
    samples = [recording.samples for recording in recordings]
    return About(
        channels=channels,
        step=float(np.median([recording.step for recording in recordings])),
        timed=recordings[0].timed,
        shortest=min(samples),
        longest=max(samples),
        missing=max(float(np.isnan(recording.values).mean()) for recording in recordings),
        longest_gap=max(float(np.diff(recording.times).max()) for recording in recordings),
        recordings=len(recordings),
        **settings,
    )
