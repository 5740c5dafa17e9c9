"""Laying height maps on each other, against poses that are known."""

import math

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tools.geometry.height_alignment import Pose, align, shrink, smoothed, to_part, to_reference

SHAPE = (96, 112)


def surface(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """A plate with a boss and a pocket, no data around it; x and y from its middle."""
    heights = np.where(np.hypot(x + 14, y - 6) < 9, 6.0, 0.0) - np.where(
        (np.abs(x - 16) < 8) & (np.abs(y + 5) < 10), 4.0, 0.0
    )
    return np.where((np.abs(x) < 38) & (np.abs(y) < 27), heights, np.nan)


def part(pose: Pose, noise: float = 0.05, seed: int = 0, shape: tuple[int, int] = SHAPE) -> np.ndarray:
    """The plate as it lies by a pose, worked from the definition: where does each pixel come from?"""
    y, x = np.mgrid[: shape[0], : shape[1]].astype(float)
    x, y = x - (shape[1] - 1) / 2 - pose.shift_x, y - (shape[0] - 1) / 2 - pose.shift_y
    cosine, sine = math.cos(pose.angle), math.sin(pose.angle)
    px, py = cosine * x + sine * y, -sine * x + cosine * y
    heights = surface(px, py) + pose.offset + pose.slope_x * px + pose.slope_y * py
    return (heights + noise * np.random.default_rng(seed).normal(size=shape)).astype(np.float32)


def assert_near(found: Pose, expected: Pose, pixels: float = 0.15) -> None:
    assert abs(found.angle - expected.angle) * 40 < pixels
    assert found[1:3] == pytest.approx(expected[1:3], abs=pixels)
    assert found.offset == pytest.approx(expected.offset, abs=0.1)
    assert found[4:] == pytest.approx(expected[4:], abs=0.01)


def test_a_pixel_goes_where_the_pose_says() -> None:
    array = np.zeros((5, 5))
    array[2, 3] = 1.0
    # a quarter turn takes right of the middle to below it, since y points down
    turned = to_part(array, Pose(angle=math.pi / 2), (5, 5))
    assert np.argwhere(turned > 0.5).tolist() == [[3, 2]]
    shifted = to_part(array, Pose(shift_x=-1.0), (5, 5))
    assert np.argwhere(np.nan_to_num(shifted) > 0.5).tolist() == [[2, 2]]
    assert np.isnan(shifted[:, 4]).all()
    assert np.allclose(to_reference(turned, Pose(angle=math.pi / 2), (5, 5)), array, atol=1e-9)


def test_the_same_map_lies_as_it_is() -> None:
    found = align(part(Pose()), part(Pose()))
    assert_near(found.pose, Pose(), 1e-3)
    assert (found.overlap, found.agreement) == pytest.approx((1.0, 1.0))


@settings(max_examples=8, deadline=None, phases=[Phase.generate])
@given(
    st.floats(-14, 14),
    st.floats(-7, 7),
    st.floats(-7, 7),
    st.floats(-50, 50),
    st.floats(-0.1, 0.1),
    st.floats(-0.1, 0.1),
)
def test_known_poses_are_found(angle: float, x: float, y: float, offset: float, slope_x: float, slope_y: float) -> None:
    pose = Pose(math.radians(angle), x, y, offset, slope_x, slope_y)
    found = align(part(pose), part(Pose(), seed=1))
    # steps one pixel wide are not told apart more finely where both maps lie straight
    assert_near(found.pose, pose, 0.7)
    assert found.overlap > 0.9
    assert found.agreement > 0.9


def test_a_dent_does_not_pull() -> None:
    pose = Pose(0.05, 2.0, -1.0, 3.0)
    dented = part(pose)
    dented[50:62, 30:44] -= 3.0
    dented[40:46, 60:70] = np.nan
    assert_near(align(dented, part(Pose(), seed=1)).pose, pose, 0.3)


def test_maps_of_other_sizes() -> None:
    found = align(part(Pose(shift_x=3.0), shape=(100, 130)), part(Pose(), seed=1))
    assert_near(found.pose, Pose(shift_x=3.0))


def test_large_maps_are_aligned_scaled_down() -> None:
    pose = Pose(0.04, 2.0, 3.0, 1.0, 0.02, 0.0)
    small = [part(pose), part(Pose(), seed=1)]
    large = [np.kron(each, np.ones((6, 6), np.float32)) for each in small]
    found = align(*large).pose
    assert_near(found.scaled(1 / 6), pose, 0.3)


def test_what_does_not_fit_is_of_no_quality() -> None:
    other = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32) * 5
    assert align(other, part(Pose())).agreement < 0.5


def test_a_flat_map_finds_its_level() -> None:
    flat = [np.random.default_rng(seed).normal(size=(64, 64)).astype(np.float32) for seed in (0, 1)]
    flat[0] += 5.0
    pose = align(flat[0], flat[1], Pose()).pose
    assert pose.offset == pytest.approx(5.0, abs=0.2)


def test_means_leave_gaps_out() -> None:
    heights = np.array([[1.0, np.nan, 3.0, 5.0], [1.0, np.nan, np.nan, 5.0]], np.float32)
    assert shrink(heights, 2)[0].tolist() == pytest.approx([1.0, 13 / 3])
    assert np.isnan(shrink(np.full((4, 4), np.nan, np.float32), 2)).all()
    mean, weight = smoothed(np.full((9, 9), 7.0), np.eye(9), 1.0)
    assert mean[4, 4] == pytest.approx(7.0)
    assert 0 < weight[4, 4] < 1
