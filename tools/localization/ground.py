"""The even ground on which a part lies, where there is one: it is no reason to look at the part from farther away."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]

_AREA = 128 * 128
"""Pixels to which a picture is averaged, at most: less noise, and still the outline of a part."""

_EVEN = 8.0
"""Grey levels of 255 by which an even ground varies at most, in each channel, averaged; half of its own pixels likewise."""

_BORDER = 0.95
"""Share of the outermost pixels that are ground, at least."""

_MARK = 0.05
"""Share of the picture below which what differs from its border is rather a mark on an even part."""


def without_ground(pixels: Pixels) -> Pixels:
    """(H, W, 3) RGB cut to the box around all but the ground, which is what the border shows; a view.

    All of the picture where its border is not even, or where the box is so small that what is in it may as well be a hole
    or a print on an even part.
    """
    height, width = pixels.shape[:2]
    small = _averaged(pixels)
    level = np.median(_border(small), axis=0)
    differs = np.abs(small - level).max(axis=2) > _EVEN
    if _border(differs).mean() > 1 - _BORDER or np.median(np.abs(_border(pixels) - level)) > _EVEN:
        return pixels
    rows, columns = (np.flatnonzero(differs.any(axis)) for axis in (1, 0))
    if not rows.size:
        return pixels
    top, bottom = rows[0] * height // len(small), -(-(rows[-1] + 1) * height // len(small))
    left, right = columns[0] * width // small.shape[1], -(-(columns[-1] + 1) * width // small.shape[1])
    box = pixels[top:bottom, left:right]
    return pixels if box.size < _MARK * pixels.size else box


def _border(picture: NDArray[Any]) -> NDArray[Any]:
    """The outermost pixels, in a row."""
    inner = np.zeros(picture.shape[:2], np.bool_)
    inner[1:-1, 1:-1] = True
    return picture[~inner]


def _averaged(pixels: Pixels) -> NDArray[np.float32]:
    """(h, w, 3), at most as many pixels as the outline takes."""
    height, width = pixels.shape[:2]
    scale = min(1.0, (_AREA / (height * width)) ** 0.5)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BOX), np.float32)
