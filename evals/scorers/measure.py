"""What every scorer is made of: named measures, each saying which cases ask for it and what a result is worth."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal, NamedTuple

from evals.cases import Case
from evals.results import CaseResult, Score

UNITS = ("_s", "_px", "_usd", "_count", "_spread")
"""Endings of names whose values are not shares; a spread is in thresholds."""

_VARIANT = "a variant of a part that is scored itself"


class Trial(NamedTuple):
    """A case and what became of it, with all that it may be compared with."""

    case: Case
    result: CaseResult
    results: Mapping[str, CaseResult]
    """Of all cases that were run, by id."""
    folder: Path
    """Of the suite; paths of cases are relative to it."""


def of_every_case(case: Case) -> str:
    """No case is left out."""
    return ""


class Measure(NamedTuple):
    value: Callable[[Trial], Score]
    """Only called of trials that were run and whose case asks for it."""
    unasked: Callable[[Case], str] = of_every_case
    """Why a case does not ask for it, by what is known of the part alone; empty where it does."""
    better: Literal["higher", "lower", "neither"] = "higher"
    of_variants: bool = False
    """Whether it asks variants too, which are no other parts: figures and intervals count parts."""


Measures = Mapping[str, Measure]
Scorer = Callable[[Case, CaseResult, Mapping[str, CaseResult], Path], dict[str, Score]]
"""(case, its result, the results of all cases by id, the suite's folder) -> every score of one family, by name."""


def scores_of(measures: Measures, trial: Trial) -> dict[str, Score]:
    """Every measure, in order. A case that could not be run has the worst value of what it asks for."""
    return {name: _score(name, measure, trial) for name, measure in measures.items()}


def yes_or_no(holds: bool, why: str = "") -> Score:
    return Score(float(holds), why)


def unscored(why: str) -> Score:
    return Score(None, why)


def _score(name: str, measure: Measure, trial: Trial) -> Score:
    if trial.case.variant and not measure.of_variants:
        return unscored(_VARIANT)
    why = measure.unasked(trial.case)
    if why:
        return unscored(why)
    if trial.result.error:
        return _worst(name, measure, trial.result.error)
    return measure.value(trial)


def _worst(name: str, measure: Measure, error: str) -> Score:
    """Seconds and dollars have no worst value, and what is neither good nor bad has none either."""
    why = f"it could not be run: {error}"
    if name.endswith(UNITS) or measure.better == "neither":
        return unscored(why)
    return Score(1.0 if measure.better == "lower" else 0.0, why)
