"""A rule-based chat model: no network, no weights, and no language model.

It speaks the same protocol as a cloud model: it is given messages and tools (or a schema, which LangChain binds as a
tool), and answers with tool calls. It reads the machine-readable part of a prompt and judges from its numbers alone;
it does not look at pictures. The graph cannot tell it from another model.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool

from agent.embedded_chat import answer, understand
from agent.embedded_rules import assess, propose_steps
from tools import BRIEFING_TITLE, REGION_TOOLS, STAGES

EMBEDDED_VERSION = "3"

_QUESTIONS = ("plan", "assess", "understand", "answer")

Briefing = Mapping[str, Any]


class EmbeddedModel(BaseChatModel):
    """Plans, calls tools and assesses by rules over measurements."""

    name: str | None = "embedded"

    @property
    def _llm_type(self) -> str:
        return "embedded"

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: str | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        return self.bind(tools=[convert_to_openai_tool(tool) for tool in tools], **kwargs)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        offered = {tool["function"]["name"] for tool in kwargs.get("tools", ())}
        message = _answer(_briefing(messages), offered)
        return ChatResult(generations=[ChatGeneration(message=message)])


def _answer(briefing: Briefing | None, offered: set[str]) -> AIMessage:
    if briefing is None:
        return AIMessage("I am a rule-based model: I can plan and judge a briefing, and this is none.")
    if briefing["question"] == "assess":
        return _call("Assessment", assess(briefing))
    if briefing["question"] == "understand":
        return _call("Turn", understand(briefing))
    if briefing["question"] == "answer":
        return _call("ChatAnswer", answer(briefing))
    steps = propose_steps(briefing)
    if "InspectionPlan" in offered:
        return _call("InspectionPlan", {"steps": steps})
    calls = [
        {"name": step["tool"], "args": _arguments(step), "id": f"call-{number}", "type": "tool_call"}
        for number, step in enumerate(_first_stage(steps, offered), start=1)
    ]
    return AIMessage("" if calls else "Nothing is left to do.", tool_calls=calls)


def _first_stage(steps: list[dict[str, str]], offered: set[str]) -> list[dict[str, str]]:
    wanted = [step for step in steps if step["tool"] in offered]
    first = min((STAGES[step["tool"]] for step in wanted), default=0)
    return [step for step in wanted if STAGES[step["tool"]] == first]


def _arguments(step: dict[str, str]) -> dict[str, str]:
    return {"region" if step["tool"] in REGION_TOOLS else "asset": step["target"]}


def _call(name: str, arguments: Mapping[str, Any]) -> AIMessage:
    call = {"name": name, "args": dict(arguments), "id": f"call-{name}", "type": "tool_call"}
    return AIMessage("", tool_calls=[call])


def _briefing(messages: Sequence[BaseMessage]) -> Briefing | None:
    """The JSON behind the briefing's title in the latest message that has one."""
    for message in reversed(messages):
        for text in _texts(message):
            _, title, rest = text.partition(BRIEFING_TITLE)
            briefing = _json(rest) if title else None
            if isinstance(briefing, dict) and briefing.get("question") in _QUESTIONS:
                return briefing
    return None


def _json(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _texts(message: BaseMessage) -> list[str]:
    if isinstance(message.content, str):
        return [message.content]
    return [block["text"] for block in message.content if isinstance(block, dict) and block.get("type") == "text"]
