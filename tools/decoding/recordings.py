"""Sensor recordings out of CSV, Parquet and NumPy files; runs in the bounded process of `worker`.

A file's own order, gaps and holes are kept where they mean something, and every repair is said in a note. Nothing is
computed that a cell asks for: a formula is text.
"""

import io
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from knowledge import AssetError
from tools.decoding.worker import Decoded

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]

MAX_BYTES = 200_000_000
MAX_VALUES = 20_000_000
_MAX_COLUMNS = 4096
_MAX_LINE = 1_000_000
_MAX_UNPACKED = 1_000_000_000
"""Bytes that a Parquet file may claim to hold once unpacked."""

_SHORT_GAP = 5
"""Samples in a row that may be missing and are filled in by a straight line; more of them are a hole in the data."""
_SAMPLE_LINES = 60
_SEPARATORS = (";", "\t", "|", ",")
"""In the order in which they are tried: a comma may be a decimal comma where there is another separator."""
_COMMENTS = ("#", "%", "//")

_NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?$")
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(\.\d{3})+,\d+$")
_MISSING = frozenset({"", "nan", "na", "n/a", "null", "none", "-", "--", "---", "inf", "-inf", "+inf"})
_DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([ T]|$)|\d{1,2}:\d{2}(:\d{2})?([.,]\d+)?$")
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


def decode_recording(content: bytes, *, rate: float | None = None, ignore: Sequence[str] = ()) -> Decoded:
    """Decode a recording.

    Args:
        content: CSV with any usual separator, Parquet, or .npy of shape (T,) or (T, C).
        rate: samples a second, for a file without times.
        ignore: names of columns to leave out.

    Returns:
        `values` (T, C) float64, NaN where there is a hole; `times` (T,) float64 seconds from the first sample, row
        numbers where `timed` is false; `rows` (T,) int64, the data row of the file that each sample stands in; and
        `channels`, `start`, `timed`, `notes` as in `Recording`.

    Raises:
        AssetError: if there is no recording in it, or one too large or contradictory to be read.
    """
    if len(content) > MAX_BYTES:
        raise AssetError(f"is larger than {MAX_BYTES // 1_000_000} MB; export a shorter piece of the recording")
    if rate is not None and not (np.isfinite(rate) and rate > 0):
        raise AssetError(f"cannot have been sampled at {rate} Hz; give a rate above 0")
    notes: list[str] = []
    frame = _frame(content, notes)
    frame = frame.drop(columns=[name for name in frame.columns if name in set(ignore)])
    clock, frame = _clock(frame, rate, notes)
    values, channels = _numbers(frame, notes)
    return _assembled(values, channels, clock, rate, notes)


def _frame(content: bytes, notes: list[str]) -> "pd.DataFrame":
    if content[:4] == b"PAR1":
        return _parquet(content)
    if content[:6] == b"\x93NUMPY":
        return _npy(content, notes)
    return _csv(content, notes)


def _parquet(content: bytes) -> "pd.DataFrame":
    from pyarrow import parquet

    file = parquet.ParquetFile(io.BytesIO(content))
    about = file.metadata
    _check_size(about.num_rows, about.num_columns)
    unpacked = sum(about.row_group(i).total_byte_size for i in range(about.num_row_groups))
    if unpacked > _MAX_UNPACKED:
        raise AssetError(f"unpacks to {unpacked // 1_000_000} MB; export a shorter piece of the recording")
    frame = file.read(use_threads=False).to_pandas()
    if frame.index.name is not None:
        frame = frame.reset_index()
    frame.columns = _unique([str(name) for name in frame.columns])
    return frame


