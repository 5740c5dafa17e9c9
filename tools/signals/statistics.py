"""Level, spread and roughness of sliding windows, against what they are on normal data."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from tools.signals.detector import Contributions, Floats

_FLOOR = 0.05
"""In standard deviations of a channel: a spread below it is as good as none, and its logarithm stays finite."""
_LEAST_DEVIATION = 0.02


class WindowStatistics:
    """Five to seven statistics a sample and channel, each in deviations from its median on normal data."""

    name: ClassVar[str] = "statistics"

    def __init__(self, lengths: Sequence[int], median: Floats, deviation: Floats) -> None:
        """`median` and `deviation` (F, C) of the statistics on normal data."""
        self.lengths = tuple(lengths)
        self._median = median
        self._deviation = deviation

    @classmethod
    def fit(cls, pieces: Sequence[Floats], lengths: Sequence[int]) -> Self:
        """From normal (C, T) pieces. The deviation is the larger of 1.4826 MAD and what the central 96 % say."""
        found = np.concatenate([_statistics(piece, lengths) for piece in pieces], axis=2)
        median = np.median(found, axis=2)
        mad = 1.4826 * np.median(np.abs(found - median[..., None]), axis=2)
        low, high = np.quantile(found, [0.02, 0.98], axis=2)
        return cls(lengths, median, np.maximum(np.maximum(mad, (high - low) / 4.1), _LEAST_DEVIATION))

    def contributions(self, piece: Floats) -> Contributions:
        """Root mean square over the statistics, of windows centred on each sample."""
        squares = np.zeros_like(piece)
        for index, found in enumerate(_each_statistic(piece, self.lengths)):
            squares += ((found - self._median[index][:, None]) / self._deviation[index][:, None]) ** 2
        return Contributions(np.sqrt(squares / len(self._median)))

    def tensors(self) -> dict[str, NDArray[Any]]:
        return {"median": self._median, "deviation": self._deviation, "lengths": np.array(self.lengths, np.int64)}

    @classmethod
    def of_tensors(cls, saved: Mapping[str, NDArray[Any]], channels: int) -> Self:
        """Raises `ValueError` where they do not fit together."""
        lengths = [int(length) for length in saved["lengths"]]
        shape = (2 * len(lengths) + 1, channels)
        if saved["median"].shape != shape or saved["deviation"].shape != shape or (saved["deviation"] <= 0).any():
            raise ValueError(f"expected statistics of shape {shape} with deviations above 0")
        if not lengths or min(lengths) < 2:
            raise ValueError(f"expected windows of two samples and more, got {lengths}")
        return cls(lengths, saved["median"].astype(np.float64), saved["deviation"].astype(np.float64))


class LeastStatistics(WindowStatistics):
    """Each sample as odd as the least odd one of the shortest windows around it: what is odd lights up nothing else."""

    name: ClassVar[str] = "least_statistics"

    def contributions(self, piece: Floats) -> Contributions:
        said = super().contributions(piece).of_channels
        return Contributions(ndimage.minimum_filter1d(said, min(self.lengths), axis=1, mode="nearest"))


def _each_statistic(piece: Floats, lengths: Sequence[int]) -> Any:
    """(C, T) one after the other: mean and log of the spread at each length, log of the mean step at the shortest."""
    for length in lengths:
        mean = ndimage.uniform_filter1d(piece, length, axis=1, mode="nearest")
        square = ndimage.uniform_filter1d(piece * piece, length, axis=1, mode="nearest")
        yield mean
        yield np.log(np.sqrt(np.maximum(square - mean * mean, 0)) + _FLOOR)
    steps = np.abs(np.diff(piece, axis=1, prepend=piece[:, :1]))
    yield np.log(ndimage.uniform_filter1d(steps, lengths[0], axis=1, mode="nearest") + _FLOOR)


def _statistics(piece: Floats, lengths: Sequence[int]) -> Floats:
    found: Floats = np.stack(list(_each_statistic(piece, lengths)))
    return found
