"""Learning from normal height maps: what they have in common, and how far each is from the others."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from knowledge import FittedPartError
from tools.geometry.height_alignment import Floats, shrink
from tools.geometry.height_localizer import HeightLocalizer
from tools.geometry.height_map import HeightMap, Heights
from tools.geometry.height_normal import Normal, height_range_of, lying_of
from tools.geometry.height_patches import PatchMemory
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
    together,
    weights_of,
)
from tools.localization.calibration import ConformalCalibration

WORK_PIXELS = 600_000
"""Maps with more pixels are compared scaled down; what is narrower than a pixel then may be missed."""

Progress = Callable[[str, int, int], None]


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
    localizer.calibration = ConformalCalibration(_scores_in_turn(localizer, deviations, small), "cross")
    if held_out:
        localizer.calibration = ConformalCalibration(list(_scores_of(localizer, held_out, progress)), "split")
    return localizer


def _scores_of(
    localizer: HeightLocalizer, held_out: Sequence[Callable[[], HeightMap]], progress: Progress
) -> Iterator[float]:
    for done, part in enumerate(held_out):
        progress("calibrating", done, len(held_out))
        yield localizer.localize(part()).score


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
    lying = [lying_of(each.alignment, common) for each in laid]
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
