"""Files of height maps -> arrays: 16-bit PNG, TIFF of counts or floating-point heights, and NumPy's .npy.

Pillow clips 16-bit counts and turns 32-bit ones; none of these files ever goes through it. What a header claims is held
against the limits and the length of the file before anything is allocated.
"""

import io
import math
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from knowledge import AssetError
from tools.decoding.worker import Decoded

PNG = b"\x89PNG\r\n\x1a\n"
NPY = b"\x93NUMPY"
_TIFF = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")
_GDAL_NODATA = 42113
_FLAT_COLOURS = (0, 1)
"""TIFF photometric interpretations of one channel: white is zero, black is zero."""

MIN_VALID = 256
"""Pixels with data, fewer of which show nothing that could be inspected."""

_COORDINATES = (
    "has three floating-point channels, as a scan with the coordinates of each pixel; a height map has one channel, "
    "inspect it as a point_cloud"
)

_FARTHEST = 1e5
"""Heights that lie this many times farther from zero than from each other lose their detail in 32 bits."""


def decode_height_map(content: bytes, *, max_pixels: int, min_side: int) -> Decoded:
    """`heights`: (H, W) float32 as the file has them, NaN where there is no data; `about` says of what kind they are.

    Raises `AssetError` for what is no height map, or one with too little in it; other errors on damaged content.
    """
    notes: list[str] = []
    kind = kind_of(content)
    if kind is None:
        raise AssetError("is not a height map in a known format; expected a 16-bit PNG, a TIFF or an .npy array")
    readers = {"PNG": _read_png, "TIFF": _read_tiff, "NPY": _read_npy}
    array = readers[kind](content, max_pixels, min_side, notes)
    heights = _without_gaps(array, notes)
    return Decoded({"heights": heights}, {"format": kind, "dtype": str(array.dtype), "notes": notes})


def kind_of(content: bytes) -> str | None:
    """PNG, TIFF or NPY, from the first bytes alone."""
    if content.startswith(PNG):
        return "PNG"
    if content[:4] in _TIFF:
        return "TIFF"
    return "NPY" if content.startswith(NPY) else None


def is_deep_png(content: bytes) -> bool:
    """16 bits and one channel, by the header, which the standard puts first."""
    return len(content) >= 26 and content[12:16] == b"IHDR" and content[24] == 16 and content[25] == 0


def npy_header(content: bytes) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    """Shape, Fortran order, dtype of an .npy file, and where its data begins; `ValueError` where that is damaged."""
    file = io.BytesIO(content)
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(file, max_header_size=4096)
    return shape, fortran, dtype, file.tell()


def is_height_dtype(dtype: np.dtype[Any]) -> bool:
    """Counts of at least 16 bits or floating-point heights; 8 bits are a picture."""
    return dtype.kind in "iuf" and 2 <= dtype.itemsize <= 8


def _read_png(content: bytes, max_pixels: int, min_side: int, notes: list[str]) -> NDArray[Any]:
    import imagecodecs

    if not is_deep_png(content):
        raise AssetError("is an 8-bit or colour picture; a height map has one channel of 16 bits, export it so")
    width, height = struct.unpack(">II", content[16:24])
    _check_size(width, height, max_pixels, min_side)
    # libpng refuses what is cut short, where other readers fill it with zeros
    array: NDArray[Any] = imagecodecs.png_decode(content)
    return array


def _read_tiff(content: bytes, max_pixels: int, min_side: int, notes: list[str]) -> NDArray[Any]:
    import tifffile

    with tifffile.TiffFile(io.BytesIO(content)) as file:
        page: Any = file.pages.first
        if page.samplesperpixel == 3 and page.dtype is not None and np.dtype(page.dtype).kind == "f":
            raise AssetError(_COORDINATES)
        if page.samplesperpixel != 1 or page.imagedepth != 1 or not is_height_dtype(np.dtype(page.dtype)):
            raise AssetError(
                "is an 8-bit or colour picture or a stack; a height map has one channel of 16 or more bits"
            )
        if int(page.photometric) not in _FLAT_COLOURS:
            raise AssetError("its counts stand for colours of a palette; export the heights themselves")
        _check_size(page.imagewidth, page.imagelength, max_pixels, min_side)
        _check_size(max(page.imagewidth, page.tilewidth), max(page.imagelength, page.tilelength), max_pixels, 1)
        if len(page.dataoffsets) < math.prod(page.chunked) or not all(page.databytecounts):
            raise AssetError("parts of the map are missing in the file; export it again")
        if len(file.pages) > 1:
            notes.append(f"first of {len(file.pages)} pages of the TIFF")
        array: NDArray[Any] = page.asarray()
        return _marked_gaps(array, page.tags.valueof(_GDAL_NODATA, default=None), notes)


