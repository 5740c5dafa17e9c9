"""How a CSV file is written, judged by its first lines."""

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from knowledge import AssetError

MAX_LINE = 1_000_000
_SAMPLE_LINES = 60
_SEPARATORS = (";", "\t", "|", ",")
"""In the order in which they are tried: a comma may be a decimal comma where there is another separator."""
_COMMENTS = ("#", "%", "//")

_NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?$")
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(\.\d{3})+,\d+$")
MISSING = frozenset({"", "nan", "na", "n/a", "null", "none", "-", "--", "---", "inf", "-inf", "+inf"})
DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([ T]|$)|\d{1,2}:\d{2}(:\d{2})?([.,]\d+)?$")
_TIME_BEFORE_COMMA = re.compile(r"(.*[ T])?\d\d:\d\d:\d\d$")


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
    comma_times: bool = False
    """Whether a comma stands before the parts of a second, though it parts the cells too."""


def dialect_of(content: bytes) -> Dialect:
    """Judge a CSV file by its first lines.

    Raises:
        AssetError: if this is not a table of text.
    """
    encoding = _encoding(content)
    text = content[: 8 * MAX_LINE].decode(encoding, errors="ignore" if len(content) > 8 * MAX_LINE else "replace")
    if "\0" in text:
        raise AssetError("is neither a text table nor a format that is known; export it as CSV, Parquet or .npy")
    lines = text.split("\n", 4 * _SAMPLE_LINES)[: 4 * _SAMPLE_LINES]
    lines = [line.rstrip("\r") for line in lines]
    if any(len(line) > MAX_LINE for line in lines):
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
    comma_times = names is not None and separator == "," and _has_comma_times(cells[heads:], len(names))
    if names is not None and not comma_times:
        _require_no_more_cells(cells[heads:], len(names))
    return Dialect(encoding, skipped, comment, separator, decimal, thousands, names, heads, comma_times)


def _has_comma_times(cells: list[list[str]], columns: int) -> bool:
    """One cell too many in every row, and three or six digits behind a time."""
    return all(
        len(row) == columns + 1
        and any(_TIME_BEFORE_COMMA.match(cell) and re.match(r"(\d{3}|\d{6})$", after) for cell, after in pairwise(row))
        for row in cells
    )


def _require_no_more_cells(cells: list[list[str]], columns: int) -> None:
    """Empty ones at the end of a row are nothing; what is in others would be lost, and the rest moved under other names."""
    longer = next((row for row in cells if any(row[columns:])), None)
    if longer is not None:
        raise AssetError(f"has {columns} names and a row of {len(longer)} cells; export it again")


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
    return _is_number(cell) or bool(DATE.match(cell))


def _heads(cells: list[list[str]]) -> int:
    """Names stand in the first line when nothing in it is a number or a date; units under them likewise."""
    if any(_is_data(cell) for cell in cells[0]):
        return 0
    if not any(cell.lower() not in MISSING for cell in cells[0]):
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
    return tuple(unique(names))


def unique(names: Sequence[str]) -> list[str]:
    """Names that differ: a name that comes again gets a number."""
    seen: dict[str, int] = {}
    found = []
    for name in names:
        shown = name[:100]
        seen[shown] = seen.get(shown, 0) + 1
        found.append(shown if seen[shown] == 1 else f"{shown}.{seen[shown]}")
    return found


def nameless(count: int) -> list[str]:
    return [f"channel_{i + 1}" for i in range(count)]
