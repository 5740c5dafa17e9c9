"""What is usual of normal height maps besides their shape, and what of a part is not."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from knowledge import ToolFailure
from tools.geometry.height_alignment import Alignment, shrink
from tools.geometry.height_map import HeightMap, Heights, fit_plane
from tools.geometry.height_reference import Common

_ALIGNED = 0.5
"""Share of the references' relief that one reference explains of another, from which parts count as aligned."""
_LOST = 0.5
"""Of the references' typical agreement and overlap, below which a part has not been laid on them."""
_OTHER_HEIGHTS = 1.5
"""Factor on the range of heights, beyond that of the references, from which the unit or the product is another."""
_FEWER = 0.5
"""Of the least data of a reference."""
_ENOUGH_FOR_RANGE = 5
"""References from which on it is said that a part lies higher or steeper than all of them."""


class Lying(NamedTuple):
    """How a part lies: over the middle of the references, and how steeply."""

    offset: float
    """Heights."""
    tilt: float
    """Heights over half the longer side of the map."""


class Normal(NamedTuple):
    """What is usual of the references, besides their shape."""

    unit: str
    pixel_size: float
    """0 where it is not known."""
    shape: tuple[int, int]
    """Of the maps in the files."""
    factor: int
    """By which they are scaled down."""
    height_range: tuple[float, float]
    """The least and the largest of a part, in heights."""
    least_data: float
    """Share of the pixels."""
    agreement: float
    overlap: float
    lying: tuple[tuple[float, float], tuple[float, float]]
    """Least and largest offset, and tilts in both directions, 0 for the least."""
    parts: int

    @property
    def aligned(self) -> bool:
        """Whether the references could be laid on each other."""
        return self.agreement >= _ALIGNED

    def require_same_unit(self, height_map: HeightMap) -> None:
        """Raises `ToolFailure` for heights in another unit."""
        if height_map.height_unit != self.unit:
            raise ToolFailure(
                f"heights are in {height_map.height_unit}, those of the references in {self.unit}; "
                "give the part in the same unit"
            )

    def lost(self, alignment: Alignment) -> tuple[str, ...]:
        """Why a part that has been aligned so does not lie on the references; empty where it does."""
        agreement = alignment.agreement / max(self.agreement, 1e-6)
        overlap = alignment.overlap / max(self.overlap, 1e-6)
        if not self.aligned or (agreement >= _LOST and overlap >= _LOST):
            return ()
        return (
            f"the part could not be laid on the references: they share {alignment.overlap:.0%} of their area "
            f"(references {self.overlap:.0%}) and {alignment.agreement:.0%} of its relief is theirs "
            f"({self.agreement:.0%}); it is compared piece by piece instead",
        )

    def unlike(self, height_map: HeightMap) -> Iterator[str]:
        """In what a map differs from those of all references."""
        height, width = height_map.heights.shape
        if (height, width) != self.shape and max(abs(height / self.shape[0] - 1), abs(width / self.shape[1] - 1)) > 0.1:
            yield f"the map has {width} x {height} pixels, the references {self.shape[1]} x {self.shape[0]}"
        if abs((height_map.pixel_size or 0.0) - self.pixel_size) > 0.01 * max(self.pixel_size, 1e-12):
            yield f"a pixel is {height_map.pixel_size or 'of unknown size'}, on the references {self.pixel_size or 'unknown'}"
        found, (low, high) = height_range_of(shrink(height_map.heights, self.factor)), self.height_range
        if not low / _OTHER_HEIGHTS <= found <= high * _OTHER_HEIGHTS:
            yield (
                f"its heights range over {found:.3g} {self.unit}, those of the references over "
                f"{low:.3g} to {high:.3g}: another unit or another product"
            )
        share = float(height_map.valid.mean())
        if share < _FEWER * self.least_data:
            yield f"only {share:.1%} of its pixels have data, at least {self.least_data:.1%} on the references"

    def unusually_lying(self, lying: Lying) -> tuple[str, ...]:
        """A part may lie a little farther off than every reference, by as much as they lie apart."""
        if self.parts < _ENOUGH_FOR_RANGE or not self.aligned:
            return ()
        found = []
        (low, high), (_, steepest) = self.lying
        room = max(high - low, 1e-2 * self.height_range[1])
        if not low - room <= lying.offset <= high + room:
            beside, word = (high, "higher") if lying.offset > high else (low, "lower")
            found.append(f"it lies {abs(lying.offset - beside):.3g} {self.unit} {word} than any reference")
        if lying.tilt > 2 * steepest + 2e-2 * self.height_range[1]:
            found.append(
                f"it is tilted by {lying.tilt:.3g} {self.unit} over half its length, "
                f"no reference by more than {steepest:.3g}"
            )
        return tuple(found)


def lying_of(alignment: Alignment, common: Common) -> Lying:
    """How a part lies that was laid on what the references have in common."""
    pose = alignment.pose
    reach = max(common.heights.shape) / 2
    return Lying(pose.offset, float(np.hypot(pose.slope_x, pose.slope_y)) * reach)


def height_range_of(heights: Heights) -> float:
    """Between the 2nd and the 98th percentile of heights over the part's plane."""
    over = heights - fit_plane(heights).over((heights.shape[0], heights.shape[1]))
    low, high = np.percentile(over[np.isfinite(over)], (2, 98))
    return max(float(high - low), 1e-12)
