"""The same parts, farther away: a copy of MVTec-style folders whose pictures lie on an even ground of twice their sides.

What a detector says of a part should not hang on how much ground was photographed around it.
"""

import argparse
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from evals.datasets import LabelledSet, read_distinct
from knowledge import InputError, RequestError
from tools import load_image

_TIMES = 2
"""Sides of the copy, in sides of the picture."""

_OFF_CENTRE = 0.06
"""Sides of a picture by which it lies off the centre at most: parts are not put down all alike."""

_NOISE = 1.5
"""Standard deviation of a camera's noise on the ground, in grey levels of 255."""

_LEVELS = (12, 128, 235)
"""Grey levels of the ground: dark, middle and light, in turn."""


class _Place(NamedTuple):
    """Where a picture lies on its ground."""

    top: int
    left: int

    def on(self, ground: NDArray[np.uint8], picture: NDArray[np.uint8]) -> Image.Image:
        height, width = picture.shape[:2]
        ground[self.top : self.top + height, self.left : self.left + width] = picture
        return Image.fromarray(ground)


def write_farther(source: Path, target: Path, names: list[str]) -> list[str]:
    """Write copies of the sets of that name, or of all, and say which; the same names give the same pictures.

    Raises `RequestError` for what is not there or is there already, and for a set that is laid out otherwise or whose truth
    is not given by masks of its pictures' sizes.
    """
    sets = read_distinct(str(source), names, 0)  # On grounds of their own nobody would know copies for copies.
    for labelled in sets:
        _require_masks(labelled, source)
        if (target / labelled.name).exists():
            raise RequestError(f"{target / labelled.name} is there already; give another folder")
    for number, labelled in enumerate(sets):
        level = _LEVELS[number % len(_LEVELS)]
        for path in (*labelled.train, *labelled.held_out):
            _write(path, source, target, level)
        for image in labelled.test:
            place = _write(image.path, source, target, level)
            if image.mask is not None:
                _write_mask(image.mask, source, target, place)
    return [labelled.name for labelled in sets]


def _require_masks(labelled: LabelledSet, source: Path) -> None:
    if not (source / labelled.name / "train").is_dir():
        raise RequestError(f"{labelled.name} is not laid out as MVTec's sets are")
    for image in labelled.test:
        if image.anomalous and image.mask is None:
            raise RequestError(f"{labelled.name}: only masks can be moved with a picture; name other sets")
        if image.mask is not None and _size(image.mask) != _size(image.path):
            raise RequestError(f"{image.mask} has another size than its picture; name other sets")


def _size(path: Path) -> tuple[int, int]:
    try:
        with Image.open(path) as picture:
            picture.load()
            return picture.size
    except OSError as error:
        raise RequestError(f"{path} cannot be read as a picture ({error})") from error


def _write(path: Path, source: Path, target: Path, level: int) -> _Place:
    picture, relative = load_image(path).pixels, path.relative_to(source)
    height, width = picture.shape[:2]
    random = np.random.default_rng(zlib.crc32(relative.as_posix().encode()))
    spare, off = (_TIMES - 1) / 2, random.uniform(-_OFF_CENTRE, _OFF_CENTRE, 2)
    place = _Place(round((spare + off[0]) * height), round((spare + off[1]) * width))
    ground = level + random.normal(0, _NOISE, (_TIMES * height, _TIMES * width, 3))
    _save(place.on(np.clip(ground, 0, 255).astype(np.uint8), picture), target / relative)
    return place


def _write_mask(path: Path, source: Path, target: Path, place: _Place) -> None:
    mask = np.asarray(Image.open(path).convert("L"))
    ground = np.zeros((_TIMES * mask.shape[0], _TIMES * mask.shape[1]), np.uint8)
    _save(place.on(ground, mask), target / path.relative_to(source))


def _save(picture: Image.Image, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.with_suffix(".png").open("xb") as file:
            picture.save(file, "PNG")
    except FileExistsError as error:
        raise RequestError(f"{path}: another picture beside it has that name but for its suffix; rename one") from error


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path, help="folder of MVTec-style sets")
    parser.add_argument("target", type=Path, help="folder for the copies")
    parser.add_argument("sets", nargs="*", help="their names, else all")
    arguments = parser.parse_args()
    try:
        print(*write_farther(arguments.source, arguments.target, arguments.sets), sep="\n")  # noqa: T201
    except InputError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
