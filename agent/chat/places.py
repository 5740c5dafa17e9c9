"""From a person's words to a place on a view."""

import re
from typing import NamedTuple

from agent.chat.turn import Turn
from knowledge import RequestError
from tools import Box, EvidenceLog, Region, RenderedView

_FINDING = re.compile(r"(?:finding|region|defect)\s+(\d+)")
_ROWS = {"top": 0, "upper": 0, "bottom": 2, "lower": 2}
_COLUMNS = {"left": 0, "right": 2}
_MIDDLE = frozenset({"centre", "center", "middle"})


class Place(NamedTuple):
    view: RenderedView
    box: Box
    region: Region | None


def place_of(turn: Turn, log: EvidenceLog) -> Place:
    """The place that a turn speaks of; the main finding where it names none, and the whole view where there is none.

    Raises `RequestError` for a region or a finding that does not exist, and for a box outside of the picture.
    """
    if turn.box is not None:
        return _boxed(turn.box, _main_view(log))
    regions = list(log.regions().values())
    target = turn.target.strip().lower()
    if target in log.regions():
        return _around(log.region(target), log)
    numbered = _FINDING.search(target)
    if numbered:
        number = int(numbered[1])
        if not 1 <= number <= len(regions):
            raise RequestError(f"there is no finding {number}: the inspection has {len(regions)}")
        return _around(regions[number - 1], log)
    words = set(target.replace("-", " ").split())
    if words & (set(_ROWS) | set(_COLUMNS) | _MIDDLE):
        return _third(words, _main_view(log))
    if target and re.search(r"\d", target):
        raise RequestError(f"there is no region {turn.target!r}; known are {', '.join(log.regions()) or 'none'}")
    if regions:
        return _around(regions[0], log)
    view = _main_view(log)
    return Place(view, Box(x0=0, y0=0, x1=view.width, y1=view.height), None)


def _main_view(log: EvidenceLog) -> RenderedView:
    view = next(iter(log.views().values()), None)
    if view is None:
        raise RequestError("the part could not be rendered, so there is nothing to look at")
    return view


def _around(region: Region, log: EvidenceLog) -> Place:
    view = log.view(region.view_id)
    margin = max(16, max(region.box.width, region.box.height) // 3)
    return Place(view, region.box.grown(margin, view.width, view.height), region)


def _boxed(edges: tuple[float, ...], view: RenderedView) -> Place:
    x0, y0, x1, y1 = (round(edge) for edge in edges)
    inside = 0 <= x0 < x1 <= view.source_width and 0 <= y0 < y1 <= view.source_height
    if not inside:
        raise RequestError(
            f"the box {[x0, y0, x1, y1]} is not inside the picture, which is {view.source_width} x {view.source_height} "
            "pixels; give left, top, right, bottom"
        )
    return Place(view, view.box_from_source(Box(x0=x0, y0=y0, x1=x1, y1=y1)), None)


def _third(words: set[str], view: RenderedView) -> Place:
    """One of the nine parts of a 3 x 3 grid; of a row or a column alone all of it."""
    row = next((_ROWS[word] for word in _ROWS if word in words), 1 if words & _MIDDLE else None)
    column = next((_COLUMNS[word] for word in _COLUMNS if word in words), 1 if words & _MIDDLE else None)
    if words & _MIDDLE and (words & set(_ROWS) or words & set(_COLUMNS)):
        row, column = (1 if row is None else row), (1 if column is None else column)
    rows = (0, view.height) if row is None else (row * view.height // 3, (row + 1) * view.height // 3)
    columns = (0, view.width) if column is None else (column * view.width // 3, (column + 1) * view.width // 3)
    return Place(
        view,
        Box(x0=columns[0], y0=rows[0], x1=max(columns[1], columns[0] + 1), y1=max(rows[1], rows[0] + 1)),
        None,
    )
