"""The record of steps: one JSON object a line, and the tool calls as a conversation in the chat-completions shape."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.messages import AnyMessage, convert_to_openai_messages

TRAJECTORY_VERSION = "1"


def trajectory_lines(state: Mapping[str, Any]) -> str:
    """JSON Lines: a head, every event in order, and last the messages."""
    request = state["request"]
    head = {
        "kind": "head",
        "trajectory_version": TRAJECTORY_VERSION,
        "inspection_id": request["inspection_id"],
        "thread_id": request["thread_id"] or request["inspection_id"],
        "created_at": request["created_at"],
        "product": request["product"],
        "models": state.get("models", []),
    }
    events = [{"sequence": number, **event} for number, event in enumerate(state.get("events", ()), start=1)]
    messages = {"kind": "messages", "messages": chat_messages(state.get("messages", ()))}
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in (head, *events, messages))


def chat_messages(messages: Sequence[AnyMessage]) -> list[dict[str, Any]]:
    """Messages as other tools read them: role, content, tool_calls, tool_call_id."""
    converted = convert_to_openai_messages(list(messages))
    return converted if isinstance(converted, list) else [converted]
