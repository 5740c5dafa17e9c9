"""Cases of planted parts: simulated, with all that is known of them, in every modality."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml
from PIL import Image
from scipy import ndimage

from evals.cases import Case, Expected, Place, ProductSource, Steps
from evals.planted import Defect, PlantedPart, PlantedProduct, plant
from knowledge import Modality, Product, write_atomically

NEVER_KEPT = frozenset({"I-2", "V-2"})
"""Rules that no planted part keeps, sound or not: they are there for claims about rules, and left out here."""

TRAJECTORY = ("render_asset", "localize_anomalies", "check_rules", "reason_about_anomaly")
ORDER = (
    ("render_asset", "localize_anomalies"),
    ("localize_anomalies", "measure_region"),
    ("localize_anomalies", "check_rules"),
    ("check_rules", "reason_about_anomaly"),
)
MODALITIES: tuple[Modality, ...] = ("image", "depth", "point_cloud", "time_series", "video")


class Source(NamedTuple):
    """A planted product as a suite knows it."""

    modality: Modality
    planted: PlantedProduct
    product: Product
    source: ProductSource
    folder: Path
    """Of the suite."""

    def sound(self, seed: int, **more: Any) -> Case:
        """A normal part."""
        path = self.planted.normal(self.folder / "assets" / self.modality / "normal", seed)
        expected = Expected(
            verdict="normal",
            rules_violated=(),
            steps=Steps(must=TRAJECTORY, order=ORDER, most=40),
        )
        return Case(
            id=f"{self.modality}/normal/{seed}",
            product=self.product.name,
            assets=(path.relative_to(self.folder).as_posix(),),
            expected=expected,
            tags=(self.modality, "normal"),
            **more,
        )

    def defective(self, seed: int, **more: Any) -> tuple[Case, PlantedPart]:
        """A part with what was planted on it."""
        part = self.planted.make(self.folder / "assets" / self.modality / "defective", seed)
        known = {rule.id for rule in self.product.rules}
        expected = Expected(
            verdict="anomalous",
            places=tuple(place_of(self.modality, part, defect) for defect in part.defects),
            rules_violated=tuple(sorted(id_ for id_, kept in part.rules.items() if not kept and id_ in known)),
            steps=Steps(must=TRAJECTORY, order=ORDER, most=80),
            evidence=("localize_anomalies",),
        )
        case = Case(
            id=f"{self.modality}/defective/{seed}",
            product=self.product.name,
            assets=(part.path.relative_to(self.folder).as_posix(),),
            expected=expected,
            tags=(self.modality, "defective"),
            **more,
        )
        return case, part


def source_of(modality: Modality, folder: Path) -> Source:
    """Write the product and its normal parts into a suite's folder."""
    planted = plant(modality, folder / "products" / modality)
    rules = tuple(rule for rule in planted.product.rules if rule.id not in NEVER_KEPT)
    product = planted.product.model_copy(update={"rules": rules})
    spec = write_spec(product, folder / "products" / modality / "product.yaml")
    good = planted.good[0].parent.relative_to(folder).as_posix()
    source = ProductSource(name=product.name, spec=spec.relative_to(folder).as_posix(), good=(good,))
    return Source(modality, planted, product, source, folder)


def write_spec(product: Product, path: Path) -> Path:
    """A product.yaml."""
    values = product.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    write_atomically(path, yaml.safe_dump(values, sort_keys=False, allow_unicode=True).encode())
    return path


def place_of(modality: Modality, part: PlantedPart, defect: Defect) -> Place:
    """Where a defect was planted, in the asset's own terms."""
    if modality in ("image", "depth"):
        return Place(box=box_of(defect.covers.reshape(part.raw.shape[:2])))
    if modality == "point_cloud":
        points = part.raw[defect.covers]
        x, y, z = (float(value) for value in points.mean(axis=0))
        return Place(centroid=(x, y, z), extent=float(np.linalg.norm(np.ptp(part.raw, axis=0))))
    rate = 15 if modality == "video" else 20
    covered = defect.covers if modality == "video" else defect.covers.reshape(part.raw.T.shape).any(axis=0)
    inside = np.flatnonzero(covered)
    return Place(seconds=(float(inside[0] / rate), float(inside[-1] / rate)))


def box_of(mask: Any) -> tuple[float, float, float, float]:
    """The box around what is true in a mask of (H, W)."""
    rows, columns = ndimage.find_objects(mask.astype(np.uint8))[0]
    return float(columns.start), float(rows.start), float(columns.stop), float(rows.stop)


def saved(pixels: Any, path: Path) -> Path:
    """A picture as PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path
