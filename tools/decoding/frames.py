"""A folder of pictures, packed into one file, -> frames sampled evenly in time, as of a video.

The file says which pictures follow in what order, then come their bytes as they were: no library has to open it, and
it has no paths that could lead anywhere. Pictures are decoded in the bounded process.
"""

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from knowledge import AssetError
from tools.assets import Limits, Window, decode_image
from tools.decoding.videos import LAG, MAX_SOURCE_PIXELS, luma, shown_size
from tools.decoding.worker import Decoded

MAGIC = b"anomalyst frames 1\n"
MOST_PICTURES = 20_000

_MOST_HEAD = 8_000_000
_MOMENT = re.compile(
    r"(\d{4})-?(\d\d)-?(\d\d)[T_ -](\d\d)[-:_.]?(\d\d)[-:_.]?(\d\d)(?:[.,](\d{1,6})|[_-](\d{3}|\d{6}))?(?!\d)"
)
"""Behind a dash a part of a second has three or six digits, lest it is a number that counts."""
_EPOCH = re.compile(r"(?<!\d)(\d{10})(?:[.,_](\d{1,9})|(\d{3}|\d{6}|\d{9}))?(?!\d)")
_EPOCHS = (631_152_000, 4_102_444_800)
"""1990 and 2100 in seconds since 1970."""

Seconds = NDArray[np.float64]


class Picture(NamedTuple):
    name: str
    content: bytes


def pack(pictures: Sequence[Picture]) -> bytes:
    """One file of pictures in their order."""
    head = json.dumps([[picture.name, len(picture.content)] for picture in pictures]).encode()
    return b"".join([MAGIC, b"%d\n" % len(head), head, *(picture.content for picture in pictures)])


def is_packed(content: bytes) -> bool:
    return content.startswith(MAGIC)


def unpack(content: bytes) -> list[Picture]:
    """Raises `AssetError` where the file is not as `pack` makes it."""
    try:
        length, start = _number_at(content, len(MAGIC))
        listed = [(str(name), int(size)) for name, size in json.loads(content[start : start + length])]
    except (ValueError, TypeError, RecursionError) as error:
        raise AssetError("its list of pictures is damaged; pack the folder again") from error
    sizes = np.array([size for _, size in listed], np.int64)
    if not 2 <= len(listed) <= MOST_PICTURES or (sizes <= 0).any() or start + length + sizes.sum() != len(content):
        raise AssetError("its list of pictures does not match what it holds; pack the folder again")
    ends = start + length + np.cumsum(sizes)
    return [Picture(name, content[end - size : end]) for (name, size), end in zip(listed, ends.tolist(), strict=True)]


def decode_frames(content: bytes, *, most_frames: int, rate: float | None, max_pixels: int, min_side: int) -> Decoded:
    """At most `most_frames` frames, evenly; arrays and `about` as those of `decode_video`.

    Times stand in the names of the pictures, or follow from their numbers and their `rate` a second.
    """
    pictures = unpack(content)
    names = [picture.name for picture in pictures]
    times = times_of(names, rate)
    limits = Limits(max_pixels=min(max_pixels, MAX_SOURCE_PIXELS), min_side=min_side)
    first = decode_image(pictures[0].content, pictures[0].name, limits)
    series = _Series(pictures, limits, first.asset.window, first.pixels.shape)
    numbers = np.unique(np.linspace(0, len(pictures) - 1, min(len(pictures), most_frames)).round().astype(np.int64))
    before = np.searchsorted(times, times[numbers] - 0.75 * LAG, side="right") - 1
    before = np.maximum(np.minimum(before, numbers - 1), 0)
    small = {int(number): series.small(int(number)) for number in numbers}
    earlier = [luma(small[number] if number in small else series.small(number)) for number in before.tolist()]
    arrays: dict[str, NDArray[Any]] = {
        "frames": np.stack(list(small.values())),
        "earlier": np.stack(earlier),
        "lags": times[numbers] - times[before],
        "times": times[numbers],
        "numbers": numbers,
    }
    return Decoded(arrays, _about(first.pixels.shape, times, numbers, timed=moments_of(names) is not None))


