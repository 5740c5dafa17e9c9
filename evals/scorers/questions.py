"""questions: whether what was asked of a part was answered right.

Kinds are those of MMAD (Jiang et al. 2025), and questions of a conversation. A question without an answer is wrong.
"""

import re
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import get_args

from evals.cases import Case, Question, QuestionKind
from evals.results import Answered, CaseResult, Score
from evals.scorers.measure import Measure, Trial, scores_of, unscored

_Chosen = Callable[[Question], bool]


def score(case: Case, result: CaseResult, results: Mapping[str, CaseResult], suite_folder: Path) -> dict[str, Score]:
    """`accuracy` over all questions, the same for each kind by its name, `unanswerable` and `first_option_chosen`.

    A choice is right by its index. An answer in words is right when it holds all the words that are asked for, cites
    evidence, and is not that nothing is known. `unanswerable` is the share of the questions without an answer of which
    that was said; they are in no accuracy. `first_option_chosen` is the share of the choices that fell on the first
    option, which tells of bias only beside the share of questions where that is right.
    """
    return scores_of(MEASURES, Trial(case, result, results, suite_folder))


def is_right(question: Question, answer: Answered | None) -> bool:
    if answer is None:
        return False
    if question.unanswerable:
        return not answer.known
    if question.options:
        return answer.option == question.answer
    return answer.known and bool(answer.evidence) and all(_holds(answer.text, words) for words in question.holds)


def _holds(text: str, words: str) -> bool:
    """Whether some words stand in a text, at the beginning of a word; a number also ends where it ends."""
    before = r"(?<![\w.])" if words[:1].isdigit() else r"(?<!\w)" if words[:1].isalnum() else ""
    after = r"(?!\.?\d)" if words[-1:].isdigit() else ""
    return re.search(before + re.escape(words.casefold()) + after, text.casefold()) is not None


def _answers(trial: Trial) -> dict[str, Answered]:
    return {answer.question: answer for answer in trial.result.answers}


def _share_right(chosen: _Chosen, what: str) -> Measure:
    def value(trial: Trial) -> Score:
        answers = _answers(trial)
        asked = [question for question in trial.case.questions if chosen(question)]
        wrong = [question.id for question in asked if not is_right(question, answers.get(question.id))]
        return Score(1 - len(wrong) / len(asked), f"wrong: {', '.join(wrong)}" if wrong else "")

    return Measure(value, _unless(chosen, what))


def _unless(chosen: _Chosen, what: str) -> Callable[[Case], str]:
    return lambda case: "" if any(chosen(question) for question in case.questions) else f"no question {what} was asked"


def _answerable(question: Question) -> bool:
    """Whether it is known what a right answer is."""
    if question.unanswerable:
        return False
    return question.answer is not None if question.options else bool(question.holds)


def _of_kind(kind: QuestionKind) -> Measure:
    return _share_right(lambda question: question.kind == kind and _answerable(question), f"of {kind}")


def _first_option_chosen(trial: Trial) -> Score:
    answers = _answers(trial)
    choices = [answers[question.id].option for question in _with_options(trial.case) if question.id in answers]
    made = [choice for choice in choices if choice is not None]
    return Score(statistics.fmean(choice == 0 for choice in made)) if made else unscored("no option was chosen")


def _with_options(case: Case) -> Sequence[Question]:
    return [question for question in case.questions if question.options]


MEASURES = {
    "accuracy": _share_right(_answerable, "with a known answer"),
    **{kind: _of_kind(kind) for kind in get_args(QuestionKind)},
    "unanswerable": _share_right(lambda question: question.unanswerable, "that cannot be answered"),
    "first_option_chosen": Measure(
        _first_option_chosen, _unless(lambda question: bool(question.options), "with options"), "neither"
    ),
}
