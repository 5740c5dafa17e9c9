"""What is asked in a turn of a conversation, and what is answered: schemas that every kind of model fills."""

from typing import Annotated, Literal

from pydantic import Field

from tools import Answer

Action = Literal["inspect", "look_closer", "compare", "ask", "help"]


class Turn(Answer):
    """What a person wants, in one of a few forms that code can act on.

    inspect      inspect the attached files, or the part again with another product or alpha
    look_closer  show a place enlarged: a region id, words such as "top left", or a box
    compare      show a place beside the same place on a normal reference
    ask          anything that is answered from what is already known of this thread
    help         what can be asked
    """

    action: Action
    target: Annotated[str, Field(max_length=120)] = ""
    """A region id such as "a1.r1", a finding such as "finding 2", or a place in words; empty for the main finding."""
    box: Annotated[tuple[float, ...], Field(min_length=4, max_length=4)] | None = None
    """x0, y0, x1, y1 in pixels of the original picture, where the person gave numbers."""
    product: Annotated[str, Field(max_length=64)] | None = None
    alpha: Annotated[float, Field(gt=0, lt=1)] | None = None
    inspection: int | None = None
    """Number of the inspection that is meant; null for the latest."""
    reference: Annotated[int, Field(ge=1, le=8)] = 1
    """Which of the retrieved references to compare with, the most similar first."""


class Sentence(Answer):
    """One sentence of an answer with the facts that it rests on."""

    text: Annotated[str, Field(max_length=1200)]
    evidence: tuple[str, ...]
    """Ids of facts, at least one."""


class ChatAnswer(Answer):
    """An answer from the facts alone; no sentence at all where they do not hold one."""

    sentences: tuple[Sentence, ...]
    unknown: tuple[str, ...] = ()
    """Words or things that were asked for and of which no fact speaks."""
