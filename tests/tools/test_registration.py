import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from tools.geometry.registration import inverse, main_axes, moved, register, standing, target_of
from tools.geometry.surface import depart, normals_of, outward

Points = NDArray[np.float64]


def plate(seed: int, count: int = 3000) -> Points:
    """A plate of 40 x 20 with a block of 10 x 8 x 6 on one corner, seen from above: no symmetry."""
    rng = np.random.default_rng(seed)
    flat = rng.uniform([0, 0], [40, 20], (count, 2))
    on_block = (flat[:, 0] < 10) & (flat[:, 1] < 8)
    points = np.column_stack([flat, np.where(on_block, 6.0, 0.0)])
    wall = rng.uniform(size=(count // 8, 2)) * [18, 6]
    side = np.where(
        wall[:, :1] < 10,
        np.column_stack([wall[:, 0], np.full(len(wall), 8.0)]),
        np.column_stack([np.full(len(wall), 10.0), wall[:, 0] - 10]),
    )
    points = np.concatenate([points, np.column_stack([side, wall[:, 1]])])
    return points + rng.normal(scale=0.03, size=points.shape)


def target() -> "object":
    points = plate(0)
    return target_of(points, normals_of(points, cKDTree(points), 16))


def test_main_axes_put_the_longest_side_along_x() -> None:
    there = moved(plate(1), main_axes(plate(1)))
    sides = np.ptp(there, axis=0)
    assert sides[0] > sides[1] > sides[2]
    np.testing.assert_allclose((there.min(0) + there.max(0)) / 2, 0, atol=1)
    assert np.quantile(np.linalg.norm(moved(plate(1), standing(plate(1))), axis=1), 0.995) == pytest.approx(1)


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 1000))
def test_any_pose_is_found_again(seed: int) -> None:
    rng = np.random.default_rng(seed)
    turn = Rotation.random(rng=rng).as_matrix()
    part = plate(2)
    found = register(part @ turn.T + rng.uniform(-90, 90, 3), target(), enough=0.7)  # type: ignore[arg-type]
    back = (part @ turn.T) @ found.pose[:3, :3].T
    wanted = part - part.mean(0)
    assert np.abs(back - back.mean(0) - wanted).max() < 0.3
    assert found.fitness > 0.95
    np.testing.assert_allclose(inverse(found.pose) @ found.pose, np.eye(4), atol=1e-6)


def test_global_start_finds_what_axes_do_not_tell() -> None:
    """Half a plate has other main axes than the whole."""
    part = plate(3)
    half = part[part[:, 0] < 24] @ Rotation.from_rotvec([0.3, 0.9, 2.0]).as_matrix().T
    first, again = (register(half, target(), enough=0.2) for _ in range(2))  # type: ignore[arg-type]
    there = moved(half, first.pose)
    assert np.median(np.abs(there - part[part[:, 0] < 24])) < 0.3
    np.testing.assert_array_equal(first.pose, again.pose)


def test_normals_of_a_ball_point_outward() -> None:
    ball = np.random.default_rng(0).normal(size=(4000, 3))
    ball /= np.linalg.norm(ball, axis=1, keepdims=True)
    normals = outward(ball, normals_of(ball, cKDTree(ball), 16), 0.06)
    assert (np.einsum("nd,nd->n", normals, ball) > 0.9).mean() > 0.99


def test_a_departure_by_hand() -> None:
    flat = np.stack(np.meshgrid(np.arange(30.0), np.arange(30.0), [0.0]), axis=-1).reshape(-1, 3)
    surface = target_of(flat, np.tile([0.0, 0, 1], (900, 1)), 1.0)
    part = flat[np.linalg.norm(flat - [20, 20, 0], axis=1) > 4].copy()
    raised = int(np.flatnonzero((part == [5, 5, 0]).all(1))[0])
    part[raised, 2] = 0.4
    found = depart(part, surface)
    assert found.offsets[raised] == pytest.approx(0.4)
    assert np.abs(np.delete(found.offsets, raised)).max() < 1e-9
    middle = int(np.flatnonzero((flat == [20, 20, 0]).all(1))[0])
    assert found.gaps[middle] == pytest.approx(np.sqrt(17))
    assert np.linalg.norm(part[found.rims[middle]] - [20, 20, 0]) == pytest.approx(np.sqrt(17))
    assert found.turns.max() < 0.5
