"""Attribute agreement study of the agent as an appraiser: the same parts, several times, in shuffled order.

Terms and limits follow AIAG, Measurement Systems Analysis, 4th edition (2010), chapter III-C. One thing is stricter: repeats
of a part are not new parts, so intervals count parts.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from evals.metrics import binomial_interval, cohen_kappa, fleiss_kappa
from knowledge import RequestError

PROMISE = 0.95
PROMISED = (0.05, 0.02, 0.01, 0.001)
"""Rates that users ask about."""

_WORDS = ("normal", "anomalous", "review")

Grade = Literal["acceptable", "marginal", "not acceptable", "not known"]
_GRADES: tuple[Grade, ...] = ("acceptable", "marginal", "not acceptable", "not known")
"""From best to worst."""


class Limits(NamedTuple):
    acceptable: float
    marginal: float


EFFECTIVENESS = Limits(0.90, 0.80)
MISS = Limits(0.02, 0.05)
FALSE_ALARM = Limits(0.05, 0.10)


class Figure(NamedTuple):
    """A rate with what it is worth."""

    hits: int
    of: int
    unit: str
    """What is counted: parts, or decisions."""
    value: float | None
    low: float | None
    high: float | None
    """95 % interval, exact (Clopper and Pearson 1934), over parts."""
    grade: Grade
    shown: bool
    """Whether the one-sided 95 % bound, too, is on this side of the limit; False where so few parts cannot show it."""
    needed: int
    """Parts without a single failure that show the acceptable limit."""


class Agreement(NamedTuple):
    """How often the appraiser agrees, beyond chance."""

    same: int
    of: int
    share: float | None
    low: float | None
    high: float | None
    """95 %, exact."""
    kappa: float | None
    """`None` where all verdicts are one and the same, or there is nothing to compare: chance explains everything then."""


class Study(NamedTuple):
    """The figures of an attribute agreement study."""

    parts: int
    good: int
    defective: int
    repeats: int
    effectiveness: Figure
    """Parts judged right every time."""
    miss: Figure
    """Decisions on defective parts that said normal."""
    false_alarm: Figure
    """Decisions on good parts that said anomalous."""
    reviews: Figure
    """Decisions left to a person; neither right nor a miss nor a false alarm."""
    within: Agreement
    """With itself: Fleiss' kappa over the repeats."""
    against: Agreement
    """With the reference: Cohen's kappa over all decisions."""
    grade: Grade
    """The worst of effectiveness, misses and false alarms."""
    shown: bool

    @property
    def sentence(self) -> str:
        if self.grade == "not known":
            return "Not known: a study needs good and defective parts."
        weak = "" if self.shown else f", which {self.parts} parts are too few to show"
        return f"As an appraiser: {self.grade}{weak}."


def study(judgements: Mapping[str, Sequence[str]], truth: Mapping[str, str]) -> Study:
    """The figures of a study.

    Args:
        judgements: part -> the verdict of each repeat.
        truth: part -> `normal` or `anomalous`.
    """
    repeats = _require_complete(judgements, truth)
    good = {part: tuple(found) for part, found in judgements.items() if truth[part] == "normal"}
    defective = {part: tuple(found) for part, found in judgements.items() if truth[part] == "anomalous"}
    right = sum(all(verdict == truth[part] for verdict in found) for part, found in judgements.items())
    effectiveness = _effectiveness(right, len(judgements))
    miss, false_alarm = _errors(defective, "normal", MISS), _errors(good, "anomalous", FALSE_ALARM)
    figures = (effectiveness, miss, false_alarm)
    grade = max((figure.grade for figure in figures), key=_GRADES.index)
    return Study(
        parts=len(judgements),
        good=len(good),
        defective=len(defective),
        repeats=repeats,
        effectiveness=effectiveness,
        miss=miss,
        false_alarm=false_alarm,
        reviews=_errors({**good, **defective}, "review", None),
        within=_within(list(judgements.values())),
        against=_against(judgements, truth, right),
        grade=grade,
        shown=_shown(grade, figures),
    )


def parts_needed(rate: float, confidence: float = PROMISE) -> int:
    """So many parts without a failure show that the rate is at most `rate`: the least n with (1 - rate)^n <= 1 - confidence."""
    return math.ceil(math.log(1 - confidence) / math.log(1 - rate))


def study_values(found: Study) -> dict[str, Any]:
    """A study as plain values."""
    return {
        name: value._asdict() if isinstance(value, Figure | Agreement) else value
        for name, value in found._asdict().items()
    }


