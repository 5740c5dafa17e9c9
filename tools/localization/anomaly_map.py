"""From patch distances to a calibrated anomaly map, and from the map to regions and a picture."""

from typing import Any, NamedTuple

import numpy as np
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from scipy import ndimage
from skimage import measure, morphology, segmentation
from torch import Tensor

from tools.views import Box

_ALL_BUT_THE_SAME = 1e-3
"""Share of the standard deviation that the robust one of distances which vary everywhere is far above."""

AnomalyMap = NDArray[np.float32]
Mask = NDArray[np.bool_]


class MapScale(NamedTuple):
    """Location and spread of patch distances on held-out normal parts; maps are given in these units."""

    median: float
    deviation: float

    @classmethod
    def fit(cls, distances: NDArray[np.float32]) -> "MapScale":
        """Median and scaled median absolute deviation (1.4826 MAD), which a few odd patches do not move.

        Where most are all but the same, such as those of an empty background, it would say nothing of the others: then
        the standard deviation.
        """
        median = float(np.median(distances))
        spread = 1.4826 * float(np.median(np.abs(distances - median)))
        deviation = float(distances.std(dtype=np.float64))
        return cls(median, max(deviation if spread < _ALL_BUT_THE_SAME * deviation else spread, 1e-6))

    @classmethod
    def of_tensor(cls, saved: Tensor) -> "MapScale":
        """Median and deviation, (2,) finite; raises `ValueError` where the deviation is none."""
        median, deviation = saved.tolist()
        if deviation <= 0:
            raise ValueError(f"expected a deviation above 0, got {deviation}")
        return cls(median, deviation)


def smooth(distances: Tensor) -> Tensor:
    """(B, h, w) patch distances averaged over 3 x 3 patches: one odd patch is noise, a defect has neighbours."""
    padded = distances[:, None]
    return F.avg_pool2d(padded, 3, stride=1, padding=1, count_include_pad=False)[:, 0]


def to_view(grid: Tensor, height: int, width: int) -> AnomalyMap:
    """(h, w) patch grid -> (height, width) float32, bilinear between patch centres."""
    scaled = F.interpolate(grid[None, None], size=(height, width), mode="bilinear", align_corners=False)
    return np.ascontiguousarray(scaled[0, 0].numpy(), dtype=np.float32)


def scaled_to_view(grid: Tensor, scale: MapScale, height: int, width: int) -> AnomalyMap:
    """(h, w) distances -> (height, width) float32 in units of the scale."""
    return to_view((grid - scale.median) / scale.deviation, height, width)


class Blob(NamedTuple):
    """A connected area of a map over threshold."""

    box: Box
    image: Mask
    """(height, width) of the box, true inside the area."""
    peak: float

    def mask(self, height: int, width: int) -> Mask:
        """The area in the frame of the whole map."""
        mask = np.zeros((height, width), np.bool_)
        mask[self.box.slices] = self.image
        return mask


def blobs(anomaly_map: AnomalyMap, threshold: float) -> tuple[Blob, ...]:
    """Areas of the map above `threshold`, the highest peak first.

    A strong defect lights up its surroundings, so an area is cut back to where the map is at least half its peak. A
    lower peak is an area of its own where the map falls below half of it on every way to a higher one.
    """
    found = []
    for area in measure.regionprops(
        measure.label(anomaly_map > threshold, connectivity=2), intensity_image=anomaly_map
    ):
        values, (top, left, *_) = area.image_intensity, area.bbox
        basins = _basins(values, area.image, threshold)
        for number, window in enumerate(ndimage.find_objects(basins), 1):
            offset = top + window[0].start, left + window[1].start
            found += _cut_back(values[window], basins[window] == number, threshold, offset)
    return tuple(sorted(found, key=lambda blob: (-blob.peak, blob.box.y0, blob.box.x0)))


def _basins(values: AnomalyMap, inside: Mask, threshold: float) -> NDArray[np.int32]:
    """Divide a connected area among its peaks that stand out by a factor of two: h-maxima of the logarithm.

    (h, w) number of the basin, 0 outside.
    """
    whole = inside.astype(np.int32)
    if threshold <= 0:
        return whole
    height = np.where(inside, np.log(np.maximum(values, threshold)), np.log(threshold))
    flooded = morphology.reconstruction(height - np.log(2.0), height)
    peaks = measure.label(morphology.local_maxima(flooded, allow_borders=True) & inside, connectivity=2)
    if peaks.max() <= 1:
        return whole
    basins: NDArray[np.int32] = segmentation.watershed(-height, peaks, mask=inside)
    return basins


def _cut_back(values: AnomalyMap, basin: Mask, threshold: float, offset: tuple[int, ...]) -> list[Blob]:
    """What is left of a basin at half its peak; `offset` is where the values begin in the whole map."""
    highest = float(values[basin].max())
    core = basin & (values >= max(threshold, highest / 2)) if highest > 0 else basin
    parts = measure.regionprops(measure.label(core, connectivity=2), intensity_image=values)
    return [_blob(part, offset) for part in parts]


def _blob(part: Any, offset: tuple[int, ...]) -> Blob:
    y0, x0, y1, x1 = (int(side) + int(offset[axis % 2]) for axis, side in enumerate(part.bbox))
    return Blob(Box(x0=x0, y0=y0, x1=x1, y1=y1), part.image, float(part.intensity_max))


def heat_overlay(anomaly_map: AnomalyMap, threshold: float) -> NDArray[np.uint8]:
    """(H, W, 4) RGBA to lay over the view: clear far below the threshold, yellow at it, deep red at twice it.

    The colours hang on the threshold, not on this picture's own range, so that they mean the same on every part.
    """
    level = np.clip(anomaly_map / max(threshold, 1e-6), 0.0, 2.0)
    stops = np.array([0.0, 0.6, 1.0, 1.5, 2.0])
    colours = np.array(
        [[40, 60, 160, 0], [60, 120, 200, 40], [250, 210, 60, 90], [235, 90, 30, 115], [175, 0, 30, 125]],
        dtype=np.float64,
    )
    channels = [np.interp(level, stops, colours[:, channel]) for channel in range(4)]
    overlay: NDArray[np.uint8] = np.rint(np.stack(channels, axis=-1)).astype(np.uint8)
    return overlay


def anomaly_score(anomaly_map: AnomalyMap) -> float:
    """A view's score is the highest value of its map, so a score over the threshold always has a place on the map."""
    return float(anomaly_map.max())
