"""Where findings lie and where defects truly are, brought to the same terms: pixels, seconds, or lengths of a scan."""

import functools
import math
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from evals.cases import Case, Place
from evals.results import CaseResult, Found
from knowledge import AssetError
from tools import read_recording

MARGIN = 0.1
"""By so much of its longer side, or of its duration, a true place is widened before a finding counts as outside."""
NEAR = 0.05
"""Of a scan's extent: so far from the true centroid a finding is still at the place."""
GRID_TOLERANCE = 0.04
"""A point so near to a line of the 3 x 3 grid, in shares of the picture, is allowed on both sides of it."""

_TURNED = frozenset({5, 6, 7, 8})
"""EXIF orientations that swap width and height."""

Mask = NDArray[np.bool_]


class Area(NamedTuple):
    """Pixels of the upright picture; x1 and y1 exclusive."""

    x0: float
    y0: float
    x1: float
    y1: float

    @property
    def centre(self) -> "Point":
        return Point((self.x0 + self.x1) / 2, (self.y0 + self.y1) / 2)

    @property
    def size(self) -> float:
        return max(0.0, self.x1 - self.x0) * max(0.0, self.y1 - self.y0)

    def grown(self, by: float) -> "Area":
        return Area(self.x0 - by, self.y0 - by, self.x1 + by, self.y1 + by)

    def common(self, other: "Area") -> float:
        x0, y0, x1, y1 = (*map(max, self[:2], other[:2]), *map(min, self[2:], other[2:]))
        return Area(x0, y0, x1, y1).size

    @property
    def longer_side(self) -> float:
        return max(self.x1 - self.x0, self.y1 - self.y0)


class Point(NamedTuple):
    x: float
    y: float


class Seconds(NamedTuple):
    """From the beginning of the recording or video."""

    start: float
    end: float


class Size(NamedTuple):
    width: float
    height: float


def found_on(result: CaseResult, assets: Sequence[str]) -> list[Found]:
    """Findings on some assets, the highest score first."""
    return sorted((found for found in result.findings if found.asset in assets), key=lambda found: -found.score)


def area_of(found: Found) -> Area | None:
    """None of scans and recordings, whose box is one of a drawing."""
    native = found.native
    if "box" in native:
        return Area(*map(float, native["box"]))
    return None if "points" in native or "start" in native else Area(*map(float, found.box))


def point_of(found: Found) -> Point | None:
    """The centroid where it is known, else the middle of the box."""
    area, centroid = area_of(found), found.native.get("centroid", ())
    if area is None:
        return None
    return Point(float(centroid[0]), float(centroid[1])) if len(centroid) == 2 else area.centre


def centroid_of(found: Found) -> NDArray[np.float64] | None:
    """(3,) in the unit of the scan."""
    centroid = found.native.get("centroid", ())
    return np.asarray(centroid, np.float64) if len(centroid) == 3 else None


def seconds_of(found: Found, case: Case, folder: Path) -> Seconds | None:
    """None where samples are counted and not timed. Dates are told from the first of the recording itself."""
    native = found.native
    if "seconds" in native:
        return Seconds(*map(float, native["seconds"]))
    if "start" not in native or native.get("unit", "s") != "s":
        return None
    if not isinstance(native["start"], str):
        return Seconds(float(native["start"]), float(native["end"]))
    beginning = _beginning(asset_path(found.asset, case, folder))
    if beginning is None:
        return None
    first = datetime.fromisoformat(beginning)
    start, end = (datetime.fromisoformat(native[name]) - first for name in ("start", "end"))
    return Seconds(start.total_seconds(), end.total_seconds())


def asset_path(asset: str, case: Case, folder: Path) -> Path:
    """Assets are called a1, a2, ... in the order of the case."""
    return folder / case.assets[int(asset[1:]) - 1]


def true_mask(place: Place, folder: Path) -> Mask | None:
    """(H, W); None where the place has no mask, or one that cannot be read or shows nothing."""
    return None if place.mask is None else _read_mask(folder / place.mask)


def true_area(place: Place, folder: Path) -> Area | None:
    """The box, or that around the mask."""
    if place.box is not None:
        return Area(*place.box)
    mask = true_mask(place, folder)
    if mask is None:
        return None
    rows, columns = np.nonzero(mask)
    return Area(float(columns.min()), float(rows.min()), float(columns.max() + 1), float(rows.max() + 1))


