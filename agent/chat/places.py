"""From a person's words to a place on a view."""

import re
from collections.abc import Mapping
from typing import NamedTuple

from agent.chat.turn import Turn
from knowledge import RequestError
from tools import Box, EvidenceLog, Region, RenderedView

_FINDING = re.compile(r"\b(?:finding|region|defect)\s+(\d{1,4})\b")
_ASSET = re.compile(r"\b(a\d{1,3})(?:\.(v\d{1,3}))?\b(?!\.)")
_ROWS = {"top": 0, "upper": 0, "bottom": 2, "lower": 2}
_COLUMNS = {"left": 0, "right": 2}
_MIDDLE = frozenset({"centre", "center", "middle"})
_MAIN_WORDS = "main biggest largest worst finding findings region defect anomaly place it that this there here"
_MAIN = frozenset(_MAIN_WORDS.split())
_WORD = re.compile(r"[^\W\d_]+")


class Place(NamedTuple):
    view: RenderedView
    box: Box
    region: Region | None


def place_of(turn: Turn, log: EvidenceLog, called: Mapping[str, str] | None = None) -> Place:
    """The place that a turn speaks of; the main finding where it names none, and the whole view where there is none.

    Args:
        turn: what is wanted.
        log: the evidence of the inspection.
        called: what findings are called, by the ids of their regions.

    Raises:
        RequestError: the region, the finding or the place does not exist, or the box is not inside of the picture.
    """
    target = turn.target.strip().lower()
    if turn.box is not None:
        return _boxed(turn.box, _view_named(target, log))
    regions = list(log.regions().values())
    if target in log.regions():
        return _around(log.region(target), log)
    numbered = _FINDING.search(target)
    if numbered:
        number = int(numbered[1])
        if not 1 <= number <= len(regions):
            raise RequestError(f"there is no finding {number}: the inspection has {len(regions)}")
        return _around(regions[number - 1], log)
    words = set(_WORD.findall(target))
    if words & (set(_ROWS) | set(_COLUMNS) | _MIDDLE):
        return _third(words, _view_named(target, log))
    if _ASSET.search(target):
        return _whole(_view_named(target, log))
    return _called(target, words, log, called or {})


def _called(target: str, words: set[str], log: EvidenceLog, called: Mapping[str, str]) -> Place:
    """A finding by what it is called; the main one where nothing is named."""
    regions = list(log.regions().values())
    telling = {word for word in words if len(word) > 3}
    fitting = [region for region in regions if telling & set(_WORD.findall(called.get(region.id, "").lower()))]
    if fitting and not re.search(r"\d", target):
        return _around(fitting[0], log)
    if target and not words & _MAIN:
        raise RequestError(
            f"there is no place {_printable(target)!r}; known are the regions {', '.join(log.regions()) or 'none'}, sides "
            "such as top left, and boxes in pixels"
        )
    return _around(regions[0], log) if regions else _whole(_view_named("", log))


def _printable(target: str) -> str:
    """What was asked for, as it can be printed."""
    return "".join(character for character in target if character.isprintable())


def _whole(view: RenderedView) -> Place:
    return Place(view, Box(x0=0, y0=0, x1=view.width, y1=view.height), None)


def _view_named(target: str, log: EvidenceLog) -> RenderedView:
    """The view or the asset that is named, or the first view."""
    named = _ASSET.search(target)
    views = [view for view in log.views().values() if named is None or view.asset_id == named[1]]
    if named and named[2]:
        views = [view for view in views if view.id == named[0]]
    if views:
        return views[0]
    if named:
        raise RequestError(f"there is no view {named[0]}; known are {', '.join(log.views()) or 'none'}")
    raise RequestError("the part could not be rendered, so there is nothing to look at")


def _around(region: Region, log: EvidenceLog) -> Place:
    view = log.view(region.view_id)
    margin = max(16, max(region.box.width, region.box.height) // 3)
    return Place(view, region.box.grown(margin, view.width, view.height), region)


def _boxed(edges: tuple[float, ...], view: RenderedView) -> Place:
    x0, y0, x1, y1 = (round(edge) for edge in edges)
    inside = 0 <= x0 < x1 <= view.source_width and 0 <= y0 < y1 <= view.source_height
    if not inside:
        raise RequestError(
            f"the box [{', '.join(f'{edge:g}' for edge in edges)}] is not inside the picture, which is "
            f"{view.source_width} x {view.source_height} pixels; give left, top, right, bottom"
        )
    return Place(view, view.box_from_source(Box(x0=x0, y0=y0, x1=x1, y1=y1)), None)


def _third(words: set[str], view: RenderedView) -> Place:
    """One of the nine parts of a 3 x 3 grid; of a row or a column alone all of it."""
    row = next((_ROWS[word] for word in _ROWS if word in words), 1 if words & _MIDDLE else None)
    column = next((_COLUMNS[word] for word in _COLUMNS if word in words), 1 if words & _MIDDLE else None)
    rows = (0, view.height) if row is None else (row * view.height // 3, (row + 1) * view.height // 3)
    columns = (0, view.width) if column is None else (column * view.width // 3, (column + 1) * view.width // 3)
    return Place(
        view,
        Box(x0=columns[0], y0=rows[0], x1=max(columns[1], columns[0] + 1), y1=max(rows[1], rows[0] + 1)),
        None,
    )
