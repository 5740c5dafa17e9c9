"""A height map: one height for each pixel of a grid, as depth cameras and profile scanners give it."""

import io
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from knowledge import AssetError, ToolFailure
from tools.assets import DECODER_ERRORS, Limits, clean_name
from tools.decoding.height_maps import decode_height_map, is_deep_png, is_height_dtype, kind_of
from tools.decoding.npy import npy_header
from tools.decoding.worker import decode_in_worker
from tools.measuring import Measurement

Heights = NDArray[np.float32]

_PLANE_ROUNDS = 12
_TUKEY = 4.685
"""Tuning constant of Tukey's biweight: 95 % efficient on normal noise."""
_PLANE_SAMPLES = 200_000


class Plane(NamedTuple):
    """height = offset + slope_x x + slope_y y, x and y in pixels from the middle of the map."""

    offset: float
    slope_x: float
    slope_y: float

    def over(self, shape: tuple[int, int]) -> NDArray[np.float64]:
        """(H, W) heights of the plane."""
        y, x = np.ogrid[: shape[0], : shape[1]]
        middle_x, middle_y = (shape[1] - 1) / 2, (shape[0] - 1) / 2
        return np.asarray(self.offset + self.slope_x * (x - middle_x) + self.slope_y * (y - middle_y))


class HeightMap(NamedTuple):
    """Decoded heights and the lengths they are in."""

    heights: Heights
    """(H, W) float32, NaN where there is no data; upwards is positive."""
    unit: str | None = None
    """Of heights; `None` where they are counts of the sensor."""
    pixel_size: float | None = None
    """Side of a pixel in `pixel_unit`."""
    pixel_unit: str | None = None
    media_type: str = "application/octet-stream"
    notes: tuple[str, ...] = ()

    @property
    def height_unit(self) -> str:
        """The unit of heights as it is printed."""
        return self.unit or "counts"

    @property
    def valid(self) -> NDArray[np.bool_]:
        """(H, W), true where there is data."""
        return np.isfinite(self.heights)

    def facts(self) -> dict[str, Any]:
        """Plain values for the report."""
        found = self.heights[self.valid]
        return {
            "width": self.heights.shape[1],
            "height": self.heights.shape[0],
            "unit": self.height_unit,
            "pixel_size": self.pixel_size,
            "pixel_unit": self.pixel_unit,
            "lowest": float(found.min()),
            "highest": float(found.max()),
            "missing_share": 1 - found.size / self.heights.size,
        }


_MEDIA_TYPES = {"PNG": "image/png", "TIFF": "image/tiff", "NPY": "application/x-npy"}


def looks_like_height_map(content: bytes, name: str = "") -> bool:
    """Whether it could be one: one channel of 16 bits or more; a 16-bit grey picture looks no different."""
    kind = kind_of(content)
    if kind == "PNG":
        return is_deep_png(content)
    try:
        return _looks_like_tiff(content) if kind == "TIFF" else kind == "NPY" and _looks_like_npy(content)
    except DECODER_ERRORS:  # a damaged header is no height map
        return False


def _looks_like_npy(content: bytes) -> bool:
    header = npy_header(content)
    if header is None or len(header.shape) != 2 or min(header.shape) < Limits().min_side:
        return False
    return header.kind in "iuf" and 2 <= header.item <= 8


def _looks_like_tiff(content: bytes) -> bool:
    import tifffile

    from tools.assets import _quiet  # one lock for all that silences decoders

    with _quiet(), tifffile.TiffFile(io.BytesIO(content)) as file:
        page: Any = file.pages.first
        return page.samplesperpixel == 1 and is_height_dtype(np.dtype(page.dtype)) and int(page.photometric) in (0, 1)


