"""Folders of labelled sets by modality: image, depth, pointcloud, timeseries, video."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from evals.cases import Place
from evals.converters.layout import (
    GOOD,
    Known,
    Layout,
    Notes,
    Part,
    Truth,
    folder_given,
    kinds_of,
    listed_inside,
    named_inside,
    nothing_more,
    product_of,
    slug,
    type_of,
)
from evals.converters.masks import NO_MASK, labelled_place, masked_place
from evals.converters.mvtec import read_mvtec
from evals.labels import NAME, FileLabels, read_labels
from knowledge import AssetError, Modality, RequestError
from tools import read_recording

FOLDERS = ("image", "depth", "pointcloud", "timeseries", "video")
_GEOMETRY: dict[str, Modality] = {"depth": "depth", "pointcloud": "point_cloud"}
_LABELS = ("anomaly", "changepoint")
"""Columns of recordings that hold the truth, which no detector may see."""
_WHAT = "folders named image, depth, pointcloud, timeseries or video, one of them, or one of their sets"


def read_modality_sets(source: Path, seed: int, notes: Notes) -> Layout:
    """Every set below a folder of modalities, of one modality, or one set."""
    folder_given(source, _WHAT)
    given = source.absolute()
    root, only = _root_of(given)
    layouts = [_of_modality(root, name, only, seed, notes) for name in FOLDERS if _wanted(root, given, name)]
    if not any(layout.parts for layout in layouts):
        raise RequestError(f"{source}: holds no labelled set; expected {_WHAT}")
    layouts = _told_apart(layouts)
    products = tuple(product for layout in layouts for product in layout.products)
    parts = tuple(part for layout in layouts for part in layout.parts)
    return Layout(slug(given.name), products, parts)


def _told_apart(layouts: Sequence[Layout]) -> list[Layout]:
    """Sets of one name in two modalities are products of two names."""
    names = [known.product.name for layout in layouts for known in layout.products]
    return [_renamed(layout, {name for name in names if names.count(name) > 1}) for layout in layouts]


def _renamed(layout: Layout, shared: set[str]) -> Layout:
    def own(name: str) -> str:
        return slug(f"{layout.name}_{name}") if name in shared else name

    products = (
        known._replace(product=known.product.model_copy(update={"name": own(known.product.name)}))
        for known in layout.products
    )
    parts = (part._replace(product=own(part.product)) for part in layout.parts)
    return Layout(layout.name, tuple(products), tuple(parts))


def _root_of(given: Path) -> tuple[Path, str]:
    """The folder of the modalities, and the one set that is wanted; empty for all of them."""
    if given.name in FOLDERS:
        return given.parent, ""
    if given.parent.name in FOLDERS and not any((given / name).is_dir() for name in FOLDERS):
        return given.parents[1], given.name
    return given, ""


def _wanted(root: Path, given: Path, name: str) -> bool:
    return (root / name).is_dir() and (given == root or given.is_relative_to(root / name))


def _of_modality(root: Path, name: str, only: str, seed: int, notes: Notes) -> Layout:
    if name == "image":
        folder = root / name / only
        pictures = read_mvtec(folder, seed, notes) if any(folder.glob("**/train/good")) else Layout(name, (), ())
        return pictures._replace(name=name)
    if name in _GEOMETRY:
        return _geometry(root, name, only)
    read = _recordings if name == "timeseries" else _videos
    homes = [path.parent for path in sorted((root / name).glob(f"*/{NAME}")) if only in ("", path.parent.name)]
    found = [read(home, read_labels(home / NAME), notes) for home in homes]
    return Layout(
        name, tuple(p for each in found for p in each.products), tuple(p for each in found for p in each.parts)
    )


# -- height maps and scans -------------------------------------------------------------------------------------------


def _geometry(root: Path, name: str, only: str) -> Layout:
    from evals.geometry import LabelledPart, geometry_sets

    def part(home: Path, each: LabelledPart) -> Part:
        kind = each.path.parent.name
        listed_inside(root, each.path)
        truth = partial(_geometry_truth, name, each.truth, each.path, type_of(kind))
        return Part(
            product=slug(home.name),
            name=f"{kind}/{each.path.stem}",
            assets=(each.path,),
            anomalous=each.anomalous,
            kind=kind,
            truth=truth if each.anomalous else nothing_more,
            tags=(home.name, kind, _GEOMETRY[name]),
        )

    if not any((home / "train" / GOOD).is_dir() for home in (root / name).glob(only or "*")):
        return Layout(name, (), ())
    parts: list[Part] = []
    products = []
    for each in geometry_sets(root, [f"{name}/{only}"] if only else []):
        home = root / name / each.name
        if each.modality != name:
            continue
        own = [part(home, labelled) for labelled in each.test]
        types = kinds_of(own).get(slug(each.name), ())
        products.append(Known(product_of(each.name, _GEOMETRY[name], types), good=(home / "train" / GOOD,)))
        parts += own
    return Layout(name, tuple(products), tuple(parts))


def _geometry_truth(name: str, truth: Path | None, asset: Path, defect_type: str | None, notes: Notes) -> Truth:
    if truth is None:
        notes.add(NO_MASK, asset)
        return Truth((), defect_type)
    place = (masked_place if name == "depth" else labelled_place)(truth, asset, notes)
    return Truth(() if place is None else (place,), defect_type)


# -- recordings and videos -------------------------------------------------------------------------------------------


def _recordings(home: Path, labels: dict[str, FileLabels], notes: Notes) -> Layout:
    """Files that bring their own rows or file to learn from are products of their own: they come of other sensors."""
    parts, products = [], {}
    for name, about in labels.items():
        path = _file(home, name, notes)
        if path is None:
            continue
        own = about.train_rows is not None or about.train_file is not None
        product = product_of(f"{home.name}_{path.stem}" if own else home.name, "time_series")
        product = product.model_copy(update={"ignored_columns": _LABELS})
        products[product.name] = _learned(product, home, path, about)
        kind = path.parent.name if path.parent.name not in ("test", home.name) else _kind(about)
        parts.append(_over_time(product.name, home, path, about, kind, partial(_seconds_of_rows, path, about, kind)))
    return Layout(home.name, tuple(products.values()), tuple(parts))


def _kind(about: FileLabels) -> str:
    return "anomaly" if about.intervals else GOOD


def _learned(product: Any, home: Path, path: Path, about: FileLabels) -> Known:
    if about.train_rows is not None:
        return Known(product, cut=partial(_cut_rows, path, about.train_rows))
    if about.train_file is None:
        return Known(product, good=(home / "train" / GOOD,))
    file = named_inside(home, about.train_file, f"{home / NAME}: train_file")
    if file is None:
        raise RequestError(f"{home / NAME}: train_file {about.train_file!r} is not there")
    return Known(product, good_files=(file,))


def _over_time(product: str, home: Path, path: Path, about: FileLabels, kind: str, truth: Any) -> Part:
    return Part(
        product=product,
        name=f"{kind}/{path.stem}",
        assets=(path,),
        anomalous=bool(about.intervals),
        kind=kind,
        truth=truth if about.intervals else nothing_more,
        tags=(home.name, kind, "time_series" if about.fps is None else "video"),
    )


def _file(home: Path, name: str, notes: Notes) -> Path | None:
    path = named_inside(home, name, f"{home / NAME}: files")
    if path is None or not path.is_file():
        notes.add("a file of labels.json that is not there, which is left out", home / name)
        return None
    return path


def _seconds_of_rows(path: Path, about: FileLabels, kind: str, notes: Notes) -> Truth:
    """By the recording's own clock; the same clock counts rows where the file has no times."""
    defect_type = type_of(kind)
    try:
        recording = read_recording(path.read_bytes(), path.name, ignore=_LABELS)
    except (AssetError, OSError) as error:
        notes.add(f"a recording that cannot be read, so that its places are unknown ({error})", path)
        return Truth((), defect_type)
    rows = np.arange(recording.samples) if recording.rows is None else recording.rows
    if not recording.timed:
        notes.add("a recording without times, of whose places the seconds are numbers of rows", path)
    places = []
    for first, last in about.intervals:
        inside = np.flatnonzero((rows >= first) & (rows <= last))
        if first < 0 or last > rows[-1] or not len(inside):
            notes.add("an interval that its recording does not have, which is left out", path)
        else:
            places.append(Place(seconds=(float(recording.times[inside[0]]), float(recording.times[inside[-1]]))))
    return Truth(tuple(places), defect_type)


