"""A place on a height map in the map's own terms, and in numbers."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage import measure

from knowledge import ToolFailure
from tools.geometry.height_map import HeightMap, Heights
from tools.measuring import Measurement
from tools.native import Values


def native_place(height_map: HeightMap, above: Heights, members: NDArray[np.int64]) -> dict[str, Any]:
    """A place in the map's own terms; the area in square pixels where their size is not known."""
    width = height_map.heights.shape[1]
    rows, columns = members // width, members % width
    side, length = _lateral(height_map)
    return {
        "pixels": len(members),
        "box": [int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1],
        "centroid": [float(columns.mean()) + 0.5, float(rows.mean()) + 0.5],
        "depth": _depth(above, members),
        "area": len(members) * side**2,
        "unit": height_map.height_unit,
        "area_unit": f"{length}2",
    }


def _lateral(height_map: HeightMap) -> tuple[float, str]:
    if height_map.pixel_size is None or height_map.pixel_unit is None:
        return 1.0, "px"
    return height_map.pixel_size, height_map.pixel_unit


def _depth(above: Heights, members: NDArray[np.int64]) -> float | None:
    """The deviation farthest from 0, of means over 3 x 3 pixels, since one pixel is noise; `None` without data."""
    found = above.ravel()[members]
    if not np.isfinite(found).any():
        return None
    inside = np.full(above.size, np.nan)
    inside[members] = found
    rows, columns = np.divmod(members, above.shape[1])
    y0, x0 = int(rows.min()), int(columns.min())
    box = inside.reshape(above.shape)[y0 : int(rows.max()) + 1, x0 : int(columns.max()) + 1]
    padded = np.pad(box, 1, constant_values=np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3))
    count = np.isfinite(windows).sum((2, 3))
    mean = np.nansum(windows, axis=(2, 3)) / np.maximum(count, 1)
    # of a scratch one pixel wide a window holds three
    enough = (count >= min(3, int(count.max()))) & np.isfinite(box)
    return float(mean[enough][np.abs(mean[enough]).argmax()]) if enough.any() else float(np.nanmedian(found))


def measured_place(
    height_map: HeightMap, above: Heights, values: Values, members: NDArray[np.int64]
) -> tuple[Measurement, ...]:
    """Depth, area, volume and extent; raises `ToolFailure` for a place without pixels."""
    if not len(members):
        raise ToolFailure("the place is empty; there is nothing to measure")
    unit, (side, length_unit) = height_map.height_unit, _lateral(height_map)
    mask = np.zeros(values.shape, np.uint8)
    mask.ravel()[members] = 1
    region = measure.regionprops(mask)[0]
    long, short = max(float(region.axis_major_length), 1.0), max(float(region.axis_minor_length), 1.0)
    found = above.ravel()[members]
    known = found[np.isfinite(found)].astype(np.float64)
    missing = float(np.mean(~np.isfinite(height_map.heights.ravel()[members])))
    row, column = region.centroid
    measured = [("area", float(len(members)), "px"), ("length", long, "px"), ("width", short, "px")]
    if length_unit != "px":
        measured += [
            (f"area_{length_unit}2", len(members) * side**2, f"{length_unit}2"),
            (f"length_{length_unit}", long * side, length_unit),
            (f"width_{length_unit}", short * side, length_unit),
        ]
    depth = _depth(above, members)
    if depth is not None:
        one = unit == length_unit
        measured += [
            ("depth", depth, unit),
            ("mean_height", float(known.mean()), unit),
            ("volume", float(known.sum()) * side**2, f"{unit}3" if one else f"{unit} {length_unit}2"),
        ]
    measured += [
        ("elongation", long / short, "1"),
        ("missing_share", missing, "1"),
        ("centroid_x", (float(column) + 0.5) / values.shape[1], "1"),
        ("centroid_y", (float(row) + 0.5) / values.shape[0], "1"),
    ]
    return tuple(Measurement(name=name, value=value, unit=of) for name, value, of in measured)
