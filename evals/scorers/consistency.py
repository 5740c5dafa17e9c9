"""consistency: whether the same part, shown or judged otherwise, is judged alike.

Scored at the part itself, once for all its variants, so that figures and intervals count parts.
"""

from collections.abc import Mapping
from pathlib import Path

from evals.cases import Case
from evals.results import CaseResult, Score
from evals.scorers.measure import Measure, Trial, scores_of, unscored


def score(case: Case, result: CaseResult, results: Mapping[str, CaseResult], suite_folder: Path) -> dict[str, Score]:
    """`verdict` and `score_spread`.

    verdict: of the other cases of its group, the share that was judged as this one; one that failed was not. score_spread:
    the highest less the lowest score of the group, each in units of its own threshold, over those that have both.
    """
    return scores_of(MEASURES, Trial(case, result, results, suite_folder))


def _group(trial: Trial) -> list[CaseResult]:
    """The results of the other cases of its group."""
    return [each for each in trial.results.values() if each.group == trial.case.group and each.case != trial.case.id]


def _verdict(trial: Trial) -> Score:
    others = _group(trial)
    if not others:
        return unscored("no other case of its group was run")
    differing = sorted(each.case for each in others if each.verdict != trial.result.verdict)
    return Score(1 - len(differing) / len(others), f"otherwise: {', '.join(differing)}" if differing else "")


def _score_spread(trial: Trial) -> Score:
    spread = [
        each.score / each.threshold
        for each in (trial.result, *_group(trial))
        if each.score is not None and each.threshold
    ]
    if len(spread) < 2:
        return unscored("fewer than two cases of its group have a score and a threshold")
    return Score(max(spread) - min(spread))


def _ungrouped(case: Case) -> str:
    return "" if case.group else "it is of no group"


MEASURES = {
    "verdict": Measure(_verdict, _ungrouped),
    "score_spread": Measure(_score_spread, _ungrouped, "lower"),
}
