"""What is true of the regions of a planted part, by plain code: no instrument's measurement is used here.

Known are a region's mask or elements and the anomaly map, which are artifacts, and what was painted.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from evals.planted import CHANNELS, RATE, Defect, PlantedPart
from knowledge import Modality, ToolFailure
from tools import ArtifactStore, EvidenceLog, Localized, Region, RenderedView

Mask = NDArray[np.bool_]
Members = NDArray[np.int64]
Box = tuple[float, float, float, float]

_FRAMES_A_SECOND = 15
_FARTHEST = 2
"""Frames of the file from one that is looked at to the next, at most."""
_RING = 12
_GRAY = np.array([0.299, 0.587, 0.114]) / 255
_PLATE_PIXEL, _RELIEF_PIXEL = 0.5, 0.25
"""Millimetres."""
_LOOKED_AT = 3
"""Regions that the embedded planner compares with a reference."""


class RegionFacts(NamedTuple):
    """What is true of one region."""

    id: str
    x: float
    y: float
    """Where it is on its view, in shares: the planted centre where there is one."""
    share: float
    """Of its view."""
    size: float
    peak: float
    numbers: dict[str, float]
    times: dict[str, float]
    instant: float
    """Seconds from sample to sample."""
    level: float | None
    """Mean brightness of a picture's region in shares of full white."""
    darker: bool | None
    """Than its surroundings and than a normal part, as it was planted; None of what was not, and of drawings."""
    planted: bool
    compared: bool


class Facts(NamedTuple):
    """What is true of a part."""

    view: str
    regions: tuple[RegionFacts, ...]
    so_many: int
    """Regions on the whole asset: as many as were planted, where each is one region."""
    one_each: bool
    """Whether that is so; else it is as many as the instrument lists, for it is of regions that one speaks."""
    rules: dict[str, bool]
    present: tuple[Box, ...]
    """Boxes on the main view about planted defects."""
    absent: tuple[Box, ...]
    """Boxes in which nothing was planted."""


class _Seen(NamedTuple):
    """A region with all that plain code may look at."""

    part: PlantedPart
    region: Region
    view: RenderedView
    values: NDArray[np.float32]
    """The map, in the asset's shape."""
    members: Members
    mask: Mask
    """(H, W) where its view shows it."""


def facts_of(modality: Modality, part: PlantedPart, log: EvidenceLog, store: ArtifactStore) -> Facts:
    """Of a part as it was localised."""
    localized = next(shown for _, shown in log.of(Localized))
    if localized.threshold is None:
        raise ToolFailure("nothing is promised of the part, so that nothing over threshold can be said of it")
    values, view = store.get_array(localized.map), log.view(localized.view)
    regions = []
    for number, region in enumerate(localized.regions):
        own = log.view(region.view_id)
        mask = store.get_array(region.mask)
        members = store.get_array(region.members) if region.members else np.flatnonzero(mask)
        if region.members:
            mask = _shows(store.get_array(own.inverse), own.span, members, values.size)
        if mask.any():
            seen = _Seen(part, region, own, values, members, mask)
            regions.append(_region(modality, seen, compared=number < _LOOKED_AT))
    covered = [_on_view(modality, defect, view, store, values) for defect in part.defects]
    return Facts(
        view=view.id,
        regions=tuple(regions),
        so_many=len(part.defects) if _one_each(regions, part) else localized.region_count,
        one_each=_one_each(regions, part),
        rules=part.rules,
        present=tuple(_around(mask) for mask in covered if mask.any()),
        absent=_clean_boxes(np.any(covered, axis=0), modality),
    )


def _one_each(regions: list[RegionFacts], part: PlantedPart) -> bool:
    return len(regions) == len(part.defects) and all(region.planted for region in regions)


