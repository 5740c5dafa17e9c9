"""Learning a product from folders, and what is known of the products."""

from pathlib import Path
from typing import Any

from agent.inspection import Inspector
from knowledge import AnomalystError, AssetError, Catalog, Product, ProductError, read_product
from tools import Adapted, LearnedProduct, LearnedProducts, LocalizerSettings, Progress


def enrol(
    inspector: Inspector,
    name: str,
    good: Path,
    held_out: Path | None,
    spec: Path | None,
    settings: LocalizerSettings,
    progress: Progress,
) -> LearnedProduct:
    """Learn `name` from the pictures in `good`, with what `spec` or the catalog says of it."""
    product = _product(inspector.products.catalog, name, spec)
    pictures = _pictures(good)
    return inspector.enroll(
        product, pictures, _pictures(held_out) if held_out else None, settings=settings, progress=progress
    )


def summary(learned: LearnedProduct) -> dict[str, Any]:
    """What was learned, in plain values."""
    localizer, alpha = learned.localizer, learned.product.alpha
    promise = localizer.calibration.promise(alpha)
    return {
        "product": learned.product.name,
        "version": learned.version,
        "references": len(localizer.manifest.memory_parts),
        "calibration": localizer.calibration.count,
        "appearance": localizer.manifest.appearance.reason,
        "scheme": localizer.manifest.scheme,
        "alpha": alpha,
        "promised": promise.kept,
        "promise": promise.sentence,
        "rules": len(learned.product.rules),
    }


def adaptation_summary(adapted: Adapted, path: Path) -> dict[str, Any]:
    """What was learned by adapting, in plain values."""
    manifest = adapted.manifest
    return {
        "file": str(path),
        "backbone": manifest.backbone,
        "products": [product.name for product in manifest.products],
        "left_out": list(manifest.left_out),
        "held_out_auroc": manifest.held_out_auroc,
    }


def known_products(home: Path) -> list[dict[str, Any]]:
    """Every product in the catalog; one that is broken or not learned says so in `state`."""
    catalog = Catalog(home / "catalog")
    learned = LearnedProducts(home)
    rows = []
    for name in catalog.names():
        try:
            rows.append({**summary(learned.get(name)), "state": "ready"})
        except AnomalystError as error:
            rows.append({"product": name, "state": str(error)})
    return rows


def _product(catalog: Catalog, name: str, spec: Path | None) -> Product:
    if spec is not None:
        product = read_product(spec)
        if product.name != name:
            raise ProductError(f"{spec}: name: expected {name!r} as on the command line, got {product.name!r}")
        return product
    if name in catalog.names():
        return catalog.load(name)
    try:
        return Product(name=name, description="Nothing is known of this product but its normal references.")
    except ValueError as error:
        raise ProductError(f"{name!r} is no product name; use small letters, digits, - and _") from error


def _pictures(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise AssetError(f"{folder}: there is no such folder; give a folder with pictures of normal parts")
    found = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    if not found:
        raise AssetError(f"{folder}: there are no pictures in this folder")
    return found
