"""A model that grades answers in words: never alone, and never without saying how far it agrees with others.

It grades one answer at a time, so that no order of answers can sway it, and is not told what the deterministic scorer
says. Where it gives no usable reply, nothing is made up: the grade is `cannot_say`, with the reason.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from langchain_core.messages import HumanMessage, SystemMessage
from pydantic import Field

from agent import Settings, cost_of_calls, member_of
from evals.judge.answers import Worded
from evals.judge.prompt import BEGIN, END, JUDGE, JUDGE_PROMPT_VERSION
from evals.judge.store import Grade, Judgement
from knowledge import RequestError
from tools import Answer, ModelCall, NoAnswer, ask

_MOST_WHY = 600
_EMBEDDED = "embedded"


class Grading(Answer):
    """What decides, and the grade that follows from it."""

    why: Annotated[str, Field(max_length=_MOST_WHY)]
    grade: Grade


class Judge:
    """A chat model by its name; safe to use from several threads."""

    def __init__(self, name: str, settings: Settings) -> None:
        """`openai:<model>` or `google_genai:<model>`, where it has one with its `@<address>`.

        Raises:
            RequestError: it is the embedded model, there is no such model, or its key is missing.
        """
        if name == _EMBEDDED:
            raise RequestError(
                "the embedded model works by rules and cannot judge a text; give --judge openai:<model> or google_genai:<model>"
            )
        self.name = name
        self._price = settings.price
        # As steady as the vendor lets it be; a temperature that is not to be sent stays unsent.
        temperature = None if settings.client.temperature is None else 0.0
        client = settings.client.model_copy(update={"temperature": temperature})
        self._member = member_of(name, None, settings.model_copy(update={"client": client}))

    def judge(self, worded: Worded) -> Judgement:
        """Grade an answer; a reply that does not fit goes back to the model once."""
        try:
            reply = ask(self._member, [SystemMessage(JUDGE), HumanMessage(delimited(worded.shown))], Grading)
        except NoAnswer as failure:
            return self._judgement(worded, "cannot_say", str(failure)[:_MOST_WHY], failure.calls, failed=True)
        grading = Grading.model_validate(reply.value)
        return self._judgement(worded, grading.grade, grading.why, reply.calls)

    def _judgement(
        self, worded: Worded, grade: Grade, why: str, calls: Sequence[ModelCall], *, failed: bool = False
    ) -> Judgement:
        cost = cost_of_calls(calls, self._price)
        return Judgement(
            case=worded.case,
            question=worded.question.id,
            asked=worded.question.text,
            unanswerable=worded.question.unanswerable,
            right_answer_holds=worded.question.holds,
            answer=worded.text,
            digest=worded.digest,
            judge=self.name,
            prompt=JUDGE_PROMPT_VERSION,
            grade=grade,
            why=why,
            failed=failed,
            deterministic=worded.deterministic,
            tokens=sum(call.tokens for call in calls),
            cost=None if cost.unknown else cost.known,
        )


def delimited(shown: Mapping[str, Any]) -> str:
    """What is to be graded, between its delimiters, which no text in it can close: it holds no angle bracket and no line."""
    text = json.dumps(shown, ensure_ascii=False)
    for sign in "<>\x7f\x85\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return f"{BEGIN}\n{text}\n{END}"