def times_of(names: Sequence[str], rate: float | None) -> Seconds:
    """Seconds from the first picture: by dates or epochs in all names, else by the numbers in them and a rate."""
    moments = moments_of(names)
    if moments is not None and all(one < other for one, other in pairwise(moments)):
        return np.array([(moment - moments[0]).total_seconds() for moment in moments])
    if rate is None:
        why = "their names give no times" if moments is None else "the times in their names do not rise"
        raise AssetError(f"of the pictures of a video {why}; give `sample_rate`, pictures a second, in product.yaml")
    numbers = np.array([number_of(name) for name in names], np.int64)
    steps = np.diff(numbers)
    if (steps <= 0).any():
        raise AssetError("the numbers in the pictures' names do not rise; pack the folder again")
    return np.asarray((numbers - numbers[0]) / np.gcd.reduce(steps) / rate)


def moments_of(names: Sequence[str]) -> list[datetime] | None:
    """When pictures were taken, where the names of all give a date with a time of day or an epoch; else None."""
    for read in (_moment, _epoch):
        found = [moment for moment in map(read, names) if moment is not None]
        if len(found) == len(names):
            return found
    return None


def number_of(name: str) -> int:
    """The last number in a picture's name; raises `AssetError` where it has none."""
    found = re.findall(r"\d+", name.rpartition(".")[0] or name)
    if not found or len(found[-1]) > 18:
        raise AssetError(f"{name}: has no number in its name; the pictures of a video are numbered in their order")
    return int(found[-1])


class _Series(NamedTuple):
    """Pictures that are read alike."""

    pictures: Sequence[Picture]
    limits: Limits
    window: Window | None
    """Of all 16-bit pictures that of the first: each by its own would flicker."""
    shape: tuple[int, ...]

    def small(self, number: int) -> NDArray[np.uint8]:
        name, content = self.pictures[number]
        pixels = decode_image(content, name, self.limits, window=self.window).pixels
        if pixels.shape != self.shape:
            raise AssetError(
                f"{name}: is {pixels.shape[1]} x {pixels.shape[0]} pixels, the first picture {self.shape[1]} x "
                f"{self.shape[0]}; give pictures of one size"
            )
        size = shown_size(self.shape[1], self.shape[0])
        return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BOX))


def _about(shape: tuple[int, ...], times: Seconds, numbers: NDArray[np.int64], *, timed: bool) -> dict[str, Any]:
    return {
        "width": shape[1],
        "height": shape[0],
        "codec": "pictures",
        "claimed_frames": len(times),
        "claimed_seconds": None,
        "sound": False,
        "untimed": 0,
        "backwards": 0,
        "resized": 0,
        "corrupt": 0,
        "decoded": len(times),
        "last": float(times[-1]),
        "step": float(np.median(np.diff(times[numbers]))),
        "rotation": 0,
        "ended": "end",
        "timed": timed,
    }


def _moment(name: str) -> datetime | None:
    found = _MOMENT.search(name)
    if found is None:
        return None
    *whole, part, dashed = found.groups()
    try:
        return datetime(*map(int, whole), int((part or dashed or "0").ljust(6, "0")), tzinfo=UTC)  # type: ignore[misc,arg-type]
    except ValueError:
        return None


def _epoch(name: str) -> datetime | None:
    found = _EPOCH.search(name)
    if found is None or not _EPOCHS[0] <= int(found.group(1)) <= _EPOCHS[1]:
        return None
    part = found.group(2) or found.group(3) or "0"
    micros = int(part.ljust(6, "0")[:6])
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=int(found.group(1)), microseconds=micros)


def _number_at(content: bytes, start: int) -> tuple[int, int]:
    """The number on a line, and where the next line begins."""
    end = content.index(b"\n", start, start + 12)
    length = int(content[start:end])
    if not content.startswith(MAGIC) or not 0 <= length <= _MOST_HEAD:
        raise ValueError("no list of pictures")
    return length, end + 1
