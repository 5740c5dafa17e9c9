"""Height map -> pictures: shaded relief, normals, heights, and what is above or below the references."""

from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage

from tools.geometry.height_alignment import align, shrink, smoothed, to_reference
from tools.geometry.height_map import HeightMap, Heights, fit_plane
from tools.native import Index, Rendering, Values
from tools.rendering.image import MAX_VIEW_PIXELS

Floats = NDArray[np.float64]
Picture = NDArray[np.uint8]
_Kind = TypeVar("_Kind", bound=np.generic)

NO_DATA = (38, 42, 64)
"""Dark blue, which no shade of grey is."""
_MARK = (255, 0, 200)
_LIGHT = np.array([-1.0, -1.0, 1.4]) / np.linalg.norm([-1.0, -1.0, 1.4])
"""Direction to the lamp, x to the right, y down, z towards the viewer: from the upper left."""
_AMBIENT = 0.15
_CLOSE_SIDE = 448
"""Pixels on the longer side of a closer look, at least."""
_MARGIN = 24
"""Pixels of the map that a closer look shows about a place, at least."""
_BAR = 26
"""Height in pixels of the strip with the scale."""


class DepthStyle(NamedTuple):
    """What is the same on all pictures of a product, so that they can be compared."""

    low: float
    """Height over the part's plane that is black."""
    high: float
    """The one that is white."""
    exaggeration: float
    """By which heights are multiplied before they are shaded: pixels per height."""


def style_of(height_map: HeightMap) -> DepthStyle:
    """From one map, best a reference: nearly all of its heights, and slopes at which flat ground shows some relief."""
    over = _over_plane(height_map.heights)
    found = over[np.isfinite(over)]
    low, high = (float(value) for value in np.percentile(found, (0.5, 99.5)))
    down, right = _slopes(over)
    slopes = np.hypot(down, right)[np.isfinite(over)]
    middle, steep = np.percentile(slopes, (50, 95))
    exaggeration = min(0.2 / max(float(middle), 1e-12), 3.0 / max(float(steep), 1e-12))
    return DepthStyle(low, max(high, low + 1e-9), exaggeration)


def render_depth(
    height_map: HeightMap, residual: Heights | None = None, *, style: DepthStyle | None = None
) -> tuple[Rendering, ...]:
    """Shaded relief, normals and heights; with (H, W) `residual` heights over the references, those as well.

    Large maps are scaled down to `MAX_VIEW_PIXELS`; a pixel then has the index of the middle one of those it shows.
    `style` is best that of a reference; without it the map's own.
    """
    style = style or style_of(height_map)
    factor = max(1, int(np.ceil((height_map.heights.size / MAX_VIEW_PIXELS) ** 0.5)))
    index = _index((height_map.heights.shape[0], height_map.heights.shape[1]), factor)
    over = _over_plane(height_map.heights)
    small = shrink(over.astype(np.float32), factor).astype(np.float64)
    # the slope between pixels that are farther apart is a larger height
    exaggeration, unit = style.exaggeration / factor, height_map.height_unit
    views = [
        Rendering(
            "shaded", "shaded relief, lit from the upper left; dark blue: no data", _shaded(small, exaggeration), index
        ),
        Rendering(
            "normals",
            "surface normals as colours: red leans right, green leans up, blue faces the viewer; dark blue: no data",
            _normals(small, exaggeration),
            index,
        ),
        Rendering(
            "height",
            f"height over the part's plane: black {style.low:.3g} {unit}, white {style.high:.3g} {unit}; dark blue: no data",
            _grey(small, style),
            index,
        ),
    ]
    if residual is not None:
        views.append(_deviation(shrink(residual, factor).astype(np.float64), small, unit, index))
    return tuple(views)