def _npy(content: bytes, notes: list[str]) -> "pd.DataFrame":
    import pandas as pd

    file = io.BytesIO(content)
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(file)
    if dtype.kind not in "biuf" or len(shape) not in (1, 2):
        raise AssetError(f"holds {dtype} of shape {shape}; expected numbers of shape (T,) or (T, C)")
    _check_size(shape[0], shape[1] if len(shape) == 2 else 1)
    claimed = int(np.prod(shape)) * dtype.itemsize
    if claimed != len(content) - file.tell():
        raise AssetError(
            f"claims {claimed} bytes of numbers and holds {len(content) - file.tell()}; save the array again"
        )
    array = np.frombuffer(content, dtype, offset=file.tell()).reshape(shape, order="F" if fortran else "C")
    array = array.reshape(len(array), -1)
    if array.shape[0] < array.shape[1]:
        notes.append(f"the array has {array.shape[0]} rows and {array.shape[1]} columns; rows are read as samples")
    return pd.DataFrame(array.astype(np.float64), columns=_nameless(array.shape[1]))


def _check_size(rows: int, columns: int) -> None:
    if columns > _MAX_COLUMNS:
        raise AssetError(f"has {columns} columns, more than {_MAX_COLUMNS}; export fewer channels")
    if rows * columns > MAX_VALUES:
        raise AssetError(f"has {rows} x {columns} values, more than {MAX_VALUES}; export a shorter piece of it")


# -- CSV -------------------------------------------------------------------------------------------------------------


class Dialect(NamedTuple):
    """How a CSV file is written."""

    encoding: str
    skipped: int
    """Lines before the header or the first row."""
    comment: str | None
    separator: str
    decimal: str
    thousands: str | None
    names: tuple[str, ...] | None
    """None where there is no header."""
    heads: int
    """Lines of the header: 0, 1, or 2 where a line of units follows the names."""


def dialect_of(content: bytes) -> Dialect:
    """Judge a CSV file by its first lines.

    Raises:
        AssetError: if this is not a table of text.
    """
    encoding = _encoding(content)
    text = content[: 8 * _MAX_LINE].decode(encoding, errors="ignore" if len(content) > 8 * _MAX_LINE else "replace")
    if "\0" in text:
        raise AssetError("is neither a text table nor a format that is known; export it as CSV, Parquet or .npy")
    lines = text.split("\n", 4 * _SAMPLE_LINES)[: 4 * _SAMPLE_LINES]
    lines = [line.rstrip("\r") for line in lines]
    if any(len(line) > _MAX_LINE for line in lines):
        raise AssetError("has a line of more than a million characters; export it again")
    skipped = next((i for i, line in enumerate(lines) if line.strip() and not line.startswith(_COMMENTS)), len(lines))
    body = [line for line in lines[skipped:] if line.strip() and not line.startswith(_COMMENTS)][:_SAMPLE_LINES]
    if not body:
        raise AssetError("is empty; export it again")
    comment = next((line[0] for line in lines[skipped:] if line.startswith(("#", "%"))), None)
    separator = _separator(body)
    cells = [_cells(line, separator) for line in body]
    heads = _heads(cells)
    decimal, thousands = _decimal(cells[heads:], separator)
    names = _names(cells, heads)
    if comment and names and any(comment in name for name in names):
        raise AssetError(f"has {comment!r} both in a column's name and before comments; take the comments out")
    return Dialect(encoding, skipped, comment, separator, decimal, thousands, names, heads)


def _encoding(content: bytes) -> str:
    if content.startswith(b"\xef\xbb\xbf"):
        return "utf-8-sig"
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8"


def _separator(lines: list[str]) -> str:
    """The first that stands equally often in nearly every line; a single column has none, for which a comma will do."""
    for separator in _SEPARATORS:
        counts = [len(_cells(line, separator)) for line in lines]
        usual = max(set(counts), key=counts.count)
        if usual > 1 and counts.count(usual) >= 0.8 * len(counts):
            return separator
    return "," if not all(_NUMBER.match(line.strip()) for line in lines[1:]) else ";"


