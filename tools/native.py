"""What every modality has in common: views that point back into the asset, and findings in the asset's own terms.

An asset's own data has one anomaly value for each of its elements: points of a cloud, pixels of a height map, samples
of each channel, cells of each frame. Everything else speaks of elements by their flat index into those values.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from tools.localization.calibration import ConformalCalibration
from tools.measuring import Measurement

Values = NDArray[np.float32]
Index = NDArray[np.int32]


@dataclass(frozen=True)
class Rendering:
    """A 2-D picture of an asset with the way back into it."""

    kind: str
    """One word for what it shows: `shaded`, `normals`, `plot`, `contact_sheet` ..."""
    title: str
    """For people: `front, shaded by curvature`."""
    pixels: NDArray[np.uint8]
    """(H, W, 3) RGB."""
    index: Index
    """(H, W): flat index of the element that a pixel shows, -1 where it shows none."""
    span: int = 1
    """A pixel shows the elements from its index on, so many in a row: the samples behind one column of a plot."""


class Place(NamedTuple):
    """A connected part of an asset over threshold."""

    peak: float
    members: NDArray[np.int64]
    """Flat indices of its elements, ascending."""
    native: dict[str, Any]
    """Where it is in the asset's own terms, as it stands in the report; plain values."""


class NativeLocalization(NamedTuple):
    """How unlike normal each element of an asset is."""

    values: Values
    """In the asset's own shape; comparable across assets of a product, higher meaning more anomalous. Never NaN."""
    score: float
    """The highest value, so that a score over the threshold always has a place."""
    unlike: tuple[str, ...] = ()
    """In what way the asset is unlike the references otherwise, so that its score says little: each leads to review."""
    blocks: int = 1
    """How many times over the asset holds what was calibrated: stretches of a recording, of a video. 1 for a part."""


class NativeLocalizer(Protocol):
    """What is learned of a product's normal assets of one modality."""

    calibration: ConformalCalibration

    def localize(self, native: Any) -> NativeLocalization:
        """Raises `ToolFailure` where the asset cannot be judged: one sentence that says why."""

    def places(self, native: Any, values: Values, threshold: float) -> Sequence[Place]:
        """Connected parts over threshold, the highest peak first."""

    def measure(self, native: Any, values: Values, members: NDArray[np.int64]) -> tuple[Measurement, ...]:
        """A place in numbers with units, from the asset's own data and not from a picture of it."""

    def tensors(self) -> dict[str, NDArray[Any]]:
        """All that was learned, for `save_fitted`, besides what `about` says in plain values."""

    def about(self) -> dict[str, Any]: ...


def shown_values(rendering_index: Index, span: int, values: Values) -> Values:
    """(H, W) map of a view: the highest value among the elements that a pixel shows, 0 where it shows none."""
    flat = values.ravel()
    if span > 1:
        # maximum over [i, i + span): the filter's window is centred, so its origin is moved to the left end
        flat = ndimage.maximum_filter1d(flat, span, origin=-(span // 2), mode="nearest")
    shown: Values = np.where(rendering_index >= 0, flat[np.maximum(rendering_index, 0)], np.float32(0))
    return shown


def shown_members(rendering_index: Index, span: int, members: NDArray[np.int64], elements: int) -> NDArray[np.bool_]:
    """(H, W) mask of a view: where it shows one of the `members` of an asset of so many elements."""
    chosen = np.zeros(elements, np.float32)
    chosen[members] = 1
    return shown_values(rendering_index, span, chosen) > 0
