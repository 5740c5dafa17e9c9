"""Whatever a vendor does instead of answering: no answer, in time, after the right number of requests; never a made-up one."""

import json
import time
import traceback
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import HumanMessage, SystemMessage

from tools import ModelCall
from tools.assessment import Assessment
from tools.reasoning import Member, NoAnswer, ask

QUESTION = [SystemMessage("You judge parts."), HumanMessage("What of this one?")]
OPINION: dict[str, Any] = {
    "opinion": "unsure",
    "explanation": "I cannot tell.",
    "findings": [],
    "claims": [],
    "rule_answers": [],
}
GOOD = json.dumps(OPINION)
ANSWER = Assessment.model_validate(OPINION)
CLAIM = {
    "kind": "size",
    "text": "It is large.",
    "subject": "a1.r1",
    "attribute": "",
    "word": "",
    "other": "",
    "number": 0.1,
    "box": None,
    "evidence": ["e1"],
}

EVENTS = {"Content-Type": "text/event-stream"}
HTML = {"Content-Type": "text/html"}

Script = Callable[[Any, Any], list[Any]]
"""Vendor, maker of acts -> what the peer does with each request."""


class Case(NamedTuple):
    """What a peer does, and how many requests it then sees."""

    name: str
    script: Script
    requests: int
    words: str | None = None
    """Said about it; where there are none, the answer is good in the end."""
    gemini_requests: int = 0
    """Where they are not as many as OpenAI's."""
    hurried: bool = False
    """The time is what runs out."""


def says(text: str | None, *more: str | None, **options: Any) -> Script:
    """Replies that are whole by the protocol, whatever they say."""
    return lambda vendor, act: [act(vendor.reply(each, **options)) for each in (text, *more)]


def status(code: int, times: int = 1, **headers: str) -> Script:
    """An error in the vendor's shape, then a good answer."""
    kinds = {"Content-Type": "application/json", **{name.replace("_", "-"): text for name, text in headers.items()}}
    return lambda vendor, act: [
        *[act(vendor.error(code, f"said {code}"), code, headers=kinds) for _ in range(times)],
        act(vendor.reply(GOOD)),
    ]


def raw(body: bytes, times: int = 1, **options: Any) -> Script:
    """Bytes as they are."""
    return lambda vendor, act: [act(body, **options) for _ in range(times)]


def broken(times: int, **options: Any) -> Script:
    """A good reply that does not arrive, and then one that does."""
    return lambda vendor, act: [
        *[act(vendor.reply(GOOD), **options) for _ in range(times)],
        act(vendor.reply(GOOD)),
    ]


def bent(times: int = 2, **changes: Any) -> Script:
    """An answer with other fields, in a good reply; then a good one."""
    return says(*[json.dumps({**OPINION, **changes})] * times, GOOD)


def ended(kind: str) -> Script:
    """A good answer, twice, that the vendor says has ended badly."""
    return lambda vendor, act: [act(vendor.reply(GOOD, end=getattr(vendor, kind, kind))) for _ in range(2)]


def made(part: str) -> Script:
    """A reply of the vendor's own, twice."""
    return lambda vendor, act: [act(getattr(vendor, part)()) for _ in range(2)]


def calls(*made_calls: tuple[str, str]) -> Script:
    return lambda vendor, act: [act(vendor.calls(*made_calls)) for _ in range(2)]


def counted(*usage: Any) -> Script:
    return says(GOOD, usage=usage)


def moved(code: int) -> Script:
    """Sent to another host; its own address, by another name, so that following would be seen."""
    return lambda vendor, act: [
        act(b"{}", code, headers={"Location": "http://localhost:9/v1/chat/completions", "Content-Type": "text/plain"})
    ]


def without(*keys: str) -> str:
    return json.dumps({key: value for key, value in OPINION.items() if key not in keys})