def _cells(line: str, separator: str) -> list[str]:
    if '"' not in line:
        return [cell.strip() for cell in line.split(separator)]
    parts = re.split(rf'{re.escape(separator)}(?=(?:[^"]*"[^"]*")*[^"]*$)', line)
    return [part.strip().strip('"') for part in parts]


def _is_number(cell: str) -> bool:
    return bool(_NUMBER.match(cell)) or bool(_THOUSANDS.match(cell))


def _is_data(cell: str) -> bool:
    return _is_number(cell) or bool(_DATE.match(cell))


def _heads(cells: list[list[str]]) -> int:
    """Names stand in the first line when nothing in it is a number or a date; units under them likewise."""
    if any(_is_data(cell) for cell in cells[0]):
        return 0
    if not any(cell.lower() not in _MISSING for cell in cells[0]):
        return 0
    has_units = len(cells) > 2 and not any(_is_data(c) or c.startswith("=") for c in cells[1]) and any(cells[1])
    return 2 if has_units and any(_is_data(cell) for cell in cells[2]) else 1


def _decimal(cells: list[list[str]], separator: str) -> tuple[str, str | None]:
    if separator == ",":
        return ".", None
    numbers = [cell for row in cells for cell in row if _is_number(cell)]
    if any(_THOUSANDS.match(cell) for cell in numbers):
        return ",", "."
    with_comma = sum("," in cell for cell in numbers)
    with_point = sum("." in cell for cell in numbers)
    if with_comma and with_point:
        raise AssetError("writes decimals both with a comma and with a point; export it with one of them")
    return ("," if with_comma else "."), None


def _names(cells: list[list[str]], heads: int) -> tuple[str, ...] | None:
    if not heads:
        return None
    names = [cell or f"column_{i + 1}" for i, cell in enumerate(cells[0])]
    if heads == 2:
        units = [*cells[1], *[""] * len(names)]
        names = [f"{name} [{unit.strip('[]()')}]" if unit else name for name, unit in zip(names, units, strict=False)]
    return tuple(_unique(names))


def _unique(names: Sequence[str]) -> list[str]:
    """Names that differ: a name that comes again gets a number."""
    seen: dict[str, int] = {}
    unique = []
    for name in names:
        shown = name[:100]
        seen[shown] = seen.get(shown, 0) + 1
        unique.append(shown if seen[shown] == 1 else f"{shown}.{seen[shown]}")
    return unique


def _nameless(count: int) -> list[str]:
    return [f"channel_{i + 1}" for i in range(count)]


def _csv(content: bytes, notes: list[str]) -> "pd.DataFrame":
    import pandas as pd

    dialect = dialect_of(content)
    columns = len(dialect.names or ()) or content[:_MAX_LINE].split(b"\n", 1)[0].count(dialect.separator.encode()) + 1
    _check_size(content.count(b"\n"), columns)
    if dialect.encoding == "cp1252":
        notes.append("the text is not UTF-8; it was read as Windows-1252")
    try:
        frame = pd.read_csv(
            io.BytesIO(content),
            sep=dialect.separator,
            decimal=dialect.decimal,
            thousands=dialect.thousands,
            encoding=dialect.encoding,
            header=None,
            names=None if dialect.names is None else list(dialect.names),
            index_col=False,
            skiprows=dialect.skipped + dialect.heads,
            comment=dialect.comment,
            skip_blank_lines=True,
            skipinitialspace=True,
            low_memory=False,
        )
    except pd.errors.EmptyDataError as error:
        raise AssetError("has a header and no rows; export it again") from error
    except pd.errors.ParserError as error:
        raise AssetError(
            f"has rows of different lengths ({' '.join(str(error).split())[:100]}); export it again"
        ) from error
    if dialect.names is None:
        frame.columns = _nameless(frame.shape[1])
        notes.append("there is no line of names; the channels are numbered")
    return frame


# -- times -----------------------------------------------------------------------------------------------------------


