"""smoke: a sound and a defective part or two of every modality, simulated."""

from pathlib import Path

from evals.cases import Case, Suite
from evals.suites.parts import MODALITIES, source_of


def smoke(folder: Path, seed: int) -> Suite:
    sources = [source_of(modality, folder) for modality in MODALITIES]
    cases: list[Case] = []
    for source in sources:
        count = 1 if source.modality == "video" else 2
        cases += [source.sound(100 * seed + number) for number in range(count)]
        cases += [source.defective(100 * seed + number)[0] for number in range(count)]
    return Suite(
        name="smoke",
        description="A few sound and defective parts of every modality, simulated: does the agent work at all?",
        seed=seed,
        products=tuple(source.source for source in sources),
        cases=tuple(cases),
    )
