"""From a picture to what a frozen network was trained to see."""

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

Channels = tuple[float, float, float]
"""Red, green, blue, for values in 0..1."""


def to_input(pixels: NDArray[np.uint8], area: int, multiple: int, mean: Channels, deviation: Channels) -> Tensor:
    """(H, W, 3) RGB uint8 -> (3, h, w) float32, aspect kept, about `area` pixels, h and w multiples of `multiple`."""
    resized = np.asarray(Image.fromarray(pixels).resize(_size(pixels, area, multiple), Image.Resampling.BICUBIC))
    values = torch.from_numpy(resized.copy()).permute(2, 0, 1).float()
    # Not via 0..1: that would round twice, and the maps of products learned with (v / 127.5 - 1) must stay the same.
    return values.div_(255.0 * _column(deviation)).sub_(_column(mean) / _column(deviation))


def _size(pixels: NDArray[np.uint8], area: int, multiple: int) -> tuple[int, int]:
    """Width and height, as Pillow wants them."""
    height, width = pixels.shape[:2]
    scale = (area / (height * width)) ** 0.5
    return max(1, round(width * scale / multiple)) * multiple, max(1, round(height * scale / multiple)) * multiple


def _column(channels: Channels) -> Tensor:
    return torch.tensor(channels).reshape(3, 1, 1)
