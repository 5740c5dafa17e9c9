"""A point cloud: points of a part's surface in the frame and unit of its file."""

import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull, QhullError, cKDTree

from tools.assets import Limits
from tools.decoding.point_clouds import MAX_POINTS, decode_point_cloud, point_cloud_format
from tools.decoding.worker import decode_in_worker
from tools.measuring import Measurement

Points = NDArray[np.float64]

FILE_UNITS = "file units"

_MEASURED_BY = 20_000


@dataclass(frozen=True, eq=False)
class PointCloud:
    """Points in file order; an element of the cloud is a point."""

    points: Points
    """(N, 3) float64, finite, in the frame and unit of the file."""
    kept: NDArray[np.int64]
    """(N,) index of each point in the file, ascending; of each sample for a mesh, of each pixel for an organised scan."""
    unit: str | None = None
    """Of length: `mm`; None where nobody said."""
    notes: tuple[str, ...] = ()
    source: str = "points"
    """The file's format."""
    in_file: int = 0
    """Points or vertices that the file holds."""
    colours: NDArray[np.uint8] | None = None
    """(N, 3) RGB."""
    face: NDArray[np.int64] | None = None
    """(N,) triangle of a mesh that each sample lies on."""
    vertex: NDArray[np.int64] | None = None
    """(N,) the corner of that triangle that is nearest."""
    grid: tuple[int, int] | None = None
    """H, W of an organised scan, whose pixels are counted row by row."""

    @property
    def unit_name(self) -> str:
        return self.unit or FILE_UNITS

    @property
    def diagonal(self) -> float:
        """Of the box around the points along the axes of the file."""
        return float(np.linalg.norm(np.ptp(self.points, axis=0)))

    def facts(self) -> dict[str, Any]:
        """What the file is, in plain values."""
        low, high = self.points.min(0), self.points.max(0)
        return {
            "format": self.source,
            "points": len(self.points),
            "points_in_file": self.in_file,
            "mesh": self.face is not None,
            "colours": self.colours is not None,
            "unit": self.unit_name,
            "box": [[float(each) for each in low], [float(each) for each in high]],
            "diagonal": self.diagonal,
            **({} if self.grid is None else {"grid": list(self.grid)}),
        }


def looks_like_point_cloud(content: bytes, name: str) -> bool:
    """Whether the content is of a kind that `read_point_cloud` reads; looks at its beginning only.

    A text of bare numbers may be anything, so it counts only under a name that says points (`.xyz .pts .asc .txt`).
    """
    return point_cloud_format(content, name) is not None


def read_point_cloud(content: bytes, name: str, *, unit: str | None = None, limits: Limits | None = None) -> PointCloud:
    """Decode PLY, PCD, OBJ, STL, XYZ text, npy (N, 3..6) or an organised scan in the bounded process.

    An organised scan, a TIFF or npy (H, W, 3) of floats, has the coordinates seen at each pixel, or three zeros.

    Args:
        content: of the file.
        name: shown in errors.
        unit: of its coordinates, which no such file says itself.
        limits: pixels of an organised scan.

    Raises `AssetError` where it cannot be read or is no surface.
    """
    pixels = (limits or Limits()).max_pixels
    decoded = decode_in_worker(decode_point_cloud, content, name, name=name, limit=MAX_POINTS, max_pixels=pixels)
    arrays, about = decoded.arrays, decoded.about
    return PointCloud(
        points=np.asarray(arrays["points"], np.float64),
        kept=np.asarray(arrays["kept"], np.int64),
        unit=unit,
        notes=_notes(about, len(arrays["points"]), unit),
        source=str(about["format"]),
        in_file=int(about["in_file"]),
        colours=arrays.get("colours"),
        face=arrays.get("face"),
        vertex=arrays.get("vertex"),
        grid=(int(about["grid"][0]), int(about["grid"][1])) if "grid" in about else None,
    )


