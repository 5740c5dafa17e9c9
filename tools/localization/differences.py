"""How a picture differs from the normal patches that are most like it, level by level."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from tools.localization.anomaly_map import smooth
from tools.localization.features import as_patches
from tools.localization.looks import on_finest_grid
from tools.localization.memory import PatchMemory

_SMALLEST = 1e-6
"""Distances are never 0, so that one level alone cannot veto the others."""


class Difference(NamedTuple):
    """At one level; N = h w patches, row by row."""

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

    @classmethod
    def of_picture(cls, embedding: Tensor, references: Tensor) -> "Difference":
        """Of a whole picture, as one patch: (D,) against that of (N, D) references which is nearest by its cosine."""
        whole, known = F.normalize(embedding, dim=0), F.normalize(references, dim=1)
        difference = whole - known[(known @ whole).argmax()]
        return cls(difference.norm()[None], difference.abs()[None], torch.Size((1, 1)))

    def grid(self, values: Tensor) -> Tensor:
        """Per-patch values, (N,) -> (h, w)."""
        return values.reshape(self.size)


def together(differences: Sequence[Difference]) -> Tensor:
    """(h, w) of the finest level: the geometric mean of the distances.

    A coarse look and a deep layer know what belongs where and are vague about the place, a close look and an early layer
    are sharp and start at every speck; only what all find odd stands out. The coarse map is so the attention with which
    the closer look is read, on the scale of the product, never on that of a picture.
    """
    grids = [difference.grid(difference.distances) for difference in differences]
    return smooth(on_finest_grid(grids)).clamp_min(_SMALLEST).log().mean(0).exp()


class ResidualScale(NamedTuple):
    """What differences of held-out normal parts amount to, at one level.

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
