"""What the real clients ask of a vendor, held to its published schema, and what they make of good replies."""

import asyncio
import json
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from pydantic import BaseModel

from agent.models import ModelOptions, chat_model
from agent.plan import InspectionPlan
from tools import ArtifactStore
from tools.assessment import Assessment
from tools.panels import Panel
from tools.reasoning import Member, Role, ask, assess

CLAIM: dict[str, Any] = {
    "kind": "size",
    "text": "It covers a tenth.",
    "subject": "a1.r1",
    "attribute": "",
    "word": "",
    "other": "",
    "number": 0.1,
    "box": [0, 0.25, 0.5, 1],
    "evidence": ["e4"],
}
FINDING: dict[str, Any] = {
    "region": "a1.r1",
    "box": None,
    "title": "Scratch",
    "defect_type": None,
    "severity": "major",
    "explanation": "A bright line.",
}
RULE = {"rule": "R1", "answer": "cannot_tell", "reason": ""}
JUDGED = {
    "opinion": "anomalous",
    "explanation": "A scratch.",
    "findings": [FINDING],
    "claims": [CLAIM],
    "rule_answers": [RULE],
}
PLANNED = {"steps": [{"tool": "render_asset", "target": "a1", "purpose": "see it"}]}
QUESTION = [SystemMessage("You judge parts."), HumanMessage("What of this one?")]


@tool
def measure_region(region: str) -> str:
    """Measure a region."""
    return region


@pytest.mark.parametrize(("schema", "said"), [(Assessment, JUDGED), (InspectionPlan, PLANNED)])
def test_an_answer_comes_by_the_vendors_own_structured_output(vendor, peer, client, act, schema, said) -> None:
    peer.plays(act(vendor.reply(json.dumps(said))))
    reply = ask(Member(client(), remote=True), QUESTION, schema)
    assert json.loads(reply.value.model_dump_json()) == said
    assert [(call.input_tokens, call.output_tokens, call.outcome) for call in reply.calls] == [(90, 10, "answered")]
    (request,) = peer.requests
    assert request.asked_for["properties"].keys() == schema.model_fields.keys()
    assert "tools" not in request.body
    assert request.headers["accept-encoding"] == "identity"  # so that its size is seen before it is unpacked


def test_a_reasoner_is_shown_every_picture_as_the_vendor_takes_them(vendor, peer, client, act, tmp_path, plate) -> None:
    store = ArtifactStore(tmp_path)
    panels = [Panel(label, f"picture {label}", store.put_image(plate(seed))) for seed, label in enumerate("AB")]
    peer.plays(act(vendor.reply(json.dumps(JUDGED))))
    role = Role("reasoner", (Member(client(), remote=True),))
    assess(role, {"question": "assess"}, panels, store)
    assert vendor.pictures(peer.requests[0]) == [store.get(panel.artifact) for panel in panels]
    assert "Panel B: picture B" in peer.requests[0].texts


def test_tools_are_offered_called_and_answered(vendor, peer, client, act) -> None:
    peer.plays(act(vendor.calls(("measure_region", '{"region": "a1.r1"}'))), act(vendor.reply("Done.")))
    model = client().bind_tools([measure_region])
    called = model.invoke(QUESTION)
    assert [(call["name"], call["args"]) for call in called.tool_calls] == [("measure_region", {"region": "a1.r1"})]
    answer = ToolMessage("12 px", tool_call_id=called.tool_calls[0]["id"], name="measure_region")
    assert model.invoke([*QUESTION, called, answer]).text == "Done."


def test_two_calls_at_once_both_arrive(vendor, peer, client, act) -> None:
    peer.plays(act(vendor.calls(("measure_region", '{"region": "a"}'), ("measure_region", '{"region": "b"}'))))
    called = client().bind_tools([measure_region]).invoke(QUESTION)
    assert [call["args"]["region"] for call in called.tool_calls] == ["a", "b"]