def _clock(frame: "pd.DataFrame", rate: float | None, notes: list[str]) -> "tuple[Clock | None, pd.DataFrame]":
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
    return len(shown) > 0 and all(_DATE.match(text.strip()) for text in shown)


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
    if shown.empty or not _DATE.match(str(shown.iloc[0])):
        return None
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


# -- numbers ---------------------------------------------------------------------------------------------------------


def _numbers(frame: "pd.DataFrame", notes: list[str]) -> tuple[Floats, list[str]]:
    """(T, C) of the columns that hold numbers, and their names; the others are left out and said."""
    columns, names, text = [], [], []
    for position, label in enumerate(frame.columns):
        column = frame.iloc[:, position]
        if column.dtype.kind in "biuf":
            columns.append(column.to_numpy(np.float64, na_value=np.nan))
            names.append(str(label))
        elif (rescued := _rescued(column, str(label), notes)) is not None:
            columns.append(rescued)
            names.append(str(label))
        else:
            text.append(str(label))
    if text:
        notes.append(f"{len(text)} columns without numbers were left out: {_listed(text)}")
    if not columns:
        raise AssetError("has no column of numbers; export the sensors' values")
    return np.column_stack(columns), names


def _rescued(column: "pd.Series[Any]", name: str, notes: list[str]) -> Floats | None:
    """A column of text most of whose cells are numbers; None for any other."""
    import pandas as pd

    if column.dtype.kind in "cMm" or "datetime" in str(column.dtype):
        return None
    present = column.notna()
    text = column.astype("string")
    if bool(text.str.startswith("=", na=False).any()):
        notes.append(f"column {name!r} holds formulas, which are never computed")
    lowered = text.str.strip().str.lower()
    marked_missing = lowered.isin(_MISSING - {"inf", "-inf", "+inf"})
    numbers: Floats = pd.to_numeric(lowered, errors="coerce").to_numpy(np.float64, na_value=np.nan)
    strange = int((np.isnan(numbers) & present.to_numpy() & ~marked_missing.to_numpy(bool, na_value=False)).sum())
    read = int(np.isfinite(numbers).sum())
    if read == 0 or read < strange:
        return None
    if strange:
        notes.append(f"{strange} cells of column {name!r} are no numbers; they count as missing")
    return numbers


def _listed(names: Sequence[str], most: int = 6) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


# -- putting together ------------------------------------------------------------------------------------------------


def _assembled(
    values: Floats, channels: list[str], clock: Clock | None, rate: float | None, notes: list[str]
) -> Decoded:
    rows = np.arange(len(values), dtype=np.int64)
    start, timed = None, True
    if clock is not None:
        rows = _in_order(clock.seconds, notes)
        origin = clock.seconds[rows[0]]
        times, start = clock.seconds[rows] - origin, clock.start
        values = values[rows]
    elif rate is not None:
        times = rows / rate
        notes.append(f"the file gives no times; they follow from {rate:g} samples a second, as was said")
    else:
        times, timed = rows.astype(np.float64), False
        notes.append("the file gives no times and no rate was given; samples are counted, not timed")
    if len(values) < 2:
        raise AssetError(f"has {len(values)} rows; a recording needs at least 2 samples")
    values, channels = _with_data(values, channels, notes)
    for channel, name in enumerate(channels):
        values[:, channel] = _filled(values[:, channel], times, name, notes)
    _say_gaps(times, start, timed, notes)
    arrays = {"values": np.ascontiguousarray(values), "times": times, "rows": rows}
    return Decoded(arrays, {"channels": channels, "start": start, "timed": timed, "notes": notes})


