"""A stand-in for a language model: it speaks the protocol of one, and says what its class says."""

from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.utils.function_calling import convert_to_openai_tool

from agent import EmbeddedModel

Bound = Mapping[str, Any]
"""What a call was bound to: `tools` holds the schema that is asked for."""


class StandIn(BaseChatModel):
    """Answers in the schema that it is asked for, so that the graph takes it for any other model."""

    name: str | None = "stand-in"

    @property
    def _llm_type(self) -> str:
        return str(self.name)

    def answer(self, messages: list[BaseMessage], bound: Bound) -> dict[str, Any] | BaseMessage:
        """The fields of the schema that is asked for; a message is passed on as it is."""
        raise NotImplementedError

    def bind_tools(self, tools: Sequence[Any], *, tool_choice: str | None = None, **kwargs: Any) -> Any:
        return self.bind(tools=[convert_to_openai_tool(tool) for tool in tools], **kwargs)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        answer = self.answer(messages, kwargs)
        message = answer if isinstance(answer, BaseMessage) else _filled(schema_of(kwargs), answer)
        return ChatResult(generations=[ChatGeneration(message=message)])


def schema_of(bound: Bound) -> str:
    """Name of the schema that is asked for."""
    return str(bound["tools"][0]["function"]["name"])


def embedded_answer(messages: list[BaseMessage], bound: Bound) -> AIMessage:
    """What the embedded model answers to the same."""
    message = EmbeddedModel()._generate(messages, **bound).generations[0].message
    assert isinstance(message, AIMessage)  # noqa: S101 - a chat model answers with one
    return message


def texts_of(messages: Sequence[BaseMessage]) -> list[str]:
    """Everything in words that a model is told, pictures aside."""
    blocks = [[message.content] if isinstance(message.content, str) else message.content for message in messages]
    return [each if isinstance(each, str) else str(each.get("text", "")) for block in blocks for each in block]


def _filled(schema: str, answer: dict[str, Any]) -> AIMessage:
    return AIMessage("", tool_calls=[{"name": schema, "args": answer, "id": "call", "type": "tool_call"}])
