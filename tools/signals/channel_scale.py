"""The level and spread of each channel on normal data; everything learned is in these units."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tools.signals.detector import Floats

_STILL = 1e-9
"""Share of a channel's level below which its range counts as rounding, and the channel as constant."""
_MOVES = 1e-6
_CLIP = 50.0
"""Deviations at which a value is held, so that no wild number drowns the sums over all of them."""


class ChannelScale(NamedTuple):
    """(C,) each."""

    median: Floats
    deviation: Floats
    """Above 0; 1 for a constant channel."""
    constant: NDArray[np.bool_]
    """Channels that never moved on normal data: they have no deviation to be judged in."""

    @classmethod
    def fit(cls, pieces: Sequence[Floats]) -> "ChannelScale":
        """From (C, T) pieces without holes.

        The deviation is the larger of 1.4826 MAD and what the central 98 % say; for a channel that rests nearly always,
        such as a switch, the standard deviation.
        """
        values = np.concatenate(pieces, axis=1)
        median = np.median(values, axis=1)
        mad = 1.4826 * np.median(np.abs(values - median[:, None]), axis=1)
        low, high = np.quantile(values, [0.01, 0.99], axis=1)
        deviation = np.maximum(mad, (high - low) / 4.65)
        deviation = np.where(deviation > 0, deviation, values.std(axis=1))
        constant = np.ptp(values, axis=1) <= _STILL * np.abs(median)
        return cls(median, np.where(constant, 1.0, deviation), constant)

    @property
    def live(self) -> NDArray[np.int64]:
        """Channels that moved on normal data."""
        return np.flatnonzero(~self.constant)

    def scaled(self, values: Floats) -> Floats:
        """(C, T) -> (live channels, T) in deviations, held at 50."""
        live = self.live
        scaled = (values[live] - self.median[live, None]) / self.deviation[live, None]
        return np.asarray(np.clip(scaled, -_CLIP, _CLIP))

    def moved(self, values: Floats) -> NDArray[np.bool_]:
        """(C, T): where a constant channel is not at its value."""
        apart = np.abs(values - self.median[:, None]) > _MOVES * np.abs(self.median[:, None])
        return np.asarray(apart & self.constant[:, None])