CASES = [
    # Refused: asked once, and not again
    *[Case(f"{code}", status(code), 1, f"answered {code}: said {code}") for code in (400, 401, 402, 403, 404, 405)],
    *[Case(f"{code}", status(code), 1, f"answered {code}: said {code}") for code in (410, 413, 415, 422, 451)],
    *[Case(f"{code} that begs for more", status(code, x_should_retry="true"), 1, f"{code}") for code in (400, 401)],
    Case("400 to wait for", status(400, Retry_After="0"), 1, "answered 400"),
    *[Case(f"{code} elsewhere", moved(code), 1, "a redirect, which is not followed") for code in (301, 302, 307, 308)],
    # Passing: asked again, three times at most
    *[Case(f"{code} once", status(code), 2) for code in (408, 409, 429, 500, 502, 503, 504, 529)],
    *[Case(f"{code} for ever", status(code, 3), 3, f"answered {code}") for code in (408, 409, 429, 500, 503, 529)],
    Case("429 with a short wait", status(429, Retry_After="0.05"), 2),
    Case("429 with a short wait in ms", status(429, retry_after_ms="50"), 2),
    Case("429 with a long wait", status(429, Retry_After="3600"), 1, "another attempt in 3.6e+03 s would be after"),
    Case("429 until next year", status(429, Retry_After="Wed, 01 Jan 2098 00:00:00 GMT"), 1, "would be after"),
    Case("503 with a long wait", status(503, Retry_After="60"), 1, "would be after"),
    Case("429 with a wait that is none", status(429, Retry_After="soon"), 2),
    Case("429 with a wait before now", status(429, Retry_After="-5"), 2),
    Case("429 with an endless wait", status(429, Retry_After="inf"), 2),
    Case("500 that begs for no more", status(500, x_should_retry="false"), 2),
    Case("503 in HTML", raw(b"<html>Busy</html>", 3, status=503, headers=HTML), 3, "answered 503"),
    Case("500 without a word", raw(b"", 3, status=500), 3, "answered 500"),
    # The connection
    Case("reset before the head", broken(3, cut=0, reset=True), 3, "the connection to the server broke off"),
    Case("reset before the head, once", broken(1, cut=0, reset=True), 2),
    Case("reset in mid-body", broken(3, cut=40, reset=True), 3, "the connection to the server broke off"),
    Case("reset in mid-body, once", broken(1, cut=40, reset=True), 2),
    Case("cut off in mid-body", broken(3, cut=40), 3, "the connection to the server broke off"),
    Case("cut off in mid-body, once", broken(1, cut=40), 2),
    Case("silence", broken(3, silent=True), 3, "no reply came", hurried=True),
    Case("silence, once", broken(1, silent=True), 2, hurried=True),
    Case("a reply that drips", broken(3, pause=0.02), 3, "no reply came within", hurried=True),
    Case("a head that drips", broken(3, pause=0.02, head_drips=True), 3, "no reply came within", hurried=True),
    # What is no reply of the protocol
    Case("empty body", raw(b""), 1, "no JSON object"),
    Case("white space", raw(b" \n\t"), 1, "no JSON object"),
    Case("not JSON", raw(b"all good"), 1, "no JSON object"),
    Case("HTML page", raw(b"<html>Login</html>", headers=HTML), 1, "text/html that is no JSON object"),
    Case("truncated JSON", raw(b'{"choices": [{"mess'), 1, "no JSON object"),
    Case("a list", raw(b"[]"), 1, "no JSON object"),
    Case("null", raw(b"null"), 1, "no JSON object"),
    Case("a number", raw(b"17"), 1, "no JSON object"),
    Case("invalid UTF-8", raw(b'{"choices": "\xff\xfe"}'), 1, "no JSON object"),
    Case(
        "compressed though not asked for", raw(b"\x1f\x8b\x08\x00", headers={"Content-Encoding": "gzip"}), 1, "no JSON"
    ),
    Case("nested too deep around", raw(b'{"a":' + b"[" * 100_000), 1, "no JSON object"),
    Case("huge", raw(b'{"a": "' + b"x" * 9_000_000 + b'"}'), 1, "more than 8000000 bytes"),
    Case("empty object", raw(b"{}", 2), 1, "", 2),
    Case("an error with status 200", lambda vendor, act: [act(vendor.error(500))] * 2, 1, "", 2),
    Case("no candidates", made("nothing"), 1, "", 2),
    Case("null candidates", made("null"), 1, "", 2),
    Case("candidates of another type", raw(b'{"choices": "none", "candidates": "none"}', 2), 1, "", 2),
    Case("candidates of null", raw(b'{"choices": [null], "candidates": [null]}', 2), 1, "", 2),
    Case("choice without a message", raw(b'{"choices": [{}], "candidates": [{}]}', 2), 1, "", 2),
    # Replies that are no answer: repaired once
    Case("empty content", says("", ""), 2, "the reply was empty"),
    Case("null content", says(None, None), 2, "the reply was empty"),
    Case("blank content", says(" \n", " \n"), 2, "not JSON"),
    Case("prose", says("It is fine.", "Really."), 2, "not JSON"),
    Case("prose, once", says("It is fine.", GOOD), 2),
    Case("truncated answer", says(GOOD[:-20], GOOD[:-20]), 2, "not JSON"),
    Case("answer in a fence", says(f"```json\n{GOOD}\n```", GOOD), 2),
    Case("two answers", says(GOOD + GOOD, GOOD), 2),
    Case("an answer and a word", says(GOOD + " Done.", GOOD), 2),
    Case("answer of another type", says("[]", '"normal"'), 2, "Assessment"),
    Case("other schema", says('{"steps": []}', '{"steps": []}'), 2, "steps"),
    Case("extra key", bent(note="x"), 2, "note"),
    Case("extra key, once", bent(1, note="x"), 2),
    Case("missing keys", says(without("opinion"), without("explanation")), 2, "explanation"),
    Case("a key twice", says(GOOD[:-1] + ', "opinion": "normal"}', GOOD), 2),
    Case("opinion that is none", bent(opinion="pass"), 2, "opinion"),
    Case("opinion of null", bent(opinion=None), 2, "opinion"),
    Case("opinion of a number", bent(opinion=1), 2, "opinion"),
    Case("findings of another type", bent(findings="none"), 2, "findings"),
    Case("words without end", bent(explanation="x" * 3000), 2, "explanation"),
    Case("a truth for a number", bent(claims=[{**CLAIM, "number": True}]), 2, "number"),
    Case("words for a number", bent(claims=[{**CLAIM, "number": "0.1"}]), 2, "number"),
    Case("NaN", says(*[json.dumps({**OPINION, "claims": [{**CLAIM, "number": float("nan")}]})] * 2), 2, "no number"),
    Case("infinity", says(*[json.dumps({**OPINION, "claims": [CLAIM]}).replace("0.1", "1e999")] * 2), 2, "no number"),
    Case("a box of three", bent(claims=[{**CLAIM, "box": [0, 0, 1]}]), 2, "box"),
    Case("a box beyond the picture", bent(claims=[{**CLAIM, "box": [0, 0, 1, 7]}]), 2, "box"),
    Case("nested too deep", says('{"a":' * 5000 + "1" + "}" * 5000, "[" * 100_000), 2, "", 1),
    Case("half a letter", says(GOOD.replace("cannot", "\\ud800"), GOOD), 2),
    Case("refusal", made("refusal"), 2, ""),
    Case("safety stop", ended("safety"), 2, "ended early"),
    Case("length stop", ended("length"), 2, "longer than allowed"),
    Case("unknown tool", calls(("wipe_disk", "{}")), 2, "calls a tool"),
    Case("two tool calls", calls(("a", "{}"), ("b", "{}")), 2, "calls a tool"),
    # Odd, and good all the same
    Case("good", says(GOOD), 1),
    Case("good by the wrong name", lambda vendor, act: [act(vendor.reply(GOOD), headers=HTML)], 1),
    Case("good in odd white space", says(json.dumps(OPINION, indent=7) + "\n"), 1),
    Case("usage below zero", counted(-90, -10), 1),
    Case("usage of one below zero", counted(90, -10), 1),
]

