"""A part of a suite: fewer cases that stand for all."""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from agent import Verdict
from evals.cases import Case
from evals.inspect_task import relatives


class _Stratum(NamedTuple):
    verdict: Verdict | None
    tag: str


def drawn(cases: Sequence[Case], limit: int, seed: int) -> tuple[Case, ...]:
    """So many cases at most, in the order of the suite, the same for the same seed.

    They are drawn from every kind of part, which is its expected verdict and its first tag, as many from each as it has
    a share of the suite. Groups and pairs stay together, for apart they have no scores; one that does not fit any more is
    passed over, and only where nothing else is left are its first cases taken alone.
    """
    random = np.random.default_rng(seed)
    kinds: dict[_Stratum, list[list[Case]]] = defaultdict(list)
    for family in _families(cases):
        kinds[_stratum(family[0])].append(family)
    waiting = {
        kind: [families[index] for index in random.permutation(len(families))] for kind, families in kinds.items()
    }
    sizes = {kind: sum(map(len, families)) for kind, families in kinds.items()}
    chosen: dict[_Stratum, int] = dict.fromkeys(waiting, 0)
    taken: set[str] = set()
    passed_over: list[list[Case]] = []
    while any(waiting.values()):
        # The kind that is furthest behind its share is next; of equal ones the larger.
        kind = min(
            (kind for kind in waiting if waiting[kind]), key=lambda kind: (chosen[kind] / sizes[kind], -sizes[kind])
        )
        family = waiting[kind].pop()
        if len(taken) + len(family) > limit:
            passed_over.append(family)
            continue
        taken |= {case.id for case in family}
        chosen[kind] += len(family)
    left = [case.id for family in passed_over for case in family]
    taken |= set(left[: limit - len(taken)])
    return tuple(case for case in cases if case.id in taken)


def _families(cases: Sequence[Case]) -> list[list[Case]]:
    """Cases that are related to each other, at first hand or through others, in the order of the suite."""
    known, near = {case.id: case for case in cases}, relatives(cases)
    order = {id_: number for number, id_ in enumerate(known)}
    seen: set[str] = set()
    found = []
    for id_ in known:
        if id_ in seen:
            continue
        family, waiting = {id_}, [id_]
        while waiting:
            new = set(near[waiting.pop()]) - family
            family |= new
            waiting += new
        seen |= family
        found.append([known[each] for each in sorted(family, key=order.__getitem__)])
    return found


def _stratum(case: Case) -> _Stratum:
    return _Stratum(case.expected.verdict, case.tags[0] if case.tags else "")
