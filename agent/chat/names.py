"""Names of files in what a person says: which inspection they mean, and how models are told of it without them."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tools import clean_name

_SUFFIX_WORDS = """
png jpg jpeg tif tiff bmp webp gif jp2 heic svg pdf npy npz ply pcd xyz pts obj stl off las laz e57 glb gltf csv tsv txt
json parquet feather arrow wav h5 hdf5 mat tdms xls xlsx mp4 m4v avi mov mkv webm wmv mpg mpeg ts zip bin frames
"""
_SUFFIXES = frozenset(_SUFFIX_WORDS.split())
_AROUND = "\"'“”‘’«»()[]{}<>,;:!?`*"
_LONGEST = 300
"""Letters of a word that may be a file's name."""

Inspections = Sequence[Mapping[str, Any]]


def inspection_named(text: str, inspections: Inspections) -> int | None:
    """Number of the last inspection one of whose files is named."""
    said = text.lower()
    found = [each["number"] for each in inspections for name in each["names"] if _pattern(name).search(said)]
    return found[-1] if found else None


def absent_file(text: str, inspections: Inspections) -> str:
    """A name of a file that is neither attached nor known: another part must not stand in for it."""
    known = {name.lower() for each in inspections for name in each["names"]}
    words = (word.strip(_AROUND).rstrip(".") for word in text.split())
    names = (Path(word).name for word in words if 0 < len(word) <= _LONGEST and _is_name(word))
    spoken = text.lower()
    return next(
        (
            clean_name(name)
            for name in names
            if name.lower() not in known and not any(each.endswith(name.lower()) and each in spoken for each in known)
        ),
        "",
    )


def without_names(text: str, inspections: Inspections, attached: Iterable[str] = ()) -> str:
    """Models know inspections by number, and names of files not at all."""
    for inspection in reversed(inspections):
        for name in sorted(inspection["names"], key=len, reverse=True):
            text = _pattern(name).sub(f"inspection {inspection['number']}", text)
    for name in sorted({clean_name(Path(path).name) for path in attached}, key=len, reverse=True):
        text = _pattern(name).sub("the attached file", text)
    return text


def _is_name(word: str) -> bool:
    stem, dot, suffix = word.rpartition(".")
    return bool(dot and stem.strip("./~\\")) and suffix.lower() in _SUFFIXES


def _pattern(name: str) -> re.Pattern[str]:
    """A file's name, with its folders or without; without its suffix where no plain word looks like it."""
    stem, suffix = Path(name).stem, Path(name).suffix
    telling = len(stem) > 3 and re.search(r"[\d_-]", stem) and re.search(r"[^\W\d_]", stem)
    optional = f"(?:{re.escape(suffix)})?" if telling and suffix else re.escape(suffix)
    return re.compile(
        rf"(?:(?<![^\s\"'(])[^\s\"'(]*[/\\])?(?<![\w.-]){re.escape(stem)}{optional}(?![\w-])", re.IGNORECASE
    )
