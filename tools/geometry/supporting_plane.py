"""A scan of a part that lies on a plane -> the part alone.

How much of the plane a scan shows hangs on where the part lay, and not on how it is: its edges would be the largest
differences between normal parts.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from knowledge import AssetError
from tools.geometry.point_cloud import PointCloud, Points, spacing

_BORDER = 0.05
"""Share of an organised scan's sides that is its border, where the plane is seen beside the part."""

_NEAR = 0.01
"""Share of the border's diagonal within which a point may be of the plane."""

_LEAST = 0.5
"""Share of the border that must lie in one plane."""

_MARGIN = 2.0
"""How far the plane reaches on each side, in distances that 99 of 100 of its points stay within."""

_ROUNDS = 500
_REFITS = 5
"""So that it does not hang on the three points by which the plane was found."""

_ROUNDED = 1e-3
"""Of what counts as near, the least margin: planes of simulated scans have no noise but what rounding leaves."""

_TRIED = 20_000
_LONE_REACH = 3.0
_LONE = 4
"""A point with fewer others within so many spacings is a speck: noise of the plane, or between an edge and the plane."""

_FEWEST = 100


class _Plane(NamedTuple):
    normal: Points
    """(3,) of unit length, towards the part."""
    offset: float
    margin: float

    def above(self, points: Points) -> Points:
        """(N,) signed distances."""
        return np.asarray(points @ self.normal - self.offset)


def without_plane(cloud: PointCloud, name: str) -> PointCloud:
    """What lies above the plane that the part lies on, without lone points; `name` begins what is said of it.

    The plane is looked for at the border of an organised scan, and else among all points. Raises `AssetError` where
    there is none, or nothing above it.
    """
    plane = _plane(cloud, name)
    above = np.flatnonzero(plane.above(cloud.points) > plane.margin)
    kept = above[_together(cloud.points[above])] if len(above) >= _FEWEST else above
    if len(kept) < _FEWEST:
        raise AssetError(
            f"{name}: only {len(kept)} points rise above the plane that the part should lie on; scan the part again, "
            "or take `on_plane` out of product.yaml"
        )
    left_out = len(cloud.points) - len(kept)
    note = (
        f"{left_out} of {len(cloud.points)} points were left out: of the plane that the part lies on, beyond it or lone"
    )
    return replace(
        cloud,
        points=cloud.points[kept],
        kept=cloud.kept[kept],
        notes=(*cloud.notes, note),
        colours=None if cloud.colours is None else cloud.colours[kept],
        face=None if cloud.face is None else cloud.face[kept],
        vertex=None if cloud.vertex is None else cloud.vertex[kept],
    )


def _plane(cloud: PointCloud, name: str) -> _Plane:
    seen = cloud.points[_border(cloud)]
    seen = seen[:: max(1, len(seen) // _TRIED)]
    near = _NEAR * float(np.linalg.norm(np.ptp(seen, axis=0))) if len(seen) else 0.0
    found = _largest(seen, near) if len(seen) >= _FEWEST else np.zeros(0, np.int64)
    if len(found) < max(_LEAST * len(seen), 1):
        raise AssetError(
            f"{name}: shows no plane around the part, in which {_LEAST:.0%} of the points at its border would lie; "
            "scan the part so, or take `on_plane` out of product.yaml"
        )
    plane = _through(seen[found])
    for _ in range(_REFITS):
        plane = _through(seen[np.abs(plane.above(seen)) < near])
    plane = plane._replace(margin=max(plane.margin, _ROUNDED * near))
    return plane if _is_upward(plane, cloud) else plane._replace(normal=-plane.normal, offset=-plane.offset)


def _through(points: Points) -> _Plane:
    middle = points.mean(0)
    normal: Points = np.linalg.svd(points - middle, full_matrices=False)[2][2]
    plane = _Plane(normal, float(middle @ normal), 0.0)
    return plane._replace(margin=_MARGIN * float(np.quantile(np.abs(plane.above(points)), 0.99)))


def _border(cloud: PointCloud) -> NDArray[np.int64]:
    if cloud.grid is None:
        return np.arange(len(cloud.points))
    rows, columns = np.divmod(cloud.kept, cloud.grid[1])
    from_side = [np.minimum(at, size - 1 - at) / size for at, size in zip((rows, columns), cloud.grid, strict=True)]
    return np.flatnonzero(np.minimum(*from_side) < _BORDER)


def _largest(points: Points, near: float) -> NDArray[np.int64]:
    """The points within `near` of the plane that holds most of them (RANSAC, Fischler & Bolles 1981)."""
    from tools.rendering.open3d_library import import_open3d

    open3d = import_open3d()
    open3d.utility.random.seed(0)
    cloud = open3d.geometry.PointCloud(open3d.utility.Vector3dVector(points))
    return np.asarray(cloud.segment_plane(near, 3, _ROUNDS)[1], np.int64)


def _is_upward(plane: _Plane, cloud: PointCloud) -> bool:
    """An organised scan in its camera's frame has the part on the side of the origin; else it is where more points are."""
    above = plane.above(cloud.points)
    up, down = int((above > plane.margin).sum()), int((above < -plane.margin).sum())
    if cloud.grid is not None and (up if plane.offset < 0 else down) >= _FEWEST:
        return plane.offset < 0
    return up >= down


def _together(points: Points) -> NDArray[np.int64]:
    """All but lone points."""
    from tools.rendering.open3d_library import import_open3d

    open3d = import_open3d()
    cloud = open3d.geometry.PointCloud(open3d.utility.Vector3dVector(points))
    return np.asarray(cloud.remove_radius_outlier(_LONE, _LONE_REACH * spacing(points))[1], np.int64)
