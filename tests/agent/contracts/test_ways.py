"""The ways of asking (at once or streamed, blocking or not) fail alike: in time, in one sentence, and without the key."""

import asyncio
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from langchain_core.exceptions import (
    ModelAPIError,
    ModelAuthenticationError,
    ModelConnectionError,
    ModelError,
    ModelRateLimitError,
    ModelTimeoutError,
    OutputParserException,
)
from langchain_core.language_models import BaseChatModel
from langchain_core.tools import tool

from agent.models import ModelOptions
from agent.plan import InspectionPlan

pytestmark = pytest.mark.slow

QUESTION = "What of this part?"
EVENTS = {"Content-Type": "text/event-stream"}


def _invoke(model: BaseChatModel) -> str:
    return model.invoke(QUESTION).text


def _ainvoke(model: BaseChatModel) -> str:
    return asyncio.run(model.ainvoke(QUESTION)).text


def _stream(model: BaseChatModel) -> str:
    return "".join(chunk.text for chunk in model.stream(QUESTION))


def _astream(model: BaseChatModel) -> str:
    async def gather() -> str:
        return "".join([chunk.text async for chunk in model.astream(QUESTION)])

    return asyncio.run(gather())


WAYS: dict[str, Callable[[BaseChatModel], str]] = {
    "invoke": _invoke,
    "ainvoke": _ainvoke,
    "stream": _stream,
    "astream": _astream,
}
STREAMED = {name: WAYS[name] for name in ("stream", "astream")}
each_way = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
each_stream = pytest.mark.parametrize("way", STREAMED.values(), ids=STREAMED)


def fails(way: Callable[[BaseChatModel], str], model: BaseChatModel, kind: type[Exception], canary: str) -> str:
    """What is said; the whole chain of errors is one sentence, and holds no key."""
    with pytest.raises(kind) as caught:
        way(model)
    error = caught.value
    assert error.__cause__ is None
    assert error.__context__ is None
    assert canary not in "".join(traceback.format_exception(error)) + repr(error) + repr(vars(error))
    assert "\n" not in str(error)
    return str(error)


@each_way
@pytest.mark.parametrize(
    ("status", "kind", "requests"),
    [
        (401, ModelAuthenticationError, 1),
        (400, ModelError, 1),
        (302, ModelError, 1),
        (429, ModelRateLimitError, 3),
        (503, ModelAPIError, 3),
    ],
)
def test_a_refusal_has_its_kind(vendor, peer, client, act, canary, way, status, kind, requests) -> None:
    peer.plays(*[act(vendor.error(status, "So it is."), status)] * 3)
    assert "So it is." in fails(way, client(), kind, canary)
    assert len(peer.requests) == requests


@each_way
def test_a_connection_that_breaks_is_tried_again(vendor, peer, client, act, canary, way) -> None:
    peer.plays(*[act(vendor.reply("Fine."), cut=30, reset=True)] * 3)
    assert "broke off" in fails(way, client(), ModelConnectionError, canary)
    assert len(peer.requests) == 3


@each_way
def test_a_server_that_is_not_there_is_told_so(client, peer, canary, way, act, serve) -> None:
    model = client()
    peer.address = "http://127.0.0.1:1"
    assert "could not be made" in fails(way, client(), ModelConnectionError, canary)
    assert model.get_name()


@each_way
def test_silence_ends_with_the_deadline(peer, client, act, canary, way) -> None:
    peer.plays(*[act(silent=True)] * 9)
    start = time.monotonic()
    fails(way, client(ModelOptions(timeout=0.4, deadline=0.6, attempts=10)), ModelTimeoutError, canary)
    assert 0.3 < time.monotonic() - start < 1.5
    assert len(peer.requests) <= 3


@each_way
def test_a_drip_ends_with_the_deadline(vendor, peer, client, act, canary, way) -> None:
    peer.plays(*[act(vendor.reply("Fine."), pause=0.03)] * 9)
    start = time.monotonic()
    fails(way, client(ModelOptions(timeout=9, deadline=0.5)), ModelTimeoutError, canary)
    assert 0.3 < time.monotonic() - start < 1.5
    assert len(peer.requests) == 1


@each_way
@pytest.mark.parametrize("body", [b"", b"<html>", b"{", b"[]", b"\xff"])
def test_what_is_no_reply_is_told_so(peer, client, act, canary, way, body) -> None:
    peer.plays(act(body))
    assert "no JSON object" in fails(way, client(), ModelError, canary)
    assert len(peer.requests) == 1


