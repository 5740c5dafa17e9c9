"""From patch distances to a calibrated anomaly map, and from the map to regions and a picture."""

from typing import Any, NamedTuple

import numpy as np
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from skimage import measure
from torch import Tensor

from tools.views import Box

AnomalyMap = NDArray[np.float32]
Mask = NDArray[np.bool_]


class MapScale(NamedTuple):
    """Location and spread of patch distances on held-out normal parts; maps are given in these units."""

    median: float
    deviation: float

    @classmethod
    def fit(cls, distances: NDArray[np.float32]) -> "MapScale":
        """Median and scaled median absolute deviation (1.4826 MAD), which a few odd patches do not move."""
        median = float(np.median(distances))
        spread = 1.4826 * float(np.median(np.abs(distances - median)))
        return cls(median, max(spread, 1e-6))


def smooth(distances: Tensor) -> Tensor:
    """(B, h, w) patch distances averaged over 3 x 3 patches: one odd patch is noise, a defect has neighbours."""
    padded = distances[:, None]
    return F.avg_pool2d(padded, 3, stride=1, padding=1, count_include_pad=False)[:, 0]


def to_view(grid: Tensor, height: int, width: int) -> AnomalyMap:
    """(h, w) patch grid -> (height, width) float32, bilinear between patch centres."""
    scaled = F.interpolate(grid[None, None], size=(height, width), mode="bilinear", align_corners=False)
    return np.ascontiguousarray(scaled[0, 0].numpy(), dtype=np.float32)


class Blob(NamedTuple):
    """A connected area over threshold."""

    box: Box
    mask: Mask
    peak: float


def blobs(anomaly_map: AnomalyMap, threshold: float, limit: int) -> tuple[Blob, ...]:
    """Areas of the map above `threshold` (8-connected), the highest peak first, at most `limit`.

    A strong defect lights up its surroundings, so an area is cut back to where the map is at least half its peak; what
    falls apart then becomes several blobs.
    """
    found = []
    for area in measure.regionprops(
        measure.label(anomaly_map > threshold, connectivity=2), intensity_image=anomaly_map
    ):
        core = area.image & (area.image_intensity >= max(threshold, area.intensity_max / 2))
        found += [
            _blob(part, area.bbox, anomaly_map) for part in measure.regionprops(measure.label(core, connectivity=2))
        ]
    found.sort(key=lambda blob: (-blob.peak, blob.box.y0, blob.box.x0))
    return tuple(found[:limit])


def _blob(part: Any, offset: tuple[int, ...], anomaly_map: AnomalyMap) -> Blob:
    """A part of a cut-out that begins at `offset`, in the frame of the whole map."""
    y0, x0, y1, x1 = (int(side) + int(offset[axis % 2]) for axis, side in enumerate(part.bbox))
    box = Box(x0=x0, y0=y0, x1=x1, y1=y1)
    mask = np.zeros(anomaly_map.shape, np.bool_)
    mask[box.slices] = part.image
    return Blob(box, mask, float(anomaly_map[mask].max()))


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


def as_patches(features: Tensor) -> Tensor:
    """(B, C, h, w) -> (B h w, C), row by row."""
    return features.permute(0, 2, 3, 1).reshape(-1, features.shape[1])


def anomaly_score(anomaly_map: AnomalyMap) -> float:
    """A view's score is the highest value of its map, so a score over the threshold always has a place on the map."""
    return float(anomaly_map.max())
