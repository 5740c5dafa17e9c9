"""MVTec AD, MVTec LOCO AD, MVTec 3D-AD, and sets that are laid out like them."""

import json
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image
from pydantic import BaseModel, TypeAdapter, ValidationError

from evals.cases import Place
from evals.converters.layout import (
    GOOD,
    Known,
    Layout,
    Notes,
    Part,
    Truth,
    folder_given,
    kinds_of,
    listed_inside,
    nothing_more,
    product_of,
    slug,
    type_of,
)
from evals.converters.masks import NO_MASK, boxed_places, masked_place
from evals.datasets import LabelledImage, LabelledSet, read_sets
from knowledge import RequestError

_LOGICAL = {"logical_anomalies": "logical", "structural_anomalies": "structural"}
_PICTURES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"})


def read_mvtec(source: Path, seed: int, notes: Notes) -> Layout:
    """A set of MVTec AD, or a folder of such sets."""
    del seed
    folder_given(source, "SET/train/good, SET/test/KIND and SET/ground_truth/KIND, as in MVTec AD")
    sets = read_sets(str(source), [], 0)
    if any((_home(each) / "test" / kind).is_dir() for each in sets for kind in _LOGICAL):
        raise RequestError(f"{source}: is laid out as MVTec LOCO AD; convert it with the format loco")
    parts = tuple(_part(source, each, image, notes) for each in sets for image in each.test if image.path.is_file())
    kinds = kinds_of(parts)
    products = tuple(
        Known(product_of(each.name, "image", kinds.get(slug(each.name), ())), good=(_home(each) / "train" / GOOD,))
        for each in sets
    )
    return Layout("mvtec_ad", products, parts)


def _home(labelled: LabelledSet) -> Path:
    return labelled.train[0].parents[2]


def _part(source: Path, labelled: LabelledSet, image: LabelledImage, notes: Notes) -> Part:
    kind = image.path.parent.name
    for path in filter(None, (image.path, image.mask)):
        listed_inside(source, path)
    return Part(
        product=slug(labelled.name),
        name=f"{kind}/{image.path.stem}",
        assets=(image.path,),
        anomalous=image.anomalous,
        kind=kind,
        truth=partial(_truth, image, type_of(kind)) if image.anomalous else nothing_more,
        tags=(labelled.name, kind),
    )


def _truth(image: LabelledImage, defect_type: str | None, notes: Notes) -> Truth:
    if image.mask is not None:
        place = masked_place(image.mask, image.path, notes)
        return Truth(() if place is None else (place,), defect_type)
    if image.boxes is None:
        notes.add(NO_MASK, image.path)
        return Truth((), defect_type)
    return Truth(boxed_places(image.boxes, image.path), defect_type)


# -- LOCO ------------------------------------------------------------------------------------------------------------


class _Defect(BaseModel):
    """An entry of defects_config.json."""

    defect_name: str
    pixel_value: int


def read_loco(source: Path, seed: int, notes: Notes) -> Layout:
    """A set of MVTec LOCO AD, or a folder of such sets."""
    del seed
    what = "SET/train/good, SET/validation/good and SET/test/logical_anomalies, as in MVTec LOCO AD"
    folder_given(source, what)
    sets = [each for each in read_sets(str(source), [], 0) if _is_loco(_home(each))]
    if not sets:
        raise RequestError(f"{source}: holds no set of MVTec LOCO AD; expected {what}")
    parts: list[Part] = []
    products = []
    for each in sets:
        home = _home(each)
        names = _defect_names(home / "defects_config.json", notes)
        parts += [_loco_part(source, each.name, home, image, names) for image in each.test if image.path.is_file()]
        held_out = tuple(path for path in (home / "validation" / GOOD,) if path.is_dir())
        product = product_of(each.name, "image", tuple(slug(name) for name in names.values()))
        products.append(Known(product, good=(home / "train" / GOOD,), held_out=held_out))
    return Layout("mvtec_loco_ad", tuple(products), tuple(parts))


def _is_loco(home: Path) -> bool:
    return any((home / "test" / kind).is_dir() for kind in _LOGICAL)


