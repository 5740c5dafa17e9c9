"""Where a height map differs from normal ones: laid on what they have in common, or compared piece by piece."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from skimage import measure

from knowledge import FittedPartError, ToolFailure
from tools.fitted import Fitted
from tools.geometry.height_alignment import Alignment, Floats, align, shrink
from tools.geometry.height_map import HeightMap, Heights, fit_plane
from tools.geometry.height_patches import FEATURES, PatchMemory
from tools.geometry.height_reference import (
    CHANNELS,
    Common,
    Fields,
    HeightReference,
    Laid,
    Sums,
    expected_variance,
    fields_of,
    lay_together,
    residual,
    together,
    weights_of,
)
from tools.localization.anomaly_map import blobs
from tools.localization.calibration import ConformalCalibration, Scheme
from tools.measuring import Measurement
from tools.native import NativeLocalization, Place, Values

WORK_PIXELS = 600_000
"""Maps with more pixels are compared scaled down; what is narrower than a pixel then may be missed."""

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
_REMEMBERED = 4

Progress = Callable[[str, int, int], None]


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
        return self.normal.agreement >= _ALIGNED

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
        self._require_same_unit(height_map)
        laid = self._lay(height_map)
        lost = self._lost(laid.alignment)
        small = self._values(laid, patches_alone=bool(lost))
        values = _enlarged(small, self.normal.factor, height_map.heights.shape)
        unlike = (*self._unlike(height_map), *(lost or self._unusually_lying(laid.alignment)))
        return NativeLocalization(values, float(values.max()), unlike)

    def places(self, height_map: HeightMap, values: Values, threshold: float) -> Sequence[Place]:
        """Connected areas over threshold, each cut back to half its peak."""
        found = []
        above = self.residual(height_map)
        for blob in blobs(values, threshold):
            members = np.flatnonzero(blob.mask(values.shape[0], values.shape[1])).astype(np.int64)
            found.append(Place(blob.peak, members, _native(height_map, above, members)))
        return tuple(found)

    def measure(self, height_map: HeightMap, values: Values, members: NDArray[np.int64]) -> tuple[Measurement, ...]:
        """Depth, area, volume and extent of a place; `depth` is negative below the reference."""
        if not len(members):
            raise ToolFailure("the place is empty; there is nothing to measure")
        return _measured(height_map, self.residual(height_map), values, members)

    def residual(self, height_map: HeightMap) -> Heights:
        """(H, W) height above the reference laid under the part, NaN where either has no data.

        Above the part's own plane where it could not be laid on the reference.
        """
        laid = self._lay(height_map)
        if self._lost(laid.alignment) or not self.aligned:
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
            return _restored(fitted.tensors, fitted.about)
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

    def _require_same_unit(self, height_map: HeightMap) -> None:
        if height_map.height_unit != self.normal.unit:
            raise ToolFailure(
                f"heights are in {height_map.height_unit}, those of the references in {self.normal.unit}; "
                "give the part in the same unit"
            )

    def _lost(self, alignment: Alignment) -> tuple[str, ...]:
        normal = self.normal
        agreement, overlap = (
            alignment.agreement / max(normal.agreement, 1e-6),
            alignment.overlap / max(normal.overlap, 1e-6),
        )
        if not self.aligned or (agreement >= _LOST and overlap >= _LOST):
            return ()
        return (
            f"the part could not be laid on the references: they share {alignment.overlap:.0%} of their area "
            f"(references {normal.overlap:.0%}) and {alignment.agreement:.0%} of its relief is theirs "
            f"({normal.agreement:.0%}); it is compared piece by piece instead",
        )

    def _unlike(self, height_map: HeightMap) -> Iterator[str]:
        normal, (height, width) = self.normal, height_map.heights.shape
        if (height, width) != normal.shape and max(
            abs(height / normal.shape[0] - 1), abs(width / normal.shape[1] - 1)
        ) > 0.1:
            yield f"the map has {width} x {height} pixels, the references {normal.shape[1]} x {normal.shape[0]}"
        if abs((height_map.pixel_size or 0.0) - normal.pixel_size) > 0.01 * max(normal.pixel_size, 1e-12):
            yield f"a pixel is {height_map.pixel_size or 'of unknown size'}, on the references {normal.pixel_size or 'unknown'}"
        found, (low, high) = height_range_of(shrink(height_map.heights, normal.factor)), normal.height_range
        if not low / _OTHER_HEIGHTS <= found <= high * _OTHER_HEIGHTS:
            yield (
                f"its heights range over {found:.3g} {normal.unit}, those of the references over "
                f"{low:.3g} to {high:.3g}: another unit or another product"
            )
        share = float(height_map.valid.mean())
        if share < _FEWER * normal.least_data:
            yield f"only {share:.1%} of its pixels have data, at least {normal.least_data:.1%} on the references"

    def _unusually_lying(self, alignment: Alignment) -> tuple[str, ...]:
        """A part may lie a little farther off than every reference, by as much as they lie apart."""
        if self.normal.parts < _ENOUGH_FOR_RANGE or not self.aligned:
            return ()
        lying, found = _lying(alignment, self.reference.common), []
        (low, high), (_, steepest) = self.normal.lying
        room = max(high - low, 1e-2 * self.normal.height_range[1])
        if not low - room <= lying.offset <= high + room:
            beside, word = (high, "higher") if lying.offset > high else (low, "lower")
            found.append(f"it lies {abs(lying.offset - beside):.3g} {self.normal.unit} {word} than any reference")
        if lying.tilt > 2 * steepest + 2e-2 * self.normal.height_range[1]:
            found.append(
                f"it is tilted by {lying.tilt:.3g} {self.normal.unit} over half its length, "
                f"no reference by more than {steepest:.3g}"
            )
        return tuple(found)


def fit_height_map(
    parts: Sequence[Callable[[], HeightMap]],
    held_out: Sequence[Callable[[], HeightMap]] = (),
    *,
    seed: int = 0,
    progress: Progress = lambda what, done, total: None,
) -> HeightLocalizer:
    """Learn from normal height maps, each read when it is asked for.

    With `held_out`, scores are calibrated on those; without, each part is compared with the others in turn, while it is
    left out of what they have on average and of how far they are from it.

    Raises:
        FittedPartError: without parts, or where their units or pixel sizes differ.
    """
    maps = [part() for part in parts]
    _require_alike(maps)
    factor = _factor_of(maps)
    small = [shrink(each.heights, factor) for each in maps]
    common, laid = lay_together(small, lambda done, total: progress("aligning references", done, total))
    fields = [fields_of(each.heights, common, each.alignment.pose) for each in laid]
    sums = Sums.none((common.heights.shape[0], common.heights.shape[1]))
    for each, of_part in zip(laid, fields, strict=True):
        sums = sums.plus(of_part.values, each.alignment.pose)
    expected = expected_variance(common, float(np.median([noise_of(each) for each in small])))
    progress("comparing references", 0, len(maps))
    deviations = list(_left_out(laid, fields, common, sums, expected)) if len(maps) > 1 else []
    weights = weights_of(np.array([each.max((1, 2)) for each in deviations]))
    reference = HeightReference.of(common, sums, expected, weights)
    patches = PatchMemory.fit(small, _relief(small), seed)
    progress("comparing references", len(maps), len(maps))
    normal = _normal(maps, small, laid, common, factor)
    localizer = HeightLocalizer(reference, patches, 1.0, normal, ConformalCalibration([], "cross"))
    scores = _scores_in_turn(localizer, deviations, small)
    localizer.calibration = ConformalCalibration(scores, "cross")
    if held_out:
        found = []
        for done, part in enumerate(held_out):
            progress("calibrating", done, len(held_out))
            found.append(localizer.localize(part()).score)
        localizer.calibration = ConformalCalibration(found, "split")
    return localizer


def _scores_in_turn(localizer: HeightLocalizer, deviations: Sequence[Floats], small: Sequence[Heights]) -> list[float]:
    """The score of each reference as if it were another part; sets how much pieces count for."""
    if not deviations:
        return []
    maps = [together(each, localizer.reference.weights) for each in deviations]
    pieces = [localizer.patches.values(heights, without=number) for number, heights in enumerate(small)]
    highest = float(np.median([each.max() for each in maps]))
    localizer.patch_weight = highest / max(float(np.median([each.max() for each in pieces])), 1e-6)
    if localizer.aligned:
        return [float(each.max()) for each in maps]
    return [float(max(a.max(), localizer.patch_weight * b.max())) for a, b in zip(maps, pieces, strict=True)]


def _left_out(
    laid: Sequence[Laid], fields: Sequence[Fields], common: Common, sums: Sums, expected: Floats
) -> Iterator[Floats]:
    """Deviations of each part from the others."""
    for each, of_part in zip(laid, fields, strict=True):
        pose = each.alignment.pose
        others = sums.plus(of_part.values, pose, -1.0)
        weights = np.ones(CHANNELS, np.float32)
        yield HeightReference.of(common, others, expected, weights).deviations(of_part, pose)


def noise_of(heights: Heights) -> float:
    """Of single pixels: robust deviation of second differences along rows, which of independent heights is sqrt(6) s."""
    second = heights[:, 2:] - 2 * heights[:, 1:-1] + heights[:, :-2]
    second = second[np.isfinite(second)]
    return max(1.4826 * float(np.median(np.abs(second))) / 6**0.5, 1e-9) if second.size else 1e-9


def height_range_of(heights: Heights) -> float:
    """Between the 2nd and the 98th percentile of heights over the part's plane."""
    over = heights - fit_plane(heights).over((heights.shape[0], heights.shape[1]))
    low, high = np.percentile(over[np.isfinite(over)], (2, 98))
    return max(float(high - low), 1e-12)


