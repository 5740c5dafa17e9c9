"""Files of points and meshes -> coordinates: PLY, PCD, OBJ, STL, XYZ text, npy, organised scans.

What a header claims is held against the length of the file before anything of that size is made.
"""

import io
import os
import re
import tempfile
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from knowledge import AssetError
from tools.decoding.height_maps import kind_of
from tools.decoding.npy import npy_header
from tools.decoding.organised_scans import is_scan, read_scan
from tools.decoding.worker import Decoded

Floats = NDArray[np.float64]

MAX_POINTS = 300_000
MAX_PIXELS = 50_000_000
MESH_SAMPLES = 30_000
"""Points that a mesh is sampled to: the same for every mesh, so that densities compare."""

FEWEST_POINTS = 10

_MAGIC_NPY = b"\x93NUMPY"
_DECIMAL_COMMAS = re.compile(rb"\d,\d+[; \t]+-?\d+,\d")
_TEXT_SUFFIXES = (".xyz", ".xyzn", ".xyzrgb", ".pts", ".asc", ".txt")
_STL_RECORD = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
_SIZES = {
    **dict.fromkeys(("char", "uchar", "int8", "uint8"), 1),
    **dict.fromkeys(("short", "ushort", "int16", "uint16"), 2),
    **dict.fromkeys(("int", "uint", "float", "int32", "uint32", "float32"), 4),
    **dict.fromkeys(("double", "float64", "int64", "uint64"), 8),
}


class Raw(NamedTuple):
    """What a file holds, before anything is dropped."""

    points: Floats
    """(N, 3); the vertices of a mesh."""
    triangles: NDArray[np.int64] | None = None
    """(F, 3) indices of vertices."""
    colours: NDArray[np.uint8] | None = None
    """(N, 3) RGB."""


def point_cloud_format(content: bytes, name: str) -> str | None:
    """`scan ply pcd obj stl npy xyz`, or None; by content, and by name only where a text of numbers may be anything."""
    head = content[:4096]
    if is_scan(content):
        return "scan"
    if head.startswith((b"ply\n", b"ply\r")):
        return "ply"
    if head.startswith(b"# .PCD") or re.match(rb"VERSION\s+\.?\d", head):
        return "pcd"
    if head.startswith(_MAGIC_NPY):
        return "npy" if _shape_of_points(content) else None
    if _is_stl(content, head):
        return "stl"
    return _text_format(head, name)


def decode_point_cloud(
    content: bytes,
    name: str = "",
    limit: int = MAX_POINTS,
    samples: int = MESH_SAMPLES,
    max_pixels: int = MAX_PIXELS,
) -> Decoded:
    """Points of a file in its own frame and order, at most `limit` of them, thinned evenly.

    Arrays: `points` (N, 3) float64, finite; `kept` (N,) int64, their indices in the file; with colours `colours` (N, 3)
    uint8; for a mesh, whose surface is sampled, `kept` counts samples and `face` and `vertex` (N,) int64 name the
    triangle of each and its nearest corner. Of an organised scan `kept` counts pixels, row by row. About: `format`,
    `in_file`, `dropped`, `triangles`; of an organised scan `grid` (H, W) and `pages`.
    Raises `AssetError` where there is nothing that could be a surface.
    """
    kind = point_cloud_format(content, name)
    if kind is None:
        raise AssetError(
            "is not a point cloud or mesh that is read here; "
            "give PLY, PCD, OBJ, STL, XYZ text, npy or a TIFF of three floating-point channels"
        )
    if kind == "scan":
        return _decode_scan(content, limit, max_pixels)
    raw = _READERS[kind](content)
    in_file = len(raw.points)
    arrays, dropped = _finite(raw) if raw.triangles is None else _sampled(raw.points, raw.triangles, samples)
    _check_surface(arrays["points"], in_file)
    if len(arrays["points"]) > limit:
        chosen = np.linspace(0, len(arrays["points"]) - 1, limit).round().astype(np.int64)
        arrays = {key: array[chosen] for key, array in arrays.items()}
    triangles = 0 if raw.triangles is None else len(raw.triangles)
    return Decoded(arrays, {"format": kind, "in_file": in_file, "dropped": dropped, "triangles": triangles})