def render_closer(
    height_map: HeightMap,
    values: Values,
    members: NDArray[np.int64],
    reference: HeightMap | None = None,
    *,
    style: DepthStyle | None = None,
) -> tuple[Rendering, ...]:
    """`enlarged`: a place and its surroundings with its outline, a scale below; `reference`: the same place on another.

    The pixels of the `reference` show no element of this map: their index is -1.
    """
    style = style or style_of(reference or height_map)
    box = _box_about(members, (values.shape[0], values.shape[1]))
    marked = np.zeros(values.shape, np.bool_)
    marked.ravel()[members] = True
    over = _over_plane(height_map.heights)
    index = np.arange(values.size, dtype=np.int32).reshape(values.shape)
    where = f"x {box[1].start} to {box[1].stop}, y {box[0].start} to {box[0].stop}"
    looks = [
        _close(
            over[box], marked[box], index[box], height_map, style, "enlarged", f"the place enlarged, outlined: {where}"
        )
    ]
    if reference is not None:
        laid = _laid_under(reference, height_map)
        nothing = np.full(values.shape, -1, np.int32)
        title = f"the same place on a normal reference: {where}"
        looks.append(_close(laid[box], marked[box], nothing[box], height_map, style, "reference", title))
    return tuple(looks)


def _laid_under(reference: HeightMap, height_map: HeightMap) -> Floats:
    """(H, W) heights of the reference over its plane, laid under the part."""
    pose = align(reference.heights, height_map.heights).pose
    over = _over_plane(reference.heights)
    return to_reference(over, pose, (height_map.heights.shape[0], height_map.heights.shape[1]))


def _over_plane(heights: Heights) -> Floats:
    return np.asarray(heights - fit_plane(heights).over((heights.shape[0], heights.shape[1])))


def _index(shape: tuple[int, int], factor: int) -> Index:
    """(h, w) flat index of the middle pixel of each block of `factor` x `factor`."""
    rows = np.arange(shape[0] // factor) * factor + factor // 2
    columns = np.arange(shape[1] // factor) * factor + factor // 2
    return (rows[:, None] * shape[1] + columns).astype(np.int32)


def _slopes(over: Floats) -> tuple[Floats, Floats]:
    """Downwards and to the right, a little smoothed; 0 where there is no data."""
    valid = np.isfinite(over)
    filled, weight = smoothed(np.nan_to_num(over), valid.astype(np.float64), 0.7)
    # beside a gap the mean goes on, so that its edge is no cliff to nothing
    wide, _ = smoothed(np.nan_to_num(over), valid.astype(np.float64), 3.0)
    filled = np.where(weight > 1e-3, filled, wide)
    down, right = np.gradient(filled)
    return np.where(valid, down, 0.0), np.where(valid, right, 0.0)


def _normal_vectors(over: Floats, exaggeration: float) -> Floats:
    """(h, w, 3) unit normals: x to the right, y down, z towards the viewer."""
    down, right = _slopes(over)
    vectors = np.stack([-right * exaggeration, -down * exaggeration, np.ones(over.shape)], axis=-1)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True))


def _shaded(over: Floats, exaggeration: float) -> Picture:
    """Lambert's law with some ambient light, flat ground a middle grey."""
    lit = np.clip(_normal_vectors(over, exaggeration) @ _LIGHT, 0.0, 1.0)
    shade = _AMBIENT + (1 - _AMBIENT) * lit
    return _painted(np.repeat(shade[..., None], 3, axis=2), over)


def _normals(over: Floats, exaggeration: float) -> Picture:
    vectors = _normal_vectors(over, exaggeration) * [1, -1, 1]
    return _painted((vectors + 1) / 2, over)


def _grey(over: Floats, style: DepthStyle) -> Picture:
    level = np.clip((np.nan_to_num(over) - style.low) / (style.high - style.low), 0, 1)
    return _painted(np.repeat(level[..., None], 3, axis=2), over)


def _deviation(residual: Floats, over: Floats, unit: str, index: Index) -> Rendering:
    """Blue below the references, red above, white at them; grey where either has no data."""
    found = residual[np.isfinite(residual)]
    limit = 8 * 1.4826 * float(np.median(np.abs(found))) if found.size else 1.0
    limit = limit or float(np.abs(found).max()) or 1.0
    level = np.clip(np.nan_to_num(residual) / limit, -1, 1)
    stops = (-1.0, -0.4, 0.0, 0.4, 1.0)
    colours = np.array([[5, 48, 140], [120, 170, 225], [247, 247, 247], [240, 150, 120], [150, 10, 30]]) / 255
    channels = [np.interp(level, stops, colours[:, channel]) for channel in range(3)]
    picture = _painted(np.stack(channels, axis=-1), over)
    picture[np.isfinite(over) & ~np.isfinite(residual)] = (120, 120, 120)
    title = (
        f"height against the references: blue {limit:.3g} {unit} too low, red {limit:.3g} {unit} too high, grey unknown"
    )
    return Rendering("deviation", f"{title}; dark blue: no data", picture, index)


