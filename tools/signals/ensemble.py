"""Several detectors on one scale, averaged: those of the samples, and the one that looks at plots of them.

Each is brought to deviations of what it says on normal data that it has not seen, first channel by channel, then
together; from five deviations on more of them count by their logarithm alone, so that one detector that goes wild does
not silence the others; and the mean of all is taken. The scale of what was held out also weighs the detectors: one
that says much of unseen normal data, such as a level that drifts, has a large deviation and little to say. Where both
samples and plots are asked, either has one vote.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from tools.signals.detector import Contributions, Detector, Floats
from tools.signals.lagged_components import Hotelling, Lags, Residual
from tools.signals.nearest_windows import RawWindows, ShapeWindows, step_of
from tools.signals.plotted_windows import Eye, PlottedWindows
from tools.signals.statistics import WindowStatistics

_SATURATES = 5.0
_LEAST = 1e-6
_LAGGED_VALUES = 200
"""Channels times lags that components are taken of, at most (besides the least number of lags)."""

DETECTORS: tuple[type[Detector], ...] = (WindowStatistics, RawWindows, ShapeWindows, Residual, Hotelling)
"""Of the samples, in the order in which they are averaged."""

Opinion = Literal["samples", "views", "both"]
"""Whose word an ensemble takes; `views` are plots of windows."""

OPINIONS: tuple[Opinion, ...] = get_args(Opinion)

_SHARES: Mapping[Opinion, tuple[float, float]] = {"samples": (1.0, 0.0), "views": (0.0, 1.0), "both": (0.5, 0.5)}
"""Of the detectors of the samples together, and of the plots."""

Maker = Callable[[Sequence[Floats]], Detector]

Fold = tuple[Sequence[Floats], Sequence[Floats]]
"""Pieces to learn from, and pieces that were held out."""


class Scale(NamedTuple):
    """Location and spread on held-out normal data."""

    median: Floats
    deviation: Floats

    @classmethod
    def fit(cls, values: Floats) -> "Scale":
        """Over the last axis: the median, and the larger of 1.4826 MAD and what the 95th percentile says."""
        median = np.median(values, axis=-1)
        mad = 1.4826 * np.median(np.abs(values - median[..., None]), axis=-1)
        upper = (np.quantile(values, 0.95, axis=-1) - median) / 1.645
        return cls(median, np.maximum(np.maximum(mad, upper), _LEAST))

    def apply(self, values: Floats) -> Floats:
        """In deviations above the median; below it 0."""
        return np.asarray(np.maximum((values - self.median[..., None]) / self.deviation[..., None], 0))


class Judged(NamedTuple):
    """What an ensemble says of a piece."""

    together: Floats
    """(T,) deviations."""
    shares: Floats
    """(C, T) in [0, 1]: how much of it each channel brings in, as a share of the channel that brings most."""


class Scaled(NamedTuple):
    """A detector and the scales of what it says."""

    detector: Detector
    of_channels: Scale
    """(C,)"""
    of_all: Scale
    """()"""

    def judge(self, piece: Floats) -> tuple[Floats, Floats]:
        """(T,) saturated deviations, and (C, T) deviations of the channels."""
        return self.judge_said(self.detector.contributions(piece))

    def judge_said(self, said: Contributions) -> tuple[Floats, Floats]:
        channels = self.of_channels.apply(said.of_channels)
        return saturated(self.of_all.apply(_together(said, channels))), channels


class Plotting(NamedTuple):
    """How plots are made and learned."""

    length: int
    """Samples of a plot."""
    seed: int
    eye: Eye


class Ensemble:
    """Detectors of one product, each with its scales, and the scale of their mean."""

    def __init__(self, detectors: Sequence[Scaled], scale: Scale, opinion: Opinion = "samples") -> None:
        """`detectors` are those that the opinion asks for, in their order."""
        self.detectors = tuple(detectors)
        self.scale = scale
        self.opinion: Opinion = opinion

    def judge(self, piece: Floats) -> Judged:
        """Of (C, T) in deviations of the channels."""
        together, channels = np.zeros(piece.shape[1]), np.zeros(piece.shape)
        for share, scaled in zip(shares_of(self.opinion), self.detectors, strict=True):
            level, of_channels = scaled.judge(piece)
            together += share * level
            channels += _shares(of_channels) * share * level
        return Judged(self.scale.apply(together), _shares(channels))

    def tensors(self) -> dict[str, NDArray[Any]]:
        saved: dict[str, NDArray[Any]] = {"scale": packed_scale(self.scale)}
        for detector, of_channels, of_all in self.detectors:
            saved[f"{detector.name}.of_channels"] = packed_scale(of_channels)
            saved[f"{detector.name}.of_all"] = packed_scale(of_all)
            saved |= {f"{detector.name}.{name}": tensor for name, tensor in detector.tensors().items()}
        return saved

    @classmethod
    def of_tensors(cls, saved: Mapping[str, NDArray[Any]], channels: int, opinion: Opinion = "samples") -> "Ensemble":
        """Raises `ValueError` or `KeyError` where they do not fit together."""
        found = []
        for kind in _kinds(opinion):
            own = {name.partition(".")[2]: saved[name] for name in saved if name.startswith(f"{kind.name}.")}
            of_channels, of_all = unpacked_scale(own["of_channels"], (channels,)), unpacked_scale(own["of_all"], ())
            found.append(Scaled(kind.of_tensors(own, channels), of_channels, of_all))
        return cls(found, unpacked_scale(saved["scale"], ()), opinion)


def fit_ensemble(
    pieces: Sequence[Floats],
    folds: Sequence[Fold],
    length: int,
    progress: Callable[[int, int], None],
    plotting: Plotting | None = None,
    opinion: Opinion = "samples",
) -> tuple[Ensemble, list[Floats]]:
    """Learn from all (C, T) pieces, on the scale of what detectors of each fold say of what was held out from them.

    Args:
        pieces: in deviations of the channels.
        folds: of the same pieces.
        length: samples of a window.
        progress: told how many detectors are learned, and of how many.
        plotting: needed unless the opinion is that of the samples alone.
        opinion: which detectors are asked.

    Returns:
        The ensemble, and (T,) of each held-out piece, in its units, in the order of the folds.
    """
    makers = [
        *(_makers_of_samples(pieces, length) if opinion != "views" else ()),
        *([_maker_of_plots(plotting)] if plotting is not None and opinion != "samples" else ()),
    ]
    scaled, levels = [], []
    for done, maker in enumerate(makers):
        said = [detector.contributions(piece) for detector, piece in each_held_out(maker, folds)]
        fitted = _scaled(maker(pieces), said)
        scaled.append(fitted)
        levels.append([fitted.judge_said(each)[0] for each in said])
        progress(done + 1, len(makers))
    shares = shares_of(opinion)
    means = [np.asarray(np.average(of_piece, axis=0, weights=shares)) for of_piece in zip(*levels, strict=True)]
    scale = Scale.fit(np.concatenate(means))
    return Ensemble(scaled, scale, opinion), [scale.apply(mean) for mean in means]


def shares_of(opinion: Opinion) -> list[float]:
    """Of each detector that an opinion asks for, in their order; 1 together."""
    of_samples, of_plots = _SHARES[opinion]
    shares = [*[of_samples / len(DETECTORS)] * len(DETECTORS), of_plots]
    return [share for share in shares if share]


def saturated(deviations: Floats) -> Floats:
    """As they are up to five, and 5 (1 + ln(z / 5)) above."""
    over = np.maximum(deviations, _SATURATES) / _SATURATES
    return np.asarray(np.minimum(deviations, _SATURATES) + _SATURATES * np.log(over))


def lags_of(channels: int, total: int, length: int) -> Lags:
    """As many as so many samples in all can tell apart; over the window's length where there are few channels."""
    number = int(np.clip(min(_LAGGED_VALUES, total // 4) // channels, 3, 32))
    return Lags(number, max(1, length // number) if channels <= 3 else 1)


def _kinds(opinion: Opinion) -> tuple[type[Detector], ...]:
    of_samples, of_plots = _SHARES[opinion]
    return (*(DETECTORS if of_samples else ()), *((PlottedWindows,) if of_plots else ()))


def _maker_of_plots(plotting: Plotting) -> Maker:
    return lambda learned: PlottedWindows.fit(learned, plotting.length, plotting.seed, plotting.eye)


def _makers_of_samples(pieces: Sequence[Floats], length: int) -> list[Maker]:
    """Windows of a quarter of the length, the length, and four times it, where the data are long enough for those."""
    channels, total = len(pieces[0]), sum(piece.shape[1] for piece in pieces)
    lengths = sorted({max(3, length // 4), length, min(4 * length, max(length + 1, total // 8))})
    lags, step = lags_of(channels, total, length), step_of(pieces)
    return [
        lambda learned: WindowStatistics.fit(learned, lengths),
        lambda learned: RawWindows.fit(learned, length, step),
        lambda learned: ShapeWindows.fit(learned, length, step),
        lambda learned: Residual.fit(learned, lags),
        lambda learned: Hotelling.fit(learned, lags),
    ]


def each_held_out(maker: Maker, folds: Sequence[Fold]) -> Any:
    """Of each held-out piece, a detector that was learned without it, and the piece."""
    for learned, held_out in folds:
        detector = maker(learned)
        for piece in held_out:
            yield detector, piece


def _scaled(detector: Detector, said: Sequence[Contributions]) -> Scaled:
    of_channels = Scale.fit(np.concatenate([each.of_channels for each in said], axis=1))
    together = np.concatenate([_together(each, of_channels.apply(each.of_channels)) for each in said])
    return Scaled(detector, of_channels, Scale.fit(together))


def _together(said: Contributions, channels: Floats) -> Floats:
    """(T,): what the detector says of all channels itself, or the root mean square of their deviations."""
    return np.sqrt((channels**2).mean(axis=0)) if said.together is None else said.together


def _shares(channels: Floats) -> Floats:
    """Of the highest channel; where no channel stands out, all have an equal part in what there is."""
    highest = channels.max(axis=0)
    return np.asarray(np.where(highest < _LEAST, 1.0, channels / np.maximum(highest, _LEAST)))


def packed_scale(scale: Scale) -> Floats:
    return np.stack([np.asarray(scale.median, np.float64), np.asarray(scale.deviation, np.float64)])


def unpacked_scale(saved: NDArray[Any], shape: tuple[int, ...]) -> Scale:
    if saved.shape != (2, *shape) or (saved[1] <= 0).any():
        raise ValueError(f"expected a scale of shape {(2, *shape)} with deviations above 0, got {saved.shape}")
    median, deviation = saved.astype(np.float64)
    return Scale(np.asarray(median), np.asarray(deviation))
