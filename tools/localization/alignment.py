"""Whether parts lie in the same place on every picture, told from references that a template of the others never saw.

Where they do, all of them differ from the template about as little: by noise, and by edges that lie a little off. Where
they do not, most agree with it and some do not at all, for what lies where is chance. Where at most places nearly any grey
value has been seen, as on a coarse random texture, all agree with the template and it tells nothing.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tools.localization.template import VISIBLE

_FEWEST = 10
"""References from which it can be told how far nine of ten of them differ."""

_ALIKE = 5.0
"""Nine of ten may differ so many times as much as the one in the middle, or as what is visible at all."""


_TELLING = 0.5
"""Share of all grey values that a template may allow on average."""


class Alignment(NamedTuple):
    """Whether pictures are compared with the references place by place, and how."""

    aligned: bool
    visible: float
    """What nine of ten references differ by at most: differences count from there on."""
    reason: str


def alignment(declared: bool | None, largest: Sequence[float], allowed: float) -> Alignment:
    """Told by the largest difference of each held-out reference (see `Template.largest`), and by what is `allowed`.

    That is the share of all grey values, on average over the places of the templates. What the product says stands.
    """
    middle, most = (float(np.quantile(largest, share)) for share in (0.5, 0.9)) if len(largest) else (0.0, 0.0)
    visible = max(VISIBLE, most) if len(largest) >= _FEWEST else VISIBLE
    if declared is not None:
        return Alignment(declared, visible, f"the product says that its parts are {'' if declared else 'not '}aligned")
    if len(largest) < _FEWEST:
        return Alignment(False, visible, f"fewer than {_FEWEST} references do not tell whether parts are aligned")
    if allowed > _TELLING:
        return Alignment(
            False, visible, f"the references show {allowed:.0%} of all grey values at the same place, on average"
        )
    alike = most <= _ALIKE * max(middle, VISIBLE)
    return Alignment(
        alike,
        visible,
        f"half of the held-out references differ from the others by up to {middle:.2%} of white and nine of ten by up to "
        f"{most:.2%}, which is {'alike' if alike else 'not alike'}",
    )
