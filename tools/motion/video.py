"""Video: an asset's frames, sampled evenly in time, and what can be said of them as a whole."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from knowledge import AssetError
from tools.assets import Limits, clean_name
from tools.decoding.frames import decode_frames, is_packed
from tools.decoding.videos import container_of, decode_video, luma, probe_video
from tools.decoding.worker import MAX_SECONDS, Decoded, decode_in_worker
from tools.measuring import Measurement

Frames = NDArray[np.uint8]
Seconds = NDArray[np.float64]

MOST_FRAMES = 600
MOST_PER_SECOND = 10.0
"""Ten frames a second up to a minute, five up to two minutes; of a longer video, 600 frames in all."""

READING_SECONDS = 120.0
"""Wall clock for decoding. A file of which not even the first frame comes within ten seconds is refused before."""


@dataclass(frozen=True, eq=False)
class Video:
    """Frames sampled from a video, upright and scaled to at most 320 x 180 pixels' worth."""

    frames: Frames
    """(F, H, W, 3) RGB."""
    earlier: Frames
    """(F, H, W) grey: the picture about 0.2 s before each frame, whatever the sampling rate, to see motion by."""
    lags: Seconds
    """(F,) how long before; 0 for a frame that has none before it, which shows no motion then."""
    times: Seconds
    """(F,) presentation times, rising."""
    numbers: NDArray[np.int64]
    """(F,) 0-based number of each frame in the file."""
    width: int
    height: int
    """Of the upright frames in the file, in pixels."""
    duration: float
    """Seconds from the first to the last frame that was read."""
    total: int
    """Frames in the file, as far as it was read."""
    rate: float
    """Frames a second in the file, on average."""
    codec: str = ""
    notes: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    """What makes the video less than it should be: a part could not be read. Each leads to review."""

    @property
    def step(self) -> float:
        """Typical seconds between two sampled frames."""
        return float(np.median(np.diff(self.times)))

    def facts(self) -> dict[str, Any]:
        """Plain values for the report."""
        return {
            "width": self.width,
            "height": self.height,
            "seconds": round(self.duration, 3),
            "frames": self.total,
            "frames_per_second": round(self.rate, 3),
            "sampled_frames": len(self.frames),
            "sampled_every_s": round(self.step, 4),
            "codec": self.codec,
        }

    def piece(self, first: int, last: int) -> "Video":
        """The sampled frames `first` to `last`, exclusive; at least two of them."""
        if not 0 <= first < last - 1 < len(self.frames):
            raise ValueError(f"expected at least two of {len(self.frames)} frames, got {first} to {last}")
        kept = slice(first, last)
        numbers, times = self.numbers[kept], self.times[kept]
        return replace(
            self,
            frames=self.frames[kept],
            earlier=self.earlier[kept],
            lags=self.lags[kept],
            times=times,
            numbers=numbers,
            duration=float(times[-1] - times[0]),
            total=int(numbers[-1] - numbers[0]) + 1,
        )

    def with_frames(self, frames: Frames, earlier: Frames) -> "Video":
        """The same video with its pictures at another size."""
        return replace(self, frames=frames, earlier=earlier)

    def between(self, first: int, last: int) -> "Video":
        """The stretch between two frame numbers of the file, both inclusive: what somebody declared normal."""
        inside = np.flatnonzero((self.numbers >= first) & (self.numbers <= last))
        if len(inside) < 2:
            raise AssetError(f"frames {first} to {last} hold fewer than two sampled frames; name a longer stretch")
        return self.piece(int(inside[0]), int(inside[-1]) + 1)


def looks_like_video(content: bytes, name: str) -> bool:
    """Whether the first bytes are those of an MP4, MOV, MKV, WebM, AVI or GIF, or of a packed folder of pictures."""
    return is_packed(content) or container_of(content) is not None


def read_video(
    content: bytes,
    name: str,
    *,
    most_frames: int = MOST_FRAMES,
    rate: float = MOST_PER_SECOND,
    seconds: float = READING_SECONDS,
) -> Video:
    """Decode the bytes of a video file in the bounded process.

    At most `most_frames` frames are kept, evenly in time, at most `rate` of them a second. After most of `seconds` of
    wall clock, what was read until then is taken, and `doubts` says so. Raises `AssetError`.
    """
    shown = clean_name(name)
    decode_in_worker(probe_video, content, shown, seconds=min(MAX_SECONDS, seconds))
    decoded = decode_in_worker(
        decode_video, content, shown, seconds=seconds, most_frames=most_frames, rate=rate, patience=0.8 * seconds
    )
    return _video_of(decoded, shown)