def _decode_scan(content: bytes, limit: int, max_pixels: int) -> Decoded:
    found = read_scan(content, limit=limit, max_pixels=max_pixels)
    _check_surface(found.points, found.grid[0] * found.grid[1])
    about = {"format": str(kind_of(content)).lower(), "in_file": found.seen, "dropped": 0, "triangles": 0}
    return Decoded(
        {"points": found.points, "kept": found.pixels}, {**about, "grid": list(found.grid), "pages": found.pages}
    )


def _finite(raw: Raw) -> tuple[dict[str, NDArray[Any]], int]:
    finite = np.isfinite(raw.points).all(1)
    arrays: dict[str, NDArray[Any]] = {"points": raw.points[finite], "kept": np.flatnonzero(finite)}
    if raw.colours is not None:
        arrays["colours"] = raw.colours[finite]
    return arrays, int((~finite).sum())


def _sampled(vertices: Floats, triangles: NDArray[np.int64], samples: int) -> tuple[dict[str, NDArray[Any]], int]:
    """`samples` points spread over the triangles by area: evenly over the areas in turn, by a fixed seed within each."""
    if triangles.size and not 0 <= triangles.min() <= triangles.max() < len(vertices):
        raise AssetError("has triangles between vertices that it does not hold; it is damaged, export it again")
    corners = vertices[triangles]
    usable = np.flatnonzero(np.isfinite(corners).all((1, 2)))
    corners = corners[usable]
    areas = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1) / 2
    total = areas.sum()
    if not total > 0 or not np.isfinite(total):
        raise AssetError("has no triangle with an area; export the mesh of the part's surface")
    rng = np.random.default_rng(0)
    steps = (np.arange(samples) + rng.random(samples)) / samples * total
    face = np.minimum(np.searchsorted(np.cumsum(areas), steps), len(areas) - 1)
    # uniform in a triangle (Osada et al. 2002)
    root, along = np.sqrt(rng.random(samples)), rng.random(samples)
    weights = np.stack([1 - root, root * (1 - along), root * along], axis=1)
    arrays: dict[str, NDArray[Any]] = {
        "points": np.einsum("nc,ncd->nd", weights, corners[face]),
        "kept": np.arange(samples),
        "face": usable[face],
        "vertex": triangles[usable[face], weights.argmax(1)],
    }
    return arrays, len(triangles) - len(usable)


def _check_surface(points: Floats, in_file: int) -> None:
    if len(points) < FEWEST_POINTS:
        raise AssetError(
            f"holds {len(points)} usable points of {in_file}, and a surface needs at least {FEWEST_POINTS}; export it again"
        )
    with np.errstate(over="ignore", invalid="ignore"):
        spread = np.sqrt(np.maximum(np.linalg.eigvalsh(np.nan_to_num(np.cov(points.T))), 0))
    if not np.isfinite(points).all() or np.abs(points).max() > 1e12:
        raise AssetError("has coordinates beyond 1e12; it is damaged or in a strange unit, export it again")
    if spread[1] <= 1e-6 * spread[2] or spread[2] == 0:
        shape = "in one place" if spread[2] == 0 else "on one line"
        raise AssetError(f"has all its {len(points)} points {shape}, which is no surface; export it again")


def _read_ply(content: bytes) -> Raw:
    header, body = _ply_header(content)
    elements = _ply_elements(header)
    if not {"x", "y", "z"} <= {name for name, _ in elements.get("vertex", (0, []))[1]}:
        raise AssetError("is a PLY file without vertices x, y, z; export it again")
    is_text = any(line.startswith("format ascii") for line in header)
    needed = sum(count * _least_bytes(fields, is_text) for count, fields in elements.values())
    if needed > len(content) - body + 1:
        raise _cut_off(elements["vertex"][0], needed, len(content) - body)
    lists = any(line.split()[:2] == ["property", "list"] for line in header)
    if not is_text and not lists and needed < len(content) - body:
        raise _left_over(elements["vertex"][0], needed, len(content) - body)
    if elements.get("face", (0, []))[0]:
        return _read_by_open3d(content, "ply", mesh=True)
    return _read_by_open3d(content, "ply")


def _ply_header(content: bytes) -> tuple[list[str], int]:
    end = re.search(rb"end_header\r?\n", content[:65536])
    if end is None:
        raise AssetError("is a PLY file whose header has no end; it is damaged, export it again")
    return content[: end.start()].decode("latin-1").splitlines(), end.end()


