"""rules: whether the rules that are truly violated, and no others, were found violated."""

from collections.abc import Mapping
from pathlib import Path

from evals.cases import Case
from evals.results import CaseResult, Score
from evals.scorers.measure import Measure, Trial, scores_of, unscored, yes_or_no


def score(case: Case, result: CaseResult, results: Mapping[str, CaseResult], suite_folder: Path) -> dict[str, Score]:
    """`precision` and `recall` over the violated rules, and `exact`: the same set."""
    return scores_of(MEASURES, Trial(case, result, results, suite_folder))


def found_violated(result: CaseResult) -> set[str]:
    return {id_ for id_, outcome in result.rules.items() if outcome == "violated"}


def _precision(trial: Trial) -> Score:
    found, true = found_violated(trial.result), set(trial.case.expected.rules_violated or ())
    return Score(len(found & true) / len(found)) if found else unscored("no rule was found violated")


def _recall(trial: Trial) -> Score:
    found, true = found_violated(trial.result), set(trial.case.expected.rules_violated or ())
    return Score(len(found & true) / len(true))


def _exact(trial: Trial) -> Score:
    found, true = found_violated(trial.result), set(trial.case.expected.rules_violated or ())
    return yes_or_no(found == true, f"found {sorted(found)}, true are {sorted(true)}" if found != true else "")


def _unknown(case: Case) -> str:
    return "it is not known which rules are violated" if case.expected.rules_violated is None else ""


def _none_violated(case: Case) -> str:
    return _unknown(case) or ("" if case.expected.rules_violated else "no rule is violated")


MEASURES = {
    "precision": Measure(_precision, _unknown),
    "recall": Measure(_recall, _none_violated),
    "exact": Measure(_exact, _unknown),
}
