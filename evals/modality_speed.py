"""What large assets of every modality cost, beside goals. Run as `python -m evals.modality_speed [--json] [--small]`.

Assets are painted by formula. Every measurement runs in a process of its own, so that its peak memory is its own;
learning runs in another one before, but for pictures.
"""

import argparse
import io
import json
import multiprocessing
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from evals.large_pictures import PictureCost, picture_cost
from knowledge import Modality, Product
from tools import Limits, kit_of, load_fitted, save_fitted

T = TypeVar("T")
Floats = NDArray[np.float64]

GIGABYTE = 1000.0
"""In MB, as all memory here."""

MOST_FORWARD_PASSES = 1.3
"""What localising a picture is to cost at most."""

_VIEWS = 9
_TIMED = 3
_RATE = 25
_CYCLE = 50
"""Frames after which the painted belt is where it was, so that they are encoded once and written again and again."""
_STATUS = "/proc/{}/status"
_PRELOADED = ("evals.geometry", "evals.large_pictures", "evals.recordings", "evals.videos")
"""What imports all that the measured instruments need, which takes seconds: once for all processes."""


class Sizes(NamedTuple):
    """Of the assets."""

    points: int = 200_000
    samples: int = 100_000
    channels: int = 8
    cycles: int = 300
    """Of the video, two seconds each."""
    normal_cycles: int = 10
    frame: tuple[int, int] = (720, 1280)
    map_side: int = 1000
    picture_sides: tuple[int, ...] = (1000, 2000, 4000)


SMALL = Sizes(1500, 1000, 3, 2, 2, (96, 160), 64, (64, 128))


class Cost(NamedTuple):
    """Of one asset in a process of its own, which has loaded what it needs before."""

    read: float
    """Seconds."""
    localize: float
    render: float
    own_mb: float
    """Most memory of this process beyond that at its start, of reading and localising."""
    worker_mb: float | None
    """Most memory of the process that decodes, its libraries included; None where the system does not say."""
    doubts: tuple[str, ...]
    """Why less than the whole asset was read."""


class Line(NamedTuple):
    """A figure beside its goal."""

    what: str
    unit: str
    seen: float
    goal: float | None = None

    def about(self) -> dict[str, Any]:
        """Plain values."""
        ratio = None if self.goal is None else round(self.seen / self.goal, 3)
        return {**self._asdict(), "seen": round(self.seen, 3), "ratio": ratio}


def measure(sizes: Sizes) -> dict[str, Any]:
    """All lines, and what else ran on the machine meanwhile."""
    before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        learning = {modality: _alone(_learn, folder / modality, modality, sizes) for modality in _WRITERS}
        views, seconds = _alone(_render_cloud, folder / "point_cloud")
        costs = {modality: _alone(_localize, folder / modality, modality) for modality in _WRITERS}
        pictures = {side: _alone(picture_cost, side) for side in sizes.picture_sides}
    return {
        "lines": [line.about() for line in (*_lines(sizes, learning, views, seconds, costs), *_of_pictures(pictures))],
        "doubts": [doubt for cost in costs.values() for doubt in cost.doubts],
        "cores": os.cpu_count(),
        "threads": os.environ.get("OMP_NUM_THREADS", "all"),
        "load_before_and_after": [round(before, 2), round(os.getloadavg()[0], 2)],
    }


def _lines(
    sizes: Sizes, learning: dict[Modality, float], views: int, seconds: float, costs: dict[Modality, Cost]
) -> list[Line]:
    cloud, recording, video, depth = (costs[name] for name in ("point_cloud", "time_series", "video", "depth"))
    points, length = f"{sizes.points:,} points", f"{sizes.cycles * _CYCLE / _RATE:g} s of video"
    samples = f"{sizes.samples:,} x {sizes.channels} samples"
    pixels = f"height map, {sizes.map_side**2 / 1e6:g} Mpx"
    found = [
        Line(f"{points}: {_VIEWS} views, and {views - _VIEWS} more", "s", seconds, 1.0),
        Line(f"{samples}: render and localise", "s", recording.render + recording.localize, 20.0),
        Line(f"{samples}: learn", "s", learning["time_series"]),
        Line(f"{length}: read", "s", video.read),
        Line(f"{length}: localise", "s", video.localize),
        Line(f"{length}: render", "s", video.render),
        Line(f"{length}: peak beyond start", "MB", video.own_mb, GIGABYTE),
        Line(f"{points}: localise", "s", cloud.localize),
        Line(f"{points}: peak beyond start", "MB", cloud.own_mb),
        Line(f"{pixels}: localise", "s", depth.localize),
        Line(f"{pixels}: peak beyond start", "MB", depth.own_mb),
    ]
    if video.worker_mb is not None:
        found.insert(7, Line(f"{length}: peak of the decoding process", "MB", video.worker_mb, GIGABYTE))
    return found


def _of_pictures(costs: dict[int, PictureCost]) -> list[Line]:
    return [
        Line(f"picture, {side**2 / 1e6:g} Mpx: localise", "s", cost.seconds, MOST_FORWARD_PASSES * cost.forward)
        for side, cost in costs.items()
    ]