def _require_alike(maps: Sequence[HeightMap]) -> None:
    if not maps:
        raise FittedPartError("there are no normal parts to learn from; give at least one reference height map")
    for what, values in (
        ("units", {each.height_unit for each in maps}),
        ("pixel sizes", {each.pixel_size for each in maps}),
    ):
        if len(values) > 1:
            raise FittedPartError(
                f"the references have different {what} ({', '.join(sorted(map(str, values)))}); give them alike"
            )


def _factor_of(maps: Sequence[HeightMap]) -> int:
    pixels = max(each.heights.size for each in maps)
    return max(1, int(np.ceil((pixels / WORK_PIXELS) ** 0.5)))


def _relief(small: Sequence[Heights]) -> float:
    """Three times the noise, so that a difference counts as one when it is surely seen."""
    return max(3 * float(np.median([noise_of(each) for each in small])), 1e-6)


def _normal(
    maps: Sequence[HeightMap], small: Sequence[Heights], laid: Sequence[Laid], common: Common, factor: int
) -> Normal:
    ranges = [height_range_of(each) for each in small]
    lying = [_lying(each.alignment, common) for each in laid]
    heights, width = maps[0].heights.shape
    return Normal(
        unit=maps[0].height_unit,
        pixel_size=maps[0].pixel_size or 0.0,
        shape=(heights, width),
        factor=factor,
        height_range=(min(ranges), max(ranges)),
        least_data=min(float(each.valid.mean()) for each in maps),
        agreement=float(np.median([each.alignment.agreement for each in laid])),
        overlap=float(np.median([each.alignment.overlap for each in laid])),
        lying=(
            (min(each.offset for each in lying), max(each.offset for each in lying)),
            (0.0, max(each.tilt for each in lying)),
        ),
        parts=len(maps),
    )


