"""A memory of normal patches: the distance to the nearest one says how unlike the references a patch is."""

from typing import NamedTuple

import torch
from torch import Tensor

from knowledge import FittedPartError
from tools.localization.projection import Projection

_CANDIDATES = 20_000
"""Patches among which the memory is chosen: enough for its quality, and bounded cost for any number of references."""

_PROJECTION = 64
"""Dimensions of the random projection in which patches are chosen (Johnson-Lindenstrauss; PatchCore section 3.2)."""

_CHUNK = 8192


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
        self._half_squares = patches.square().sum(1) / 2

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
        nearest = torch.addmm(self._half_squares, projected, self.patches.T, beta=-1.0).argmax(1)
        return Nearest((projected - self.patches[nearest]).square().sum(1).sqrt_(), nearest)


def _k_center(points: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Indices of `count` points such that every point has a chosen one near (greedy; Sener & Savarese 2018)."""
    if len(points) <= count:
        return torch.arange(len(points))
    projected = _fewer_dimensions(points, generator)
    squares = projected.square().sum(1)
    chosen = [int(torch.randint(len(points), (1,), generator=generator))]
    nearest = torch.full_like(squares, torch.inf)
    while len(chosen) < count:
        newest = projected[chosen[-1]]
        nearest = torch.minimum(nearest, squares - 2 * (projected @ newest) + squares[chosen[-1]])
        chosen.append(int(nearest.argmax()))
    return torch.tensor(chosen)


def _fewer_dimensions(points: Tensor, generator: torch.Generator) -> Tensor:
    if points.shape[1] <= _PROJECTION:
        return points
    directions = torch.randn(points.shape[1], _PROJECTION, generator=generator) / _PROJECTION**0.5
    return torch.mm(points, directions)
