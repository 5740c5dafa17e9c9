"""Looks: a picture seen at one input size or more, coarse first, each against its own memory of normal patches."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor

from tools.localization.backbones import Backbone
from tools.localization.features import Features, join
from tools.localization.template import Grey, grey
from tools.localization.tiles import forward

Pixels = NDArray[np.uint8]


class Seen(NamedTuple):
    """What the backbone says of one picture."""

    patches: tuple[Tensor, ...]
    """(C, h, w) of each look, coarse first."""
    embedding: Tensor
    """(D,), of the first look."""
    grey: Grey
    """For the comparison with a template."""
    height: int
    """Of the picture, in pixels."""
    width: int

    def thinned(self, most: int, generator: torch.Generator) -> "Seen":
        """With at most so many patches of each look, (C, 1, n): enough to choose a memory from, but no map any more."""
        return self._replace(patches=tuple(_thinned(patches, most, generator) for patches in self.patches))


def see(backbone: Backbone, pixels: Pixels, areas: Sequence[int]) -> Seen:
    """Look at (H, W, 3) RGB once for each of the input `areas`."""
    found = [forward(backbone, backbone.preprocess(pixels, area)[None]) for area in areas]
    patches = tuple(patches_of(backbone, features)[0] for features in found)
    return Seen(patches, found[0].embeddings[0], grey(pixels), *pixels.shape[:2])


def patches_of(backbone: Backbone, features: Features) -> Tensor:
    """(B, C, h, w): the layers that the memory of normal patches joins."""
    return join(tuple(features.layers[index] for index in backbone.memory_layers), backbone.neighbourhood)


def dimensions(backbone: Backbone) -> tuple[int, int]:
    """Channels of a patch, and of the embedding of a picture."""
    seen = see(backbone, np.zeros((64, 64, 3), np.uint8), (64 * 64,))
    return seen.patches[0].shape[0], len(seen.embedding)


def on_finest_grid(grids: Sequence[Tensor]) -> Tensor:
    """(h, w) of each look -> (L, h, w), all on the finest grid among them."""
    finest = max((grid.shape for grid in grids), key=lambda shape: shape.numel())
    return torch.stack([_resized(grid, finest) for grid in grids])


def _thinned(patches: Tensor, most: int, generator: torch.Generator) -> Tensor:
    count = patches.shape[1] * patches.shape[2]
    if count <= most:
        return patches
    return patches.flatten(1)[:, torch.randperm(count, generator=generator)[:most], None].transpose(1, 2)


def _resized(grid: Tensor, size: torch.Size) -> Tensor:
    if grid.shape == size:
        return grid
    return F.interpolate(grid[None, None], size=size, mode="bilinear", align_corners=False)[0, 0]
