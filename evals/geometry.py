"""Benchmark over point clouds and height maps: how well parts are told apart, and where their defects are found."""

import os
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich import box
from rich.table import Table

from evals.fpfh import GeometryPeer, geometry_peers
from evals.metrics import binomial_interval, image_auroc, pixel_scores
from knowledge import RequestError
from tools import (
    ConformalCalibration,
    HeightMap,
    fit_height_map,
    fit_point_clouds,
    read_height_map,
    read_point_cloud,
)

ALPHA = 0.05
NEAR = 0.05
"""Of the part's diagonal: so near must the middle of the top finding lie to the defect's."""

FIGURES = ("object_auroc", "element_auroc", "element_ap", "aupro")
_AVERAGED = (*FIGURES, "located_share", "false_alarm", "miss", "seconds_per_part", "enrolment_seconds")
_SUFFIXES = {"depth": {".png", ".tif", ".tiff", ".npy"}, "pointcloud": {".ply", ".pcd", ".xyz", ".obj", ".stl", ".npy"}}
_HEIGHT_PER_COUNT = 1 / 256
"""Of the height maps that this reads, in pixels."""

Progress = Callable[[str, int, int], None]
Mask = NDArray[np.bool_]


class LabelledPart(NamedTuple):
    """A test part."""

    path: Path
    anomalous: bool
    truth: Path | None = None
    """A mask of the map's size, or one number for each point of the file."""


class GeometrySet(NamedTuple):
    """Parts of one product."""

    name: str
    modality: str
    """`depth` or `pointcloud`."""
    train: tuple[Path, ...]
    test: tuple[LabelledPart, ...]


class Judged(NamedTuple):
    """A test part as a detector saw it."""

    part: LabelledPart
    score: float
    values: NDArray[np.float32]
    """In the asset's own shape."""
    truth: Mask | None
    seconds: float
    """Without decoding."""
    off: float | None = None
    """From the middle of the top finding to that of the defect, as a share of the part's diagonal; `None` without."""


def run_geometry(
    source: Path, names: Sequence[str], seed: int, progress: Progress, peers: Sequence[str] = ()
) -> dict[str, Any]:
    """Every set below `depth` and `pointcloud` of a folder, or those named, and the same by each of the `peers`.

    Raises `RequestError` for sets that are not there.
    """
    rivals = geometry_peers(peers, seed)
    sets = geometry_sets(source, names)
    results = [_run_set(each, seed, progress) for each in sets]
    compared = {peer.name: [_run_peer(peer, each, progress) for each in sets] for peer in rivals}
    return {
        "protocol": {
            "alpha": ALPHA,
            "seed": seed,
            "near": f"within {NEAR:.0%} of the part's diagonal",
            "detected": "score above the highest of calibration",
            "elements": "all points; all pixels of the map, those without data among them",
            "cores": os.cpu_count(),
        },
        "sets": results,
        "macro": _macro(results),
        "peers": {name: {"sets": rows, "macro": _macro(rows)} for name, rows in compared.items()},
    }


def geometry_sets(source: Path, names: Sequence[str] = ()) -> list[GeometrySet]:
    """The sets of a folder, `depth` first; with `names` only those, by their folder or by `depth/<folder>`."""
    found = {
        f"{modality}/{folder.name}": partial(_read_set, folder, modality)
        for modality in _SUFFIXES
        for folder in sorted((source / modality).glob("*"))
        if (folder / "train" / "good").is_dir() and (folder / "test").is_dir()
    }
    chosen = [key for key in found if not names or key in names or key.partition("/")[2] in names]
    known = {name for key in found for name in (key, key.partition("/")[2])}
    strangers = [name for name in names if name not in known]
    if strangers or not chosen:
        raise RequestError(
            f"{source}: there is no set {', '.join(strangers) or 'at all'}; known are {', '.join(found) or 'none'}"
        )
    return [found[key]() for key in chosen]


def _read_set(folder: Path, modality: str) -> GeometrySet:
    train = _files(folder / "train" / "good", modality)
    test = [
        _labelled(folder, kind.name, path, modality)
        for kind in sorted((folder / "test").iterdir())
        if kind.is_dir()
        for path in _files(kind, modality)
    ]
    if not train or not test:
        raise RequestError(f"{folder}: has no {'test' if train else 'train'} parts")
    return GeometrySet(folder.name, modality, tuple(train), tuple(test))


def _files(folder: Path, modality: str) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES[modality])


def _labelled(folder: Path, kind: str, path: Path, modality: str) -> LabelledPart:
    if kind == "good":
        return LabelledPart(path, anomalous=False)
    name = f"{path.stem}_mask.png" if modality == "depth" else f"{path.stem}.npy"
    truth = folder / "ground_truth" / kind / name
    return LabelledPart(path, True, truth if truth.is_file() else None)


