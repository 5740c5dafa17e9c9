"""A simulated plate with a block on it, in any pose: defects are found, placed and measured."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from knowledge import FittedPartError, ToolFailure
from tools.fitted import Fitted, load_fitted, save_fitted
from tools.geometry import PointCloud, PointCloudLocalizer, fit_point_clouds

Points = NDArray[np.float64]
NOISE = 0.03


def plate(seed: int, count: int = 2500) -> Points:
    rng = np.random.default_rng(seed)
    flat = rng.uniform([0, 0], [40, 20], (count, 2))
    high = np.where((flat[:, 0] < 10) & (flat[:, 1] < 8), 6.0, 0.0)
    points = np.column_stack([flat, high])
    wall = rng.uniform(size=(count // 12, 2)) * [10, 6]
    walls = [np.column_stack([wall[:, 0], np.full(len(wall), 8.0), wall[:, 1]])]
    wall = rng.uniform(size=(count // 14, 2)) * [8, 6]
    walls.append(np.column_stack([np.full(len(wall), 10.0), wall]))
    points = np.concatenate([points, *walls])
    return points + rng.normal(scale=NOISE, size=points.shape)


def cloud(points: Points, unit: str | None = "mm") -> PointCloud:
    return PointCloud(points, np.arange(len(points)), unit, in_file=len(points))


def lain(points: Points, seed: int) -> Points:
    rng = np.random.default_rng(seed)
    turn: Points = Rotation.from_rotvec(rng.normal(scale=0.1, size=3)).as_matrix()
    return np.asarray(points @ turn.T + rng.uniform(-3, 3, 3))


def part(seed: int) -> Callable[[], PointCloud]:
    return lambda: cloud(lain(plate(seed), seed))


@pytest.fixture(scope="module")
def localizer() -> PointCloudLocalizer:
    return fit_point_clouds([part(seed) for seed in range(5)])


def bumped(height: float, seed: int = 50) -> tuple[Points, Points]:
    """With a bump or dent at (28, 12), and its middle."""
    points = plate(seed)
    away = np.linalg.norm(points[:, :2] - [28, 12], axis=1)
    points[:, 2] += np.where(points[:, 2] < 1, height * np.exp(-((away / 1.5) ** 2)), 0)
    return points, np.array([28, 12, height / 2])


@pytest.mark.parametrize("height", [1.2, -1.2])
def test_bumps_and_dents_are_found_placed_and_measured(localizer: PointCloudLocalizer, height: float) -> None:
    points, middle = bumped(height)
    native = cloud(points)
    found = localizer.localize(native)
    assert found.values.shape == (len(points),)
    assert found.values.dtype == np.float32
    assert found.score == found.values.max() > 2 * max(localizer.calibration.scores)
    assert found.unlike == ()
    place = localizer.places(native, found.values, max(localizer.calibration.scores))[0]
    assert np.linalg.norm(np.array(place.native["centroid"]) - middle) < 1
    assert place.native["unit"] == "mm"
    assert place.native["points"] == len(place.members)
    numbers = {each.name: each for each in localizer.measure(native, found.values, place.members)}
    assert numbers["depth"].value == pytest.approx(height, abs=0.25)
    assert numbers["volume"].value == pytest.approx(np.pi * 1.5**2 * height, rel=0.45)
    assert numbers["depth"].unit == "mm"
    assert numbers["volume"].unit == "mm3"


def test_a_hole_is_one_place_around_it(localizer: PointCloudLocalizer) -> None:
    points = plate(51)
    native = cloud(points[np.linalg.norm(points[:, :2] - [25, 10], axis=1) > 3])
    found = localizer.localize(native)
    place = localizer.places(native, found.values, max(localizer.calibration.scores))[0]
    assert np.linalg.norm(np.array(place.native["centroid"][:2]) - [25, 10]) < 1.5
    numbers = {each.name: each.value for each in localizer.measure(native, found.values, place.members)}
    assert numbers["missing_area"] == pytest.approx(np.pi * 9, rel=0.5)


def test_findings_are_in_the_frame_of_the_file_whatever_the_pose(localizer: PointCloudLocalizer) -> None:
    points, middle = bumped(1.2)
    turn = Rotation.from_rotvec([2.0, 1.0, -1.0]).as_matrix()
    native = cloud(points @ turn.T + [100, -50, 20])
    found = localizer.localize(native)
    place = localizer.places(native, found.values, max(localizer.calibration.scores))[0]
    assert np.linalg.norm(np.array(place.native["centroid"]) - (turn @ middle + [100, -50, 20])) < 1
    another = part(60)()
    reference = localizer.beside(native, another)
    assert len(reference.points) == len(another.points), "it is the reference that was named, and no other"
    assert np.linalg.norm(reference.points.mean(0) - native.points.mean(0)) < 1.5


def test_a_normal_part_scores_like_normal_parts(localizer: PointCloudLocalizer) -> None:
    assert localizer.localize(part(60)()).score < 1.6 * max(localizer.calibration.scores)
    assert localizer.calibration.scheme == "cross"
    assert localizer.calibration.count == 5


def test_the_same_part_gives_the_same_values(localizer: PointCloudLocalizer) -> None:
    first, again = (localizer.localize(part(61)()).values for _ in range(2))
    np.testing.assert_array_equal(first, again)


def test_more_and_fewer_points_than_the_references(localizer: PointCloudLocalizer) -> None:
    dense = cloud(plate(62, 20_000))
    found = localizer.localize(dense)
    assert found.values.shape == (len(dense.points),)
    assert found.unlike == ()
    assert found.score < 2 * max(localizer.calibration.scores)
    (reason,) = localizer.localize(cloud(plate(63, 700))).unlike
    assert "as far apart" in reason


def test_parts_unlike_the_references_are_said_or_refused(localizer: PointCloudLocalizer) -> None:
    with pytest.raises(ToolFailure, match=r"times as large.*in millimetres where the references are in metres"):
        localizer.localize(cloud(plate(64) * 1000))
    with pytest.raises(ToolFailure, match=r"times smaller.*in metres where the references are in millimetres"):
        localizer.localize(cloud(plate(64) / 1000))
    ball = np.random.default_rng(0).normal(size=(2500, 3))
    ball *= 20 / np.linalg.norm(ball, axis=1, keepdims=True)
    assert any("could not be brought" in reason for reason in localizer.localize(cloud(ball)).unlike)
    assert any("in inch" in reason for reason in localizer.localize(cloud(plate(64), "inch")).unlike)
    assert any("times as large as the normal" in reason for reason in localizer.localize(cloud(plate(64) * 1.2)).unlike)


def test_what_was_learned_is_saved_and_read(localizer: PointCloudLocalizer, tmp_path: Path) -> None:
    save_fitted(tmp_path, "point_cloud", 1, localizer.tensors(), localizer.about())
    again = PointCloudLocalizer.of_fitted(load_fitted(tmp_path, "point_cloud", 1))
    before, after = localizer.localize(part(65)()), again.localize(part(65)())
    np.testing.assert_allclose(before.values, after.values, atol=0.05)
    assert list(again.calibration.scores) == list(localizer.calibration.scores)


@pytest.mark.parametrize(
    "damage",
    [
        {"points": np.zeros((3, 2), np.float32)},
        {"levels": np.full(5, np.nan)},
        {"known": np.zeros((5, 5), np.float32)},
        {"part": np.zeros(3, np.int64)},
        {"usual": None},
    ],
)
def test_damaged_tensors_are_refused(
    localizer: PointCloudLocalizer, damage: dict[str, NDArray[np.float32] | None]
) -> None:
    tensors = {name: array for name, array in {**localizer.tensors(), **damage}.items() if array is not None}
    with pytest.raises(FittedPartError, match="enroll the product again"):
        PointCloudLocalizer.of_fitted(Fitted(tensors, localizer.about(), ""))


def test_a_lone_part_and_held_out_parts() -> None:
    alone = fit_point_clouds([part(0)])
    assert alone.calibration.count == 0
    points, middle = bumped(1.5)
    native = cloud(points)
    values = alone.localize(native).values
    assert np.linalg.norm(native.points[values.argmax()] - middle) < 2.5
    split = fit_point_clouds([part(0), part(1)], [part(2), part(3)])
    assert split.calibration.scheme == "split"
    assert split.calibration.count == 2


def test_parts_that_do_not_fit_together_are_refused() -> None:
    with pytest.raises(FittedPartError, match="at least one"):
        fit_point_clouds([])
    with pytest.raises(FittedPartError, match=r"normal part 3 is 99. times as large"):
        fit_point_clouds([part(0), part(1), lambda: cloud(plate(2) * 1000)])
    with pytest.raises(FittedPartError, match="one unit"):
        fit_point_clouds([part(0), lambda: cloud(plate(2), "inch")])
