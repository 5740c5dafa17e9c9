"""A video file -> frames sampled evenly in time, each with its time and its number in the file.

These functions run in the decoding process. A container is opened as what its first bytes say it is and as nothing
else, so that no playlist or other format that names further files is ever followed.
"""

import io
import time
from collections import deque
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from knowledge import AssetError
from tools.decoding.worker import Decoded

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

Pixels = NDArray[np.uint8]

LAG = 0.2
"""Seconds between a frame and the earlier one that comes with it, to see motion by: the same at every sampling rate."""

MAX_SIDE = 320
MAX_AREA = 320 * 180
"""Of a sampled frame, in pixels; larger frames are scaled down."""

MAX_SOURCE_PIXELS = 40_000_000
"""Of a frame in the file: a little more than 8K."""

_STARTS = {b"\x1a\x45\xdf\xa3": "matroska", b"GIF87a": "gif", b"GIF89a": "gif"}
_MOV_ATOMS = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")
_STILL_BRANDS = (
    b"heic",
    b"heix",
    b"heim",
    b"heis",
    b"hevc",
    b"mif1",
    b"msf1",
    b"avif",
    b"avis",
    b"crx ",
    b"M4A ",
    b"M4B ",
)
_MOST_ERRORS = 50
"""Packets that may fail before the rest of a file is given up."""


def container_of(content: bytes) -> str | None:
    """The container that the first bytes speak of: `mov`, `matroska`, `avi` or `gif`; None where it is none of them."""
    if content[4:8] == b"ftyp" and content[8:12] in _STILL_BRANDS:
        return None
    if content[4:8] in _MOV_ATOMS and len(content) > 16:
        return "mov"
    if content[:4] == b"RIFF" and content[8:12] == b"AVI ":
        return "avi"
    return next((kind for start, kind in _STARTS.items() if content.startswith(start)), None)


def probe_video(content: bytes) -> Decoded:
    """What the header says, and that a first frame can be decoded at all.

    Raises `AssetError` where the file holds no video that could be read.
    """
    with _opened(content) as container:
        stream = _stream(container)
        first = _first_frame(container, stream)
        about = {**_header(container, stream), "rotation": int(first.rotation) % 360}
    return Decoded({}, about)


def decode_video(content: bytes, *, most_frames: int, rate: float, patience: float) -> Decoded:
    """At most `most_frames` frames, evenly in time, at most `rate` of them a second.

    Decoding ends after `patience` seconds of wall clock; what was read until then is given, and `about` says where it ended.

    Arrays: `frames` uint8 (F, H, W, 3), `earlier` uint8 (F, H, W) grey, `lags` and `times` float64 (F,) seconds,
    `numbers` int64 (F,).
    """
    until = time.monotonic() + patience
    with _opened(content) as container:
        stream = _stream(container)
        header = _header(container, stream)
        sampler = _Sampler(most_frames, _step(header, most_frames, rate), header["fps"])
        ended = _feed(container, stream, sampler, until)
    return Decoded(sampler.arrays(), {**header, **sampler.about(), "ended": ended})


def shown_size(width: int, height: int) -> tuple[int, int]:
    """Width and height of a sampled frame: even numbers, as most formats like them, and never larger than the source."""
    scale = min(1.0, MAX_SIDE / max(width, height), (MAX_AREA / (width * height)) ** 0.5)
    return max(2, round(width * scale / 2) * 2), max(2, round(height * scale / 2) * 2)


def luma(frames: Pixels) -> Pixels:
    """(..., 3) RGB -> (...) grey, ITU-R BT.601 in whole numbers."""
    weights = np.array([77, 150, 29], np.uint32)
    grey: Pixels = ((frames @ weights + 128) >> 8).astype(np.uint8)
    return grey


class _Kept(NamedTuple):
    pixels: Pixels
    earlier: Pixels
    lag: float
    time: float
    number: int


