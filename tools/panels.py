"""Pictures as a reasoner is shown them: each with its label drawn into it, so that no role can be swapped.

Drawn anew from pixels alone: nothing of a file but its pixels reaches a model.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from tools.views import Region

LONGEST = 1024
"""Pixels of a panel's longer side at most; vendors scale larger pictures down themselves, and charge for them."""

SHORTEST = 256
"""Smaller pictures are enlarged, for what is a few pixels wide is not seen."""

_BAR = 26
_MARK = (20, 110, 255)


class Panel(NamedTuple):
    """A picture shown to the reasoner, with its label and what it is of."""

    label: str
    caption: str
    artifact: str


def labelled(pixels: NDArray[np.uint8], label: str) -> NDArray[np.uint8]:
    """The picture under a bar with its label: (H, W, 3), `LONGEST` on the longer side at most, beside the bar."""
    picture = _sized(pixels)
    panel = Image.new("RGB", (max(picture.width, 12 * len(label)), picture.height + _BAR), "white")
    panel.paste(picture, (0, _BAR))
    ImageDraw.Draw(panel).text((6, 4), label.upper(), fill="black", font=_font(16))
    return np.asarray(panel)


def marked(pixels: NDArray[np.uint8], heat: NDArray[np.uint8] | None, regions: Sequence[Region]) -> NDArray[np.uint8]:
    """(H, W, 3): the view under its heat map, with a box and its id around each region."""
    base = Image.fromarray(pixels).convert("RGBA")
    if heat is not None:
        base.alpha_composite(
            Image.fromarray(heat).resize(base.size) if heat.shape[:2] != pixels.shape[:2] else Image.fromarray(heat)
        )
    scale = _scale(base.width, base.height)
    picture = _sized(np.asarray(base.convert("RGB")))
    draw, font = ImageDraw.Draw(picture), _font(14)
    for region in regions:
        corners = [round(edge * scale) for edge in region.box.as_list()]
        draw.rectangle(corners, outline=_MARK, width=2)
        beneath = (corners[0], min(corners[3] + 1, picture.height - 16))
        draw.text(beneath, region.id, fill=_MARK, font=font, stroke_width=2, stroke_fill="white")
    return np.asarray(picture)


def _sized(pixels: NDArray[np.uint8]) -> Image.Image:
    picture = Image.fromarray(pixels).convert("RGB")
    scale = _scale(picture.width, picture.height)
    if scale == 1:
        return picture
    size = (max(round(picture.width * scale), 1), max(round(picture.height * scale), 1))
    return picture.resize(size, Image.Resampling.LANCZOS if scale < 1 else Image.Resampling.BICUBIC)


def _scale(width: int, height: int) -> float:
    return min(LONGEST / max(width, height), max(1.0, SHORTEST / min(width, height)))


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
