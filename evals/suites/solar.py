"""solar: real solar cells from the package `elpv-dataset`, functional and defective, none of them learned from."""

from pathlib import Path

from agent import split_cells
from evals.cases import Case, Expected, ProductSource, Steps, Suite
from evals.suites.parts import ORDER, TRAJECTORY
from knowledge import SHIPPED_PRODUCTS

_EACH = 24


def solar(folder: Path, seed: int) -> Suite:
    cells = split_cells("mono", seed, 100, 100, _EACH)
    # Copies, each under its own name: a suite is a folder that can be moved.
    learned = [("good", cell) for cell in cells.learn] + [("held_out", cell) for cell in cells.calibrate]
    for kind, cell in learned:
        _copied(cell.path, folder / "products" / "solar_cell" / kind / cell.path.name)
    shown = [(cell, "normal") for cell in cells.functional[:_EACH]]
    shown += [(cell, "anomalous") for cell in cells.defective[:_EACH]]
    cases = []
    for cell, verdict in shown:
        path = _copied(cell.path, folder / "assets" / verdict / cell.path.name)
        expected = Expected.model_validate({"verdict": verdict, "steps": Steps(must=TRAJECTORY, order=ORDER, most=80)})
        cases.append(
            Case(
                id=f"{verdict}/{cell.path.stem}",
                product="solar_cell",
                assets=(path.relative_to(folder).as_posix(),),
                expected=expected,
                tags=("image", "real", verdict),
            )
        )
    spec = folder / "products" / "solar_cell" / "product.yaml"
    spec.write_bytes((SHIPPED_PRODUCTS / "solar_cell" / "product.yaml").read_bytes())
    source = ProductSource(
        name="solar_cell",
        spec=spec.relative_to(folder).as_posix(),
        good=("products/solar_cell/good",),
        held_out=("products/solar_cell/held_out",),
    )
    return Suite(
        name="solar",
        description="Real monocrystalline solar cells (CC BY-NC-SA 4.0): what the verdicts are worth.",
        seed=seed,
        products=(source,),
        cases=tuple(cases),
    )


def _copied(path: Path, to: Path) -> Path:
    to.parent.mkdir(parents=True, exist_ok=True)
    to.write_bytes(path.read_bytes())
    return to
