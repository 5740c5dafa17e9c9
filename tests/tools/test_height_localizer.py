"""The localiser of height maps on plates made here: what is normal passes, what is not is found, sized and saved."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from knowledge import FittedPartError, ToolFailure
from tools.fitted import Fitted
from tools.geometry.height_fitting import fit_height_map
from tools.geometry.height_localizer import HeightLocalizer
from tools.geometry.height_map import HeightMap
from tools.measuring import as_values

SIDE = 64


def plate(seed: int, deform: Callable[[np.ndarray], None] = lambda heights: None) -> HeightMap:
    """A plate with a step, shifted, tilted and noisy by the seed; deformed before it is moved by whole pixels."""
    generator = np.random.default_rng(seed)
    heights = np.zeros((SIDE, SIDE))
    heights[20:44, 24:50] = 4.0
    deform(heights)
    heights[:8], heights[-8:], heights[:, :6], heights[:, -6:] = (np.nan,) * 4
    heights = np.roll(heights, generator.integers(-2, 3, 2), (0, 1))
    heights += generator.normal(0, 0.05, heights.shape) + generator.normal() + 0.01 * np.arange(SIDE)
    return HeightMap(heights.astype(np.float32), "mm", 0.5, "mm")


def dent(heights: np.ndarray) -> None:
    heights[30:36, 10:16] -= 1.0


def scratch(heights: np.ndarray) -> None:
    heights[14, 20:45] -= 0.6


def hole(heights: np.ndarray) -> None:
    heights[48:53, 30:36] = np.nan


@functools.cache
def learned() -> HeightLocalizer:
    return fit_height_map([functools.partial(plate, seed) for seed in range(6)])


def test_defects_stand_out_where_they_are() -> None:
    localizer, highest = learned(), learned().calibration.scores.max()
    assert localizer.aligned
    assert localizer.calibration.scheme == "cross"
    normal = [localizer.localize(plate(seed)) for seed in range(100, 104)]
    assert all(not each.unlike and each.score == each.values.max() for each in normal)
    assert max(each.score for each in normal) < 2 * highest
    for deform, middle in ((dent, (12.5, 32.5)), (scratch, (32, 14)), (hole, (32.5, 50))):
        part = plate(0, deform)
        found = localizer.localize(part)
        assert found.values.shape == part.heights.shape
        assert found.score > 2 * highest
        top = localizer.places(part, found.values, float(highest))[0]
        assert top.peak == found.score
        assert np.hypot(*(np.array(top.native["centroid"]) - middle)) < 5


def test_what_is_common_is_a_map_of_its_own() -> None:
    common = learned().reference_map
    assert (common.heights.shape, common.height_unit) == ((SIDE, SIDE), "mm")
    steps = np.nanpercentile(common.heights, (10, 90))
    assert steps[1] - steps[0] == pytest.approx(4.0, abs=0.3)


def test_a_dent_in_numbers() -> None:
    part = plate(0, dent)
    found = learned().localize(part)
    place = learned().places(part, found.values, found.score / 3)[0]
    numbers = as_values(learned().measure(part, found.values, place.members))
    assert numbers["depth"] == pytest.approx(-1.0, abs=0.15)
    assert numbers["area_mm2"] == pytest.approx(len(place.members) / 4)
    assert numbers["volume"] == pytest.approx(-9.0, rel=0.4)
    assert numbers["missing_share"] == 0
    assert place.native["unit"] == "mm"
    assert place.native["depth"] == numbers["depth"]


def test_a_hole_is_missing_data() -> None:
    part = plate(0, hole)
    found = learned().localize(part)
    place = learned().places(part, found.values, found.score / 3)[0]
    assert as_values(learned().measure(part, found.values, place.members))["missing_share"] > 0.6
    with pytest.raises(ToolFailure, match="empty"):
        learned().measure(part, found.values, np.zeros(0, np.int64))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda part: part._replace(heights=part.heights * 1000), "another unit"),
        (lambda part: part._replace(pixel_size=1.0), "a pixel is"),
        (lambda part: part._replace(heights=np.kron(part.heights, np.ones((2, 2), np.float32))), "128 x 128 pixels"),
        (lambda part: part._replace(heights=part.heights + 100), "higher than any"),
        (lambda part: part._replace(heights=np.where(np.indices((SIDE, SIDE))[0] < 20, part.heights, np.nan)), "only"),
        (
            lambda part: part._replace(heights=np.random.default_rng(0).normal(0, 2, (SIDE, SIDE)).astype(np.float32)),
            "laid",
        ),
    ],
)
def test_parts_unlike_the_references_are_said(change: Callable[[HeightMap], HeightMap], words: str) -> None:
    found = learned().localize(change(plate(100)))
    assert any(words in sentence for sentence in found.unlike)
    assert np.isfinite(found.values).all()


def test_another_unit_is_a_failure() -> None:
    with pytest.raises(ToolFailure, match="in counts, those of the references in mm"):
        learned().localize(plate(0)._replace(unit=None))


def test_what_is_saved_judges_alike() -> None:
    localizer = learned()
    again = HeightLocalizer.of_fitted(Fitted(localizer.tensors(), localizer.about(), ""))
    part = plate(7, dent)
    assert np.array_equal(again.localize(part).values, localizer.localize(part).values)
    assert np.array_equal(again.calibration.scores, localizer.calibration.scores)


@pytest.mark.parametrize(
    "damage",
    [
        {"heights": np.zeros((3,), np.float32)},
        {"spread": np.zeros((7, SIDE, SIDE), np.float32)},
        {"weights": np.array([np.nan] * 7, np.float32)},
        {"pieces": np.zeros((0, 12), np.float32)},
        {"calibration": np.array([np.inf])},
    ],
)
def test_damaged_parts_are_refused(damage: dict[str, Any]) -> None:
    with pytest.raises(FittedPartError, match="enroll the product again"):
        HeightLocalizer.of_fitted(Fitted({**learned().tensors(), **damage}, learned().about(), ""))


def test_damaged_words_are_refused() -> None:
    for key in learned().about().keys() - {"aligned"}:
        about = {name: value for name, value in learned().about().items() if name != key}
        with pytest.raises(FittedPartError):
            HeightLocalizer.of_fitted(Fitted(learned().tensors(), about, ""))


def test_held_out_parts_calibrate() -> None:
    parts = [functools.partial(plate, seed) for seed in range(5)]
    localizer = fit_height_map(parts[:3], parts[3:])
    assert (localizer.calibration.scheme, localizer.calibration.count) == ("split", 2)
    again = fit_height_map(parts[:3], parts[3:])
    assert np.array_equal(localizer.calibration.scores, again.calibration.scores)


def test_one_reference_promises_nothing_but_finds_a_dent() -> None:
    localizer = fit_height_map([functools.partial(plate, 0)])
    assert localizer.calibration.count == 0, "nothing was held out, so there is no score to calibrate on"
    assert not localizer.calibration.promise(0.5).kept
    again = HeightLocalizer.of_fitted(Fitted(localizer.tensors(), localizer.about(), ""))
    assert again.calibration.count == 0
    assert localizer.localize(plate(1, dent)).score > 2 * localizer.localize(plate(2)).score


def test_references_must_be_alike() -> None:
    with pytest.raises(FittedPartError, match="at least one"):
        fit_height_map([])
    with pytest.raises(FittedPartError, match="different units"):
        fit_height_map([lambda: plate(0), lambda: plate(1)._replace(unit=None)])
    with pytest.raises(FittedPartError, match="different pixel sizes"):
        fit_height_map([lambda: plate(0), lambda: plate(1)._replace(pixel_size=1.0)])


def test_rough_ground_without_form_is_compared_piece_by_piece() -> None:
    def rough(seed: int) -> HeightMap:
        return HeightMap(np.random.default_rng(seed).normal(0, 1, (SIDE, SIDE)).astype(np.float32))

    localizer = fit_height_map([functools.partial(rough, seed) for seed in range(3)])
    assert not localizer.aligned
    pitted = rough(9)
    pitted.heights[20:30, 20:30] -= 8
    assert localizer.localize(pitted).score > 1.5 * localizer.localize(rough(10)).score
