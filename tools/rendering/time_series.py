"""Recording -> plots whose every pixel leads back to its samples, and closer looks with axes at one place.

A column of a plot shows a row of samples by its lowest and highest, so that no spike is lost however long the recording.
"""

from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy import signal

from tools.native import Index, Rendering, Values
from tools.signals.recording import Recording

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float64]

_WIDTH = 1024
_HEIGHT = 768
_BAND = (24, 160)
"""Rows of pixels of a channel in the overview, at least and at most."""
_PAGE = 24
"""Channels of one overview; there are as many overviews as it takes."""
_SPECTRA = 6
_SPECTRUM_SAMPLES = 256
"""Of the windows whose spectra are shown, at most; a sixteenth of a shorter recording."""
_CLOSER = 4
"""Channels that a closer look shows."""
_CLOSER_SIZE = (960, 220)
_LEFT, _TOP, _BOTTOM, _RIGHT, _NAME = 110, 46, 44, 16, 20
"""Pixels around the bands of a closer look, and between them for the name of the next."""
_LEAST_SHOWN = 60
"""Samples of a closer look, at least."""

_WHITE, _INK, _FAINT, _MARK = (255, 255, 255), (40, 40, 40), (215, 215, 215), (255, 226, 214)
_NO_DATA = (235, 235, 235)
_COLOURS = ((31, 90, 160), (200, 80, 20), (30, 130, 70), (130, 60, 150), (160, 110, 0), (0, 130, 140))


class Columns(NamedTuple):
    """Which samples stand behind the columns of a plot."""

    first: NDArray[np.int64]
    """(width,) first sample of each column."""
    span: int
    """Samples of each column, the same for all: neighbours may overlap."""


class Range(NamedTuple):
    """Lowest and highest value that a plot shows."""

    low: float
    high: float


