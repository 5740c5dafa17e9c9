"""Plots of windows, held by a network for pictures against plots of normal windows (in the manner of PatchCore).

Plain lines without axes are what such a network can compare. What it says of a place of a plot is said of the samples
that are drawn there.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tools.localization.anomaly_map import smooth
from tools.localization.backbones import load_backbone
from tools.localization.differences import Difference
from tools.localization.features import as_patches
from tools.localization.looks import joined
from tools.localization.memory import PatchMemory
from tools.localization.projection import Projection
from tools.localization.saved import expect
from tools.signals.detector import Contributions, Floats

Pixels = NDArray[np.uint8]

BANDS = 4
"""Channels of one plot: more would be too low to be seen."""

_SIDE = 128
_SHOWN = 6.0
"""Deviations at the upper and lower edge of a band."""
_INK = 20
_LEARNED = 48
"""Plots that are learned from, evenly over the normal data."""
_MEMORY = 1000
_COMPONENTS = 64
"""As of photographs: where lines cross their bands hardly varies, and would drown the rest if every axis counted."""


class Eye:
    """The network's features of plots; the last few are kept, since folds of the same data show the same plots."""

    def __init__(self, most: int = 0) -> None:
        self._most = most
        self._kept: OrderedDict[bytes, Tensor] = OrderedDict()

    def see(self, pixels: Pixels) -> Tensor:
        """(C, h, w) of (H, W) grey."""
        key = hashlib.sha256(pixels.tobytes()).digest()
        found = self._kept.get(key)
        if found is None:
            backbone = load_backbone()
            shown = backbone.preprocess(np.repeat(pixels[..., None], 3, axis=2), _SIDE * _SIDE)
            found = joined(backbone, backbone.forward(shown[None]))[0]
        self._kept[key] = found
        self._kept.move_to_end(key)
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)
        return found

    def forget(self) -> None:
        """Keep nothing any more: what was learned is now for others to use."""
        self._most = 0
        self._kept.clear()


class PlottedWindows:
    """Distance of each place of a plot to the nearest place of normal plots, whatever the channel."""

    name: ClassVar[str] = "plots"

    def __init__(self, length: int, memory: PatchMemory, eye: Eye) -> None:
        """`length` samples of a plot."""
        self.length = length
        self._memory = memory
        self._eye = eye

    @classmethod
    def fit(cls, pieces: Sequence[Floats], length: int, seed: int, eye: Eye) -> "PlottedWindows":
        """From normal (C, T) pieces; the same pieces and seed give the same."""
        places = [(piece, place) for piece in pieces for place in _places(piece, length)]
        chosen = np.unique(np.linspace(0, len(places) - 1, _LEARNED).round().astype(int))
        seen = [eye.see(_drawn(piece, place, length)) for piece, place in (places[index] for index in chosen)]
        patches = torch.cat([as_patches(each[None]) for each in seen])
        return cls(length, PatchMemory.fit(patches, _MEMORY, seed, components=_COMPONENTS), eye)

    def contributions(self, piece: Floats) -> Contributions:
        """The mean over the plots that show a sample."""
        sums, counts = np.zeros(piece.shape), np.zeros(piece.shape)
        for place in _places(piece, self.length):
            difference = Difference.of(self._eye.see(_drawn(piece, place, self.length)), self._memory)
            grid = smooth(difference.grid(difference.distances)[None])[0].numpy().astype(np.float64)
            samples = slice(place.first, min(place.first + self.length, piece.shape[1]))
            said = _over_samples(grid, len(place.channels), self.length)[:, : samples.stop - samples.start]
            sums[place.channels.start : place.channels.stop, samples] += said
            counts[place.channels.start : place.channels.stop, samples] += 1
        return Contributions(sums / counts)

    def tensors(self) -> dict[str, NDArray[Any]]:
        """With the hash of the network's weights, so that those of another are refused."""
        memory = self._memory
        return {
            "length": np.array([self.length], np.int64),
            "weights": np.frombuffer(bytes.fromhex(load_backbone().weights_sha256), np.uint8),
            "mean": memory.projection.mean.numpy(),
            "matrix": memory.projection.matrix.numpy(),
            "patches": memory.patches.numpy(),
            "sources": memory.sources.numpy(),
        }

    @classmethod
    def of_tensors(cls, saved: Mapping[str, NDArray[Any]], channels: int) -> "PlottedWindows":
        """Raises `ValueError` where they do not fit together or belong to another network."""
        if saved["weights"].tobytes().hex() != load_backbone().weights_sha256:
            raise ValueError("learned with other weights of the network")
        length = int(saved["length"].reshape(-1)[0])
        if length < 2:
            raise ValueError(f"expected plots of two samples and more, got {length}")
        found = {name: torch.from_numpy(np.array(array)) for name, array in saved.items()}
        mean = expect(found, "mean", None)
        matrix = expect(found, "matrix", len(mean), None)
        patches = expect(found, "patches", None, matrix.shape[1])
        if not len(patches):
            raise ValueError("expected a memory of one place or more")
        sources = expect(found, "sources", len(patches), len(mean))
        return cls(length, PatchMemory(Projection(mean, matrix), patches, sources), Eye())


def draw_window(window: Floats, length: int) -> Pixels:
    """(C, T) deviations, T at most `length` -> (128, 128): a dark line a channel on white, six deviations to either side.

    A window that is too short is mirrored at its end, so that what is not there looks like what is.
    """
    columns = np.arange(_SIDE) * length // _SIDE
    ends = np.maximum((np.arange(_SIDE) + 1) * length // _SIDE, columns + 1)
    behind = np.minimum(columns[:, None] + np.arange(int((ends - columns).max()) + 1), ends[:, None])
    shown = np.pad(window, ((0, 0), (0, length + 1 - window.shape[1])), mode="reflect")
    pixels, rows = np.full((_SIDE, _SIDE), 255, np.uint8), np.arange(_SIDE)[:, None]
    for band, values in enumerate(shown):
        top, bottom = _rows(band, len(shown), _SIDE)
        heights = (1 - np.clip(values / _SHOWN, -1, 1)) / 2 * (bottom - top - 3)
        at = np.rint(heights).astype(int)[behind] + top + 1
        pixels[(rows >= at.min(axis=1)) & (rows <= at.max(axis=1))] = _INK
    return pixels


class _Place(NamedTuple):
    """What a plot shows."""

    first: int
    channels: range


def _places(piece: Floats, length: int) -> Iterator[_Place]:
    """Of plots that overlap by half, of four channels each."""
    channels, last = len(piece), max(piece.shape[1] - length, 0)
    for first in sorted({*range(0, last + 1, length // 2), last}):
        for channel in range(0, channels, BANDS):
            yield _Place(first, range(channel, min(channel + BANDS, channels)))


def _drawn(piece: Floats, place: _Place, length: int) -> Pixels:
    return draw_window(piece[place.channels.start : place.channels.stop, place.first : place.first + length], length)


def _over_samples(grid: Floats, bands: int, length: int) -> Floats:
    """(h, w) of a plot -> (bands, length): the highest in a band's rows, straight lines between the columns."""
    where = (np.arange(length) + 0.5) * grid.shape[1] / length - 0.5
    spans = [_rows(band, bands, len(grid)) for band in range(bands)]
    return np.stack([np.interp(where, np.arange(grid.shape[1]), grid[top:bottom].max(axis=0)) for top, bottom in spans])


def _rows(band: int, bands: int, height: int) -> tuple[int, int]:
    return band * height // bands, (band + 1) * height // bands
