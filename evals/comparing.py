"""Two folders of results beside each other: what became better, what became worse, and whether chance can explain it."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError
from rich.markup import escape
from rich.table import Table

from agent import Verdict
from evals.judge import JUDGED_LOWER_IS_BETTER
from evals.metrics import Estimate, paired_difference
from evals.results import CaseResult
from evals.scorers import DESCRIPTIVE, LOWER_IS_BETTER
from evals.store import RESULTS_FILE, SCORES_FILE, SUMMARY_FILE
from knowledge import RequestError

CORRECT = "verdict.correct"
_FEWEST = 6
"""So many cases must differ before a change is called clear: of fewer, all in one direction, a sign test says nothing."""

_LOWER_IS_BETTER = LOWER_IS_BETTER | JUDGED_LOWER_IS_BETTER
_CLEAR = ("better", "worse", "changed")

Line = TypeVar("Line", bound=BaseModel)
Word = Literal["better", "worse", "changed", "not clear", "same", "unscored"]
"""`changed` is said of scores of which neither direction is better."""


class ScoreLine(BaseModel):
    """One score of one case, as `scores.jsonl` holds it."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    case: str
    name: str
    value: float | None
    why: str = ""


class Run(NamedTuple):
    """A folder of results, read."""

    folder: Path
    results: dict[str, CaseResult]
    scores: dict[str, dict[str, ScoreLine]]
    """Case -> name of the score -> line."""
    summary: dict[str, Any]

    def value(self, case: str, name: str) -> float | None:
        line = self.scores.get(case, {}).get(name)
        return None if line is None else line.value


class Change(NamedTuple):
    """One score over the cases that both runs scored."""

    name: str
    first: float | None
    second: float | None
    difference: float | None
    """Mean of second - first, case by case."""
    low: float | None
    high: float | None
    """95 % bootstrap interval of the difference."""
    n: int
    differ: int
    """Cases whose values differ."""
    lower_is_better: bool
    word: Word


class Flip(NamedTuple):
    """A case that one run judged right and the other did not; `None` is a case that could not be run."""

    case: str
    first: Verdict | None
    second: Verdict | None


class Side(NamedTuple):
    """What a run says of itself."""

    folder: str
    suite: str
    model: str
    cases: int
    failed: int
    seconds: float | None
    cost: float | None
    """`None` where a price is not known."""
    judge: str = ""
    """Who graded answers in words, with the version of its words; empty where nobody did."""


