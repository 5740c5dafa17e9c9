"""The instrument for videos: where and when is a video unlike a product's normal ones?"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy import stats
from torch import Tensor

from knowledge import FittedPartError, ToolFailure
from tools.fitted import Fitted
from tools.localization.backbones import DEFAULT_BACKBONE, Backbone, load_backbone
from tools.localization.calibration import ConformalCalibration
from tools.localization.saved import expect
from tools.measuring import Measurement
from tools.motion.course import SIGNS, Course, triples_of
from tools.motion.events import places_of
from tools.motion.moments import COLOURS, COMPONENTS, PROJECTED, SKETCH, Eye, Moments
from tools.motion.video import Video
from tools.native import NativeLocalization, Place, Values

STRETCH = 1.0
"""Seconds of a stretch, the unit of calibration where there are few normal videos."""

STRETCHES = "stretches of 1 s"

_SHAPE_TOLERANCE = 0.03
_GAIN_TOLERANCE = 1.35
_MOVES = 2.0
"""Grey levels of change over 0.2 s at a cell, from which on a normal course counts as one that moves."""


class Scales(NamedTuple):
    """Of each sign, its median and spread on held-out normal videos; values are given in these units."""

    median: NDArray[np.float32]
    """(5,)"""
    deviation: NDArray[np.float32]
    """(5,) above 0"""

    def values(self, signs: Tensor) -> Values:
        """(5, ...) signs -> (...) the strongest of them, in units of its spread."""
        shape = (-1, *[1] * (signs.ndim - 1))
        scaled = (signs - torch.from_numpy(self.median).view(shape)) / torch.from_numpy(self.deviation).view(shape)
        return np.ascontiguousarray(scaled.amax(0).numpy(), dtype=np.float32)


class Threshold(NamedTuple):
    """A threshold that is not promised by conformal calibration, and what it rests on."""

    value: float
    sentence: str


class VideoLocalizer:
    """What is learned of a product's normal videos."""

    def __init__(
        self,
        eye: Eye,
        course: Course,
        scales: Scales,
        calibration: ConformalCalibration,
        calibrated_on: str,
        taken: dict[str, Any],
    ) -> None:
        """`taken` says how the references were taken: `gains` [low, high], `step` s, `width` px, `seconds`, `videos`."""
        self.eye = eye
        self.course = course
        self.scales = scales
        self.calibration = calibration
        self.calibrated_on = calibrated_on
        """`parts` or `stretches of 1 s`: what a calibration score, and a block of a localisation, stands for."""
        self.taken = taken

    def localize(self, video: Video) -> NativeLocalization:
        """Values (F, h, w) of cells; raises `ToolFailure` where the frames cannot be compared with the references'."""
        video = self.fitted_to(video)
        moments = self.eye.see(video)
        if not torch.isfinite(moments.sketches).all():
            raise ToolFailure("the network gave numbers that are not finite; this video cannot be judged")
        values = self.scales.values(self.course.signs(moments))
        blocks = 1 if self.calibrated_on == "parts" else stretches(video)
        return NativeLocalization(values, float(values.max()), self._unlike(video, moments, values), blocks)

    def threshold(self, alpha: float, blocks: int = 1) -> Threshold:
        """What to hold a video's values against.

        Where the calibration is too small to promise `alpha`, the upper prediction limit for the next `blocks` scores as
        if scores were normally distributed (Hahn & Meeker 1991; Bonferroni over the blocks), at least the highest
        normal score: a sensible margin, and no promise.
        """
        promised = self.calibration.threshold(alpha, blocks)
        if math.isfinite(promised):
            return Threshold(promised, self.calibration.promise(alpha, blocks, self.calibrated_on).sentence)
        return provisional_threshold(self.calibration.scores, alpha, blocks, self.calibrated_on)

    def places(self, video: Video, values: Values, threshold: float) -> tuple[Place, ...]:
        """Events in space and time, the highest peak first."""
        return places_of(video, values, threshold)

    def measure(self, video: Video, values: Values, members: NDArray[np.int64]) -> tuple[Measurement, ...]:
        """When, how long, how large, and how it moves beside how it normally moves there."""
        video = self.fitted_to(video)
        frames, rows, columns = np.unravel_index(members, values.shape)
        first, last = int(frames.min()), int(frames.max())
        at_once = np.bincount(frames - first)
        energy = self.eye.energy(video.piece(max(0, min(first, len(values) - 2)), max(last + 1, first + 2)))
        start = max(0, min(first, len(values) - 2))
        inside = energy[frames - start, rows, columns]
        found = {
            "start": (video.times[first], "s"),
            "end": (video.times[last], "s"),
            "duration": (video.times[last] - video.times[first], "s"),
            "area_share": (at_once.max() / values[0].size, "1"),
            "peak": (values.ravel()[members].max(), "1"),
            "motion": (inside.mean() / 255, "gray"),
            "peak_motion": (inside.max() / 255, "gray"),
            "normal_motion": (self.course.moving[rows, columns].mean() / 255, "gray"),
            "centroid_x": ((columns.mean() + 0.5) / values.shape[2], "1"),
            "centroid_y": ((rows.mean() + 0.5) / values.shape[1], "1"),
        }
        return tuple(Measurement(name=name, value=float(value), unit=unit) for name, (value, unit) in found.items())

    def fitted_to(self, video: Video) -> Video:
        """The video at the references' frame size; raises `ToolFailure` where its frames have another shape."""
        return at_size(video, self.eye.typical.shape[1], self.eye.typical.shape[0])

    def tensors(self) -> dict[str, NDArray[Any]]:
        """All that was learned besides what `about` says."""
        tensors = {name: np.asarray(tensor.numpy()) for name, tensor in self.course._asdict().items()}
        tensors["has_triple"] = tensors["has_triple"].astype(np.uint8)
        return {
            **tensors,
            "typical": self.eye.typical,
            "matrix": self.eye.matrix.numpy(),
            "colour_scale": self.eye.colour_scale.numpy(),
            "scale_median": self.scales.median,
            "scale_deviation": self.scales.deviation,
            "calibration": self.calibration.scores,
        }

    def about(self) -> dict[str, Any]:
        return {
            "backbone": self.eye.backbone.name,
            "weights_sha256": self.eye.backbone.weights_sha256,
            "scheme": self.calibration.scheme,
            "calibrated_on": self.calibrated_on,
            "taken": self.taken,
        }

    @classmethod
    def of_fitted(cls, fitted: Fitted) -> "VideoLocalizer":
        """Back from a file; raises `FittedPartError` where its parts do not fit each other or this program."""
        try:
            return _read(fitted.tensors, fitted.about)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise FittedPartError(
                f"what was learned of normal videos cannot be used ({error}); enroll the product again"
            ) from error

    def _unlike(self, video: Video, moments: Moments, values: Values) -> tuple[str, ...]:
        found = [
            *video.doubts,
            _exposed_otherwise(moments.gains, self.taken["gains"]),
            self._sampled_otherwise(moments, video),
            self._frozen(moments),
            self._elsewhere(values),
            _coarser(video, self.taken["width"]),
            _cut_short(video, self.taken["seconds"] / self.taken["videos"]),
        ]
        return tuple(sentence for sentence in found if sentence)

    def _sampled_otherwise(self, moments: Moments, video: Video) -> str:
        moves = float(self.course.moving.max()) > _MOVES
        if not (moves and self.course.has_triple.any()) or triples_of(moments, float(self.course.delay))[1].any():
            return ""
        return (
            f"one frame every {video.step:.2g} s was looked at, and the references were looked at every "
            f"{self.taken['step']:.2g} s: whether it kept the normal order was not judged"
        )

    def _frozen(self, moments: Moments) -> str:
        if float(moments.energy.max()) > 0 or float(self.course.moving.max()) == 0:
            return ""
        return "all its frames are the same picture, which those of no reference are: the camera may have hung"

    def _elsewhere(self, values: Values) -> str:
        """A camera that was moved makes nearly everything unlike, all the time."""
        normal = float(self.calibration.scores.max(initial=0.0))
        share = float((np.median(values, axis=0) > max(normal, 3.0)).mean())
        if share < 0.5:
            return ""
        return (
            f"{share:.0%} of the picture look otherwise than on all references all the time: the camera was moved, or it "
            "shows something else"
        )