def _painted(levels: Floats, over: Floats) -> Picture:
    """(h, w, 3) levels from 0 to 1, with what has no data in its own colour."""
    picture = np.rint(np.clip(levels, 0, 1) * 255).astype(np.uint8)
    picture[~np.isfinite(over)] = NO_DATA
    return picture


def _box_about(members: NDArray[np.int64], shape: tuple[int, int]) -> tuple[slice, slice]:
    """Rows and columns of a place with as much again about it."""
    rows, columns = np.divmod(members, shape[1])
    extent = max(int(np.ptp(rows)), int(np.ptp(columns))) + 1
    margin = max(_MARGIN, extent // 2)
    return (
        slice(max(0, int(rows.min()) - margin), min(shape[0], int(rows.max()) + margin + 1)),
        slice(max(0, int(columns.min()) - margin), min(shape[1], int(columns.max()) + margin + 1)),
    )


def _close(
    over: Floats,
    marked: NDArray[np.bool_],
    index: Index,
    height_map: HeightMap,
    style: DepthStyle,
    kind: str,
    title: str,
) -> Rendering:
    """Shading and height in one picture, enlarged by a whole factor or scaled down, over a strip with the scale."""
    if max(over.shape) > 2 * _CLOSE_SIDE:
        step = -(-max(over.shape) // (2 * _CLOSE_SIDE))
        over, marked, index = over[::step, ::step], marked[::step, ::step], index[::step, ::step]
        pixels_each = 1 / step
    else:
        pixels_each = float(max(1, _CLOSE_SIDE // max(over.shape)))
    factor = max(1, int(pixels_each))
    shade = _shaded(over, style.exaggeration * pixels_each if pixels_each < 1 else style.exaggeration) / 255
    picture = _painted(0.75 * shade + 0.25 * _grey(over, style) / 255, over)
    picture, marked, index = _repeated(picture, factor), _repeated(marked, factor), _repeated(index, factor)
    edge = marked & ~ndimage.binary_erosion(marked, iterations=max(1, factor // 4))
    picture[edge] = _MARK
    strip, scale = _scale_strip(picture.shape[1], pixels_each, height_map)
    index = np.concatenate([index, np.full((_BAR, index.shape[1]), -1, np.int32)])
    return Rendering(kind, f"{title}; {scale}", np.concatenate([picture, strip]), index)


def _repeated(array: NDArray[_Kind], factor: int) -> NDArray[_Kind]:
    return np.repeat(np.repeat(array, factor, axis=0), factor, axis=1)


def _scale_strip(width: int, pixels_each: float, height_map: HeightMap) -> tuple[Picture, str]:
    """A bar of a round length, about a third of the picture, and what it says in words."""
    side, unit = (height_map.pixel_size, height_map.pixel_unit) if height_map.pixel_size else (1.0, "px")
    shown = width / pixels_each * float(side or 1.0)
    length = _round_down(shown / 3)
    label = f"{length:g} {unit or 'px'}"
    strip = Image.new("RGB", (width, _BAR), "white")
    draw = ImageDraw.Draw(strip)
    long = max(1, round(length / shown * width))
    draw.rectangle((6, _BAR - 9, 6 + long, _BAR - 5), fill="black")
    draw.text((6, 2), label, fill="black")
    return np.asarray(strip), f"the bar is {label} long"


def _round_down(value: float) -> float:
    """The next of 1, 2, 5 times a power of ten below."""
    power = 10.0 ** np.floor(np.log10(max(value, 1e-12)))
    steps: Sequence[float] = (5.0, 2.0, 1.0)
    return float(next((step * power for step in steps if step * power <= value), power))
