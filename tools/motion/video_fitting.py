"""Learning from normal videos: their course, and how unlike it held-out normal videos are."""

import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from knowledge import AssetError
from tools.localization.backbones import load_backbone
from tools.localization.calibration import ConformalCalibration
from tools.motion.course import DELAY, MEMORY_FRAMES, SIGNS, Course
from tools.motion.moments import Eye, Nuisance
from tools.motion.video import Video
from tools.motion.video_localizer import STRETCH, STRETCHES, Scales, VideoLocalizer, at_size

Part = Callable[[], Video]
Progress = Callable[[str, int, int], None]
Item = TypeVar("Item")

VIDEOS_FOR_PARTS = 20
"""From so many held-out videos on, a video is the unit of calibration, and before, a stretch of a second."""

_FOLDS = 5
_LEAVE_ONE_OUT = 20
_KEPT_IN_MEMORY = 2
"""Videos that are read once and kept while learning; of more, each is read again when its turn comes."""
_MOMENTS = 1600
"""Frames of all normal videos together among which the remembered ones are chosen."""
_GLANCES = 24
"""Frames of all normal videos together from which the typical frame and the features' spread are learned."""
_SAMPLE = 200_000
"""Cells of a held-out video by which the signs are brought to scale."""

_DISPLACEMENT = 0.01
"""Of the picture's width: how far a normal part or camera may stand from where it stood."""
_EXPOSURE = 0.08
"""How much brighter or darker a normal video may be, beyond what is taken out of it."""

_NUISANCES = ((1, 1, 1), (-1, 1, -1), (1, -1, -1), (-1, -1, 1))
"""Directions of what held-out videos are disturbed by: x, y, exposure."""

_TAIL = 0.995
_TAIL_DEVIATIONS = 2.576
"""Of a normal distribution, where its upper tail of that share begins."""

_LEAST = (0.05, 0.05, 0.05, 0.25, 0.15)
"""Smallest spread of each of `SIGNS` in its own units. Those of motion are logarithms: at five deviations, a usual
threshold, more than thrice the most or less than half of the least normal motion is anomalous, however steady that was."""

_OF_FRAMES = ("order", "still")
"""Signs of a frame as a whole, which its cells only share in."""


class _Trial(NamedTuple):
    read: Part
    course: Callable[[], Course]


class _Judged(NamedTuple):
    """What the signs are of a held-out video."""

    sample: list[NDArray[np.float32]]
    """Of each sign, some of its values."""
    highest: NDArray[np.float32]
    """(5, F): of each sign, the highest of each frame."""
    times: NDArray[np.float64]


def fit_video(
    parts: Sequence[Part],
    held_out: Sequence[Part] = (),
    *,
    seed: int = 0,
    progress: Progress = lambda what, done, total: None,
) -> VideoLocalizer:
    """Learn from normal videos, each read when its turn comes.

    With `held_out`, calibrates on those; else on the parts in turn: each of up to 20 left out, or a fifth of more, or,
    of a single one, a fifth of its time. Held-out videos are slightly displaced and exposed otherwise (1 % of the
    width, 8 %), so that this much is known to be normal. Raises `AssetError` where there is no video.
    """
    if not parts:
        raise AssetError("expected at least one normal video to learn from")
    readers = _readers(parts)
    eye, taken = _first_glance(readers, seed)
    delay = max(DELAY, taken["step"])
    pieces = _pieces(readers)
    courses, gains = _learn(eye, pieces, delay, progress)
    trials = _trials(pieces, courses, held_out)
    judged = [_judge(eye, trial, number) for number, trial in _told(progress, "calibrating", trials)]
    alone = len(pieces) == 1 and not held_out
    scales = _scales(judged)
    on_parts = len(readers) > 1 and len(judged) >= VIDEOS_FOR_PARTS
    scores = [] if alone else [score for each in judged for score in _scores(each, scales, whole=on_parts)]
    calibration = ConformalCalibration(scores, "split" if held_out else "cross")
    return VideoLocalizer(
        eye, Course.joined(courses), scales, calibration, "parts" if on_parts else STRETCHES, {**taken, "gains": gains}
    )


def _readers(parts: Sequence[Part]) -> list[Part]:
    return [functools.cache(part) for part in parts] if len(parts) <= _KEPT_IN_MEMORY else list(parts)


