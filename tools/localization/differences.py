"""How a picture differs from the normal patches that are most like it, look by look."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from tools.localization.anomaly_map import smooth
from tools.localization.features import as_patches
from tools.localization.looks import on_finest_grid
from tools.localization.memory import PatchMemory

_SMALLEST = 1e-6
"""Distances are never 0, so that one look alone cannot veto the others."""


class Difference(NamedTuple):
    """Of one look; N = h w patches, row by row."""

    distances: Tensor
    """(N,) to the nearest memory patch."""
    absolute: Tensor
    """(N, C) per channel, from that patch."""
    size: torch.Size
    """h, w"""

    @classmethod
    def of(cls, patches: Tensor, memory: PatchMemory) -> "Difference":
        """Of (C, h, w) patches."""
        flat = as_patches(patches[None])
        nearest = memory.nearest(flat)
        return cls(nearest.distances, (flat - memory.sources[nearest.indices]).abs_(), patches.shape[1:])

    def grid(self, values: Tensor) -> Tensor:
        """(N,) -> (h, w), smoothed."""
        return smooth(values.reshape(1, *self.size))[0]


def together(differences: Sequence[Difference]) -> Tensor:
    """(h, w) of the finest look: the geometric mean of the distances.

    A coarse look knows what belongs where and is vague about the place, a fine one is sharp and starts at every speck;
    only what both find odd stands out. The coarse map is so the attention with which the closer look is read, on the
    scale of the product, never on that of a picture.
    """
    grids = [difference.grid(difference.distances).clamp_min(_SMALLEST) for difference in differences]
    return on_finest_grid(grids).log().mean(0).exp()


class ResidualScale(NamedTuple):
    """What differences of held-out normal parts amount to, at one look.

    In these units a residual means the same for every product, which is what one set of prompts for all of them needs.
    """

    noise: Tensor
    """(C,) mean absolute difference of each channel."""
    usual: Tensor
    """() median of the logarithm of the distance."""

    @classmethod
    def fit(cls, differences: Iterable[Difference]) -> "ResidualScale":
        """From held-out normal parts, one or more."""
        found = list(differences)
        count = sum(len(difference.distances) for difference in found)
        noise = torch.stack([difference.absolute.sum(0) for difference in found]).sum(0) / count
        return cls(noise.clamp_min(_SMALLEST), torch.cat([_log(difference.distances) for difference in found]).median())

    def encode(self, difference: Difference) -> Tensor:
        """(N, C + 1): compressed difference of each channel, and the logarithm of the distance against the usual one."""
        channels = torch.log1p(difference.absolute / self.noise)
        return torch.cat([channels, (_log(difference.distances) - self.usual)[:, None]], dim=1)


def _log(distances: Tensor) -> Tensor:
    return distances.clamp_min(_SMALLEST).log()
