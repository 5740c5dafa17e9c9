"""Labelled parts for benchmarks: folders laid out as MVTec AD, and the solar cells of the demo's package."""

import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from agent import CellType, split_cells
from knowledge import RequestError
from tools import load_image

SOLAR_CELLS = "solar_cells"
_SOLAR_KINDS: dict[str, CellType] = {"mono": "mono", "poly": "poly"}

Mask = NDArray[np.bool_]


class LabelledImage(NamedTuple):
    path: Path
    anomalous: bool
    mask: Path | None = None
    """8-bit mask, nonzero where anomalous."""
    boxes: tuple[tuple[float, float, float, float], ...] | None = None
    """x, y, width, height of each defect, where boxes are the ground truth."""

    def pixels(self) -> NDArray[np.uint8]:
        return load_image(self.path).pixels

    def truth(self, height: int, width: int) -> Mask | None:
        """Ground truth, (height, width), or `None` where an anomalous image has none."""
        if not self.anomalous:
            return np.zeros((height, width), np.bool_)
        if self.mask is not None:
            with Image.open(self.mask) as image:
                return np.asarray(image.convert("L")) > 0
        if self.boxes is None:
            return None
        mask = np.zeros((height, width), np.bool_)
        for x, y, w, h in self.boxes:
            mask[round(y) : round(y + h), round(x) : round(x + w)] = True
        return mask


class LabelledSet(NamedTuple):
    name: str
    train: tuple[Path, ...]
    """Normal parts to learn from."""
    held_out: tuple[Path, ...]
    """Normal parts to calibrate on; empty where calibration is by cross-validation."""
    test: tuple[LabelledImage, ...]


def read_sets(source: str, names: list[str], seed: int) -> list[LabelledSet]:
    """The sets of a source, all or those named; raises `RequestError` for what is not there."""
    if source == SOLAR_CELLS:
        available = list(_SOLAR_KINDS)
        read = [_solar_set(_SOLAR_KINDS[name], seed) for name in _chosen(names, available)]
    else:
        folders = _set_folders(Path(source))
        read = [_folder_set(folders[name]) for name in _chosen(names, list(folders))]
    return read


def _chosen(names: list[str], available: list[str]) -> list[str]:
    names = [name.removeprefix(f"{SOLAR_CELLS}_") for name in names]
    strangers = [name for name in names if name not in available]
    if strangers:
        raise RequestError(f"there is no set {strangers[0]!r}; known are {', '.join(available)}")
    return names or available


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


def _set_folders(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise RequestError(f"{folder}: there is no such folder; give a folder of MVTec-style sets, or {SOLAR_CELLS}")
    candidates = [folder, *sorted(path for path in folder.iterdir() if path.is_dir())]
    found = {path.name: path for path in candidates if (path / "train" / "good").is_dir() and (path / "test").is_dir()}
    if not found:
        raise RequestError(f"{folder}: holds no set; expected SET/train/good and SET/test/KIND with pictures")
    return found


def _folder_set(folder: Path) -> LabelledSet:
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
    if mask.is_file():
        return LabelledImage(path, anomalous=True, mask=mask)
    boxes = _coco_boxes(truth / "boxes_coco.json")
    return LabelledImage(path, anomalous=True, boxes=boxes.get(path.name) if boxes else None)


@cache
def _coco_boxes(path: Path) -> dict[str, tuple[tuple[float, float, float, float], ...]]:
    """File name -> boxes, from a COCO file; empty where there is none."""
    if not path.is_file():
        return {}
    content: dict[str, Any] = json.loads(path.read_text())
    names = {image["id"]: Path(image["file_name"]).name for image in content["images"]}
    boxes: dict[str, tuple[tuple[float, float, float, float], ...]] = dict.fromkeys(names.values(), ())
    for annotation in content["annotations"]:
        x, y, w, h = annotation["bbox"]
        boxes[names[annotation["image_id"]]] += ((x, y, w, h),)
    return boxes


def _pictures(folder: Path) -> Iterable[Path]:
    suffixes = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"}
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in suffixes)
