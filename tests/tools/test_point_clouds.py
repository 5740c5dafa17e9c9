"""Decoding of points and meshes, through the door and in the decoder itself."""

import io
import struct
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from knowledge import AssetError
from tools.decoding.point_clouds import decode_point_cloud
from tools.geometry import looks_like_point_cloud, read_point_cloud
from tools.geometry.point_cloud import measure_part
from tools.rendering import import_open3d

Points = NDArray[np.float64]


def scattered(count: int = 40) -> Points:
    return np.random.default_rng(0).normal(size=(count, 3)).astype(np.float32).astype(np.float64)


def ply(points: Points, encoding: str = "binary_little_endian", claimed: int | None = None) -> bytes:
    head = f"ply\nformat {encoding} 1.0\nelement vertex {claimed or len(points)}\n"
    head += "property float x\nproperty float y\nproperty float z\nend_header\n"
    if encoding == "ascii":
        return head.encode() + b"".join(b"%.9g %.9g %.9g\n" % tuple(row) for row in points)
    return head.encode() + points.astype("<f4" if "little" in encoding else ">f4").tobytes()


def written(points: Points, path: Path, **how: bool) -> bytes:
    open3d = import_open3d()
    cloud = open3d.geometry.PointCloud(open3d.utility.Vector3dVector(points))
    assert open3d.io.write_point_cloud(str(path), cloud, **how)
    return path.read_bytes()


def stl(corners: Points) -> bytes:
    record = np.zeros(len(corners), np.dtype([("n", "<f4", 3), ("c", "<f4", (3, 3)), ("a", "<u2")]))
    record["c"] = corners
    return b"\0" * 80 + struct.pack("<I", len(corners)) + record.tobytes()


def stl_text(corners: Points) -> bytes:
    facets = [
        "facet normal 0 0 1\nouter loop\n"
        + "".join(f"vertex {x} {y} {z}\n" for x, y, z in facet)
        + "endloop\nendfacet\n"
        for facet in corners
    ]
    return ("solid part\n" + "".join(facets) + "endsolid part\n").encode()


SQUARE = np.array([[[0, 0, 0], [2, 0, 0], [2, 2, 0]], [[0, 0, 0], [2, 2, 0], [0, 2, 0]]], float)


@pytest.mark.parametrize("encoding", ["ascii", "binary_little_endian", "binary_big_endian"])
def test_ply_gives_its_points_in_order(encoding: str) -> None:
    points = scattered()
    content = ply(points, encoding)
    assert looks_like_point_cloud(content, "part.bin")
    cloud = read_point_cloud(content, "part.ply", unit="mm")
    np.testing.assert_allclose(cloud.points, points, rtol=1e-6)
    assert cloud.kept.tolist() == list(range(len(points)))
    assert cloud.facts()["unit"] == "mm"
    assert cloud.facts()["format"] == "ply"


@pytest.mark.parametrize("how", [{"write_ascii": True}, {"write_ascii": False}, {"compressed": True}])
def test_pcd_in_each_encoding(how: dict[str, bool], tmp_path: Path) -> None:
    points = scattered()
    content = written(points, tmp_path / "a.pcd", **how)
    assert looks_like_point_cloud(content, "a")
    np.testing.assert_allclose(read_point_cloud(content, "a.pcd").points, points, atol=1e-5)


def test_texts_of_numbers() -> None:
    points = scattered(12)
    rows = ["# a comment", *(" ".join(map(repr, row)) for row in points.tolist())]
    for name, text in {
        "a.xyz": "\n".join(rows),
        "a.pts": "\n".join(["12", *rows[1:]]),
        "a.asc": "\r\n".join(row.replace(" ", ",") for row in rows[1:]),
        "a.txt": "\n".join(row + " 255 0 0" for row in rows[1:]),
        "a.obj": "\n".join("v " + row for row in rows[1:]),
    }.items():
        assert looks_like_point_cloud(text.encode(), name), name
        np.testing.assert_allclose(read_point_cloud(text.encode(), name).points, points)


