"""type: whether the defect was given its right name."""

from collections.abc import Mapping
from pathlib import Path

from evals.cases import Case
from evals.results import CaseResult, Score
from evals.scorers.measure import Measure, Trial, scores_of, yes_or_no


def score(case: Case, result: CaseResult, results: Mapping[str, CaseResult], suite_folder: Path) -> dict[str, Score]:
    """`correct`: the top finding's type is the expected one; 0 where nothing was found."""
    return scores_of(MEASURES, Trial(case, result, results, suite_folder))


def _correct(trial: Trial) -> Score:
    top = max(trial.result.findings, key=lambda found: found.score, default=None)
    if top is None:
        return Score(0.0, "nothing was found")
    return yes_or_no(top.defect_type == trial.case.expected.defect_type, f"called {top.defect_type}")


def _unknown(case: Case) -> str:
    return "" if case.expected.defect_type else "the type of its defect is not known"


MEASURES = {"correct": Measure(_correct, _unknown)}
