"""A memory of normal patches: the distance to the nearest one says how unlike the references a patch is."""

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor

from knowledge import FittedPartError
from tools.localization.projection import Projection

_CANDIDATES = 20_000
"""Patches among which the memory is chosen: enough for its quality, and bounded cost for any number of references."""

_PROJECTION = 64
"""Dimensions of the random projection in which patches are chosen (Johnson-Lindenstrauss; PatchCore section 3.2)."""

_FARTHEST = 128
"""Candidates among which the next patches are chosen, until all candidates are looked at again."""

_CHUNK = 1024
"""Patches compared at once, so that the comparisons stay in a processor's cache."""


class Nearest(NamedTuple):
    """The memory patch that is nearest to each of N patches."""

    distances: Tensor
    """(N,) Euclidean, after projection."""
    indices: Tensor
    """(N,) int64"""


class PatchMemory:
    """Projected patches of normal parts; distances to them are exact."""

    def __init__(self, projection: Projection, patches: Tensor, sources: Tensor) -> None:
        """`patches` (M, D) float32 are the `sources` (M, C) float32, projected."""
        self.projection = projection
        self.patches = patches
        self.sources = sources
        self._bias = patches.square().sum(1) / -2

    @classmethod
    def fit(
        cls, patches: Tensor, size: int, seed: int, *, components: int | None = None, whiten: bool = False
    ) -> "PatchMemory":
        """Choose at most `size` of (N, C) normal patches; the same patches and seed give the same memory."""
        if not torch.isfinite(patches).all():
            raise FittedPartError(
                "the backbone's features are not finite numbers; its weights are damaged, give others"
            )
        generator = torch.Generator().manual_seed(seed)
        candidates = patches[torch.randperm(len(patches), generator=generator)[:_CANDIDATES]]
        projection = Projection.fit(candidates, components, whiten=whiten)
        projected = projection(candidates)
        chosen = _k_center(projected, size, generator)
        return cls(projection, projected[chosen], candidates[chosen])

    def nearest(self, patches: Tensor) -> Nearest:
        """The nearest memory patch of each of (N, C) patch features."""
        found = [self._nearest(chunk) for chunk in patches.split(_CHUNK)]
        return Nearest(torch.cat([each.distances for each in found]), torch.cat([each.indices for each in found]))

    def _nearest(self, patches: Tensor) -> Nearest:
        projected = self.projection(patches)
        # argmin |q - m|^2 = argmax (q m - |m|^2 / 2): one matrix product. The distance itself is then taken directly:
        # as a difference of large squares it would be noise where a patch is nearly in the memory.
        likeness = F.linear(projected, self.patches, self._bias)
        nearest = torch.from_numpy(likeness.numpy().argmax(1))  # NumPy's is several times faster than torch's.
        return Nearest((projected - self.patches.index_select(0, nearest)).norm(dim=1), nearest)


def _k_center(points: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Indices of `count` points such that every point has a chosen one near (greedy; Sener & Savarese 2018).

    Each is the farthest from all before it. Points only come nearer as more are chosen, so the farthest stays among the
    few that were farthest until all of those have come nearer than the nearest of them was: until then nothing but these
    few need be looked at.
    """
    if len(points) <= count:
        return torch.arange(len(points))
    projected = _fewer_dimensions(points, generator)
    squares = projected.square().sum(1)
    chosen = newest = [int(torch.randint(len(points), (1,), generator=generator))]
    nearest = torch.full_like(squares, torch.inf)
    while len(chosen) < count:
        nearest = torch.minimum(nearest, _squared_distances(projected, squares, newest).amin(1))
        few = nearest.topk(min(_FARTHEST, len(points)), sorted=False)
        between = _squared_distances(projected[few.indices], squares[few.indices], slice(None))
        found = _farthest_in_turn(few.values.numpy(), between.numpy(), count - len(chosen))
        newest = few.indices[found].tolist()
        chosen = chosen + newest
    return torch.tensor(chosen)


def _squared_distances(points: Tensor, squares: Tensor, to: list[int] | slice) -> Tensor:
    """(N, D), their (N,) squared lengths, and M of them -> (N, M)."""
    return torch.addmm(squares[to], points, points[to].T, alpha=-2.0) + squares[:, None]


def _farthest_in_turn(nearest: NDArray[np.float32], between: NDArray[np.float32], most: int) -> list[int]:
    """Greedy choice among points with `nearest` (N,) distances to those chosen before, while it is sure to be right."""
    floor = nearest.min()
    found: list[int] = []
    while len(found) < most:
        farthest = int(nearest.argmax())
        if found and nearest[farthest] < floor:
            break
        found.append(farthest)
        nearest = np.minimum(nearest, between[farthest])
    return found


def _fewer_dimensions(points: Tensor, generator: torch.Generator) -> Tensor:
    if points.shape[1] <= _PROJECTION:
        return points
    directions = torch.randn(points.shape[1], _PROJECTION, generator=generator) / _PROJECTION**0.5
    return torch.mm(points, directions)