class _Sampler:
    """Takes frames as they come and keeps some, without knowing how many there will be."""

    def __init__(self, most: int, step: float, fps: float | None) -> None:
        self._most, self._step, self._fps = most, step, fps
        self._target = -np.inf
        self._kept: list[_Kept] = []
        self._recent: deque[tuple[float, Pixels]] = deque(maxlen=8)
        self.number = -1
        self._last: float | None = None
        self._odd = {"backwards": 0, "untimed": 0, "corrupt": 0, "resized": 0}
        self._size: tuple[int, int] | None = None
        self.rotation = 0

    def take(self, frame: "VideoFrame") -> None:
        self.number += 1
        self._odd["corrupt"] += bool(frame.is_corrupt)
        seconds = self._time_of(frame)
        if seconds is None:
            return
        self._last = seconds
        is_due = seconds >= self._target - 1e-6
        if not is_due and seconds < self._target - LAG - 1e-6:
            return
        pixels = self._small(frame)
        grey = luma(pixels)
        if is_due:
            self._keep(pixels, grey, seconds)
        self._recent.append((seconds, grey))

    def arrays(self) -> dict[str, NDArray[Any]]:
        if not self._kept:
            raise AssetError("holds no frame that can be decoded; export the video again")
        pixels, earlier, lags, times, numbers = zip(*self._kept, strict=True)
        self._kept = []
        return {
            "frames": np.stack(pixels),
            "earlier": np.stack(earlier),
            "lags": np.array(lags, np.float64),
            "times": np.array(times, np.float64),
            "numbers": np.array(numbers, np.int64),
        }

    def about(self) -> dict[str, Any]:
        return {
            **self._odd,
            "decoded": self.number + 1,
            "last": self._last,
            "step": self._step,
            "rotation": self.rotation,
        }

    def _time_of(self, frame: "VideoFrame") -> float | None:
        """Presentation time; None for a frame that comes after one it should come before."""
        seconds = frame.time
        if seconds is None or not np.isfinite(seconds):
            self._odd["untimed"] += 1
            seconds = 0.0 if self._last is None else self._last + 1 / (self._fps or 25.0)
        if self._last is not None and seconds <= self._last:
            self._odd["backwards"] += 1
            return None
        return float(seconds)

    def _small(self, frame: "VideoFrame") -> Pixels:
        if self._size is None:
            self._size = (frame.width, frame.height)
            self.rotation = int(frame.rotation) % 360
        self._odd["resized"] += (frame.width, frame.height) != self._size
        width, height = shown_size(*self._size)
        pixels = frame.reformat(width=width, height=height, format="rgb24", interpolation="AREA").to_ndarray()
        return np.ascontiguousarray(np.rot90(pixels, self.rotation // 90), dtype=np.uint8)

    def _keep(self, pixels: Pixels, grey: Pixels, seconds: float) -> None:
        before = [each for each in self._recent if each[0] <= seconds - 0.75 * LAG] or list(self._recent)[-1:]
        then, earlier = before[-1] if before else (seconds, grey)
        self._kept.append(_Kept(pixels, earlier, seconds - then, seconds, self.number))
        if len(self._kept) > self._most:
            self._kept = self._kept[::2]
            self._step *= 2
        # from the grid and not from this frame, so that the rate does not fall short where frames are not on the grid
        due = self._target + self._step
        self._target = due if seconds - due < self._step / 2 and np.isfinite(due) else seconds + self._step


def _opened(content: bytes) -> "InputContainer":
    import av

    kind = container_of(content)
    if kind is None:
        raise AssetError("is not a video; expected MP4, MOV, MKV, WebM, AVI or an animated GIF")
    try:
        return av.open(io.BytesIO(content), "r", format=kind, metadata_errors="ignore")
    except (av.FFmpegError, ValueError) as error:
        raise AssetError("its index is damaged or missing; copy or export the video again") from error


def _stream(container: "InputContainer") -> "VideoStream":
    if not container.streams.video:
        raise AssetError("holds no pictures, only sound or data; give the video itself")
    stream = container.streams.video[0]
    if stream.codec_context is None:
        raise AssetError("its pictures are coded in a way that cannot be read; export it as H.264 MP4")
    width, height = stream.codec_context.width, stream.codec_context.height
    if width * height > MAX_SOURCE_PIXELS:
        raise AssetError(f"its frames are {width} x {height} pixels, too large; export it at 4K or less")
    stream.thread_type = "AUTO"
    stream.codec_context.thread_count = 2
    return stream


def _first_frame(container: "InputContainer", stream: "VideoStream") -> "VideoFrame":
    """The first frame that decodes; raises `AssetError` where there is none, or none worth the name."""
    failed = 0
    for packet in container.demux(stream):
        frames = _decoded(packet)
        if frames:
            return _of_some_size(frames[0])
        failed += frames is None
        if failed > _MOST_ERRORS:
            break
    raise AssetError("holds no frame that can be decoded; export the video again")


def _of_some_size(frame: "VideoFrame") -> "VideoFrame":
    if min(frame.width, frame.height) < 16:
        raise AssetError(f"its frames are {frame.width} x {frame.height} pixels; nothing could be inspected on them")
    return frame


def _feed(container: "InputContainer", stream: "VideoStream", sampler: _Sampler, until: float) -> str:
    """Hand all frames to the sampler; why it ended: `end`, `time`, or `damaged`."""
    import av

    failed = 0
    try:
        for packet in container.demux(stream):
            frames = _decoded(packet)
            failed += frames is None
            for frame in frames or ():
                sampler.take(frame)
            if failed > _MOST_ERRORS:
                return "damaged"
            if time.monotonic() > until:
                return "time"
    except (av.FFmpegError, ValueError):
        return "damaged"
    return "damaged" if failed else "end"


def _decoded(packet: Any) -> "list[VideoFrame] | None":
    """Frames of a packet; None where it is damaged."""
    import av

    try:
        found: list[VideoFrame] = packet.decode()
    except (av.FFmpegError, ValueError):
        return None
    return found


def _header(container: "InputContainer", stream: "VideoStream") -> dict[str, Any]:
    """What the file says of itself, 0 or None where it does not."""
    duration = None
    if stream.duration is not None and stream.time_base is not None:
        duration = float(stream.duration * stream.time_base)
    elif container.duration is not None:
        duration = container.duration / 1e6
    return {
        "width": int(stream.codec_context.width),
        "height": int(stream.codec_context.height),
        "codec": str(stream.codec_context.name),
        "container": str(container.format.name).split(",")[0],
        "fps": _rate(stream.average_rate or stream.base_rate),
        "claimed_frames": int(stream.frames),
        "claimed_seconds": duration if duration is not None and 0 < duration < 1e6 else None,
        "sound": len(container.streams.audio) > 0,
    }


def _rate(rate: Fraction | None) -> float | None:
    return float(rate) if rate and 0 < rate < 1000 else None


def _step(header: dict[str, Any], most_frames: int, rate: float) -> float:
    """Seconds from one sampled frame to the next, as far as the header knows; the sampler mends what it does not."""
    claimed = header["claimed_seconds"] or 0.0
    return float(max(1 / rate, claimed / max(most_frames - 1, 1)))
