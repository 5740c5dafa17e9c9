"""Views + knowledge + evidence -> chat model -> Assessment. Knows messages, no vendor and no embedded model."""

import base64
import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import httpx
from langchain_core.exceptions import LangChainException, ModelError, OutputParserException
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from pydantic import BaseModel, ValidationError

from knowledge import ToolFailure
from tools import prompts
from tools.artifacts import ArtifactStore
from tools.assessment import Assessment
from tools.evidence import ModelCall
from tools.panels import Panel

NO_REPLY = (ModelError, LangChainException, httpx.HTTPError, OSError)
"""What chat models raise for refusals, timeouts and broken connections; anything else is a bug."""

BAD_REPLY = (ValidationError, OutputParserException, json.JSONDecodeError)
"""A reply came and does not fit the schema: it goes back to the model once."""


_ADVERTISED = re.compile(r"\s*For further information visit \S+")
"""A link of pydantic's, which is of no use to a model or to who reads a report."""


class Member(NamedTuple):
    """A model of a role."""

    model: BaseChatModel
    remote: bool
    address: str = ""
    """Of its server, where the user named one."""

    @property
    def name(self) -> str:
        return self.model.get_name()


class Role(NamedTuple):
    """Who is asked: the model that was chosen, and those that stand in for it, in order."""

    name: str
    members: tuple[Member, ...]


class Reply(NamedTuple):
    """A validated answer with the calls that it took."""

    value: BaseModel
    calls: tuple[ModelCall, ...]
    model: str
    """Who gave it."""
    passed_over: tuple[str, ...] = ()
    """Why those asked before it gave none."""


class NoAnswer(ToolFailure):
    """The model was asked and gave nothing that can be used; what it cost is kept."""

    def __init__(self, message: str, calls: Sequence[ModelCall]) -> None:
        super().__init__(message)
        self.calls = tuple(calls)


def assess(role: Role, briefing: Mapping[str, Any], panels: Sequence[Panel], store: ArtifactStore) -> Reply:
    """Ask the reasoner, and who stands in for it; raises `NoAnswer` when none of them gives a valid answer."""
    messages = [SystemMessage(prompts.REASONER), HumanMessage(_content(briefing, panels, store))]
    return in_turn(role, lambda member: ask(member, messages, Assessment, panels))


def in_turn(role: Role, question: Callable[[Member], Reply]) -> Reply:
    """Put a question to the members of a role until one answers."""
    calls: list[ModelCall] = []
    passed_over: list[str] = []
    for member in role.members:
        try:
            reply = question(member)
        except NoAnswer as failure:
            calls += failure.calls
            passed_over.append(str(failure))
            continue
        return reply._replace(calls=(*calls, *reply.calls), passed_over=tuple(passed_over))
    raise NoAnswer("; ".join(passed_over) or f"there is no model for the {role.name}", calls)


def ask(
    member: Member, messages: Sequence[BaseMessage], schema: type[BaseModel], panels: Sequence[Panel] = ()
) -> Reply:
    """One structured question, with one repair; raises `NoAnswer` when both answers are no good.

    Args:
        member: whom to ask.
        messages: the question; pictures among them are those of `panels`.
        schema: what the answer must be, put to the vendor's own structured output.
        panels: what is shown, for the record of what was sent.
    """
    asked = member.model.with_structured_output(schema, include_raw=True)
    calls: list[ModelCall] = []
    conversation = list(messages)
    complaint = ""
    for _ in range(2):
        start = time.perf_counter()
        raw, value, complaint, gone = _reply(asked, conversation, schema)
        usage = raw.usage_metadata if isinstance(raw, AIMessage) and raw.usage_metadata else None
        call = ModelCall(
            model=member.name,
            address=member.address,
            remote=member.remote,
            bytes=sum(_size(message) for message in conversation),
            panels=tuple(panel.label for panel in panels),
            artifacts=tuple(panel.artifact for panel in panels),
            input_tokens=max(int(usage["input_tokens"]), 0) if usage else 0,
            output_tokens=max(int(usage["output_tokens"]), 0) if usage else 0,
            seconds=time.perf_counter() - start,
            outcome=complaint or "answered",
        )
        calls.append(call)
        if value is not None:
            return Reply(value, tuple(calls), member.name)
        if gone:
            break
        repair = f"Your last answer could not be used: {complaint}. Answer again, in the schema."
        conversation = [*messages, HumanMessage(repair)]
    raise NoAnswer(f"the model {member.name} gave no usable {schema.__name__}: {complaint}", calls)


class _Given(NamedTuple):
    """What came back: the message, its value if it can be used, what is wrong with it, and whether to ask again."""

    raw: object
    value: BaseModel | None
    complaint: str = ""
    gone: bool = False


def _reply(asked: Any, conversation: Sequence[BaseMessage], schema: type[BaseModel]) -> _Given:
    try:
        reply = asked.invoke(conversation)
    except BAD_REPLY as error:
        return _Given(None, None, _first_line(error))
    except NO_REPLY as error:
        return _Given(None, None, _first_line(error), gone=True)
    if isinstance(reply["parsed"], schema):
        return _Given(reply["raw"], reply["parsed"])
    wrong = reply["parsing_error"]
    return _Given(reply["raw"], None, _first_line(wrong) if wrong else "no structured answer was given")


def briefing_text(briefing: Mapping[str, Any]) -> str:
    """The machine-readable part of a prompt, which people and models can both read."""
    return f"{prompts.BRIEFING_TITLE}\n{json.dumps(briefing, ensure_ascii=False, sort_keys=True)}"


def _content(briefing: Mapping[str, Any], panels: Sequence[Panel], store: ArtifactStore) -> list[str | dict[Any, Any]]:
    # A user's message: no vendor takes pictures in the answer of a tool.
    blocks: list[str | dict[Any, Any]] = [{"type": "text", "text": briefing_text(briefing)}]
    for panel in panels:
        blocks.append({"type": "text", "text": f"Panel {panel.label}: {panel.caption}"})
        picture = base64.b64encode(store.get(panel.artifact)).decode()
        blocks.append({"type": "image", "base64": picture, "mime_type": "image/png"})
    return blocks


def _size(message: BaseMessage) -> int:
    """Bytes of a message's texts and pictures."""
    if isinstance(message.content, str):
        return len(message.content.encode())
    blocks = [block for block in message.content if isinstance(block, dict)]
    return sum(len(block.get("text", "").encode()) + len(block.get("base64", "")) * 3 // 4 for block in blocks)


def _first_line(error: BaseException) -> str:
    said = _ADVERTISED.sub("", " ".join(str(error).split()))
    return said[:300].strip() or type(error).__name__
