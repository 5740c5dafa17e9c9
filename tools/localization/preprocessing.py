"""From a picture to what a frozen network was trained to see."""

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor

Pixels = NDArray[np.uint8]

Channels = tuple[float, float, float]
"""Red, green, blue, for values in 0..1."""


def reduced(pixels: Pixels, area: int, multiple: int) -> Pixels:
    """(H, W, 3) RGB uint8 -> as `to_input` sizes it, or as it is where it has no more than `area` pixels or would grow."""
    before, (height, width) = pixels.shape[0] * pixels.shape[1], _size(pixels, area, multiple)
    if before <= max(area, height * width):
        return pixels
    return np.ascontiguousarray(_resized(pixels, height, width).numpy())


def to_input(pixels: Pixels, area: int, multiple: int, mean: Channels, deviation: Channels) -> Tensor:
    """(H, W, 3) RGB uint8 -> (3, h, w) float32, about `area` pixels, h and w multiples of `multiple`, one at least.

    The aspect is kept but for rounding, which is much where a picture is so narrow that a side is a single multiple.
    """
    height, width = _size(pixels, area, multiple)
    # Row by row, and channels last in memory, as networks want them: broadcast over three channels it would take longer.
    rows = _resized(pixels, height, width).reshape(height, 3 * width).float()
    rows.mul_(1 / (255.0 * _row(deviation, width))).sub_(_row(mean, width) / _row(deviation, width))
    return rows.reshape(height, width, 3).permute(2, 0, 1)


def _resized(pixels: Pixels, height: int, width: int) -> Tensor:
    """(H, W, 3) -> (height, width, 3) uint8."""
    picture = torch.from_numpy(pixels.copy())
    if picture.shape[:2] == (height, width):
        return picture
    # torch resizes bytes three to five times faster than Pillow, to the same pixels give or take two of 255 levels,
    # if a batch of one is made before channels come first: otherwise it does not see how they lie, and copies.
    batch = picture[None].permute(0, 3, 1, 2)
    resized = F.interpolate(batch, size=(height, width), mode="bicubic", antialias=True, align_corners=False)
    return resized[0].permute(1, 2, 0)


def _size(pixels: Pixels, area: int, multiple: int) -> tuple[int, int]:
    """Height and width."""
    height, width = pixels.shape[:2]
    scale = (area / (height * width)) ** 0.5
    return max(1, round(height * scale / multiple)) * multiple, max(1, round(width * scale / multiple)) * multiple


def _row(channels: Channels, width: int) -> Tensor:
    return torch.tensor(channels).repeat(width)