def _cut_rows(path: Path, rows: Sequence[int], folder: Path) -> None:
    """The rows of a recording that are known to be normal, as a recording of its own."""
    lines = path.read_bytes().splitlines(keepends=True)
    (folder / path.name).write_bytes(lines[0] + b"".join(lines[1 + rows[0] : 2 + rows[1]]))


def _videos(home: Path, labels: dict[str, FileLabels], notes: Notes) -> Layout:
    parts, products = [], []
    for name, about in labels.items():
        path = _file(home, name, notes)
        if path is None:
            continue
        if about.fps is None or about.train_frames is None or about.train_frames[0] != 0:
            raise RequestError(f"{home / NAME}: {name} needs fps, and train_frames that begin with 0")
        product = product_of(f"{home.name}_{path.stem}" if len(labels) > 1 else home.name, "video")
        products.append(Known(product, cut=partial(_cut_frames, path, about.train_frames[1])))
        truth = partial(_seconds_of_frames, about.intervals, about.fps)
        parts.append(_over_time(product.name, home, path, about, _kind(about), truth))
    return Layout(home.name, tuple(products), tuple(parts))


def _seconds_of_frames(intervals: tuple[tuple[int, int], ...], fps: float, notes: Notes) -> Truth:
    del notes
    return Truth(tuple(Place(seconds=(first / fps, last / fps)) for first, last in intervals))


def _cut_frames(path: Path, last: int, folder: Path) -> None:
    """The beginning of a video, its packets as they are, so that no picture changes; about `last` frames of it."""
    import av

    try:
        with av.open(str(path)) as video, av.open(str(folder / f"{path.stem}.mp4"), "w") as cut:
            taken = video.streams.video[0]
            written = cut.add_stream_from_template(taken)
            for number, packet in enumerate(packet for packet in video.demux(taken) if packet.dts is not None):
                if number > last:
                    return
                packet.stream = written
                cut.mux(packet)
    except (av.error.FFmpegError, IndexError) as error:
        raise RequestError(f"{path}: the frames to learn from cannot be cut out of it ({error})") from error
