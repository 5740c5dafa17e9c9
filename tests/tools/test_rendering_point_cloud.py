import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from tools.geometry import PointCloud
from tools.rendering.point_cloud import SIZE, cameras, render_closer, render_point_cloud, splat

Points = NDArray[np.float64]


def cloud(points: Points, **more: NDArray[np.uint8]) -> PointCloud:
    return PointCloud(points, np.arange(len(points)), "mm", **more)  # type: ignore[arg-type]


def shell(count: int = 4000, seed: int = 0) -> Points:
    """An ellipsoid with a lump, so that no two of its axes or ends are alike."""
    points = np.random.default_rng(seed).normal(size=(count, 3))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    points *= [30, 18, 9]
    points[points[:, 0] > 20, 1] += 4
    return points


def test_the_nearer_of_two_points_is_shown() -> None:
    index, depth = splat(np.array([[10.5, 20.5, 5], [10.5, 20.5, 3], [13.5, 20.5, 4]], np.float32), 1)
    assert (index[19:22, 9:12] == 1).all()
    assert (depth[19:22, 9:12] == 3).all()
    assert (index[19:22, 12:15] == 2).all()
    assert (index >= 0).sum() == 18
    assert np.isinf(depth[0, 0])


def test_views_of_a_part() -> None:
    views = render_point_cloud(cloud(shell()))
    assert [view.kind for view in views] == ["shaded"] * 9 + ["curvature", "height"]
    assert all(view.pixels.shape == (SIZE, SIZE, 3) and view.index.shape == (SIZE, SIZE) for view in views)
    assert all((view.index >= 0).mean() > 0.1 for view in views)
    assert len({view.title for view in views}) == len(views)
    shown = np.unique(np.concatenate([view.index.ravel() for view in views]))
    assert len(shown) > 0.9 * 4000


@settings(max_examples=5, deadline=None)
@given(st.integers(30, 3000), st.integers(0, 99))
def test_every_pixel_leads_back_to_a_point_that_lies_there(count: int, seed: int) -> None:
    part = cloud(shell(count, seed))
    for camera, view in zip(cameras(part), render_point_cloud(part), strict=False):
        row, column = np.nonzero(view.index >= 0)
        at = camera.project(part.points[view.index[row, column]])
        assert np.abs(at[:, 0] - column - 0.5).max() <= camera.dot + 0.5
        assert np.abs(at[:, 1] - row - 0.5).max() <= camera.dot + 0.5


def test_views_do_not_hang_on_how_the_part_lay() -> None:
    points = shell()
    turned = points @ Rotation.from_rotvec([1.0, -2.0, 0.5]).as_matrix().T * 1.0 + [500, 0, -90]
    for one, other in zip(render_point_cloud(cloud(points)), render_point_cloud(cloud(turned)), strict=True):
        assert (one.index == other.index).mean() > 0.97


def test_own_colours_are_shown_where_there_are_some() -> None:
    red = np.tile(np.array([200, 10, 10], np.uint8), (4000, 1))
    view = render_point_cloud(cloud(shell(), colours=red))[-1]
    assert view.kind == "colours"
    assert (view.pixels[view.index >= 0] == [200, 10, 10]).all()


def test_closer_looks_at_a_place() -> None:
    part = cloud(shell(8000))
    members = np.flatnonzero(np.linalg.norm(part.points - part.points[17], axis=1) < 2)
    values = np.zeros(len(part.points), np.float32)
    enlarged, reference, section = render_closer(part, values, members, cloud(shell(8000, 1)))
    assert [view.kind for view in (enlarged, reference, section)] == ["enlarged", "reference", "section"]
    seen = np.isin(enlarged.index, members)
    rows, columns = np.nonzero(seen)
    assert np.isin(members, enlarged.index).mean() > 0.5
    assert abs(rows.mean() - SIZE / 2) < 40
    assert abs(columns.mean() - SIZE / 2) < 40
    assert (reference.index == -1).all()
    assert np.isin(members, section.index).any()
    assert [view.kind for view in render_closer(part, values, members[:1])] == ["enlarged", "section"]


def test_a_flat_part_and_a_part_of_few_points() -> None:
    flat = np.random.default_rng(0).uniform(size=(12, 3)) * [3, 2, 0]
    views = render_point_cloud(cloud(flat))
    assert (views[0].index >= 0).any()
    assert render_closer(cloud(flat), np.zeros(12, np.float32), np.array([3]))


@pytest.mark.bench
def test_speed_of_views() -> None:
    import time

    part = cloud(shell(200_000))
    begun = time.perf_counter()
    render_point_cloud(part)
    assert time.perf_counter() - begun < 10
