"""Labelled parts for benchmarks: folders laid out as MVTec AD or as VisA, and the solar cells of the demo's package."""

import csv
import glob
import hashlib
import json
import re
from collections.abc import Callable, Iterable
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from agent import CellType, split_cells
from knowledge import RequestError, named_part
from tools import clean_name, load_image

SOLAR_CELLS = "solar_cells"
_SOLAR_KINDS: dict[str, CellType] = {"mono": "mono", "poly": "poly"}

_VISA_SPLIT = Path("split_csv/1cls.csv")
_VISA_COLUMNS = ("object", "split", "label", "image", "mask")
_VISA_WORDS = {"split": ("train", "test"), "label": ("normal", "anomaly")}
"""All that may stand in these columns."""

Mask = NDArray[np.bool_]


class LabelledImage(NamedTuple):
    path: Path
    anomalous: bool
    mask: Path | None = None
    """8-bit mask, nonzero where anomalous."""
    boxes: tuple[tuple[float, float, float, float], ...] | None = None
    """x, y, width, height of each defect, where boxes are the ground truth."""
    template: Path | None = None
    """A normal picture of the same place, registered to this one."""

    def pixels(self) -> NDArray[np.uint8]:
        return load_image(self.path).pixels

    def truth(self, height: int, width: int) -> Mask | None:
        """Ground truth, (height, width), or `None` where an anomalous image has none."""
        if not self.anomalous:
            return np.zeros((height, width), np.bool_)
        if self.mask is not None:
            return _read_mask(self.mask)
        if self.boxes is None:
            return None
        mask = np.zeros((height, width), np.bool_)
        for x, y, w, h in self.boxes:
            top, left = max(0, round(y)), max(0, round(x))
            mask[top : max(top, round(y + h)), left : max(left, round(x + w))] = True
        return mask


class LabelledSet(NamedTuple):
    name: str
    train: tuple[Path, ...]
    """Normal parts to learn from."""
    held_out: tuple[Path, ...]
    """Normal parts to calibrate on; empty where calibration is by cross-validation."""
    test: tuple[LabelledImage, ...]
    left_out: int = 0
    """Train pictures that are, byte for byte, another one of them or a test picture."""


def read_sets(source: str, names: list[str], seed: int) -> list[LabelledSet]:
    """The sets of a source, all or those named; raises `RequestError` for what is not there."""
    readers = _solar_readers(seed) if source == SOLAR_CELLS else _folder_readers(Path(source))
    sets = [readers[name]() for name in _chosen(names, list(readers))]
    for labelled in sets:
        if not labelled.train or not labelled.test:
            raise RequestError(f"{source}: {labelled.name} has no {'test' if labelled.train else 'train'} pictures")
    return sets


def read_distinct(source: str, names: list[str], seed: int) -> list[LabelledSet]:
    """The same, where nothing is learned from twice, nor from a picture that is tested: what a detector is judged on."""
    sets = [_without_copies(labelled) for labelled in read_sets(source, names, seed)]
    for labelled in sets:
        if not labelled.train:
            raise RequestError(f"{source}: all train pictures of {labelled.name} are test pictures too")
    return sets


def require_parts_apart(labelled: LabelledSet, part_name: str) -> None:
    """Raises `ProductError` where a good picture's name is not like `part_name`, `RequestError` where a part that is learned
    from is tested too.
    """
    tested = [image.path for image in labelled.test if not image.anomalous]
    of_tested, learned = (
        {named_part(part_name, path.stem) for path in paths}
        for paths in (tested, (*labelled.train, *labelled.held_out))
    )
    if both := of_tested & learned:
        raise RequestError(
            f"{labelled.name}: part {min(both)!r} is learned from and tested; take its pictures out of one"
        )


def _without_copies(labelled: LabelledSet) -> LabelledSet:
    seen = {_content(image.path) for image in labelled.test}
    kept = []
    for path in labelled.train:
        content = _content(path)
        if content not in seen:
            seen.add(content)
            kept.append(path)
    return labelled._replace(train=tuple(kept), left_out=len(labelled.train) - len(kept))


