"""The normal course of a product's videos, and in what ways other moments are unlike it.

Five signs of an anomaly, each over cells of frames:
- `look`: no normal frame looks like this at this place (a memory of patches for each place, after PatchCore, Roth et
  al. 2022), wherever in the course it may be;
- `moment`: the normal frames that are most like this one as a whole look otherwise at this place: something is missing
  or misplaced at this moment, though it may be normal at another;
- `order`: each frame is normal, but not after what came before and before what comes after (delay embedding, Takens
  1981): the process stopped, jumped, or ran backwards;
- `restless`: something moves more than it ever did here;
- `still`: the picture as a whole moves less than it ever did.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor

from tools.motion.moments import Moments, around, with_border

SIGNS = ("look", "moment", "order", "restless", "still")

DELAY = 0.4
"""Seconds before and after a frame at which its course is looked at, where frames are dense enough for that."""

MEMORY_FRAMES = 160
"""Normal frames that are remembered at most, chosen so that every normal frame has a remembered one near."""

_CANDIDATES = 3
"""Of the normal frames that are most like one as a whole, how many may explain a place of it."""

_FRAMES_AT_ONCE = 128

_NOISE = 1.0
"""Grey levels of change that are no motion."""
_STILL_NOISE = 0.25
"""The same of a whole picture, where noise averages out."""
_QUIET_SHARE = 0.2
"""Of the cells of a frame, those that change least: what they change by is the camera's noise."""
_WINDOW = 1.0
"""Seconds over which a picture's motion is averaged."""
_RIGHT_HERE = 0.15
"""Seconds on either side that count as the moment of a frame itself."""


class Course(NamedTuple):
    """What is remembered of normal videos, K frames of them."""

    cells: Tensor
    """(K, h, w, D) float16"""
    sketches: Tensor
    """(K, S) float32"""
    triples: Tensor
    """(K, 3 S) float32: sketches shortly before, at, and shortly after each frame; zeros where there are none."""
    has_triple: Tensor
    """(K,) bool"""
    ceiling: Tensor
    """(h, w) float32: the most that moved at each cell, in grey levels."""
    moving: Tensor
    """(h, w) float32: how much moved on average."""
    floor: Tensor
    """(1,) float32: the least that the picture as a whole moved over a second."""
    delay: Tensor
    """(1,) float32: seconds between the three sketches of a triple."""

    @classmethod
    def of(cls, moments: Moments, delay: float = DELAY, most: int = MEMORY_FRAMES) -> "Course":
        """The normal course that one video shows, or a stretch of it."""
        triples, has = triples_of(moments, delay)
        whole = cls(
            moments.cells,
            moments.sketches,
            triples,
            has,
            F.max_pool2d(moments.energy.amax(0)[None], 3, stride=1, padding=1)[0],
            moments.energy.mean(0),
            whole_motion(moments).min()[None],
            torch.tensor([delay], dtype=torch.float32),
        )
        return whole._thinned(most)

    @classmethod
    def joined(cls, courses: Sequence["Course"], most: int = MEMORY_FRAMES) -> "Course":
        """One course that knows what several show."""
        return cls(
            torch.cat([course.cells for course in courses]),
            torch.cat([course.sketches for course in courses]),
            torch.cat([course.triples for course in courses]),
            torch.cat([course.has_triple for course in courses]),
            torch.stack([course.ceiling for course in courses]).amax(0),
            torch.stack([course.moving for course in courses]).mean(0),
            torch.cat([course.floor for course in courses]).amin(0, keepdim=True),
            courses[0].delay,
        )._thinned(most)

    def _thinned(self, most: int) -> "Course":
        points = torch.where(self.has_triple[:, None], self.triples, self.sketches.repeat(1, 3))
        kept = _k_center(points, most)
        return self._replace(
            cells=self.cells[kept],
            sketches=self.sketches[kept],
            triples=self.triples[kept],
            has_triple=self.has_triple[kept],
        )

    def signs(self, moments: Moments) -> Tensor:
        """(5, F, h, w) float32: how strong each of `SIGNS` is, in units of its own."""
        look, moment = self._looks(moments)
        height, width = look.shape[1:]
        order = self._order(moments)[:, None, None] * self._share_of_motion()
        restless = torch.log((moments.energy + _NOISE) / (self.ceiling + _NOISE))
        still = torch.log((self.floor + _STILL_NOISE) / (whole_motion(moments) + _STILL_NOISE))
        still = still[:, None, None] * self._share_of_motion()
        return torch.stack([look, moment, order, restless, still.expand(-1, height, width)])

    def _looks(self, moments: Moments) -> tuple[Tensor, Tensor]:
        """(F, h, w) distances: to the nearest of all remembered frames, and to the nearest of those alike as a whole."""
        frames, height, width, _ = moments.cells.shape
        padded, candidates = with_border(self.cells), self._candidates(moments)
        look, moment = torch.empty(frames, height, width), torch.empty(frames, height, width)
        # a row and some frames at a time: all at once would not fit into memory
        for y in range(height):
            memory = around(padded, y).flatten(0, 1).transpose(0, 1)
            for some in torch.arange(frames).split(_FRAMES_AT_ONCE):
                cells = moments.cells[some, y].transpose(0, 1).float()
                by_frame = torch.cdist(cells, memory).view(width, len(some), len(self.cells), 9).amin(3)
                look[some, y] = by_frame.amin(2).T
                moment[some, y] = by_frame.gather(2, candidates[some].expand(width, -1, -1)).amin(2).T
        return _smooth(look), _smooth(moment)

    def _candidates(self, moments: Moments) -> Tensor:
        """(F, n) the remembered frames that are most like each frame as a whole."""
        count = min(_CANDIDATES, len(self.cells))
        return torch.cdist(moments.sketches, self.sketches).topk(count, largest=False).indices

    def _order(self, moments: Moments) -> Tensor:
        """(F,) how far a frame and its neighbours in time are from any normal three, beyond how far each is alone."""
        triples, has = triples_of(moments, float(self.delay))
        if not (has.any() and self.has_triple.any()):
            return torch.zeros(len(has))
        together = torch.cdist(triples, self.triples[self.has_triple]).amin(1).square()
        alone = torch.cdist(triples.view(-1, self.sketches.shape[1]), self.sketches).amin(1).square().view(-1, 3).sum(1)
        excess = (together - alone).clamp_min(0).sqrt()
        return torch.where(has, excess, torch.zeros(()))

    def _share_of_motion(self) -> Tensor:
        """(h, w) in 0..1: where the normal course shows, so that what is wrong with it is put there."""
        return (self.moving / self.moving.max().clamp_min(1e-6)).clamp(0, 1)


