"""Bringing a part to where the product's reference lies.

Several starts, each improved by point-to-plane ICP (Chen & Medioni 1991) with Tukey's weights, so that a defect does
not pull the part; the start that ends nearest wins. Where none ends near enough, matches of FPFH features
(Rusu et al. 2009) give another.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from tools.geometry.point_cloud import Points, spacing

Pose = NDArray[np.float64]
"""(4, 4) homogeneous: `moved(points, pose)` are the points in the other frame."""

_COARSE = 1_200
_FINE = 6_000
_GLOBAL = 4_000
_CLOSE = 3.0
"""Distances count up to so many spacings: what is farther off is not where it belongs, however far."""

_TRIPLETS = 20_000
_BEST_TRIPLETS = 12


class Target(NamedTuple):
    """A surface that parts are brought to."""

    points: Points
    """(M, 3)"""
    normals: Points
    """(M, 3) of unit length"""
    tree: cKDTree
    spacing: float
    """Of the points of a part, which are fewer than those of several parts together."""


class Registration(NamedTuple):
    pose: Pose
    """From the part's frame to the target's; rigid."""
    distance: float
    """Mean distance from each to the other, in spacings; each point counts at most three."""
    fitness: float
    """Share of the part's and of the target's points that have one of the other within 1.5 spacings."""


def moved(points: Points, pose: Pose) -> Points:
    """(N, 3) points in the other frame."""
    found: Points = points @ pose[:3, :3].T + pose[:3, 3]
    return found


def inverse(pose: Pose) -> Pose:
    return np.asarray(np.linalg.inv(pose))


def main_axes(points: Points) -> Pose:
    """Rigid pose in which (N, 3) points have their middle at the origin and their longest axis along x, the next along y.

    The middle is that of the box along those axes. An axis points to where the points reach farther from their mean,
    by their third moments, so that most shapes stand the same way however they lay.
    """
    mean = points.mean(0)
    _, axes = np.linalg.eigh(np.cov((points - mean).T))
    axes = axes[:, ::-1]
    skew = (((points - mean) @ axes) ** 3).mean(0)
    axes = axes * np.where(skew < 0, -1.0, 1.0)
    if np.linalg.det(axes) < 0:
        axes[:, int(np.abs(skew).argmin())] *= -1
    along = points @ axes
    middle = (np.quantile(along, 0.002, axis=0) + np.quantile(along, 0.998, axis=0)) / 2
    return _pose(axes.T, -middle)


def standing(points: Points) -> Pose:
    """Similarity that takes a part lying along its main axes to a unit ball, 99.5 % of its points inside."""
    pose = main_axes(points)
    radius = float(np.quantile(np.linalg.norm(moved(points, pose), axis=1), 0.995))
    scaled = np.diag([1, 1, 1, 1.0])
    scaled[:3, :3] /= max(radius, 1e-12)
    return np.asarray(scaled @ pose)


def register(points: Points, target: Target, *, enough: float | None = None, seed: int = 0) -> Registration:
    """Bring (N, 3) points to the target.

    Args:
        points: in their own frame.
        target: where they belong.
        enough: a mean distance, in spacings, at which the search ends before the costly start; the best of all starts
            is looked for without.
        seed: of what is chosen by chance.
    """
    rng = np.random.default_rng(seed)
    tree = cKDTree(points, balanced_tree=False, compact_nodes=False)
    ranked = sorted(
        (
            _improved(_some(points, _COARSE, rng), target, start, (12.0, 6.0, 3.0), 1e-3)
            for start in _starts(points, target)
        ),
        key=lambda pose: _distance(points, target, pose, tree).distance,
    )
    best = _finished(points, target, ranked[0], rng, tree)
    if enough is not None and best.distance <= enough:
        return best
    found = [best]
    for start in _global_starts(points, target, rng):
        coarse = _improved(_some(points, _COARSE, rng), target, start, (6.0, 3.0), 1e-3)
        found.append(_distance(points, target, coarse, tree))
    last = min(found[1:], key=lambda each: each.distance, default=best)
    return min(best, _finished(points, target, last.pose, rng, tree), key=lambda each: each.distance)


def refine(points: Points, target: Target, pose: Pose, seed: int = 0) -> Registration:
    """Improve a pose that is nearly right already."""
    return _finished(points, target, pose, np.random.default_rng(seed), cKDTree(points))


def _finished(points: Points, target: Target, pose: Pose, rng: np.random.Generator, tree: cKDTree) -> Registration:
    pose = _improved(_some(points, _FINE, rng), target, pose, (3.0, 2.0, 2.0))
    return _distance(points, target, pose, tree)


def _some(points: Points, count: int, rng: np.random.Generator) -> Points:
    return points if len(points) <= count else points[rng.permutation(len(points))[:count]]


def _starts(points: Points, target: Target) -> Iterator[Pose]:
    """As it lies, moved to the target's middle, and along the target's main axes in each of the four ways."""
    yield np.eye(4)
    yield _pose(np.eye(3), target.points.mean(0) - points.mean(0))
    of_part, of_target = main_axes(points), main_axes(target.points)
    for flip in ((1, 1, 1), (1, -1, -1), (-1, 1, -1), (-1, -1, 1)):
        yield inverse(of_target) @ _pose(np.diag(np.array(flip, float)), np.zeros(3)) @ of_part


def _improved(points: Points, target: Target, pose: Pose, gates: tuple[float, ...], still: float = 1e-5) -> Pose:
    """Point-to-plane ICP until nothing moves by more than `still` spacings; gates are in spacings, one after the other."""
    for gate in gates:
        for _ in range(12):
            before = moved(points, pose)
            pose = _step(before, target, gate * target.spacing) @ pose
            if np.abs(moved(points, pose) - before).max() < still * target.spacing:
                break
    return pose


def _step(points: Points, target: Target, gate: float) -> Pose:
    distances, nearest = target.tree.query(points, distance_upper_bound=gate)
    near = np.flatnonzero(np.isfinite(distances))
    if len(near) < 12:
        return np.eye(4)
    at, normals = points[near], target.normals[nearest[near]]
    off = np.einsum("nd,nd->n", at - target.points[nearest[near]], normals)
    width = max(4.685 * 1.4826 * float(np.median(np.abs(off))), 0.05 * target.spacing)
    weights = np.square(np.clip(1 - (off / width) ** 2, 0, None))
    middle = at.mean(0)
    size = max(float(np.abs(at - middle).max()), 1e-12)
    system = np.concatenate([np.cross((at - middle) / size, normals), normals], axis=1)
    weighted = system * weights[:, None]
    # what the shape does not hold, such as the turn of a disc, stays as it is
    damped = weighted.T @ system + 1e-4 * max(float(weights.sum()), 1e-12) * np.eye(6)
    turn = np.linalg.solve(damped, -weighted.T @ off)
    rotation = Rotation.from_rotvec(turn[:3] / size).as_matrix()
    return _pose(rotation, middle + turn[3:] - rotation @ middle)


def _distance(points: Points, target: Target, pose: Pose, tree: cKDTree) -> Registration:
    """`tree` is of the points in their own frame: a rigid pose changes no distance, so the target is brought there."""
    some, of_target = (array[:: max(1, len(array) // 4000)] for array in (points, target.points))
    close, fit = _CLOSE * target.spacing, 1.5 * target.spacing
    both = [target.tree.query(moved(some, pose))[0], tree.query(moved(of_target, inverse(pose)))[0]]
    distance = float(np.mean([np.minimum(each, close).mean() for each in both])) / target.spacing
    return Registration(pose, distance, float(min((each < fit).mean() for each in both)))


def _global_starts(points: Points, target: Target, rng: np.random.Generator) -> list[Pose]:
    """Poses by which many features agree: RANSAC over triplets of matches, all triplets at once."""
    voxel = max(target.spacing * 1.5, float(np.ptp(target.points, axis=0).max()) / 60)
    at, features = _features(points, voxel)
    of_target, target_features = _features(target.points, voxel)
    matches = cKDTree(target_features).query(features)[1]
    chosen = rng.integers(len(at), size=(_TRIPLETS, 3))
    here, there = at[chosen], of_target[matches[chosen]]
    sides, other = (np.linalg.norm(each - np.roll(each, 1, axis=1), axis=2) for each in (here, there))
    alike = (np.minimum(sides, other) > 0.9 * np.maximum(sides, other)).all(1) & (sides.min(1) > 4 * voxel)
    poses = [_rigid(*pair) for pair in zip(here[alike][:2000], there[alike][:2000], strict=True)]
    tree = cKDTree(of_target)
    some = at[:: max(1, len(at) // 300)]
    agreeing = [float((tree.query(moved(some, pose))[0] < 1.5 * voxel).mean()) for pose in poses]
    order = np.argsort(-np.array(agreeing), kind="stable")[:_BEST_TRIPLETS]
    return [poses[index] for index in order]


def _features(points: Points, voxel: float) -> tuple[Points, NDArray[np.float64]]:
    """Thinned points and their FPFH, (N, 33)."""
    from tools.rendering.open3d_library import import_open3d

    open3d = import_open3d()
    cloud: Any = open3d.geometry.PointCloud(open3d.utility.Vector3dVector(points)).voxel_down_sample(voxel)
    search = open3d.geometry.KDTreeSearchParamHybrid
    cloud.estimate_normals(search(radius=2.5 * voxel, max_nn=30))
    middle = np.asarray(cloud.points).mean(0)
    cloud.orient_normals_towards_camera_location(middle)
    found = open3d.pipelines.registration.compute_fpfh_feature(cloud, search(radius=5 * voxel, max_nn=100))
    return np.asarray(cloud.points), np.asarray(found.data).T


def _rigid(here: Points, there: Points) -> Pose:
    """The rigid pose that takes (K, 3) points nearest to their counterparts (Kabsch 1976)."""
    middle, other = here.mean(0), there.mean(0)
    left, _, right = np.linalg.svd((here - middle).T @ (there - other))
    sign = np.sign(np.linalg.det(right.T @ left.T)) or 1.0
    rotation = right.T @ np.diag([1.0, 1.0, sign]) @ left.T
    return _pose(rotation, other - rotation @ middle)


def _pose(rotation: Points, translation: Points) -> Pose:
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = rotation, translation
    return pose


def target_of(points: Points, normals: Points, of_a_part: float | None = None) -> Target:
    """(M, 3) points with normals as a target; `of_a_part` is the spacing of one part's points, where known."""
    return Target(points, normals, cKDTree(points), of_a_part or spacing(points))