def _ply_elements(header: list[str]) -> dict[str, tuple[int, list[tuple[str, str]]]]:
    """Element -> how many, and (name, type) of its properties."""
    elements: dict[str, tuple[int, list[tuple[str, str]]]] = {}
    fields: list[tuple[str, str]] = []
    for words in (line.split() for line in header):
        if words[:1] == ["element"]:
            fields = []
            elements[words[1]] = (_count(words[2]), fields)
        elif words[:2] == ["property", "list"]:
            fields.append((words[4], words[2]))
        elif words[:1] == ["property"]:
            fields.append((words[2], words[1]))
    return elements


def _least_bytes(fields: list[tuple[str, str]], is_text: bool) -> int:
    """Of one element: a digit and a blank for each number of a text; a list may be empty."""
    return sum(2 if is_text else _SIZES.get(kind, 1) for _, kind in fields)


def _read_pcd(content: bytes) -> Raw:
    end = re.search(rb"^DATA\s+(\w+)\s*?\n", content[:65536], re.MULTILINE)
    if end is None:
        raise AssetError("is a PCD file whose header has no DATA line; it is damaged, export it again")
    lines = (line.split() for line in content[: end.start()].decode("latin-1").splitlines())
    header = {words[0]: words[1:] for words in lines if words and not words[0].startswith("#")}
    if not {"x", "y", "z"} <= set(header.get("FIELDS", [])):
        raise AssetError("is a PCD file without the fields x, y, z; export it again")
    count = max(_count(header.get("POINTS", ["0"])[0]), _pixels(header))
    counts = header.get("COUNT", ["1"] * len(header["FIELDS"]))
    stride = sum(_count(size) * _count(times) for size, times in zip(header.get("SIZE", []), counts, strict=False))
    _check_pcd_length(end.group(1), content[end.end() :], count, stride, len(header["FIELDS"]))
    return _read_by_open3d(content, "pcd")


def _pixels(header: dict[str, list[str]]) -> int:
    return _count(header.get("WIDTH", ["0"])[0]) * _count(header.get("HEIGHT", ["1"])[0])


def _check_pcd_length(encoding: bytes, body: bytes, count: int, stride: int, fields: int) -> None:
    if encoding == b"binary_compressed":
        if len(body) < 8:
            raise _cut_off(count, 8, len(body))
        packed, unpacked = (int(size) for size in np.frombuffer(body[:8], "<u4"))
        if packed > len(body) - 8 or unpacked != count * stride:
            raise _cut_off(count, packed, len(body) - 8)
        return
    needed = count * (stride if encoding == b"binary" else 2 * fields)
    if needed > len(body) + 1:
        raise _cut_off(count, needed, len(body))
    if encoding == b"binary" and body[needed:].strip(b"\0\r\n"):
        raise _left_over(count, needed, len(body))


def _read_by_open3d(content: bytes, kind: str, *, mesh: bool = False) -> Raw:
    """Open3D reads files by name only."""
    from tools.rendering.open3d_library import import_open3d

    open3d = import_open3d()
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, f"part.{kind}")
        with open(path, "wb") as file:
            file.write(content)
        found = open3d.io.read_triangle_mesh(path) if mesh else open3d.io.read_point_cloud(path, format=kind)
    points = np.asarray(found.vertices if mesh else found.points)
    if not len(points):
        raise AssetError(f"is a {kind.upper()} file from which no points could be read; it is damaged, export it again")
    triangles = np.asarray(found.triangles, dtype=np.int64) if mesh else None
    if mesh or not found.has_colors():
        return Raw(points, triangles)
    return Raw(points, triangles, np.rint(np.clip(np.asarray(found.colors), 0, 1) * 255).astype(np.uint8))


def _read_obj(content: bytes) -> Raw:
    # only what describes the shape goes on, so that no other file is opened on an OBJ's word
    lines = content.split(b"\n")
    vertices = [line for line in lines if line.startswith((b"v ", b"v\t"))]
    faces = [line for line in lines if line.startswith((b"f ", b"f\t"))]
    if faces:
        return _read_by_open3d(b"\n".join([*vertices, *faces, b""]), "obj", mesh=True)
    return Raw(_table(b"\n".join(line[2:] for line in vertices)))


