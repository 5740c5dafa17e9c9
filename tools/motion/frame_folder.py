"""A folder of numbered pictures as one asset: a video."""

import os
from itertools import pairwise
from pathlib import Path

from knowledge import AssetError
from tools.assets import Limits, clean_name, is_picture
from tools.decoding.frames import MOST_PICTURES, Picture, moments_of, number_of, pack

_SNIFFED = 16
_LOOKED_AT = 8
"""Files of a folder, by name, one of which is a picture where it is a video's."""


def is_frame_folder(path: Path) -> bool:
    """Whether this is a folder in which one of the first files, by name, is a picture; cheap, and decodes nothing."""
    try:
        names = sorted(entry.name for entry in os.scandir(path) if entry.is_file(follow_symlinks=False))
        shown = [name for name in names if not name.startswith(".")][:_LOOKED_AT]
        return any(is_picture(_read(path / name, _SNIFFED)) for name in shown)
    except OSError:
        return False


def pack_folder(path: Path, limits: Limits) -> bytes:
    """The pictures of a folder in the order of their times or numbers, as one file that `read_frames` reads.

    Raises:
        AssetError: if it holds anything but pictures that can be put in order, too few, too many or too much of them.
    """
    shown = clean_name(str(path))
    try:
        return pack(_pictures(path, limits))
    except AssetError as error:
        raise AssetError(f"{shown}: {error}") from error
    except OSError as error:
        raise AssetError(f"{shown}: cannot be read ({error.strerror or error})") from error


def _pictures(folder: Path, limits: Limits) -> list[Picture]:
    pictures = []
    left = limits.max_bytes
    for name in _in_order(_names(folder)):
        content = _read(folder / name, left + 1)
        left -= len(content)
        if left < 0:
            raise AssetError(
                f"its pictures are larger than {limits.max_bytes} bytes together; give fewer or smaller ones"
            )
        if not is_picture(content):
            raise AssetError(
                f"{clean_name(name)} is no picture; keep nothing but the pictures of one video in the folder"
            )
        pictures.append(Picture(clean_name(name), content))
    return pictures


def _names(folder: Path) -> list[str]:
    entries = [entry for entry in os.scandir(folder) if not entry.name.startswith(".")]
    for entry in entries:
        if not entry.is_file(follow_symlinks=False):
            raise AssetError(f"{clean_name(entry.name)} is no regular file; keep nothing but pictures in the folder")
    if not 2 <= len(entries) <= MOST_PICTURES:
        raise AssetError(f"holds {len(entries)} files; a video has 2 to {MOST_PICTURES} pictures")
    return [entry.name for entry in entries]


def _in_order(names: list[str]) -> list[str]:
    """By the times in the names where all have one of their own, else by number."""
    moments = moments_of(names)
    if moments is None or len(set(moments)) < len(names):
        return _by_number(names)
    return [name for _, name in sorted(zip(moments, names, strict=True))]


def _by_number(names: list[str]) -> list[str]:
    numbered = sorted((number_of(name), name) for name in names)
    for (number, name), (following, other) in pairwise(numbered):
        if number == following:
            raise AssetError(f"{clean_name(name)} and {clean_name(other)} have the same number; give each its own")
    return [name for _, name in numbered]


def _read(path: Path, most: int) -> bytes:
    """The first bytes of a file that is no link, even where one was put in its place just now."""
    with os.fdopen(os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0)), "rb") as file:
        return file.read(most)