def _reader(path: Path, modality: str) -> Callable[[], Any]:
    if modality == "depth":
        return lambda: read_height_map(
            path.read_bytes(), path.name, per_count=_HEIGHT_PER_COUNT, pixel_size=1.0, unit="px"
        )
    return lambda: read_point_cloud(path.read_bytes(), path.name)


def _fit(modality: str) -> Callable[..., Any]:
    if modality == "depth":
        return fit_height_map
    return fit_point_clouds


def truth_of(part: LabelledPart, native: Any) -> Mask | None:
    """For each element of the asset; `None` where an anomalous part has none. Raises `RequestError` for labels of another."""
    if not part.anomalous:
        return np.zeros(_shape(native), np.bool_)
    if part.truth is None:
        return None
    try:
        truth = _labels_of(part.truth, getattr(native, "kept", None))
    except (OSError, ValueError, IndexError) as error:
        raise RequestError(f"{part.truth}: cannot be read as labels of {part.path.name} ({error})") from error
    if truth.shape != _shape(native):
        raise RequestError(f"{part.truth}: has labels of shape {truth.shape}, and {part.path.name} {_shape(native)}")
    return truth


def _labels_of(path: Path, kept: NDArray[np.int64] | None) -> Mask:
    """Of those elements of the file that were `kept`, or of all."""
    if path.suffix == ".png":
        with Image.open(path) as image:
            return np.asarray(image.convert("L")) > 0
    labels = np.load(path, allow_pickle=False)
    return np.asarray(labels if kept is None else labels[kept]) > 0


def _shape(native: Any) -> tuple[int, ...]:
    return native.heights.shape if isinstance(native, HeightMap) else (len(native.points),)


def _positions(native: Any) -> NDArray[np.float64]:
    """(N, 2 or 3) where each element is, in pixels or in units of the file."""
    if not isinstance(native, HeightMap):
        return np.asarray(native.points, np.float64)
    rows, columns = np.indices(native.heights.shape).reshape(2, -1)
    return np.column_stack([columns, rows]).astype(np.float64)


def _diagonal(native: Any, positions: NDArray[np.float64]) -> float:
    """Of the box about the elements that have data."""
    if isinstance(native, HeightMap):
        positions = positions[native.valid.ravel()]
    return float(np.linalg.norm(np.ptp(positions, axis=0)))


def _run_set(labelled: GeometrySet, seed: int, progress: Progress) -> dict[str, Any]:
    start = time.perf_counter()
    localizer = _fit(labelled.modality)([_reader(path, labelled.modality) for path in labelled.train], seed=seed)
    enrolled = time.perf_counter() - start
    judged, unlike = [], 0
    for done, part in enumerate(labelled.test):
        progress(labelled.name, done, len(labelled.test))
        native = _reader(part.path, labelled.modality)()
        start = time.perf_counter()
        found = localizer.localize(native)
        seconds = time.perf_counter() - start
        unlike += bool(found.unlike)
        truth = truth_of(part, native)
        off = _distance_of_top(localizer, native, found, truth) if part.anomalous and truth is not None else None
        judged.append(Judged(part, found.score, found.values, truth, seconds, off))
    progress(labelled.name, len(labelled.test), len(labelled.test))
    return {
        **_counts(labelled),
        **_detection(judged, labelled.modality),
        **_located(judged, localizer.calibration),
        **_rates(judged, localizer.calibration),
        "unlike_parts": unlike,
        "seconds_per_part": statistics.median(each.seconds for each in judged),
        "enrolment_seconds": enrolled,
    }


def _run_peer(peer: GeometryPeer, labelled: GeometrySet, progress: Progress) -> dict[str, Any]:
    """A peer learns from the same parts and judges the same ones; it has no calibration, and names no findings."""
    start = time.perf_counter()
    peer.fit([_reader(path, labelled.modality) for path in labelled.train])
    enrolled = time.perf_counter() - start
    judged = []
    for done, part in enumerate(labelled.test):
        progress(f"{peer.name} {labelled.name}", done, len(labelled.test))
        native = _reader(part.path, labelled.modality)()
        start = time.perf_counter()
        found = peer.judge(native)
        seconds = time.perf_counter() - start
        judged.append(Judged(part, found.score, found.values.reshape(_shape(native)), truth_of(part, native), seconds))
    progress(f"{peer.name} {labelled.name}", len(labelled.test), len(labelled.test))
    return {
        **dict.fromkeys(_AVERAGED),
        **_counts(labelled),
        **_detection(judged, labelled.modality),
        "seconds_per_part": statistics.median(each.seconds for each in judged),
        "enrolment_seconds": enrolled,
    }


def _counts(labelled: GeometrySet) -> dict[str, Any]:
    anomalous = sum(part.anomalous for part in labelled.test)
    return {
        "name": labelled.name,
        "modality": labelled.modality,
        "train": len(labelled.train),
        "test_good": len(labelled.test) - anomalous,
        "test_anomalous": anomalous,
    }


