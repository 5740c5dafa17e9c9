"""solar: real solar cells from the package `elpv-dataset`, functional and defective, none of them learned from.

Some are shown again with changes that must not matter, and judged again by what was learned with another seed.
"""

from pathlib import Path

from agent import split_cells
from evals.cases import Case, Expected, ProductSource, Steps, Suite
from evals.suites.parts import ORDER, TRAJECTORY, write_spec
from evals.suites.variants import varied
from knowledge import SHIPPED_PRODUCTS, read_product

_EACH = 75
_VARIED = 6
"""Of each, the first."""
_AGAIN = "solar_cell_again"
"""The same product, learned with another seed."""


def solar(folder: Path, seed: int) -> Suite:
    cells = split_cells("mono", seed, 100, 100, _EACH)
    # Copies, each under its own name: a suite is a folder that can be moved.
    learned = [("good", cell) for cell in cells.learn] + [("held_out", cell) for cell in cells.calibrate]
    for kind, cell in learned:
        _copied(cell.path, folder / "products" / "solar_cell" / kind / cell.path.name)
    cases: list[Case] = []
    for verdict, chosen in (("normal", cells.functional[:_EACH]), ("anomalous", cells.defective[:_EACH])):
        parts = [
            _case(_copied(cell.path, folder / "assets" / verdict / cell.path.name), verdict, folder) for cell in chosen
        ]
        cases += [case for part in parts[:_VARIED] for case in varied(part, folder, _AGAIN)]
        cases += parts[_VARIED:]
    return Suite(
        name="solar",
        description="Real monocrystalline solar cells (CC BY-NC-SA 4.0): what the verdicts are worth, and whether they stay "
        "where nothing changes that matters.",
        seed=seed,
        products=(_source("solar_cell", folder, 0), _source(_AGAIN, folder, 1)),
        cases=tuple(cases),
    )


def _case(path: Path, verdict: str, folder: Path) -> Case:
    return Case(
        id=f"{verdict}/{path.stem}",
        product="solar_cell",
        assets=(path.relative_to(folder).as_posix(),),
        expected=Expected.model_validate({"verdict": verdict, "steps": Steps(must=TRAJECTORY, order=ORDER, most=80)}),
        tags=("image", "real", verdict),
    )


def _source(name: str, folder: Path, seed: int) -> ProductSource:
    product = read_product(SHIPPED_PRODUCTS / "solar_cell" / "product.yaml").model_copy(update={"name": name})
    spec = write_spec(product, folder / "products" / name / "product.yaml")
    return ProductSource(
        name=name,
        spec=spec.relative_to(folder).as_posix(),
        good=("products/solar_cell/good",),
        held_out=("products/solar_cell/held_out",),
        seed=seed,
    )


def _copied(path: Path, to: Path) -> Path:
    to.parent.mkdir(parents=True, exist_ok=True)
    to.write_bytes(path.read_bytes())
    return to
