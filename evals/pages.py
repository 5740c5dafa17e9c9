"""A run of a suite as one HTML page: no script, nothing from outside; filters are radio buttons and CSS."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Literal, NamedTuple
from urllib.parse import quote

import numpy as np
from jinja2 import ChoiceLoader, Environment, PackageLoader, select_autoescape

from agent import Verdict
from evals.cases import Case, Suite
from evals.comparing import CORRECT, Comparison, Run, ScoreLine, read_run
from evals.judge import is_judged, judge_section
from evals.metrics import alarm_rates, binomial_interval, risk_coverage
from evals.results import CaseResult
from evals.scorers import DESCRIPTIVE, LOWER_IS_BETTER, UNITS
from evals.whole_suite import WORDS
from knowledge import write_atomically

PAGE_FILE = "index.html"
QUALIFICATION_PAGE = "qualification.html"

_LOW = 0.5
"""A score on the wrong side of it is named in its case's row."""
_MOST_TEXT = 160
_MOST_NAMED = 6
_MOST_REASONS = 12
_ALPHAS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
_MOST_POINTS = 200
"""Of a curve; more could not be told apart."""
_COVERAGES = (0.8, 0.9, 0.95)

State = Literal["right", "wrong", "review", "failed", "unjudged"]


class Rate(NamedTuple):
    """A share with its exact 95 % interval; `None` where there was nothing to count."""

    hits: int
    of: int
    value: float | None
    low: float | None
    high: float | None


class Reason(NamedTuple):
    """Why cases have no value of a score."""

    why: str
    cases: int
    example: str


class ScoreRow(NamedTuple):
    name: str
    mean: float | None
    low: float | None
    high: float | None
    n: int
    unscored: int
    reasons: tuple[Reason, ...]
    baselines: tuple[float | None, ...]
    """In the order of the page's baselines."""
    lower_is_better: bool
    in_unit: bool
    """Whether it can be drawn between 0 and 1."""


class Family(NamedTuple):
    name: str
    rows: tuple[ScoreRow, ...]


class Point(NamedTuple):
    x: float
    y: float
    low: float = 0.0
    high: float = 0.0


class Curve(NamedTuple):
    points: tuple[Point, ...]
    n: int


class CaseRow(NamedTuple):
    id: str
    tags: tuple[str, ...]
    expected: str
    verdict: str
    p_value: float | None
    state: State
    low: tuple[str, ...]
    """Scores on the wrong side of a half, with their values."""
    more: int
    """Such scores beyond those that are named."""
    note: str
    link: str


class Judged(NamedTuple):
    """A result with what is known of its case."""

    result: CaseResult
    expected: Verdict | None
    state: State


def results_page(folder: Path, suite: Suite | None, comparison: Comparison | None = None) -> str:
    """The page of a folder of results.

    Args:
        folder: holds `results.jsonl`, `scores.jsonl` and `summary.json`.
        suite: gives the cases' expectations and tags; without it the page shows what the scores tell alone.
        comparison: is shown where there is one.
    """
    run = read_run(folder)
    cases = {case.id: case for case in suite.cases} if suite else {}
    judged = [_judged(run, result, cases.get(result.case)) for result in run.results.values()]
    rows = [_case_row(run, each, cases.get(each.result.case)) for each in judged]
    risk = decided_risk(judged)
    return _render(
        "results.html",
        suite=suite,
        summary=run.summary,
        miss=_error_rate(run, "verdict.miss"),
        false_alarm=_error_rate(run, "verdict.false_alarm"),
        coverage=_rate(sum(_decides(each) for each in judged), len(judged)),
        families=_families(run),
        baselines=list(_baselines(run.summary)),
        alarms=realised_alarms(judged),
        misses=realised_misses(judged),
        whole_words=WORDS,
        risk=risk,
        risks=[(coverage, _risk_at(risk, coverage)) for coverage in _COVERAGES],
        rows=rows,
        counts=Counter(row.state for row in rows),
        low_scores=sum(bool(row.low) for row in rows),
        comparison=comparison,
        judge=judge_section(run),
    )


def write_page(folder: Path, suite: Suite | None = None, comparison: Comparison | None = None) -> Path:
    """Write the page into its folder; returns its path."""
    write_atomically(folder / PAGE_FILE, results_page(folder, suite, comparison).encode())
    return folder / PAGE_FILE


