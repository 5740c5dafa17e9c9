"""The demo: learn parts, inspect others that were never seen, and show what was found.

Pictures are real solar cells; every other modality is shown on parts that the project simulates.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from agent.exports import index_page
from agent.exports.html import IndexRow
from agent.inspection import Inspector
from agent.report import InspectionReport
from agent.settings import Settings
from agent.simulated import SIMULATED, write_parts
from agent.solar_cells import split_cells
from knowledge import SHIPPED_PRODUCTS, Modality, Product, read_product, write_atomically
from tools import ALL_MODALITIES, Progress

PRODUCT = "solar_cell"
SEED = 0
LEARN = CALIBRATE = 100
INSPECT_EACH = 4

DemoName = Literal["image", "depth", "point_cloud", "time_series", "video", "all"]

CELLS_NOTE = (
    "Electroluminescence pictures from elpv-dataset (Deitsch et al. 2019; Buerhop-Lutz et al. 2018), "
    "licence CC BY-NC-SA 4.0. Eight monocrystalline cells that were neither learned from nor calibrated on."
)
SIMULATED_NOTE = "Simulated by formula, not measured on real parts; those inspected were not learned from."


class Inspected(NamedTuple):
    name: str
    truth: str
    report: InspectionReport
    page: Path


class DemoResult(NamedTuple):
    modality: Modality
    inspected: list[Inspected]
    overview: Path
    """Page that links to the reports."""
    note: str


class _Chosen(NamedTuple):
    """What is learned and what is inspected."""

    product: Product
    good: Sequence[Path]
    held_out: Sequence[Path]
    inspected: Sequence[tuple[Path, str]]
    title: str
    note: str


def demos_of(name: DemoName) -> tuple[Modality, ...]:
    return ALL_MODALITIES if name == "all" else (name,)


def run_demo(settings: Settings, modality: Modality, out: Path, progress: Progress) -> DemoResult:
    """Learn and inspect under `<home>/demo`, apart from the user's own products; pages are written to `out`."""
    home = settings.home / "demo"
    inspector = Inspector(settings.model_copy(update={"home": home}))
    chosen = _cells() if modality not in SIMULATED else _simulated(modality, home / "simulated")
    inspector.enroll(chosen.product, list(chosen.good), list(chosen.held_out) or None, progress=progress)
    inspected = []
    for done, (path, truth) in enumerate(chosen.inspected):
        progress("inspecting", done, len(chosen.inspected))
        report = inspector.inspect(path, chosen.product.name)
        inspected.append(Inspected(path.name, truth, report, inspector.write(report, out / path.stem)))
    progress("inspecting", len(chosen.inspected), len(chosen.inspected))
    rows = [IndexRow(item.report, item.page.relative_to(out).as_posix(), item.truth) for item in inspected]
    overview = out / "index.html"
    write_atomically(overview, index_page(rows, inspector.store, chosen.title, chosen.note).encode())
    return DemoResult(modality, inspected, overview, chosen.note)


def _cells() -> _Chosen:
    cells = split_cells("mono", SEED, LEARN, CALIBRATE, INSPECT_EACH)
    return _Chosen(
        read_product(SHIPPED_PRODUCTS / PRODUCT / "product.yaml"),
        [cell.path for cell in cells.learn],
        [cell.path for cell in cells.calibrate],
        [
            *((cell.path, "functional") for cell in cells.functional),
            *((cell.path, "defective") for cell in cells.defective[:INSPECT_EACH]),
        ],
        "Eight solar cells",
        CELLS_NOTE,
    )


def _simulated(modality: Modality, folder: Path) -> _Chosen:
    parts = write_parts(modality, folder / modality)
    title = f"Simulated: {parts.product.name.replace('_', ' ')}"
    return _Chosen(parts.product, parts.good, (), parts.inspected, title, SIMULATED_NOTE)
