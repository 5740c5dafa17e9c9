"""Height maps, scans, recordings and videos with labels -> folders of pictures in MVTec's layout, for `anomalyst bench`.

Kinds of pictures that the localiser of pictures was not made with: how does it do where nothing was tuned on? The views of
one scan are told by `bench --part-name '{part}_view*'`.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from evals.geometry import GeometrySet, LabelledPart, geometry_sets, truth_of
from evals.labels import NAME, labelled_bytes, read_labels
from evals.recordings import read_cases
from knowledge import InputError, RequestError
from tools import (
    PointCloud,
    Range,
    columns_of,
    draw_band,
    read_height_map,
    read_point_cloud,
    read_video,
    render_point_cloud,
)

_VIEWS = 9
"""Of a scan: from above and from eight sides, shaded."""

_SEEN = 0.25
"""A view shows a defect if it shows so much of it, in pixels, of what the view shows that shows most."""

_SAMPLES = 64
"""Of a window of a recording that becomes a plot; to learn from, another begins in the middle of each."""

_LEARNED = 100
"""Windows of a product that are learned from, at most; evenly over all."""

_PLOT = 256
"""Pixels of a plot's width, and of its height where bands of channels do not ask for more."""

_BAND = 16
"""Rows of a channel, at least."""

_MARGIN = 5
"""Frames on either side of an event's first and last that show neither kind: they were set by hand."""

_INK = (20, 20, 20)

Pixels = NDArray[np.uint8]
Mask = NDArray[np.bool_]


class _Labelled(NamedTuple):
    """A picture of a set."""

    place: str
    """Below the set's folder, without suffix, such as `train/good/000`."""
    pixels: Pixels
    """(H, W) grey or (H, W, 3)."""
    truth: Mask | None = None
    """(H, W) where it is anomalous; `None` where it is not, or only the picture as a whole is labelled."""


class Written(NamedTuple):
    """Names of the sets that were written, and of recordings that are of several products and were not."""

    sets: tuple[str, ...]
    left_out: tuple[str, ...]


def write_pictures(source: Path, target: Path) -> Written:
    """Write all sets below `depth`, `pointcloud`, `timeseries` and `video` of a folder as pictures, and say which.

    Heights are grey levels on one scale a product, black where there is no data. A scan becomes nine views by cameras
    that stand still, while parts lie as in their files; of an anomalous one those that show a quarter as much of its defect
    as the one that shows most. Of recordings of one product windows become stacked plots, in which samples beyond what was
    learned lie on the edge, and channels that never varied are left out; a window of which a part belongs to an event, but
    less than half, is left out. A video becomes its sampled frames.

    A set is there as a whole or not at all. Raises `RequestError` where there are no sets, for sets that are there already
    or called alike, recordings too short to learn from, labels that cannot be read or do not fit, and anomalous parts
    without a label or that no view shows.
    """
    recordings = {folder: _of_one_product(folder) for folder in _folders(source / "timeseries")}
    sets = [(each.name, _PICTURES_OF[each.modality](each)) for each in _geometry_sets(source)]
    sets += [(folder.name, _plots(folder)) for folder, of_one in recordings.items() if of_one]
    sets += [(folder.name, _frames(folder)) for folder in _folders(source / "video")]
    names = [name for name, _ in sets]
    if not names:
        raise RequestError(f"{source} has no sets below depth, pointcloud, timeseries or video; give a folder that has")
    for name in names:
        if names.count(name) > 1:
            raise RequestError(f"{source} has two sets called {name}; rename one")
        if (target / name).exists():
            raise RequestError(f"{target / name} is there already; give another folder")
    for name, pictures in sets:
        _write(pictures, target / name)
    return Written(tuple(names), tuple(folder.name for folder, of_one in recordings.items() if not of_one))


def _folders(folder: Path) -> list[Path]:
    """Those with labels."""
    return [labels.parent for labels in sorted(folder.glob(f"*/{NAME}"))]


