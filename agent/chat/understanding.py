"""What a person said, which inspection is meant, and what of a turn a model may not make up."""

import re
from collections.abc import Sequence
from typing import Any

from langchain_core.messages import AnyMessage, BaseMessage, HumanMessage

from agent.chat.figures import Number, figures
from agent.chat.names import absent_file
from agent.chat.state import Inspection
from agent.chat.turn import Turn
from knowledge import RequestError

_LONGEST = 4000
"""Letters of what is said in a turn that are read."""
_ALPHA = re.compile(r"\balpha\b\s*(?:=|:|of|to|is|at)?\s*-?\d")


def last_said(messages: Sequence[AnyMessage]) -> HumanMessage:
    found = next((message for message in reversed(messages) if isinstance(message, HumanMessage)), None)
    if found is None:
        raise RequestError("a turn of a conversation begins with what a person says")
    return found


def heard(message: BaseMessage) -> str:
    """What is read of what was said."""
    return str(message.text)[:_LONGEST]


def said_so(turn: Turn, text: str, named: int | None) -> Turn:
    """A turn without what a model made up: what decides on a verdict is the person's own number, or none."""
    values = [abs(each.value) for each in figures(text).numbers if isinstance(each, Number)]
    numbers = [value for each in values for value in (each, each / 100)]
    changes: dict[str, Any] = {"inspection": named if turn.inspection is None else turn.inspection}
    if turn.alpha is not None and not any(abs(turn.alpha - value) < 1e-9 for value in numbers):
        changes["alpha"] = None
    if turn.product is not None and turn.product.lower() not in text.lower():
        changes["product"] = None
    return turn.model_copy(update=changes)


def obstacle(turn: Turn, text: str, attached: Sequence[str], done: Sequence[Inspection]) -> str:
    """Why what is asked for cannot be done, before it is tried."""
    absent = "" if attached else absent_file(text, done)
    if absent:
        return f"There is no file {absent} among what was attached."
    if turn.action == "help":
        return ""
    if turn.inspection is not None and not attached and turn.inspection not in [each["number"] for each in done]:
        named = f"inspection {turn.inspection}" if turn.inspection > 0 else "earlier inspection"
        return f"There is no {named}: this thread has {len(done)}."
    if turn.action == "inspect" and turn.alpha is None and _ALPHA.search(text.lower()):
        return "Alpha, the accepted false-alarm rate, lies between 0 and 1, such as 0.01."
    return ""


def meant(turn: Turn, inspections: Sequence[Inspection]) -> Inspection | None:
    """The inspection that a turn names, or else the latest."""
    return next(
        (each for each in inspections if each["number"] == turn.inspection), inspections[-1] if inspections else None
    )