def test_npy_of_points_and_of_nothing_like_points() -> None:
    buffer = io.BytesIO()
    np.save(buffer, scattered())
    np.testing.assert_allclose(read_point_cloud(buffer.getvalue(), "a.npy").points, scattered())
    for other in (np.zeros((64, 64)), np.zeros(9), np.zeros((3, 4, 5))):
        buffer = io.BytesIO()
        np.save(buffer, other)
        assert not looks_like_point_cloud(buffer.getvalue(), "a.npy")


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n" + bytes(99), b"time,a,b\n1,2,3\n", b"1 2 3\n4 5 6\n"])
def test_other_files_do_not_look_like_points(content: bytes) -> None:
    assert not looks_like_point_cloud(content, "part.csv")


@pytest.mark.parametrize(
    "content", [stl(SQUARE), stl_text(SQUARE), b"v 0 0 0\nv 2 0 0\nv 2 2 0\nv 0 2 0\nf 1 2 3\nf 1 3 4\n"]
)
def test_meshes_are_sampled_evenly_and_name_their_faces(content: bytes) -> None:
    found = decode_point_cloud(content, samples=4000).arrays
    points, face = found["points"], found["face"]
    assert points.shape == (4000, 3)
    assert (points[:, 2] == 0).all()
    assert points.min() >= 0
    assert points.max() <= 2
    assert (face == 0).mean() == pytest.approx(0.5, abs=0.001)
    above = points[:, 1] > points[:, 0]
    assert (above == (face == 1)).mean() > 0.999
    np.testing.assert_array_equal(points, decode_point_cloud(content, samples=4000).arrays["points"])


def test_mesh_of_a_ply_and_its_notes() -> None:
    head = b"ply\nformat ascii 1.0\nelement vertex 4\nproperty float x\nproperty float y\nproperty float z\n"
    head += b"element face 2\nproperty list uchar int vertex_indices\nend_header\n"
    cloud = read_point_cloud(head + b"0 0 0\n2 0 0\n2 2 0\n0 2 0\n3 0 1 2\n3 0 2 3\n", "a.ply")
    assert cloud.face is not None
    assert set(cloud.face) == {0, 1}
    assert cloud.vertex is not None
    assert set(cloud.vertex) == {0, 1, 2, 3}
    assert "mesh of 2 triangles" in cloud.notes[0]
    assert cloud.facts()["mesh"]


def test_points_without_coordinates_are_dropped_and_counted() -> None:
    points = scattered()
    points[3], points[7, 1] = np.nan, np.inf
    cloud = read_point_cloud(ply(points), "a.ply")
    assert cloud.kept.tolist() == [index for index in range(40) if index not in {3, 7}]
    assert "2 of 40 points have no finite coordinates" in cloud.notes[0]


def test_too_many_points_are_thinned_evenly() -> None:
    found = decode_point_cloud(ply(scattered(1000)), limit=100)
    assert len(found.arrays["points"]) == 100
    assert found.about["in_file"] == 1000
    assert np.ptp(np.diff(found.arrays["kept"])) <= 1


@settings(max_examples=15, deadline=None)
@given(st.integers(10, 60), st.integers(0, 9), st.sampled_from(["ascii", "binary_little_endian", "binary_big_endian"]))
def test_what_is_written_is_read(count: int, seed: int, encoding: str) -> None:
    points = np.random.default_rng(seed).normal(size=(count, 3)).astype(np.float32).astype(np.float64) * 100
    np.testing.assert_allclose(decode_point_cloud(ply(points, encoding)).arrays["points"], points, rtol=1e-6)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 600), st.binary(min_size=1, max_size=8))
def test_damage_is_an_asset_error_or_nothing_worse(position: int, damage: bytes) -> None:
    content = bytearray(ply(scattered()))
    content[position : position + len(damage)] = damage
    with suppress(AssetError):
        assert np.isfinite(read_point_cloud(bytes(content), "a.ply").points).all()


