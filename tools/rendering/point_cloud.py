"""Point cloud -> views: all around the part, and close up.

Views are parallel projections: every pixel shows a small square around the point in front, whose index it keeps.
"""

import weakref
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage
from scipy.spatial import cKDTree

from tools.geometry.point_cloud import PointCloud, Points, spacing_of
from tools.geometry.registration import Pose, standing
from tools.native import Index, Rendering, Values

SIZE = 448
ELEVATION = 35.0
"""Degrees; every other view of the round looks from below, so that both sides of a flat part are seen."""

_FILLED = 0.45
"""Pixels of a view's width that the radius of the part takes, as a share of it."""

_LARGEST_DOT = 6
_LARGEST_DOT_CLOSE = 20
_SHAPED_BY = 20_000
_NEIGHBOURS = 24
_PAPER = 246
_MARK = (214, 40, 120)
_INK = (40, 40, 40)
_NORMAL = (150, 150, 150)
_PART = (30, 90, 170)
_LIGHT = np.array([-0.45, -0.55, -0.70])
_SPECTRUM = np.array([[48, 18, 90], [40, 100, 180], [40, 170, 130], [190, 210, 60], [250, 230, 130]], np.float64)


class Camera(NamedTuple):
    """A parallel projection: a point of the cloud -> column, row, depth."""

    pose: Pose
    """(4, 4) from the file's frame to the one the camera stands in."""
    axes: Points
    """(3, 3) rows: right, down and forward in that frame."""
    scale: float
    """Pixels a unit of that frame."""
    dot: int
    """Pixels that a point reaches to each side."""

    def project(self, points: Points) -> NDArray[np.float32]:
        """(N, 3) points -> (N, 3) column and row in pixels, (0, 0) the corner of the first one, and depth."""
        to_view = (self.axes @ self.pose[:3, :3]) * self.scale
        shift = self.axes @ self.pose[:3, 3] * self.scale + [SIZE / 2, SIZE / 2, 0]
        return np.asarray(points @ to_view.T + shift, np.float32)


class _Shape(NamedTuple):
    """Of each of N points."""

    normals: NDArray[np.float32]
    """(N, 3) of either sign"""
    curvature: NDArray[np.float32]
    """(N,) surface variation in [0, 1/3] (Pauly et al. 2002)."""


_shapes: "weakref.WeakKeyDictionary[PointCloud, _Shape]" = weakref.WeakKeyDictionary()


def cameras(cloud: PointCloud, pose: Pose | None = None) -> tuple[Camera, ...]:
    """From above, along the shortest main axis, and from eight sides in turn from above and from below.

    `pose` takes the part to a ball of radius 1 in which all parts of its product lie alike; without, its own main axes
    are taken.
    """
    pose = standing(cloud.points) if pose is None else pose
    scale = _FILLED * SIZE
    step = spacing_of(cloud) * scale * float(np.cbrt(abs(np.linalg.det(pose[:3, :3]))))
    dot = int(np.clip(np.ceil(step), 1, _LARGEST_DOT))
    around = [
        _axes(np.radians(45.0 * turn), np.radians(ELEVATION if turn % 2 == 0 else -ELEVATION)) for turn in range(8)
    ]
    above = np.array([[1.0, 0, 0], [0, -1.0, 0], [0, 0, -1.0]])
    return tuple(Camera(pose, axes, scale, dot) for axes in (above, *around))


def render_point_cloud(cloud: PointCloud, pose: Pose | None = None) -> tuple[Rendering, ...]:
    """Nine shaded views of 448 pixels, from above first, and from above by curvature, height and, if known, colour.

    `pose`, such as `PointCloudLocalizer.pose` gives, makes views of parts of a product comparable.
    """
    shape = _shape_of(cloud)
    stands = cameras(cloud, pose)
    splats = [splat(camera.project(cloud.points), camera.dot) for camera in stands]
    found = [
        Rendering("shaded", title, _shaded(index, depth, shape, camera), index)
        for title, camera, (index, depth) in zip(_titles(), stands, splats, strict=True)
    ]
    return (*found, *_main_views(cloud, shape, stands[0], *splats[0]))


