"""From a picture to what a frozen network was trained to see."""

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor

Channels = tuple[float, float, float]
"""Red, green, blue, for values in 0..1."""


def to_input(pixels: NDArray[np.uint8], area: int, multiple: int, mean: Channels, deviation: Channels) -> Tensor:
    """(H, W, 3) RGB uint8 -> (3, h, w) float32, about `area` pixels, h and w multiples of `multiple`, one at least.

    The aspect is kept but for rounding, which is much where a picture is so narrow that a side is a single multiple.
    """
    height, width = _size(pixels, area, multiple)
    # torch resizes bytes three to five times faster than Pillow, to the same pixels give or take two of 255 levels.
    channels = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None]
    resized = F.interpolate(channels, size=(height, width), mode="bicubic", antialias=True, align_corners=False)[0]
    return resized.float().mul_(1 / (255.0 * _column(deviation))).sub_(_column(mean) / _column(deviation))


def _size(pixels: NDArray[np.uint8], area: int, multiple: int) -> tuple[int, int]:
    """Height and width."""
    height, width = pixels.shape[:2]
    scale = (area / (height * width)) ** 0.5
    return max(1, round(height * scale / multiple)) * multiple, max(1, round(width * scale / multiple)) * multiple


def _column(channels: Channels) -> Tensor:
    return torch.tensor(channels).reshape(3, 1, 1)
