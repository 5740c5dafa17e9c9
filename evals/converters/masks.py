"""Ground truth in files -> places, in the terms of the asset."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from evals.cases import Place
from evals.converters.layout import Notes
from evals.datasets import LabelledImage
from knowledge import AssetError, RequestError
from tools import read_point_cloud, without_plane

_ORIENTATION = 0x0112
NO_MASK = "a defective part without a mask, whose place is unknown"


class Size(NamedTuple):
    width: int
    height: int


def picture_size(path: Path) -> Size | None:
    """Of the upright picture, from its header; `None` where Pillow does not read it."""
    try:
        with Image.open(path) as image:
            turned = image.getexif().get(_ORIENTATION, 1) >= 5
            return Size(*(image.size[::-1] if turned else image.size))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None


def masked_place(mask: Path, picture: Path, notes: Notes) -> Place | None:
    """The place that a mask shows; `None`, with a note, where it is unreadable, empty or of another size."""
    try:
        covered = LabelledImage(picture, anomalous=True, mask=mask).truth(0, 0)
    except RequestError:
        notes.add("a mask that cannot be read, so that its place is unknown", mask)
        return None
    if covered is None or not covered.any():
        notes.add("a mask in which nothing is marked, so that its place is unknown", mask)
        return None
    size = picture_size(picture)
    if size is not None and size != covered.shape[::-1]:
        notes.add("a mask of another size than its picture, so that its place is unknown", mask)
        return None
    return Place(mask=str(mask), box=box_around(covered))


def box_around(covered: NDArray[np.bool_]) -> tuple[float, float, float, float]:
    """x0, y0, x1, y1 around all that is marked, (H, W); x1 and y1 exclusive."""
    rows, columns = np.flatnonzero(covered.any(axis=1)), np.flatnonzero(covered.any(axis=0))
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)


def boxed_places(boxes: tuple[tuple[float, float, float, float], ...], picture: Path) -> tuple[Place, ...]:
    """Of boxes as COCO gives them (x, y, width, height), cut to the picture."""
    width, height = picture_size(picture) or (float("inf"), float("inf"))
    places = []
    for x, y, w, h in boxes:
        box = (max(0.0, x), max(0.0, y), float(min(width, x + w)), float(min(height, y + h)))
        if box[0] < box[2] and box[1] < box[3]:
            places.append(Place(box=box))
    return tuple(places)


def scanned_place(mask: Path, scan: Path, notes: Notes) -> Place | None:
    """The middle of the points of an organised scan that a mask on its pixels marks, and the diagonal of the part.

    A mask may mark the plane that the part lies on, where a piece of it is missing; the diagonal is without the plane.
    """
    try:
        covered = LabelledImage(scan, anomalous=True, mask=mask).truth(0, 0)
        cloud = read_point_cloud(scan.read_bytes(), scan.name)
        part = without_plane(cloud, scan.name)
    except (RequestError, AssetError, OSError) as error:
        notes.add(f"a mask or a scan that cannot be read ({type(error).__name__}), so that its place is unknown", scan)
        return None
    if covered is None or cloud.grid != covered.shape:
        notes.add("a mask of another size than its scan, so that its place is unknown", mask)
        return None
    return _middle(cloud.points[covered.ravel()[cloud.kept]], part.diagonal, mask, notes)


def labelled_place(labels: Path, scan: Path, notes: Notes) -> Place | None:
    """The middle of the points of a scan that are labelled, and the part's diagonal."""
    try:
        cloud = read_point_cloud(scan.read_bytes(), scan.name)
        marked = np.load(labels, allow_pickle=False)
    except (AssetError, OSError, ValueError, EOFError) as error:
        notes.add(f"labels or a scan that cannot be read ({type(error).__name__})", labels)
        return None
    if marked.shape != (cloud.in_file,):
        notes.add("labels of another number than the scan's points, so that their place is unknown", labels)
        return None
    return _middle(cloud.points[marked[cloud.kept] > 0], cloud.diagonal, labels, notes)


def _middle(inside: NDArray[np.float64], diagonal: float, labels: Path, notes: Notes) -> Place | None:
    if not len(inside):
        notes.add("labels that mark no point, so that the place is unknown", labels)
        return None
    x, y, z = (float(each) for each in inside.mean(axis=0))
    return Place(centroid=(x, y, z), extent=diagonal)
