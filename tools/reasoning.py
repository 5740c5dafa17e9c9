"""Views + knowledge + evidence -> chat model -> Assessment. Knows messages, no vendor and no embedded model."""

import base64
import json
from collections.abc import Mapping, Sequence
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

NO_REPLY = (ModelError, LangChainException, httpx.HTTPError, OSError)
"""What chat models raise for refusals, timeouts and broken connections; anything else is a bug."""

BAD_REPLY = (ValidationError, OutputParserException, json.JSONDecodeError)
"""A reply came and does not fit the schema: it goes back to the model once."""


class Panel(NamedTuple):
    """A picture shown to the reasoner, with its label and what it is of."""

    label: str
    caption: str
    artifact: str


class ModelUse(NamedTuple):
    """What model calls cost; tokens as the vendor counts them."""

    model_calls: int = 0
    tokens: int = 0

    def add(self, more: "ModelUse") -> "ModelUse":
        return ModelUse(self.model_calls + more.model_calls, self.tokens + more.tokens)


class Reply(NamedTuple):
    """A validated answer with what it cost."""

    value: BaseModel
    use: ModelUse


def assess(model: BaseChatModel, briefing: Mapping[str, Any], panels: Sequence[Panel], store: ArtifactStore) -> Reply:
    """Ask the reasoner; raises `ToolFailure` when no valid answer comes, also after one repair."""
    messages = [SystemMessage(prompts.REASONER), HumanMessage(_content(briefing, panels, store))]
    return ask(model, messages, Assessment)


def ask(model: BaseChatModel, messages: Sequence[BaseMessage], schema: type[BaseModel]) -> Reply:
    """One structured question, with one repair; raises `ToolFailure` when both answers are no good."""
    asked = model.with_structured_output(schema, include_raw=True)
    use = ModelUse()
    conversation = list(messages)
    complaint = ""
    for _ in range(2):
        try:
            reply: Any = asked.invoke(conversation)
        except BAD_REPLY as error:
            reply = {"raw": None, "parsed": None, "parsing_error": error}
        except NO_REPLY as error:
            use = use.add(ModelUse(1))
            complaint = _first_line(error)
            break
        use = use.add(ModelUse(1, _tokens(reply["raw"])))
        if isinstance(reply["parsed"], schema):
            return Reply(reply["parsed"], use)
        complaint = _first_line(reply["parsing_error"]) if reply["parsing_error"] else "no structured answer was given"
        conversation = [
            *messages,
            HumanMessage(f"Your last answer could not be used: {complaint}. Answer again, in the schema."),
        ]
    raise NoAnswer(f"the model {model.get_name()} gave no usable {schema.__name__}: {complaint}", use)


class NoAnswer(ToolFailure):
    """The model was asked and gave nothing that can be used; what it cost is kept."""

    def __init__(self, message: str, use: ModelUse) -> None:
        super().__init__(message)
        self.use = use


def briefing_text(briefing: Mapping[str, Any]) -> str:
    """The machine-readable part of a prompt, which people and models can both read."""
    return f"{prompts.BRIEFING_TITLE}\n{json.dumps(briefing, ensure_ascii=False, sort_keys=True)}"


def _content(briefing: Mapping[str, Any], panels: Sequence[Panel], store: ArtifactStore) -> list[str | dict[Any, Any]]:
    blocks: list[str | dict[Any, Any]] = [{"type": "text", "text": briefing_text(briefing)}]
    for panel in panels:
        blocks.append({"type": "text", "text": f"Panel {panel.label}: {panel.caption}"})
        picture = base64.b64encode(store.get(panel.artifact)).decode()
        blocks.append({"type": "image", "base64": picture, "mime_type": "image/png"})
    return blocks


def _tokens(message: object) -> int:
    usage = message.usage_metadata if isinstance(message, AIMessage) else None
    return int(usage["total_tokens"]) if usage else 0


def _first_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
