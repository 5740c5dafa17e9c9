"""Where a recording is unlike the normal recordings of its product, and how surely."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError
from scipy import stats

from knowledge import FittedPartError, Frozen, ToolFailure
from tools.fitted import Fitted
from tools.localization.calibration import ConformalCalibration, Scheme
from tools.measuring import Measurement
from tools.native import NativeLocalization, Place
from tools.signals.channel_scale import ChannelScale
from tools.signals.detector import Floats
from tools.signals.ensemble import Ensemble, Opinion
from tools.signals.intervals import Interval, intervals_over
from tools.signals.opinions import Choice
from tools.signals.pinpoint import Pinpointer
from tools.signals.recording import Recording, plain_names

FORMAT = 2
_RUNS = 5
"""Normal recordings of about one length, from which on runs are taken to have that length."""

_MOVED = 10.0
_OTHER_UNIT = 30.0
OTHER_RATE = 1.25
_MOST_MEASURED = 8


class About(Frozen):
    """What was learned, besides the numbers."""

    format: int = FORMAT
    channels: tuple[str, ...] = Field(min_length=1)
    window: int = Field(ge=2)
    """Samples of the windows that are compared."""
    stretch: int = Field(ge=0)
    """Samples of what was calibrated; 0 where whole recordings were."""
    step: float = Field(gt=0)
    """Usual seconds from sample to sample; 1 where the recordings have no times."""
    timed: bool
    shortest: int = Field(ge=1)
    longest: int = Field(ge=1)
    """Samples of the shortest and of the longest normal recording."""
    missing: float = Field(ge=0, le=1)
    """Highest share of missing values of a normal recording."""
    longest_gap: float = Field(ge=0)
    """Longest step between samples of a normal recording."""
    baseline: int = Field(ge=0)
    """First samples of each recording that are normal by agreement, whose level the channels are brought to; 0 for none."""
    scheme: Scheme
    recordings: int = Field(ge=1)
    choice: Choice = Choice()


class Threshold(NamedTuple):
    """A threshold, and what it rests on."""

    value: float
    sentence: str


class RecordingLocalizer:
    """What is learned of a product's normal recordings: an ensemble of detectors on one scale, and its calibration.

    Windows are centred on the sample that they judge, so a sample is judged by what follows it as well.
    """

    def __init__(
        self,
        scale: ChannelScale,
        ensemble: Ensemble,
        pinpointer: Pinpointer,
        calibration: ConformalCalibration,
        amplitude: Floats,
        about: About,
    ) -> None:
        """`amplitude` (C,) root mean square of each channel on normal data."""
        self._scale = scale
        self._ensemble = ensemble
        self._pinpointer = pinpointer
        self.calibration = calibration
        self._amplitude = amplitude
        self._about = about

    @property
    def calibrated_on(self) -> str:
        """What a score of the calibration is the score of, in the plural."""
        if not self._about.stretch:
            return "parts"
        if not self._about.timed:
            return f"stretches of {self._about.stretch} samples"
        return f"stretches of {self._about.stretch * self._about.step:.4g} s"

    @property
    def opinion(self) -> Opinion:
        """By what recordings are judged."""
        return self._about.choice.opinion

    @property
    def reservation(self) -> str:
        """By what recordings are judged, and what that rests on, for people."""
        return self._about.choice.sentence

    @property
    def channels(self) -> tuple[str, ...]:
        return self._about.channels

    @property
    def window(self) -> int:
        """Samples of the windows that are compared."""
        return self._about.window

    def localize(self, recording: Recording, baseline: slice | None = None) -> NativeLocalization:
        """Values (C, T) float32 in robust deviations of held-out normal samples, by the recording's own channels.

        Args:
            recording: with the channels of the references, in any order.
            baseline: samples that are known to be normal, whose level is taken for normal; by default as when learned.

        Raises:
            ToolFailure: if it lacks channels, or is shorter than a window.
        """
        own = self._positions(recording)
        if recording.samples < self.window:
            raise ToolFailure(
                f"the recording has {recording.samples} samples, fewer than a window of {self.window}; give a longer one"
            )
        values = np.zeros((len(recording.channels), recording.samples), np.float32)
        piece = self._levelled(recording, baseline)
        judged = self._ensemble.judge(self._scale.scaled(piece))
        values[[own[channel] for channel in self._scale.live]] = judged.together * judged.shares
        constant = np.flatnonzero(self._scale.constant)
        if len(constant):
            values[[own[channel] for channel in constant]] = self._moved_level * self._scale.moved(piece)[constant]
        values[np.isnan(recording.values.T)] = 0
        return NativeLocalization(
            values, float(values.max()), self._unlike(recording, own), self._blocks(recording.samples)
        )

    def threshold(self, alpha: float, blocks: int = 1) -> Threshold:
        """What to hold values against.

        Where the calibration is too small to promise `alpha` over so many `blocks`, the upper prediction limit for the
        next so many scores as if they were normally distributed (Hahn & Meeker 1991; Bonferroni over the blocks), and at
        least the highest normal score: a sensible margin, and no promise.
        """
        promised = self.calibration.threshold(alpha, blocks)
        if np.isfinite(promised):
            return Threshold(promised, self.calibration.promise(alpha, blocks, self.calibrated_on).sentence)
        return _provisional(self.calibration.scores, alpha, blocks, self.calibrated_on)

    def places(
        self, recording: Recording, values: NDArray[np.float32], threshold: float, baseline: slice | None = None
    ) -> tuple[Place, ...]:
        """Intervals over threshold, narrowed to the samples that are odd, and the channels over half the peak in them."""
        levels = values.max(axis=0)
        found = intervals_over(levels, threshold, self.window)
        if not found:
            return ()
        piece = self._levelled(recording, baseline)
        scaled, moved = self._scale.scaled(piece), np.where(self._scale.moved(piece), self._moved_level, 0.0)
        own = values[self._positions(recording)]
        narrowed = [
            part for interval in found for part in self._narrowed(scaled, moved, own, levels, interval, threshold)
        ]
        return tuple(
            _place(recording, values, first, last, max(threshold, float(levels[first : last + 1].max()) / 2))
            for first, last in sorted(narrowed, key=lambda part: (-float(levels[part[0] : part[1] + 1].max()), part))
        )

    def _narrowed(
        self,
        scaled: Floats,
        moved: Floats,
        values: NDArray[np.float32],
        levels: NDArray[np.float32],
        interval: Interval,
        threshold: float,
    ) -> list[tuple[int, int]]:
        """The interval's odd samples by what is over half its peak in it; as it is where those are not over threshold.

        Args:
            scaled: (live channels, T) in deviations.
            moved: (C, T) 0 where a channel is as it always was, or is no constant one.
            values: (C, T) of the learned channels.
            levels: (T,) highest of all channels.
            interval: over threshold.
            threshold: of the levels.
        """
        first, last, peak = interval
        odd = values[:, first : last + 1].max(axis=1) >= max(threshold, peak / 2)
        found = self._pinpointer.narrowed(
            scaled, moved[odd & self._scale.constant], np.flatnonzero(odd[self._scale.live]), first, last
        )
        narrowed = [part for part in found if levels[part[0] : part[1] + 1].max() > threshold]
        return narrowed or [(first, last)]

    def measure(
        self,
        recording: Recording,
        values: NDArray[np.float32],
        members: NDArray[np.int64],
        baseline: slice | None = None,
    ) -> tuple[Measurement, ...]:
        """Where a place is, how long it lasts, and how far its channels are from their normal median, at most eight."""
        channels, samples = np.divmod(members, recording.samples)
        first, last = int(samples.min()), int(samples.max())
        unit = recording.time_unit
        start, end = float(recording.times[first]), float(recording.times[last])
        measured = [
            Measurement(name="duration", value=end - start + recording.step, unit=unit),
            Measurement(name="samples", value=float(last - first + 1), unit="1"),
            Measurement(name=f"start_{unit}", value=start, unit=unit),
            Measurement(name=f"end_{unit}", value=end, unit=unit),
            Measurement(name="peak", value=float(values.ravel()[members].max()), unit="deviations"),
        ]
        known = {name: index for index, name in enumerate(self.channels)}
        piece = self._levelled(recording, baseline)
        for own in sorted(set(map(int, channels)), key=lambda own: -float(values[own, first : last + 1].max())):
            name = recording.channels[own]
            if name in known and len(measured) < 5 + 5 * _MOST_MEASURED:
                measured += self._deviations(piece[known[name], first : last + 1], known[name], recording.unit(own))
        return tuple(measured)

    def tensors(self) -> dict[str, NDArray[Any]]:
        return {
            "channel.median": self._scale.median,
            "channel.deviation": self._scale.deviation,
            "channel.constant": self._scale.constant,
            "channel.amplitude": self._amplitude,
            "calibration": self.calibration.scores,
            **self._ensemble.tensors(),
            **self._pinpointer.tensors(),
        }

    def about(self) -> dict[str, Any]:
        return self._about.model_dump(mode="json")

    @classmethod
    def of_fitted(cls, fitted: Fitted) -> "RecordingLocalizer":
        """Raises `FittedPartError` where the parts do not fit together."""
        try:
            about = About.model_validate(fitted.about)
            if about.format != FORMAT:
                raise ValueError(f"expected format {FORMAT}, got {about.format}")
            for name, tensor in fitted.tensors.items():
                if tensor.dtype.kind not in "biuf" or not np.isfinite(tensor).all():
                    raise ValueError(f"{name} is not made of finite numbers")
            scale, amplitude = _scale_of(fitted.tensors, len(about.channels))
            ensemble = Ensemble.of_tensors(fitted.tensors, len(scale.live), about.choice.opinion)
            pinpointer = Pinpointer.of_tensors(fitted.tensors, len(scale.live), about.window)
            calibration = ConformalCalibration(fitted.tensors["calibration"].tolist(), about.scheme)
        except (ValidationError, ValueError, KeyError, TypeError, IndexError) as error:
            reason = " ".join(str(error).split())[:200]
            raise FittedPartError(f"what was learned of recordings cannot be used ({reason}); enroll again") from error
        return cls(scale, ensemble, pinpointer, calibration, amplitude, about)

    @property
    def _moved_level(self) -> float:
        """A channel that was constant and moves has no deviation to be judged in: it is odder than all that is normal."""
        highest = float(self.calibration.scores[-1]) if self.calibration.count else 0.0
        return max(_MOVED, 2 * highest)

    def _blocks(self, samples: int) -> int:
        if self._about.stretch:
            return -(-samples // self._about.stretch)
        return max(1, round(samples / self._about.longest))

    def _positions(self, recording: Recording) -> list[int]:
        """Of each learned channel, its place in the recording; nameless channels are taken in order."""
        lacking = [name for name in self.channels if name not in recording.channels]
        if lacking:
            raise ToolFailure(
                f"the recording lacks {len(lacking)} of the references' channels ({', '.join(lacking[:4])}); "
                f"it has {', '.join(recording.channels[:8])}"
            )
        return [recording.channels.index(name) for name in self.channels]

    def _levelled(self, recording: Recording, baseline: slice | None) -> Floats:
        """(C, T) of the learned channels in their own units, holes bridged, brought to the learned level if asked for."""
        piece = bridged(recording.values[:, self._positions(recording)].T)
        if baseline is None and self._about.baseline:
            baseline = slice(0, self._about.baseline)
        if baseline is None:
            return piece
        known = piece[:, baseline]
        if known.shape[1] < self.window:
            raise ToolFailure(
                f"the part that is known to be normal has {known.shape[1]} samples, fewer than a window of {self.window}"
            )
        return relevelled(piece, known, self._scale.median, self._scale.constant)

    def _unlike(self, recording: Recording, own: list[int]) -> tuple[str, ...]:
        said = [*self._other_units(recording, own), *self._other_times(recording)]
        extra = [name for name in recording.channels if name not in self.channels]
        if extra:
            said.append(f"channels that the references do not have were not judged: {', '.join(extra[:6])}")
        missing = float(np.isnan(recording.values[:, own]).mean())
        if missing > self._about.missing + 0.01:
            said.append(f"{missing:.1%} of its values are missing; nothing was judged there")
        if not self._about.stretch and recording.samples < 0.5 * self._about.shortest:
            said.append(f"it has {recording.samples} samples, the shortest reference has {self._about.shortest}")
        elif self._of_one_length and not self._about.shortest * 0.9 <= recording.samples <= self._about.longest * 1.1:
            said.append(
                f"it has {recording.samples} samples, and all references have {self._about.shortest} to "
                f"{self._about.longest}: it was cut off, or is another kind of run"
            )
        return tuple(said)

    @property
    def _of_one_length(self) -> bool:
        """Whether the references are runs of a fixed length, so that another length is odd."""
        return self._about.recordings >= _RUNS and self._about.longest <= 1.2 * self._about.shortest

    def _other_units(self, recording: Recording, own: list[int]) -> list[str]:
        """Channels that are so many times larger or smaller that they may be given in another unit."""
        said = []
        for channel in self._scale.live:
            values = recording.values[:, own[channel]]
            now, then = float(np.sqrt(np.nanmean(values**2))), float(self._amplitude[channel])
            if np.isfinite(now) and now > 0 and then > 0 and not 1 / _OTHER_UNIT < now / then < _OTHER_UNIT:
                name = self.channels[channel]
                said.append(f"channel {name!r} is {now / then:.3g} times as large as on the references: another unit?")
        return said

    def _other_times(self, recording: Recording) -> list[str]:
        about = self._about
        if recording.timed != about.timed:
            have, lack = (
                ("it has", "the references have none") if recording.timed else ("it has none", "the references have")
            )
            return [f"of times, {have}, {lack}: whether it was sampled as they were is not known"]
        if not about.timed:
            return []
        ratio = recording.step / about.step
        if not 1 / OTHER_RATE < ratio < OTHER_RATE:
            return [f"it has a sample every {recording.step:.6g} s, the references every {about.step:.6g} s"]
        gap = float(np.diff(recording.times).max())
        if gap > max(10 * about.step, 2 * about.longest_gap):
            return [
                f"there is a gap of {gap:.6g} s in it, longer than in the references; nothing is known of that time"
            ]
        return []

    def _deviations(self, values: Floats, channel: int, unit: str) -> list[Measurement]:
        name = plain_names(self.channels)[channel]
        apart = values - self._scale.median[channel]
        furthest = float(apart[np.argmax(np.abs(apart))])
        measured = [
            Measurement(name=f"{name}_mean", value=float(values.mean()), unit=unit),
            Measurement(name=f"{name}_deviation_mean", value=float(apart.mean()), unit=unit),
            Measurement(name=f"{name}_deviation_max", value=furthest, unit=unit),
        ]
        if self._scale.constant[channel]:
            return measured
        sigma = float(self._scale.deviation[channel])
        return [
            *measured,
            Measurement(name=f"{name}_sigmas_mean", value=float(apart.mean()) / sigma, unit="sigma"),
            Measurement(name=f"{name}_sigmas_max", value=furthest / sigma, unit="sigma"),
        ]


def _provisional(scores: Floats, alpha: float, blocks: int, unit: str) -> Threshold:
    count = len(scores)
    if count < 3:
        return Threshold(float("inf"), f"{count} held-out normal {unit} are too few to know any threshold; give more")
    margin = float(stats.t.ppf(1 - alpha / blocks, count - 1) * scores.std(ddof=1) * (1 + 1 / count) ** 0.5)
    return Threshold(
        max(float(scores.max()), float(scores.mean()) + margin),
        f"calibrated on only {count} held-out normal {unit}: alpha = {alpha:g} over {blocks} in a row cannot be promised; "
        "the threshold is the prediction limit from their mean and spread",
    )


def bridged(piece: Floats) -> Floats:
    """(C, T) with holes bridged by straight lines, for windows that reach over them; what lies in a hole is not judged."""
    piece = np.array(piece, np.float64)
    for channel in np.flatnonzero(np.isnan(piece).any(axis=1)):
        known = np.flatnonzero(~np.isnan(piece[channel]))
        bridge = np.interp(np.arange(piece.shape[1]), known, piece[channel, known]) if len(known) else 0.0
        piece[channel] = bridge
    return piece


def relevelled(piece: Floats, known: Floats, target: Floats, constant: NDArray[np.bool_]) -> Floats:
    shift = np.where(constant, 0.0, target - np.median(known, axis=1))
    return np.asarray(piece + shift[:, None])


def _scale_of(tensors: dict[str, NDArray[Any]], channels: int) -> tuple[ChannelScale, Floats]:
    named = {name: tensors[f"channel.{name}"] for name in ("median", "deviation", "constant", "amplitude")}
    if any(tensor.shape != (channels,) for tensor in named.values()) or (named["deviation"] <= 0).any():
        raise ValueError(f"expected scales of {channels} channels with deviations above 0")
    scale = ChannelScale(named["median"], named["deviation"], named["constant"].astype(np.bool_))
    if not len(scale.live):
        raise ValueError("expected a channel that moves")
    return scale, named["amplitude"].astype(np.float64)


def _place(recording: Recording, values: NDArray[np.float32], first: int, last: int, least: float) -> Place:
    """The interval by all channels that reach `least` in it."""
    peaks = values[:, first : last + 1].max(axis=1)
    channels = np.flatnonzero(peaks >= least)
    members = channels[:, None] * recording.samples + np.arange(first, last + 1)
    by_peak = channels[np.argsort(-peaks[channels], kind="stable")]
    native: dict[str, Any] = {
        "first": recording.row(first),
        "last": recording.row(last),
        "start": recording.stamp(first),
        "end": recording.stamp(last),
        "channels": [recording.channels[channel] for channel in by_peak],
    }
    if recording.start is None:
        native["unit"] = recording.time_unit
    return Place(float(peaks.max()), members.ravel().astype(np.int64), native)
