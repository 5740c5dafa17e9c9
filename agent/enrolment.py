"""Learning a product from folders, and what is known of the products."""

import hashlib
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from agent.inspection import Inspector
from agent.settings import Settings
from knowledge import AnomalystError, AssetError, Catalog, Modality, Product, ProductError, read_product
from tools import (
    ALL_MODALITIES,
    Adapted,
    LearnedProduct,
    LearnedProducts,
    Limits,
    LocalizerSettings,
    Progress,
    choose_device,
    is_frame_folder,
    modality_of,
    read_file,
)


def enrol(
    inspector: Inspector,
    name: str,
    good: Sequence[Path],
    held_out: Sequence[Path],
    spec: Path | None,
    settings: LocalizerSettings,
    progress: Progress,
) -> LearnedProduct:
    """Learn `name` from the files in the folders `good`, with what `spec` or the catalog says of it.

    The `part_name` of the settings, where there is one, takes the place of the product's own.
    """
    product = _product(inspector.products.catalog, name, spec, good)
    if settings.part_name is not None:
        product = _with_part_name(product, settings.part_name)
    frames = "video" in product.modality
    return inspector.enroll(
        product, _files(good, frames), _files(held_out, frames) or None, settings=settings, progress=progress
    )


def enrol_unseen(inspector: Inspector, name: str, spec: Path | None, settings: LocalizerSettings) -> LearnedProduct:
    """Learn `name` from texts alone, with what `spec` or the catalog says of it."""
    return inspector.enroll_unseen(_product(inspector.products.catalog, name, spec, ()), settings=settings)


def summary(learned: LearnedProduct, given: Sequence[Path] = ()) -> dict[str, Any]:
    """What was learned, in plain values; files by the names under which they were `given`, in folders."""
    modalities = {modality: _of_modality(learned, modality) for modality in learned.modalities}
    broken = [facts for facts in modalities.values() if not facts["promised"]]
    first = (broken or list(modalities.values()))[0]
    return {
        "product": learned.product.name,
        "version": learned.version,
        "references": sum(facts["references"] for facts in modalities.values()),
        "calibration": sum(facts["calibration"] for facts in modalities.values()),
        "appearance": learned.localizer.manifest.appearance.reason if learned.localizer else "",
        "scheme": first["scheme"],
        "alpha": learned.product.alpha,
        "promised": not broken,
        "promise": first["promise"],
        "odd_references": [str(path) for path in _odd_references(learned, given)],
        "rules": len(learned.product.rules),
        "modalities": modalities,
    }


def _of_modality(learned: LearnedProduct, modality: Modality) -> dict[str, Any]:
    if modality == "image":
        calibration, references = learned.images.calibration, len(learned.images.manifest.memory_parts)
        unit, reservation = "parts", learned.images.reservation
    else:
        native = learned.native(modality)
        calibration, references, unit = native.localizer.calibration, len(native.memory_parts), native.calibrated_on
        reservation = str(getattr(native.localizer, "reservation", ""))
    # A part is as long as its references on average, and its assets share the false-alarm rate.
    blocks = 1 if unit == "parts" else max(1, round(calibration.count / references))
    promise = calibration.promise(learned.product.alpha / len(learned.product.modality), blocks, unit)
    return {
        "references": references,
        "calibration": calibration.parts,
        "scheme": calibration.scheme,
        "promised": promise.kept,
        "promise": "; ".join(filter(None, (promise.sentence, reservation))),
    }


def _odd_references(learned: LearnedProduct, given: Sequence[Path]) -> list[Path]:
    odd = learned.localizer.manifest.odd_parts if learned.localizer else ()
    if not odd:
        return []
    kept = (learned.folder / "references").rglob("*")
    files = (path for path in chain(kept, *(folder.iterdir() for folder in given)) if path.is_file())
    named = {_sha256(path): path for path in files}
    return [named[sha256] for sha256 in odd if sha256 in named]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def adaptation_summary(adapted: Adapted, path: Path) -> dict[str, Any]:
    """What was learned by adapting, in plain values."""
    manifest = adapted.manifest
    return {
        "file": str(path),
        "backbone": manifest.backbone,
        "products": [product.name for product in manifest.products],
        "left_out": list(manifest.left_out),
        "held_out_auroc": manifest.held_out_auroc,
        "held_out_image_auroc": manifest.held_out_image_auroc,
    }


def known_products(settings: Settings) -> list[dict[str, Any]]:
    """Every product in the catalog; one that is broken or not learned says so in `state`."""
    choose_device(settings.device)
    catalog = Catalog(settings.home / "catalog")
    learned = LearnedProducts(settings.home)
    rows = []
    for name in catalog.names():
        try:
            rows.append({**summary(learned.get(name)), "state": "ready"})
        except AnomalystError as error:
            rows.append({"product": name, "state": str(error)})
    return rows


def _product(catalog: Catalog, name: str, spec: Path | None, good: Sequence[Path]) -> Product:
    if spec is not None:
        product = read_product(spec)
        if product.name != name:
            raise ProductError(f"{spec}: name: expected {name!r} as on the command line, got {product.name!r}")
        return product
    if name in catalog.names():
        return catalog.load(name)
    try:
        return Product(
            name=name,
            description="Nothing is known of this product" + (" but its normal references." if good else "."),
            modality=_modalities(_files(good, frames=False)) if good else ("image",),
        )
    except ValueError as error:
        raise ProductError(f"{name!r} is no product name; use small letters, digits, - and _") from error


def _with_part_name(product: Product, part_name: str) -> Product:
    try:
        return Product.model_validate({**product.model_dump(), "part_name": part_name})
    except ValidationError as error:
        raise ProductError(f"{product.name}: {error.errors()[0]['msg'].removeprefix('Value error, ')}") from error


def _modalities(files: Sequence[Path]) -> tuple[Modality, ...]:
    """What files are that nobody has said anything of, one of each suffix looked at; 16 bits alone make no height map."""
    one_of_each = {path.suffix.lower(): path for path in reversed(files)}
    plain = tuple(modality for modality in ALL_MODALITIES if modality != "depth")
    found = [modality_of(read_file(path, Limits()), path.name, plain) for _, path in sorted(one_of_each.items())]
    return tuple(dict.fromkeys(found))


def _files(folders: Sequence[Path], frames: bool) -> list[Path]:
    return [path for folder in folders for path in _inside(folder, frames)]


def _inside(folder: Path, frames: bool) -> list[Path]:
    """Files, and where parts are inspected by video the folders of pictures that are one each."""
    if not folder.is_dir():
        raise AssetError(f"{folder}: there is no such folder; give a folder with files of normal parts")
    found = sorted(
        path
        for path in folder.iterdir()
        if not path.name.startswith(".") and (path.is_file() or (frames and is_frame_folder(path)))
    )
    if not found:
        raise AssetError(f"{folder}: there are no files in this folder")
    return found