def _pieces(readers: Sequence[Part]) -> list[Part]:
    """What is left out in turn: videos, or stretches of a single one, where it is long enough to have some."""
    if len(readers) > 1:
        return list(readers)
    video = readers[0]()
    count = min(_FOLDS, int(video.duration / STRETCH), len(video.frames) // 3)
    if count < 2:
        return [lambda: video]
    edges = np.linspace(0, len(video.frames), count + 1).round().astype(int)
    return [functools.partial(video.piece, int(first), int(last)) for first, last in itertools.pairwise(edges)]


def _first_glance(readers: Sequence[Part], seed: int) -> tuple[Eye, dict[str, Any]]:
    """Typical frame, how to see, and how the references were taken."""
    each = max(2, _GLANCES // len(readers))
    glances: list[NDArray[np.uint8]] = []
    steps, widths, seconds = [], [], 0.0
    for read in readers[:: max(1, len(readers) // _GLANCES)]:
        video = read()
        size = (glances[0].shape[2], glances[0].shape[1]) if glances else (video.frames.shape[2], video.frames.shape[1])
        chosen = np.linspace(0, len(video.frames) - 1, min(each, len(video.frames))).round().astype(int)
        glances.append(at_size(video, *size).frames[chosen])
        steps.append(video.step)
        widths.append(video.width)
        seconds += video.duration
    frames = np.concatenate(glances)
    typical = np.median(frames, axis=0).astype(np.uint8)
    taken = {"gains": [1.0, 1.0], "step": float(np.median(steps)), "width": float(np.median(widths))}
    return Eye.fit(load_backbone(), typical, frames, seed), {**taken, "seconds": seconds, "videos": float(len(readers))}


def _learn(eye: Eye, pieces: Sequence[Part], delay: float, progress: Progress) -> tuple[list[Course], list[float]]:
    """The course of each piece, and the lowest and highest gain among all."""
    courses, low, high = [], 1.0, 1.0
    most = max(1, min(MEMORY_FRAMES, _MOMENTS // len(pieces)))
    for _, read in _told(progress, "learning", pieces):
        moments = eye.see(_sized(eye, read()))
        courses.append(Course.of(moments, delay, most))
        low, high = min(low, float(moments.gains.min())), max(high, float(moments.gains.max()))
    return courses, [low, high]


def _trials(pieces: Sequence[Part], courses: Sequence[Course], held_out: Sequence[Part]) -> list[_Trial]:
    """Each held-out video, and the course of those that it is held against."""
    if held_out or len(pieces) == 1:
        everything = Course.joined(courses)
        return [_Trial(read, lambda: everything) for read in held_out or pieces]
    folds = len(pieces) if len(pieces) <= _LEAVE_ONE_OUT else _FOLDS
    return [
        _Trial(read, functools.partial(_without, tuple(courses), number % folds, folds))
        for number, read in enumerate(pieces)
    ]


def _without(courses: tuple[Course, ...], fold: int, folds: int) -> Course:
    return Course.joined([course for number, course in enumerate(courses) if number % folds != fold])


def _judge(eye: Eye, trial: _Trial, number: int) -> _Judged:
    video = _sized(eye, trial.read())
    moments = eye.see(video, _nuisance(video, number))
    signs = trial.course().signs(moments)
    highest = signs.flatten(2).amax(2).numpy()
    sample = [
        highest[row] if name in _OF_FRAMES else signs[row].flatten()[:: max(1, signs[row].numel() // _SAMPLE)].numpy()
        for row, name in enumerate(SIGNS)
    ]
    return _Judged(sample, highest, video.times)


def _nuisance(video: Video, number: int) -> Nuisance:
    x, y, exposure = _NUISANCES[number % len(_NUISANCES)]
    reach = max(1, round(_DISPLACEMENT * video.frames.shape[2]))
    return Nuisance(x * reach, y * reach, 1 + exposure * _EXPOSURE)


def _scales(judged: Sequence[_Judged]) -> Scales:
    """Median, and the spread by which a normal distribution would have the same upper tail."""
    median, deviation = [], []
    for row, least in enumerate(_LEAST):
        values = np.concatenate([each.sample[row] for each in judged])
        middle = float(np.median(values))
        median.append(middle)
        deviation.append(max((float(np.quantile(values, _TAIL)) - middle) / _TAIL_DEVIATIONS, least))
    return Scales(np.array(median, np.float32), np.array(deviation, np.float32))


def _scores(judged: _Judged, scales: Scales, *, whole: bool) -> list[float]:
    """The highest value of a held-out video, or of each of its stretches."""
    frames = scales.values(torch.from_numpy(judged.highest))
    if whole:
        return [float(frames.max())]
    count = max(1, int((judged.times[-1] - judged.times[0]) / STRETCH + 0.25))
    edges = np.linspace(0, len(frames), count + 1).round().astype(int)
    return [float(frames[first:last].max()) for first, last in itertools.pairwise(edges) if last > first]


def _sized(eye: Eye, video: Video) -> Video:
    return at_size(video, eye.typical.shape[1], eye.typical.shape[0])


def _told(progress: Progress, what: str, items: Sequence[Item]) -> Iterator[tuple[int, Item]]:
    """Each with its number, saying how many are done."""
    for number, item in enumerate(items):
        progress(what, number, len(items))
        yield number, item
    progress(what, len(items), len(items))
