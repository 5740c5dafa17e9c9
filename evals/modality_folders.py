"""Which benchmark a folder is for: sets of pictures lie in it directly, others in folders named by their modality."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

Benchmark = Literal["geometry", "recordings", "videos"]

_FOLDERS: dict[str, Benchmark] = {
    "depth": "geometry",
    "pointcloud": "geometry",
    "timeseries": "recordings",
    "video": "videos",
}

PEERS: dict[Benchmark, tuple[str, ...]] = {
    "geometry": ("fpfh",),
    "recordings": ("iforest", "matrix_profile"),
    "videos": ("background", "mog2"),
}


class Wanted(NamedTuple):
    """A benchmark, the folder that holds its folders, and which of their sets are wanted; all where none is named."""

    benchmark: Benchmark
    root: Path
    sets: tuple[str, ...]


def benchmarks_of(source: str, sets: Sequence[str]) -> tuple[Wanted, ...]:
    """What `DIR/depth`, or a `DIR` that holds such folders, is for; nothing for sets of pictures."""
    folder = Path(source).absolute()
    if folder.name in _FOLDERS and folder.is_dir():
        named = sets or _children(folder)
        return (Wanted(_FOLDERS[folder.name], folder.parent, tuple(named)),)
    held = [name for name in _FOLDERS if (folder / name).is_dir()]
    return tuple(Wanted(benchmark, folder, tuple(sets)) for benchmark in dict.fromkeys(_FOLDERS[name] for name in held))


def _children(folder: Path) -> list[str]:
    """Names of the sets in a folder, those that have something to measure."""
    marks = ("labels.json", "test")
    return sorted(path.name for path in folder.iterdir() if any((path / mark).exists() for mark in marks))