def _region(modality: Modality, seen: _Seen, *, compared: bool) -> RegionFacts:
    defect = _planted(modality, seen)
    rows, columns = np.nonzero(seen.mask)
    centre = (defect and defect.centre) or (
        (columns.mean() + 0.5) / seen.mask.shape[1],
        (rows.mean() + 0.5) / seen.mask.shape[0],
    )
    measure: dict[Modality, Callable[[_Seen], tuple[dict[str, float], dict[str, float], float]]] = {
        "image": _of_picture,
        "depth": _of_relief,
        "point_cloud": _of_points,
        "time_series": _of_samples,
        "video": _of_frames,
    }
    numbers, times, instant = measure[modality](seen)
    peak = float(seen.values.ravel()[seen.members].max())
    picture = modality == "image"
    return RegionFacts(
        id=seen.region.id,
        x=float(centre[0]),
        y=float(centre[1]),
        share=float(seen.mask.mean()),
        size=numbers.get("samples", numbers.get("area_share", numbers.get("points", numbers.get("area", 0.0)))),
        peak=peak,
        numbers=numbers | ({} if modality in ("image", "depth", "point_cloud") else {"peak": peak}),
        times=times,
        instant=instant,
        level=numbers["brightness"] if picture else None,
        darker=defect.level < 128 if picture and defect is not None else None,
        planted=defect is not None,
        compared=compared,
    )


def _planted(modality: Modality, seen: _Seen) -> Defect | None:
    """The only defect that a region lies on; None where there is none, or several."""
    if modality == "video":
        frames = _file_frames(seen)
        found = [defect for defect in seen.part.defects if defect.covers[frames[0] : frames[1] + 1].any()]
    else:
        found = [defect for defect in seen.part.defects if defect.covers[seen.members].any()]
    return found[0] if len(found) == 1 else None


# -- by modality -----------------------------------------------------------------------------------------------------

Measured = tuple[dict[str, float], dict[str, float], float]


def _of_picture(seen: _Seen) -> Measured:
    gray = seen.part.raw @ _GRAY
    away = ndimage.distance_transform_edt(~seen.mask)
    around = gray[(away > 1) & (away <= _RING)].mean()
    area = int(seen.mask.sum())
    numbers = {
        "area": float(area),
        "area_mm2": area * _PLATE_PIXEL**2,
        "brightness": float(gray[seen.mask].mean()),
        "contrast": float(gray[seen.mask].mean() - around),
        **_form(seen.mask),
    }
    return numbers | {"length_mm": numbers["length"] * _PLATE_PIXEL, "area_share": area / seen.mask.size}, {}, 0.0


def _of_relief(seen: _Seen) -> Measured:
    above = seen.part.offsets
    if above is None:
        raise ValueError("expected how far each pixel lies above its form")
    mask = np.zeros(above.shape, np.bool_)
    mask.ravel()[seen.members] = True
    inside = np.where(mask, above, 0.0)
    # Means over the pixels of the region among three by three, since one pixel is noise.
    means = ndimage.convolve(inside, np.ones((3, 3)), mode="constant")
    means /= np.maximum(ndimage.convolve(mask.astype(float), np.ones((3, 3)), mode="constant"), 1)
    far = means[mask]
    numbers = {
        "area": float(mask.sum()),
        "area_mm2": float(mask.sum()) * _RELIEF_PIXEL**2,
        "depth": float(far[np.abs(far).argmax()]),
        "mean_height": float(above[mask].mean()),
        "volume": float(above[mask].sum()) * _RELIEF_PIXEL**2,
        **_form(mask),
    }
    return numbers | {"length_mm": numbers["length"] * _RELIEF_PIXEL}, {}, 0.0


def _form(mask: Mask) -> dict[str, float]:
    """Axes of the ellipse with the second moments of the pixels' centres; and the middle."""
    rows, columns = np.nonzero(mask)
    spread = np.cov(np.stack([columns, rows]), bias=True)
    short, long = (max(4 * math.sqrt(each), 1.0) for each in np.linalg.eigvalsh(spread))
    return {
        "length": long,
        "width": short,
        "elongation": long / short,
        "centroid_x": (columns.mean() + 0.5) / mask.shape[1],
        "centroid_y": (rows.mean() + 0.5) / mask.shape[0],
    }