def _defect_names(path: Path, notes: Notes) -> dict[int, str]:
    """Value in the masks -> name of the defect; empty where nobody says."""
    if not path.is_file():
        notes.add("no defects_config.json, so that the types of defects are unknown", path)
        return {}
    try:
        listed = TypeAdapter(tuple[_Defect, ...]).validate_python(json.loads(path.read_bytes()))
    except (OSError, ValueError, RecursionError, ValidationError) as error:
        raise RequestError(f"{path}: expected a list of defect_name and pixel_value, as it was published") from error
    return {each.pixel_value: each.defect_name for each in listed}


def _loco_part(source: Path, name: str, home: Path, image: LabelledImage, names: dict[int, str]) -> Part:
    listed_inside(source, image.path)
    kind = image.path.parent.name
    folder = home / "ground_truth" / kind / image.path.stem
    return Part(
        product=slug(name),
        name=f"{kind}/{image.path.stem}",
        assets=(image.path,),
        anomalous=image.anomalous,
        kind=kind,
        truth=partial(_loco_truth, source, folder, image.path, names) if image.anomalous else nothing_more,
        tags=(name, kind, *filter(None, (_LOGICAL.get(kind),))),
    )


def _loco_truth(source: Path, folder: Path, picture: Path, names: dict[int, str], notes: Notes) -> Truth:
    """One mask a defect; its values say of which type it is, where they say one for all of them."""
    masks = [listed_inside(source, path) for path in sorted(folder.glob("*.png"))] if folder.is_dir() else []
    if not masks:
        notes.add(NO_MASK, picture)
    places: list[Place] = []
    types: set[str | None] = set()
    for mask in masks:
        place = masked_place(mask, picture, notes)
        if place is not None:
            places.append(place)
            types |= {names.get(value) for value in _values(mask)}
    single = types.pop() if len(types) == 1 else None
    return Truth(tuple(places), None if single is None else slug(single))


def _values(mask: Path) -> set[int]:
    with Image.open(mask) as image:
        return {int(value) for value in np.unique(np.asarray(image.convert("L")))} - {0}


# -- 3D --------------------------------------------------------------------------------------------------------------


def read_mvtec_3d(source: Path, seed: int, notes: Notes) -> Layout:
    """A set of MVTec 3D-AD, or a folder of such sets: the pictures, since their scans are of a kind that is not read."""
    del seed
    what = "SET/train/good/rgb and SET/test/KIND/rgb, xyz and gt, as in MVTec 3D-AD"
    folder_given(source, what)
    homes = [home for home in (source, *sorted(source.iterdir())) if (home / "train" / GOOD / "rgb").is_dir()]
    parts = tuple(part for home in homes for part in _parts_3d(source, home))
    if not parts:
        raise RequestError(f"{source}: holds no set of MVTec 3D-AD; expected {what}")
    if any(source.glob("**/xyz/*.tiff")):
        notes.add(
            "scans (xyz/*.tiff, three channels of coordinates) are not read; parts are inspected by picture", source
        )
    kinds = kinds_of(parts)
    products = tuple(
        Known(
            product_of(home.name, "image", kinds.get(slug(home.name), ())),
            good=(home / "train" / GOOD / "rgb",),
            held_out=tuple(path for path in (home / "validation" / GOOD / "rgb",) if path.is_dir()),
        )
        for home in homes
    )
    return Layout("mvtec_3d_ad", products, parts)


def _parts_3d(source: Path, home: Path) -> list[Part]:
    return [
        Part(
            product=slug(home.name),
            name=f"{kind.name}/{path.stem}",
            assets=(listed_inside(source, path),),
            anomalous=kind.name != GOOD,
            kind=kind.name,
            truth=nothing_more if kind.name == GOOD else partial(_truth_3d, source, path),
            tags=(home.name, kind.name),
        )
        for kind in sorted((home / "test").glob("*/"))
        for path in sorted((kind / "rgb").glob("*"))
        if path.suffix.lower() in _PICTURES and path.is_file()
    ]


def _truth_3d(source: Path, picture: Path, notes: Notes) -> Truth:
    kind = picture.parents[1]
    mask = kind / "gt" / f"{picture.stem}.png"
    image = LabelledImage(picture, True, listed_inside(source, mask) if mask.is_file() else None)
    return _truth(image, type_of(kind.name), notes)