def _alone(work: Callable[..., T], *given: Any) -> T:
    """What `work` gives in a process of its own, forked from one that holds nothing but libraries."""
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(list(_PRELOADED))
    with ProcessPoolExecutor(1, mp_context=processes) as process:
        return process.submit(work, *given).result()


def _learn(folder: Path, modality: Modality, sizes: Sizes) -> float:
    """Write the asset and normal ones, learn from these, and keep what was learned; seconds of learning."""
    folder.mkdir()
    paths = _WRITERS[modality](folder, sizes)
    kit, product = kit_of(modality), _product(modality)
    parts = [lambda path=path: kit.read(path.read_bytes(), path.name, product, Limits()) for path in paths]
    start = time.perf_counter()
    localizer = kit.fit(parts)
    seconds = time.perf_counter() - start
    save_fitted(folder, modality, 0, localizer.tensors(), localizer.about())
    return seconds


def _render_cloud(folder: Path) -> tuple[int, float]:
    """How many views there are of the cloud, and median seconds of rendering them all, each time from a fresh one."""
    seconds, views = [], 0
    for _ in range(_TIMED):
        cloud = _read(folder, "point_cloud")
        start = time.perf_counter()
        views = len(kit_of("point_cloud").render(cloud, None))
        seconds.append(time.perf_counter() - start)
    return views, statistics.median(seconds)


def _localize(folder: Path, modality: Modality) -> Cost:
    kit = kit_of(modality)
    localizer = kit.of_fitted(load_fitted(folder, modality, 0))
    at_start = _memory_mb("VmRSS")
    laps = [time.perf_counter()]
    native = _read(folder, modality)
    laps.append(time.perf_counter())
    localizer.localize(native)
    laps.append(time.perf_counter())
    own, worker = _memory_mb("VmHWM") - at_start, _worker_mb()
    kit.render(native, localizer)
    laps.append(time.perf_counter())
    read, localize, render = np.diff(laps).tolist()
    return Cost(read, localize, render, own, worker, tuple(getattr(native, "doubts", ())))


def _read(folder: Path, modality: Modality) -> Any:
    path = next(folder.glob(f"{modality}.*"))
    return kit_of(modality).read(path.read_bytes(), path.name, _product(modality), Limits())


def _product(modality: Modality) -> Product:
    rate = 100.0 if modality == "time_series" else None
    return Product(name="large", description="painted by formula", modality=(modality,), sample_rate=rate)


def _memory_mb(field: str) -> float:
    """`VmRSS` now or `VmHWM` at most, of this process.

    What `getrusage` says counts the memory of whoever started the process as well, so it is asked only where there is
    nothing better.
    """
    try:
        return _status_mb(os.getpid(), field)
    except OSError:
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most / 1e6 if sys.platform == "darwin" else most * 1024 / 1e6


def _worker_mb() -> float | None:
    """Of the process that decodes, which is the only one that this one has started."""
    mine = f"PPid:\t{os.getpid()}\n"
    children = [path.parent.name for path in Path("/proc").glob("[0-9]*/status") if mine in _text(path)]
    return max((_status_mb(int(child), "VmHWM") for child in children), default=None)


def _status_mb(process: int, field: str) -> float:
    lines = Path(_STATUS.format(process)).read_text().splitlines()
    kilobytes = next(line.split()[1] for line in lines if line.startswith(f"{field}:"))
    return int(kilobytes) * 1024 / 1e6


def _text(path: Path) -> str:
    """Nothing of a process that has ended meanwhile."""
    try:
        return path.read_text()
    except OSError:
        return ""


def _write_clouds(folder: Path, sizes: Sizes) -> list[Path]:
    normal = [_saved(folder / f"normal{seed}.npy", _plate(seed, sizes.points)) for seed in range(3)]
    points = _plate(9, sizes.points)
    away = np.linalg.norm(points[:, :2] - [28, 12], axis=1)
    points[:, 2] += 1.5 * np.exp(-((away / 1.5) ** 2))
    _saved(folder / "point_cloud.npy", points)
    return normal


def _plate(seed: int, count: int) -> Floats:
    """(count, 3): a plate of 40 x 20 with a step and a wall on it, noisy, slightly turned."""
    random = np.random.default_rng(seed)
    points = np.column_stack([random.uniform([0, 0], [40, 20], (count, 2)), np.zeros(count)])
    points[(points[:, 0] < 10) & (points[:, 1] < 8), 2] = 6.0
    wall = random.random(count) < 0.08
    points[wall] = np.column_stack([points[wall, 0] / 4, np.full(wall.sum(), 8.0), random.uniform(0, 6, wall.sum())])
    angle = random.normal(0, 0.1)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    return np.asarray((points + random.normal(0, 0.02, points.shape)) @ turn.T)


