"""References seen as if they had been put down once more: pictures of a still scene do not show how parts come to lie."""

import zlib
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tools.localization.template import Grey

_FARTHEST = 1 / 160
"""Sides of a picture (the root of its area) by which a reference is moved, down or up and to a side, at most but for
rounding to pixels: as much as parts may lie elsewhere where they are compared place by place, three pixels of 480.
"""

_FEWEST = 10
"""References of which half are moved, at fewest: of fewer, most would lie to one side."""

_COMPARED = 320 * 320
"""Pixels at which references are compared, at most: the farthest move is two of them to either side."""

_STILL = 0.5
"""Times what the farthest move changes of a reference, below which its nearest other one is a picture of the same scene.

The median of 54 frames of a camera that stands still is 0.2; the lowest of 19 other kinds of pictures, plots, 0.7.
"""

Pixels = NDArray[np.uint8]


class Offset(NamedTuple):
    """Downwards and to the right, as shares of a picture's side (the root of its area)."""

    down: float
    right: float


UNMOVED = Offset(0.0, 0.0)


def still(references: Iterable[Pixels]) -> bool:
    """Whether (H, W, 3) RGB pictures lie alike to the pixel, as frames of a scene in which nothing moves.

    They do where most of them differ from their nearest other, in mean grey value, by less than half of what they would
    differ from themselves if they were moved. Pictures of other sizes than the first are resized to it.
    """
    greys: list[Grey] = []
    for pixels in references:
        greys.append(_reduced(pixels, greys[0].shape if greys else None))
    if len(greys) < 2:
        return False
    nearest = [min(_difference(grey, other) for other in greys if other is not grey) for grey in greys]
    return float(np.mean([near < _STILL * _of_a_move(grey) for near, grey in zip(nearest, greys, strict=True)])) > 0.5


def _reduced(pixels: Pixels, shape: tuple[int, ...] | None) -> Grey:
    """Brightness, (h, w) as `shape` says, or at most as many pixels as are compared."""
    height, width = shape or pixels.shape[:2]
    scale = 1.0 if shape else min(1.0, (_COMPARED / (height * width)) ** 0.5)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(Image.fromarray(pixels).convert("L").resize(size, Image.Resampling.BOX), np.float32)


def _difference(one: Grey, other: Grey) -> float:
    return float(np.abs(one - other).mean())


def _of_a_move(grey: Grey) -> float:
    """By how much it differs from itself farther down and to the right, where both show something; 0 where it is too small."""
    by, (height, width) = round(_FARTHEST * grey.size**0.5), grey.shape
    return _difference(grey[by:, by:], grey[: height - by, : width - by]) if 0 < by < min(height, width) else 0.0


def offsets_of(sha256s: Iterable[str]) -> dict[str, Offset]:
    """By which each picture of a still scene is moved, by its sha256: half of them are, and none of fewer than ten.

    By chance, and always the same for the same pictures, in whatever order. Pictures of less than 80 pixels a side stay
    where they are, since a pixel would be farther than what is meant.
    """
    names = sorted(set(sha256s))
    others = set(names[1::2] if len(names) >= _FEWEST else [])
    return {name: _offset_of(name) if name in others else UNMOVED for name in names}


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