def _require_complete(judgements: Mapping[str, Sequence[str]], truth: Mapping[str, str]) -> int:
    """The number of repeats, the same for all parts."""
    if not judgements or set(judgements) != set(truth):
        raise RequestError("a study needs judgements and truth of the same parts, of one at least")
    if strangers := {word for found in judgements.values() for word in found} - set(_WORDS):
        raise RequestError(f"there is no verdict {min(strangers)!r}; expected {', '.join(_WORDS)}")
    if strangers := set(truth.values()) - {"normal", "anomalous"}:
        raise RequestError(f"the truth of a part is normal or anomalous, not {min(strangers)!r}")
    repeats = {len(found) for found in judgements.values()}
    if len(repeats) > 1 or repeats == {0}:
        raise RequestError("every part must be judged equally often, once at least")
    return repeats.pop()


def _effectiveness(right: int, parts: int) -> Figure:
    low, high = binomial_interval(right, parts)
    lower, upper = binomial_interval(right, parts, 2 * PROMISE - 1)
    failing = _grade(1 - right / parts, _as_failures(EFFECTIVENESS))
    return Figure(
        hits=right,
        of=parts,
        unit="parts",
        value=right / parts,
        low=low,
        high=high,
        grade=failing,
        shown=_is_shown(failing, 1 - upper, 1 - lower, _as_failures(EFFECTIVENESS)),
        needed=parts_needed(1 - EFFECTIVENESS.acceptable),
    )


def _as_failures(limits: Limits) -> Limits:
    return Limits(*(round(1 - limit, 9) for limit in limits))


def _errors(parts: Mapping[str, Sequence[str]], wrong: str, limits: Limits | None) -> Figure:
    """A rate of wrong decisions.

    The chance of a wrong decision lies between that of a part being judged wrong every time and that of it being judged
    wrong at all; the exact bounds of these two hold it, however much the repeats of a part resemble each other.
    """
    needed = parts_needed(limits.acceptable) if limits else 0
    if not parts:
        return Figure(0, 0, "decisions", None, None, None, "not known", shown=False, needed=needed)
    counts = [list(found).count(wrong) for found in parts.values()]
    decisions = sum(len(found) for found in parts.values())
    always = sum(count == len(found) for count, found in zip(counts, parts.values(), strict=True))
    ever = sum(count > 0 for count in counts)
    value, one_sided = sum(counts) / decisions, 2 * PROMISE - 1
    best, worst = binomial_interval(always, len(parts), one_sided)[0], binomial_interval(ever, len(parts), one_sided)[1]
    grade = _grade(value, limits) if limits else "not known"
    return Figure(
        hits=sum(counts),
        of=decisions,
        unit="decisions",
        value=value,
        low=binomial_interval(always, len(parts))[0],
        high=binomial_interval(ever, len(parts))[1],
        grade=grade,
        shown=bool(limits) and _is_shown(grade, best, worst, limits or MISS),
        needed=needed,
    )


def _grade(failures: float, limits: Limits) -> Grade:
    if failures <= limits.acceptable + 1e-9:
        return "acceptable"
    return "marginal" if failures <= limits.marginal + 1e-9 else "not acceptable"


def _is_shown(grade: Grade, best: float, worst: float, limits: Limits) -> bool:
    """Whether a bound of the failures is on the same side of the limit as the figure itself."""
    if grade == "not acceptable":
        return best > limits.marginal
    return worst <= (limits.acceptable if grade == "acceptable" else limits.marginal)


def _shown(grade: Grade, figures: Sequence[Figure]) -> bool:
    """Bad is shown by one figure, good by all."""
    if grade == "not acceptable":
        return any(figure.shown for figure in figures if figure.grade == grade)
    return all(figure.shown for figure in figures)


def _within(ratings: Sequence[Sequence[str]]) -> Agreement:
    parts = len(ratings)
    if len(ratings[0]) < 2:
        return Agreement(0, parts, None, None, None, None)
    same = sum(len(set(found)) == 1 for found in ratings)
    return Agreement(same, parts, same / parts, *binomial_interval(same, parts), fleiss_kappa(ratings))


def _against(judgements: Mapping[str, Sequence[str]], truth: Mapping[str, str], right: int) -> Agreement:
    pairs = [(verdict, truth[part]) for part, found in judgements.items() for verdict in found]
    parts = len(judgements)
    kappa = cohen_kappa([verdict for verdict, _ in pairs], [known for _, known in pairs])
    return Agreement(right, parts, right / parts, *binomial_interval(right, parts), kappa)