def _geometry_sets(source: Path) -> list[GeometrySet]:
    given = [folder for modality in _PICTURES_OF for folder in (source / modality).glob("*/train/good")]
    return geometry_sets(source) if given else []


def _of_height_maps(labelled: GeometrySet) -> Iterator[_Labelled]:
    train = [_heights(path) for path in labelled.train]
    low, high = (pick([pick(heights[np.isfinite(heights)]) for heights in train]) for pick in (np.min, np.max))
    for part in _parts(labelled):
        found = read_height_map(part.path.read_bytes(), part.path.name)
        levels = 1 + 254 * np.clip((found.heights - low) / (high - low), 0, 1)
        truth = _truth(part, found) if part.anomalous else None
        yield _Labelled(_place(part.path), np.nan_to_num(levels).astype(np.uint8), truth)


def _truth(part: LabelledPart, native: Any) -> Mask:
    truth = truth_of(part, native)
    if truth is None:
        raise RequestError(f"{part.path}: no label says what of it is anomalous; add it below ground_truth")
    return truth


def _heights(path: Path) -> NDArray[np.float32]:
    return read_height_map(path.read_bytes(), path.name).heights


def _of_scans(labelled: GeometrySet) -> Iterator[_Labelled]:
    pose = _unturned(_cloud(labelled.train[0]).points)
    for part in _parts(labelled):
        cloud = _cloud(part.path)
        views = render_point_cloud(cloud, pose)[:_VIEWS]
        masks = _masks(part, cloud, [view.index for view in views])
        for number, (view, mask) in enumerate(zip(views, masks, strict=True)):
            if not part.anomalous or mask.any():
                yield _Labelled(
                    f"{_place_apart(part.path)}_view{number}", view.pixels, mask if part.anomalous else None
                )


def _masks(part: LabelledPart, cloud: PointCloud, views: Sequence[NDArray[np.int32]]) -> list[Mask]:
    """(H, W) where each of the views shows a defect; nowhere where it shows too little of it."""
    truth = _truth(part, cloud)
    masks = [(index >= 0) & truth[index] for index in views]
    most = max(int(mask.sum()) for mask in masks)
    if part.anomalous and not most:
        raise RequestError(f"{part.path}: no view shows any of its anomalous points; take the part out of the set")
    return [mask if mask.sum() >= _SEEN * most else np.zeros_like(mask) for mask in masks]


def _cloud(path: Path) -> PointCloud:
    return read_point_cloud(path.read_bytes(), path.name)


