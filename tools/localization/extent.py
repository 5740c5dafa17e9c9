"""How much of a picture a part takes, where it lies on an even ground."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]

_AREA = 128 * 128
"""Pixels to which a picture is averaged, at most: less noise, and still the outline of a part."""

_EVEN = 8.0
"""Grey levels of 255 by which an even ground varies at most, in each channel; grain of paper and metal varies by more."""

_BORDER = 0.95
"""Share of the picture's outermost pixels that are ground, at least; a part that runs out of the picture takes all of it."""


def extent(pixels: Pixels) -> float:
    """Share of (H, W, 3) RGB that the box around all but the ground takes, in (0, 1].

    The ground is what the border shows. It is 1 where that is not even, and where there is nothing but ground: nobody can
    tell that from a part without any texture.
    """
    small = _averaged(pixels)
    border = np.ones(small.shape[:2], np.bool_)
    border[1:-1, 1:-1] = False
    level = np.median(small[border], axis=0)
    part = np.abs(small - level).max(axis=2) > _EVEN
    if part[border].mean() > 1 - _BORDER or not part.any():
        return 1.0
    rows, columns = (np.flatnonzero(part.any(axis)) for axis in (1, 0))
    return float((np.ptp(rows) + 1) * (np.ptp(columns) + 1) / part.size)


def _averaged(pixels: Pixels) -> NDArray[np.float32]:
    """(h, w, 3), at most as many pixels as the outline takes."""
    height, width = pixels.shape[:2]
    scale = min(1.0, (_AREA / (height * width)) ** 0.5)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BOX), np.float32)
