"""VisA as downloaded: by its table of splits, or by its folders alone."""

import csv
import random
from functools import partial
from pathlib import Path

from evals.converters.layout import (
    GOOD,
    Known,
    Layout,
    Notes,
    Part,
    Truth,
    folder_given,
    listed_inside,
    nothing_more,
    product_of,
    slug,
)
from evals.converters.masks import NO_MASK, masked_place
from evals.datasets import LabelledImage, LabelledSet, read_sets
from knowledge import RequestError

_LEARNED_SHARE = 0.9
"""Of the normal pictures, where no table says which are learned from; that of the published table."""
_TABLE = Path("split_csv/1cls.csv")


def read_visa(source: Path, seed: int, notes: Notes) -> Layout:
    """All objects; which pictures are learned from is drawn by the seed where the table of splits is missing."""
    folder_given(source, f"OBJECT/Data/Images and {_TABLE.as_posix()}, as in VisA")
    if (source / _TABLE).is_file():
        sets = read_sets(str(source), [], seed)
    else:
        sets = _by_folders(source, seed)
        notes.add("no split_csv/1cls.csv, so a tenth of the normal pictures was drawn to be inspected", source)
    parts: list[Part] = []
    products = []
    for each in sets:
        types = _types(source / each.name / "image_anno.csv", notes)
        parts += [_part(source, each.name, image, types.get(image.path.name, ())) for image in each.test]
        named = [slug(name) for names in types.values() for name in names]
        products.append(Known(product_of(each.name, "image", named), good_files=each.train))
    return Layout("visa", tuple(products), tuple(parts))


def _by_folders(source: Path, seed: int) -> list[LabelledSet]:
    homes = [home for home in (source, *sorted(source.iterdir())) if (home / "Data/Images/Normal").is_dir()]
    if not homes:
        raise RequestError(f"{source}: holds no object of VisA; expected OBJECT/Data/Images/Normal and Anomaly")
    return [_drawn(source, home, seed) for home in homes]


def _drawn(source: Path, home: Path, seed: int) -> LabelledSet:
    normal = [listed_inside(source, path) for path in _pictures(home / "Data/Images/Normal")]
    if len(normal) < 2:
        raise RequestError(f"{home}: has {len(normal)} normal pictures; at least one to learn from and one to inspect")
    learned = min(len(normal) - 1, max(1, round(_LEARNED_SHARE * len(normal))))
    train = set(random.Random(f"{seed}:{home.name}").sample(normal, learned))  # noqa: S311
    test = [LabelledImage(path, anomalous=False) for path in normal if path not in train]
    for path in _pictures(home / "Data/Images/Anomaly"):
        mask = home / "Data/Masks/Anomaly" / f"{path.stem}.png"
        found = listed_inside(source, mask) if mask.is_file() else None
        test.append(LabelledImage(listed_inside(source, path), True, found))
    return LabelledSet(home.name, tuple(sorted(train)), (), tuple(test))


def _pictures(folder: Path) -> list[Path]:
    found = folder.iterdir() if folder.is_dir() else ()
    return sorted(path for path in found if path.suffix.lower() in (".jpg", ".jpeg", ".png") and path.is_file())


def _types(path: Path, notes: Notes) -> dict[str, tuple[str, ...]]:
    """Picture -> its defects' types, of which one picture may have several; empty where nobody says."""
    if not path.is_file():
        notes.add("no image_anno.csv, so that the types of defects are unknown", path)
        return {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file, restval=""))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RequestError(f"{path}: cannot be read as a table ({error}); put the file of the download back") from error
    if rows and not {"image", "label"} <= set(rows[0]):
        notes.add("an image_anno.csv without columns image and label, so that the types are unknown", path)
        return {}
    labels = {Path(row["image"]).name: row["label"] for row in rows if row["label"] not in ("", "normal")}
    return {name: tuple(each.strip() for each in label.split(",") if each.strip()) for name, label in labels.items()}


def _part(source: Path, name: str, image: LabelledImage, types: tuple[str, ...]) -> Part:
    listed_inside(source, image.path)
    kind = "anomaly" if image.anomalous else GOOD
    return Part(
        product=slug(name),
        name=f"{kind}/{image.path.stem}",
        assets=(image.path,),
        anomalous=image.anomalous,
        kind=slug(types[0]) if image.anomalous and len(types) == 1 else kind,
        truth=partial(_truth, image, types) if image.anomalous else nothing_more,
        tags=(name, kind, *map(slug, types if image.anomalous else ())),
    )


def _truth(image: LabelledImage, types: tuple[str, ...], notes: Notes) -> Truth:
    defect_type = slug(types[0]) if len(types) == 1 else None
    if image.mask is None:
        notes.add(NO_MASK, image.path)
        return Truth((), defect_type)
    place = masked_place(image.mask, image.path, notes)
    return Truth(() if place is None else (place,), defect_type)