def _write_recordings(folder: Path, sizes: Sizes) -> list[Path]:
    normal = _saved(folder / "normal.npy", _channels(0, sizes))
    recorded = _channels(1, sizes)
    recorded[sizes.samples // 2 : sizes.samples // 2 + 100, 0] += 3.0
    _saved(folder / "time_series.npy", recorded)
    return [normal]


def _channels(seed: int, sizes: Sizes) -> Floats:
    """(T, C): each channel two waves of its own, and noise."""
    random = np.random.default_rng(seed)
    times = np.arange(sizes.samples)[:, None] / 100.0
    own = 1 + np.arange(sizes.channels) / 7
    waves = np.sin(2 * np.pi * own * times) + 0.5 * np.sin(0.3 * own * times + seed)
    return np.asarray(waves + random.normal(0, 0.1, waves.shape))


def _write_maps(folder: Path, sizes: Sizes) -> list[Path]:
    normal = [_saved(folder / f"normal{seed}.npy", _relief(seed, sizes.map_side)) for seed in range(3)]
    heights = _relief(9, sizes.map_side)
    middle = slice(sizes.map_side // 2, sizes.map_side // 2 + 12)
    heights[middle, middle] += 3.0
    _saved(folder / "depth.npy", heights)
    return normal


def _relief(seed: int, side: int) -> NDArray[np.float32]:
    """(side, side): a tilted plate with bosses, noisy."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side] / side
    bosses = 4.0 * np.maximum(np.sin(9 * x + 1) * np.sin(7 * y), 0)
    heights = bosses + random.normal(0, 0.3) * x + 0.05 * random.normal(size=(side, side))
    return np.asarray(heights, np.float32)


def _write_videos(folder: Path, sizes: Sizes) -> list[Path]:
    normal = [_write_belt(folder / f"normal{seed}.mp4", seed, sizes.frame, sizes.normal_cycles) for seed in range(2)]
    _write_belt(folder / "video.mp4", 9, sizes.frame, sizes.cycles)
    return normal


def _write_belt(path: Path, seed: int, frame: tuple[int, int], cycles: int) -> Path:
    """Encode one cycle that needs no earlier frame, and write it as often as wanted."""
    import av

    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("h264", rate=_RATE)
        stream.height, stream.width = frame
        stream.codec_context.gop_size, stream.codec_context.max_b_frames = _CYCLE, 0
        painted = (av.VideoFrame.from_ndarray(picture, format="gray") for picture in _belt(seed, frame))
        packets = [packet for picture in painted for packet in stream.encode(picture.reformat(format="yuv420p"))]
        packets += stream.encode()
        for number in range(cycles * len(packets)):
            packet: Any = av.Packet(bytes(packets[number % len(packets)]))
            packet.stream, packet.time_base, packet.is_keyframe = stream, Fraction(1, _RATE), number % _CYCLE == 0
            packet.pts = packet.dts = number
            container.mux(packet)
    return path


def _belt(seed: int, frame: tuple[int, int]) -> Sequence[NDArray[np.uint8]]:
    """Grey pictures of parts on a belt that moves by one part in a cycle; a camera's noise."""
    random = np.random.default_rng(seed)
    height, width = frame
    rows, columns = np.arange(height)[:, None] / height, np.arange(width) / width
    pictures = []
    for number in range(_CYCLE):
        on_part = ((columns * 3 - number / _CYCLE) % 1 < 0.4) & (abs(rows - 0.5) < 0.2)
        picture = np.where(on_part, 190.0, 90.0 + 40 * (abs(rows - 0.5) < 0.3)) + 10 * columns
        pictures.append(np.clip(picture + random.normal(0, 2, frame), 0, 255).astype(np.uint8))
    return pictures


def _saved(path: Path, array: NDArray[Any]) -> Path:
    content = io.BytesIO()
    np.save(content, array)
    path.write_bytes(content.getvalue())
    return path


_WRITERS: dict[Modality, Callable[[Path, Sizes], list[Path]]] = {
    "point_cloud": _write_clouds,
    "time_series": _write_recordings,
    "video": _write_videos,
    "depth": _write_maps,
}


def speed_table(result: dict[str, Any]) -> Table:
    """A line a figure."""
    table = Table("what", "goal", "seen", "ratio", title="Large assets")
    for line in result["lines"]:
        goal = "-" if line["goal"] is None else f"{line['goal']:.4g} {line['unit']}"
        ratio = "-" if line["ratio"] is None else f"{line['ratio']:.2f}"
        table.add_row(line["what"], goal, f"{line['seen']:.4g} {line['unit']}", ratio)
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON only")
    parser.add_argument("--small", action="store_true", help="small assets, to see that all runs")
    arguments = parser.parse_args()
    result = measure(SMALL if arguments.small else Sizes())
    if arguments.json:
        print(json.dumps({"modality_speed": result}))  # noqa: T201
        return
    console = Console()
    console.print(speed_table(result))
    for doubt in result["doubts"]:
        console.print(f"not all was measured: {doubt}")
    before, after = result["load_before_and_after"]
    console.print(f"{result['cores']} cores, {result['threads']} threads; load {before:g} before, {after:g} after")


if __name__ == "__main__":
    main()
