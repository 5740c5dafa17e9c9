"""Asking a chat model: one repair, a cost that is kept, and every way in which clients fail."""

import base64
import json
from collections.abc import Sequence
from typing import Any

import httpx
import pytest
from langchain_core.exceptions import ModelRateLimitError
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from pydantic import BaseModel

from agent.models import openai_class
from knowledge import ToolFailure
from tools import ArtifactStore
from tools.assessment import Assessment
from tools.evidence import ModelCall
from tools.panels import Panel
from tools.prompts import BRIEFING_TITLE
from tools.reasoning import Member, NoAnswer, Reply, Role, ask, assess, briefing_text, in_turn


class Colour(BaseModel):
    """What is asked for."""

    name: str


QUESTION = [SystemMessage("You see colours."), HumanMessage("Which colour?")]


def spoken(text: str = "", calls: list[dict[str, Any]] | None = None, tokens: int = 10) -> AIMessage:
    usage: Any = {"input_tokens": tokens - 1, "output_tokens": 1, "total_tokens": tokens}
    return AIMessage(text, tool_calls=calls or [], usage_metadata=usage)


def colour(**arguments: Any) -> dict[str, Any]:
    return {"name": "Colour", "args": arguments, "id": "1", "type": "tool_call"}


def put(model: BaseChatModel) -> Reply:
    return ask(Member(model, remote=True), QUESTION, Colour)


def cost(calls: Sequence[ModelCall]) -> tuple[int, int]:
    return len(calls), sum(call.tokens for call in calls)


def test_a_good_answer_is_given_back_with_its_cost(scripted) -> None:
    reply = put(scripted(spoken(calls=[colour(name="red")], tokens=12)))
    assert reply.value == Colour(name="red")
    [call] = reply.calls
    assert (call.input_tokens, call.output_tokens, call.outcome) == (11, 1, "answered")
    assert (call.model, call.remote, call.bytes) == ("scripted", True, sum(len(str(m.content)) for m in QUESTION))
    assert reply.model == "scripted"


@pytest.mark.parametrize(
    "bad", [spoken("It is red."), spoken(calls=[colour(hue="red")]), spoken(calls=[colour(name=["red"])]), spoken()]
)
def test_a_bad_answer_is_repaired_once(scripted, bad) -> None:
    model = scripted(bad, {"name": "red"})
    reply = put(model)
    assert reply.value == Colour(name="red")
    assert len(reply.calls) == 2
    assert reply.calls[0].outcome != "answered" == reply.calls[1].outcome
    first, second = model.history
    assert first == QUESTION
    assert second[:-1] == QUESTION
    assert "could not be used" in str(second[-1].content)


def test_two_bad_answers_are_no_answer_and_cost_both(scripted) -> None:
    model = scripted(spoken("red"), spoken(calls=[colour(hue="red")], tokens=20), {"name": "never asked for"})
    with pytest.raises(NoAnswer, match=r"scripted gave no usable Colour: .*name") as caught:
        put(model)
    assert cost(caught.value.calls) == (2, 30)
    assert isinstance(caught.value, ToolFailure)
    assert len(model.history) == 2