@pytest.mark.parametrize("way", [_invoke, _ainvoke])
@pytest.mark.parametrize("end", ["length", "safety"])
def test_a_shortened_reply_is_no_reply(vendor, peer, client, act, canary, way, end) -> None:
    peer.plays(act(vendor.reply("It is all", end=getattr(vendor, end))))
    assert {"length": "cut off", "safety": "ended early"}[end] in fails(way, client(), ModelError, canary)


@pytest.mark.parametrize("way", [_invoke, _ainvoke])
def test_an_empty_reply_is_no_reply(vendor, peer, client, act, canary, way) -> None:
    peer.plays(act(vendor.reply("")))
    assert "empty" in fails(way, client(), ModelError, canary)


@each_stream
@pytest.mark.parametrize("end", ["length", "safety"])
def test_a_stream_that_ends_badly_is_no_reply(vendor, peer, client, act, canary, way, end) -> None:
    peer.plays(act(vendor.stream("It is ", "all", end=getattr(vendor, end)), headers=EVENTS))
    fails(way, client(), ModelError, canary)


@each_stream
def test_a_stream_without_an_end_is_no_reply(vendor, peer, client, act, canary, way) -> None:
    peer.plays(act(vendor.stream("It is ", "all", end=None), headers=EVENTS))
    assert "ended early" in fails(way, client(), ModelError, canary)


