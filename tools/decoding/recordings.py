"""Sensor recordings out of CSV, Parquet and NumPy files; runs in the bounded process of `worker`.

A file's own order, gaps and holes are kept where they mean something, and every repair is said in a note. Nothing is
computed that a cell asks for: a formula is text.
"""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from knowledge import AssetError
from tools.decoding.clocks import COMMA_IN_TIME, Clock, clock_of
from tools.decoding.csv_dialect import MAX_LINE, MISSING, dialect_of, nameless, unique
from tools.decoding.worker import Decoded

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]

MAX_BYTES = 200_000_000
MAX_VALUES = 20_000_000
_MAX_COLUMNS = 4096
_MAX_UNPACKED = 1_000_000_000
"""Bytes that a Parquet file may claim to hold once unpacked."""

_SHORT_GAP = 5
"""Samples in a row that may be missing and are filled in by a straight line; more of them are a hole in the data."""


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
    clock, frame = clock_of(frame, rate, notes)
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
    frame.columns = unique([str(name) for name in frame.columns])
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
    return pd.DataFrame(array.astype(np.float64), columns=nameless(array.shape[1]))


def _check_size(rows: int, columns: int) -> None:
    if columns > _MAX_COLUMNS:
        raise AssetError(f"has {columns} columns, more than {_MAX_COLUMNS}; export fewer channels")
    if rows * columns > MAX_VALUES:
        raise AssetError(f"has {rows} x {columns} values, more than {MAX_VALUES}; export a shorter piece of it")


def _csv(content: bytes, notes: list[str]) -> "pd.DataFrame":
    import pandas as pd

    dialect = dialect_of(content)
    columns = len(dialect.names or ()) or content[:MAX_LINE].split(b"\n", 1)[0].count(dialect.separator.encode()) + 1
    _check_size(content.count(b"\n"), columns)
    if dialect.encoding == "cp1252":
        notes.append("the text is not UTF-8; it was read as Windows-1252")
    if dialect.comma_times:
        text = COMMA_IN_TIME.sub(r"\1.\2", content.decode(dialect.encoding, "replace"))
        content, dialect = text.encode(), dialect._replace(encoding="utf-8")
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
        frame.columns = nameless(frame.shape[1])
        notes.append("there is no line of names; the channels are numbered")
    return frame


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
        notes.append(f"{_counted(len(text), 'column')} without numbers left out: {_listed(text)}")
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
    marked_missing = lowered.isin(MISSING - {"inf", "-inf", "+inf"})
    numbers: Floats = pd.to_numeric(lowered, errors="coerce").to_numpy(np.float64, na_value=np.nan)
    strange = int((np.isnan(numbers) & present.to_numpy() & ~marked_missing.to_numpy(bool, na_value=False)).sum())
    read = int(np.isfinite(numbers).sum())
    if read == 0 or read < strange:
        return None
    if strange:
        notes.append(f"{_counted(strange, 'cell')} of column {name!r} taken as missing, being no number")
    return numbers


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


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
        raise AssetError(f"has {_counted(len(values), 'row')}; a recording needs at least 2 samples")
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
        notes.append(f"{_counted(len(seconds) - len(rows), 'row')} without a time left out")
    if not len(rows):
        raise AssetError("has no row with a time; export it again")
    steps = np.diff(seconds[rows])
    back = int((steps < 0).sum())
    if back and not (steps > 0).any():
        notes.append("the rows run backwards in time; they were turned round")
    elif back > max(5, 0.1 * len(steps)):
        raise AssetError(f"jumps back in time {back} times in {len(rows)} rows; sort it, or export one run at a time")
    elif back:
        notes.append(f"the times jump back {_counted(back, 'time')}; the rows were sorted by time")
    rows = rows[np.argsort(seconds[rows], kind="stable")]
    again = np.flatnonzero(np.diff(seconds[rows]) == 0) + 1
    if len(again) > 0.05 * len(rows) and len(rows) > 20:
        raise AssetError(
            f"gives {len(again)} of {len(rows)} rows the time of another; export finer times, or leave the times out "
            "and give the rate"
        )
    if len(again):
        notes.append(f"{_counted(len(again), 'row')} with the time of an earlier one left out")
    return np.delete(rows, again).astype(np.int64)


_LARGEST = 1e30
"""Squares and sums of anything below stay finite, in single precision too."""


def _with_data(values: Floats, channels: list[str], notes: list[str]) -> tuple[Floats, list[str]]:
    """Infinities count as missing, and so does what no sensor says; channels without a single number are left out."""
    values = np.array(values, np.float64)
    absurd = np.abs(values) > _LARGEST
    if absurd.any():
        notes.append(f"{_counted(int(absurd.sum()), 'value')} taken as missing, infinite or beyond {_LARGEST:g}")
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
        notes.append(
            f"{_counted(int(fill.sum()), 'missing value')} of {name!r} in short holes filled in by straight lines"
        )
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
            f"{_counted(len(gaps), 'gap')} in time, the longest {steps[longest]:.6g} s after {times[longest]:.6g} s; "
            f"usual step {usual:.6g} s"
        )
    elif float(np.abs(steps / usual - 1).max()) > 0.2:
        notes.append(f"the steps between samples vary from {steps.min():.6g} to {steps.max():.6g} s")
