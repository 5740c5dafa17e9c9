"""References seen as if they had been put down once more: pictures of a still scene do not show how parts come to lie."""

import zlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_FARTHEST = 1 / 160
"""Sides of a picture (the root of its area) by which a reference is moved, down or up and to a side, at most but for
rounding to pixels: as much as parts may lie elsewhere where they are compared place by place, three pixels of 480.
"""

_FEWEST = 10
"""References of which every second one is moved."""

Pixels = NDArray[np.uint8]


class Offset(NamedTuple):
    """Downwards and to the right, as shares of a picture's side (the root of its area)."""

    down: float
    right: float


UNMOVED = Offset(0.0, 0.0)


def offsets_of(pictures: Sequence[str]) -> list[Offset]:
    """For each of the pictures, by their sha256: every second one is moved, and none of fewer than ten.

    By chance, and always the same for the same picture. Few would be moved to one side, where nothing lies.
    """
    if len(pictures) < _FEWEST:
        return [UNMOVED] * len(pictures)
    return [_offset_of(sha256) if number % 2 else UNMOVED for number, sha256 in enumerate(pictures)]


def _offset_of(sha256: str) -> Offset:
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
