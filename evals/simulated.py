"""Simulated parts, painted by formula: for figures and tests that must run anywhere. No real part looks like them."""

from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from knowledge import DefectType, NormalityRule, Product

Defect = Literal["", "scratch", "spot"]

PLATE = Product(
    name="plate",
    description="A brushed metal plate with two drilled holes, photographed from above (simulated).",
    unit="mm",
    pixel_size=0.5,
    rules=(
        NormalityRule(id="P-1", text="The plate is not dark as a whole.", check="part.brightness > 0.2"),
        NormalityRule(
            id="P-2",
            text="No dark scratch runs over the plate.",
            severity="critical",
            check="!regions.exists(r, r.contrast < -0.02 && r.elongation > 1.8)",
        ),
        NormalityRule(id="P-3", text="The plate is clean.", question="Is the plate clean?"),
    ),
    defect_types=(
        DefectType(
            name="scratch",
            description="A long dark groove.",
            severity="critical",
            signature="region.contrast < -0.02 && region.elongation > 1.8",
        ),
        DefectType(name="stain", description="A bright spot.", severity="minor", signature="region.contrast > 0.02"),
    ),
)


def paint_plate(seed: int, defect: Defect = "") -> NDArray[np.uint8]:
    """A brushed plate with two holes, (96, 128, 3) RGB; a scratch from (51, 17) to (109, 35), or a spot at (20, 76)."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:96, 0:128]
    plate = 130 + 18 * np.sin(rows / 3) + random.normal(0, 5, (96, 128)) + random.uniform(-6, 6)
    for x, y in ((32, 48), (96, 48)):
        plate[(columns - x) ** 2 + (rows - y) ** 2 < 100] = 45
    if defect == "scratch":
        plate[(np.abs(rows - 20 - (columns - 60) * 0.3) < 2.5) & (columns > 50) & (columns < 110)] = 20
    if defect == "spot":
        plate[(columns - 20) ** 2 + (rows - 76) ** 2 < 90] = 235
    return np.repeat(np.clip(plate, 0, 255).astype(np.uint8)[:, :, None], 3, axis=2)


def write_plates(folder: Path, count: int, first_seed: int = 0) -> list[Path]:
    """Normal plates as PNG files."""
    return [write_plate(folder / f"plate{seed:04d}.png", seed) for seed in range(first_seed, first_seed + count)]


def write_plate(path: Path, seed: int, defect: Defect = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(paint_plate(seed, defect)).save(path)
    return path


def write_plate_set(folder: Path, train: int, good: int, scratched: int) -> None:
    """Plates laid out as MVTec AD, with a generous mask for each scratch."""
    write_plates(folder / "train" / "good", train)
    write_plates(folder / "test" / "good", good, first_seed=100)
    mask = np.zeros((96, 128), np.uint8)
    mask[17:37, 51:110] = 255
    for seed in range(200, 200 + scratched):
        write_plate(folder / "test" / "scratch" / f"{seed}.png", seed, "scratch")
        truth = folder / "ground_truth" / "scratch" / f"{seed}_mask.png"
        truth.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(mask).save(truth)
