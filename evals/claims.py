"""True claims as a reasoner would state them, and false ones that are off by enough to matter."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from evals.truth import Facts, RegionFacts

CLEAN = "presence where nothing is"
"""False claims that no instrument can refute: it sees nothing there, which proves nothing."""

PLANTED = "as planted"

_APART = 0.25
"""Share by which a false number is off, at least."""
_CLEAR = 0.15
"""Share by which two sizes or peaks differ of which one is said to be the larger."""
_SHOWN = 2e-4
"""Numbers are shown with four decimals: what differs by less is not told apart."""
_FEW = 2
"""Of each kind of false number, so that no kind crowds out the others."""

_ROWS = (("top", "upper"), ("centre", "middle"), ("bottom", "lower"))
_COLUMNS = (("left",), ("centre", "center"), ("right",))


class Said(NamedTuple):
    """A claim and the truth of it."""

    kind: str
    true: bool
    draft: dict[str, Any]
    why: str


def true_claims(facts: Facts, random: np.random.Generator) -> Iterator[Said]:
    """What is so, with the rounding of a reasoner."""
    for region in facts.regions:
        for kind, said in _true_of(region, random):
            yield Said(kind, True, {"kind": kind, "subject": region.id, **said}, "as planted or worked out")
    yield from _orders(facts, true=True)
    why = PLANTED if facts.one_each else "as the instrument lists them"
    yield Said("count", True, {"kind": "count", "subject": facts.view, "number": facts.so_many}, why)
    for box in facts.present:
        yield Said("presence", True, {"kind": "presence", "subject": facts.view, "box": box}, "planted there")
    for rule, kept in facts.rules.items():
        word = "kept" if kept else "violated"
        yield Said("rule", True, {"kind": "rule", "subject": rule, "word": word}, PLANTED)


def _true_of(region: RegionFacts, random: np.random.Generator) -> Iterator[tuple[str, dict[str, Any]]]:
    yield "presence", {}
    yield "place", {"word": _place(region, random)}
    yield "size", {"number": _rounded(region.share, 2)}
    if region.darker is not None:
        yield "colour", {"word": "darker" if region.darker else "brighter"}
    for name, value in region.numbers.items():
        yield "number", {"attribute": name, "number": _rounded(value, int(random.integers(2, 4)))}
    for name, value in region.times.items():
        yield "time", {"attribute": name, "number": round(value, int(random.integers(2, 4)))}


def false_claims(facts: Facts, random: np.random.Generator) -> Iterator[Said]:
    """What is not so: off by a quarter or a sample at least, of another region or measurement, or cited from nowhere."""
    for region in facts.regions:
        for kind, said, why in _false_of(region, facts, random):
            yield Said(kind, False, {"kind": kind, "subject": region.id, **said}, why)
    yield from _orders(facts, true=False)
    yield from _false_of_part(facts)
    cited = [claim for claim in true_claims(facts, random) if random.random() < 1 / 6]
    for claim in cited:
        stranger = f"e{random.integers(100, 1000)}"
        yield Said(claim.kind, False, {**claim.draft, "evidence": [stranger]}, "cites what does not exist")


def _false_of_part(facts: Facts) -> Iterator[Said]:
    for number in {facts.so_many + 1, facts.so_many + 5, max(facts.so_many - 1, 0), facts.so_many + 0.5} - {
        facts.so_many
    }:
        yield Said("count", False, {"kind": "count", "subject": facts.view, "number": number}, "another count")
    nobody = f"a1.r{len(facts.regions) + 40}"
    yield Said("presence", False, {"kind": "presence", "subject": nobody}, "no such region")
    for x0, y0, x1, y1 in facts.present[:1]:
        inverted = {"kind": "presence", "subject": facts.view, "box": (x1, y0, x0, y1)}
        yield Said("presence", False, inverted, "inside out")
    for box in facts.absent[:: max(1, len(facts.absent) // 3)][:3]:
        yield Said(CLEAN, False, {"kind": "presence", "subject": facts.view, "box": box}, "nothing was planted there")
    for rule, kept in facts.rules.items():
        word = "violated" if kept else "kept"
        yield Said("rule", False, {"kind": "rule", "subject": rule, "word": word}, "the opposite")


def _false_of(
    region: RegionFacts, facts: Facts, random: np.random.Generator
) -> Iterator[tuple[str, dict[str, Any], str]]:
    for word in _elsewhere(region, random):
        yield "place", {"word": word}, "another side"
    for factor in (random.uniform(1.26, 3), random.uniform(0.2, 0.74)):
        yield "size", {"number": _rounded(min(region.share * factor, 1.0), 3)}, "another size"
    if region.darker is not None:
        yield "colour", {"word": "brighter" if region.darker else "darker"}, "the opposite"
    for name, number, why in _taken(_false_numbers(region, facts, random), random):
        yield "number", {"attribute": name, "number": number}, why
    for name, value in region.times.items():
        for samples in (1, -1, int(random.integers(3, 40))):
            said = round(value + samples * region.instant, 3)
            yield "time", {"attribute": name, "number": said}, f"off by {samples} sample(s)"


def _false_numbers(region: RegionFacts, facts: Facts, random: np.random.Generator) -> Iterator[tuple[str, float, str]]:
    for name, value in region.numbers.items():
        off = value * (1 + random.choice([-1, 1]) * random.uniform(0.26, 1.5))
        candidates = [(off, "another number"), (-value, "the other sign")]
        candidates += [(other, f"that of {what}") for what, other in region.numbers.items() if what != name]
        candidates += [
            (other.numbers[name], f"that of {other.id}")
            for other in facts.regions
            if other.id != region.id and name in other.numbers
        ]
        for number, why in candidates:
            if _apart(number, value):
                yield name, _rounded(number, 3), why


def _taken(claims: Iterable[tuple[str, float, str]], random: np.random.Generator) -> Iterator[tuple[str, float, str]]:
    """A few of each measurement, drawn by chance."""
    by_name: dict[str, list[tuple[str, float, str]]] = {}
    for claim in claims:
        by_name.setdefault(claim[0], []).append(claim)
    for of_name in by_name.values():
        for index in random.permutation(len(of_name))[:_FEW]:
            yield of_name[index]


def _orders(facts: Facts, *, true: bool) -> Iterator[Said]:
    """Comparisons of every two regions that differ clearly, and of pictures with the reference."""
    why = "as planted or worked out" if true else "the opposite"
    for one in facts.regions:
        if one.compared and one.darker is not None:
            word = "darker" if one.darker is true else "brighter"
            yield _compared(one, "reference", word, true, why)
        for two in facts.regions:
            if one.id == two.id:
                continue
            if _clearly(one.size, two.size):
                yield _compared(one, two.id, "larger" if (one.size > two.size) is true else "smaller", true, why)
            if _clearly(one.peak, two.peak):
                yield _compared(one, two.id, "stronger" if (one.peak > two.peak) is true else "weaker", true, why)
            if one.level is not None and two.level is not None and _clearly(one.level, two.level):
                yield _compared(one, two.id, "brighter" if (one.level > two.level) is true else "darker", true, why)


def _compared(region: RegionFacts, other: str, word: str, true: bool, why: str) -> Said:
    draft = {"kind": "comparison", "subject": region.id, "other": other, "word": word}
    return Said("comparison", true, draft, why)


def _place(region: RegionFacts, random: np.random.Generator) -> str:
    """In words, of which some have more than one."""
    row, column = (min(int(3 * each), 2) for each in (region.y, region.x))
    rows, columns = str(random.choice(_ROWS[row])), str(random.choice(_COLUMNS[column]))
    said = "centre" if row == column == 1 else f"{rows} {columns}"
    return str(random.choice([said, said.replace(" ", "-"), said.title()]))


def _elsewhere(region: RegionFacts, random: np.random.Generator) -> Iterator[str]:
    """Thirds of the view that do not hold it, nor begin next to it."""
    far = [name[0] for index, name in enumerate(_ROWS) if not _near(region.y, index)]
    aside = [name[0] for index, name in enumerate(_COLUMNS) if not _near(region.x, index)]
    row, column = (min(int(3 * each), 2) for each in (region.y, region.x))
    if far:
        yield f"{random.choice(far)} {_COLUMNS[column][0]}"
    if aside:
        yield f"{_ROWS[row][0]} {random.choice(aside)}"


def _near(position: float, third: int) -> bool:
    return third / 3 - 0.1 <= position <= (third + 1) / 3 + 0.1


def _rounded(value: float, digits: int) -> float:
    return float(f"{value:.{digits}g}")


def _apart(one: float, two: float) -> bool:
    return abs(one - two) > max(_APART * max(abs(one), abs(two)), _SHOWN)


def _clearly(one: float, two: float) -> bool:
    return abs(one - two) > _CLEAR * max(abs(one), abs(two))
