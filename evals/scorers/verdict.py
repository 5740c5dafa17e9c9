"""verdict: whether the part was judged right; misses and false alarms are told apart.

A verdict of review is not right unless it is the expected one, and is neither a miss nor a false alarm: nobody was told
that the part is sound, or that it is not.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

from agent import Verdict
from evals.cases import Case
from evals.results import CaseResult, Score
from evals.scorers.measure import Measure, Trial, scores_of, yes_or_no


def score(case: Case, result: CaseResult, results: Mapping[str, CaseResult], suite_folder: Path) -> dict[str, Score]:
    """`correct`, `miss`, `false_alarm` and `answered`, each 0 or 1."""
    return scores_of(MEASURES, Trial(case, result, results, suite_folder))


def _correct(trial: Trial) -> Score:
    return yes_or_no(trial.result.verdict == trial.case.expected.verdict, f"called {trial.result.verdict}")


def _miss(trial: Trial) -> Score:
    return yes_or_no(trial.result.verdict == "normal")


def _false_alarm(trial: Trial) -> Score:
    return yes_or_no(trial.result.verdict == "anomalous")


def _answered(trial: Trial) -> Score:
    return yes_or_no(trial.result.verdict in ("normal", "anomalous"))


def _unknown(case: Case) -> str:
    return "" if case.expected.verdict else "the right verdict is not known"


def _unless(*verdicts: Verdict) -> Callable[[Case], str]:
    wanted = " or ".join(verdicts)
    return lambda case: "" if case.expected.verdict in verdicts else f"not a part that is known to be {wanted}"


MEASURES = {
    "correct": Measure(_correct, _unknown),
    "miss": Measure(_miss, _unless("anomalous"), "lower"),
    "false_alarm": Measure(_false_alarm, _unless("normal"), "lower"),
    "answered": Measure(_answered, _unless("normal", "anomalous")),
}