def _marked_gaps(array: NDArray[Any], mark: Any, notes: list[str]) -> NDArray[Any]:
    """NaN where the TIFF says by GDAL's tag that it has no data."""
    try:
        value = float(str(mark).strip().strip("\x00")) if mark is not None else math.nan
    except ValueError:
        return array
    if not math.isfinite(value):
        return array
    notes.append(f"the file marks {value:g} as no data")
    return np.where(array == value, np.nan, array.astype(np.float64))


def _read_npy(content: bytes, max_pixels: int, min_side: int, notes: list[str]) -> NDArray[Any]:
    shape, fortran, dtype, begin = npy_header(content)
    if len(shape) == 3 and shape[2] == 3 and dtype.kind == "f":
        raise AssetError(_COORDINATES)
    if len(shape) != 2 or not is_height_dtype(dtype):
        raise AssetError(
            f"holds an array of shape {shape} of {dtype}; expected two dimensions, floats or integers of 16 bits or more"
        )
    _check_size(shape[1], shape[0], max_pixels, min_side)
    if len(content) - begin != shape[0] * shape[1] * dtype.itemsize:
        raise AssetError(
            f"its header claims {shape[0]} x {shape[1]} heights, which is not what follows; export it again"
        )
    return np.frombuffer(content, dtype, offset=begin).reshape(shape, order="F" if fortran else "C")


def _check_size(width: int, height: int, max_pixels: int, min_side: int) -> None:
    if width * height > max_pixels:
        raise AssetError(f"{width} x {height} pixels are more than the limit of {max_pixels}; crop or scale the map")
    if min(width, height) < min_side:
        raise AssetError(
            f"{width} x {height} pixels are too few to inspect; at least {min_side} are needed on each side"
        )


def _without_gaps(array: NDArray[Any], notes: list[str]) -> NDArray[np.float32]:
    """float32 with NaN where there is no data; what was taken for that is said."""
    finite = np.isfinite(array)
    if array.dtype.kind == "f" and np.isnan(array).any():
        valid = finite
    else:
        # without a NaN, zero is how sensors say that they saw nothing
        valid = finite & (array != 0)
        if np.count_nonzero(valid) < np.count_nonzero(finite):
            notes.append("zeros are taken as no data")
    if np.isinf(array).any():
        notes.append("infinite heights are taken as no data")
    count = int(np.count_nonzero(valid))
    if count < max(MIN_VALID, array.size // 1000):
        raise AssetError(f"only {count} of {array.size} pixels have data; scan the part again")
    found = array[valid]
    low, high = float(found.min()), float(found.max())
    if low == high:
        raise AssetError(f"has the same height, {low:g}, everywhere; check the sensor and the export")
    _note_saturation(found, high, notes)
    return _as_float32(array, valid, low, high, notes)


def _note_saturation(found: NDArray[Any], high: float, notes: list[str]) -> None:
    at_limit = np.count_nonzero(found == high)
    if found.dtype.kind in "iu" and high == np.iinfo(found.dtype).max and at_limit > found.size // 1000:
        notes.append(f"{at_limit / found.size:.1%} of the counts are at the highest value the format knows: saturated")


def _as_float32(
    array: NDArray[Any], valid: NDArray[np.bool_], low: float, high: float, notes: list[str]
) -> NDArray[np.float32]:
    offset = 0.0
    if max(abs(low), abs(high)) > _FARTHEST * (high - low):
        offset = (low + high) / 2
        notes.append(f"{offset:.9g} was taken off all heights, which differ by {high - low:.3g} alone")
    if max(abs(low - offset), abs(high - offset)) > float(np.finfo(np.float32).max) / 1e6:
        raise AssetError(f"has heights up to {max(abs(low), abs(high)):.3g}, which no part has; export it again")
    heights = np.full(array.shape, np.nan, np.float32)
    heights[valid] = array[valid].astype(np.float64) - offset
    return heights
