"""A peer for geometry: a memory of FPFH features, as in BTF (Horwitz & Hoshen 2023) with PatchCore's memory.

Each point is described by its Fast Point Feature Histogram (Rusu et al. 2009), which does not change when the part is
moved or turned. A part is scored by the distances of its points' features to the nearest of normal parts; nothing is
registered. A height map becomes an organised cloud; its map of distances is blurred as BTF does.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from tools import HeightMap, import_open3d

Points = NDArray[np.float64]

RADII = (5.0, 10.0, 20.0)
"""In median distances between neighbouring points. Horwitz & Hoshen take 5 voxels; no one radius suits all parts."""

_NORMAL_RADIUS = 0.4
"""Of the radius of a feature, as in BTF: 2 voxels to 5."""
_NORMAL_NEIGHBOURS = 30
_FEATURE_NEIGHBOURS = 100
_CORESET_SHARE = 0.1
_LEAST_CORESET = 10_000
_BLUR = 4 / 224
"""Of the longer side of a height map."""
_AVERAGED = 8
"""Neighbours over which the distances of a cloud's points are averaged, for want of a picture to blur."""
_SPACING_SAMPLES = 2000


class Judgement(NamedTuple):
    """What a peer says of a part."""

    score: float
    values: NDArray[np.float32]
    """(N,) for each element of the asset, in its flat order."""


class GeometryPeer(Protocol):
    """A detector that learns from normal parts, as our own does."""

    name: str

    def fit(self, parts: Sequence[Callable[[], Any]]) -> None: ...

    def judge(self, part: Any) -> Judgement: ...


def geometry_peers(names: Sequence[str], seed: int) -> list[GeometryPeer]:
    """Peers by name: `fpfh` for one of each radius. Raises `ValueError` for others."""
    unknown = [name for name in names if name != "fpfh"]
    if unknown:
        raise ValueError(f"expected peers among fpfh, got {unknown}")
    return [FpfhMemory(radius, seed) for radius in RADII] if names else []


class FpfhMemory:
    """FPFH features of normal parts, a tenth of them by chance."""

    def __init__(self, radius: float, seed: int) -> None:
        """`radius` of a feature, in median distances between neighbouring points of the parts."""
        self.name = f"fpfh_{radius:g}"
        self._radius = radius
        self._seed = seed
        self._spacing = 1.0
        self._memory = np.zeros((0, 33), np.float32)

    def fit(self, parts: Sequence[Callable[[], Any]]) -> None:
        clouds = [points_of(part()) for part in parts]
        self._spacing = float(np.median([_spacing(cloud) for cloud in clouds]))
        features = np.concatenate([self._features(cloud) for cloud in clouds])
        kept = max(_LEAST_CORESET, int(_CORESET_SHARE * len(features)))
        chosen = np.random.default_rng(self._seed).permutation(len(features))[:kept]
        self._memory = features[np.sort(chosen)]

    def judge(self, part: Any) -> Judgement:
        points = points_of(part)
        distances = _nearest(self._features(points), self._memory)
        values = _blurred(part, distances) if isinstance(part, HeightMap) else _averaged(points, distances)
        return Judgement(float(distances.max()), values)

    def _features(self, points: Points) -> NDArray[np.float32]:
        """(N, 33), each of the three histograms adding up to 100."""
        open3d = import_open3d()
        radius = self._radius * self._spacing
        cloud = open3d.geometry.PointCloud(open3d.utility.Vector3dVector(points))
        search = open3d.geometry.KDTreeSearchParamHybrid
        cloud.estimate_normals(search(radius=_NORMAL_RADIUS * radius, max_nn=_NORMAL_NEIGHBOURS))
        _turn_alike(cloud, points)
        found = open3d.pipelines.registration.compute_fpfh_feature(
            cloud, search(radius=radius, max_nn=_FEATURE_NEIGHBOURS)
        )
        return np.nan_to_num(np.asarray(found.data.T, np.float32))


def points_of(part: Any) -> Points:
    """(N, 3) points of a cloud, or of the pixels of a height map that have data, in its row order."""
    if not isinstance(part, HeightMap):
        return np.asarray(part.points, np.float64)
    rows, columns = np.nonzero(part.valid)
    side = part.pixel_size or 1.0
    return np.column_stack([columns * side, rows * side, part.heights[rows, columns].astype(np.float64)])


def _turn_alike(cloud: Any, points: Points) -> None:
    """Normals away from the middle of the part: features depend on which way they point."""
    normals = np.asarray(cloud.normals)
    inwards = np.einsum("ij,ij->i", normals, points - points.mean(0)) < 0
    normals[inwards] *= -1


def _spacing(points: Points) -> float:
    """Median distance to the nearest other point."""
    step = max(1, len(points) // _SPACING_SAMPLES)
    return float(np.median(cKDTree(points).query(points[::step], 2)[0][:, 1]))


def _nearest(features: NDArray[np.float32], memory: NDArray[np.float32], chunk: int = 2048) -> NDArray[np.float32]:
    half_squares = (memory**2).sum(1) / 2
    found = []
    for begin in range(0, len(features), chunk):
        some = features[begin : begin + chunk]
        nearest = (some @ memory.T - half_squares).argmax(1)
        found.append(np.linalg.norm(some - memory[nearest], axis=1))
    return np.concatenate(found).astype(np.float32)


def _blurred(part: HeightMap, distances: NDArray[np.float32]) -> NDArray[np.float32]:
    """Pixels without data have what is blurred into them."""
    found = np.zeros(part.heights.shape, np.float32)
    found[part.valid] = distances
    return np.asarray(ndimage.gaussian_filter(found, _BLUR * max(found.shape)).ravel(), np.float32)


def _averaged(points: Points, distances: NDArray[np.float32]) -> NDArray[np.float32]:
    near = cKDTree(points).query(points, min(_AVERAGED, len(points)))[1]
    return np.asarray(distances[near].reshape(len(points), -1).mean(1), np.float32)