def read_height_map(
    content: bytes,
    name: str,
    *,
    per_count: float | None = None,
    pixel_size: float | None = None,
    unit: str | None = None,
    limits: Limits | None = None,
) -> HeightMap:
    """Decode a height map in the bounded process.

    Args:
        content: the file's bytes: 16-bit PNG, TIFF or .npy.
        name: for messages.
        per_count: what one count is in `unit`; floating-point heights are multiplied by it as well.
        pixel_size: side of a pixel in `unit`.
        unit: of `per_count`, of `pixel_size`, and of floating-point heights without `per_count`.
        limits: bytes, pixels and the shortest side.

    Raises:
        AssetError: where it cannot be read as a height map.
    """
    limits = limits or Limits()
    shown = clean_name(name)
    if not content:
        raise AssetError(f"{shown}: is empty (0 bytes); export the height map again")
    if len(content) > limits.max_bytes:
        raise AssetError(f"{shown}: is larger than {limits.max_bytes} bytes; export it smaller")
    decoded = decode_in_worker(
        decode_height_map, content, shown, max_pixels=limits.max_pixels, min_side=limits.min_side
    )
    heights, notes = np.asarray(decoded.arrays["heights"], np.float32), list(decoded.about["notes"])
    counted = not str(decoded.about["dtype"]).startswith("float")
    if per_count is not None:
        heights = heights * np.float32(per_count)
    known = unit is not None and (per_count is not None or not counted)
    notes.append(_about_units(known, per_count, unit))
    return HeightMap(
        heights=heights,
        unit=unit if known else None,
        pixel_size=pixel_size,
        pixel_unit=unit if pixel_size is not None else None,
        media_type=_MEDIA_TYPES[str(decoded.about["format"])],
        notes=tuple(notes),
    )


def _about_units(known: bool, per_count: float | None, unit: str | None) -> str:
    if not known:
        return "heights are counts of the sensor: what a count is has not been given"
    if per_count is None:
        return f"floating-point heights are taken to be in {unit}, the unit of the product"
    return f"a count is {per_count:g} {unit}"


def measure_part(height_map: HeightMap) -> tuple[Measurement, ...]:
    """The whole part in numbers: its range of heights, how flat it is, what is missing."""
    heights, unit = height_map.heights, height_map.height_unit
    found = heights[height_map.valid].astype(np.float64)
    low, median, high = np.percentile(found, (1, 50, 99))
    plane = fit_plane(heights)
    off_plane = np.abs(heights - plane.over(heights.shape))[height_map.valid]
    tilt = float(np.hypot(plane.slope_x, plane.slope_y))
    measured = [
        Measurement(name="height_range", value=float(high - low), unit=unit),
        Measurement(name="median_height", value=float(median), unit=unit),
        Measurement(name="roughness", value=_roughness(heights), unit=unit),
        Measurement(name="flatness", value=float(1.4826 * np.median(off_plane)), unit=unit),
        Measurement(name="tilt", value=tilt, unit=f"{unit}/px"),
        Measurement(name="missing_share", value=1 - found.size / heights.size, unit="1"),
        Measurement(name="width", value=float(heights.shape[1]), unit="px"),
        Measurement(name="height", value=float(heights.shape[0]), unit="px"),
    ]
    if height_map.pixel_size is not None and height_map.pixel_unit is not None:
        side, length = height_map.pixel_size, height_map.pixel_unit
        measured.append(Measurement(name="area", value=found.size * side**2, unit=f"{length}2"))
    return tuple(measured)


def _roughness(heights: Heights) -> float:
    """Noise of single pixels: robust deviation of second differences along rows, of independent heights sqrt(6) s."""
    second = heights[:, 2:] - 2 * heights[:, 1:-1] + heights[:, :-2]
    second = second[np.isfinite(second)]
    return 1.4826 * float(np.median(np.abs(second))) / 6**0.5 if second.size else 0.0


def fit_plane(heights: Heights) -> Plane:
    """The plane that most of the map lies near: least squares with Tukey's biweight, iterated.

    Raises `ToolFailure` where fewer than three pixels have data.
    """
    y, x = np.nonzero(np.isfinite(heights))
    if len(x) < 3:
        raise ToolFailure("fewer than three pixels of the height map have data; there is nothing to fit a plane to")
    step = -(-len(x) // _PLANE_SAMPLES)
    y, x = y[::step], x[::step]
    z = heights[y, x].astype(np.float64)
    height, width = heights.shape
    design = np.column_stack([np.ones(len(z)), x - (width - 1) / 2, y - (height - 1) / 2])
    weights = np.ones(len(z))
    solution = np.array([np.median(z), 0.0, 0.0])
    for _ in range(_PLANE_ROUNDS):
        root = np.sqrt(weights)
        solution = np.linalg.lstsq(design * root[:, None], z * root, rcond=None)[0]
        residual = z - design @ solution
        # Not below what single precision rounds off, where weights would follow the rounding alone.
        spread = max(1.4826 * float(np.median(np.abs(residual))), 1e-6 * float(np.abs(z).max()), 1e-12)
        weights = np.clip(1 - (residual / (_TUKEY * spread)) ** 2, 0, None) ** 2
    return Plane(*(float(value) for value in solution))
