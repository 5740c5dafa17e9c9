"""The embedded model speaks the protocol of a chat model: plans, tool calls, structured answers."""

from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from pydantic import BaseModel

from agent.embedded_model import EmbeddedModel
from agent.plan import InspectionPlan
from tools import Assessment, Member, ask, briefing_text

EMBEDDED = Member(EmbeddedModel(), remote=False)

PLAN: dict[str, Any] = {
    "question": "plan",
    "assets": [{"id": "a1", "modality": "image"}],
    "done": [],
    "regions": [],
    "budget": {"steps_left": 40},
}
FIRST_LOOK = [{"tool": name, "target": "a1"} for name in ("render_asset", "localize_anomalies", "retrieve_knowledge")]
CASE: dict[str, Any] = {
    "question": "assess",
    "rules": [],
    "defect_types": [],
    "view": {"id": "a1.v1", "width": 9, "height": 9},
    "part": {"evidence": "e1", "measurements": {}, "unsuitable": []},
    "localization": {
        "evidence": "e2",
        "score": 1.0,
        "p_value": 0.4,
        "alpha": 0.05,
        "calibrated": True,
        "promise": "p",
        "unlike": [],
        "count": 0,
    },
    "regions": [],
    "rule_checks": [],
    "failures": [],
}


@tool
def render_asset(asset: str) -> str:
    """Render an asset."""
    return asset


@tool
def localize_anomalies(asset: str) -> str:
    """Localise."""
    return asset


@tool
def retrieve_knowledge(asset: str) -> str:
    """Retrieve."""
    return asset


@tool
def measure_region(region: str) -> str:
    """Measure."""
    return region


INSTRUMENTS = [measure_region, retrieve_knowledge, localize_anomalies, render_asset]


def calls(message: Any) -> list[tuple[str, dict[str, Any]]]:
    return [(call["name"], call["args"]) for call in message.tool_calls]


def test_a_plan_is_answered_in_the_schema() -> None:
    reply = ask(EMBEDDED, [SystemMessage("Plan."), HumanMessage(briefing_text(PLAN))], InspectionPlan)
    assert isinstance(reply.value, InspectionPlan)
    assert [(step.tool, step.target) for step in reply.value.steps] == [
        ("render_asset", "a1"),
        ("localize_anomalies", "a1"),
        ("retrieve_knowledge", "a1"),
    ]
    assert [(call.remote, call.tokens) for call in reply.calls] == [(False, 0)]


def test_an_assessment_is_answered_in_the_schema() -> None:
    reply = ask(EMBEDDED, [HumanMessage(briefing_text(CASE))], Assessment)
    assert isinstance(reply.value, Assessment)
    assert reply.value.opinion == "normal"


@pytest.mark.parametrize("schema", [InspectionPlan, Assessment])
def test_structured_output_gives_the_schema_itself(schema) -> None:
    given = PLAN if schema is InspectionPlan else CASE
    answer = EmbeddedModel().with_structured_output(schema).invoke([HumanMessage(briefing_text(given))])
    assert isinstance(answer, schema)


def test_bound_instruments_are_really_called_stage_by_stage() -> None:
    model = EmbeddedModel().bind_tools(INSTRUMENTS)
    first = model.invoke([HumanMessage(briefing_text(PLAN))])
    assert calls(first) == [("render_asset", {"asset": "a1"})]
    rendered = {**PLAN, "done": [FIRST_LOOK[0]]}
    assert calls(EmbeddedModel().bind_tools(INSTRUMENTS[1:3]).invoke([HumanMessage(briefing_text(PLAN))])) == [
        ("localize_anomalies", {"asset": "a1"}),
        ("retrieve_knowledge", {"asset": "a1"}),
    ]
    measured = {**rendered, "done": FIRST_LOOK, "regions": [{"id": "a1.r1", "asset": "a1", "peak": 5.0}]}
    assert calls(model.invoke([HumanMessage(briefing_text(measured))])) == [("measure_region", {"region": "a1.r1"})]


def test_calls_of_one_message_have_ids_of_their_own() -> None:
    answer = EmbeddedModel().bind_tools(INSTRUMENTS[1:3]).invoke([HumanMessage(briefing_text(PLAN))])
    ids = [call["id"] for call in answer.tool_calls]
    assert len(set(ids)) == len(ids) == 2


@pytest.mark.parametrize(
    ("tools", "done"),
    [([], []), (INSTRUMENTS[:1], []), (INSTRUMENTS, [*FIRST_LOOK, {"tool": "check_rules", "target": "a1"}])],
)
def test_with_nothing_left_that_is_offered_it_says_so(tools, done) -> None:
    answer = EmbeddedModel().bind_tools(tools).invoke([HumanMessage(briefing_text({**PLAN, "done": done}))])
    assert answer.tool_calls == []
    assert answer.content == "Nothing is left to do."


@pytest.mark.parametrize(
    "messages", ["Is this part good?", [SystemMessage("Hello."), HumanMessage([])], [AIMessage("x")]]
)
def test_a_message_without_a_briefing_is_answered_in_words(messages) -> None:
    answer = EmbeddedModel().invoke(messages)
    assert answer.tool_calls == []
    assert "rule-based" in answer.content


@pytest.mark.parametrize(
    "text", ["The case, as JSON: what does that mean?", "The case, as JSON:", "The case, as JSON: [1]"]
)
def test_a_message_that_only_quotes_the_title_is_answered_in_words(text) -> None:
    assert "rule-based" in EmbeddedModel().invoke(text).content


def test_the_latest_briefing_counts_wherever_it_stands() -> None:
    later = [
        HumanMessage(briefing_text(PLAN)),
        AIMessage("", tool_calls=[{"name": "render_asset", "args": {"asset": "a1"}, "id": "1"}]),
        ToolMessage("Rendered.", tool_call_id="1"),
        HumanMessage([{"type": "text", "text": briefing_text(CASE)}, {"type": "text", "text": "Panel query: x"}]),
        HumanMessage("Your last answer could not be used: it was empty. Answer again, in the schema."),
    ]
    assert calls(EmbeddedModel().invoke(later))[0][0] == "Assessment"


def test_it_answers_the_same_twice_and_costs_no_tokens() -> None:
    one, two = (EmbeddedModel().bind_tools([Assessment]).invoke([HumanMessage(briefing_text(CASE))]) for _ in range(2))
    assert one.tool_calls == two.tool_calls
    assert one.usage_metadata is None


class Weather(BaseModel):
    """A schema of somebody else."""

    sunny: bool


def test_a_schema_that_it_does_not_know_is_not_filled_with_inventions() -> None:
    answer = EmbeddedModel().with_structured_output(Weather, include_raw=True).invoke([HumanMessage("Is it sunny?")])
    assert answer["parsed"] is None


async def ask_later() -> Any:
    return await EmbeddedModel().ainvoke([HumanMessage(briefing_text(CASE))])


def test_asynchronous_code_gets_the_same_answer() -> None:
    import asyncio

    assert calls(asyncio.run(ask_later())) == calls(EmbeddedModel().invoke([HumanMessage(briefing_text(CASE))]))
