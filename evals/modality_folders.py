"""Which benchmark a folder is for: sets of pictures lie in it directly, others in folders named by their modality."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from knowledge import RequestError

Benchmark = Literal["geometry", "recordings", "videos"]

_FOLDERS: dict[str, Benchmark] = {
    "depth": "geometry",
    "pointcloud": "geometry",
    "timeseries": "recordings",
    "video": "videos",
}

_SIMULATED = {"video": ("conveyor",)}
"""Sets that are made when they are asked for."""

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
    """What `DIR/depth`, or a `DIR` that holds such folders, is for; nothing for sets of pictures.

    Raises `RequestError` for a set that is in none of the folders.
    """
    folder = Path(source).absolute()
    if folder.name in _FOLDERS and folder.is_dir():
        root, held = folder.parent, [folder.name]
    else:
        root, held = folder, [name for name in _FOLDERS if (folder / name).is_dir()]
    inside = {name: [*_children(root / name), *_SIMULATED.get(name, ())] for name in held}
    if held and (strangers := [each for each in sets if not any(_is_in(each, name, inside[name]) for name in held)]):
        known = ", ".join(each for name in held for each in inside[name])
        raise RequestError(f"{source}: there is no set {strangers[0]!r}; known are {known}")
    found = []
    for benchmark in dict.fromkeys(_FOLDERS[name] for name in held):
        names = [name for name in held if _FOLDERS[name] == benchmark]
        wanted = [each for name in names for each in sets or _children(root / name) if _is_in(each, name, inside[name])]
        if wanted:
            found.append(Wanted(benchmark, root, tuple(dict.fromkeys(wanted))))
    return tuple(found)


def _is_in(name: str, folder: str, sets: Sequence[str]) -> bool:
    return name in sets or name.removeprefix(f"{folder}/") in sets


def _children(folder: Path) -> list[str]:
    """Names of the sets in a folder, those that have something to measure."""
    marks = ("labels.json", "test")
    return sorted(path.name for path in folder.iterdir() if any((path / mark).exists() for mark in marks))
