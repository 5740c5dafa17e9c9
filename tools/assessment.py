"""What a reasoner must answer: an opinion, findings and typed claims, each citing evidence.

The same schema is filled by GPT, Gemini and the embedded model. Flat fields and few of them: strict structured output
accepts it, and code can check every claim.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from knowledge import Severity

ClaimKind = Literal["presence", "count", "place", "size", "colour", "number", "time", "rule"]
Opinion = Literal["normal", "anomalous", "unsure"]

Words = Annotated[str, Field(max_length=600)]


class Answer(BaseModel):
    """Strict about keys; a stranger among them is the model's mistake and goes back to it."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ClaimDraft(Answer):
    """One sentence about one thing that code can check.

    kind      subject     fields that say what is claimed
    presence  region id   none: the region is anomalous
    count     view id     number: how many anomalous regions
    place     region id   word: "top left" ... "centre" ... "bottom right" (3 x 3 grid over the view)
    size      region id   number: share of the view's area, 0 to 1
    colour    region id   word: "darker" or "brighter" than its surroundings
    number    region id   attribute: a measurement's name; number: its value
    time      region id   attribute: "start", "end" or "duration"; number: seconds since the recording's beginning
    rule      rule id     word: "kept" or "violated"
    """

    kind: ClaimKind
    text: Words
    subject: str
    attribute: str = ""
    word: str = ""
    number: float | None = None
    evidence: tuple[str, ...]
    """Ids of the evidence it rests on; at least one."""


class FindingDraft(Answer):
    """A defect, tied to the region that shows it."""

    region: str
    title: Words
    defect_type: str | None = None
    """Name of a defect type of the product, or null when none fits."""
    severity: Severity
    explanation: Words


class RuleAnswer(Answer):
    """Answer to the yes/no question of one normality rule."""

    rule: str
    answer: Literal["yes", "no", "cannot_tell"]
    reason: Words = ""


class Assessment(Answer):
    """The reasoner's judgement; it can raise a doubt, and can never clear what a calibrated instrument found."""

    opinion: Opinion
    explanation: Annotated[str, Field(max_length=2000)]
    findings: tuple[FindingDraft, ...] = ()
    claims: tuple[ClaimDraft, ...] = ()
    rule_answers: tuple[RuleAnswer, ...] = ()
