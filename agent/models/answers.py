"""What counts as an answer: whole, well-formed, and by the schema that was asked for."""

import json
import math
from typing import Any, TypeVar

from langchain_core.exceptions import OutputParserException
from langchain_core.messages import AIMessage
from langchain_core.messages.ai import UsageMetadata
from pydantic import BaseModel
from pydantic_core import from_json

Schema = TypeVar("Schema", bound=BaseModel)

_WHOLE = frozenset({"stop", "tool_calls", "STOP"})
"""Ends of a reply that was not cut, blocked or spoilt, in OpenAI's words and in Gemini's."""

_TOO_LONG = frozenset({"length", "MAX_TOKENS"})


def what_is_wrong(message: AIMessage, ended: str | None) -> str:
    """Why a reply that `ended` so cannot be taken for a whole one; empty if it can."""
    refusal = message.additional_kwargs.get("refusal")
    if refusal:
        return f"the model refused: {' '.join(str(refusal).split())[:300]}"
    if ended in _TOO_LONG:
        return "the reply was longer than allowed and was cut off"
    if ended not in _WHOLE:
        return f"the reply ended early ({ended or 'without a reason'})"
    if not message.text and not message.tool_calls and not message.invalid_tool_calls:
        return "the reply was empty"
    return ""


def bad_reply(wrong: str) -> OutputParserException:
    """An error that says what is wrong and nothing else; given words, LangChain's adds an address to them."""
    return OutputParserException(ValueError(wrong))


def read_answer(message: AIMessage, schema: type[Schema]) -> Schema:
    """The answer in a structured reply; raises `OutputParserException` or `ValidationError`."""
    wrong = what_is_wrong(message, message.response_metadata.get("finish_reason"))
    if not wrong and (message.tool_calls or message.invalid_tool_calls):
        wrong = "the reply calls a tool, and none was offered"
    if not wrong:
        wrong = _not_json(message.text)
    if wrong:
        raise bad_reply(wrong)
    # Strict: what is of another type is not bent into the right one.
    return schema.model_validate_json(message.text, strict=True)


def with_raw(message: AIMessage, schema: type[BaseModel]) -> dict[str, Any]:
    """LangChain's shape for an answer beside the reply that it was read from."""
    try:
        return {"raw": message, "parsed": read_answer(message, schema), "parsing_error": None}
    except ValueError as error:
        return {"raw": message, "parsed": None, "parsing_error": error}


def honest_usage(usage: UsageMetadata | None) -> UsageMetadata | None:
    """Tokens as the vendor counts them; nothing, where the counts cannot be true."""
    if usage is None:
        return None
    counts = (usage.get("input_tokens"), usage.get("output_tokens"), usage.get("total_tokens"))
    return usage if all(type(count) is int and count >= 0 for count in counts) else None


def _not_json(text: str) -> str:
    """Why a text is not the JSON of one answer; what Python takes for JSON besides is refused."""
    try:
        from_json(text)  # knows how deep is too deep before the stack does
        json.loads(text, parse_constant=_finite, parse_float=_finite, object_pairs_hook=_once)
    except ValueError as error:
        return f"the reply is not JSON: {error}"
    return ""


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:20]} is no number")
    return number


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands twice in one object")
    return found
