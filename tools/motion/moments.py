"""Moments: what is seen at each cell of each frame, how much it moves, and a short sketch of the frame as a whole."""

import functools
import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor

from knowledge import FittedPartError
from tools.decoding.videos import luma
from tools.localization.backbones import Backbone
from tools.localization.looks import joined
from tools.motion.exposure import level
from tools.motion.video import Video

AREA = 320 * 180
"""Pixels of the network's input at most: cells of about 8 x 8 pixels of a sampled frame."""

PROJECTED = 48
"""Of a cell's features, after a random projection that keeps distances (Johnson & Lindenstrauss 1984)."""

COLOURS = 2
"""Red against green, and yellow against blue: the network's features at these depths heed colour little."""

COMPONENTS = PROJECTED + COLOURS

_COLOUR_WEIGHT = 2.0
"""One spread of a colour counts as so many of a projected feature."""
_COLOUR_FLOOR = 4.0
"""Grey levels: a smaller spread of colour is noise."""

SKETCH = 128
"""Numbers of a frame's sketch: distances between sketches are those between frames, over all cells, within a tenth."""

_BATCH = 4
_AT_ONCE = 64
"""Frames that are levelled and sketched at once, so that a long video takes little more memory than a short one."""
_CHANNEL_FLOOR = 1e-3


class Nuisance(NamedTuple):
    """How a normal video may differ from its references without being anomalous."""

    dx: int = 0
    dy: int = 0
    """Displacement, in pixels of a sampled frame."""
    gain: float = 1.0
    """Exposure."""


class Moments(NamedTuple):
    """F frames of h x w cells."""

    cells: Tensor
    """(F, h, w, D) float16"""
    sketches: Tensor
    """(F, S) float32"""
    energy: Tensor
    """(F, h, w) float32: mean change over about 0.2 s, in grey levels."""
    times: NDArray[np.float64]
    """(F,) seconds"""
    gains: NDArray[np.float64]
    """(F, 3): how much brighter each channel is than the references."""


class _Seen(NamedTuple):
    """Some frames of a video."""

    cells: Tensor
    sketches: Tensor
    gains: NDArray[np.float64]


