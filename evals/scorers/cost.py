"""cost: what a verdict took. A case that could not be run cost nothing that would mean anything, and is unscored."""

from collections.abc import Mapping
from pathlib import Path

from evals.cases import Case
from evals.results import CaseResult, Score
from evals.scorers.measure import Measure, Trial, scores_of, unscored
from evals.scorers.trajectory import steps_run


def score(case: Case, result: CaseResult, results: Mapping[str, CaseResult], suite_folder: Path) -> dict[str, Score]:
    """Seconds, steps that ran, calls of models, tokens, and US dollars where a price is known."""
    return scores_of(MEASURES, Trial(case, result, results, suite_folder))


def _dollars(trial: Trial) -> Score:
    cost = trial.result.cost
    return unscored("no price is known") if cost is None else Score(cost)


MEASURES = {
    "seconds_s": Measure(lambda trial: Score(trial.result.seconds), better="lower"),
    "steps_count": Measure(lambda trial: Score(float(len(steps_run(trial.result)))), better="lower"),
    "model_calls_count": Measure(lambda trial: Score(float(trial.result.model_calls)), better="lower"),
    "tokens_count": Measure(lambda trial: Score(float(trial.result.tokens)), better="lower"),
    "cost_usd": Measure(_dollars, better="lower"),
}
