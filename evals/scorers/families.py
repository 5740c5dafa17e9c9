"""All families of scores, and every score of a case."""

from collections.abc import Mapping
from pathlib import Path

from evals.cases import Case
from evals.results import CaseResult, Score
from evals.scorers import (
    consistency,
    cost,
    defect_type,
    faithfulness,
    grounding,
    hallucination,
    place,
    questions,
    rules,
    trajectory,
    verdict,
)
from evals.scorers.measure import Measures, Scorer

SCORERS: dict[str, Scorer] = {
    "verdict": verdict.score,
    "place": place.score,
    "type": defect_type.score,
    "rules": rules.score,
    "grounding": grounding.score,
    "hallucination": hallucination.score,
    "faithfulness": faithfulness.score,
    "trajectory": trajectory.score,
    "questions": questions.score,
    "consistency": consistency.score,
    "cost": cost.score,
}

_MEASURES: dict[str, Measures] = {
    "verdict": verdict.MEASURES,
    "place": place.MEASURES,
    "type": defect_type.MEASURES,
    "rules": rules.MEASURES,
    "grounding": grounding.MEASURES,
    "hallucination": hallucination.MEASURES,
    "faithfulness": faithfulness.MEASURES,
    "trajectory": trajectory.MEASURES,
    "questions": questions.MEASURES,
    "consistency": consistency.MEASURES,
    "cost": cost.MEASURES,
}

SCORE_NAMES = tuple(f"{family}.{name}" for family, measures in _MEASURES.items() for name in measures)
"""Every score that `score_case` gives, in its order."""

LOWER_IS_BETTER = frozenset(
    f"{family}.{name}"
    for family, measures in _MEASURES.items()
    for name, measure in measures.items()
    if measure.better == "lower"
)
"""Rates of what went wrong, distances, and what was spent."""

DESCRIPTIVE = frozenset(
    f"{family}.{name}"
    for family, measures in _MEASURES.items()
    for name, measure in measures.items()
    if measure.better == "neither"
)
"""Neither high nor low is good."""


def score_case(
    case: Case, result: CaseResult, results: Mapping[str, CaseResult], suite_folder: Path
) -> dict[str, Score]:
    """Every score of every family, as `family.name`; unscored where the case does not ask for it."""
    return {
        f"{family}.{name}": score
        for family, scorer in SCORERS.items()
        for name, score in scorer(case, result, results, suite_folder).items()
    }
