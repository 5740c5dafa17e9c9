"""A simulated conveyor, painted by formula: for figures and tests of videos. No real conveyor looks like it.

Red, green and blue parts pass in this order, from left to right. In the middle of a video one is missing, the belt
stops, or two parts have changed places.
"""

from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Kind = Literal["normal", "missing", "stopped", "out_of_order"]
CONVEYOR_KINDS: tuple[Kind, ...] = ("normal", "missing", "stopped", "out_of_order")

WIDTH, HEIGHT = 240, 136
RATE = 15
SPEED = 32.0
"""Pixels a second."""
SPACING = 80.0
"""Pixels from part to part."""

_COLOURS = ((190, 60, 50), (60, 160, 80), (60, 90, 190))
_HALF_WIDTH, _TOP, _BOTTOM = 18, 48, 90
_STOPPED = (8.0, 11.0)
"""Seconds from the beginning."""
_NOTHING = -1


class SimulatedVideo(NamedTuple):
    path: Path
    events: tuple[tuple[float, float], ...]
    """Seconds at which each begins and ends: a part counts from when its middle comes into view until it leaves."""


def write_conveyor(folder: Path, kind: Kind = "normal", seed: int = 0, *, seconds: float = 20.0) -> SimulatedVideo:
    """Write `conveyor_<kind>_<seed>.mp4`; the same arguments give the same video."""
    random = np.random.default_rng([seed, CONVEYOR_KINDS.index(kind)])
    start = float(random.uniform(0, 3 * SPACING))
    times = np.arange(round(seconds * RATE)) / RATE
    travelled = start + SPEED * _belt_time(times, kind)
    # the part that is wrong comes into view a quarter of the way through
    wrong = int((start + SPEED * seconds / 4) // SPACING) + 1
    drift = 1 + 0.04 * np.sin(2 * np.pi * times / 13 + random.uniform(0, 6))
    frames = [
        _noisy(_paint(float(way), kind, wrong), float(gain), random) for way, gain in zip(travelled, drift, strict=True)
    ]
    path = folder / f"conveyor_{kind}_{seed}.mp4"
    encode(path, frames, RATE)
    return SimulatedVideo(path, _events(times, travelled, kind, wrong))


def encode(path: Path, frames: list[NDArray[np.uint8]], rate: int, codec: str = "mpeg4") -> Path:
    """Write (H, W, 3) RGB frames, H and W even, as a video in the container that the suffix names."""
    import av

    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=rate)
        stream.height, stream.width = frames[0].shape[:2]
        stream.bit_rate = 4_000_000
        stream.codec_context.thread_count = 1
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24").reformat(format="yuv420p")))
        container.mux(stream.encode())
    return path


def _belt_time(times: NDArray[np.float64], kind: Kind) -> NDArray[np.float64]:
    """Seconds for which the belt has run."""
    if kind != "stopped":
        return times
    begin, end = _STOPPED
    return times - np.clip(times - begin, 0, end - begin)


def _colour_of(part: int, kind: Kind, wrong: int) -> int:
    if part == wrong and kind == "missing":
        return _NOTHING
    if kind == "out_of_order" and part in (wrong, wrong + 1):
        part = 2 * wrong + 1 - part
    return part % len(_COLOURS)


def _paint(way: float, kind: Kind, wrong: int) -> NDArray[np.float64]:
    """(HEIGHT, WIDTH, 3): part k stands at `way` - k spacings."""
    picture = np.full((HEIGHT, WIDTH, 3), 150.0)
    picture[40:100] = 85.0
    columns = np.arange(WIDTH)
    picture[40:44, (columns - way) % 16 < 3] = 60.0
    for part in range(int((way - WIDTH - _HALF_WIDTH) // SPACING), int((way + _HALF_WIDTH) // SPACING) + 1):
        colour = _colour_of(part, kind, wrong)
        if colour != _NOTHING:
            cover = np.clip(_HALF_WIDTH + 0.5 - np.abs(columns + 0.5 - (way - part * SPACING)), 0, 1)[None, :, None]
            picture[_TOP:_BOTTOM] += cover * (np.array(_COLOURS[colour]) - picture[_TOP:_BOTTOM])
    return picture


def _noisy(picture: NDArray[np.float64], gain: float, random: np.random.Generator) -> NDArray[np.uint8]:
    noisy: NDArray[np.uint8] = np.clip(picture * gain + random.normal(0, 2, picture.shape), 0, 255).astype(np.uint8)
    return noisy


def _events(
    times: NDArray[np.float64], travelled: NDArray[np.float64], kind: Kind, wrong: int
) -> tuple[tuple[float, float], ...]:
    if kind == "normal":
        return ()
    if kind == "stopped":
        return (_STOPPED,)
    last = wrong + (kind == "out_of_order")
    in_view = times[(travelled >= wrong * SPACING) & (travelled <= last * SPACING + WIDTH)]
    return ((float(in_view[0]), float(in_view[-1])),) if len(in_view) else ()
