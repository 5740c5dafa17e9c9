"""What a backbone says of a batch of pictures, and how its layers become patches."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor


class Features(NamedTuple):
    """What a backbone says of a batch of B pictures of one size."""

    layers: tuple[Tensor, ...]
    """Finest first, each (B, C, h, w) float32: one vector a place, from one depth of the network."""
    embeddings: Tensor
    """(B, D) float32: the whole picture, for the search of similar references."""


def averaged(layers: Sequence[Tensor], neighbourhood: int) -> tuple[Tensor, ...]:
    """Each layer averaged over `neighbourhood` (odd) x `neighbourhood` places (Roth et al. 2022, section 3.1).

    Zeros count as places beyond the border. The network's own zeros make what it says of a border noisy: as that is
    drawn towards nothing, it varies less. Averaged over the picture's own places alone, all is detected worse.
    """
    return tuple(F.avg_pool2d(layer, neighbourhood, stride=1, padding=neighbourhood // 2) for layer in layers)


def join_layers(layers: Sequence[Tensor]) -> Tensor:
    """Layers -> (B, C, h, w) patches on the finest grid, C the sum of the layers' channels."""
    size = layers[0].shape[-2:]
    return torch.cat([_resized(layer, size) for layer in layers], dim=1)


def moments(layers: tuple[Tensor, ...]) -> Tensor:
    """Layers -> (B, 2 C): mean and standard deviation of every channel over the picture."""
    found = [torch.std_mean(layer, dim=(2, 3), correction=0) for layer in layers]
    return torch.cat([mean for _, mean in found] + [deviation for deviation, _ in found], dim=1)


def as_patches(features: Tensor) -> Tensor:
    """(B, C, h, w) -> (B h w, C), row by row."""
    return features.permute(0, 2, 3, 1).reshape(-1, features.shape[1])


def _resized(layer: Tensor, size: torch.Size) -> Tensor:
    return layer if layer.shape[-2:] == size else F.interpolate(layer, size=size, mode="bilinear", align_corners=False)