def _in_order(seconds: Floats, notes: list[str]) -> NDArray[np.int64]:
    """Rows in the order of their times, one for each time; what had to be done is said."""
    rows = np.flatnonzero(np.isfinite(seconds))
    if len(rows) < len(seconds):
        notes.append(f"{len(seconds) - len(rows)} rows have no time and were left out")
    if not len(rows):
        raise AssetError("has no row with a time; export it again")
    steps = np.diff(seconds[rows])
    back = int((steps < 0).sum())
    if back and not (steps > 0).any():
        notes.append("the rows run backwards in time; they were turned round")
    elif back > max(5, 0.1 * len(steps)):
        raise AssetError(f"jumps back in time {back} times in {len(rows)} rows; sort it, or export one run at a time")
    elif back:
        notes.append(f"the times jump back {back} times; the rows were sorted by time")
    rows = rows[np.argsort(seconds[rows], kind="stable")]
    again = np.flatnonzero(np.diff(seconds[rows]) == 0) + 1
    if len(again) > 0.05 * len(rows) and len(rows) > 20:
        raise AssetError(
            f"gives {len(again)} of {len(rows)} rows the time of another; export finer times, or leave the times out "
            "and give the rate"
        )
    if len(again):
        notes.append(f"{len(again)} rows have the time of another; the first of them was kept")
    return np.delete(rows, again).astype(np.int64)


_LARGEST = 1e30
"""Squares and sums of anything below stay finite, in single precision too."""


def _with_data(values: Floats, channels: list[str], notes: list[str]) -> tuple[Floats, list[str]]:
    """Infinities count as missing, and so does what no sensor says; channels without a single number are left out."""
    values = np.array(values, np.float64)
    absurd = np.abs(values) > _LARGEST
    if absurd.any():
        notes.append(f"{int(absurd.sum())} values that are infinite or beyond {_LARGEST:g} count as missing")
        values[absurd] = np.nan
    empty = [bool(np.isnan(column).all()) for column in values.T]
    if all(empty):
        raise AssetError("has no number in any column; export the sensors' values")
    if any(empty):
        notes.append(
            f"channels without any data were left out: {_listed([c for c, e in zip(channels, empty, strict=True) if e])}"
        )
    return values[:, ~np.array(empty)], [name for name, gone in zip(channels, empty, strict=True) if not gone]


def _filled(column: Floats, times: Floats, name: str, notes: list[str]) -> Floats:
    """(T,) with short holes filled in by straight lines between real samples; long ones stay NaN."""
    missing = np.isnan(column)
    if not missing.any():
        return column
    known = np.flatnonzero(~missing)
    spacing = np.diff(known)
    sparse = (
        len(known) > 3 and float(np.median(spacing)) >= 2 and bool(np.mean(spacing <= 1.5 * np.median(spacing)) > 0.9)
    )
    most = int(2 * np.median(spacing)) if sparse else _SHORT_GAP + 1
    after = np.searchsorted(known, np.arange(len(column)))
    inside = missing & (after > 0) & (after < len(known))
    fill = inside.copy()
    fill[inside] = spacing[after[inside] - 1] <= most
    column = column.copy()
    column[fill] = np.interp(times[fill], times[known], column[known])
    if sparse:
        notes.append(
            f"{name!r} was sampled every {int(np.median(spacing))} rows; resampled onto the common times by straight lines"
        )
    elif fill.any():
        notes.append(f"{int(fill.sum())} missing values of {name!r} in short holes were filled in by straight lines")
    left = int(np.isnan(column).sum())
    if left:
        notes.append(f"{name!r} has no data in {left} of {len(column)} samples")
    return column


def _say_gaps(times: Floats, start: str | None, timed: bool, notes: list[str]) -> None:
    if not timed or len(times) < 3:
        return
    steps = np.diff(times)
    usual = float(np.median(steps))
    gaps = np.flatnonzero(steps > 3 * usual)
    if len(gaps):
        longest = int(gaps[np.argmax(steps[gaps])])
        notes.append(
            f"{len(gaps)} gaps in time, the longest {steps[longest]:.6g} s after {times[longest]:.6g} s; usual step {usual:.6g} s"
        )
    elif float(np.abs(steps / usual - 1).max()) > 0.2:
        notes.append(f"the steps between samples vary from {steps.min():.6g} to {steps.max():.6g} s")