def comparison_section(comparison: Comparison) -> str:
    """The section of a page that compares two runs."""
    return _render("comparison.html", comparison=comparison)


def write_qualification_page(folder: Path, result: Mapping[str, Any]) -> Path:
    """Write the page of a qualification, from its plain values; returns its path."""
    path = folder / QUALIFICATION_PAGE
    write_atomically(path, _render("qualification.html", result=result, study=result["study"]).encode())
    return path


def realised_alarms(judged: Sequence[Judged]) -> Curve | None:
    """For each promised alpha, the share of normal parts with a p-value at most alpha, with its exact interval.

    A conformal p-value is no probability of being anomalous, so this is its reliability diagram: it keeps its promise
    where the curve is not above the diagonal.
    """
    values = _p_values(judged, "normal")
    points = [Point(rate.alpha, rate.rate, *rate.interval) for rate in alarm_rates(values, _ALPHAS)]
    return Curve(tuple(points), len(values)) if points else None


def realised_misses(judged: Sequence[Judged]) -> Curve | None:
    """For each alpha, the share of anomalous parts with a p-value above it."""
    values = _p_values(judged, "anomalous")
    points = [Point(rate.alpha, 1 - rate.rate) for rate in alarm_rates(values, _ALPHAS)]
    return Curve(tuple(points), len(values)) if points else None


def decided_risk(judged: Sequence[Judged]) -> Curve | None:
    """Share of wrong verdicts among the most confident, as ever more cases are decided.

    Confidence is how far the p-value is from alpha, as the logarithm of their ratio. Coverage is of all cases with a known
    verdict: those left to a person, or failed, are never covered.
    """
    known = [each for each in judged if each.state != "unjudged"]
    decided = [each for each in known if _decides(each)]
    if not decided:
        return None
    found = risk_coverage([_confidence(each) for each in decided], [each.state == "right" for each in decided])
    share = len(decided) / len(known)
    return Curve(_thinned([Point(share * point.coverage, point.risk) for point in found]), len(known))


