"""grounding: does what is said of a part hold on its own data? Planted parts, where all of it is known."""

from pathlib import Path

from evals.cases import Case, Suite
from evals.suites.parts import MODALITIES, source_of

_PARTS = {"image": 36, "depth": 20, "point_cloud": 12, "time_series": 36, "video": 6}
"""Defective parts, and a quarter as many sound ones; videos take ten times as long as pictures."""
_LIES = 12


def grounding(folder: Path, seed: int) -> Suite:
    sources = [source_of(modality, folder) for modality in MODALITIES]
    cases: list[Case] = []
    for source in sources:
        count = _PARTS[source.modality]
        cases += [source.defective(1000 + 100 * seed + number)[0] for number in range(count)]
        cases += [source.sound(1000 + 100 * seed + number) for number in range(max(1, count // 4))]
    image = sources[0]
    for number in range(_LIES):
        case, _ = image.defective(1500 + 100 * seed + number, reasoner="liar")
        cases.append(case.model_copy(update={"id": f"{case.id}/liar", "tags": (*case.tags, "liar")}))
    return Suite(
        name="grounding",
        description="Claims on planted parts of every modality, and of a reasoner that lies, whose claims must be refuted.",
        seed=seed,
        products=tuple(source.source for source in sources),
        cases=tuple(cases),
    )
