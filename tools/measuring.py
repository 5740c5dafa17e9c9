"""Region -> numbers with units, measured on the pixels of the view."""

import math
from typing import Annotated, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy import ndimage
from skimage import measure

from knowledge import Frozen, Product, ToolFailure

_RING = 12
"""Width, in pixels of the view, of the surroundings that a region is compared with."""


class Measurement(Frozen):
    """One number with its unit; `1` is a share or ratio, `gray` a share of full white."""

    name: str
    value: Annotated[float, Field(allow_inf_nan=False)]
    unit: str


class PixelSize(NamedTuple):
    """Side of one view pixel in a unit of length."""

    side: float
    unit: str


def measure_region(
    pixels: NDArray[np.uint8], mask: NDArray[np.bool_], pixel_size: PixelSize | None = None
) -> tuple[Measurement, ...]:
    """Measure one connected region.

    Args:
        pixels: (H, W, 3) RGB of the view.
        mask: (H, W), true inside the region.
        pixel_size: gives lengths and areas in its unit besides pixels.
    """
    if mask.shape != pixels.shape[:2]:
        raise ValueError(f"expected a mask of shape {pixels.shape[:2]}, got {mask.shape}")
    if not mask.any():
        raise ToolFailure("the region is empty; there is nothing to measure")
    area = measure.regionprops(mask.astype(np.uint8))[0]
    length = max(float(area.axis_major_length), 1.0)
    width = max(float(area.axis_minor_length), 1.0)
    gray = _gray(pixels)
    inside, around = gray[mask], gray[_ring(mask)]
    height_px, width_px = mask.shape
    row, column = area.centroid
    values = [
        Measurement(name="area", value=float(area.area), unit="px"),
        Measurement(name="area_share", value=float(area.area) / mask.size, unit="1"),
        Measurement(name="length", value=length, unit="px"),
        Measurement(name="width", value=width, unit="px"),
        Measurement(name="elongation", value=length / width, unit="1"),
        Measurement(name="orientation", value=_degrees(float(area.orientation)), unit="deg"),
        Measurement(name="brightness", value=float(inside.mean()), unit="gray"),
        Measurement(name="contrast", value=float(inside.mean() - around.mean()) if around.size else 0.0, unit="gray"),
        Measurement(name="centroid_x", value=(float(column) + 0.5) / width_px, unit="1"),
        Measurement(name="centroid_y", value=(float(row) + 0.5) / height_px, unit="1"),
        Measurement(name="touches_border", value=float(_touches_border(area.bbox, mask.shape)), unit="1"),
    ]
    if pixel_size is not None:
        values += [
            Measurement(
                name=f"area_{pixel_size.unit}2", value=float(area.area) * pixel_size.side**2, unit=f"{pixel_size.unit}2"
            ),
            Measurement(name=f"length_{pixel_size.unit}", value=length * pixel_size.side, unit=pixel_size.unit),
            Measurement(name=f"width_{pixel_size.unit}", value=width * pixel_size.side, unit=pixel_size.unit),
        ]
    return tuple(values)


def measure_part(pixels: NDArray[np.uint8]) -> tuple[Measurement, ...]:
    """Measure a whole (H, W, 3) view."""
    gray = _gray(pixels)
    return (
        Measurement(name="brightness", value=float(gray.mean()), unit="gray"),
        Measurement(name="contrast", value=float(gray.std()), unit="gray"),
        Measurement(name="sharpness", value=float(np.abs(ndimage.laplace(gray)).mean()), unit="gray"),
        Measurement(name="width", value=float(pixels.shape[1]), unit="px"),
        Measurement(name="height", value=float(pixels.shape[0]), unit="px"),
    )


def pixel_size_of(product: Product, source_pixels_per_pixel: float) -> PixelSize | None:
    """Size of a view pixel, where the product says how large a source pixel is."""
    if product.pixel_size is None or product.unit is None:
        return None
    return PixelSize(product.pixel_size * math.sqrt(source_pixels_per_pixel), product.unit)


def as_values(measurements: tuple[Measurement, ...]) -> dict[str, float]:
    """Name -> value, the form that rules and signatures are evaluated over."""
    return {measurement.name: measurement.value for measurement in measurements}


def side_of(x: float, y: float) -> str:
    """Where a point lies in a 3 x 3 grid over the view; x and y in [0, 1], origin top-left."""
    row = ("top", "middle", "bottom")[min(int(y * 3), 2)]
    column = ("left", "centre", "right")[min(int(x * 3), 2)]
    return "centre" if (row, column) == ("middle", "centre") else f"{row} {column}"


def _gray(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Luma (ITU-R BT.601) in [0, 1]."""
    weights = np.array([0.299, 0.587, 0.114]) / 255
    return np.asarray(pixels @ weights, dtype=np.float64)


def _ring(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    distance = ndimage.distance_transform_edt(~mask)
    return np.asarray((distance > 1) & (distance <= _RING))


def _degrees(orientation: float) -> float:
    """Angle of the long axis against the horizontal, counter-clockwise as seen, in [0, 180)."""
    return (math.degrees(orientation) + 90.0) % 180.0


def _touches_border(box: tuple[int, int, int, int], shape: tuple[int, ...]) -> bool:
    y0, x0, y1, x1 = box
    return y0 == 0 or x0 == 0 or y1 == shape[0] or x1 == shape[1]