@each_stream
@pytest.mark.parametrize("reset", [True, False])
def test_a_stream_that_breaks_off_is_no_reply_and_not_asked_for_again(
    vendor, peer, client, act, canary, way, reset
) -> None:
    body = vendor.stream("It is ", "all ", "good", " now")
    peer.plays(*[act(body, headers=EVENTS, cut=len(body) // 2, reset=reset, pause=0.01)] * 3)
    assert "broke off" in fails(way, client(), ModelConnectionError, canary)
    assert len(peer.requests) == 1  # what was streamed has been heard


@each_stream
def test_a_stream_that_drips_ends_with_the_deadline(vendor, peer, client, act, canary, way) -> None:
    peer.plays(act(vendor.stream(*["word "] * 200), headers=EVENTS, pause=0.05))
    start = time.monotonic()
    fails(way, client(ModelOptions(timeout=9, deadline=0.6)), ModelTimeoutError, canary)
    assert 0.4 < time.monotonic() - start < 1.6


@each_stream
def test_a_stream_without_an_event_is_no_reply(peer, client, act, canary, way) -> None:
    peer.plays(act(b"", headers=EVENTS))
    fails(way, client(), ModelError, canary)


@each_stream
@pytest.mark.parametrize("event", [b"data: {not json\n\n", b"data: [1]\n\n", b'data: "x"\n\n', b"data: \xff\n\n"])
def test_a_stream_of_something_else_is_no_reply(peer, client, act, canary, way, event) -> None:
    peer.plays(act(event * 3, headers=EVENTS))
    fails(way, client(), ModelError, canary)


@each_stream
def test_a_stream_without_end_is_stopped(vendor, peer, client, act, canary, way) -> None:
    peer.plays(act(vendor.stream("x" * 9_000_000), headers=EVENTS))
    assert "more than 8000000 bytes" in fails(way, client(ModelOptions()), ModelError, canary)


def test_who_stops_listening_leaves_nothing_open(vendor, peer, client, act) -> None:
    peer.plays(act(vendor.stream(*["word "] * 100), headers=EVENTS, pause=0.02))
    heard = client().stream(QUESTION)
    next(heard)
    heard.close()  # what is left open is a warning, and warnings are errors here


@each_way
def test_a_server_that_tells_the_key_is_not_repeated(vendor, peer, client, act, canary, way) -> None:
    peer.plays(act(vendor.error(401, f"The key {canary} is wrong."), 401))
    assert "The key [key] is wrong." in fails(way, client(), ModelAuthenticationError, canary)


def test_a_key_in_a_reply_does_not_come_through(vendor, peer, client, act, canary) -> None:
    peer.plays(act(vendor.reply(f"The key is {canary}.")))
    assert client().invoke(QUESTION).text == "The key is [key]."


def test_escape_sequences_of_a_server_do_not_reach_the_terminal(vendor, peer, client, act, canary) -> None:
    peer.plays(act(vendor.error(400, "\x1b[31mred\x1b[0m\nand\tmore"), 400))
    assert "answered 400: [31mred [0m and more" in fails(_invoke, client(), ModelError, canary)


def test_a_wait_that_is_asked_for_is_kept(vendor, peer, client, act) -> None:
    wait = {"Retry-After": "0.4", "Content-Type": "application/json"}
    peer.plays(act(vendor.error(429), 429, headers=wait), act(vendor.reply("Fine.")))
    assert client().invoke(QUESTION).text == "Fine."
    first, second = peer.requests
    assert second.at - first.at >= 0.4


def test_a_single_attempt_is_a_single_attempt(vendor, peer, client, act) -> None:
    peer.plays(*[act(vendor.error(503), 503)] * 2)
    with pytest.raises(ModelAPIError):
        client(ModelOptions(attempts=1)).invoke(QUESTION)
    assert len(peer.requests) == 1


def test_counts_that_cannot_be_are_no_counts(vendor, peer, client, act) -> None:
    peer.plays(act(vendor.reply("Fine.", usage=(90, -10))))
    assert client().invoke(QUESTION).usage_metadata is None


@tool
def measure_region(region: str) -> str:
    """Measure a region."""
    return region


@pytest.mark.parametrize("vendor", ["openai"], indirect=True)
def test_tool_arguments_that_are_none_can_be_repaired(vendor, peer, client, act) -> None:
    peer.plays(act(vendor.calls(("measure_region", '{"region": '))))
    with pytest.raises(OutputParserException, match="the arguments of measure_region are not JSON"):
        client().bind_tools([measure_region]).invoke(QUESTION)


def test_many_questions_at_once_do_not_get_each_others_answers(vendor, peer, client, act) -> None:
    def echo(seen: Any) -> Any:
        number = seen.texts.partition("number ")[2][:2]
        return act(vendor.reply(f"{number}"))

    peer.answer = echo
    model = client(ModelOptions())
    numbers = [str(number) for number in range(10, 30)]
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda number: model.invoke(f"number {number}").text, numbers))
    assert answers == numbers

    async def together() -> list[Any]:
        return await asyncio.gather(*[model.ainvoke(f"number {number}") for number in numbers])

    assert [message.text for message in asyncio.run(together())] == numbers


def test_a_question_that_is_given_up_ends_at_once(vendor, peer, client, act) -> None:
    peer.plays(act(silent=True))

    async def give_up() -> None:
        async with asyncio.timeout(0.2):
            await client(ModelOptions()).ainvoke(QUESTION)

    start = time.monotonic()
    with pytest.raises(TimeoutError):
        asyncio.run(give_up())
    assert time.monotonic() - start < 2


def test_a_model_can_be_asked_where_a_loop_runs_already(vendor, peer, client, act) -> None:
    peer.plays(act(vendor.reply("Fine.")))

    async def blocking() -> str:
        return client().invoke(QUESTION).text

    assert asyncio.run(blocking()) == "Fine."


@pytest.mark.parametrize("vendor", ["openai"], indirect=True)
def test_a_forked_program_asks_on_a_loop_of_its_own(vendor, peer, act, canary) -> None:
    peer.plays(act(vendor.reply("Fine.")), act(vendor.reply("Fine.")))
    code = f"""
import os, sys
from agent.models import ModelOptions, chat_model
model = chat_model({vendor.model!r}, {peer.address + vendor.path!r}, ModelOptions(timeout=5, deadline=5))
assert model.invoke("x").text == "Fine."
child = os.fork()
if child == 0:
    os._exit(0 if model.invoke("x").text == "Fine." else 1)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    assert len(peer.requests) == 2


def test_no_thread_is_left_behind_by_a_question(vendor, peer, client, act) -> None:
    model = client(ModelOptions())
    peer.plays(*[act(vendor.reply("Fine."))] * 3)
    model.invoke(QUESTION)
    before = {thread.name for thread in threading.enumerate() if thread.name.startswith("models of")}
    model.invoke(QUESTION)
    asyncio.run(model.ainvoke(QUESTION))
    assert {thread.name for thread in threading.enumerate() if thread.name.startswith("models of")} == before
    assert len(before) == 1


def test_a_plan_that_is_prose_can_be_repaired(vendor, peer, client, act) -> None:
    peer.plays(act(vendor.reply("First I would look.")))
    with pytest.raises(OutputParserException, match=r"^the reply is not JSON"):
        client().with_structured_output(InspectionPlan).invoke(QUESTION)
