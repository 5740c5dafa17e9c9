"""Large and elongated inputs, seen in overlapping tiles: bounded memory, and no side far longer than a network knows."""

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from tools.localization.backbones import Backbone
from tools.localization.features import Features

_LONGEST = 800
"""Sides up to this many pixels are seen whole."""

_TILE = 640
"""Pixels of a tile's side at most, about: as many tiles as that takes share the length evenly."""
_OVERLAP = 128
"""Pixels that neighbours share; half of it, at either border, is seen by both and kept of the one that sees more around."""


class _Span(NamedTuple):
    """A tile along one axis, in pixels of the input."""

    start: int
    stop: int
    kept_from: int
    kept_to: int


def forward(backbone: Backbone, images: Tensor, *, as_texts: bool = False) -> Features:
    """What `Backbone.forward` or `as_texts` says of (1, 3, h, w), in tiles where a side is longer than 800 pixels.

    The embedding is then the mean of the tiles', of length one.
    """
    look = backbone.as_texts if as_texts else backbone.forward
    height, width = images.shape[-2:]
    if max(height, width) <= _LONGEST:
        return look(images)
    rows, columns = (_spans(length, backbone.multiple) for length in (height, width))
    seen = [[look(images[..., row.start : row.stop, column.start : column.stop]) for column in columns] for row in rows]
    layers = tuple(
        torch.cat(
            [
                torch.cat(
                    [_kept(tile.layers[layer], row, column) for tile, column in zip(of_row, columns, strict=True)], 3
                )
                for of_row, row in zip(seen, rows, strict=True)
            ],
            2,
        )
        for layer in range(len(seen[0][0].layers))
    )
    embeddings = torch.stack([tile.embeddings for of_row in seen for tile in of_row]).mean(0)
    return Features(layers, F.normalize(embeddings, dim=1))


def _spans(length: int, multiple: int) -> Sequence[_Span]:
    """Tiles of one length that cover an axis, as evenly as multiples allow; what is kept of them parts it without gaps."""
    if length <= _LONGEST:
        return [_Span(0, length, 0, length)]
    count = math.ceil((length - _OVERLAP) / (_TILE - _OVERLAP))
    tile = math.ceil((length + (count - 1) * _OVERLAP) / count / multiple) * multiple
    last = length - tile
    starts = [round(last * number / (count - 1) / multiple) * multiple for number in range(count)]
    borders = [(left + tile + right) // 2 // multiple * multiple for left, right in itertools.pairwise(starts)]
    return [
        _Span(start, start + tile, kept_from, kept_to)
        for start, kept_from, kept_to in zip(starts, [0, *borders], [*borders, length], strict=True)
    ]


def _kept(layer: Tensor, row: _Span, column: _Span) -> Tensor:
    """The part of a tile's layer, (1, C, h, w), that no other tile is kept for."""
    rows, columns = (_places(span, size) for span, size in zip((row, column), layer.shape[-2:], strict=True))
    return layer[..., rows, columns]


def _places(span: _Span, size: int) -> slice:
    """Pixels of the input -> places of a layer that has `size` of them along the tile."""
    stride = (span.stop - span.start) // size
    return slice((span.kept_from - span.start) // stride, (span.kept_to - span.start) // stride)
