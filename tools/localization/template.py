"""Comparison with registered templates: where parts lie in the same place on every picture, what differs is odd."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from torch import Tensor

from tools.localization.anomaly_map import smooth

_AREA = 640 * 640
"""Pixels at which pictures are compared; smaller ones are compared as they are."""

_TOLERANCE = 7
"""Side of the neighbourhood in which a grey value may lie elsewhere: jitter of edges and of the fixture."""

_VISIBLE = 1e-3
"""Mean difference of grey values, as a share of white, that doubles what a difference counts from there on."""

Pixels = NDArray[np.uint8]
Grey = NDArray[np.float32]


class Template(NamedTuple):
    """The grey values that a normal part may have at each place, (h, w) float32, 0 .. 1."""

    lowest: Grey
    highest: Grey

    @classmethod
    def fit(cls, pictures: Iterable[Grey]) -> "Template":
        """From the grey pictures (see `grey`) of one normal part or more; those of other sizes are resized to the first."""
        first, *others = pictures
        sized = [first, *(_resized(picture, first.shape) for picture in others)]
        lowest = ndimage.minimum_filter(np.min(sized, axis=0), _TOLERANCE)
        highest = ndimage.maximum_filter(np.max(sized, axis=0), _TOLERANCE)
        return cls(lowest, highest)

    @classmethod
    def of(cls, pixels: Pixels) -> "Template":
        """Of one (H, W, 3) RGB picture of a normal part."""
        return cls.fit([grey(pixels)])

    def difference(self, picture: Grey) -> Grey:
        """How far each grey value of a picture lies outside of what is normal at its place, (h, w), 0 .. 1."""
        values = _resized(picture, self.lowest.shape)
        outside: Grey = np.maximum(np.maximum(values - self.highest, self.lowest - values), 0)
        return outside

    def raised(self, distances: Tensor, picture: Grey) -> Tensor:
        """(h, w) distances, raised where the picture differs from the template and left as they are where it does not.

        Distance and difference are multiplied, each with its square root, so that neither finds an anomaly alone.
        """
        height, width = distances.shape
        difference = torch.from_numpy(self.difference(picture))[None, None]
        visible = smooth(F.adaptive_avg_pool2d(difference, (height, width))[0])[0] / _VISIBLE
        return distances * (1 + visible).sqrt()


def grey(pixels: Pixels) -> Grey:
    """(H, W, 3) RGB -> brightness at the size at which pictures are compared, (h, w) float32, 0 .. 1."""
    height, width = pixels.shape[:2]
    scale = min(1.0, (_AREA / (height * width)) ** 0.5)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    image = Image.fromarray(pixels).convert("L")
    values = np.asarray(image.resize(size, Image.Resampling.BOX), np.float32)
    return values / np.float32(255)


def _resized(picture: Grey, shape: tuple[int, ...]) -> Grey:
    if picture.shape == shape:
        return picture
    image = Image.fromarray(picture).resize((shape[1], shape[0]), Image.Resampling.BILINEAR)
    return np.asarray(image, np.float32)