def triples_of(moments: Moments, delay: float) -> tuple[Tensor, Tensor]:
    """(F, 3 S) sketches `delay` seconds before, at and after each frame, and (F,) whether there are frames that near."""
    times = moments.times
    before, after = nearest_in_time(times, times - delay), nearest_in_time(times, times + delay)
    known = np.maximum(np.abs(times - delay - times[before]), np.abs(times + delay - times[after])) < 0.3 * delay
    found = torch.cat([moments.sketches[before], moments.sketches, moments.sketches[after]], 1)
    has = torch.from_numpy(known)
    return torch.where(has[:, None], found, torch.zeros(())), has


def nearest_in_time(times: NDArray[np.float64], wanted: NDArray[np.float64]) -> NDArray[np.int64]:
    """For each wanted time the number of the frame that is nearest."""
    after = np.clip(np.searchsorted(times, wanted), 1, len(times) - 1)
    earlier = wanted - times[after - 1] <= times[after] - wanted
    return np.asarray(after - earlier, np.int64)


def whole_motion(moments: Moments) -> Tensor:
    """(F,) how much the picture moves beyond its noise, in grey levels.

    Over that second around a frame that has least, so that a stop counts from its first to its last moment; but no less
    than right at the frame, so that it does not count before.
    """
    energy, times = moments.energy.flatten(1), moments.times
    motion = (energy - energy.quantile(_QUIET_SHARE, dim=1, keepdim=True)).clamp_min(0).mean(1).double().numpy()
    from_here = _mean_over(motion, times, 0.0, _WINDOW)
    from_here[times + _WINDOW > times[-1] + 1e-6] = np.inf
    first = np.searchsorted(times, times - _WINDOW - 1e-6, side="left")
    least = np.array([from_here[begin : number + 1].min() for number, begin in enumerate(first)])
    # a video of less than a second has none
    least = np.where(np.isfinite(least), least, motion.mean())
    return torch.from_numpy(np.maximum(least, _mean_over(motion, times, -_RIGHT_HERE, _RIGHT_HERE))).float()


def _mean_over(
    motion: NDArray[np.float64], times: NDArray[np.float64], begin: float, end: float
) -> NDArray[np.float64]:
    """(F,) mean from `begin` to `end` seconds after each frame."""
    sums = np.concatenate([[0.0], np.cumsum(motion)])
    first = np.searchsorted(times, times + begin - 1e-6, side="left")
    last = np.searchsorted(times, times + end + 1e-6, side="right")
    return np.asarray((sums[last] - sums[first]) / (last - first), np.float64)


def _smooth(distances: Tensor) -> Tensor:
    """(F, h, w) averaged over 3 x 3 cells: one odd cell is noise, an anomaly has neighbours."""
    return F.avg_pool2d(distances[:, None], 3, stride=1, padding=1, count_include_pad=False)[:, 0]


def _k_center(points: Tensor, count: int) -> Tensor:
    """Numbers, ascending, of `count` points such that every point has a chosen one near (greedy; Gonzalez 1985)."""
    if len(points) <= count:
        return torch.arange(len(points))
    chosen = [0]
    nearest = (points - points[0]).square().sum(1)
    while len(chosen) < count:
        chosen.append(int(nearest.argmax()))
        nearest = torch.minimum(nearest, (points - points[chosen[-1]]).square().sum(1))
    return torch.tensor(sorted(chosen))