GEMINI = [
    *[
        Case(reason, ended(reason), 2, "ended early")
        for reason in ("MALFORMED_FUNCTION_CALL", "RECITATION", "PROHIBITED_CONTENT", "OTHER", "UNEXPECTED_TOOL_CALL")
    ],
    Case("a reason that nobody knows", ended("TIRED"), 2, ""),
    Case(
        "more to come, for ever",
        lambda vendor, act: [
            act({"candidates": [{"finishReason": "CONTINUATION", "continuationToken": "bW9yZQ=="}]}) for _ in range(9)
        ],
        2,
        "ended early (CONTINUATION)",
    ),
    Case("a reason that is none", ended("FINISH_REASON_UNSPECIFIED"), 2, "ended early"),
    Case("prompt blocked", made("blocked"), 1, "blocked the question (SAFETY)"),
    Case(
        "wait in the body",
        lambda vendor, act: [
            act({"error": {"code": 429, "message": "x", "details": [{"retryDelay": "3600s"}]}}, 429),
        ],
        1,
        "would be after",
    ),
]

OPENAI = [
    Case("a reason that nobody knows", ended("tired"), 2, "ended early"),
    Case("bad tool arguments", calls(("Assessment", '{"opinion": ')), 2, "calls a tool"),
    Case("tool arguments of another type", calls(("Assessment", "[]")), 2, "calls a tool"),
    Case("no reason", lambda vendor, act: [act(vendor.reply(GOOD, end=None)) for _ in range(2)], 2, "ended early"),
    Case(
        "refusal beside an answer", lambda vendor, act: [act(vendor.reply(GOOD, refusal="No."))] * 2, 2, "refused: No."
    ),
    Case("content filtered before", status(400), 1, "answered 400"),
    Case("usage of words", lambda vendor, act: [act({**vendor.reply(GOOD), "usage": "much"})], 1, ""),
]


