"""A run in figures: means with intervals, what trivial verdicts would have scored, cost and time."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from agent import Verdict
from evals.cases import Case
from evals.inspect_task import Scores
from evals.metrics import mean_with_interval
from evals.results import CaseResult
from evals.scorers import LOWER_IS_BETTER, SCORERS, UNITS
from evals.whole_suite import WORDS

Figures = dict[str, Any]

BASELINES = ("always_normal", "always_anomalous", "localizer_alone")
_BASELINE_FAMILY = "verdict"


def figures_of(scores: Iterable[Scores], seed: int) -> dict[str, Figures]:
    """Score -> its mean with a 95 % interval, over how many cases, and how many have none."""
    values: dict[str, list[float | None]] = {}
    for of_case in scores:
        for name, score in of_case.items():
            values.setdefault(name, []).append(score.value)
    return {name: _figure(found, seed, shares=not name.endswith(UNITS)) for name, found in values.items()}


def baselines_of(
    cases: Sequence[Case], results: Mapping[str, CaseResult], folder: Path, seed: int
) -> dict[str, dict[str, Figures]]:
    """What verdicts that need no agent score on the same cases, by the scorers of verdicts."""
    found = {}
    for name in BASELINES:
        replaced = {case.id: _replaced(name, results[case.id]) for case in cases}
        scores = [_verdict_scores(case, replaced, folder) for case in cases]
        found[name] = figures_of(scores, seed)
    return found


def spent(results: Iterable[CaseResult]) -> Figures:
    """Totals; the cost is null where a price is not known."""
    known = list(results)
    costs = [result.cost for result in known]
    return {
        "failed": sum(bool(result.error) for result in known),
        "model_calls": sum(result.model_calls for result in known),
        "tokens": sum(result.tokens for result in known),
        "cost": None if None in costs else sum(cost for cost in costs if cost is not None),
        "seconds": round(sum(result.seconds for result in known), 3),
    }


def summary_table(summary: Mapping[str, Any]) -> Table:
    """Scores that have a value, with the baselines beside them."""
    title = f"{summary['suite']}: {summary['cases']} cases with {summary['model']}"
    names = [name.replace("_", " ") for name in summary["baselines"]]
    table = Table("score", "mean", "95 % interval", "n", "unscored", *names, title=escape(title))
    for name, found in summary["scores"].items():
        if found["n"]:
            beside = [_number(of.get(name, {}).get("mean")) for of in summary["baselines"].values()]
            label = escape(name) + (" (lower is better)" if name in LOWER_IS_BETTER else "")
            table.add_row(
                label, _number(found["mean"]), _interval(found), str(found["n"]), str(found["unscored"]), *beside
            )
    return table


def whole_line(summary: Mapping[str, Any]) -> str:
    """What only the whole run has."""
    told = [f"{WORDS[name]} {value:.3f}" for name, value in summary["whole"].items() if value is not None]
    return "; ".join(told) or "no case with a known verdict"


def spent_line(summary: Mapping[str, Any]) -> str:
    """Failures, cost and time, and what no case has a value of."""
    cost = "a cost that is not known" if summary["cost"] is None else f"${summary['cost']:.4g}"
    line = (
        f"{summary['failed']} failed; {summary['model_calls']} model calls, {summary['tokens']} tokens, {cost}; "
        f"{summary['seconds']:.1f} s of inspections in {summary['wall_seconds']:.1f} s, "
        f"{summary['taken_over']} taken over"
    )
    without = [name for name, found in summary["scores"].items() if not found["n"]]
    return line + (f"; unscored: {', '.join(without)}" if without else "")


def _figure(values: Sequence[float | None], seed: int, *, shares: bool = True) -> Figures:
    scored = [value for value in values if value is not None]
    estimate = mean_with_interval(scored, seed, shares=shares)
    mean, low, high = (estimate.mean, estimate.low, estimate.high) if estimate else (None, None, None)
    return {"mean": mean, "low": low, "high": high, "n": len(scored), "unscored": len(values) - len(scored)}


def _verdict_scores(case: Case, results: Mapping[str, CaseResult], folder: Path) -> Scores:
    scores = SCORERS[_BASELINE_FAMILY](case, results[case.id], results, folder)
    return {f"{_BASELINE_FAMILY}.{name}": score for name, score in scores.items()}


def _replaced(baseline: str, result: CaseResult) -> CaseResult:
    """A result as it would be without an agent; the trivial two cannot fail."""
    if baseline == "localizer_alone":
        return result.model_copy(update={"verdict": _by_p_value(result), "claims": (), "opinions": ()})
    verdict: Verdict = "normal" if baseline == "always_normal" else "anomalous"
    return CaseResult(case=result.case, fingerprint=result.fingerprint, verdict=verdict)


def _by_p_value(result: CaseResult) -> Verdict:
    if result.p_value is None or result.alpha is None:
        return "review"
    return "anomalous" if result.p_value <= result.alpha else "normal"


def _interval(found: Figures) -> str:
    return "-" if found["low"] is None else f"{_number(found['low'])} .. {_number(found['high'])}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}" if abs(value) < 100 else f"{value:.0f}"
