"""References seen as if they had been put down once more: pictures of a still scene do not show how parts come to lie."""

import zlib
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_FARTHEST = 1 / 160
"""Sides of a picture (the root of its area) by which a reference is moved at most, down or up and to a side: the three
pixels of 480 by which parts may lie elsewhere where they are compared place by place.
"""

Pixels = NDArray[np.uint8]


class Offset(NamedTuple):
    """Downwards and to the right, as shares of a picture's side (the root of its area)."""

    down: float
    right: float


UNMOVED = Offset(0.0, 0.0)


def offset_of(sha256: str) -> Offset:
    """By chance, and always the same for the same picture."""
    random = np.random.default_rng(zlib.crc32(sha256.encode()))
    return Offset(*random.uniform(-_FARTHEST, _FARTHEST, 2).tolist())


def moved(pixels: Pixels, offset: Offset) -> Pixels:
    """(H, W, 3) by whole pixels; what comes in repeats the border."""
    side = (pixels.shape[0] * pixels.shape[1]) ** 0.5
    down, right = (round(share * side) for share in offset)
    if not down and not right:
        return pixels
    rows, columns = (
        np.clip(np.arange(length) - by, 0, length - 1) for length, by in zip(pixels.shape, (down, right), strict=False)
    )
    return np.ascontiguousarray(pixels[rows[:, None], columns])
