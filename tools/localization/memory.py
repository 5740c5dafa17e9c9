"""A memory of normal patches: the distance to the nearest one says how unlike the references a patch is."""

import torch
from torch import Tensor

_CANDIDATES = 20_000
"""Patches among which the memory is chosen: enough for its quality, and bounded cost for any number of references."""

_PROJECTION = 64
"""Dimensions of the random projection in which patches are chosen (Johnson-Lindenstrauss; PatchCore section 3.2)."""

_CHUNK = 8192


class PatchMemory:
    """Standardised patches of normal parts; distances to them are exact."""

    def __init__(self, mean: Tensor, deviation: Tensor, patches: Tensor) -> None:
        """`mean` and `deviation` are (C,), `patches` (M, C) already standardised; all float32."""
        self.mean = mean
        self.deviation = deviation
        self.patches = patches
        self._half_squares = patches.square().sum(1) / 2

    @classmethod
    def fit(cls, patches: Tensor, size: int, seed: int) -> "PatchMemory":
        """Choose at most `size` of (N, C) normal patches; the same patches and seed give the same memory."""
        if not torch.isfinite(patches).all():
            raise ValueError("expected finite patch features")
        mean = patches.mean(0)
        deviation = patches.std(0, correction=0).clamp_min(1e-6)
        generator = torch.Generator().manual_seed(seed)
        chosen = torch.randperm(len(patches), generator=generator)[:_CANDIDATES]
        candidates = (patches[chosen] - mean) / deviation
        return cls(mean, deviation, candidates[_k_center(candidates, size, generator)])

    def distances(self, patches: Tensor) -> Tensor:
        """(N, C) patch features -> (N,) Euclidean distance to the nearest memory patch, after standardisation."""
        return torch.cat([self._nearest(chunk) for chunk in patches.split(_CHUNK)])

    def _nearest(self, patches: Tensor) -> Tensor:
        standardised = (patches - self.mean) / self.deviation
        # argmin |q - m|^2 = argmax (q m - |m|^2 / 2): one matrix product. The distance itself is then taken directly:
        # as a difference of large squares it would be noise where a patch is nearly in the memory.
        nearest = torch.addmm(self._half_squares, standardised, self.patches.T, beta=-1.0).argmax(1)
        return (standardised - self.patches[nearest]).square().sum(1).sqrt_()


def _k_center(points: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Indices of `count` points such that every point has a chosen one near (greedy; Sener & Savarese 2018)."""
    if len(points) <= count:
        return torch.arange(len(points))
    projected = points @ torch.randn(points.shape[1], _PROJECTION, generator=generator) / _PROJECTION**0.5
    squares = projected.square().sum(1)
    chosen = [int(torch.randint(len(points), (1,), generator=generator))]
    nearest = torch.full_like(squares, torch.inf)
    while len(chosen) < count:
        newest = projected[chosen[-1]]
        nearest = torch.minimum(nearest, squares - 2 * (projected @ newest) + squares[chosen[-1]])
        chosen.append(int(nearest.argmax()))
    return torch.tensor(chosen)
