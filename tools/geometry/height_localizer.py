"""Where a height map differs from normal ones: laid on what they have in common, or compared piece by piece."""

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from knowledge import FittedPartError
from tools.fitted import Fitted
from tools.geometry.height_alignment import align, shrink
from tools.geometry.height_fitted import calibration_from, normal_from, patches_from, positive, reference_from
from tools.geometry.height_map import HeightMap, Heights, fit_plane
from tools.geometry.height_normal import Normal, lying_of
from tools.geometry.height_patches import PatchMemory
from tools.geometry.height_places import measured_place, native_place
from tools.geometry.height_reference import HeightReference, Laid, fields_of, residual
from tools.localization.anomaly_map import blobs
from tools.localization.calibration import ConformalCalibration
from tools.measuring import Measurement
from tools.native import NativeLocalization, Place, Values

_REMEMBERED = 4


class HeightLocalizer:
    """What is learned of a product's normal height maps."""

    def __init__(
        self,
        reference: HeightReference,
        patches: PatchMemory,
        patch_weight: float,
        normal: Normal,
        calibration: ConformalCalibration,
    ) -> None:
        self.reference = reference
        self.patches = patches
        self.patch_weight = patch_weight
        """By which its values are made alike with those of the reference."""
        self.normal = normal
        self.calibration = calibration
        self._laid: OrderedDict[bytes, Laid] = OrderedDict()

    @property
    def aligned(self) -> bool:
        """Whether the references could be laid on each other."""
        return self.normal.aligned

    @property
    def reservation(self) -> str:
        """What its answers lack whatever it is asked, for people; empty where they lack nothing."""
        if self.aligned:
            return ""
        return "the references do not lie alike, so only small patches are compared, which finds little"

    @property
    def reference_map(self) -> HeightMap:
        """What the references have in common, as a map: gives the style of all views of the product."""
        heights = _enlarged(self.reference.common.heights, self.normal.factor, self.normal.shape)
        unit = None if self.normal.unit == "counts" else self.normal.unit
        return HeightMap(heights, unit, self.normal.pixel_size or None)

    def localize(self, height_map: HeightMap) -> NativeLocalization:
        """Values in standard deviations of normal parts at the same place, (H, W).

        Raises `ToolFailure` where the heights are in another unit than those of the references.
        """
        self.normal.require_same_unit(height_map)
        laid = self._lay(height_map)
        lost = self.normal.lost(laid.alignment)
        small = self._values(laid, patches_alone=bool(lost))
        values = _enlarged(small, self.normal.factor, height_map.heights.shape)
        lying = lying_of(laid.alignment, self.reference.common)
        unlike = (*self.normal.unlike(height_map), *(lost or self.normal.unusually_lying(lying)))
        return NativeLocalization(values, float(values.max()), unlike)

    def places(self, height_map: HeightMap, values: Values, threshold: float) -> Sequence[Place]:
        """Connected areas over threshold, each cut back to half its peak."""
        found = []
        above = self.residual(height_map)
        for blob in blobs(values, threshold):
            members = np.flatnonzero(blob.mask(values.shape[0], values.shape[1])).astype(np.int64)
            found.append(Place(blob.peak, members, native_place(height_map, above, members)))
        return tuple(found)

    def measure(self, height_map: HeightMap, values: Values, members: NDArray[np.int64]) -> tuple[Measurement, ...]:
        """Depth, area, volume and extent of a place; `depth` is negative below the reference."""
        return measured_place(height_map, self.residual(height_map), values, members)

    def residual(self, height_map: HeightMap) -> Heights:
        """(H, W) height above the reference laid under the part, NaN where either has no data.

        Above the part's own plane where it could not be laid on the reference.
        """
        laid = self._lay(height_map)
        if self.normal.lost(laid.alignment) or not self.aligned:
            heights = height_map.heights
            return (heights - fit_plane(heights).over((heights.shape[0], heights.shape[1]))).astype(np.float32)
        small = residual(laid.heights, self.reference.common, laid.alignment.pose)
        return _enlarged(small.astype(np.float32), self.normal.factor, height_map.heights.shape)

    def tensors(self) -> dict[str, NDArray[Any]]:
        """All arrays that were learned."""
        common = self.reference.common
        return {
            "heights": common.heights,
            "presence": common.presence,
            "mean": self.reference.mean,
            "spread": self.reference.spread,
            "weights": self.reference.weights,
            "calibration": self.calibration.scores,
            "pieces": self.patches.features,
            "pieces_sources": self.patches.sources,
            "pieces_scale": self.patches.scale,
            "pieces_usual": self.patches.usual,
        }

    def about(self) -> dict[str, Any]:
        """All else, in plain values."""
        return {
            "scheme": self.calibration.scheme,
            "patch_weight": self.patch_weight,
            "relief": self.patches.relief,
            "pieces_median": self.patches.median,
            "pieces_deviation": self.patches.deviation,
            "normal": self.normal._asdict(),
            "aligned": self.aligned,
        }

    @classmethod
    def of_fitted(cls, fitted: Fitted) -> "HeightLocalizer":
        """Raises `FittedPartError` where the parts on disk cannot be those of a localiser."""
        try:
            return cls(
                reference_from(fitted.tensors),
                patches_from(fitted.tensors, fitted.about),
                positive(fitted.about["patch_weight"]),
                normal_from(fitted.about["normal"]),
                calibration_from(fitted.tensors, fitted.about),
            )
        except (KeyError, TypeError, ValueError, IndexError, OverflowError) as error:
            raise FittedPartError(
                f"what was learned of height maps cannot be used ({error}); enroll the product again"
            ) from error

    def _lay(self, height_map: HeightMap) -> Laid:
        """How the part lies on the reference; the last few are remembered."""
        key = hashlib.blake2b(np.ascontiguousarray(height_map.heights).data, digest_size=16).digest()
        if key not in self._laid:
            small = shrink(height_map.heights, self.normal.factor)
            self._laid[key] = Laid(small, align(small, self.reference.common.heights))
            if len(self._laid) > _REMEMBERED:
                self._laid.popitem(last=False)
        return self._laid[key]

    def _values(self, laid: Laid, *, patches_alone: bool) -> Heights:
        found = []
        if not patches_alone:
            pose = laid.alignment.pose
            found.append(self.reference.values(fields_of(laid.heights, self.reference.common, pose), pose))
        if patches_alone or not self.aligned:
            found.append(self.patches.values(laid.heights) * np.float32(self.patch_weight))
        return np.asarray(np.max(found, axis=0), np.float32)


def _enlarged(small: Heights, factor: int, shape: tuple[int, ...]) -> Heights:
    """Each value for `factor` x `factor` pixels; what was cut off at the edges has the value beside it."""
    if factor == 1:
        return small
    rows = np.minimum(np.arange(shape[0]) // factor, small.shape[0] - 1)
    columns = np.minimum(np.arange(shape[1]) // factor, small.shape[1] - 1)
    return np.ascontiguousarray(small[rows[:, None], columns])
