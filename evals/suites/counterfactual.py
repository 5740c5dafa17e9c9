"""counterfactual: change one thing about a part, and see whether the verdict follows it and nothing else."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from evals.cases import Case, Expected, Pair, Suite
from evals.simulated import paint_plate
from evals.suites.parts import Source, saved, source_of

_PARTS = 6


def counterfactual(folder: Path, seed: int) -> Suite:
    source = source_of("image", folder)
    cases: list[Case] = []
    for number in range(_PARTS):
        cases += _changed(source, 2000 + 100 * seed + number)
    sound = source.sound(2000 + 100 * seed)
    for name, level in (("black", 0), ("white", 255), ("gray", 120)):
        blank = np.full((96, 128, 3), level, np.uint8)
        cases.append(
            _variant(source, sound, name, blank, Expected(verdict="review"), Pair(of=sound.id, change="review"))
        )
    doubted = sound.model_copy(update={"id": f"{sound.id}/doubter", "reasoner": "doubter"})
    silent = sound.model_copy(update={"id": f"{sound.id}/silent", "reasoner": "silent"})
    cases += [sound, *(case.model_copy(update={"expected": Expected(verdict="review")}) for case in (doubted, silent))]
    return Suite(
        name="counterfactual",
        description="The defect taken out, another place painted over, a little light, a mirror, no picture at all, and "
        "reasoners that deny, doubt or say nothing.",
        seed=seed,
        products=(source.source,),
        cases=tuple(cases),
    )


def _changed(source: Source, seed: int) -> list[Case]:
    """A defective part, and what becomes of it when one thing is changed."""
    case, part = source.defective(seed, group=f"plate {seed}")
    pixels, plain = part.raw, paint_plate(10_000 + seed)
    covered = np.any([defect.covers for defect in part.defects], axis=0).reshape(pixels.shape[:2])
    erased = np.where(covered[:, :, None], plain, pixels)
    elsewhere = _elsewhere(pixels, covered, paint_plate(30_000 + seed))
    lighter = np.clip(pixels.astype(np.int16) + 2, 0, 255).astype(np.uint8)
    sound = Expected(verdict="normal", rules_violated=())
    found = []
    make: list[tuple[str, Any, Expected, Pair | None]] = [
        ("erased", erased, sound, Pair(of=case.id, change="falls")),
        ("elsewhere", elsewhere, case.expected, Pair(of=case.id, change="stays")),
        ("lighter", lighter, case.expected, Pair(of=case.id, change="stays")),
    ]
    for name, changed, expected, pair in make:
        found.append(_variant(source, case, name, changed, expected, pair, same=expected is case.expected))
    denied = case.model_copy(update={"id": f"{case.id}/denier", "reasoner": "denier", "tags": (*case.tags, "denier")})
    return [case, *found, denied]


def _elsewhere(pixels: Any, covered: Any, other: Any) -> Any:
    """Another normal plate's grain in the corner that lies furthest from the defects."""
    corners: list[Callable[[Any], Any]] = [
        lambda a: a[:24, :32],
        lambda a: a[:24, -32:],
        lambda a: a[-24:, :32],
        lambda a: a[-24:, -32:],
    ]
    free = min(corners, key=lambda corner: int(corner(covered).sum()))
    changed = pixels.copy()
    patch = free(changed)
    patch[~free(covered)] = free(other)[~free(covered)]
    return changed


def _variant(
    source: Source, case: Case, name: str, pixels: Any, expected: Expected, pair: Pair | None, *, same: bool = False
) -> Case:
    path = saved(pixels, source.folder / "assets" / "image" / name / f"{case.id.rpartition('/')[2]}.png")
    return case.model_copy(
        update={
            "id": f"{case.id}/{name}",
            "assets": (path.relative_to(source.folder).as_posix(),),
            "expected": expected,
            "pair": pair,
            "group": case.group if same else "",
            "tags": (*case.tags, name),
        }
    )