def read_frames(
    content: bytes,
    name: str,
    *,
    rate: float | None = None,
    limits: Limits | None = None,
    most_frames: int = MOST_FRAMES,
) -> Video:
    """Decode a packed folder of pictures in the bounded process; `rate` is needed where their names give no times.

    Raises `AssetError`, also where pictures differ in size.
    """
    limits = limits or Limits()
    decoded = decode_in_worker(
        decode_frames,
        content,
        clean_name(name),
        seconds=READING_SECONDS,
        most_frames=most_frames,
        rate=rate,
        max_pixels=limits.max_pixels,
        min_side=limits.min_side,
    )
    video = _video_of(decoded, clean_name(name))
    if rate is None or not decoded.about["timed"] or abs(video.rate / rate - 1) <= 0.01:
        return video
    said = f"the pictures' own times say {video.rate:.4g} a second, not the {rate:g} that were given; they are used"
    return replace(video, notes=(*video.notes, said))


def measure_part(video: Video) -> tuple[Measurement, ...]:
    """The whole video in numbers: how long, how bright and how restless it is, and how much of it stands still."""
    grey = luma(video.frames).reshape(len(video.frames), -1)
    brightness = grey.mean(1) / 255
    moving = np.array(
        [np.abs(a.astype(np.int16) - b).mean() for a, b in zip(luma(video.frames), video.earlier, strict=True)]
    )
    known = moving[video.lags > 0] / 255
    values = {
        "duration": (video.duration, "s"),
        "frames": (video.total, "1"),
        "frame_rate": (video.rate, "Hz"),
        "width": (video.width, "px"),
        "height": (video.height, "px"),
        "brightness": (brightness.mean(), "gray"),
        "brightness_drift": (brightness.max() - brightness.min(), "gray"),
        "motion": (known.mean() if known.size else 0.0, "gray"),
        "peak_motion": (known.max() if known.size else 0.0, "gray"),
        "still_share": ((known < _STILL).mean() if known.size else 1.0, "1"),
        "longest_gap": (np.diff(video.times).max(), "s"),
    }
    return tuple(Measurement(name=name, value=float(value), unit=unit) for name, (value, unit) in values.items())


_STILL = 1 / 255
"""Mean change of a picture over 0.2 s, as a share of white, under which nothing moves but noise."""


def _video_of(decoded: Decoded, shown: str) -> Video:
    arrays, about = decoded.arrays, decoded.about
    times = arrays["times"]
    if len(times) < 2:
        raise AssetError(f"{shown}: holds a single picture, not a video; give it as an image")
    turned = about["rotation"] in (90, 270)
    width, height = (about["height"], about["width"]) if turned else (about["width"], about["height"])
    span = float(about["last"]) - float(times[0])
    return Video(
        arrays["frames"],
        arrays["earlier"],
        arrays["lags"],
        times,
        arrays["numbers"],
        int(width),
        int(height),
        span,
        int(about["decoded"]),
        (about["decoded"] - 1) / span,
        str(about["codec"]),
        (*_thinned_note(len(times), about["decoded"]), *_notes(about, times)),
        _doubts(about, span),
    )


def _thinned_note(sampled: int, total: int) -> tuple[str, ...]:
    return (f"{sampled} of {total} frames were looked at, evenly in time",) if sampled < total else ()


def _notes(about: Any, times: Seconds) -> tuple[str, ...]:
    gaps = np.diff(times)
    found = [
        (about["rotation"], "turned upright by its rotation mark"),
        (about["sound"], "its sound was not used"),
        (about["untimed"], f"{about['untimed']} frames without a time: their times were counted from the frame rate"),
        (
            about["backwards"],
            f"{about['backwards']} frames were left out whose time lies before that of an earlier frame",
        ),
        (about["resized"], f"{about['resized']} frames of another size were scaled to the first one's"),
        (
            about["step"] > 0.3,
            f"a long video: one frame every {about['step']:.2g} s was looked at, shorter events are missed",
        ),
        (times[0] != 0, f"its times begin at {times[0]:.3f} s"),
        (
            gaps.max() > 3 * max(about["step"], float(np.median(gaps))),
            f"a gap of {gaps.max():.2f} s between two frames",
        ),
    ]
    return tuple(sentence for holds, sentence in found if holds)


def _doubts(about: Any, span: float) -> tuple[str, ...]:
    claimed = about["claimed_seconds"]
    missing = claimed is not None and claimed - span > max(1.0, 0.05 * claimed)
    missing |= about["claimed_frames"] > 1.02 * about["decoded"] + 5
    found = [
        (
            about["ended"] == "time",
            f"decoding took too long and was ended after {span:.1f} s of video; the rest was not seen",
        ),
        (
            about["ended"] == "damaged",
            "a part of the file is damaged; only the frames that could be decoded were looked at",
        ),
        (about["corrupt"], f"{about['corrupt']} frames are damaged and show what is not there"),
        (missing and about["ended"] != "time", f"the file says it is longer than the {span:.1f} s that it holds"),
    ]
    return tuple(sentence for holds, sentence in found if holds)