def stretches(video: Video) -> int:
    """How many stretches of `STRETCH` a video holds, at least one."""
    return max(1, math.ceil(float(video.times[-1] - video.times[0]) / STRETCH - 0.25))


def provisional_threshold(scores: NDArray[np.float64], alpha: float, blocks: int, unit: str) -> Threshold:
    """See `VideoLocalizer.threshold`; infinite with fewer than three scores, whose spread says nothing."""
    count = len(scores)
    if count < 3:
        return Threshold(
            math.inf, f"{count} held-out normal {unit} are too few to know any threshold; give longer or more videos"
        )
    margin = float(stats.t.ppf(1 - alpha / blocks, count - 1) * scores.std(ddof=1) * math.sqrt(1 + 1 / count))
    value = max(float(scores.max()), float(scores.mean()) + margin)
    return Threshold(
        value,
        f"calibrated on only {count} held-out normal {unit}: alpha = {alpha:g} over {blocks} in a row cannot be promised; the "
        "threshold is the prediction limit from their mean and spread",
    )


def at_size(video: Video, width: int, height: int) -> Video:
    """The video with frames of (height, width); raises `ToolFailure` where that would distort them."""
    own_height, own_width = video.frames.shape[1:3]
    if (own_width, own_height) == (width, height):
        return video
    if abs(math.log(own_width / own_height * height / width)) > _SHAPE_TOLERANCE:
        raise ToolFailure(
            f"its frames are {video.width} x {video.height} pixels, of another shape than those of the references "
            f"({width} : {height}); give a video from the same camera, not cropped or turned"
        )
    frames = np.stack([np.asarray(Image.fromarray(frame).resize((width, height))) for frame in video.frames])
    earlier = np.stack([np.asarray(Image.fromarray(frame).resize((width, height))) for frame in video.earlier])
    return video.with_frames(frames, earlier)


