"""Variants of a picture that must not change its verdict, as cases of one group with the part itself."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from evals.cases import Case, Expected, Variant

_LIGHT = 1.005
_QUALITY = 95
"""Of JPEG."""
_SHIFT = 2
"""Pixels."""


class _Changed(NamedTuple):
    """How a picture is changed, and how it is written."""

    change: Callable[[Any], Any]
    """Of (H, W) or (H, W, 3) uint8."""
    suffix: str = ".png"


def varied(case: Case, folder: Path, again: str = "") -> list[Case]:
    """A picture's case as a group with its variants; `again` names the same product, learned with another seed."""
    part = case.model_copy(update={"group": case.id})
    pixels = np.asarray(Image.open(folder / case.assets[0]))
    found = [part]
    for kind, changed in _CHANGED.items():
        path = folder / "assets" / kind / f"{case.id}{changed.suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(changed.change(pixels)).save(path, quality=_QUALITY)
        found.append(variant_of(part, kind, assets=(path.relative_to(folder).as_posix(),)))
    return [*found, variant_of(part, "seed", product=again)] if again else found


def variant_of(part: Case, kind: Variant, **changes: Any) -> Case:
    """A case of the same group, of which nothing is expected but that it is judged alike."""
    return part.model_copy(
        update={
            "id": f"{part.id}/{kind}",
            "variant": kind,
            "expected": Expected(),
            "tags": (*part.tags, "variant", kind),
            **changes,
        }
    )


def _brighter(pixels: Any) -> Any:
    return np.clip(np.round(pixels * _LIGHT), 0, 255).astype(np.uint8)


def _shifted(pixels: Any) -> Any:
    """To the right and down; what comes in is the edge."""
    borders = ((_SHIFT, 0), (_SHIFT, 0), (0, 0))[: pixels.ndim]
    return np.pad(pixels, borders, mode="edge")[:-_SHIFT, :-_SHIFT]


_CHANGED: dict[Variant, _Changed] = {
    "mirrored": _Changed(np.fliplr),
    "flipped": _Changed(np.flipud),
    "brighter": _Changed(_brighter),
    "jpeg": _Changed(lambda pixels: pixels, ".jpg"),
    "shifted": _Changed(_shifted),
}
