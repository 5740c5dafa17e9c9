"""What the references alone say of how a product is best looked at."""

from collections.abc import Iterable
from itertools import islice
from typing import Annotated, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from skimage import filters

from knowledge import Frozen
from tools.localization.ground import without_ground

Pixels = NDArray[np.uint8]

_LOOKED_AT = 8
"""References from which the appearance is judged; more say the same."""

_SAME_LEVEL = 0.1
"""Grey values nearer than this share of the step between the two levels belong to a level."""

_DRAWING = 0.95
"""Share of pixels on the two levels from which a product counts as a drawing; on photographs it is near 0."""

_CONTRAST = 128
"""Grey values between the two levels of a drawing, at least."""

_FILLED = 0.9
"""Share of a picture from which a part counts as all of it."""

_CLOSER = 2.0
"""Times as many pixels at most as where a part fills the picture.

More cost more, and what was taken for ground may be an even part, on which a faint dent is seen best from afar.
"""

Area = Annotated[int, Field(ge=32 * 32)]


class Appearance(Frozen):
    """How a product is looked at, and why."""

    kind: Literal["photograph", "drawing"]
    areas: Annotated[tuple[Area, ...], Field(min_length=1)]
    """Pixels of the network's input at each look, coarse first; the aspect ratio is kept."""
    components: int | None
    """Principal axes of the patch features that count; all where None."""
    whiten: bool
    reason: str


class _Look(NamedTuple):
    areas: tuple[int, ...]
    components: int | None
    whiten: bool


_LOOKS = {
    "photograph": _Look((224 * 224, 480 * 480), 64, False),
    "drawing": _Look((480 * 480, 640 * 640), None, True),
}


def look_at(references: Iterable[Pixels], areas: tuple[int, ...] | None = None) -> Appearance:
    """Choose from the first few (H, W, 3) RGB references how a product is looked at; given `areas` stay as they are.

    A product of two flat grey levels (a line scan made binary, a print, a silhouette) is a drawing: only its edges say
    anything, so they are looked at closer, and every axis of the features counts the same. Anything else is a photograph.
    Where parts on photographs lie on an even ground, looks are larger, as if most of the ground were cut off.
    """
    judged = [_judged(pixels) for pixels in islice(references, _LOOKED_AT)]
    share = float(np.mean([on_levels for on_levels, _ in judged]))
    taken = float(np.quantile([of_picture for _, of_picture in judged], 0.5, method="higher"))
    kind: Literal["photograph", "drawing"] = "drawing" if share >= _DRAWING else "photograph"
    look = _LOOKS[kind]
    reason = (
        f"looked at as a {kind}: {share:.0%} of the references' pixels lie on two flat grey levels "
        f"(a drawing has {_DRAWING:.0%} or more)"
    )
    if areas is None and kind == "photograph" and taken < _FILLED:
        closer = min(1 / taken, _CLOSER)
        areas = tuple(round(area * closer) for area in look.areas)
        reason += (
            f"; at {closer:.1f} times as many pixels as usual, since parts lie on an even ground and take {taken:.0%} of the "
            "picture"
        )
    return Appearance(
        kind=kind, areas=areas or look.areas, components=look.components, whiten=look.whiten, reason=reason
    )


def _judged(pixels: Pixels) -> tuple[float, float]:
    """Share of a reference's own pixels on two levels, and share of the picture that it takes."""
    part = without_ground(pixels)
    return two_levels(part), part.size / pixels.size


def unseen(areas: tuple[int, ...] | None = None) -> Appearance:
    """How a product without references is looked at; given `areas` stay as they are."""
    look = _LOOKS["photograph"]
    return Appearance(
        kind="photograph",
        areas=areas or look.areas,
        components=look.components,
        whiten=look.whiten,
        reason="looked at as a photograph, since no reference says otherwise",
    )


def two_levels(pixels: Pixels) -> float:
    """Share of the pixels that lie on one of two grey levels far apart; 0 where there are no such levels."""
    grey = pixels.mean(axis=2)
    if grey.max() - grey.min() < _CONTRAST:
        return 0.0
    dark = grey <= filters.threshold_otsu(grey)
    low, high = float(np.median(grey[dark])), float(np.median(grey[~dark]))
    if high - low < _CONTRAST:
        return 0.0
    return float((np.minimum(np.abs(grey - low), np.abs(grey - high)) < _SAME_LEVEL * (high - low)).mean())
