"""Rendered views, boxes and regions, and the way back from a view to its source."""

import math
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field, model_validator

from knowledge import Frozen

Affine = tuple[float, float, float, float, float, float]
"""(a, b, c, d, e, f): x' = a x + b y + c, y' = d x + e y + f, over pixel edges (the top-left corner is 0, 0)."""

IDENTITY: Affine = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


class Box(Frozen):
    """Axis-aligned rectangle in pixels: origin top-left, x1 and y1 exclusive."""

    x0: Annotated[int, Field(ge=0)]
    y0: Annotated[int, Field(ge=0)]
    x1: int
    y1: int

    @model_validator(mode="after")
    def _not_inside_out(self) -> "Box":
        if self.x1 <= self.x0 or self.y1 <= self.y0:
            raise ValueError(f"expected x0 < x1 and y0 < y1, got {self.as_list()}")
        return self

    @property
    def width(self) -> int:
        return self.x1 - self.x0

    @property
    def height(self) -> int:
        return self.y1 - self.y0

    @property
    def slices(self) -> tuple[slice, slice]:
        """Row and column slices, to cut the box out of an (H, W, ...) array."""
        return slice(self.y0, self.y1), slice(self.x0, self.x1)

    def as_list(self) -> list[int]:
        return [self.x0, self.y0, self.x1, self.y1]

    def grown(self, margin: int, width: int, height: int) -> "Box":
        """The box with `margin` pixels more on each side, kept inside an image of `width` x `height`."""
        return Box(
            x0=max(0, self.x0 - margin),
            y0=max(0, self.y0 - margin),
            x1=min(width, self.x1 + margin),
            y1=min(height, self.y1 + margin),
        )


class RenderedView(Frozen):
    """A 2-D image made from an asset, with the map from its pixels back to the source."""

    id: str
    asset_id: str
    kind: str
    """`image` or `crop` of a picture; of another modality what the view shows, such as `shaded` or `plot`."""
    title: str = ""
    """For people, where there are several views."""
    width: int
    height: int
    image: str
    """Artifact id of the RGB picture."""
    to_source: Affine = IDENTITY
    """From the view's pixel edges to those of the upright source image."""
    source_width: int
    source_height: int
    inverse: str = ""
    """Artifact id of an int32 (H, W) array: the flat index of the element (point, sample, cell) that each pixel shows, -1
    where it shows none. Empty for pictures, whose map back is `to_source`."""
    span: int = 1
    """A pixel shows so many elements in a row, from its index on."""

    def point_to_source(self, x: float, y: float) -> tuple[float, float]:
        a, b, c, d, e, f = self.to_source
        return a * x + b * y + c, d * x + e * y + f

    def point_from_source(self, x: float, y: float) -> tuple[float, float]:
        a, b, c, d, e, f = self.to_source
        determinant = a * e - b * d
        x, y = x - c, y - f
        return (e * x - b * y) / determinant, (a * y - d * x) / determinant

    def box_to_source(self, box: Box) -> Box:
        """Smallest box of whole source pixels that covers `box`."""
        corners = [self.point_to_source(x, y) for x in (box.x0, box.x1) for y in (box.y0, box.y1)]
        return _covering(corners, self.source_width, self.source_height)

    def box_from_source(self, box: Box) -> Box:
        """Smallest box of whole view pixels that covers a source box."""
        corners = [self.point_from_source(x, y) for x in (box.x0, box.x1) for y in (box.y0, box.y1)]
        return _covering(corners, self.width, self.height)

    @property
    def source_pixels_per_pixel(self) -> float:
        """Area of one pixel of the view, in pixels of the source."""
        a, b, _, d, e, _ = self.to_source
        return abs(a * e - b * d)


class Region(Frozen):
    """Connected area of an anomaly map over threshold."""

    id: str
    view_id: str
    box: Box
    """In pixels of the view."""
    source_box: Box
    """In pixels of the upright source image; of other modalities the same as `box`."""
    mask: str
    """Artifact id of a bool (H, W) array, the view's size."""
    peak: float
    """Largest calibrated map value inside."""
    members: str = ""
    """Artifact id of the flat indices of its elements, int64; empty for pictures."""
    native: dict[str, Any] = Field(default_factory=dict)
    """Where it is in the asset's own terms; empty for pictures, where boxes say it."""


def _covering(corners: Sequence[tuple[float, float]], width: int, height: int) -> Box:
    slack = 1e-6
    xs, ys = [x for x, _ in corners], [y for _, y in corners]
    x0 = min(max(int(min(xs) + slack), 0), width - 1)
    y0 = min(max(int(min(ys) + slack), 0), height - 1)
    x1 = min(max(math.ceil(max(xs) - slack), x0 + 1), width)
    y1 = min(max(math.ceil(max(ys) - slack), y0 + 1), height)
    return Box(x0=x0, y0=y0, x1=x1, y1=y1)
