"""Looks: a picture seen at one input size or more, coarse first, and at each of them by several layers of the network.

A layer at a look is a level. Each level is held against its own memory of normal patches.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor

from tools.localization.backbones import Backbone
from tools.localization.features import Features, averaged, join_layers
from tools.localization.imaging import Imaging
from tools.localization.moving import UNMOVED, Offset, moved
from tools.localization.preprocessing import reduced
from tools.localization.template import Grey, grey
from tools.localization.tiles import forward

Pixels = NDArray[np.uint8]


_COMPARED = 480 * 480
"""Pixels at which pictures are compared with a template at least, where they have as many, however small the looks are."""


class Seen(NamedTuple):
    """What the backbone says of one picture."""

    patches: tuple[Tensor, ...]
    """(C, h, w) of each level: the first look's layers, finest first, then those of the next look."""
    embedding: Tensor
    """(D,), of the first look."""
    grey: Grey
    """For the comparison with a template; empty where it was left out."""
    taken: Imaging
    height: int
    """Of the picture, in pixels."""
    width: int
    precision: str
    """In which the backbone saw it."""
    offset: Offset = UNMOVED
    """By which it was moved when the backbone saw it."""

    @property
    def size(self) -> int:
        """In bytes."""
        return self.grey.nbytes + sum(patches.nbytes for patches in self.patches)

    def thinned(self, room: int, generator: torch.Generator, *, grey: bool) -> "Seen":
        """With patches by chance that take so many bytes, (C, 1, n): enough to choose a memory from, but no map any more.

        With or without what a template is made of.
        """
        most = max(1, room // (4 * sum(len(patches) for patches in self.patches)))
        patches = tuple(_thinned(patches, most, generator) for patches in self.patches)
        return self._replace(patches=patches, grey=self.grey if grey else np.empty((0, 0), np.float32))


def see(
    backbone: Backbone, pixels: Pixels, areas: Sequence[int], *, as_texts: bool = False, offset: Offset = UNMOVED
) -> Seen:
    """Look at (H, W, 3) RGB once for each of the input `areas`; with `as_texts`, in the space of texts.

    With an `offset` the backbone sees it moved; all else is of the picture as it is.
    """
    precision, (picture, inputs) = backbone.precision, prepared(backbone, pixels, areas, offset)
    found = [forward(backbone, images, as_texts=as_texts) for images in inputs]
    if backbone.precision != precision:  # It went from a GPU to the CPU in between, for good.
        return see(backbone, pixels, areas, as_texts=as_texts, offset=offset)
    of_looks = (features.layers if as_texts else layers_of(backbone, features) for features in found)
    patches = tuple(layer[0] for layers in of_looks for layer in layers)
    of_grey, (height, width) = grey(picture), pixels.shape[:2]
    taken = Imaging.of(of_grey, height, width)
    return Seen(patches, found[0].embeddings[0], of_grey, taken, height, width, precision, offset)


class Prepared(NamedTuple):
    """A picture before it is looked at."""

    picture: Pixels
    inputs: list[Tensor]
    """(1, 3, h, w) of each look."""


def prepared(backbone: Backbone, pixels: Pixels, areas: Sequence[int], offset: Offset = UNMOVED) -> Prepared:
    """A large picture is resized once for all looks."""
    picture = shrunk(backbone, pixels, areas)
    # By its own number of pixels a picture that was reduced is left as it is; by the area rounding might change its sides.
    own = {} if picture is pixels else {_most(areas): picture.shape[0] * picture.shape[1]}
    shown = moved(picture, offset)
    return Prepared(picture, [backbone.preprocess(shown, own.get(area, area))[None] for area in areas])


def shrunk(backbone: Backbone, pixels: Pixels, areas: Sequence[int]) -> Pixels:
    """(H, W, 3) RGB no larger than it is looked at, or compared with a template."""
    return reduced(pixels, _most(areas), backbone.multiple)


def _most(areas: Sequence[int]) -> int:
    return max(*areas, _COMPARED)


def layers_of(backbone: Backbone, features: Features) -> tuple[Tensor, ...]:
    """(B, C, h, w) of each layer that is held against memories, finest first."""
    return averaged(tuple(features.layers[index] for index in backbone.memory_layers), backbone.neighbourhood)


def joined(backbone: Backbone, features: Features) -> Tensor:
    """(B, C, h, w): the same layers as one, on the finest grid, where one memory has to do for all of them."""
    return join_layers(layers_of(backbone, features))


class Dimensions(NamedTuple):
    """What a backbone gives for any picture."""

    channels: tuple[int, ...]
    """Of a patch of each layer."""
    embedding: int


def dimensions(backbone: Backbone) -> Dimensions:
    """By looking at a small picture of nothing."""
    seen = see(backbone, np.zeros((64, 64, 3), np.uint8), (64 * 64,))
    return Dimensions(tuple(patches.shape[0] for patches in seen.patches), len(seen.embedding))


def on_finest_grid(grids: Sequence[Tensor]) -> Tensor:
    """(h, w) of each level -> (L, h, w), all on the finest grid among them."""
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