class Eye(NamedTuple):
    """Turns frames into moments; the same for all videos of a product."""

    backbone: Backbone
    typical: NDArray[np.uint8]
    """(H, W, 3): the median normal frame, to which exposure is levelled."""
    matrix: Tensor
    """(C, PROJECTED) float32: standardises and projects the features of a cell."""
    colour_scale: Tensor
    """(2,) float32: what a grey level of each opponent colour counts."""

    @classmethod
    def fit(cls, backbone: Backbone, typical: NDArray[np.uint8], frames: NDArray[np.uint8], seed: int) -> "Eye":
        """`frames` (n, H, W, 3) are some normal ones, from which each channel's spread is learned."""
        seen = torch.cat(list(_patches(backbone, frames)))
        if not torch.isfinite(seen).all():
            raise FittedPartError("the backbone's features are not finite numbers; its weights are damaged")
        deviation = seen.std((0, 2, 3), correction=0).clamp_min(_CHANNEL_FLOOR)
        generator = torch.Generator().manual_seed(seed)
        directions = torch.randn(len(deviation), PROJECTED, generator=generator) / len(deviation) ** 0.5
        colours = _colours(frames, (seen.shape[2], seen.shape[3])).std((0, 1, 2), correction=0)
        scale = _COLOUR_WEIGHT / colours.clamp_min(_COLOUR_FLOOR)
        return cls(backbone, typical, directions / deviation[:, None], scale)

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of cells."""
        shape = next(_patches(self.backbone, self.typical[None])).shape
        return int(shape[2]), int(shape[3])

    def see(self, video: Video, nuisance: Nuisance = Nuisance()) -> Moments:  # noqa: B008 - an immutable tuple
        """The moments of a video whose frames have the references' size, as if taken with some nuisance."""
        seen = [
            self._see_some(_disturbed(video.frames[first : first + _AT_ONCE], nuisance))
            for first in range(0, len(video.frames), _AT_ONCE)
        ]
        cells = torch.cat([some.cells for some in seen])
        sketches = torch.cat([some.sketches for some in seen])
        gains = np.concatenate([some.gains for some in seen])
        return Moments(cells, sketches, _energy(video, (cells.shape[1], cells.shape[2])), video.times, gains)

    def energy(self, video: Video) -> NDArray[np.float32]:
        """(F, h, w): how much each cell changes over about 0.2 s, in grey levels."""
        return np.asarray(_energy(video, self.grid).numpy(), np.float32)

    def _see_some(self, frames: NDArray[np.uint8]) -> "_Seen":
        levelled, gains = level(frames, self.typical)
        features = torch.cat([self._project(patches) for patches in _patches(self.backbone, levelled)])
        colours = _colours(levelled, (features.shape[1], features.shape[2])) * self.colour_scale
        cells = torch.cat([features, colours.half()], 3)
        return _Seen(cells, cells.flatten(1).float() @ _sketching(cells[0].numel()), gains)

    def _project(self, patches: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, h, w, PROJECTED) float16."""
        return (patches.permute(0, 2, 3, 1) @ self.matrix).half()


def with_border(cells: Tensor) -> Tensor:
    """(K, h, w, D) -> (K, h + 2, w + 2, D) float32, those at the border repeated."""
    channels_first = cells.permute(0, 3, 1, 2).float()
    return F.pad(channels_first, (1, 1, 1, 1), mode="replicate").permute(0, 2, 3, 1)


def around(padded: Tensor, row: int) -> Tensor:
    """(K, h + 2, w + 2, D) with its border -> (K, 9, w, D): each cell of a row, and its eight neighbours."""
    width = padded.shape[2] - 2
    return torch.stack([padded[:, row + y, x : x + width] for y in range(3) for x in range(3)], 1)


def _patches(backbone: Backbone, frames: NDArray[np.uint8]) -> Iterator[Tensor]:
    """(B, C, h, w) features of a few frames at a time."""
    area = min(AREA, frames.shape[1] * frames.shape[2])
    for first in range(0, len(frames), _BATCH):
        inputs = torch.stack([backbone.preprocess(frame, area) for frame in frames[first : first + _BATCH]])
        yield joined(backbone, backbone.forward(inputs))


def _colours(frames: NDArray[np.uint8], grid: tuple[int, int]) -> Tensor:
    """(F, H, W, 3) -> (F, h, w, 2) float32: red minus green, and yellow minus blue, in grey levels."""
    found = []
    for first in range(0, len(frames), _AT_ONCE):
        pixels = torch.from_numpy(frames[first : first + _AT_ONCE]).permute(0, 3, 1, 2).float()
        red, green, blue = F.adaptive_avg_pool2d(pixels, grid).unbind(1)
        found.append(torch.stack([red - green, (red + green) / 2 - blue], -1))
    return torch.cat(found)


@functools.lru_cache(maxsize=2)
def _sketching(length: int) -> Tensor:
    """(length, SKETCH) random directions, always the same: the distance of sketches is root mean square over cells."""
    generator = torch.Generator().manual_seed(0)
    directions = torch.randn(length, SKETCH, generator=generator)
    return directions.mul_(math.sqrt(COMPONENTS / (length * SKETCH)))


def _energy(video: Video, grid: tuple[int, int]) -> Tensor:
    """(F, h, w) mean absolute change of grey, over what a change of exposure explains."""
    found = []
    for first in range(0, len(video.frames), _AT_ONCE):
        now = torch.from_numpy(luma(video.frames[first : first + _AT_ONCE])).float()
        change = now - torch.from_numpy(video.earlier[first : first + _AT_ONCE]).float()
        # the median change is that of the exposure, as long as less than half of the picture moves
        change -= change.flatten(1).median(1).values[:, None, None]
        energy = F.adaptive_avg_pool2d(change.abs()[:, None], grid)
        found.append(F.avg_pool2d(energy, 3, stride=1, padding=1, count_include_pad=False)[:, 0])
    energy = torch.cat(found)
    known = np.flatnonzero(video.lags > 0)
    if 0 < len(known) < len(energy):
        energy = energy[known[np.abs(np.arange(len(energy))[:, None] - known).argmin(1)]]
    return energy


def _disturbed(frames: NDArray[np.uint8], nuisance: Nuisance) -> NDArray[np.uint8]:
    if nuisance == Nuisance():
        return frames
    reach = max(abs(nuisance.dx), abs(nuisance.dy))
    padded = np.pad(frames, ((0, 0), (reach, reach), (reach, reach), (0, 0)), mode="edge")
    height, width = frames.shape[1:3]
    y, x = reach - nuisance.dy, reach - nuisance.dx
    shifted = padded[:, y : y + height, x : x + width]
    table = np.clip(np.arange(256) * nuisance.gain, 0, 255).astype(np.uint8)
    moved: NDArray[np.uint8] = table[shifted]
    return moved