def _exposed_otherwise(gains: NDArray[np.float64], known: Sequence[float]) -> str:
    typical = float(np.median(gains))
    if known[0] / _GAIN_TOLERANCE <= typical <= known[1] * _GAIN_TOLERANCE:
        return ""
    return f"it is {typical:.2f} times as bright as the references, which differ by {known[0]:.2f} to {known[1]:.2f}"


def _cut_short(video: Video, usual: float) -> str:
    """Far shorter than references on average; what is not there cannot be judged."""
    if video.duration * 3 >= usual:
        return ""
    return (
        f"it lasts {video.duration:.3g} s and a reference {usual:.3g} s on average: most of what they show is not there"
    )


def _coarser(video: Video, width: float) -> str:
    if video.width >= 0.5 * width or video.width >= video.frames.shape[2] * 1.5:
        return ""
    return (
        f"its frames are {video.width} pixels wide, and the references' {width:g}: small anomalies cannot be seen on it"
    )


def _read(tensors: dict[str, NDArray[Any]], about: dict[str, Any]) -> VideoLocalizer:
    backbone = _backbone(about)
    found = {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in tensors.items()}
    if not np.isfinite(np.asarray(tensors["calibration"], np.float64)).all():
        raise ValueError("calibration: expected finite numbers")
    typical = expect(found, "typical", None, None, 3, dtype=torch.uint8).numpy()
    if min(typical.shape[:2]) < 2 or max(typical.shape[:2]) > 4096:
        raise ValueError(f"typical: a frame of {typical.shape} is none of ours")
    eye = Eye(backbone, typical, expect(found, "matrix", None, PROJECTED), expect(found, "colour_scale", COLOURS))
    height, width = eye.grid
    cells = expect(found, "cells", None, height, width, COMPONENTS, dtype=torch.float16)
    count = len(cells)
    if count == 0:
        raise ValueError("cells: expected at least one frame")
    course = Course(
        cells,
        expect(found, "sketches", count, SKETCH),
        expect(found, "triples", count, 3 * SKETCH),
        expect(found, "has_triple", count, dtype=torch.uint8).bool(),
        expect(found, "ceiling", height, width),
        expect(found, "moving", height, width),
        expect(found, "floor", 1),
        expect(found, "delay", 1),
    )
    scales = Scales(
        expect(found, "scale_median", len(SIGNS)).numpy(), expect(found, "scale_deviation", len(SIGNS)).numpy()
    )
    if (scales.deviation <= 0).any() or float(course.delay) <= 0:
        raise ValueError("scale_deviation and delay: expected numbers above 0")
    scores = expect(found, "calibration", None, dtype=torch.float64).numpy()
    calibration = ConformalCalibration(list(scores), _one_of(about, "scheme", ("split", "cross")))
    return VideoLocalizer(
        eye, course, scales, calibration, _one_of(about, "calibrated_on", ("parts", STRETCHES)), _taken(about["taken"])
    )


def _backbone(about: dict[str, Any]) -> Backbone:
    backbone = load_backbone(_one_of(about, "backbone", (DEFAULT_BACKBONE,)))
    if about["weights_sha256"] != backbone.weights_sha256:
        raise ValueError("learned with other weights of the network")
    return backbone


def _one_of(about: dict[str, Any], key: str, known: Sequence[str]) -> Any:
    if about[key] not in known:
        raise ValueError(f"{key}: expected one of {', '.join(known)}")
    return about[key]


def _taken(taken: dict[str, Any]) -> dict[str, Any]:
    low, high = (float(gain) for gain in taken["gains"])
    plain = {key: float(taken[key]) for key in ("step", "width", "seconds", "videos")}
    if not all(math.isfinite(value) and value > 0 for value in (low, high, *plain.values())):
        raise ValueError("taken: expected finite numbers above 0")
    return {"gains": [low, high], **plain}
