"""The words of an answer: what was grounded, what was asked to be found out, and what is not known."""

from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.messages import AIMessage

from agent.chat.facts import Fact, one_line
from agent.chat.grounding import NOT_KNOWN, Grounded, cited
from agent.chat.state import Update
from agent.chat.turn import Sentence, Turn
from agent.report import UsageInfo

HELP = (
    "Attach a picture, a scan, a recording or a video of a part to have it inspected. Then ask: why; where; how large; "
    "how sure; about a rule or a claim by its id; what was not checked; what was sent to whom; which steps were taken; "
    "about earlier parts of this thread. Or: look closer at a1.r1, at the top left, at [x0, y0, x1, y1]; compare "
    "finding 1 with the second reference; inspect again with alpha 0.01."
)

_LONGEST_UNKNOWN = 60


def asked_for(unknown: Sequence[str], text: str) -> list[str]:
    """What a model says that it does not know, as far as it was asked for at all."""
    lower = text.lower()
    return [one_line(each) for each in unknown if len(each) <= _LONGEST_UNKNOWN and each.lower() in lower][:8]


def with_news(grounded: Grounded, turn: Turn, fresh: Sequence[str], facts: Mapping[str, Fact]) -> Grounded:
    """What a turn was asked to find out is told even where a model does not: the verdict, the place that was seen."""
    if turn.action == "ask":
        return grounded
    told = cited(grounded.sentences)
    news = [id_ for id_ in fresh if id_.endswith(".verdict") or ".x" in id_]
    missing = [facts[id_] for id_ in (news if grounded.sentences else fresh) if id_ not in told]
    own = tuple(Sentence(text=fact.text[:1200], evidence=(fact.id,)) for fact in missing)
    return grounded._replace(sentences=(*own, *grounded.sentences))


def pictures_of(looks: Sequence[Mapping[str, Any]], evidence: Mapping[str, str]) -> list[dict[str, str]]:
    """Pictures of the looks that an answer cites."""
    return [picture for look in looks if look["fact"]["id"] in evidence for picture in look["pictures"]]


def answer_text(grounded: Grounded, unknown: Sequence[str]) -> str:
    if grounded.sentences:
        return "\n".join(f"{sentence.text} [{', '.join(sentence.evidence)}]" for sentence in grounded.sentences)
    asked = ", ".join(f"“{word}”" for word in unknown)
    return NOT_KNOWN + (f" Nothing in it speaks of {asked}." if asked else "")


def said(
    text: str, evidence: Mapping[str, str], pictures: Sequence[Any], dropped: Sequence[str], usage: UsageInfo
) -> Update:
    """The message of an answer, which ends its turn."""
    told = {
        "evidence": dict(evidence),
        "pictures": list(pictures),
        "dropped": list(dropped),
        "usage": usage.model_dump(mode="json"),
    }
    plain = "\n".join(map(one_line, text.splitlines()))
    return {"messages": [AIMessage(plain, additional_kwargs=told)], "status": "answered"}
