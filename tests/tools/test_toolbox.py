"""The tools as a graph calls them: through ToolNode, with the state injected."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage, ToolMessage
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode
from pydantic import BaseModel

from knowledge import ToolArgumentError, ToolFailure
from tools import (
    REGION_TOOLS,
    STAGES,
    ArtifactStore,
    Evidence,
    EvidenceLog,
    Failed,
    Instruments,
    LearnedProducts,
    Member,
    ModelCall,
    Role,
)
from tools.toolbox import build_tools, describe_tool_error


class World(MessagesState):
    """What of a graph's state the instruments read."""

    product: str
    alpha: float
    inputs: list[dict[str, Any]]
    evidence: list[dict[str, Any]]


class Played:
    """Instruments that all do the same: what the test says."""

    def __init__(self, play: Callable[[str, dict[str, Any]], Any]) -> None:
        for name in STAGES:
            setattr(self, name, self._instrument(play))

    def _instrument(self, play: Callable[[str, dict[str, Any]], Any]) -> Callable[..., Any]:
        def instrument(target: str, state: dict[str, Any]) -> Any:
            """Do as told."""
            return play(target, state)

        return instrument


def call(instruments: Any, *calls: tuple[str, dict[str, Any]]) -> list[ToolMessage]:
    graph = StateGraph(World)
    graph.add_node("tools", ToolNode(build_tools(instruments), handle_tool_errors=describe_tool_error))
    graph.add_edge(START, "tools")
    graph.add_edge("tools", END)
    asked = [
        {"name": name, "args": arguments, "id": str(number), "type": "tool_call"}
        for number, (name, arguments) in enumerate(calls)
    ]
    state = {
        "messages": [AIMessage("", tool_calls=asked)],
        "product": "part",
        "alpha": 0.05,
        "inputs": [{"id": "a1"}],
        "evidence": [],
    }
    messages = graph.compile().invoke(state)["messages"]
    return [message for message in messages if isinstance(message, ToolMessage)]


def fail(error: Exception) -> Played:
    def play(target: str, state: dict[str, Any]) -> Any:
        raise error

    return Played(play)


@pytest.fixture
def real(tmp_path: Path, scripted) -> Instruments:
    return Instruments(
        ArtifactStore(tmp_path),
        LearnedProducts(tmp_path / "home"),
        [Role("reasoner", (Member(scripted(), remote=False),))],
    )


CALL = ModelCall(model="m", remote=False, bytes=7, input_tokens=14, output_tokens=1)


def test_a_call_answers_with_a_sentence_and_a_plain_record() -> None:
    seen: list[dict[str, Any]] = []

    def play(target: str, state: dict[str, Any]) -> dict[str, Any]:
        seen.append(state)
        return {
            "summary": f"{target} is done.",
            "shown": Failed(reason="r"),
            "artifacts": ("x",),
            "calls": (CALL, CALL),
        }

    [answer] = call(Played(play), ("render_asset", {"asset": "a1"}))
    assert answer.content == "a1 is done."
    assert answer.status == "success"
    assert answer.artifact == json.loads(json.dumps(answer.artifact))
    record = Evidence.model_validate(answer.artifact)
    assert record == Evidence(
        tool="render_asset",
        arguments={"asset": "a1"},
        summary="a1 is done.",
        artifacts=("x",),
        shown=Failed(reason="r"),
        seconds=record.seconds,
        calls=(CALL, CALL),
    )
    assert record.seconds >= 0
    assert seen[0]["inputs"] == [{"id": "a1"}]
    assert EvidenceLog.read([answer.artifact]).of(Failed)


def test_a_model_is_offered_one_id_for_each_tool_and_nothing_else(real) -> None:
    tools = build_tools(real)
    assert [tool.name for tool in tools] == list(STAGES)
    for tool in tools:
        schema: Any = tool.tool_call_schema
        assert issubclass(schema, BaseModel)
        properties = schema.model_json_schema()["properties"]
        assert list(properties) == ["region" if tool.name in REGION_TOOLS else "asset"]
        assert [value["type"] for value in properties.values()] == ["string"]
        assert tool.description


def test_calls_of_one_message_are_each_answered() -> None:
    instruments = Played(lambda target, state: {"summary": target, "shown": Failed(reason="r")})
    answers = call(instruments, *[("measure_region", {"region": f"r{number}"}) for number in range(6)])
    assert {answer.tool_call_id: answer.content for answer in answers} == {str(n): f"r{n}" for n in range(6)}
    assert {answer.artifact["arguments"]["region"] for answer in answers} == {f"r{number}" for number in range(6)}


def test_a_failure_of_the_world_is_recorded() -> None:
    [answer] = call(fail(ToolFailure("the lamp is broken")), ("localize_anomalies", {"asset": "a1"}))
    assert answer.status == "success"
    assert answer.content == "the lamp is broken"
    assert Evidence.model_validate(answer.artifact).shown == Failed(reason="the lamp is broken")


def test_an_unknown_id_goes_back_to_the_model(real) -> None:
    [answer] = call(real, ("render_asset", {"asset": "zz"}))
    assert answer.status == "error"
    assert answer.content == "there is no asset 'zz'; known are ['a1']"
    assert answer.artifact is None


def test_an_unknown_tool_goes_back_to_the_model_with_those_there_are(real) -> None:
    [answer] = call(real, ("delete_asset", {"asset": "a1"}))
    assert answer.status == "error"
    assert "reason_about_anomaly" in answer.content


@pytest.mark.parametrize("arguments", [{}, {"asset": 5}, {"asset": ["a1"]}, {"asset": None}, {"region": "a1"}])
def test_a_missing_or_ill_typed_argument_goes_back_to_the_model(real, arguments) -> None:
    [answer] = call(real, ("render_asset", arguments))
    assert answer.status == "error"
    assert "asset" in answer.content


def test_a_model_cannot_bring_its_own_state(real) -> None:
    [answer] = call(real, ("render_asset", {"asset": "zz", "state": {"inputs": [{"id": "zz"}]}}))
    assert answer.status == "error"
    assert "no asset 'zz'" in answer.content


@pytest.mark.parametrize("bug", [ZeroDivisionError("bug"), KeyError("bug"), AttributeError("bug"), RuntimeError("bug")])
def test_a_bug_crashes(bug) -> None:
    with pytest.raises(type(bug)):
        call(fail(bug), ("check_rules", {"asset": "a1"}))


def test_a_record_of_ours_that_does_not_validate_is_a_bug_and_crashes() -> None:
    instruments = Played(lambda target, state: {"summary": "s", "shown": Failed.model_validate({})})
    with pytest.raises(AssertionError, match="check_rules made a record that is not valid"):
        call(instruments, ("check_rules", {"asset": "a1"}))


def test_what_a_model_is_told_is_one_short_line() -> None:
    told = describe_tool_error(ToolArgumentError("first\n\n  second " + "x" * 5000))
    assert told.startswith("first second x")
    assert len(told) == 500
