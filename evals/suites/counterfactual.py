"""counterfactual: change one thing about a part, and see whether the verdict follows it and nothing else.

Every plate has its defect taken out and is changed in one way that must not matter, so that figures count plates.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from evals.cases import Case, Expected, Pair, Suite
from evals.planted import PlantedPart
from evals.simulated import paint_plate
from evals.suites.parts import Source, saved, source_of
from evals.suites.variants import variant_of

_PARTS = 36
_SOUND = 6
_LIGHT = 2
"""Levels of 255."""


def counterfactual(folder: Path, seed: int) -> Suite:
    source = source_of("image", folder)
    numbers = range(2000 + 100 * seed, 2000 + 100 * seed + _PARTS)
    cases = [case for number in numbers for case in _changed(source, number)]
    sound = [source.sound(number) for number in numbers[:_SOUND]]
    doubted = [
        _to_review(part, name, reasoner=name) for part, name in zip(sound, ("doubter", "silent") * 3, strict=True)
    ]
    for name, level in (("black", 0), ("white", 255), ("gray", 120)):
        blank = _pictured(source, sound[0], name, np.full((96, 128, 3), level, np.uint8))
        cases.append(_to_review(sound[0], name, assets=blank))
    return Suite(
        name="counterfactual",
        description="The defect taken out, another place painted over, a little light, no picture at all, and reasoners "
        "that deny, doubt or say nothing.",
        seed=seed,
        products=(source.source,),
        cases=(*cases, *sound, *doubted),
    )


def _changed(source: Source, seed: int) -> list[Case]:
    """A defective part, the part without its defects, and the part with a change that must not matter."""
    case, part = source.defective(seed, group=f"plate {seed}")
    covered = np.any([defect.covers for defect in part.defects], axis=0).reshape(part.raw.shape[:2])
    plain = np.where(covered[:, :, None], paint_plate(10_000 + seed), part.raw)
    erased = case.model_copy(
        update={
            "id": f"{case.id}/erased",
            "assets": _pictured(source, case, "erased", plain),
            "expected": Expected(verdict="normal", rules_violated=()),
            "pair": Pair(of=case.id, change="falls"),
            "group": "",
            "tags": (*case.tags, "erased"),
        }
    )
    makers = (_painted, _brighter, _denied)
    return [case, erased, makers[seed % len(makers)](source, case, part, covered)]


def _painted(source: Source, case: Case, part: PlantedPart, covered: Any) -> Case:
    """Another normal plate's grain in the corner that lies furthest from the defects."""
    corners: list[Callable[[Any], Any]] = [
        lambda a: a[:24, :32],
        lambda a: a[:24, -32:],
        lambda a: a[-24:, :32],
        lambda a: a[-24:, -32:],
    ]
    free = min(corners, key=lambda corner: int(corner(covered).sum()))
    pixels, other = part.raw.copy(), paint_plate(30_000 + int(Path(case.assets[0]).stem))
    patch = free(pixels)
    patch[~free(covered)] = free(other)[~free(covered)]
    stays = Pair(of=case.id, change="stays")
    return variant_of(case, "painted", assets=_pictured(source, case, "painted", pixels), pair=stays)


def _brighter(source: Source, case: Case, part: PlantedPart, covered: Any) -> Case:
    pixels = np.clip(part.raw.astype(np.int16) + _LIGHT, 0, 255).astype(np.uint8)
    stays = Pair(of=case.id, change="stays")
    return variant_of(case, "brighter", assets=_pictured(source, case, "brighter", pixels), pair=stays)


def _denied(source: Source, case: Case, part: PlantedPart, covered: Any) -> Case:
    return variant_of(case, "reasoner", reasoner="denier", pair=Pair(of=case.id, change="same"))


def _to_review(sound: Case, name: str, **changes: Any) -> Case:
    """What cannot be judged, or is doubted: no other part, and nothing is expected but that a person looks at it."""
    return sound.model_copy(
        update={
            "id": f"{sound.id}/{name}",
            "expected": Expected(),
            "pair": Pair(of=sound.id, change="review"),
            "tags": (*sound.tags, name),
            **changes,
        }
    )


def _pictured(source: Source, case: Case, name: str, pixels: Any) -> tuple[str, ...]:
    path = saved(pixels, source.folder / "assets" / "image" / name / f"{case.id.rpartition('/')[2]}.png")
    return (path.relative_to(source.folder).as_posix(),)