@pytest.mark.parametrize(
    "error",
    [
        httpx.ReadTimeout("slow"),
        httpx.ConnectError("refused"),
        httpx.RemoteProtocolError("cut off"),
        ModelRateLimitError("429"),
        TimeoutError("slow"),
        ConnectionResetError("cut off"),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("before", [0, 1])
def test_a_client_that_fails_is_no_answer(scripted, error, before) -> None:
    with pytest.raises(NoAnswer) as caught:
        put(scripted(*[spoken("red")] * before, error))
    assert cost(caught.value.calls) == (1 + before, 10 * before)
    assert str(error).splitlines()[0] in str(caught.value)


@pytest.mark.parametrize(
    "bug", [ZeroDivisionError("bug"), AttributeError("bug"), TypeError("bug"), AssertionError("bug")]
)
def test_a_bug_crashes_through(scripted, bug) -> None:
    with pytest.raises(type(bug), match="bug"):
        put(scripted(bug))


def test_an_error_without_words_is_named(scripted) -> None:
    with pytest.raises(NoAnswer, match="ReadTimeout"):
        put(scripted(httpx.ReadTimeout("")))


def test_who_stands_in_is_asked_in_order_and_only_when_needed(scripted) -> None:
    silent, able, idle = scripted("no", "no"), scripted({"name": "red"}), scripted()
    silent.name, able.name, idle.name = "silent", "able", "idle"
    role = Role("reasoner", tuple(Member(model, remote=True) for model in (silent, able, idle)))
    reply = in_turn(role, lambda member: ask(member, QUESTION, Colour))
    assert (reply.value, reply.model) == (Colour(name="red"), "able")
    assert [call.model for call in reply.calls] == ["silent", "silent", "able"]
    assert ["silent gave no usable Colour" in reason for reason in reply.passed_over] == [True]
    assert not idle.history


def test_where_nobody_answers_all_calls_and_reasons_are_kept(scripted) -> None:
    role = Role("reasoner", tuple(Member(scripted(TimeoutError(words)), remote=True) for words in ("slow", "slower")))
    with pytest.raises(NoAnswer, match=r"slow; .*slower") as caught:
        in_turn(role, lambda member: ask(member, QUESTION, Colour))
    assert [call.outcome for call in caught.value.calls] == ["slow", "slower"]


def test_the_briefing_is_one_json_object_behind_its_title() -> None:
    briefing = {"b": [1.5, None], "a": f"äöü \n {BRIEFING_TITLE}"}
    title, _, rest = briefing_text(briefing).partition("\n")
    assert title == BRIEFING_TITLE
    assert json.loads(rest) == briefing
    assert briefing_text(dict(reversed(briefing.items()))) == briefing_text(briefing)


def test_a_reasoner_is_shown_each_panel_behind_its_label(scripted, tmp_path, plate) -> None:
    store = ArtifactStore(tmp_path)
    panels = [
        Panel(label, f"picture {label}", store.put_image(plate(seed))) for seed, label in enumerate(("A", "query"))
    ]
    model = scripted({"opinion": "unsure", "explanation": "I cannot tell."})
    reply = assess(Role("reasoner", (Member(model, remote=True),)), {"question": "assess"}, panels, store)
    assert [call.panels for call in reply.calls] == [("A", "query")]
    assert reply.calls[0].bytes > sum(len(store.get(panel.artifact)) for panel in panels)
    assert isinstance(reply.value, Assessment)
    blocks: Any = model.history[0][-1].content
    assert [block.get("text", "")[:12] for block in blocks] == [
        BRIEFING_TITLE[:12],
        "Panel A: pic",
        "",
        "Panel query:",
        "",
    ]
    for block, panel in zip(blocks[2::2], panels, strict=True):
        assert block["mime_type"] == "image/png"
        assert base64.b64decode(block["base64"]) == store.get(panel.artifact)


def openai(*answers: httpx.Response | Exception) -> BaseChatModel:
    """GPT's own client, as the agent makes it, over a wire that answers what it is told to, in order."""
    waiting = list(answers)

    def answer(request: httpx.Request) -> httpx.Response:
        given = waiting.pop(0)
        if isinstance(given, Exception):
            raise given
        return given

    client = httpx.Client(transport=httpx.MockTransport(answer))
    options: Any = {"api_key": "none", "base_url": "http://127.0.0.1:9/v1", "max_retries": 0, "http_client": client}
    return openai_class()(model="gpt", name="openai:gpt", use_responses_api=False, **options)


def completion(content: str | None, finish: str = "stop", **message: Any) -> httpx.Response:
    choice = {"index": 0, "message": {"role": "assistant", "content": content, **message}, "finish_reason": finish}
    usage = {"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10}
    head = {"id": "1", "object": "chat.completion", "created": 1, "model": "gpt"}
    return httpx.Response(200, json={**head, "choices": [choice], "usage": usage})


def test_gpt_answers_over_the_wire() -> None:
    reply = put(openai(completion('{"name": "red"}')))
    assert (reply.value, cost(reply.calls)) == (Colour(name="red"), (1, 10))


@pytest.mark.parametrize(
    "answer",
    [
        *[httpx.Response(status, json={"error": {"message": "no"}}) for status in (400, 401, 403, 404, 429, 500, 503)],
        *[httpx.Response(status, json={"error": {"message": "no"}}) for status in (408, 409, 413, 422)],
        httpx.ConnectError("refused"),
        httpx.ReadTimeout("slow"),
        httpx.Response(200, text='{"id": "1"', headers={"content-type": "application/json"}),
        httpx.Response(200, text="<html>Bad gateway</html>"),
        httpx.Response(200, json={"error": {"message": "overloaded"}}),
        completion('{"name": "re', "length"),
        completion("", "content_filter"),
    ],
    ids=lambda answer: answer.text[:16] if isinstance(answer, httpx.Response) else type(answer).__name__,
)
def test_whatever_gpt_does_instead_of_answering_is_no_answer(answer) -> None:
    model = openai(answer, httpx.ReadTimeout("slow"))
    with pytest.raises(NoAnswer, match="openai:gpt"):
        put(model)


def test_a_refusal_is_asked_again_and_then_taken_for_one() -> None:
    refusals = [completion(None, refusal="I cannot help with that.") for _ in range(2)]
    with pytest.raises(NoAnswer, match="I cannot help with that") as caught:
        put(openai(*refusals))
    assert cost(caught.value.calls) == (2, 20)


@pytest.mark.parametrize("bad", ["It is red.", '{"hue": "red"}', "[]"])
def test_a_bad_answer_of_gpt_is_repaired_once(bad) -> None:
    model = openai(completion(bad), completion('{"name": "red"}'))
    reply = put(model)
    # The client hands no tokens over with an answer that it refuses itself; the calls are counted.
    assert (reply.value, len(reply.calls)) == (Colour(name="red"), 2)