def _content(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _chosen(names: list[str], available: list[str]) -> list[str]:
    names = [name.removeprefix(f"{SOLAR_CELLS}_") for name in names]
    strangers = [name for name in names if name not in available]
    if strangers:
        raise RequestError(f"there is no set {strangers[0]!r}; known are {', '.join(available)}")
    return names or available


def _solar_readers(seed: int) -> dict[str, Callable[[], LabelledSet]]:
    return {name: partial(_solar_set, kind, seed) for name, kind in _SOLAR_KINDS.items()}


def _solar_set(kind: CellType, seed: int) -> LabelledSet:
    split = split_cells(kind, seed)
    test = [LabelledImage(cell.path, anomalous=False) for cell in split.functional]
    test += [LabelledImage(cell.path, anomalous=True) for cell in split.defective]
    return LabelledSet(
        f"solar_cells_{kind}",
        tuple(cell.path for cell in split.learn),
        tuple(cell.path for cell in split.calibrate),
        tuple(test),
    )


def _folder_readers(folder: Path) -> dict[str, Callable[[], LabelledSet]]:
    if not folder.is_dir():
        raise RequestError(f"{folder}: there is no such folder; give a folder of MVTec-style sets, or {SOLAR_CELLS}")
    if (folder / _VISA_SPLIT).is_file():
        return _visa_readers(folder)
    candidates = [folder, *sorted(path for path in folder.iterdir() if path.is_dir())]
    found = [path for path in candidates if (path / "train" / "good").is_dir() and (path / "test").is_dir()]
    if not found:
        raise RequestError(
            f"{folder}: holds no set; expected SET/train/good and SET/test/KIND with pictures, as in MVTec AD, "
            f"or {_VISA_SPLIT.as_posix()}, as in VisA"
        )
    return {path.name: partial(_mvtec_set, path) for path in found}


def _mvtec_set(folder: Path) -> LabelledSet:
    test = [
        _labelled(folder, kind.name, path)
        for kind in sorted((folder / "test").iterdir())
        if kind.is_dir()
        for path in _pictures(kind)
    ]
    return LabelledSet(folder.name, tuple(_pictures(folder / "train" / "good")), (), tuple(test))


def _labelled(folder: Path, kind: str, path: Path) -> LabelledImage:
    if kind == "good":
        return LabelledImage(path, anomalous=False)
    truth = folder / "ground_truth" / kind
    mask = truth / f"{path.stem}_mask.png"
    template = next((folder / "reference" / kind).glob(f"{glob.escape(path.stem)}.*"), None)
    if mask.is_file():
        return LabelledImage(path, anomalous=True, mask=mask, template=template)
    boxes = _coco_boxes(truth / "boxes_coco.json")
    return LabelledImage(path, anomalous=True, boxes=boxes.get(path.name) if boxes else None, template=template)


@cache
def _coco_boxes(path: Path) -> dict[str, tuple[tuple[float, float, float, float], ...]]:
    """File name -> boxes, from a COCO file; empty where there is none."""
    if not path.is_file():
        return {}
    try:
        content: dict[str, Any] = json.loads(path.read_text())
        names = {image["id"]: Path(image["file_name"]).name for image in content["images"]}
        boxes: dict[str, tuple[tuple[float, float, float, float], ...]] = dict.fromkeys(names.values(), ())
        for annotation in content["annotations"]:
            x, y, w, h = (float(value) for value in annotation["bbox"])
            boxes[names[annotation["image_id"]]] += ((x, y, w, h),)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise RequestError(
            f"{path}: cannot be read as COCO boxes ({error!r}); give the file as it was published"
        ) from error
    return boxes


class _VisaRow(NamedTuple):
    where: str
    """File and line, for messages."""
    columns: dict[str, str]


def _visa_readers(folder: Path) -> dict[str, Callable[[], LabelledSet]]:
    rows: dict[str, list[_VisaRow]] = {}
    for row in _visa_rows(folder / _VISA_SPLIT):
        rows.setdefault(row.columns["object"], []).append(row)
    return {name: partial(_visa_set, folder, name, found) for name, found in rows.items()}


def _visa_rows(path: Path) -> list[_VisaRow]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, restval="")
            missing = [column for column in _VISA_COLUMNS if column not in (reader.fieldnames or ())]
            if missing:
                raise RequestError(f"{path}: has no column {missing[0]!r}; expected {', '.join(_VISA_COLUMNS)}")
            rows = [_VisaRow(f"{path}, line {reader.line_num}", columns) for columns in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RequestError(f"{path}: cannot be read as a table ({error}); put the file of the download back") from error
    if not rows:
        raise RequestError(f"{path}: names no picture; put the file of the download back")
    for row in rows:
        _require_known_words(row)
    return rows


def _require_known_words(row: _VisaRow) -> None:
    for column, words in _VISA_WORDS.items():
        found = row.columns[column]
        if found not in words:
            raise RequestError(f"{row.where}: {column} is {clean_name(found)!r}; expected {' or '.join(words)}")
    # The name is printed, and may be given to --sets between commas.
    if not re.fullmatch(r"[\w.-]+", row.columns["object"]):
        shown = clean_name(row.columns["object"])
        raise RequestError(f"{row.where}: object is {shown!r}; expected a name of letters, digits, _ . and -")
    if row.columns["split"] == "train" and row.columns["label"] != "normal":
        raise RequestError(f"{row.where}: an anomaly in the train split; expected normal pictures alone to learn from")


def _visa_set(folder: Path, name: str, rows: list[_VisaRow]) -> LabelledSet:
    train = tuple(_visa_file(folder, row, "image") for row in rows if row.columns["split"] == "train")
    test = tuple(_visa_image(folder, row) for row in rows if row.columns["split"] == "test")
    return LabelledSet(name, train, (), test)


def _visa_image(folder: Path, row: _VisaRow) -> LabelledImage:
    path = _visa_file(folder, row, "image")
    anomalous = row.columns["label"] == "anomaly"
    mask = _visa_file(folder, row, "mask") if anomalous and row.columns["mask"] else None
    return LabelledImage(path, anomalous, mask)


def _visa_file(folder: Path, row: _VisaRow, column: str) -> Path:
    """A file that the table names; refused where it lies elsewhere, be it by `..` or by a link."""
    given = row.columns[column]
    path = folder / given
    try:
        inside, present = path.resolve().is_relative_to(folder.resolve()), path.is_file()
    except (OSError, ValueError):  # A name that no file can have.
        inside, present = True, False
    if not inside:
        raise RequestError(f"{row.where}: {column} {clean_name(given)!r} leads out of {folder}; give a path inside it")
    if not present:
        raise RequestError(
            f"{row.where}: {column} {clean_name(given)!r} is not there; unpack the download again, "
            "or name sets that are complete with --sets"
        )
    return path


def _read_mask(path: Path) -> Mask:
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("L")) > 0
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise RequestError(f"{path}: cannot be read as a mask ({error}); unpack the download again") from error


def _pictures(folder: Path) -> Iterable[Path]:
    suffixes = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"}
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in suffixes)
