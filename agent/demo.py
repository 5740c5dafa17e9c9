"""The demo: learn solar cells, inspect eight that were never seen, and show what was found."""

from pathlib import Path
from typing import NamedTuple

from agent.exports import index_page
from agent.exports.html import IndexRow
from agent.inspection import Inspector
from agent.report import InspectionReport
from agent.settings import Settings
from agent.solar_cells import Cell, split_cells
from knowledge import SHIPPED_PRODUCTS, read_product, write_atomically
from tools import Progress

PRODUCT = "solar_cell"
SEED = 0
LEARN = CALIBRATE = 100
INSPECT_EACH = 4

NOTE = (
    "Electroluminescence pictures from elpv-dataset (Deitsch et al. 2019; Buerhop-Lutz et al. 2018), "
    "licence CC BY-NC-SA 4.0. Eight monocrystalline cells that were neither learned from nor calibrated on."
)


class Inspected(NamedTuple):
    cell: Cell
    report: InspectionReport
    page: Path

    @property
    def truth(self) -> str:
        return "defective" if self.cell.defect_probability == 1 else "functional"


class DemoResult(NamedTuple):
    inspected: list[Inspected]
    overview: Path
    """Page that links to the eight reports."""


def run_demo(settings: Settings, out: Path, progress: Progress) -> DemoResult:
    """Learn and inspect under `<home>/demo`, apart from the user's own products; pages are written to `out`."""
    inspector = Inspector(settings.model_copy(update={"home": settings.home / "demo"}))
    cells = split_cells("mono", SEED, LEARN, CALIBRATE, INSPECT_EACH)
    product = read_product(SHIPPED_PRODUCTS / PRODUCT / "product.yaml")
    inspector.enroll(
        product, [cell.path for cell in cells.learn], [cell.path for cell in cells.calibrate], progress=progress
    )
    chosen = [*cells.functional, *cells.defective[:INSPECT_EACH]]
    inspected = []
    for done, cell in enumerate(chosen):
        progress("inspecting", done, len(chosen))
        report = inspector.inspect(cell.path, PRODUCT)
        page = inspector.write(report, out / cell.path.stem)
        inspected.append(Inspected(cell, report, page))
    progress("inspecting", len(chosen), len(chosen))
    rows = [IndexRow(item.report, item.page.relative_to(out).as_posix(), item.truth) for item in inspected]
    overview = out / "index.html"
    write_atomically(overview, index_page(rows, inspector.store, "Eight solar cells", NOTE).encode())
    return DemoResult(inspected, overview)