def _render(template: str, **values: Any) -> str:
    environment = Environment(
        # One look for all pages: the style sheet is that of the inspections' pages.
        loader=ChoiceLoader([PackageLoader("evals"), PackageLoader("agent.exports")]),
        autoescape=select_autoescape(default=True),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = lambda value: "–" if value is None else f"{value:.4g}"
    environment.filters["figure"] = _figure
    environment.filters["percent"] = lambda value: "–" if value is None else f"{100 * value:.1f} %"
    environment.filters["points"] = _svg_points
    return environment.get_template(template).render(**values)


def _figure(value: float | None) -> str:
    """As many decimals for each, so that a column can be read down."""
    if value is None:
        return "–"
    return f"{value:.3f}" if abs(value) < 100 else f"{value:,.0f}"


def _svg_points(points: Sequence[Point]) -> str:
    """Points of a polyline in a square of 100."""
    return " ".join(f"{100 * point.x:.2f},{100 - 100 * point.y:.2f}" for point in points)


def _judged(run: Run, result: CaseResult, case: Case | None) -> Judged:
    expected = case.expected.verdict if case else None
    return Judged(result, expected, _state(result, expected, run.value(result.case, CORRECT)))


def _state(result: CaseResult, expected: Verdict | None, correct: float | None) -> State:
    """Without a suite, the score of the verdict says whether it was right."""
    if result.error or result.verdict is None:
        return "failed"
    if correct == 1.0 or (expected is not None and result.verdict == expected):
        return "right"
    if result.verdict == "review":
        return "review"
    return "unjudged" if expected is None and correct is None else "wrong"


def _decides(judged: Judged) -> bool:
    return judged.state != "failed" and judged.result.verdict != "review"


def _confidence(judged: Judged) -> float:
    p_value, alpha = judged.result.p_value, judged.result.alpha
    if not p_value or not alpha:
        return 0.0
    return abs(float(np.log(p_value / alpha)))


def _thinned(points: Sequence[Point]) -> tuple[Point, ...]:
    if len(points) <= _MOST_POINTS:
        return tuple(points)
    kept = np.linspace(0, len(points) - 1, _MOST_POINTS).round().astype(int)
    return tuple(points[index] for index in kept)


def _risk_at(curve: Curve | None, coverage: float) -> float | None:
    """Risk at the least coverage that is enough; `None` where so many are never decided."""
    return next((point.y for point in curve.points if point.x >= coverage - 1e-9), None) if curve else None


def _p_values(judged: Sequence[Judged], expected: Verdict) -> list[float]:
    return [each.result.p_value for each in judged if each.expected == expected and each.result.p_value is not None]


def _rate(hits: int, of: int) -> Rate:
    return Rate(hits, of, hits / of, *binomial_interval(hits, of)) if of else Rate(0, 0, None, None, None)


def _error_rate(run: Run, score: str) -> Rate:
    """Of the cases that a score asks of, those that have it; a case that could not be run counts as an error."""
    values = [value for case in run.results if (value := run.value(case, score)) is not None]
    return _rate(sum(value == 1.0 for value in values), len(values))


def _families(run: Run) -> list[Family]:
    """Scores by the first part of their name, in the order of the summary."""
    unscored: dict[str, list[ScoreLine]] = {}
    for line in (line for lines in run.scores.values() for line in lines.values() if line.value is None):
        unscored.setdefault(line.name, []).append(line)
    baselines = _baselines(run.summary)
    rows: dict[str, list[ScoreRow]] = {}
    for name, found in run.summary.get("scores", {}).items():
        row = _score_row(name, found, unscored.get(name, []), [means.get(name) for means in baselines.values()])
        rows.setdefault(name.partition(".")[0], []).append(row)
    return [Family(name, tuple(found)) for name, found in rows.items()]


def _score_row(
    name: str, found: Mapping[str, Any], unscored: Sequence[ScoreLine], baselines: Sequence[float | None]
) -> ScoreRow:
    mean, low, high = (found.get(key) for key in ("mean", "low", "high"))
    return ScoreRow(
        name,
        mean,
        low,
        high,
        n=found.get("n", 0),
        unscored=found.get("unscored", 0),
        reasons=_reasons(unscored),
        baselines=tuple(baselines),
        lower_is_better=name in LOWER_IS_BETTER,
        in_unit=not name.endswith(UNITS) and all(value is not None and 0 <= value <= 1 for value in (mean, low, high)),
    )


def _reasons(unscored: Sequence[ScoreLine]) -> tuple[Reason, ...]:
    counted = Counter(line.why for line in unscored)
    examples = {line.why: line.case for line in reversed(unscored)}
    shown = [Reason(_short(why) or "no reason given", count, examples[why]) for why, count in counted.most_common()]
    if len(shown) <= _MOST_REASONS:
        return tuple(shown)
    rest = shown[_MOST_REASONS:]
    return (*shown[:_MOST_REASONS], Reason("other reasons", sum(reason.cases for reason in rest), rest[0].example))


def _baselines(summary: Mapping[str, Any]) -> dict[str, dict[str, float | None]]:
    """Name of a baseline -> score -> mean; a score may be given by its mean or by its whole summary."""
    return {
        name: {
            score: found.get("mean") if isinstance(found, Mapping) else found
            for score, found in scores.get("scores", scores).items()
        }
        for name, scores in summary.get("baselines", {}).items()
    }


def _case_row(run: Run, judged: Judged, case: Case | None) -> CaseRow:
    result = judged.result
    low = [
        f"{line.name} {line.value:.2g}"
        for line in run.scores.get(result.case, {}).values()
        if line.value is not None and _is_low(line.name, line.value)
    ]
    return CaseRow(
        id=result.case,
        tags=case.tags[:_MOST_NAMED] if case else (),
        expected=judged.expected or "",
        verdict=result.verdict or "failed",
        p_value=result.p_value,
        state=judged.state,
        low=tuple(low[:_MOST_NAMED]),
        more=max(0, len(low) - _MOST_NAMED),
        note=_short(result.error),
        link=_link(result.page),
    )


def _is_low(name: str, value: float) -> bool:
    """Whether a case's score wants looking at; what is no share, neither good nor bad, or a model's opinion, never does."""
    if name in DESCRIPTIVE or name.endswith(UNITS) or is_judged(name):
        return False
    return value > _LOW if name in LOWER_IS_BETTER else value < _LOW


def _link(page: str) -> str:
    """A path inside the folder, ready for an address; nothing for what would lead elsewhere."""
    path = PurePosixPath(page)
    if not page or path.is_absolute() or ".." in path.parts:
        return ""
    return "./" + quote(page)


def _short(text: str) -> str:
    return text if len(text) <= _MOST_TEXT else text[: _MOST_TEXT - 1] + "…"