HUGE = b"# .PCD v0.7\nVERSION 0.7\nFIELDS x y z\nSIZE 4 4 4\nTYPE F F F\nCOUNT 1 1 1\nWIDTH 4000000000\nHEIGHT 1\n"
HUGE += b"VIEWPOINT 0 0 0 1 0 0 0\nPOINTS 4000000000\nDATA "


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not a point cloud"),
        (ply(scattered(1)), "1 usable points"),
        (ply(scattered(), claimed=4_000_000_000), "truncated"),
        (ply(scattered(), "ascii", claimed=4_000_000_000), "truncated"),
        (ply(scattered())[:-100], "truncated"),
        (ply(np.full((40, 3), np.nan)), "0 usable points"),
        (ply(np.ones((40, 3))), "in one place"),
        (ply(np.arange(40.0)[:, None] * [1, 2, 3]), "on one line"),
        (ply(scattered() * 1e15), "beyond 1e12"),
        (ply(scattered())[:60], "header has no end"),
        (HUGE + b"binary\n" + bytes(600), "truncated"),
        (HUGE + b"ascii\n1 2 3\n", "truncated"),
        (HUGE + b"binary_compressed\n" + struct.pack("<II", 2**32 - 1, 2**32 - 1) + bytes(99), "truncated"),
        (HUGE.replace(b"4000000000", b"-7") + b"binary\n", "where a count belongs"),
        (stl_text(SQUARE)[:150], "ends early"),
        (stl(np.zeros((3, 3, 3))), "no triangle with an area"),
    ],
)
def test_bad_files_are_refused_with_a_reason(content: bytes, reason: str) -> None:
    begun = time.monotonic()
    with pytest.raises(AssetError, match=reason):
        read_point_cloud(content, "part")
    assert time.monotonic() - begun < 10


def test_a_whole_part_in_numbers() -> None:
    grid = np.stack(np.meshgrid(np.linspace(0, 20, 81), np.linspace(0, 10, 41), [0.0]), axis=-1).reshape(-1, 3)
    found = {each.name: each for each in measure_part(read_point_cloud(ply(grid + 5), "a.ply", unit="mm"))}
    assert found["length"].value == pytest.approx(20, rel=1e-3)
    assert found["width"].value == pytest.approx(10, rel=1e-3)
    assert found["height"].value == pytest.approx(0, abs=1e-3)
    assert found["area"].value == pytest.approx(200, rel=0.15)
    assert found["area"].unit == "mm2"
    assert found["hull_volume"].value == pytest.approx(0, abs=1e-3)
    assert found["centroid_x"].value == pytest.approx(15, rel=1e-3)


def test_real_scans_are_read(shared_data: Path) -> None:
    for path in sorted((shared_data / "pointcloud" / "real_scans_clean").glob("*.pcd")):
        cloud = read_point_cloud(path.read_bytes(), path.name)
        assert len(cloud.points) > 100
        assert np.isfinite(cloud.points).all()


def test_bytes_that_no_header_speaks_of_are_refused() -> None:
    header = b"ply\nformat binary_little_endian 1.0\nelement vertex %d\n" + b"".join(
        b"property float %c\n" % axis for axis in b"xyz"
    )
    points = np.random.default_rng(0).normal(size=(40, 3)).astype("<f4").tobytes()
    assert len(decode_point_cloud(header % 40 + b"end_header\n" + points).arrays["points"]) == 40
    with pytest.raises(AssetError, match=r"promises 20 points, which take 240 bytes, but 480 bytes follow"):
        decode_point_cloud(header % 20 + b"end_header\n" + points)


def test_decimal_commas_are_not_read_as_other_coordinates() -> None:
    text = "".join(f"{n},5;{n},25;0,75\n" for n in range(30)).encode()
    with pytest.raises(AssetError, match="decimal commas"):
        decode_point_cloud(text, "part.xyz")
    plain = "".join(f"{n},{n * n},{-n}\n" for n in range(30)).encode()
    assert len(decode_point_cloud(plain, "part.xyz").arrays["points"]) == 30
