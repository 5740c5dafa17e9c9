"""The graph's state: ids and small plain values. Pixels, maps and the report itself lie in the artifact store."""

import operator
from typing import Annotated, Any, Literal

from langchain_core.messages import AnyMessage
from langgraph.graph.message import add_messages
from typing_extensions import TypedDict

from agent.request import Budget
from knowledge import Frozen


class Usage(Frozen):
    """What an inspection has cost so far."""

    steps: int = 0
    model_calls: int = 0
    tokens: int = 0
    cost: float = 0.0
    seconds: float = 0.0

    def spent(self, budget: Budget) -> str:
        """Which part of the budget is spent, as words, or an empty string; steps are counted where they are taken."""
        for name in ("model_calls", "tokens", "cost", "seconds"):
            used, allowed = getattr(self, name), getattr(budget, name)
            if used >= allowed and used > 0:
                return f"the budget of {_plain(allowed)} {name.replace('_', ' ')} is spent"
        return ""


def _plain(number: float) -> str:
    return str(int(number)) if number == int(number) else f"{number:g}"


def add_usage(total: dict[str, float], more: dict[str, float]) -> dict[str, float]:
    """Reducer: sums, name by name."""
    return {name: total.get(name, 0) + more.get(name, 0) for name in {**total, **more}}


class State(TypedDict, total=False):
    """One inspection. Everything in it survives a kill; nodes validate what they read."""

    request: dict[str, Any]
    status: Literal["running", "done"]
    """Set by the last node; an empty list of next nodes does not mean that an inspection is finished."""
    product: str
    product_version: str
    alpha: float
    inputs: list[dict[str, Any]]
    plan: list[dict[str, Any]]
    rounds: int
    """How often the planner has been asked."""
    evidence: list[dict[str, Any]]
    messages: Annotated[list[AnyMessage], add_messages]
    """The tool calls and their answers, as a conversation."""
    models: list[dict[str, str]]
    usage: Annotated[dict[str, float], add_usage]
    stopped: str
    """Why the inspection ended before its plan was done; empty when it did not."""
    claims: list[dict[str, Any]]
    conditions: list[str]
    """What a reasoner is told and shown of what experts know."""
    calls: list[dict[str, Any]]
    """Questions that were put to planners; those of instruments stand in their evidence."""
    decision: dict[str, Any]
    report: str
    """Artifact id of the record."""
    events: Annotated[list[dict[str, Any]], operator.add]
    """The trajectory."""
