"""When the rows of a table were taken: dates, epochs and counters in its columns."""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from knowledge import AssetError
from tools.decoding.csv_dialect import DATE

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]

COMMA_IN_TIME = re.compile(r"(\d\d:\d\d:\d\d),(\d)")
_ZONE = re.compile(r"(Z|[+-]\d{2}:?\d{2})$")

_TIME_NAME = re.compile(
    r"(date|time|datetime|date[ _]?time|(unix|epoch|utc)?[ _]?time[ _]?(stamp)?|ts|t|epoch|unix|sec|secs|seconds|zeit|"
    r"zeitstempel|elapsed([ _]?time)?)[ _]*([\[(]?(s|sec|secs|seconds|ms|milliseconds|us|µs|microseconds|ns|nanoseconds|min|"
    r"minutes|h|hours)[\])]?)?$",
    re.IGNORECASE,
)
_UNITS = {
    "s": 1.0, "sec": 1.0, "secs": 1.0, "seconds": 1.0, "ms": 1e-3, "milliseconds": 1e-3, "us": 1e-6, "µs": 1e-6,
    "microseconds": 1e-6, "ns": 1e-9, "nanoseconds": 1e-9, "min": 60.0, "minutes": 60.0, "h": 3600.0, "hours": 3600.0,
}  # fmt: skip
_EPOCHS = {"seconds": 1, "milliseconds": 10**3, "microseconds": 10**6, "nanoseconds": 10**9}
_EPOCH_FROM, _EPOCH_TO = 631_152_000, 4_102_444_800
"""1990 and 2100 in seconds since 1970: a number between them, in its unit, is a date. No two units overlap."""


class Clock(NamedTuple):
    """When the rows of a table were taken."""

    seconds: Floats
    """(T,) from `start`, or from whatever the file counts from; NaN where a row has no time."""
    start: str | None
    """ISO 8601 of the moment that `seconds` count from, with its zone where the file gives one."""
    notes: tuple[str, ...] = ()


def clock_of(frame: "pd.DataFrame", rate: float | None, notes: list[str]) -> "tuple[Clock | None, pd.DataFrame]":
    """The clock of a table and what is left of the table without it."""
    frame = _without_counter(frame, notes)
    for names, read in _time_columns(frame):
        clock = read()
        if clock is None:
            continue
        notes.extend(clock.notes)
        step = _step(clock.seconds)
        if rate is not None and step and abs(step * rate - 1) > 0.01:
            notes.append(
                f"the file's own times say {1 / step:.6g} Hz, not the {rate:g} Hz that were given; they are used"
            )
        return clock, frame.drop(columns=names)
    return None, frame


def _without_counter(frame: "pd.DataFrame", notes: list[str]) -> "pd.DataFrame":
    """A first column that counts the rows and is called so, or nothing at all, is no channel."""
    if frame.shape[1] < 2:
        return frame
    name = str(frame.columns[0])
    if name.lower() not in ("index", "row", "rows", "id", "nr", "no", "#", "column_1", "unnamed: 0"):
        return frame
    first = frame.iloc[:, 0].to_numpy()
    if first.dtype.kind not in "iu" or not (np.diff(first) == 1).all():
        return frame
    notes.append(f"column {name!r} counts the rows and was left out")
    return frame.iloc[:, 1:]


def _time_columns(frame: "pd.DataFrame") -> "list[tuple[list[str], Callable[[], Clock | None]]]":
    """Columns that may hold the time, the likeliest first, each with the way to read it."""
    found: list[tuple[list[str], Callable[[], Clock | None]]] = []
    lower = {str(name).lower(): str(name) for name in frame.columns}
    if "date" in lower and "time" in lower and _is_text(frame[lower["date"]]) and _is_text(frame[lower["time"]]):
        both = frame[lower["date"]].astype(str) + " " + frame[lower["time"]].astype(str)
        found.append(([lower["date"], lower["time"]], lambda: _clock_of_text(both, "date and time")))
    for position, label in enumerate(frame.columns):
        column, name = frame[label], str(label)
        if column.dtype.kind == "M" or "datetime" in str(column.dtype):
            found.append(([name], lambda column=column: _clock_of_moments(column)))  # type: ignore[misc]
        elif _is_text(column) and (_TIME_NAME.match(name) or position == 0 or _looks_dated(column)):
            found.append(([name], lambda column=column, name=name: _clock_of_text(column, name)))  # type: ignore[misc]
        elif column.dtype.kind in "iuf" and _TIME_NAME.match(name):
            found.append(([name], lambda column=column, name=name: _clock_of_numbers(column, name)))  # type: ignore[misc]
    return found


def _is_text(column: "pd.Series[Any]") -> bool:
    return column.dtype.kind not in "biufcMm" and "datetime" not in str(column.dtype)


def _looks_dated(column: "pd.Series[Any]") -> bool:
    shown = column.dropna().astype(str).head(5)
    return len(shown) > 0 and all(DATE.match(text.strip()) for text in shown)


def _clock_of_moments(column: "pd.Series[Any]") -> Clock | None:
    """From a column that is typed as moments already."""
    present = column.notna().to_numpy()
    if not present.any():
        return None
    start = column[present].min()
    seconds = (column - start).dt.total_seconds().to_numpy(np.float64)
    if getattr(column.dt, "tz", None) is not None:
        return Clock(seconds, start.isoformat())
    return Clock(seconds, start.isoformat(), ("the times carry no time zone; they are shown as the file gives them",))


