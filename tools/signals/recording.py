"""A sensor recording as data: values of channels over time, and the whole of it in numbers."""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from knowledge import AssetError
from tools.decoding.csv_dialect import dialect_of
from tools.decoding.recordings import decode_recording
from tools.decoding.worker import decode_in_worker
from tools.measuring import Measurement

_DECODE_SECONDS = 60.0
_SNIFFED = 65_536
_MOST_MEASURED = 64
_UNIT = re.compile(r"[\[(](?![\d.]*[\])])([^\])]{1,20})[\])]\s*$")
"""A number in brackets is no unit."""


class Recording(NamedTuple):
    """Channels sampled together."""

    values: NDArray[np.float64]
    """(T, C), each channel in its own unit; NaN where a hole was too long to be filled in."""
    times: NDArray[np.float64]
    """(T,) ascending seconds from the first sample; row numbers where `timed` is false."""
    channels: tuple[str, ...]
    start: str | None = None
    """ISO 8601 of the first sample, with its zone where the file gives one; None where the file has no dates."""
    timed: bool = True
    rows: NDArray[np.int64] | None = None
    """(T,) data row of the file, from 0, that each sample stands in; None where they are 0 .. T - 1."""
    notes: tuple[str, ...] = ()
    """What was done to the file, and what is odd about it: sentences for people."""

    @property
    def samples(self) -> int:
        return len(self.values)

    @property
    def step(self) -> float:
        """Usual seconds from sample to sample; 1 row where there are no times."""
        return float(np.median(np.diff(self.times)))

    @property
    def time_unit(self) -> str:
        return "s" if self.timed else "rows"

    def unit(self, channel: int) -> str:
        """As the channel's name gives it in brackets at its end, `Current [A]`."""
        found = _UNIT.search(self.channels[channel])
        return found.group(1) if found else "own unit"

    def row(self, sample: int) -> int:
        """The data row of the file that a sample stands in."""
        return int(sample if self.rows is None else self.rows[sample])

    def stamp(self, sample: int) -> str | float:
        """When a real sample was taken: ISO 8601 to the microsecond where the file has dates, else seconds or rows."""
        seconds = float(self.times[sample])
        if self.start is None:
            return round(seconds, 9)
        return (datetime.fromisoformat(self.start) + timedelta(microseconds=round(seconds * 1e6))).isoformat()

    def facts(self) -> dict[str, Any]:
        """What there is to say of it in plain values."""
        missing = np.isnan(self.values).mean()
        return {
            "channels": list(self.channels),
            "samples": self.samples,
            "duration_s": float(self.times[-1]) if self.timed else None,
            "rate_hz": 1 / self.step if self.timed else None,
            "start": self.stamp(0) if self.start else None,
            "end": self.stamp(self.samples - 1) if self.start else None,
            "missing_share": float(missing),
        }


def read_recording(
    content: bytes, name: str, *, rate: float | None = None, ignore: tuple[str, ...] | list[str] = ()
) -> Recording:
    """Decode a CSV, Parquet or .npy file in the bounded process.

    Args:
        content: the file.
        name: what it is called in messages.
        rate: samples a second, for a file without times.
        ignore: names of columns to leave out, such as known labels.

    Raises:
        AssetError: if it cannot be read as a recording.
    """
    decoded = decode_in_worker(decode_recording, content, name, seconds=_DECODE_SECONDS, rate=rate, ignore=list(ignore))
    about, rows = decoded.about, decoded.arrays["rows"]
    return Recording(
        values=decoded.arrays["values"],
        times=decoded.arrays["times"],
        channels=tuple("".join(each if each.isprintable() else "?" for each in name) for name in about["channels"]),
        start=about["start"],
        timed=bool(about["timed"]),
        rows=None if np.array_equal(rows, np.arange(len(rows))) else rows,
        notes=tuple(map(str, about["notes"])),
    )


def looks_like_recording(content: bytes, name: str) -> bool:
    """Whether a file seems to be a recording, by its first bytes and not by its name; cheap, and decodes no values.

    A table of three columns x, y, z is a point cloud, and a square array a picture.
    """
    if content[:4] == b"PAR1":
        return len(content) >= 12 and content[-4:] == b"PAR1"
    if content[:6] == b"\x93NUMPY":
        return _long_array(content)
    head = content[:_SNIFFED]
    if len(content) > _SNIFFED:
        head = head[: head.rfind(b"\n") + 1]
    if head.lstrip()[:1] in (b"{", b"[", b"<", b"%") or head[:3] in (b"ply", b"OFF", b"sol"):
        return False
    return _text_table(head)


def _long_array(content: bytes) -> bool:
    text = content[8:400].decode("latin-1")
    shape = re.search(r"'shape':\s*\((\d+),\s*(\d*)\)", text)
    kind = re.search(r"'descr':\s*'[<>|=]?([a-zA-Z])", text)
    if shape is None or kind is None or kind.group(1) not in "biuf":
        return False
    rows, columns = int(shape.group(1)), int(shape.group(2) or 1)
    return columns != 3 and rows >= 4 * columns


def _text_table(head: bytes) -> bool:
    try:
        dialect = dialect_of(head)
    except (AssetError, UnicodeError):
        return False
    names = [name.lower() for name in dialect.names or ()]
    if names[:3] == ["x", "y", "z"]:
        return False
    lines = [line for line in head.decode(dialect.encoding, "ignore").splitlines() if line.strip()]
    rows = lines[dialect.heads :][-20:]
    cells = [cell.strip(' "') for line in rows for cell in line.split(dialect.separator)]
    numeric = sum(bool(re.fullmatch(r"[+-]?[\d.,]*\d[\d.,]*([eE][+-]?\d+)?", cell)) for cell in cells)
    return len(rows) > 1 and numeric >= max(len(rows) * 0.9, 0.3 * len(cells))


def measure_part(recording: Recording) -> tuple[Measurement, ...]:
    """The whole recording in numbers, for experts' rules; of at most 64 channels."""
    unit = recording.time_unit
    measured = [
        Measurement(name="duration", value=float(recording.times[-1]), unit=unit),
        Measurement(name="samples", value=float(recording.samples), unit="1"),
        Measurement(name="channels", value=float(len(recording.channels)), unit="1"),
        Measurement(name="missing_share", value=float(np.isnan(recording.values).mean()), unit="1"),
        Measurement(name="longest_gap", value=float(np.diff(recording.times).max()), unit=unit),
    ]
    if recording.timed:
        measured.append(Measurement(name="rate", value=1 / recording.step, unit="Hz"))
    names = plain_names(recording.channels)
    for channel in range(min(len(recording.channels), _MOST_MEASURED)):
        column = recording.values[:, channel]
        own, name = recording.unit(channel), names[channel]
        for what, of in (("mean", np.nanmean), ("min", np.nanmin), ("max", np.nanmax), ("deviation", np.nanstd)):
            measured.append(Measurement(name=f"{name}_{what}", value=float(of(column)), unit=own))
    return tuple(measured)


def plain_names(channels: Sequence[str]) -> tuple[str, ...]:
    """`plain_name` of each; of those that would share one, each has its number behind it."""
    plain = [plain_name(channel) for channel in channels]
    return tuple(f"{name}_{number}" if plain.count(name) > 1 else name for number, name in enumerate(plain, start=1))


def plain_name(channel: str) -> str:
    """A channel's name as rules can write it: letters, digits and underscores, without its unit."""
    plain = re.sub(r"\W+", "_", _UNIT.sub("", channel)).strip("_").lower() or "channel"
    return plain if not plain[0].isdigit() else f"channel_{plain}"