def _notes(about: Any, points: int, unit: str | None) -> tuple[str, ...]:
    notes = list(_scan_notes(about)) if "grid" in about else []
    if about["triangles"]:
        notes.append(f"a mesh of {about['triangles']} triangles, looked at as {points} points sampled on its surface")
        if about["dropped"]:
            notes.append(f"{about['dropped']} triangles without finite corners were left out")
    else:
        if about["dropped"]:
            notes.append(
                f"{about['dropped']} of {about['in_file']} points have no finite coordinates and were left out"
            )
        if points < about["in_file"] - about["dropped"]:
            notes.append(f"{about['in_file']} points were thinned evenly to {points}")
    if unit is None:
        notes.append("nobody said the unit of its coordinates, so lengths are in file units")
    return tuple(notes)


def _scan_notes(about: Any) -> Iterator[str]:
    height, width = about["grid"]
    if about["pages"] > 1:
        yield f"first of {about['pages']} pages of the TIFF"
    blind = height * width - about["in_file"]
    yield f"an organised scan of {width} x {height} pixels, {blind} of which have no point ({blind / (height * width):.1%})"


def measure_part(cloud: PointCloud) -> tuple[Measurement, ...]:
    """The whole part in numbers: along its own main axes, so that they do not hang on how it lay.

    `length`, `width`, `height` (the longest first), `diagonal`, `area` (of the surface, from the points' density),
    `hull_volume` (of the convex hull), `points`, `spacing` (side of the square of surface that a point stands for) and
    `centroid_x/y/z`.
    """
    unit = cloud.unit_name
    centred = cloud.points - cloud.points.mean(0)
    _, axes = np.linalg.eigh(np.cov(centred.T))
    sides = np.sort(np.ptp(centred @ axes, axis=0))[::-1]
    space = spacing_of(cloud)
    found = [
        *((name, float(side), unit) for name, side in zip(("length", "width", "height"), sides, strict=True)),
        ("diagonal", cloud.diagonal, unit),
        ("area", space**2 * len(cloud.points), squared(unit)),
        ("hull_volume", _hull_volume(centred), cubed(unit)),
        ("points", float(len(cloud.points)), "1"),
        ("spacing", space, unit),
        *((f"centroid_{axis}", float(at), unit) for axis, at in zip("xyz", cloud.points.mean(0), strict=True)),
    ]
    return tuple(Measurement(name=name, value=value, unit=of) for name, value, of in found)


def squared(unit: str) -> str:
    return f"{unit}2" if unit != FILE_UNITS else "square file units"


def cubed(unit: str) -> str:
    return f"{unit}3" if unit != FILE_UNITS else "cubic file units"


def _hull_volume(points: Points) -> float:
    try:
        return float(ConvexHull(points[:: max(1, len(points) // _MEASURED_BY)]).volume)
    except QhullError:  # all in one plane
        return 0.0


def spacing(points: Points, neighbours: int = 16) -> float:
    """Side of the square of surface that one of (N, 3) points stands for: 1 / sqrt(points per area).

    The median over points of the density in the disc that reaches to the `neighbours`-th nearest point.
    """
    sample = points[:: max(1, len(points) // 2000)]
    k = min(neighbours, len(points) - 1)
    distances = cKDTree(points, balanced_tree=False, compact_nodes=False).query(sample, k=[k + 1])[0][:, 0]
    # many points in one place say nothing of a surface
    found = float(np.median(distances) * np.sqrt(np.pi / k))
    return found or float(np.ptp(points, axis=0).max() / np.sqrt(len(points)))


_spacings: "weakref.WeakKeyDictionary[PointCloud, float]" = weakref.WeakKeyDictionary()
_trees: "weakref.WeakKeyDictionary[PointCloud, cKDTree]" = weakref.WeakKeyDictionary()


def tree_of(cloud: PointCloud) -> cKDTree:
    """A search tree of the cloud's points, kept as long as the cloud."""
    if cloud not in _trees:
        _trees[cloud] = cKDTree(cloud.points)
    return _trees[cloud]


def spacing_of(cloud: PointCloud) -> float:
    """`spacing` of the cloud's points, kept as long as the cloud."""
    if cloud not in _spacings:
        _spacings[cloud] = spacing(cloud.points)
    return _spacings[cloud]
