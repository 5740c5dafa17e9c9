"""What a reasoner must answer: an opinion, findings and typed claims, each citing evidence.

The same schema is filled by GPT, Gemini and the embedded model. Flat fields and few of them: strict structured output
accepts it, and code can check every claim.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from knowledge import Severity

ClaimKind = Literal["presence", "count", "place", "size", "colour", "comparison", "number", "time", "rule"]
Opinion = Literal["normal", "anomalous", "unsure"]

Words = Annotated[str, Field(max_length=600)]
Name = Annotated[str, Field(max_length=120)]
"""An id, or a word that code looks up."""
Share = Annotated[float, Field(ge=0, le=1)]
Box = Annotated[tuple[Share, ...], Field(min_length=4, max_length=4)]
"""x0, y0, x1, y1 in shares of a view's width and height, origin top left."""

_NOT_SENT = frozenset({"default", "title", "maxLength"})
"""Keywords that strict structured output does not know. The limits hold all the same: code checks the answer."""


def _as_sent(schema: dict[str, Any]) -> None:
    """Only what every vendor's schemas know is put to a model."""
    for described in schema.get("properties", {}).values():
        for part in (described, described.get("items", {}), *described.get("anyOf", ())):
            for keyword in _NOT_SENT:
                part.pop(keyword, None)


class Answer(BaseModel):
    """Strict about keys; a stranger among them is the model's mistake and goes back to it."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, json_schema_extra=_as_sent)


class ClaimDraft(Answer):
    """One sentence about one thing that code can check.

    kind        subject     fields that say what is claimed
    presence    region id   none: the region is anomalous; or a view id with a box, where no region covers the place
    count       view id     number: how many anomalous regions
    place       region id   word: "top left" ... "centre" ... "bottom right" (3 x 3 grid over the view)
    size        region id   number: share of the view's area, 0 to 1
    colour      region id   word: "darker" or "brighter" than its surroundings
    comparison  region id   other: a region id, or "reference" for the same place on the nearest normal part;
                            word: "larger", "smaller", "darker", "brighter", "stronger" or "weaker" than it
    number      region id   attribute: a measurement's name; number: its value
    time        region id   attribute: "start", "end" or "duration"; number: seconds since the recording's beginning
    rule        rule id     word: "kept" or "violated"
    """

    kind: ClaimKind
    text: Words
    subject: Name
    attribute: Name = ""
    word: Name = ""
    other: Name = ""
    number: float | None = None
    box: Box | None = None
    evidence: tuple[Name, ...]
    """Ids of the evidence it rests on; at least one."""


class FindingDraft(Answer):
    """A defect, tied to the region that shows it."""

    region: Name
    """A region id; or a view id with a box, where no region covers the place."""
    box: Box | None = None
    title: Words
    defect_type: Name | None = None
    """Name of a defect type of the product, or null when none fits."""
    severity: Severity
    explanation: Words


class RuleAnswer(Answer):
    """Answer to the yes/no question of one normality rule."""

    rule: Name
    answer: Literal["yes", "no", "cannot_tell"]
    reason: Words = ""


class Assessment(Answer):
    """The reasoner's judgement; it can raise a doubt, and can never clear what a calibrated instrument found."""

    opinion: Opinion
    explanation: Annotated[str, Field(max_length=2000)]
    findings: tuple[FindingDraft, ...] = ()
    claims: tuple[ClaimDraft, ...] = ()
    rule_answers: tuple[RuleAnswer, ...] = ()
