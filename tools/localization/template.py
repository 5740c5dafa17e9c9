"""Comparison with registered templates: where parts lie in the same place on every picture, what differs is odd."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from torch import Tensor

from tools.localization.anomaly_map import smooth
from tools.localization.saved import expect

_AREA = 640 * 640
"""Pixels at which pictures are compared at most; smaller ones are compared as they are."""

_TOLERANCE = 7
"""Side of the neighbourhood in which a grey value may lie elsewhere: jitter of edges and of the fixture."""

VISIBLE = 1e-3
"""Mean difference of grey values, as a share of white, that counts where nobody knows by how much normal parts differ."""

Pixels = NDArray[np.uint8]
Grey = NDArray[np.float32]


class Template(NamedTuple):
    """The grey values that a normal part may have at each place, (h, w) float32, 0 .. 1."""

    lowest: Grey
    highest: Grey
    visible: float = VISIBLE
    """Mean difference of grey values that counts, as a share of white."""

    @classmethod
    def fit(cls, pictures: Iterable[Grey]) -> "Template":
        """From the grey pictures (see `grey`) of one normal part or more; those of other sizes are resized to the first."""
        first, *others = pictures
        lowest = highest = first
        for picture in others:
            sized = _resized(picture, first.shape)
            lowest, highest = np.minimum(lowest, sized), np.maximum(highest, sized)
        return cls(ndimage.minimum_filter(lowest, _TOLERANCE), ndimage.maximum_filter(highest, _TOLERANCE))

    def difference(self, picture: Grey) -> Grey:
        """How far each grey value of a picture lies outside of what is normal at its place, (h, w), 0 .. 1."""
        values, lowest, highest = map(
            torch.from_numpy, (_resized(picture, self.lowest.shape), self.lowest, self.highest)
        )
        return values.clamp(lowest, highest).sub_(values).abs_().numpy()

    def raised(self, distances: Tensor, picture: Grey) -> Tensor:
        """(h, w) distances, raised where the picture differs from the template and left as they are where it does not.

        The difference counts by its logarithm, so that what is stark does not hide the rest of a defect beside it.
        """
        return distances * (1 + (self._on_grid(picture, distances.shape) / self.visible).log1p())

    @property
    def allowed(self) -> float:
        """Share of all grey values that are normal at a place, on average."""
        return float((self.highest - self.lowest).mean())

    def largest(self, picture: Grey, size: torch.Size) -> float:
        """The largest difference among the cells of a grid of that `size`, h and w."""
        return float(self._on_grid(picture, size).max())

    def tensors(self) -> dict[str, Tensor]:
        """To be saved."""
        return {
            "template.lowest": torch.from_numpy(self.lowest),
            "template.highest": torch.from_numpy(self.highest),
            "template.visible": torch.tensor(self.visible, dtype=torch.float64),
        }

    @classmethod
    def of_tensors(cls, tensors: Mapping[str, Tensor]) -> "Template":
        """What was saved; raises `KeyError` where something is missing, `ValueError` where it is no template."""
        lowest = expect(tensors, "template.lowest", None, None)
        highest = expect(tensors, "template.highest", *lowest.shape)
        if not lowest.numel():
            raise ValueError("template.lowest: expected a pixel or more")
        visible = float(expect(tensors, "template.visible", dtype=torch.float64))
        if visible <= 0:
            raise ValueError(f"template.visible: expected a difference above 0, got {visible}")
        return cls(lowest.numpy(), highest.numpy(), visible)

    def _on_grid(self, picture: Grey, size: torch.Size) -> Tensor:
        """Mean difference in each cell and its neighbours, (h, w)."""
        difference = torch.from_numpy(self.difference(picture))[None, None]
        return smooth(F.adaptive_avg_pool2d(difference, (size[0], size[1]))[0])[0]


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
    values = torch.from_numpy(picture)[None, None]
    return F.interpolate(values, size=shape, mode="bilinear", antialias=True, align_corners=False)[0, 0].numpy()