def _is_stl(content: bytes, head: bytes) -> bool:
    if head.lstrip().startswith(b"solid") and b"facet" in head:
        return True
    return len(content) >= 84 and len(content) == 84 + 50 * int.from_bytes(content[80:84], "little")


def _read_stl(content: bytes) -> Raw:
    if len(content) == 84 + 50 * int.from_bytes(content[80:84], "little"):
        corners = np.frombuffer(content, _STL_RECORD, offset=84)["corners"].astype(np.float64)
    else:
        text = b"\n".join(re.findall(rb"^\s*vertex\s+(.*)$", content, re.MULTILINE))
        corners = _table(text)[:, :3]
        if len(corners) % 3 or not re.search(rb"endsolid", content[-200:]):
            raise AssetError("is an STL text that ends early; it is truncated, export it again")
        corners = corners.reshape(-1, 3, 3)
    return Raw(corners.reshape(-1, 3), np.arange(3 * len(corners)).reshape(-1, 3))


def _shape_of_points(content: bytes) -> bool:
    """Whether an npy file is a table of three to six columns of numbers, longer than wide."""
    header = npy_header(content)
    return header is not None and len(header.shape) == 2 and 3 <= header.shape[1] <= 6 and header.kind in "fiu"


def _read_npy(content: bytes) -> Raw:
    header = io.BytesIO(content)
    version = np.lib.format.read_magic(header)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(header)
    needed = int(np.prod([int(side) for side in shape], dtype=object)) * dtype.itemsize
    if needed > len(content) - header.tell():
        raise _cut_off(shape[0], needed, len(content) - header.tell())
    return Raw(np.load(io.BytesIO(content), allow_pickle=False)[:, :3].astype(np.float64))


def _text_format(head: bytes, name: str) -> str | None:
    lines = [line for line in head.replace(b"\r", b"\n").split(b"\n") if line.strip()]
    if len(head) == 4096:
        lines = lines[:-1]  # cut in its middle
    if sum(line.startswith((b"v ", b"v\t")) for line in lines) >= 3:
        return "obj"
    rows = [_numbers(line) for line in lines if not line.startswith((b"#", b"//"))]
    rows = rows[1:] if rows and len(rows[0]) == 1 else rows  # a .pts file begins with its count
    named = name.lower().endswith(_TEXT_SUFFIXES)
    if not rows or not named or not all(3 <= len(row) <= 10 for row in rows):
        return None
    return "xyz"


def _numbers(line: bytes) -> list[float]:
    try:
        return [float(word) for word in re.split(rb"[\s,;]+", line.strip())]
    except ValueError:
        return []


def _read_xyz(content: bytes) -> Raw:
    start = re.match(rb"(?:\s*(?:#|//)[^\n]*\n)*\s*\d+\s*\n", content)
    return Raw(_table(content[start.end() :] if start else content))


def _table(text: bytes) -> Floats:
    """(N, 3) float64 of the first three columns of a text of numbers."""
    import pandas as pd

    if not text.strip():
        raise AssetError("holds no points; export it again")
    if _DECIMAL_COMMAS.search(text[:65536]):
        raise AssetError("is written with decimal commas; export it with decimal points")
    plain = re.sub(rb"//[^\n]*", b"", text).translate(bytes.maketrans(b",;\t", b"   "))
    frame = pd.read_csv(
        io.BytesIO(plain), sep=r"\s+", header=None, comment="#", usecols=[0, 1, 2], dtype=np.float64, engine="c"
    )
    return np.ascontiguousarray(frame.to_numpy())


def _count(word: str) -> int:
    if not word.isdigit() or len(word) > 15:
        raise AssetError(f"has {word[:20]!r} in its header where a count belongs; it is damaged, export it again")
    return int(word)


def _cut_off(count: int, needed: int, found: int) -> AssetError:
    return AssetError(
        f"promises {count} points, which take at least {needed} bytes, but {found} bytes follow its header; "
        "it is truncated or damaged, export it again"
    )


def _left_over(count: int, needed: int, found: int) -> AssetError:
    return AssetError(
        f"promises {count} points, which take {needed} bytes, but {found} bytes follow its header; "
        "what is left over cannot be told apart from points, export it again"
    )


_READERS = {
    "ply": _read_ply,
    "pcd": _read_pcd,
    "obj": _read_obj,
    "stl": _read_stl,
    "npy": _read_npy,
    "xyz": _read_xyz,
}