def _detection(judged: Sequence[Judged], modality: str) -> dict[str, float | None]:
    normal = [each.score for each in judged if not each.part.anomalous]
    anomalous = [each.score for each in judged if each.part.anomalous]
    # points have no grid: each stands in a column of its own, and overlap with components is not asked for
    maps = [each.values.reshape(len(each.values), -1) for each in judged if each.truth is not None]
    masks = [each.truth.reshape(len(each.truth), -1) for each in judged if each.truth is not None]
    scores = pixel_scores(maps, masks)
    return {
        "object_auroc": image_auroc(normal, anomalous),
        "element_auroc": None if scores is None else scores.auroc,
        "element_ap": None if scores is None else scores.ap,
        "aupro": None if scores is None or modality != "depth" else scores.aupro,
    }


def _highest(calibration: ConformalCalibration) -> float:
    return float(calibration.scores[-1])


def _distance_of_top(localizer: Any, native: Any, found: Any, truth: Mask) -> float | None:
    """`None` where the part is not detected, or its truth is empty."""
    limit = _highest(localizer.calibration)
    places = localizer.places(native, found.values, limit) if found.score > limit else ()
    if not places or not truth.any():
        return None
    positions = _positions(native)
    top, defect = positions[places[0].members].mean(0), positions[truth.ravel()].mean(0)
    return float(np.linalg.norm(top - defect)) / _diagonal(native, positions)


def _located(judged: Sequence[Judged], calibration: ConformalCalibration) -> dict[str, Any]:
    """Of the anomalous parts above every calibration score, those whose top finding lies where the defect is."""
    limit = _highest(calibration)
    detected = [each for each in judged if each.part.anomalous and each.score > limit]
    off = [each.off for each in detected if each.off is not None]
    false = sum(each.score > limit for each in judged if not each.part.anomalous)
    near = sum(each <= NEAR for each in off)
    return {
        "detected": len(detected),
        "false_at_highest": false,
        "located": near,
        "located_share": near / len(off) if off else None,
        "located_interval": binomial_interval(near, len(off)) if off else None,
    }


def _rates(judged: Sequence[Judged], calibration: ConformalCalibration) -> dict[str, Any]:
    """False alarms and misses, always apart; `None` where the calibration promises nothing at this alpha."""
    promise = calibration.promise(ALPHA)
    rates: dict[str, Any] = {"calibration_parts": calibration.count, "promise": promise.sentence}
    for name, anomalous in (("false_alarm", False), ("miss", True)):
        rejected = [calibration.p_value(each.score) <= ALPHA for each in judged if each.part.anomalous is anomalous]
        wrong = [each is not anomalous for each in rejected]
        rates[name] = statistics.fmean(wrong) if promise.kept and wrong else None
        rates[f"{name}_interval"] = binomial_interval(sum(wrong), len(wrong)) if promise.kept and wrong else None
    return rates


def _macro(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    means: dict[str, Any] = {"name": "macro", "sets": len(rows)}
    for key in _AVERAGED:
        known = [row[key] for row in rows if row[key] is not None]
        means[key] = statistics.fmean(known) if known else None
    return means


def geometry_table(result: dict[str, Any], *, markdown: bool) -> Table:
    """A line for each set and detector, and the macro averages."""
    columns = [
        "set",
        "detector",
        "train",
        "good + bad",
        "object AUROC",
        "AUROC",
        "AP",
        "AUPRO",
        "detected",
        "false",
        "located",
    ]
    columns += ["false alarm", "miss", "s / part", "enrolment s"]
    table = (
        Table(*columns, box=box.MARKDOWN)
        if markdown
        else Table(*columns, title="Geometry: point clouds and height maps")
    )
    detectors = {"anomalyst": result, **result["peers"]}
    for number in range(len(result["sets"])):
        for name, found in detectors.items():
            table.add_row(*_row(found["sets"][number], name))
    for name, found in detectors.items():
        figures = [_figure(found["macro"][key]) for key in FIGURES]
        macro = [_figure(found["macro"][key]) for key in ("located_share", "false_alarm", "miss", "seconds_per_part")]
        last = _figure(found["macro"]["enrolment_seconds"])
        table.add_row("macro", name, "", "", *figures, "", "", *macro, last)
    return table


def _row(row: dict[str, Any], detector: str) -> list[str]:
    located = "-" if row.get("located_share") is None else f"{row['located']} ({row['located_share']:.0%})"
    return [
        f"{row['modality']}/{row['name']}",
        detector,
        str(row["train"]),
        f"{row['test_good']} + {row['test_anomalous']}",
        *(_figure(row[key]) for key in FIGURES),
        str(row.get("detected", "-")),
        str(row.get("false_at_highest", "-")),
        located,
        *(_figure(row[key]) for key in ("false_alarm", "miss", "seconds_per_part", "enrolment_seconds")),
    ]


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