def test_a_reply_is_streamed_with_its_usage(vendor, peer, client, act) -> None:
    events = {"Content-Type": "text/event-stream"}
    peer.plays(*[act(vendor.stream("It is ", "fine."), headers=events, pause=0.01) for _ in range(2)])

    async def gather() -> list[Any]:
        return [chunk async for chunk in client().astream(QUESTION)]

    for chunks in (list(client().stream(QUESTION)), asyncio.run(gather())):
        whole = chunks[0]
        for chunk in chunks[1:]:
            whole += chunk
        assert whole.text == "It is fine."
        assert (whole.usage_metadata["input_tokens"], whole.usage_metadata["output_tokens"]) == (90, 10)
        assert len(chunks) >= 2


def test_a_program_that_does_not_block_gets_the_same(vendor, peer, client, act) -> None:
    peer.plays(*[act(vendor.reply(json.dumps(PLANNED))) for _ in range(2)])
    asked = client().with_structured_output(InspectionPlan, include_raw=True)

    async def twice() -> list[Any]:
        return await asyncio.gather(asked.ainvoke(QUESTION), asked.ainvoke(QUESTION))

    for reply in asyncio.run(twice()):
        assert reply["parsed"] == InspectionPlan.model_validate(PLANNED)
        assert isinstance(reply["raw"], AIMessage)
        assert reply["raw"].usage_metadata["total_tokens"] == 100


def test_an_answer_can_be_had_without_the_reply_around_it(vendor, peer, client, act) -> None:
    peer.plays(act(vendor.reply(json.dumps(PLANNED))))
    assert client().with_structured_output(InspectionPlan).invoke(QUESTION) == InspectionPlan.model_validate(PLANNED)


def test_what_the_options_say_is_sent(vendor, peer, client, act) -> None:
    peer.plays(*[act(vendor.reply("Yes.")) for _ in range(2)])
    client(ModelOptions(temperature=0.5, seed=7, reply_tokens=100)).invoke(QUESTION)
    client(ModelOptions(temperature=None, seed=None)).invoke(QUESTION)
    set_, unset = (request.body.get("generationConfig", request.body) for request in peer.requests)
    assert (set_["temperature"], set_["seed"]) == (0.5, 7)
    assert "temperature" not in unset
    assert "seed" not in unset
    limits = [settings.get("max_completion_tokens") or settings["maxOutputTokens"] for settings in (set_, unset)]
    assert limits[1] - limits[0] == 4096 - 100


@pytest.mark.parametrize(
    "name", ["gpt-5", "gpt-5-mini-2025-08-07", "gpt-5.2", "gpt-5-chat-latest", "o3", "o3-2025-04-16"]
)
def test_a_model_that_thinks_is_sent_no_temperature_and_left_room(openai_peer, openai_vendor, act, name) -> None:
    openai_peer.plays(act(openai_vendor.reply("Yes.")))
    chat_model(f"openai:{name}", f"{openai_peer.address}/v1").invoke(QUESTION)
    (request,) = openai_peer.requests
    assert "temperature" not in request.body
    assert request.body["max_completion_tokens"] > 4096


class Loose(BaseModel):
    """A schema that strict structured output refuses."""

    name: str = "red"
    words: dict[str, int]


def test_the_peers_refuse_what_the_vendors_refuse(schema_faults) -> None:
    loose = Loose.model_json_schema()
    faults = schema_faults["openai"](loose)
    for fault in (
        "default is not permitted",
        "additionalProperties must be false",
        "required must name every property",
    ):
        assert any(fault in found for found in faults), fault
    assert schema_faults["openai"]({"anyOf": [{"type": "object"}]})[0] == "the root is no object"
    assert schema_faults["gemini"]({"type": "string", "maxLength": 5}) == ["$: maxLength is not supported"]


def test_a_peer_finds_fault_with_requests_that_break_the_contract(vendor, client, peer, act) -> None:
    peer.plays(act(vendor.reply("Yes.")))
    client().invoke(QUESTION)
    (seen,) = peer.requests
    assert vendor.faults(seen) == []
    assert vendor.faults(seen._replace(path="/elsewhere"))
    assert vendor.faults(seen._replace(headers={}))
    assert vendor.faults(seen._replace(body={**seen.body, "wish": 1}))
    held = "messages" if "messages" in seen.body else "contents"
    assert vendor.faults(seen._replace(body={**seen.body, held: [{**seen.body[held][0], "role": 7}]}))
