"""Video -> pictures: a contact sheet of key frames, what moves in them, and a slice through time."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from tools.decoding.videos import luma
from tools.motion.events import cells_to_source
from tools.motion.video import Video
from tools.native import Index, Rendering, Values

Pixels = NDArray[np.uint8]

CELL = 8
"""Pixels of a sampled frame that a cell is about wide and high."""

_COLUMNS, _ROWS = 5, 4
_STRIP = 18
"""Height of the line under a frame that tells its time."""
_GAP = 4
_BACKGROUND = 24
_INK = (235, 235, 235)
_MARK = (255, 70, 40)
_FILMSTRIP = 7
_BEFORE_AND_AFTER = 0.5
"""Seconds before an event and after it that a filmstrip shows."""
_MOTION_GAIN = 6


class _Tile(NamedTuple):
    pixels: Pixels
    """(H, W, 3)"""
    cells: Index
    """(H, W) flat index of the cell that each pixel shows."""
    label: str


def grid_of(video: Video) -> tuple[int, int]:
    """Rows and columns of the cells that views are inverted to where no values are given."""
    height, width = video.frames.shape[1:3]
    return max(1, height // CELL), max(1, width // CELL)


def render_video(video: Video, grid: tuple[int, int] | None = None) -> tuple[Rendering, ...]:
    """Contact sheet of key frames, the motion in the same frames, and a row of the picture over time.

    `grid` is (h, w) of the localisation's values (F, h, w), into which every view's index points.
    """
    grid = grid or grid_of(video)
    chosen = key_frames(video, _COLUMNS * _ROWS)
    sheet = _contact_sheet([_frame_tile(video, number, grid) for number in chosen])
    motion = _contact_sheet([_motion_tile(video, number, grid) for number in chosen])
    seconds = f"{video.times[0]:.1f} to {video.times[-1]:.1f} s"
    return (
        Rendering("contact_sheet", f"{len(chosen)} frames, {seconds}, left to right and top to bottom", *sheet),
        Rendering(
            "motion", f"the same moments: what changed within about 0.2 s, {_MOTION_GAIN} times brighter", *motion
        ),
        Rendering(
            "time_slice",
            f"the row of the picture that changes most, over time from left to right, {seconds}",
            *_slice(video, grid),
        ),
    )


def render_closer(
    video: Video,
    values: Values,
    members: NDArray[np.int64],
    reference: Video | None = None,
) -> tuple[Rendering, ...]:
    """One place: a filmstrip from before it to after it with the place outlined, and the same place on a reference.

    The reference's frames are those that are most like the ones shown, outside of the place.
    """
    frames, rows, columns = np.unravel_index(members, values.shape)
    shown = _filmstrip_frames(video, int(frames.min()), int(frames.max()))
    outline = (int(rows.min()), int(columns.min()), int(rows.max()) + 1, int(columns.max()) + 1)
    window = _window(outline, values.shape[1], values.shape[2])
    inside = (int(frames.min()), int(frames.max()))
    tiles = [_close_tile(video, number, values.shape, window, outline, inside) for number in shown]
    box = cells_to_source(video, values.shape, rows, columns)
    title = f"x {box[0]} to {box[2]}, y {box[1]} to {box[3]} px; outlined while it lasts, {_span(video, inside)}"
    found = [Rendering("enlarged", title, *_contact_sheet(tiles, columns=4))]
    if reference is not None:
        found.append(_on_reference(video, reference, values.shape, shown, window, outline))
    return tuple(found)


def key_frames(video: Video, most: int) -> list[int]:
    """Frames that show the course of a video: the first, the last, and evenly in between in change as well as in time."""
    if len(video.frames) <= most:
        return list(range(len(video.frames)))
    small = video.frames[:, ::8, ::8].astype(np.int16)
    change = np.abs(np.diff(small, axis=0)).mean((1, 2, 3))
    # half of the way is time: a still video is shown evenly, a burst of motion by more frames
    way = np.diff(video.times) / max(video.duration, 1e-9) + change / max(float(change.sum()), 1e-9)
    along = np.concatenate([[0.0], np.cumsum(way)])
    wanted = np.linspace(0, along[-1], most)
    return sorted({int(np.abs(along - at).argmin()) for at in wanted})


def _contact_sheet(tiles: Sequence[_Tile], columns: int = _COLUMNS) -> tuple[Pixels, Index]:
    columns = min(columns, len(tiles))
    rows = -(-len(tiles) // columns)
    height, width = (max(tile.pixels.shape[axis] for tile in tiles) for axis in (0, 1))
    shape = (rows * (height + _STRIP + _GAP) - _GAP, columns * (width + _GAP) - _GAP)
    pixels, index = np.full((*shape, 3), _BACKGROUND, np.uint8), np.full(shape, -1, np.int32)
    for number, tile in enumerate(tiles):
        y, x = (number // columns) * (height + _STRIP + _GAP), (number % columns) * (width + _GAP)
        own = tile.cells.shape
        pixels[y : y + own[0], x : x + own[1]] = tile.pixels
        index[y : y + own[0], x : x + own[1]] = tile.cells
        pixels[y + height : y + height + _STRIP, x : x + width] = _line(tile.label, width)
    return pixels, index


def _frame_tile(video: Video, number: int, grid: tuple[int, int]) -> _Tile:
    return _Tile(video.frames[number], _cells(video, number, grid), _label(video, number))


def _motion_tile(video: Video, number: int, grid: tuple[int, int]) -> _Tile:
    """The frame in dark grey, and over it in colour what became brighter (yellow) and darker (blue)."""
    grey = luma(video.frames[number]).astype(np.float64)
    change = grey - video.earlier[number]
    change = (change - np.median(change)) * _MOTION_GAIN
    shown = np.repeat(grey[..., None] * 0.35, 3, axis=2)
    shown += np.clip(change, 0, 255)[..., None] * (1.0, 0.85, 0.1) + np.clip(-change, 0, 255)[..., None] * (
        0.2,
        0.55,
        1.0,
    )
    return _Tile(np.clip(shown, 0, 255).astype(np.uint8), _cells(video, number, grid), _label(video, number))


def _cells(video: Video, number: int, grid: tuple[int, int]) -> Index:
    """(H, W) flat index of the cell of frame `number` at each of its pixels."""
    height, width = video.frames.shape[1:3]
    rows = np.arange(height) * grid[0] // height
    columns = np.arange(width) * grid[1] // width
    cells: Index = (number * grid[0] * grid[1] + rows[:, None] * grid[1] + columns[None, :]).astype(np.int32)
    return cells


def _slice(video: Video, grid: tuple[int, int]) -> tuple[Pixels, Index]:
    """(H, W): a row of cells, of which each frame is a column; a part that moves is a slope, one that stands a level."""
    green = video.frames[:: max(1, len(video.frames) // 100), :, ::2, 1]
    activity = green.std(0, dtype=np.float32).mean(1)
    height, width = video.frames.shape[1:3]
    row = int(activity.argmax())
    across = max(1, -(-600 // len(video.frames)))
    strip = np.repeat(video.frames[:, row].transpose(1, 0, 2), across, axis=1)
    columns = np.arange(width) * grid[1] // width
    cells = (row * grid[0] // height) * grid[1] + columns
    index = (np.arange(len(video.frames))[None, :] * grid[0] * grid[1] + cells[:, None]).repeat(across, axis=1)
    axis = _time_axis(video, strip.shape[1])
    blank = np.full(axis.shape[:2], -1)
    return np.concatenate([strip, axis]), np.concatenate([index, blank]).astype(np.int32)


def _time_axis(video: Video, width: int) -> Pixels:
    axis = Image.fromarray(np.full((_STRIP, width, 3), _BACKGROUND, np.uint8))
    draw = ImageDraw.Draw(axis)
    for number in np.linspace(0, len(video.times) - 1, 7).round().astype(int):
        x = int(number / max(len(video.times) - 1, 1) * (width - 1))
        draw.line([(x, 0), (x, 4)], fill=_INK)
        draw.text((min(x, width - 40), 4), f"{video.times[number]:.1f} s", fill=_INK, font=_font())
    return np.asarray(axis, np.uint8)


def _filmstrip_frames(video: Video, first: int, last: int) -> list[int]:
    """One frame before, some evenly during, and one after."""
    before = int(np.searchsorted(video.times, video.times[first] - _BEFORE_AND_AFTER, side="left"))
    after = int(np.searchsorted(video.times, video.times[last] + _BEFORE_AND_AFTER, side="right")) - 1
    during = np.linspace(first, last, _FILMSTRIP - 2).round().astype(int)
    return sorted({min(before, first), *(int(number) for number in during), max(after, last)})


def _window(outline: tuple[int, int, int, int], height: int, width: int) -> tuple[int, int, int, int]:
    """Cells to be shown around a place: as much again on each side, at least a third of the picture."""
    y0, x0, y1, x1 = outline
    rows, columns = max((y1 - y0) // 2, height // 6, 1), max((x1 - x0) // 2, width // 6, 1)
    return max(0, y0 - rows), max(0, x0 - columns), min(height, y1 + rows), min(width, x1 + columns)


def _close_tile(
    video: Video,
    number: int,
    shape: tuple[int, ...],
    window: tuple[int, int, int, int],
    outline: tuple[int, int, int, int],
    inside: tuple[int, int] | None,
) -> _Tile:
    """The window of one frame, enlarged to about 320 pixels, outlined where `inside` has the frame or is None."""
    height, width = video.frames.shape[1:3]
    y0, x0, y1, x1 = _to_pixels(window, shape, height, width)
    factor = max(1, round(320 / max(x1 - x0, y1 - y0)))
    crop = Image.fromarray(video.frames[number, y0:y1, x0:x1]).resize(
        ((x1 - x0) * factor, (y1 - y0) * factor), Image.Resampling.BICUBIC
    )
    if inside is None or inside[0] <= number <= inside[1]:
        top, left, bottom, right = _to_pixels(outline, shape, height, width)
        edges = ((left - x0) * factor, (top - y0) * factor, (right - x0) * factor - 1, (bottom - y0) * factor - 1)
        ImageDraw.Draw(crop).rectangle(edges, outline=_MARK, width=2)
    cells = _cells(video, number, (shape[1], shape[2]))[y0:y1, x0:x1]
    index = cells.repeat(factor, axis=0).repeat(factor, axis=1)
    return _Tile(np.asarray(crop, np.uint8), index, _label(video, number))


def _on_reference(
    video: Video,
    reference: Video,
    shape: tuple[int, ...],
    shown: Sequence[int],
    window: tuple[int, int, int, int],
    outline: tuple[int, int, int, int],
) -> Rendering:
    alike = [_most_alike(video.frames[number], reference, shape, outline) for number in shown]
    chosen = list(dict.fromkeys(alike))
    tiles = [_close_tile(reference, number, shape, window, outline, None) for number in chosen]
    pixels, _ = _contact_sheet(tiles, columns=4)
    title = "the same place on a normal reference, at its moments that are most like those of the filmstrip"
    # it shows the reference and none of this video's cells
    return Rendering("reference", title, pixels, np.full(pixels.shape[:2], -1, np.int32))


def _most_alike(frame: Pixels, reference: Video, shape: tuple[int, ...], outline: tuple[int, int, int, int]) -> int:
    """The reference's frame that differs least from this one outside of the place."""
    height, width = reference.frames.shape[1:3]
    if frame.shape != reference.frames.shape[1:]:
        frame = np.asarray(Image.fromarray(frame).resize((width, height)))
    outside = np.ones((height, width), np.bool_)
    y0, x0, y1, x1 = _to_pixels(outline, shape, height, width)
    outside[y0:y1, x0:x1] = False
    kept = outside[::4, ::4] if outside[::4, ::4].any() else np.ones_like(outside[::4, ::4])
    now = frame[::4, ::4].astype(np.int16)[kept]
    then = reference.frames[:, ::4, ::4].astype(np.int16)[:, kept]
    return int(np.abs(then - now).mean((1, 2)).argmin())


def _to_pixels(
    cells: tuple[int, int, int, int], shape: tuple[int, ...], height: int, width: int
) -> tuple[int, int, int, int]:
    """Cell bounds (y0, x0, y1, x1) -> those of a sampled frame's pixels."""
    y0, x0, y1, x1 = cells
    return y0 * height // shape[1], x0 * width // shape[2], -(-y1 * height // shape[1]), -(-x1 * width // shape[2])


def _label(video: Video, number: int) -> str:
    return f"{video.times[number]:.2f} s, frame {video.numbers[number]}"


def _span(video: Video, frames: tuple[int, int]) -> str:
    return f"{video.times[frames[0]]:.2f} to {video.times[frames[1]]:.2f} s"


def _line(text: str, width: int) -> Pixels:
    strip = Image.fromarray(np.full((_STRIP, width, 3), _BACKGROUND, np.uint8))
    ImageDraw.Draw(strip).text((3, 2), text, fill=_INK, font=_font())
    return np.asarray(strip, np.uint8)


def _font() -> "ImageFont.FreeTypeFont | ImageFont.ImageFont":
    return ImageFont.load_default(size=11)
