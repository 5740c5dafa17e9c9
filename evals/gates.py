"""Gates: what a run's scores must reach before its agent may be released, as a file that lies beside the suite."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import yaml
from pydantic import Field, ValidationError, model_validator

from evals.comparing import Change, Comparison
from evals.judge import FAMILY, is_judged
from knowledge import Frozen, RequestError

_SLACK = 1e-9
"""Means of floats: 0.9 - 0.1 - 0.7 must pass a gate at 0.1."""

State = Literal["passed", "failed", "unscored", "skipped"]
Limit = Annotated[float, Field(allow_inf_nan=False)]


class ScoreGate(Frozen):
    """A limit of a score's mean, or of an end of its interval."""

    score: Annotated[str, Field(min_length=1)]
    at_least: Limit | None = None
    at_most: Limit | None = None
    low: bool = False
    """`at_least` holds for the lower end of the 95 % interval: it is shown, not merely seen."""
    high: bool = False
    """`at_most` holds for the upper end."""

    @model_validator(mode="after")
    def _one_limit(self) -> "ScoreGate":
        if (self.at_least is None) == (self.at_most is None):
            raise ValueError("expected either at_least or at_most")
        if self.low and self.at_least is None:
            raise ValueError("low goes with at_least; with at_most the careful end is high")
        if self.high and self.at_most is None:
            raise ValueError("high goes with at_most; with at_least the careful end is low")
        return self

    @property
    def asked(self) -> str:
        of = "lower end of " if self.low else "upper end of " if self.high else ""
        return f"{of}{self.score} {self.wanted}"

    @property
    def wanted(self) -> str:
        return f"at most {self.at_most:g}" if self.at_least is None else f"at least {self.at_least:g}"

    def judged(self, summary: Mapping[str, Any]) -> float | None:
        """The figure of a score's summary that this gate looks at."""
        value: float | None = summary.get("low" if self.low else "high" if self.high else "mean")
        return value

    def keeps(self, value: float) -> bool:
        return (self.at_least is None or value >= self.at_least - _SLACK) and (
            self.at_most is None or value <= self.at_most + _SLACK
        )


class ChangeGate(Frozen):
    """A score may be worse than in the run compared with by so much, over the cases that both have."""

    compare: Annotated[str, Field(min_length=1)]
    drop_at_most: Annotated[float, Field(ge=0, allow_inf_nan=False)]


class GateResult(NamedTuple):
    gate: str
    """What was asked, in words."""
    state: State
    sentence: str

    @property
    def ok(self) -> bool:
        """A score without a value keeps no promise: only what passed, or was not asked, lets a run through."""
        return self.state in ("passed", "skipped")


def read_gates(path: Path) -> tuple[ScoreGate | ChangeGate, ...]:
    """Read a file of gates; raises `RequestError` naming file, gate and field."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        raise RequestError(f"{path}: cannot be read ({' '.join(str(error).split())[:200]})") from error
    if not isinstance(content, dict) or set(content) != {"gates"} or not isinstance(content["gates"], list):
        raise RequestError(f"{path}: expected a mapping with gates, a list, and nothing else")
    if not content["gates"]:
        raise RequestError(
            f"{path}: gates is empty, which would let everything through; write one, or leave the file out"
        )
    gates = tuple(_gate(values, f"{path}, gate {number}") for number, values in enumerate(content["gates"], start=1))
    _require_one_by_code(gates, path)
    return gates


def check_gates(path: Path, summary: Mapping[str, Any], comparison: Comparison | None = None) -> list[GateResult]:
    """Each gate with its outcome; gates of a comparison are skipped where nothing is compared."""
    return [
        _checked_change(gate, comparison)
        if isinstance(gate, ChangeGate)
        else _checked_score(gate, _scores(summary).get(gate.score))
        for gate in read_gates(path)
    ]


def _scores(summary: Mapping[str, Any]) -> dict[str, Any]:
    """Those of code, and those of a judge where there was one."""
    return {**summary.get("scores", {}), **summary.get("judge", {}).get("scores", {})}


def _require_one_by_code(gates: Sequence[ScoreGate | ChangeGate], path: Path) -> None:
    """A gate of a comparison is no such one: it is skipped where nothing is compared."""
    names = [gate.score if isinstance(gate, ScoreGate) else gate.compare for gate in gates]
    by_code = any(isinstance(gate, ScoreGate) and not is_judged(gate.score) for gate in gates)
    if any(map(is_judged, names)) and not by_code:
        raise RequestError(
            f"{path}: {FAMILY} scores are a model's opinion, which is never the only gate; add a gate on a score that code "
            "gives, such as questions.accuracy"
        )


def _gate(values: object, where: str) -> ScoreGate | ChangeGate:
    if not isinstance(values, dict) or ("score" in values) == ("compare" in values):
        raise RequestError(f"{where}: expected a mapping with either score or compare")
    try:
        return ScoreGate.model_validate(values) if "score" in values else ChangeGate.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        raise RequestError(
            f"{where}{f', {field}' if field else ''}: {first['msg'].removeprefix('Value error, ')}"
        ) from error


def _checked_score(gate: ScoreGate, summary: Mapping[str, Any] | None) -> GateResult:
    if summary is None:
        needed = "; it needs --judge" if is_judged(gate.score) else ""
        sentence = f"{gate.score} is no score of this run{needed}, so the gate cannot pass."
        return GateResult(gate.asked, "unscored", sentence)
    value, n, unscored = gate.judged(summary), summary.get("n", 0), summary.get("unscored", 0)
    if value is None:
        sentence = f"{gate.score} has no value ({unscored} unscored), so the gate cannot pass."
        return GateResult(gate.asked, "unscored", sentence)
    figure = "lower end of " if gate.low else "upper end of " if gate.high else ""
    cases = f"{n} case{'' if n == 1 else 's'}{f', {unscored} more unscored' if unscored else ''}"
    sentence = f"The {figure or 'mean of '}{gate.score} is {value:.4g} over {cases}; asked is {gate.wanted}."
    return GateResult(gate.asked, "passed" if gate.keeps(value) else "failed", sentence)


def _checked_change(gate: ChangeGate, comparison: Comparison | None) -> GateResult:
    asked = f"{gate.compare} worse by at most {gate.drop_at_most:g}"
    if comparison is None:
        return GateResult(
            asked, "skipped", f"{gate.compare} was compared with nothing; give --compare to check this gate."
        )
    if is_judged(gate.compare) and comparison.first.judge != comparison.second.judge:
        return GateResult(asked, "unscored", f"{gate.compare} was given by two judges, so the gate cannot pass.")
    change = comparison.change(gate.compare)
    if change is None or change.difference is None:
        return GateResult(
            asked, "unscored", f"{gate.compare} has a value in no case of both runs, so the gate cannot pass."
        )
    worse = _worse_by(change)
    state: State = "passed" if worse <= gate.drop_at_most + _SLACK else "failed"
    told = f"worse by {worse:.4g}" if worse > 0 else f"better by {-worse:.4g}" if worse < 0 else "the same"
    sentence = (
        f"{gate.compare} is {told} over {change.n} cases of both runs; asked is worse by at most {gate.drop_at_most:g}."
    )
    return GateResult(asked, state, sentence)


def _worse_by(change: Change) -> float:
    """By how much the second run is worse, whichever direction is better."""
    difference = change.difference or 0.0
    return difference if change.lower_is_better else -difference
