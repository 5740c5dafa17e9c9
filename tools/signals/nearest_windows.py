"""Distance of a channel's windows to the nearest windows of normal data (Yankov, Keogh & Rebbapragada 2008: discords)."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from tools.signals.detector import Contributions, Floats

_MEMORY = 1000
"""Windows of normal data that are kept of each channel, evenly over all of it."""
_DIMENSIONS = 16
"""Means of equal parts that stand for a window (piecewise aggregate approximation; Keogh et al. 2001)."""
_NEIGHBOURS = 3
_MOST_WINDOWS = 20_000
_CHUNK = 4096
_FLAT = 0.1
"""A window whose spread is below this share of its channel's deviation is not blown up to full height."""


class NearestWindows:
    """Root mean square difference to the nearest three normal windows of the same channel, raw or in shape alone.

    Learned from windows that begin `step` samples apart; see `step_of`.
    """

    def __init__(self, length: int, memory: NDArray[np.float32], *, shape_only: bool) -> None:
        """`memory` (C, M, D) float32; `shape_only` brings each window to mean 0 and deviation 1 first."""
        self.length = length
        self._memory = memory
        self._shape_only = shape_only
        self._half_squares = (memory**2).sum(2) / 2

    def contributions(self, piece: Floats) -> Contributions:
        """The mean over the windows that cover a sample."""
        starts = _starts(piece.shape[1], self.length, max(1, self.length // 8, piece.shape[1] // _MOST_WINDOWS))
        windows = _windows(piece, self.length, starts, self._memory.shape[2], shape_only=self._shape_only)
        distances = np.stack([self._distances(windows[channel], channel) for channel in range(len(piece))])
        return Contributions(_spread_over_samples(distances, starts, min(self.length, piece.shape[1]), piece.shape[1]))

    def _distances(self, windows: NDArray[np.float32], channel: int) -> Floats:
        memory, half = self._memory[channel], self._half_squares[channel]
        neighbours = min(_NEIGHBOURS, len(memory))
        found = np.empty(len(windows))
        for first in range(0, len(windows), _CHUNK):
            chunk = windows[first : first + _CHUNK]
            # |q - m|^2 = |q|^2 - 2 (q m - |m|^2 / 2): one matrix product ranks all, the nearest are then taken directly
            nearness = chunk @ memory.T - half
            nearest = np.argpartition(nearness, len(memory) - neighbours, axis=1)[:, len(memory) - neighbours :]
            squares = ((chunk[:, None] - memory[nearest]) ** 2).mean(2)
            found[first : first + _CHUNK] = np.sqrt(squares.mean(1))
        return found

    def tensors(self) -> dict[str, NDArray[Any]]:
        return {"memory": self._memory, "length": np.array([self.length], np.int64)}


class RawWindows(NearestWindows):
    """Level and shape as they are."""

    name: ClassVar[str] = "raw_windows"

    def __init__(self, length: int, memory: NDArray[np.float32]) -> None:
        super().__init__(length, memory, shape_only=False)

    @classmethod
    def fit(cls, pieces: Sequence[Floats], length: int, step: int) -> Self:
        return cls(length, _memory(pieces, length, step, shape_only=False))

    @classmethod
    def of_tensors(cls, saved: Mapping[str, NDArray[Any]], channels: int) -> Self:
        return cls(*_checked(saved, channels))


class LeastWindows(RawWindows):
    """Raw windows, each sample as odd as the least odd one of those that cover it: what is odd lights up nothing else."""

    name: ClassVar[str] = "least_windows"

    def contributions(self, piece: Floats) -> Contributions:
        starts = _starts(piece.shape[1], self.length, 1)
        windows = _windows(piece, self.length, starts, self._memory.shape[2], shape_only=False)
        distances = np.stack([self._distances(windows[channel], channel) for channel in range(len(piece))])
        return Contributions(_least_over_samples(distances, self.length, piece.shape[1]))


class ShapeWindows(NearestWindows):
    """Shape alone, so that a drifting level is no matter."""

    name: ClassVar[str] = "shape_windows"

    def __init__(self, length: int, memory: NDArray[np.float32]) -> None:
        super().__init__(length, memory, shape_only=True)

    @classmethod
    def fit(cls, pieces: Sequence[Floats], length: int, step: int) -> "ShapeWindows":
        return cls(length, _memory(pieces, length, step, shape_only=True))

    @classmethod
    def of_tensors(cls, saved: Mapping[str, NDArray[Any]], channels: int) -> "ShapeWindows":
        return cls(*_checked(saved, channels))


def _checked(saved: Mapping[str, NDArray[Any]], channels: int) -> tuple[int, NDArray[np.float32]]:
    """Raises `ValueError` where they do not fit together."""
    memory, length = saved["memory"], int(saved["length"].reshape(-1)[0])
    if memory.ndim != 3 or memory.shape[0] != channels or memory.shape[1] < 1 or not 1 <= memory.shape[2] <= length:
        raise ValueError(f"expected windows of {channels} channels, got {memory.shape} of length {length}")
    return length, memory.astype(np.float32)


def step_of(pieces: Sequence[Floats]) -> int:
    """Samples from one window that is remembered to the next.

    Of all normal data, and the same where a part of them is held out: what recurs in every recording at the same time is
    as near to a memory as its windows lie to the grid, and a coarser grid would make every new recording look odd.
    """
    return max(1, int(sum(piece.shape[1] for piece in pieces)) // _MEMORY)


def _memory(pieces: Sequence[Floats], length: int, step: int, *, shape_only: bool) -> NDArray[np.float32]:
    dimensions = min(_DIMENSIONS, length)
    long_enough = [piece for piece in pieces if piece.shape[1] >= length]
    found = [
        _windows(piece, length, _starts(piece.shape[1], length, step), dimensions, shape_only=shape_only)
        for piece in long_enough
    ]
    return np.concatenate(found, axis=1)


def _starts(samples: int, length: int, step: int) -> NDArray[np.int64]:
    """First samples of windows, the last of which ends with the data."""
    last = max(samples - length, 0)
    return np.unique(np.append(np.arange(0, last + 1, step), last)).astype(np.int64)


def _windows(
    piece: Floats, length: int, starts: NDArray[np.int64], dimensions: int, *, shape_only: bool
) -> NDArray[np.float32]:
    """(C, N, D) float32 of the windows from `starts` on; a piece shorter than a window is held at its last value."""
    if piece.shape[1] < length:
        piece = np.pad(piece, ((0, 0), (0, length - piece.shape[1])), mode="edge")
    edges = np.linspace(0, length, dimensions + 1).astype(int)
    sums = np.concatenate([np.zeros((len(piece), 1)), np.cumsum(piece, axis=1)], axis=1)
    windows = np.diff(sums[:, starts[:, None] + edges], axis=2) / np.diff(edges)
    if shape_only:
        windows -= windows.mean(2, keepdims=True)
        windows /= np.maximum(windows.std(2, keepdims=True), _FLAT)
    return windows.astype(np.float32)


def _spread_over_samples(scores: Floats, starts: NDArray[np.int64], length: int, samples: int) -> Floats:
    """(C, N) of windows -> (C, T): the mean over the windows that cover a sample."""
    sums, counts = np.zeros((len(scores), samples + 1)), np.zeros(samples + 1)
    sums[:, starts] += scores
    counts[starts] += 1
    sums[:, starts + length] -= scores
    counts[starts + length] -= 1
    covered = np.maximum(np.cumsum(counts)[:samples], 1)
    return np.asarray(np.maximum(np.cumsum(sums, axis=1)[:, :samples], 0) / covered)


def _least_over_samples(scores: Floats, length: int, samples: int) -> Floats:
    """(C, N) of windows at each sample -> (C, T): the lowest of the windows that cover a sample."""
    after = max(samples - scores.shape[1], 0)
    held = np.pad(scores, ((0, 0), (0, after)), constant_values=np.inf)
    # minimum over [i - length + 1, i]: the filter's window is centred, so its origin is moved to the right end
    return np.asarray(
        ndimage.minimum_filter1d(held, length, axis=1, origin=(length - 1) // 2, mode="constant", cval=np.inf)
    )
