"""Organised scans -> points: the coordinates that a 3-D camera saw at each of its pixels, as TIFF or NumPy's .npy.

MVTec 3D-AD and many cameras give them so. What a header claims is held against the limits and the length of the file
before anything is allocated.
"""

import io
import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from knowledge import AssetError
from tools.decoding import npy
from tools.decoding.height_maps import kind_of, npy_header

_CHANNELS = 3
_SIZES = (4, 8)
"""Bytes of a coordinate; two of them keep three digits."""


class Scanned(NamedTuple):
    """What a camera saw."""

    points: NDArray[np.float64]
    """(N, 3) x, y, z, finite, in row-major order of their pixels."""
    pixels: NDArray[np.int64]
    """(N,) row * W + column of each point."""
    grid: tuple[int, int]
    """H, W."""
    seen: int
    """Pixels with a point; more than N where points were thinned."""
    pages: int
    """Of a TIFF, the first of which was read."""


def is_scan(content: bytes) -> bool:
    """Whether a file has several floating-point channels, by its header: no picture and no height map has them.

    Whether they are coordinates its reader says.
    """
    from tools.assets import DECODER_ERRORS

    try:
        return _is_scan(content)
    except DECODER_ERRORS:  # a damaged header is nothing
        return False


def _is_scan(content: bytes) -> bool:
    kind = kind_of(content)
    if kind == "NPY":
        header = npy.npy_header(content)
        return header is not None and header.kind == "f" and len(header.shape) == 3 and header.shape[2] == _CHANNELS
    if kind != "TIFF":
        return False
    import tifffile

    from tools.assets import _quiet  # one lock for all that silences decoders

    with _quiet(), tifffile.TiffFile(io.BytesIO(content)) as file:
        page: Any = file.pages.first
        return bool(page.samplesperpixel > 1 and page.dtype is not None and np.dtype(page.dtype).kind == "f")


def read_scan(content: bytes, *, limit: int, max_pixels: int) -> Scanned:
    """A point for each pixel with coordinates; none where one of them is no number, or all three are zero.

    More than `limit` points are thinned evenly. Raises `AssetError` for channels that are no coordinates; other errors on
    damaged content.
    """
    if kind_of(content) == "TIFF":
        array, pages = _read_tiff(content, max_pixels)
    else:
        array, pages = _read_npy(content, max_pixels), 1
    grid, flat = (int(array.shape[0]), int(array.shape[1])), array.reshape(-1, _CHANNELS)
    pixels = np.flatnonzero(np.isfinite(flat).all(1) & flat.any(1))
    seen = len(pixels)
    if seen > limit:
        pixels = pixels[np.linspace(0, seen - 1, limit).round().astype(np.int64)]
    return Scanned(flat[pixels].astype(np.float64), pixels, grid, seen, pages)


class _Page(NamedTuple):
    array: NDArray[Any]
    pages: int


def _read_tiff(content: bytes, max_pixels: int) -> _Page:
    import tifffile

    with tifffile.TiffFile(io.BytesIO(content)) as file:
        page: Any = file.pages.first
        if page.samplesperpixel != _CHANNELS or page.imagedepth != 1 or page.dtype is None:
            raise AssetError(
                f"has {page.samplesperpixel} channels of {page.dtype}; "
                "a scan has three, the coordinates x, y, z that were seen at each pixel"
            )
        _check(page.imagewidth, page.imagelength, np.dtype(page.dtype), max_pixels)
        tiled = max(page.imagewidth, page.tilewidth), max(page.imagelength, page.tilelength)
        _check(*tiled, np.dtype(page.dtype), max_pixels)
        _check_complete(page, len(content))
        array: NDArray[Any] = page.asarray()
        return _Page(np.moveaxis(array, 0, -1) if page.axes == "SYX" else array, len(file.pages))


def _check_complete(page: Any, length: int) -> None:
    stored = [begin + count for begin, count in zip(page.dataoffsets, page.databytecounts, strict=True)]
    if len(stored) < math.prod(page.chunked) or not all(page.databytecounts) or max(stored) > length:
        raise AssetError("parts of the scan are missing in the file: it is truncated or damaged, export it again")


def _read_npy(content: bytes, max_pixels: int) -> NDArray[Any]:
    shape, fortran, dtype, begin = npy_header(content)
    _check(shape[1], shape[0], dtype, max_pixels)
    if len(content) - begin != math.prod(shape) * dtype.itemsize:
        raise AssetError(
            f"its header claims {shape[0]} x {shape[1]} points, which is not what follows; export it again"
        )
    return np.frombuffer(content, dtype, offset=begin).reshape(shape, order="F" if fortran else "C")


def _check(width: int, height: int, dtype: np.dtype[Any], max_pixels: int) -> None:
    if dtype.itemsize not in _SIZES:
        raise AssetError(f"has coordinates of {dtype}; export them as floats of 32 or 64 bits")
    if width * height > max_pixels:
        raise AssetError(f"{width} x {height} pixels are more than the limit of {max_pixels}; crop or scale the scan")
