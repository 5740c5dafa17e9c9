"""Answers of a run that can be judged: in words, to questions of which it is known what is right."""

import hashlib
import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from evals.cases import Case, Question
from evals.judge.store import Label
from evals.results import CaseResult
from evals.scorers.questions import is_right


class Worded(NamedTuple):
    """An answer in words, with what is known of the right one."""

    case: str
    question: Question
    text: str
    deterministic: Label
    """By the scorer of questions; the judge is not told."""

    @property
    def shown(self) -> dict[str, Any]:
        """All that the judge is told."""
        return {
            "question": self.question.text,
            "unanswerable": self.question.unanswerable,
            "right_answer_holds": list(self.question.holds),
            "answer": self.text,
        }

    @property
    def digest(self) -> str:
        """Of what is judged: a grade, or a person's label, holds for this and nothing else."""
        return hashlib.sha256(json.dumps(self.shown, sort_keys=True).encode()).hexdigest()


def words_of(case: Case, result: CaseResult) -> Iterator[Worded]:
    """The answers of a case that can be judged: in words, to questions of which it is known what is right.

    A case that could not be run has none; a question without an answer has an empty one.
    """
    if result.error:
        return
    answers = {answer.question: answer for answer in result.answers}
    for question in judged_questions(case):
        answer = answers.get(question.id)
        right = is_right(question, answer)
        yield Worded(case.id, question, answer.text if answer else "", "right" if right else "wrong")


def judged_questions(case: Case) -> list[Question]:
    """Those that are answered in words, and of which it is known what is right; of a variant none, as in all scores."""
    if case.variant:
        return []
    return [
        question for question in case.questions if not question.options and (question.holds or question.unanswerable)
    ]