class Comparison(NamedTuple):
    """The second run against the first."""

    first: Side
    second: Side
    shared: int
    changes: tuple[Change, ...]
    right_to_wrong: tuple[Flip, ...]
    wrong_to_right: tuple[Flip, ...]
    only_first: tuple[str, ...]
    only_second: tuple[str, ...]

    def change(self, name: str) -> Change | None:
        return next((change for change in self.changes if change.name == name), None)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader must know before reading anything into the figures."""
        found = []
        if self.first.suite != self.second.suite:
            found.append(f"The suites differ: {self.first.suite} and {self.second.suite}.")
        if not self.shared:
            found.append("The runs share no case, so nothing can be compared.")
        if self.first.judge and self.second.judge and self.first.judge != self.second.judge:
            found.append(
                f"The judges differ, so judged scores do not compare: {self.first.judge}; {self.second.judge}."
            )
        clear = sum(change.word in _CLEAR for change in self.changes)
        if clear and len(self.changes) >= 20:
            by_chance = round(len(self.changes) / 20)
            found.append(f"Of {len(self.changes)} scores about {by_chance} would look changed by chance; {clear} do.")
        return tuple(found)


def read_run(folder: Path) -> Run:
    """Read a folder of results; raises `RequestError` naming file and line. Of two lines of a case the last counts."""
    results = {line.case: line for line in _lines(folder / RESULTS_FILE, CaseResult)}
    scores: dict[str, dict[str, ScoreLine]] = {}
    for line in _lines(folder / SCORES_FILE, ScoreLine):
        scores.setdefault(line.case, {})[line.name] = line
    return Run(folder, results, scores, _summary(folder / SUMMARY_FILE))


def compare(a: Path, b: Path, seed: int = 0) -> Comparison:
    """Compare the run in `b` with the earlier one in `a`, over the cases that both have."""
    first, second = read_run(a), read_run(b)
    shared = [case for case in first.results if case in second.results]
    names = dict.fromkeys(name for run in (first, second) for lines in run.scores.values() for name in lines)
    return Comparison(
        first=_side(first),
        second=_side(second),
        shared=len(shared),
        changes=tuple(_change(name, first, second, shared, seed) for name in names),
        right_to_wrong=_flips(first, second, shared, right_first=True),
        wrong_to_right=_flips(first, second, shared, right_first=False),
        only_first=tuple(case for case in first.results if case not in second.results),
        only_second=tuple(case for case in second.results if case not in first.results),
    )


def comparison_json(comparison: Comparison) -> dict[str, Any]:
    """The comparison as plain values."""
    return {
        **comparison._asdict(),
        "first": comparison.first._asdict(),
        "second": comparison.second._asdict(),
        "changes": [change._asdict() for change in comparison.changes],
        "right_to_wrong": [flip._asdict() for flip in comparison.right_to_wrong],
        "wrong_to_right": [flip._asdict() for flip in comparison.wrong_to_right],
        "warnings": list(comparison.warnings),
    }


def comparison_tables(comparison: Comparison, *, most_flips: int = 20) -> list[Table]:
    """For a terminal: the two runs, their scores, the cases that flipped."""
    tables = [_runs_table(comparison), _changes_table(comparison)]
    flips = [*comparison.right_to_wrong, *comparison.wrong_to_right]
    return [*tables, _flips_table(comparison, most_flips)] if flips else tables


def _change(name: str, first: Run, second: Run, shared: Sequence[str], seed: int) -> Change:
    pairs = [(first.value(case, name), second.value(case, name)) for case in shared]
    both = [(a, b) for a, b in pairs if a is not None and b is not None]
    lower = name in _LOWER_IS_BETTER
    before, after = [a for a, _ in both], [b for _, b in both]
    found = paired_difference(after, before, seed)
    if found is None:
        return Change(name, None, None, None, None, None, 0, 0, lower, "unscored")
    differ = sum(a != b for a, b in both)
    means = float(np.mean(before)), float(np.mean(after))
    return Change(name, *means, found.mean, found.low, found.high, len(both), differ, lower, _word(name, found, differ))


def _word(name: str, found: Estimate, differ: int) -> Word:
    if differ == 0:
        return "same"
    if differ < _FEWEST or found.low is None or found.high is None or found.low <= 0 <= found.high:
        return "not clear"
    if name in DESCRIPTIVE:
        return "changed"
    return "better" if (found.mean > 0) != (name in _LOWER_IS_BETTER) else "worse"


def _flips(first: Run, second: Run, shared: Sequence[str], *, right_first: bool) -> tuple[Flip, ...]:
    scored = [case for case in shared if None not in (first.value(case, CORRECT), second.value(case, CORRECT))]
    return tuple(
        Flip(case, first.results[case].verdict, second.results[case].verdict)
        for case in scored
        if _right(first, case) == right_first and _right(second, case) != right_first
    )


def _right(run: Run, case: str) -> bool:
    return run.value(case, CORRECT) == 1.0


def _side(run: Run) -> Side:
    summary, results = run.summary, run.results.values()
    return Side(
        folder=str(run.folder),
        suite=str(summary.get("suite", "")),
        model=str(summary.get("model", "")),
        cases=len(run.results),
        failed=sum(bool(result.error) for result in results),
        seconds=summary.get("seconds"),
        cost=summary.get("cost"),
        judge=_judge(summary),
    )


def _judge(summary: Mapping[str, Any]) -> str:
    judge = summary.get("judge")
    return f"{judge.get('model')}, prompt {judge.get('prompt')}" if isinstance(judge, Mapping) else ""


def _lines(path: Path, schema: type[Line]) -> list[Line]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError(f"{path}: cannot be read ({error}); give a folder that `anomalyst eval` wrote") from error
    found = []
    # Not splitlines: a text in JSON may hold separators that only Python takes for the end of a line.
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                found.append(schema.model_validate_json(line))
            except ValidationError as error:
                first = error.errors()[0]
                where = ".".join(map(str, first["loc"]))
                raise RequestError(f"{path}, line {number}: {where or 'not a record'}: {first['msg']}") from error
    return found


def _summary(path: Path) -> dict[str, Any]:
    try:
        summary = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise RequestError(f"{path}: cannot be read ({error}); give a folder that `anomalyst eval` wrote") from error
    if not isinstance(summary, dict) or not isinstance(summary.get("scores", {}), Mapping):
        raise RequestError(f"{path}: expected a mapping with scores")
    return summary


def _runs_table(comparison: Comparison) -> Table:
    table = Table("", "first", "second", title=f"Two runs, {comparison.shared} cases in both")
    first, second = comparison.first, comparison.second
    for name in ("folder", "suite", "model", "cases", "failed"):
        table.add_row(name, escape(str(getattr(first, name))), escape(str(getattr(second, name))))
    table.add_row("seconds", *(_number(side.seconds, "{:.1f}") for side in (first, second)))
    table.add_row("cost", *(_number(side.cost, "${:.4g}") for side in (first, second)))
    table.add_row("only here", str(len(comparison.only_first)), str(len(comparison.only_second)))
    return table


def _changes_table(comparison: Comparison) -> Table:
    table = Table("score", "first", "second", "difference (95 %)", "n", "differ", "so it is", title="Scores")
    colours = {"better": "green", "worse": "red"}
    for change in comparison.changes:
        name = escape(change.name) + (" (lower is better)" if change.lower_is_better else "")
        word = f"[{colours[change.word]}]{change.word}[/]" if change.word in colours else change.word
        table.add_row(
            name,
            _number(change.first, "{:.3f}"),
            _number(change.second, "{:.3f}"),
            _difference(change),
            str(change.n),
            str(change.differ),
            word,
        )
    return table


def _flips_table(comparison: Comparison, most: int) -> Table:
    table = Table("case", "first", "second", "flipped", title="Verdicts that flipped")
    for flips, how in ((comparison.right_to_wrong, "right -> wrong"), (comparison.wrong_to_right, "wrong -> right")):
        for flip in flips[:most]:
            table.add_row(escape(flip.case), flip.first or "failed", flip.second or "failed", how)
        if len(flips) > most:
            table.add_row(f"and {len(flips) - most} more", "", "", how)
    return table


def _difference(change: Change) -> str:
    interval = "" if change.low is None else f" ({change.low:+.3f} .. {change.high:+.3f})"
    return f"{_number(change.difference, '{:+.3f}')}{interval}"


def _number(value: float | None, shape: str) -> str:
    return "-" if value is None else shape.format(value)