def _main_views(
    cloud: PointCloud, shape: _Shape, camera: Camera, index: Index, depth: NDArray[np.float32]
) -> list[Rendering]:
    height = -camera.project(cloud.points)[:, 2] / camera.scale
    # steps keep the colours of parts of a product the same although they are never equally high
    highest = 1.25 ** np.ceil(np.log(max(float(np.quantile(np.abs(height), 0.995)), 1e-6)) / np.log(1.25))
    found = [
        Rendering("curvature", "from above, coloured by curvature", _coloured(index, shape.curvature / 0.12), index),
        Rendering("height", "from above, coloured by height", _coloured(index, height / (2 * highest) + 0.5), index),
    ]
    if cloud.colours is not None:
        pixels = np.where(index[..., None] >= 0, cloud.colours[np.maximum(index, 0)], _PAPER)
        found.append(Rendering("colours", "from above, in its own colours", pixels.astype(np.uint8), index))
    return found


def _titles() -> list[str]:
    sides = [f"from {45 * turn} degrees around, {'above' if turn % 2 == 0 else 'below'}, shaded" for turn in range(8)]
    return ["from above, shaded", *sides]


def _axes(azimuth: float, elevation: float) -> Points:
    forward = -np.array([np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)])
    return _axes_towards(forward, np.array([0.0, 0.0, 1.0]))


def _axes_towards(forward: Points, up: Points) -> Points:
    right = np.cross(forward, up)
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(forward, right), forward])


def splat(projected: NDArray[np.float32], dot: int) -> tuple[Index, NDArray[np.float32]]:
    """(SIZE, SIZE) index of the point in front, -1 for none, and its depth, infinite for none.

    A point covers the square of `dot` pixels to each side of its own. Points are ranked from the farthest on; what is
    written last, and the highest rank among neighbours, is in front.
    """
    column, row = (np.floor(projected[:, axis]).astype(np.int32) for axis in (0, 1))
    inside = np.flatnonzero((column >= -dot) & (column < SIZE + dot) & (row >= -dot) & (row < SIZE + dot))
    order = inside[np.argsort(_steps(projected[inside, 2]), kind="stable")]
    side = SIZE + 2 * dot
    rank = np.zeros((side, side), np.int32)
    rank[row[order] + dot, column[order] + dot] = np.arange(1, len(order) + 1, dtype=np.int32)
    rank = ndimage.maximum_filter(rank, 2 * dot + 1, mode="constant")[dot : dot + SIZE, dot : dot + SIZE]
    seen = rank > 0
    index = np.full((SIZE, SIZE), -1, np.int32)
    index[seen] = order[rank[seen] - 1]
    depth = np.full((SIZE, SIZE), np.inf, np.float32)
    depth[seen] = projected[index[seen], 2]
    return index, depth


