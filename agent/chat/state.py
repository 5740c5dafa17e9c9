"""What a conversation keeps from turn to turn: ids and small plain values."""

from typing import Annotated, Any, Literal

from langchain_core.messages import AnyMessage
from langgraph.graph.message import add_messages
from typing_extensions import TypedDict


class Inspection(TypedDict):
    """One inspection of a thread."""

    number: int
    thread: str
    product: str
    files: list[str]
    names: list[str]
    verdict: str
    report: str
    """Artifact id of the record."""


class ChatState(TypedDict, total=False):
    """A conversation. Pictures and records lie in the artifact store."""

    messages: Annotated[list[AnyMessage], add_messages]
    product: str
    """Of the parts that are attached, where the words name none."""
    attached: list[str]
    """Paths of files that came with the last turn."""
    inspections: list[Inspection]
    looks: list[dict[str, Any]]
    """Facts of closer looks, with the artifact ids of their pictures."""
    turn: dict[str, Any]
    fresh: list[str]
    """Ids of the facts that this turn has brought."""
    note: str
    """What stood in the way of what was asked for."""
    calls: list[dict[str, Any]]
    """Questions about the conversation that left this program."""
    asked: list[dict[str, Any]]
    """Questions that this turn has put to models, here or elsewhere."""
    status: Literal["open", "answered"]


Update = dict[str, Any]