def _unturned(points: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """(4, 4) similarity that takes the middle of a cloud to 0 and its farthest point to a distance of 1."""
    middle = (points.min(0) + points.max(0)) / 2
    scale = 1 / np.linalg.norm(points - middle, axis=1).max()
    pose = np.diag([scale, scale, scale, 1.0])
    pose[:3, 3] = -scale * middle
    return pose


def _of_one_product(folder: Path) -> bool:
    """Which a single recording under `train/good` tells."""
    return len(list((folder / "train" / "good").glob("*.csv"))) == 1


def _plots(folder: Path) -> Iterator[_Labelled]:
    cases = list(read_cases(folder))
    learned = list({part.values.tobytes(): part.values for case in cases for part in case.train}.values())
    channels = {values.shape[1] for values in (*learned, *(case.recording.values for case in cases))}
    if len(channels) > 1:
        raise RequestError(
            f"{folder}: recordings have {min(channels)} to {max(channels)} channels; one product has the same"
        )
    ranges = _ranges(np.concatenate(learned))
    starts = [
        (number, first)
        for number, values in enumerate(learned)
        for first in range(0, len(values) - _SAMPLES + 1, _SAMPLES // 2)
    ]
    if not ranges or not starts:
        raise RequestError(
            f"{folder}: there are no {_SAMPLES} samples in a row of any channel that varies to learn from"
        )
    for number, first in starts[:: -(-len(starts) // _LEARNED)]:
        window = learned[number][first : first + _SAMPLES]
        yield _Labelled(f"train/good/{number:02}_at{first:05}", _plot(window, ranges))
    for case in cases:
        for first in range(case.judged_from, case.recording.samples - _SAMPLES + 1, _SAMPLES):
            of_window = slice(first, first + _SAMPLES)
            share = case.truth[of_window].mean()
            if share == 0 or share >= 1 / 2:
                place = f"test/{'event' if share else 'good'}/{_joined(case.name)}_at{first:05}"
                yield _Labelled(place, _plot(case.recording.values[of_window], ranges))


def _ranges(samples: NDArray[np.float64]) -> dict[int, Range]:
    """By channel; of those that vary."""
    finite = {channel: values[np.isfinite(values)] for channel, values in enumerate(samples.T)}
    return {
        channel: Range(float(values.min()), float(values.max()))
        for channel, values in finite.items()
        if len(values) and values.min() < values.max()
    }


def _plot(values: NDArray[np.float64], ranges: Mapping[int, Range]) -> Pixels:
    """(T, C) samples, a band for each channel."""
    columns, height = columns_of(0, len(values) - 1, _PLOT), max(_BAND, _PLOT // len(ranges))
    bands = [draw_band(values[:, channel], columns, height, shown, _INK) for channel, shown in ranges.items()]
    return np.concatenate(bands)


def _frames(folder: Path) -> Iterator[_Labelled]:
    for name, about in read_labels(folder / NAME).items():
        if about.train_frames is None:
            raise RequestError(f"{folder / NAME}: {name} needs train_frames")
        video = read_video(labelled_bytes(folder, name), name)
        for number, frame in zip(video.numbers, video.frames, strict=True):
            kind = _kind(int(number), about.train_frames, about.intervals)
            if kind:
                yield _Labelled(f"{kind}/{_joined(name)}_frame{number:05}", frame)


def _kind(number: int, learned: Sequence[int], events: Sequence[Sequence[int]]) -> str:
    """Where a frame belongs; nowhere beside the ends of an event."""
    if learned[0] <= number <= learned[1]:
        return "train/good"
    if any(first + _MARGIN <= number <= last - _MARGIN for first, last in events):
        return "test/event"
    beside = any(first - _MARGIN <= number <= last + _MARGIN for first, last in events)
    return "" if beside else "test/good"


_PICTURES_OF = {"depth": _of_height_maps, "pointcloud": _of_scans}
"""By modality."""


def _parts(labelled: GeometrySet) -> list[LabelledPart]:
    return [*(LabelledPart(path, anomalous=False) for path in labelled.train), *labelled.test]


def _place(path: Path) -> str:
    return "/".join(path.with_suffix("").parts[-3:])


def _place_apart(path: Path) -> str:
    """With its folders in its name, by which parts of two folders that are called alike are told."""
    place = Path(_place(path))
    return f"{place.parent}/{'-'.join(place.parts)}"


def _joined(name: str) -> str:
    """A path of the set as the name of a file, since names alone may be alike."""
    return "-".join(Path(name).with_suffix("").parts)


def _write(pictures: Iterable[_Labelled], folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as beside:
        whole = Path(beside) / folder.name
        for picture in pictures:
            _save(picture.pixels, whole / f"{picture.place}.png")
            if picture.truth is not None:
                place = picture.place.replace("test/", "ground_truth/", 1)
                _save(picture.truth.astype(np.uint8) * 255, whole / f"{place}_mask.png")
        whole.rename(folder)


def _save(pixels: Pixels, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        raise RequestError(f"two parts would both be {path.name}; rename one of the files called {path.stem}")
    Image.fromarray(pixels).save(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path, help="folder with `depth`, `pointcloud`, `timeseries` and `video`")
    parser.add_argument("target", type=Path, help="folder for the pictures")
    arguments = parser.parse_args()
    try:
        written = write_pictures(arguments.source, arguments.target)
        print(*written.sets, sep="\n")  # noqa: T201
        for name in written.left_out:
            print(f"{name}: left out, since its recordings are of several products", file=sys.stderr)  # noqa: T201
    except InputError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