def _of_points(seen: _Seen) -> Measured:
    points = np.asarray(seen.part.raw, np.float64)[seen.members]
    middle = points.mean(axis=0)
    along = (points - middle) @ np.linalg.svd(points - middle, full_matrices=False)[2].T
    numbers = {"points": float(len(points)), "extent": float(np.ptp(along, axis=0).max())}
    return numbers | {f"centroid_{axis}": float(each) for axis, each in zip("xyz", middle, strict=True)}, {}, 0.0


def _of_samples(seen: _Seen) -> Measured:
    channels, samples = np.divmod(seen.members, len(seen.part.raw))
    first, last = int(samples.min()), int(samples.max())
    numbers = {"samples": float(last - first + 1)}
    for channel in np.unique(channels):
        numbers[f"{CHANNELS[channel]}_mean"] = float(seen.part.raw[first : last + 1, channel].mean())
    times = {"start": first / RATE, "end": last / RATE, "duration": (last - first + 1) / RATE}
    return numbers, times, 1 / RATE


def _of_frames(seen: _Seen) -> Measured:
    _, height, width = seen.values.shape
    frames, cells = np.divmod(seen.members, height * width)
    first, last = (number / _FRAMES_A_SECOND for number in _file_frames(seen))
    numbers = {
        "area_share": float(np.unique(frames, return_counts=True)[1].max()) / (height * width),
        "centroid_x": float((cells % width).mean() + 0.5) / width,
        "centroid_y": float((cells // width).mean() + 0.5) / height,
    }
    return numbers, {"start": first, "end": last, "duration": last - first}, _FARTHEST / _FRAMES_A_SECOND


def _file_frames(seen: _Seen) -> tuple[int, int]:
    """First and last frame in the file, as the place is recorded."""
    first, last = seen.region.native["frames"]
    return first, last


# -- boxes on the main view ------------------------------------------------------------------------------------------


def _shows(index: NDArray[np.int32], span: int, members: Members, elements: int) -> Mask:
    """Where a view shows one of the members: how many lie behind each pixel, by a running sum."""
    upto = np.zeros(elements + span + 1, np.int64)
    inside = np.zeros(elements + span, np.int64)
    inside[members] = 1
    upto[1:] = np.cumsum(inside)
    start = np.maximum(index, 0)
    return np.asarray((index >= 0) & (upto[start + span] > upto[start]))


def _on_view(
    modality: Modality, defect: Defect, view: RenderedView, store: ArtifactStore, values: NDArray[np.float32]
) -> Mask:
    """Where the main view shows a defect."""
    if not view.inverse:
        return defect.covers.reshape(view.height, view.width)
    index = store.get_array(view.inverse)
    if modality != "video":
        return _shows(index, view.span, np.flatnonzero(defect.covers), values.size)
    looked_at = np.maximum(index, 0) // math.prod(values.shape[1:])
    frames = looked_at * len(defect.covers) // len(values)
    return np.asarray((index >= 0) & defect.covers[frames])


def _around(mask: Mask) -> Box:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    height, width = mask.shape
    return (
        float(columns[0] / width),
        float(rows[0] / height),
        float((columns[-1] + 1) / width),
        float((rows[-1] + 1) / height),
    )


def _clean_boxes(covered: Mask, modality: Modality) -> tuple[Box, ...]:
    """Cells of a grid on the view that lie well clear of what was planted."""
    side = 8
    height, width = covered.shape
    near = np.asarray(ndimage.binary_dilation(covered, iterations=max(2, min(height, width) // 6)))
    boxes = []
    for row in range(side):
        for column in range(side):
            cell = near[
                row * height // side : (row + 1) * height // side, column * width // side : (column + 1) * width // side
            ]
            if not cell.any():
                boxes.append((column / side, row / side, (column + 1) / side, (row + 1) / side))
    return tuple(boxes)