def _lying(alignment: Alignment, common: Common) -> Lying:
    pose = alignment.pose
    reach = max(common.heights.shape) / 2
    return Lying(pose.offset, float(np.hypot(pose.slope_x, pose.slope_y)) * reach)


def _enlarged(small: Heights, factor: int, shape: tuple[int, ...]) -> Heights:
    """Each value for `factor` x `factor` pixels; what was cut off at the edges has the value beside it."""
    if factor == 1:
        return small
    rows = np.minimum(np.arange(shape[0]) // factor, small.shape[0] - 1)
    columns = np.minimum(np.arange(shape[1]) // factor, small.shape[1] - 1)
    return np.ascontiguousarray(small[rows[:, None], columns])


def _native(height_map: HeightMap, above: Heights, members: NDArray[np.int64]) -> dict[str, Any]:
    """A place in the map's own terms; the area in square pixels where their size is not known."""
    width = height_map.heights.shape[1]
    rows, columns = members // width, members % width
    side, length = _lateral(height_map)
    return {
        "pixels": len(members),
        "box": [int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1],
        "centroid": [float(columns.mean()) + 0.5, float(rows.mean()) + 0.5],
        "depth": _depth(above, members),
        "area": len(members) * side**2,
        "unit": height_map.height_unit,
        "area_unit": f"{length}2",
    }


def _lateral(height_map: HeightMap) -> tuple[float, str]:
    if height_map.pixel_size is None or height_map.pixel_unit is None:
        return 1.0, "px"
    return height_map.pixel_size, height_map.pixel_unit


def _depth(above: Heights, members: NDArray[np.int64]) -> float | None:
    """The deviation farthest from 0, of means over 3 x 3 pixels, since one pixel is noise; `None` without data."""
    found = above.ravel()[members]
    if not np.isfinite(found).any():
        return None
    inside = np.full(above.size, np.nan)
    inside[members] = found
    rows, columns = np.divmod(members, above.shape[1])
    y0, x0 = int(rows.min()), int(columns.min())
    box = inside.reshape(above.shape)[y0 : int(rows.max()) + 1, x0 : int(columns.max()) + 1]
    padded = np.pad(box, 1, constant_values=np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3))
    count = np.isfinite(windows).sum((2, 3))
    mean = np.nansum(windows, axis=(2, 3)) / np.maximum(count, 1)
    # of a scratch one pixel wide a window holds three
    enough = (count >= min(3, int(count.max()))) & np.isfinite(box)
    return float(mean[enough][np.abs(mean[enough]).argmax()]) if enough.any() else float(np.nanmedian(found))


def _measured(
    height_map: HeightMap, above: Heights, values: Values, members: NDArray[np.int64]
) -> tuple[Measurement, ...]:
    unit, (side, length_unit) = height_map.height_unit, _lateral(height_map)
    mask = np.zeros(values.shape, np.uint8)
    mask.ravel()[members] = 1
    region = measure.regionprops(mask)[0]
    long, short = max(float(region.axis_major_length), 1.0), max(float(region.axis_minor_length), 1.0)
    found = above.ravel()[members]
    known = found[np.isfinite(found)].astype(np.float64)
    missing = float(np.mean(~np.isfinite(height_map.heights.ravel()[members])))
    row, column = region.centroid
    measured = [("area", float(len(members)), "px"), ("length", long, "px"), ("width", short, "px")]
    if length_unit != "px":
        measured += [
            (f"area_{length_unit}2", len(members) * side**2, f"{length_unit}2"),
            (f"length_{length_unit}", long * side, length_unit),
            (f"width_{length_unit}", short * side, length_unit),
        ]
    depth = _depth(above, members)
    if depth is not None:
        one = unit == length_unit
        measured += [
            ("depth", depth, unit),
            ("mean_height", float(known.mean()), unit),
            ("volume", float(known.sum()) * side**2, f"{unit}3" if one else f"{unit} {length_unit}2"),
        ]
    measured += [
        ("elongation", long / short, "1"),
        ("missing_share", missing, "1"),
        ("centroid_x", (float(column) + 0.5) / values.shape[1], "1"),
        ("centroid_y", (float(row) + 0.5) / values.shape[0], "1"),
    ]
    return tuple(Measurement(name=name, value=value, unit=of) for name, value, of in measured)


def _restored(tensors: Mapping[str, NDArray[Any]], about: Mapping[str, Any]) -> HeightLocalizer:
    normal = _restored_normal(about["normal"])
    heights = _checked(tensors["heights"], 2, gaps=True)
    shape = heights.shape
    stacked = (CHANNELS, *shape)
    common = Common(heights, _checked(tensors["presence"], 2, shape, gaps=True))
    spread = _checked(tensors["spread"], 3, stacked)
    if not (spread > 0).all() or not np.isfinite(heights).any():
        raise ValueError("spreads that are not above 0, or no heights")
    weights = _checked(tensors["weights"], 1, (CHANNELS,))
    reference = HeightReference(common, _checked(tensors["mean"], 3, stacked), spread, weights)
    pieces = _checked(tensors["pieces"], 2)
    sources = np.asarray(tensors["pieces_sources"], np.int32)
    scale = _checked(tensors["pieces_scale"], 1, (FEATURES,))
    usual = _checked(tensors["pieces_usual"], 1, (len(pieces),))
    if pieces.shape[1] != FEATURES or not (usual > 0).all() or sources.shape != (len(pieces),) or not (scale > 0).all():
        raise ValueError("pieces without their sources or scale")
    median, deviation = _finite(about["pieces_median"]), _positive(about["pieces_deviation"])
    patches = PatchMemory(pieces, sources, scale, usual, _positive(about["relief"]), median, deviation)
    scheme: Scheme = "split" if about["scheme"] == "split" else "cross"
    scores = np.asarray(tensors["calibration"], np.float64)
    calibration = ConformalCalibration(scores.ravel().tolist(), scheme)
    return HeightLocalizer(reference, patches, _positive(about["patch_weight"]), normal, calibration)


def _restored_normal(found: Mapping[str, Any]) -> Normal:
    low, high = found["height_range"]
    offsets, tilts = found["lying"]
    return Normal(
        unit=str(found["unit"]),
        pixel_size=_finite(found["pixel_size"]),
        shape=(int(found["shape"][0]), int(found["shape"][1])),
        factor=max(1, int(found["factor"])),
        height_range=(_positive(low), _positive(high)),
        least_data=_finite(found["least_data"]),
        agreement=_finite(found["agreement"]),
        overlap=_finite(found["overlap"]),
        lying=((_finite(offsets[0]), _finite(offsets[1])), (_finite(tilts[0]), _finite(tilts[1]))),
        parts=int(found["parts"]),
    )


def _checked(
    array: NDArray[Any], dimensions: int, shape: tuple[int, ...] | None = None, *, gaps: bool = False
) -> NDArray[np.float32]:
    """float32 of the expected shape, without infinities, and without NaN unless there may be gaps."""
    if array.ndim != dimensions or (shape is not None and array.shape != shape) or not array.size:
        raise ValueError(f"an array of shape {array.shape}, expected {shape or f'{dimensions} dimensions'}")
    if array.dtype != np.float32 or np.isinf(array).any() or (not gaps and np.isnan(array).any()):
        raise ValueError("an array that is not of finite 32-bit numbers")
    return array


def _finite(value: Any) -> float:
    number = float(value)
    if not np.isfinite(number):
        raise ValueError(f"expected a finite number, got {number}")
    return number


def _positive(value: Any) -> float:
    number = _finite(value)
    if number <= 0:
        raise ValueError(f"expected a number above 0, got {number}")
    return number
