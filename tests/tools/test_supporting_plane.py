"""A simulated box on a table under a camera: the table goes, the box stays, and what shows no table is refused."""

import io

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from knowledge import AssetError, Product
from tools.assets import Limits
from tools.geometry import PointCloud
from tools.geometry.supporting_plane import without_plane
from tools.learned_native import reading_of
from tools.modalities import kit_of

Points = NDArray[np.float64]
SIDE = 60
HEIGHT = 8.0


def scanned(
    seed: int = 0, at: tuple[int, int] = (20, 25), tilt: float = 3.0, noise: float = 0.05
) -> tuple[Points, NDArray[np.bool_]]:
    """(H, W, 3) of a table 300 mm from the camera with a box of 14 x 20 pixels on it, and the pixels of the box."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    box = np.zeros((SIDE, SIDE), np.bool_)
    box[at[0] : at[0] + 14, at[1] : at[1] + 20] = True
    depth = 300.0 - HEIGHT * box + random.normal(0, noise, box.shape)
    points = np.stack([columns, rows, depth], axis=-1).reshape(-1, 3)
    about = Rotation.from_euler("xy", [tilt, -tilt], degrees=True)
    table = np.array([0, 0, 300.0])
    turned: Points = about.apply(points - table) + table
    return turned.reshape(SIDE, SIDE, 3), box


def cloud(points: Points, kept: NDArray[np.bool_] | None = None, *, grid: bool = True) -> PointCloud:
    index = np.arange(SIDE**2) if kept is None else np.flatnonzero(kept)
    return PointCloud(points.reshape(-1, 3)[index], index, "mm", ("a note",), grid=(SIDE, SIDE) if grid else None)


@settings(max_examples=12, deadline=None)
@given(
    st.integers(0, 99), st.integers(0, 46), st.integers(0, 40), st.floats(-10, 10), st.sampled_from([0.0, 0.05, 0.2])
)
def test_the_part_is_left_wherever_it_lies(seed: int, row: int, column: int, tilt: float, noise: float) -> None:
    points, box = scanned(seed, (row, column), tilt, noise)
    left = without_plane(cloud(points), "000.tiff")
    np.testing.assert_array_equal(left.kept, np.flatnonzero(box))
    np.testing.assert_array_equal(left.points, points[box])
    assert left.notes[0] == "a note"
    assert left.notes[1].startswith(f"{SIDE**2 - 280} of {SIDE**2} points were left out: of the plane")


def test_the_table_need_not_be_seen_everywhere() -> None:
    points, box = scanned()
    seen = np.random.default_rng(1).random(box.shape) > 0.3
    assert set(without_plane(cloud(points, seen), "a").kept) == set(np.flatnonzero(box & seen))


def test_lone_points_and_what_lies_beyond_the_plane_go_too() -> None:
    points, box = scanned()
    points[5, 5, 2] -= 4.0  # between camera and table
    points[50:54, 40:44, 2] += 4.0  # a groove of the table
    np.testing.assert_array_equal(without_plane(cloud(points), "a").kept, np.flatnonzero(box))


def test_a_cloud_without_pixels_lies_on_its_largest_plane() -> None:
    points, box = scanned()
    away = points * [1, 1, -1] + np.array([0, 0, 900.0])  # as some sensors count: upwards, from below the table
    np.testing.assert_array_equal(without_plane(cloud(away, grid=False), "a").kept, np.flatnonzero(box))


@pytest.mark.parametrize("height", [-5.0, 0.0, 5.0, 400.0])
def test_a_scan_with_pixels_may_count_upwards(height: float) -> None:
    points, box = scanned()
    upwards = points * [1, 1, -1] + np.array([0, 0, 300.0 + height])
    np.testing.assert_array_equal(without_plane(cloud(upwards), "a").kept, np.flatnonzero(box))


def test_faces_and_colours_go_with_their_points() -> None:
    points, box = scanned()
    index, colours = np.arange(SIDE**2), np.repeat(np.arange(SIDE**2)[:, None] % 256, 3, axis=1).astype(np.uint8)
    full = PointCloud(points.reshape(-1, 3), index, colours=colours, face=index, vertex=index, grid=(SIDE, SIDE))
    left = without_plane(full, "a")
    assert left.face is not None
    assert left.vertex is not None
    assert left.colours is not None
    np.testing.assert_array_equal(left.face, np.flatnonzero(box))
    np.testing.assert_array_equal(left.vertex, np.flatnonzero(box))
    np.testing.assert_array_equal(left.colours, colours[box.ravel()])


def test_a_scan_that_shows_no_plane_is_refused() -> None:
    ball = np.random.default_rng(0).normal(size=(SIDE, SIDE, 3))
    ball = ball / np.linalg.norm(ball, axis=-1, keepdims=True) * 50 + np.array([0, 0, 300.0])
    with pytest.raises(AssetError, match=r"^000\.tiff: shows no plane around the part.* take `on_plane` out"):
        without_plane(cloud(ball), "000.tiff")


def test_a_scan_whose_border_saw_nothing_is_refused() -> None:
    points, _ = scanned()
    inner = np.zeros((SIDE, SIDE), np.bool_)
    inner[10:50, 10:50] = True
    with pytest.raises(AssetError, match="shows no plane around the part"):
        without_plane(cloud(points, inner), "000.tiff")


def test_an_empty_table_is_refused() -> None:
    points, box = scanned()
    with pytest.raises(AssetError, match=r"^000\.tiff: only 0 points rise above the plane"):
        without_plane(cloud(points, ~box), "000.tiff")


@pytest.mark.parametrize("on_plane", [True, False])
def test_a_product_says_whether_the_plane_is_left_out(on_plane: bool) -> None:
    points, box = scanned()
    file = io.BytesIO()
    tifffile.imwrite(file, points.astype(np.float32), photometric="rgb")
    product = Product(name="p", description="d", modality="point_cloud", on_plane=on_plane)
    read = kit_of("point_cloud").read(file.getvalue(), "000.tiff", product, Limits())
    assert len(read.points) == (box.sum() if on_plane else box.size)
    with pytest.raises(AssetError, match="more than the limit of 3000"):
        kit_of("point_cloud").read(file.getvalue(), "000.tiff", product, Limits(max_pixels=3000))


def test_what_was_learned_with_the_plane_does_not_fit_without_it() -> None:
    product = Product(name="p", description="d", modality="point_cloud")
    on_plane = product.model_copy(update={"on_plane": True})
    assert reading_of(product) != reading_of(on_plane)
    assert "on_plane" not in reading_of(product)  # so that what was learned before still fits
