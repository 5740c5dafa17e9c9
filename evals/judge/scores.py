"""judged: what a model says of the answers in words, case by case; kept apart from the scores that code gives."""

import statistics
from collections.abc import Iterable, Mapping, Sequence

from evals.cases import Case
from evals.judge.answers import judged_questions
from evals.judge.store import Judgement
from evals.results import CaseResult, Score

Scores = dict[str, Score]

FAMILY = "judged"
RIGHT, UNDECIDED = f"{FAMILY}.right", f"{FAMILY}.undecided"

JUDGED_LOWER_IS_BETTER = frozenset({UNDECIDED})


def is_judged(name: str) -> bool:
    """Whether a score comes from a model."""
    return name.startswith(f"{FAMILY}.")


def judged_scores(
    cases: Iterable[Case], results: Mapping[str, CaseResult], judgements: Iterable[Judgement]
) -> dict[str, Scores]:
    """Case -> `judged.right`, the share right among the answers on which the judge decided, and `judged.undecided`.

    A case that could not be run has answered nothing right, and left nothing to decide.
    """
    of_case: dict[str, list[Judgement]] = {}
    for judgement in judgements:
        of_case.setdefault(judgement.case, []).append(judgement)
    return {case.id: _scores(case, results[case.id], of_case.get(case.id, [])) for case in cases}


def _scores(case: Case, result: CaseResult, judgements: Sequence[Judgement]) -> Scores:
    if not judged_questions(case):
        return dict.fromkeys((RIGHT, UNDECIDED), Score(None, "no question with a known answer in words was asked"))
    if result.error:
        why = f"it could not be run: {result.error}"
        return {RIGHT: Score(0.0, why), UNDECIDED: Score(None, why)}
    decided = [judgement for judgement in judgements if judgement.grade != "cannot_say"]
    wrong = [judgement.question for judgement in decided if judgement.grade == "wrong"]
    open_ones = [judgement.question for judgement in judgements if judgement.grade == "cannot_say"]
    return {
        RIGHT: Score(1 - len(wrong) / len(decided), _named("wrong", wrong))
        if decided
        else Score(None, "the judge decided on no answer"),
        UNDECIDED: Score(
            statistics.fmean(judgement.grade == "cannot_say" for judgement in judgements),
            _named("undecided", open_ones),
        ),
    }


def _named(what: str, questions: Sequence[str]) -> str:
    return f"{what}: {', '.join(questions)}" if questions else ""
