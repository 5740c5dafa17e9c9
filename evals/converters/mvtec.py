"""MVTec AD, MVTec LOCO AD, MVTec 3D-AD, and sets that are laid out like them."""

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

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
from evals.converters.masks import NO_MASK, boxed_places, masked_place, scanned_place
from evals.datasets import LabelledImage, LabelledSet, read_sets
from knowledge import Modality, RequestError

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

_Kind = Literal["rgb", "xyz"]
"""Folders of MVTec 3D-AD: pictures, and scans on the same grid of pixels."""

_MODALITIES: dict[_Kind, Modality] = {"rgb": "image", "xyz": "point_cloud"}
_SUFFIXES: dict[_Kind, frozenset[str]] = {"rgb": _PICTURES, "xyz": frozenset({".tif", ".tiff"})}
_WHAT_3D = "SET/train/good, SET/test/KIND and in them rgb, xyz and gt, as in MVTec 3D-AD"


def read_mvtec_3d(source: Path, seed: int, notes: Notes, wanted: tuple[_Kind, ...] = ("rgb", "xyz")) -> Layout:
    """A set of MVTec 3D-AD, or a folder of such sets; a part is inspected by what is wanted and was published of it."""
    del seed
    folder_given(source, _WHAT_3D)
    sets = [
        (home, kinds)
        for home in (source, *sorted(source.iterdir()))
        if (kinds := tuple(kind for kind in wanted if (home / "train" / GOOD / kind).is_dir()))
    ]
    parts = tuple(part for home, kinds in sets for part in _parts_3d(source, home, kinds, notes))
    if not parts:
        raise RequestError(f"{source}: holds no set of MVTec 3D-AD; expected {_WHAT_3D}")
    types = kinds_of(parts)
    products = tuple(_known_3d(home, kinds, types.get(slug(home.name), ())) for home, kinds in sets)
    return Layout("mvtec_3d_ad", products, parts)


def _known_3d(home: Path, kinds: tuple[_Kind, ...], types: Sequence[str | None]) -> Known:
    product = product_of(home.name, _MODALITIES[kinds[0]], types)
    own = {"modality": tuple(_MODALITIES[kind] for kind in kinds), "on_plane": "xyz" in kinds}
    return Known(
        product.model_copy(update=own),
        good=tuple(home / "train" / GOOD / kind for kind in kinds),
        held_out=tuple(path for kind in kinds if (path := home / "validation" / GOOD / kind).is_dir()),
    )


def _parts_3d(source: Path, home: Path, kinds: tuple[_Kind, ...], notes: Notes) -> Iterator[Part]:
    for folder in sorted((home / "test").glob("*/")):
        files = {kind: _by_stem(source, folder / kind, kind) for kind in kinds}
        for stem in sorted(set().union(*files.values())):
            assets = {kind: found[stem] for kind, found in files.items() if stem in found}
            for kind in sorted(set(kinds) - set(assets)):
                notes.add(f"a part without its file in {kind}, by which it is inspected too", folder / stem)
            yield Part(
                product=slug(home.name),
                name=f"{folder.name}/{stem}",
                assets=tuple(assets.values()),
                anomalous=folder.name != GOOD,
                kind=folder.name,
                truth=nothing_more if folder.name == GOOD else partial(_truth_3d, source, folder, stem, assets),
                tags=(home.name, folder.name),
            )


def _by_stem(source: Path, folder: Path, kind: _Kind) -> dict[str, Path]:
    """The first of each name, in their order."""
    found: dict[str, Path] = {}
    for path in sorted(folder.glob("*")):
        if path.suffix.lower() in _SUFFIXES[kind] and path.is_file():
            found.setdefault(path.stem, listed_inside(source, path))
    return found


def _truth_3d(source: Path, folder: Path, stem: str, assets: Mapping[_Kind, Path], notes: Notes) -> Truth:
    """One mask for all assets, which are on one grid of pixels."""
    mask, defect_type = folder / "gt" / f"{stem}.png", type_of(folder.name)
    if not mask.is_file():
        notes.add(NO_MASK, folder / stem)
        return Truth((), defect_type)
    places = []
    for number, (kind, path) in enumerate(assets.items(), start=1):
        place = (masked_place if kind == "rgb" else scanned_place)(listed_inside(source, mask), path, notes)
        if place is not None:
            places.append(place.model_copy(update={"asset": f"a{number}"}))
    return Truth(tuple(places), defect_type)