def _steps(depth: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Depths, the farthest first, in 65,536 steps: such numbers are sorted by their digits, ten times as fast."""
    if not len(depth):
        return np.empty(0, np.uint16)
    near, far = float(depth.min()), float(depth.max())
    return np.asarray((far - depth) * (65535 / max(far - near, 1e-30)), np.uint16)


def _shape_of(cloud: PointCloud) -> _Shape:
    if cloud not in _shapes:
        _shapes[cloud] = _shape(cloud.points)
    return _shapes[cloud]


def _shape(points: Points) -> _Shape:
    """Normals and curvature from at most 20,000 points spread over the cloud; the others take their nearest one's."""
    step = -(-len(points) // _SHAPED_BY)
    some = points if step == 1 else points[np.random.default_rng(0).permutation(len(points))[:_SHAPED_BY]]
    tree = cKDTree(some, balanced_tree=False, compact_nodes=False)
    near = some[tree.query(some, k=min(_NEIGHBOURS, len(some)))[1]].astype(np.float64)
    centred = near - near.mean(1, keepdims=True)
    spread, axes = np.linalg.eigh(np.einsum("nki,nkj->nij", centred, centred, optimize=True))
    normals = axes[:, :, 0].astype(np.float32)
    curvature = (np.maximum(spread[:, 0], 0) / np.maximum(spread.sum(1), 1e-30)).astype(np.float32)
    if step == 1:
        return _Shape(normals, curvature)
    nearest = tree.query(points, eps=0.5, workers=-1)[1]
    return _Shape(normals[nearest], curvature[nearest])


def _shaded(index: Index, depth: NDArray[np.float32], shape: _Shape, camera: Camera) -> NDArray[np.uint8]:
    """Lit from the upper left, darker where a neighbour is much nearer (eye-dome lighting, Boucheny 2009)."""
    turn = camera.axes @ camera.pose[:3, :3]
    turn = (turn / np.cbrt(np.linalg.det(turn))).astype(np.float32)
    normals = shape.normals[np.maximum(index, 0)] @ turn.T
    normals *= np.where(normals[..., 2:] > 0, np.float32(-1), np.float32(1))
    light = (_LIGHT / np.linalg.norm(_LIGHT)).astype(np.float32)
    # lights shine along the view, so a surface that faces them has a normal against it
    lit = 0.28 + 0.72 * np.clip(normals @ light, 0, 1)
    lit = _blurred(lit, index >= 0, camera.dot) * _edges(depth, camera.dot)
    gray = np.where(index >= 0, lit * 235, _PAPER)
    return np.repeat(np.clip(gray, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def _blurred(lit: NDArray[np.float32], shown: NDArray[np.bool_], dot: int) -> NDArray[np.float32]:
    """Mean over the part's pixels within a dot, so that its squares do not show."""
    side = 2 * dot + 1
    weight = ndimage.uniform_filter(shown.astype(np.float32), side)
    return np.asarray(ndimage.uniform_filter(np.where(shown, lit, np.float32(0)), side) / np.maximum(weight, 1e-3))


def _edges(depth: NDArray[np.float32], dot: int) -> NDArray[np.float32]:
    """(H, W) factor in [0.45, 1]: how little is nearer than a pixel beside it, in pixels of depth.

    What neighbouring dots of one surface may differ by is left out.
    """
    near = np.where(np.isfinite(depth), depth, np.float32(1e9))
    front = ndimage.minimum_filter(near, 5)
    return np.asarray(np.clip(1 - (np.minimum(near - front, 90) - 2 * dot) / 50, 0.45, 1), np.float32)


def _coloured(index: Index, level: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Levels in [0, 1] from violet to yellow."""
    stops = np.linspace(0, 1, len(_SPECTRUM))
    table = np.stack([np.interp(np.linspace(0, 1, 256), stops, _SPECTRUM[:, channel]) for channel in range(3)], axis=1)
    colours = table.astype(np.uint8)[np.clip(level * 255, 0, 255).astype(np.uint8)]
    return np.where(index[..., None] >= 0, colours[np.maximum(index, 0)], np.uint8(_PAPER))


def render_closer(
    cloud: PointCloud, values: Values, members: NDArray[np.int64], reference: PointCloud | None = None
) -> tuple[Rendering, ...]:
    """The place of `members` seen along its normal, with a scale bar, ringed; the same place on a normal reference.

    And a cut through the place: the part over the reference. `reference` lies where the part lies, as
    `PointCloudLocalizer.beside` gives it; its pictures show no element of the part.
    """
    look = _look_at(cloud, members)
    pixels, index = _close_up(cloud, look)
    found = [Rendering("enlarged", "the place, enlarged", _annotated(pixels, cloud, look, members), index)]
    if reference is not None:
        normal, seen = _close_up(reference, look)
        found.append(
            Rendering(
                "reference",
                "the same place on a normal part",
                _annotated(normal, cloud, look, members, seen),
                np.full_like(seen, -1),
            )
        )
    found.append(_section(cloud, members, reference, look))
    return tuple(found)


def _look_at(cloud: PointCloud, members: NDArray[np.int64]) -> Camera:
    """Along the normal that most of the members share, from the side from which more of them are seen."""
    at = cloud.points[members]
    middle, normals = at.mean(0), _shape_of(cloud).normals[members].astype(np.float64)
    _, axes = np.linalg.eigh(normals.T @ normals)
    step = spacing_of(cloud)
    reach = max(2.2 * float(np.quantile(np.linalg.norm(at - middle, axis=1), 0.95)), 10 * step, 0.06 * cloud.diagonal)
    pose = np.eye(4)
    pose[:3, 3] = -middle
    scale = 0.5 * SIZE / reach
    dot = int(np.clip(np.ceil(1.4 * step * scale), 1, _LARGEST_DOT_CLOSE))
    chosen = np.zeros(len(cloud.points), np.bool_)
    chosen[members] = True
    cameras_there = [
        Camera(pose, _axes_towards(side, _upright(side)), scale, dot) for side in (axes[:, 2], -axes[:, 2])
    ]
    seen = [_seen(chosen, splat(camera.project(cloud.points), dot)[0]) for camera in cameras_there]
    return cameras_there[int(seen[1] > seen[0])]


def _upright(forward: Points) -> Points:
    """The axis of the file that is up in a picture: z, or y where one looks along z."""
    return np.array([0.0, 0.0, 1.0]) if abs(forward[2]) < 0.9 else np.array([0.0, 1.0, 0.0])


def _seen(chosen: NDArray[np.bool_], index: Index) -> int:
    return int(chosen[index[index >= 0]].sum())


def _close_up(cloud: PointCloud, camera: Camera) -> tuple[NDArray[np.uint8], Index]:
    index, depth = splat(camera.project(cloud.points), camera.dot)
    return _shaded(index, depth, _shape_of(cloud), camera), index


def _annotated(
    pixels: NDArray[np.uint8], cloud: PointCloud, camera: Camera, members: NDArray[np.int64], seen: Index | None = None
) -> NDArray[np.uint8]:
    image = Image.fromarray(pixels)
    draw = ImageDraw.Draw(image)
    at = camera.project(cloud.points[members])[:, :2]
    radius = float(np.linalg.norm(at - at.mean(0), axis=1).max()) + 2 * camera.dot + 4
    x, y = (float(each) for each in at.mean(0))
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), outline=_MARK, width=2)
    _scale_bar(draw, camera.scale, cloud.unit_name)
    if seen is not None and not (seen >= 0).any():
        draw.text((10, 10), "the reference has nothing here", fill=_INK)
    return np.asarray(image)


def _scale_bar(draw: ImageDraw.ImageDraw, scale: float, unit: str) -> None:
    """A bar of a round length of about a quarter of the picture, at the lower left."""
    length = _round_length(0.28 * SIZE / scale)
    y, end = SIZE - 14, 12 + length * scale
    draw.rectangle((6, SIZE - 36, max(end, 110) + 8, SIZE - 6), fill=(_PAPER, _PAPER, _PAPER))
    draw.line((12, y, end, y), fill=_INK, width=3)
    draw.text((12, SIZE - 33), f"{length:g} {unit}", fill=_INK)


def _round_length(length: float) -> float:
    """The next 1, 2 or 5 times a power of ten below."""
    power = 10.0 ** np.floor(np.log10(length))
    return float(max(step for step in (1, 2, 5) if step * power <= length * 1.0001) * power)


def _section(cloud: PointCloud, members: NDArray[np.int64], reference: PointCloud | None, look: Camera) -> Rendering:
    """A cut across the place, along the picture's longer direction of it; heights are drawn larger than lengths."""
    projected = look.project(cloud.points)
    at = projected[members, :2] - SIZE / 2
    _, axes = np.linalg.eigh(np.cov(at.T) if len(at) > 1 else np.eye(2))
    # across the shorter direction, where a scratch or ridge has its profile
    across = axes[:, 0]
    middle = at.mean(0)
    band = 1.2 * max(look.dot, 2)
    image = Image.new("RGB", (SIZE, SIZE), (_PAPER,) * 3)
    draw = ImageDraw.Draw(image)
    none = np.empty(0, np.int64)
    parts = [] if reference is None else [(look.project(reference.points), none)]
    parts.append((projected, members))
    depths = projected[members, 2]
    zero, high = float(np.median(depths)), max(float(np.ptp(depths)) * 1.5, 12.0)
    index = np.full((SIZE, SIZE), -1, np.int32)
    for points, own in parts:
        flat = points[:, :2] - SIZE / 2 - middle
        near = np.flatnonzero(
            (np.abs(flat @ axes[:, 1]) < band)
            & (np.abs(flat @ across) < SIZE / 2)
            & (np.abs(points[:, 2] - zero) < high)
        )
        columns = (flat[near] @ across + SIZE / 2).astype(int)
        rows = ((points[near, 2] - zero) / high * 0.42 * SIZE + SIZE / 2).astype(int)
        marked = np.isin(near, own)
        for point, x, y, is_marked in zip(near.tolist(), columns.tolist(), rows.tolist(), marked.tolist(), strict=True):
            colour = _NORMAL if own is none else _MARK if is_marked else _PART
            draw.ellipse((x - 2, y - 2, x + 2, y + 2), fill=colour)
            if own is not none:
                index[max(y - 2, 0) : y + 3, max(x - 2, 0) : x + 3] = point
    _scale_bar(draw, look.scale, cloud.unit_name)
    times = 0.42 * SIZE / high
    draw.text(
        (10, 8), f"cut across the place, heights {times:.3g} times enlarged; grey: normal, red: marked", fill=_INK
    )
    return Rendering("section", "a cut across the place", np.asarray(image), index)