def columns_of(first: int, last: int, width: int) -> Columns:
    """Spread samples `first` to `last` over `width` columns, each with as many samples; every sample is behind one."""
    samples = last - first + 1
    span = -(-samples // width)
    if span == 1:
        return Columns(first + np.arange(width) * samples // width, 1)
    return Columns(first + np.arange(width) * (samples - span) // (width - 1), span)


def render_recording(recording: Recording) -> tuple[Rendering, ...]:
    """Overviews of all channels stacked, each in its own range, and the spectra of up to six over time."""
    channels = len(recording.channels)
    pages = [range(first, min(first + _PAGE, channels)) for first in range(0, channels, _PAGE)]
    views = [_overview(recording, page, len(pages)) for page in pages]
    if recording.samples >= 2 * _SPECTRUM_SAMPLES:
        views.append(_spectra(recording, range(min(channels, _SPECTRA))))
    return tuple(views)


def render_closer(
    recording: Recording, values: Values, members: NDArray[np.int64], reference: Recording | None = None
) -> tuple[Rendering, ...]:
    """One place with axes, units and times, the place tinted; and the same stretch of a reference in the same style.

    The reference is shown from the same sample on, or as late as it lasts, on the same scales.
    """
    channels, samples = np.divmod(members, recording.samples)
    peaks = [float(values[channel, samples.min() : samples.max() + 1].max()) for channel in np.unique(channels)]
    shown = [int(channel) for channel in np.unique(channels)[np.argsort(peaks, kind="stable")[::-1]]][:_CLOSER]
    place = (int(samples.min()), int(samples.max()))
    stretch = _around(place, recording.samples)
    ranges = [_range(recording.values[stretch[0] : stretch[1] + 1, channel]) for channel in shown]
    beside = _same_place(recording, reference, shown, *stretch)
    names = ", ".join(recording.channels[channel] for channel in shown)
    if beside is None:
        return (_with_axes(recording, shown, stretch, ranges, place, "enlarged", f"{names}: the place and around it"),)
    normal, others, other = beside
    ranges = [
        _joined(own, _range(normal.values[other[0] : other[1] + 1, channel]))
        for own, channel in zip(ranges, others, strict=True)
    ]
    drawn = _with_axes(normal, others, other, ranges, None, "reference", f"{names}: a normal recording")
    return (
        _with_axes(recording, shown, stretch, ranges, place, "enlarged", f"{names}: the place and around it"),
        replace(drawn, index=np.full_like(drawn.index, -1), span=1),
    )


def draw_band(values: Floats, columns: Columns, height: int, shown: Range, colour: tuple[int, int, int]) -> Pixels:
    """(T,) values -> (height, width, 3): each column from the lowest to the highest of its samples, joined to the next.

    A column whose samples are all missing is grey.
    """
    low, high = _envelope(values, columns)
    missing = np.isnan(low)
    top, bottom = _rows(high, height, shown), _rows(low, height, shown)
    # a column reaches to the end of the one before it, so that the line has no holes
    before_bottom, before_top = np.roll(bottom, 1), np.roll(top, 1)
    linked = ~missing & ~np.roll(missing, 1)
    linked[0] = False
    reached_top = np.where(linked & (before_bottom < top), before_bottom, top)
    reached_bottom = np.where(linked & (before_top > bottom), before_top, bottom)
    rows = np.arange(height)[:, None]
    inside = (rows >= reached_top) & (rows <= reached_bottom) & ~missing
    band = np.full((height, len(low), 3), _WHITE, np.uint8)
    band[:, missing] = _NO_DATA
    band[inside] = colour
    return band


def _envelope(values: Floats, columns: Columns) -> tuple[Floats, Floats]:
    """Lowest and highest of each column's samples; NaN where all are missing."""
    behind = values[columns.first[:, None] + np.arange(columns.span)]
    missing = np.isnan(behind).all(axis=1)
    low, high = np.where(np.isnan(behind), np.inf, behind).min(1), np.where(np.isnan(behind), -np.inf, behind).max(1)
    return np.where(missing, np.nan, low), np.where(missing, np.nan, high)


def _rows(values: Floats, height: int, shown: Range) -> NDArray[np.int64]:
    """Pixel rows of values, two rows from the edges at the ends of the range."""
    share = (values - shown.low) / max(shown.high - shown.low, 1e-300)
    rows = (1 - np.clip(np.nan_to_num(share), 0, 1)) * (height - 5) + 2
    return np.rint(rows).astype(np.int64)


def _range(values: Floats) -> Range:
    known = values[np.isfinite(values)]
    if not len(known):
        return Range(0.0, 1.0)
    low, high = float(known.min()), float(known.max())
    if high > low:
        return Range(low, high)
    around = max(abs(low) * 0.05, 1e-9)
    return Range(low - around, high + around)


def _joined(one: Range, other: Range) -> Range:
    return Range(min(one.low, other.low), max(one.high, other.high))


def _overview(recording: Recording, page: range, pages: int) -> Rendering:
    columns = columns_of(0, recording.samples - 1, _WIDTH)
    height = int(np.clip(_HEIGHT // len(page), *_BAND))
    bands, index = [], []
    for channel in page:
        values = recording.values[:, channel]
        bands.append(draw_band(values, columns, height, _range(values), _COLOURS[channel % len(_COLOURS)]))
        index.append(_band_index(channel, recording.samples, columns, height))
    names = "all channels" if pages == 1 else f"channels {page.start + 1} to {page.stop}"
    title = f"{names}, stacked, each in its own range"
    return Rendering("plot", title, np.concatenate(bands), np.concatenate(index), columns.span)


def _band_index(channel: int, samples: int, columns: Columns, height: int) -> Index:
    row = (channel * samples + columns.first).astype(np.int32)
    return np.broadcast_to(row, (height, len(row))).copy()


# -- spectra ---------------------------------------------------------------------------------------------------------


def _spectra(recording: Recording, channels: range) -> Rendering:
    """Power over frequency, low at the bottom, of a window around each column; stacked, brightest to darkest 60 dB."""
    columns = columns_of(0, recording.samples - 1, _WIDTH)
    height = int(np.clip(_HEIGHT // len(channels), *_BAND))
    bands = [_spectrum(recording.values[:, channel], columns, height) for channel in channels]
    index = [_band_index(channel, recording.samples, columns, height) for channel in channels]
    what = "all channels" if len(recording.channels) <= len(channels) else f"the first {len(channels)} channels"
    title = f"spectra of {what} over time, low frequencies at the bottom"
    return Rendering("spectrogram", title, np.concatenate(bands), np.concatenate(index), columns.span)


def _spectrum(values: Floats, columns: Columns, height: int) -> Pixels:
    known = np.flatnonzero(np.isfinite(values))
    filled = np.interp(np.arange(len(values)), known, values[known]) if len(known) else np.zeros(len(values))
    length = int(np.clip(2 ** int(np.log2(len(values) / 16)), 32, _SPECTRUM_SAMPLES))
    half = length // 2
    padded = np.pad(filled - filled.mean(), half, mode="reflect")
    windows = padded[(columns.first + columns.span // 2)[:, None] + np.arange(length)]
    windows = (windows - windows.mean(1, keepdims=True)) * signal.windows.hann(length)
    power = np.abs(np.fft.rfft(windows, axis=1)[:, 1:]) ** 2
    decibels = 10 * np.log10(power + 1e-12 * max(float(power.max()), 1e-300))
    level = np.clip((decibels - decibels.max() + 60) / 60, 0, 1).T[::-1]
    rows = np.minimum(np.arange(height) * level.shape[0] // height, level.shape[0] - 1)
    gray = np.rint(255 * (1 - level[rows])).astype(np.uint8)
    return np.repeat(gray[..., None], 3, axis=2)


# -- closer looks ----------------------------------------------------------------------------------------------------


def _around(place: tuple[int, int], samples: int) -> tuple[int, int]:
    """The place and as much again on either side, at least sixty samples, within the recording."""
    first, last = place
    margin = max(last - first + 1, (_LEAST_SHOWN - (last - first + 1)) // 2)
    return max(0, first - margin), min(samples - 1, last + margin)


def _same_place(
    recording: Recording, reference: Recording | None, shown: list[int], first: int, last: int
) -> tuple[Recording, list[int], tuple[int, int]] | None:
    """A reference with its channels and the samples that stand for a stretch; None where it lacks a channel."""
    names = [recording.channels[channel] for channel in shown]
    if reference is None or any(name not in reference.channels for name in names):
        return None
    length = min(last - first + 1, reference.samples)
    start = min(first, reference.samples - length)
    return reference, [reference.channels.index(name) for name in names], (start, start + length - 1)


def _with_axes(
    recording: Recording,
    channels: list[int],
    stretch: tuple[int, int],
    ranges: list[Range],
    place: tuple[int, int] | None,
    kind: str,
    title: str,
) -> Rendering:
    width, height = _CLOSER_SIZE
    columns = columns_of(stretch[0], stretch[1], width)
    wide = len(columns.first)
    size = (_TOP + len(channels) * (height + _NAME) + _BOTTOM, _LEFT + wide + _RIGHT)
    pixels = np.full((*size, 3), _WHITE, np.uint8)
    index = np.full(size, -1, np.int32)
    tops = [_TOP + number * (height + _NAME) for number in range(len(channels))]
    for channel, top, shown in zip(channels, tops, ranges, strict=True):
        band = draw_band(recording.values[:, channel], columns, height, shown, _COLOURS[channel % len(_COLOURS)])
        if place is not None:
            inside = (columns.first + columns.span > place[0]) & (columns.first <= place[1])
            band[(band == _WHITE).all(axis=2) & inside] = _MARK
        pixels[top : top + height, _LEFT : _LEFT + wide] = band
        index[top : top + height, _LEFT : _LEFT + wide] = _band_index(channel, recording.samples, columns, height)
    image = Image.fromarray(pixels)
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(12)
    draw.text((_LEFT, 6), title, _INK, font)
    for channel, top, shown in zip(channels, tops, ranges, strict=True):
        _draw_frame(draw, font, recording, channel, (top, height, wide), shown)
    _draw_times(draw, font, recording, columns, tops[-1] + height)
    return Rendering(kind, title, np.asarray(image), index, columns.span)


def _draw_frame(
    draw: ImageDraw.ImageDraw,
    font: ImageFont.ImageFont | ImageFont.FreeTypeFont,
    recording: Recording,
    channel: int,
    box: tuple[int, int, int],
    shown: Range,
) -> None:
    """The frame of a band, its channel's name, and the values at three heights."""
    top, height, wide = box
    draw.rectangle((_LEFT - 1, top - 1, _LEFT + wide, top + height), outline=_FAINT)
    draw.text((_LEFT, top - 16), recording.channels[channel][:100], _INK, font)
    for value in (shown.low, (shown.low + shown.high) / 2, shown.high):
        row = top + int(_rows(np.array([value]), height, shown)[0])
        draw.line((_LEFT - 5, row, _LEFT - 1, row), fill=_INK)
        draw.text((_LEFT - 8, row), f"{value:.5g}", _INK, font, anchor="rm")


def _draw_times(
    draw: ImageDraw.ImageDraw,
    font: ImageFont.ImageFont | ImageFont.FreeTypeFont,
    recording: Recording,
    columns: Columns,
    bottom: int,
) -> None:
    """Times of real samples under five columns, and what they are counted in."""
    wide = len(columns.first)
    for column in np.linspace(0, wide - 1, 5).astype(int):
        sample = int(columns.first[column])
        draw.line((_LEFT + int(column), bottom, _LEFT + int(column), bottom + 4), fill=_INK)
        anchor = "la" if column == 0 else "ra" if column == wide - 1 else "ma"
        draw.text((_LEFT + int(column), bottom + 6), _time_text(recording, sample), _INK, font, anchor=anchor)
    what = f"time, from {recording.stamp(0)}" if recording.start else "seconds" if recording.timed else "sample"
    draw.text((_LEFT + wide // 2, bottom + 24), what, _INK, font, anchor="ma")


def _time_text(recording: Recording, sample: int) -> str:
    stamp = recording.stamp(sample)
    if isinstance(stamp, float):
        return f"{stamp:.6g}"
    moment = datetime.fromisoformat(stamp)
    return f"{moment:%m-%d %H:%M:%S}" + (f".{moment.microsecond // 1000:03d}" if moment.microsecond else "")