def _clock_of_text(column: "pd.Series[Any]", name: str) -> Clock | None:
    """From dates written out; None where the column holds none."""
    import pandas as pd

    text = column.astype("string").str.strip()
    shown = text.dropna()
    if shown.empty or not DATE.match(str(shown.iloc[0])):
        return None
    if "," in str(shown.iloc[0]):
        text = text.str.replace(COMMA_IN_TIME, r"\1.\2", regex=True)
        shown = text.dropna()
    if (uniform := _uniform_dates(text)) is not None:
        return _clock_of_moments(uniform)
    zoned = shown.str.extract(_ZONE, expand=True)[0].notna() & shown.str.contains(":", regex=False)
    if zoned.any() and not zoned.all():
        raise AssetError(f"column {name!r} gives a time zone in some rows and none in others; export it with one zone")
    if zoned.any():
        return _clock_of_zoned(text, shown)
    parsed = _parsed_dates(text, name)
    clock = _clock_of_moments(pd.Series(parsed))
    if clock is None:
        return None
    lost = int(parsed.isna().sum() - text.isna().sum())
    if lost > 0.1 * len(text):
        return None
    return clock


def _uniform_dates(text: "pd.Series[Any]") -> "pd.Series[Any] | None":
    """ISO 8601 throughout, all in one zone or all without: the usual case, and quick. None for anything else."""
    import pandas as pd

    try:
        return pd.to_datetime(text, format="ISO8601")
    except ValueError:
        return None


def _clock_of_zoned(text: "pd.Series[Any]", shown: "pd.Series[Any]") -> Clock | None:
    import pandas as pd

    zones = sorted(
        {"Z" if zone in ("Z", "+00:00") else str(zone) for zone in shown.str.extract(_ZONE, expand=True)[0].unique()}
    )
    parsed = pd.to_datetime(text, format="ISO8601", utc=True, errors="coerce")
    if len(zones) == 1 and zones[0] != "Z":
        parsed = parsed.dt.tz_convert(pd.Timestamp(str(shown.iloc[0])).tz)
    clock = _clock_of_moments(parsed)
    if clock is None or len(zones) == 1:
        return clock
    note = f"the times stand in {len(zones)} time zones ({', '.join(zones[:4])}); all were brought to UTC"
    return clock._replace(notes=(note,))


def _parsed_dates(text: "pd.Series[Any]", name: str) -> "pd.Series[Any]":
    """Dates without a zone: ISO 8601, day first with points, and day or month first where one of them fits alone."""
    import pandas as pd

    iso = pd.to_datetime(text, format="ISO8601", errors="coerce")
    if iso.notna().sum() >= 0.9 * text.notna().sum():
        return iso
    first = str(text.dropna().iloc[0])
    ways = [way for way in (True, False) if "." not in first.split(maxsplit=1)[0] or way]
    fits = []
    for day_first in ways:
        for clock in ("%H:%M:%S.%f", "%H:%M:%S", "%H:%M", ""):
            date = ("%d/%m/%Y" if day_first else "%m/%d/%Y").replace("/", _date_mark(first))
            parsed = pd.to_datetime(text, format=f"{date} {clock}".strip(), errors="coerce")
            if parsed.notna().sum() >= 0.98 * text.notna().sum():
                fits.append(parsed)
                break
    if len(fits) == 2 and not fits[0].equals(fits[1]):
        raise AssetError(f"column {name!r} may mean day/month or month/day ({first!r}); export dates as ISO 8601")
    return fits[0] if fits else iso


def _date_mark(text: str) -> str:
    return next((mark for mark in "/.-" if mark in text.split(maxsplit=1)[0]), "/")


def _clock_of_numbers(column: "pd.Series[Any]", name: str) -> Clock | None:
    """From numbers: an epoch where they can be nothing else, the unit in the name, or seconds, which is said."""
    whole = column.to_numpy()
    seconds = whole.astype(np.float64)
    finite = seconds[np.isfinite(seconds)]
    if not len(finite) or (finite == finite[0]).all():
        return None
    for unit, factor in _EPOCHS.items():
        if finite.min() / factor >= _EPOCH_FROM and finite.max() / factor <= _EPOCH_TO:
            first = whole[np.isfinite(seconds)].min()
            start = np.datetime64(0, "us") + np.timedelta64(_microseconds(first, factor), "us")
            note = f"column {name!r} was read as {unit} since 1970, UTC"
            elapsed = (whole - first).astype(np.float64) / factor
            return Clock(elapsed, f"{start}+00:00", (note,))
    match = _TIME_NAME.match(name)
    unit_name = (match.group(match.lastindex or 0) or "").lower().strip("[]()") if match and match.lastindex else ""
    scale = _UNITS.get(unit_name, _UNITS.get(name.lower()))
    if scale is not None:
        return Clock(seconds * scale, None)
    return Clock(seconds, None, (f"column {name!r} does not say its unit; it was read as seconds",))


def _microseconds(moment: Any, factor: int) -> int:
    """Exact for whole numbers, which a float could not hold to the microsecond."""
    if isinstance(moment, np.integer):
        return int(moment) * 10**6 // factor
    return round(float(moment) / factor * 10**6)


def _step(seconds: Floats) -> float:
    steps = np.abs(np.diff(seconds[np.isfinite(seconds)]))
    return float(np.median(steps[steps > 0])) if (steps > 0).any() else 0.0
