"""Few-shot benchmark: how well a handful of references does, or none, over several draws of them.

There are no false alarms to report: so few references promise nothing.
"""

import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from evals.datasets import LabelledSet, read_distinct
from evals.detection import (
    DETECTION,
    Detect,
    averages,
    detection,
    judge_by,
    judge_each,
    load_peers,
    parts_of,
    pictures_of,
    protocol,
    watched,
)
from evals.peers import Peer
from knowledge import RequestError
from tools import LocalizerSettings, Progress, fit_localizer, fit_zero_shot, noun_of


class Learned(NamedTuple):
    judge: Detect
    facts: dict[str, Any]
    """What is worth knowing of what was learned, for the record of the draw."""


Learn = Callable[[str, Sequence[Path]], Learned]
"""From the references of the set of that name."""

_BY_TEXTS = "; without any, texts call the parts by the name of their set where it is made of words, else objects"


def run_few_shot(
    source: str,
    names: list[str],
    settings: LocalizerSettings,
    progress: Progress,
    shots: Sequence[int],
    draws: int = 3,
    peers: Sequence[str] = (),
) -> dict[str, Any]:
    """Every set of a source, learned from each number of references in `shots`, drawn `draws` times.

    The first draw is by the seed of the settings, the others by those that follow it. The result is plain values, as
    `--json` prints them. With no reference at all there is nothing to draw: a backbone that reads then judges by texts,
    once. Raises `RequestError` for numbers below 0, and for what `run_benchmark` refuses.
    """
    if not shots or min(shots) < 0:
        raise RequestError("--shots: expected numbers of references, such as 1,2,4, or 0 for none at all")
    if draws < 1:
        raise RequestError(f"--draws {draws}: expected at least one draw of references")
    if peers and 0 in shots:
        raise RequestError("peers cannot do without references; leave 0 out of --shots, or leave --peers out")
    rivals = load_peers(peers, settings)
    sets = read_distinct(source, names, settings.seed)
    seeds = range(settings.seed, settings.seed + draws)
    plan = _Plan(sets, tuple(sorted(set(shots))), tuple(seeds), progress)
    return {
        "protocol": {
            **protocol(settings, peers),
            "shots": list(plan.shots),
            "draws": draws,
            "references": f"drawn from the train pictures by seeds {seeds[0]} to {seeds[-1]}, the same for every "
            "detector; those of fewer shots are among those of more" + (_BY_TEXTS if 0 in plan.shots else ""),
            "spread": "sample standard deviation over the draws; macro: of each draw's average over the sets",
        },
        **_run(plan, "anomalyst", _our_learner(settings)),
        "peers": {peer.name: _run(plan, peer.name, _learner_of(peer)) for peer in rivals},
    }


def parse_shots(text: str) -> list[int]:
    """`1,2,4` -> [1, 2, 4]; raises `RequestError`."""
    try:
        return [int(number) for number in text.split(",")]
    except ValueError as error:
        raise RequestError(f"--shots {text}: expected whole numbers with commas, such as 1,2,4") from error


def draw_references(train: Sequence[Path], count: int, seed: int) -> list[Path]:
    """`count` of the pictures; what a seed draws for fewer is the beginning of what it draws for more."""
    order = np.random.default_rng(seed).permutation(len(train))
    return [train[index] for index in order[:count]]


class _Plan(NamedTuple):
    sets: Sequence[LabelledSet]
    shots: tuple[int, ...]
    seeds: tuple[int, ...]
    progress: Progress


def _our_learner(settings: LocalizerSettings) -> Learn:
    def learn(name: str, paths: Sequence[Path]) -> Learned:
        localizer = (
            fit_localizer(parts_of(paths), settings=settings) if paths else fit_zero_shot(noun_of(name), settings)
        )
        return Learned(judge_by(localizer), {"input_areas": localizer.areas})

    return learn


def _learner_of(peer: Peer) -> Learn:
    def learn(name: str, paths: Sequence[Path]) -> Learned:
        peer.fit(pictures_of(paths))
        return Learned(peer.judge, {})

    return learn


def _run(plan: _Plan, name: str, learn: Learn) -> dict[str, Any]:
    results = [_run_set(plan, labelled, name, learn) for labelled in plan.sets]
    cells = {str(count): _macro_cell([row["shots"][str(count)] for row in results]) for count in plan.shots}
    return {"sets": results, "macro": {"name": "macro", "shots": cells}}


def _run_set(plan: _Plan, labelled: LabelledSet, name: str, learn: Learn) -> dict[str, Any]:
    """A cell for each number of shots; `None` where there are not so many pictures to draw from."""
    possible = [count for count in plan.shots if count <= len(labelled.train)]
    wanted = [(count, seed) for count in possible for seed in (plan.seeds if count else plan.seeds[:1])]
    draws: dict[int, list[dict[str, Any]]] = {count: [] for count in possible}
    for count, seed in watched(wanted, f"{name} {labelled.name}", plan.progress):
        draws[count].append(_run_draw(labelled, learn, count, seed))
    return {
        "name": labelled.name,
        "modality": "image",
        "train": len(labelled.train),
        "test": len(labelled.test),
        "left_out": labelled.left_out,
        "shots": {str(count): _cell(draws[count]) if count in draws else None for count in plan.shots},
    }


def _run_draw(labelled: LabelledSet, learn: Learn, count: int, seed: int) -> dict[str, Any]:
    references = draw_references(labelled.train, count, seed)
    learned = learn(labelled.name, references)
    found = detection(list(judge_each(learned.judge, labelled.test)))
    return {"seed": seed, "references": [path.name for path in references], **found, **learned.facts}


def _cell(draws: list[dict[str, Any]]) -> dict[str, Any]:
    return {**{key: _spread([draw[key] for draw in draws]) for key in DETECTION}, "draws": draws}


def _macro_cell(cells: Sequence[dict[str, Any] | None]) -> dict[str, Any] | None:
    """The macro average of each draw, and their spread, over the sets that have a cell."""
    known = [cell for cell in cells if cell is not None]
    if not known:
        return None
    draws = [
        {"seed": of_sets[0]["seed"], **averages(of_sets, DETECTION)}
        for of_sets in zip(*(cell["draws"] for cell in known), strict=True)
    ]
    return {"sets": len(known), **_cell(draws)}


def _spread(values: Sequence[float | None]) -> dict[str, float | None]:
    """Mean and sample standard deviation; not known where a value is not, nor the deviation of a lone one."""
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return {"mean": None, "deviation": None}
    return {"mean": statistics.fmean(known), "deviation": statistics.stdev(known) if len(known) > 1 else None}