EACH = [pytest.param(case, id=case.name) for case in CASES]


@pytest.fixture
def check(vendor, peer, client, hurried, act, canary) -> Callable[[Case], None]:
    """Ask once by the real client, and hold what comes of it against the case."""

    def run(case: Case) -> None:
        peer.plays(*case.script(vendor, act))
        model = client(hurried) if case.hurried else client()
        calls = _answered(model) if case.words is None else _none(model, case.words, canary)
        assert all(call.input_tokens >= 0 and call.output_tokens >= 0 for call in calls)
        expected = case.gemini_requests if vendor.model.startswith("google") else 0
        assert len(peer.requests) == (expected or case.requests)

    return run


def _answered(model: BaseChatModel) -> Sequence[ModelCall]:
    reply = ask(Member(model, remote=True), QUESTION, Assessment)
    assert reply.value == ANSWER
    return reply.calls


def _none(model: BaseChatModel, words: str, canary: str) -> Sequence[ModelCall]:
    start = time.monotonic()
    with pytest.raises(NoAnswer) as caught:
        ask(Member(model, remote=True), QUESTION, Assessment)
    assert words in str(caught.value)
    assert canary not in "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    assert time.monotonic() - start < 2 * 4 + 1
    return caught.value.calls


@pytest.mark.parametrize("case", EACH)
def test_a_bad_answer_is_none(check, case) -> None:
    check(case)


@pytest.mark.filterwarnings("ignore:TIRED is not a valid FinishReason")
@pytest.mark.parametrize("vendor", ["gemini"], indirect=True)
@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in GEMINI])
def test_a_bad_answer_of_gemini_is_none(check, case) -> None:
    check(case)


@pytest.mark.parametrize("vendor", ["openai"], indirect=True)
@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in OPENAI])
def test_a_bad_answer_of_gpt_is_none(check, case) -> None:
    check(case)


def test_there_are_enough_cases_of_different_names() -> None:
    names = [case.name for case in CASES]
    assert len(names) == len(set(names)) >= 40