def true_point(place: Place, folder: Path) -> Point | None:
    """The centroid of the mask where there is one, else the middle of the box."""
    mask, area = true_mask(place, folder), true_area(place, folder)
    if mask is None:
        return area and area.centre
    rows, columns = np.nonzero(mask)
    return Point(float(columns.mean()) + 0.5, float(rows.mean()) + 0.5)


def picture_size(place: Place, case: Case, folder: Path) -> Size | None:
    """Of the upright picture that a place lies in; None where it cannot be read."""
    mask = true_mask(place, folder)
    if mask is not None:
        return Size(mask.shape[1], mask.shape[0])
    return _size(asset_path(place.asset, case, folder))


def holds_point(place: Place, point: Point, folder: Path) -> bool:
    """Whether a true mask, or a true box where there is no mask, holds a point."""
    mask, area = true_mask(place, folder), true_area(place, folder)
    if mask is not None:
        row, column = math.floor(point.y), math.floor(point.x)
        return 0 <= row < mask.shape[0] and 0 <= column < mask.shape[1] and bool(mask[row, column])
    return area is not None and area.x0 <= point.x < area.x1 and area.y0 <= point.y < area.y1


def overlap_of_areas(one: Area, two: Area) -> float:
    """Intersection over union (Jaccard 1912)."""
    common = one.common(two)
    union = one.size + two.size - common
    return common / union if union else 0.0


def overlap_of_times(one: Seconds, two: Seconds) -> float:
    """Intersection over union of two intervals; of two moments, whether they are the same."""
    common = max(0.0, min(one.end, two.end) - max(one.start, two.start))
    union = (one.end - one.start) + (two.end - two.start) - common
    return common / union if union else float(one == two)


def touches(found: Found, place: Place, case: Case, folder: Path) -> bool | None:
    """Whether a finding meets a true place with its margin, in all terms that both have; None where they share none."""
    answers = (_meets_area(found, place, folder), _meets_time(found, place, case, folder), _meets_point(found, place))
    known = [answer for answer in answers if answer is not None]
    return all(known) if known else None


def _meets_area(found: Found, place: Place, folder: Path) -> bool | None:
    area, truth, mask = area_of(found), true_area(place, folder), true_mask(place, folder)
    if area is None or truth is None:
        return None
    if mask is None:
        return area.common(truth.grown(MARGIN * truth.longer_side)) > 0
    wide = area.grown(MARGIN * truth.longer_side)
    rows = slice(max(0, math.floor(wide.y0)), max(0, math.ceil(wide.y1)))
    columns = slice(max(0, math.floor(wide.x0)), max(0, math.ceil(wide.x1)))
    return bool(mask[rows, columns].any())


def _meets_time(found: Found, place: Place, case: Case, folder: Path) -> bool | None:
    times = seconds_of(found, case, folder) if place.seconds is not None else None
    if times is None or place.seconds is None:
        return None
    slack = MARGIN * (place.seconds[1] - place.seconds[0])
    return times.start <= place.seconds[1] + slack and times.end >= place.seconds[0] - slack


def _meets_point(found: Found, place: Place) -> bool | None:
    """A scan's finding is at the place where the true centroid lies within its own extent and `NEAR`."""
    centroid = centroid_of(found)
    if centroid is None or place.centroid is None:
        return None
    reach = np.asarray(found.native.get("extent", (0, 0, 0)), np.float64) / 2 + NEAR * (place.extent or 0.0)
    return bool((np.abs(centroid - np.asarray(place.centroid)) <= reach).all())


@functools.lru_cache(maxsize=64)
def _beginning(path: Path) -> str | None:
    try:
        return read_recording(path.read_bytes(), path.name).start
    except (OSError, AssetError):
        return None


@functools.lru_cache(maxsize=64)
def _read_mask(path: Path) -> Mask | None:
    try:
        with Image.open(path) as picture:
            values = np.asarray(picture if len(picture.getbands()) == 1 else picture.convert("L"))
    except (OSError, ValueError):
        return None
    mask = values > 0
    return mask if mask.any() else None


@functools.lru_cache(maxsize=256)
def _size(path: Path) -> Size | None:
    """From the head of the file alone."""
    try:
        if path.suffix == ".npy":
            shape = np.load(path, mmap_mode="r", allow_pickle=False).shape
            return Size(shape[1], shape[0]) if len(shape) == 2 else None
        with Image.open(path) as picture:
            turned = picture.getexif().get(ExifTags.Base.Orientation, 1) in _TURNED
            return Size(*(reversed(picture.size) if turned else picture.size))
    except (OSError, ValueError):
        return None
