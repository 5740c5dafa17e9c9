"""Peers on the loopback that hold the clients to the vendors' published schemas, and answer what a script says."""

import base64
import contextlib
import functools
import json
import logging
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

import jsonschema
import pytest
from google.genai import types
from langchain_core.language_models import BaseChatModel
from openai.types.chat.completion_create_params import (
    CompletionCreateParamsNonStreaming,
    CompletionCreateParamsStreaming,
)
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic.alias_generators import to_camel

from agent.models import ModelOptions, chat_model

CANARY = "sk-canary-7f3a9e51c0de"
"""The key in the environment; it may reach a peer's header and nothing else."""

PATIENT = ModelOptions(timeout=4, deadline=4)
HURRIED = ModelOptions(timeout=0.4, deadline=1.6)

Json = dict[str, Any]


class Act(NamedTuple):
    """What a peer does with one request."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = {"Content-Type": "application/json"}
    pause: float = 0.0
    """Seconds between two bytes, or two events of a stream."""
    cut: int | None = None
    """Bytes after which the connection ends, though more were promised."""
    reset: bool = False
    """The end is a reset, not a farewell."""
    silent: bool = False
    """Nothing ever comes."""
    head_drips: bool = False
    """The head too comes byte by byte."""


class Seen(NamedTuple):
    """A request, as it arrived."""

    at: float
    path: str
    headers: Mapping[str, str]
    body: Json

    @property
    def asked_for(self) -> Json:
        """The JSON Schema of the answer; empty where none is asked for."""
        wrapped = self.body.get("response_format", {}).get("json_schema", {}).get("schema", {})
        return wrapped or self.body.get("generationConfig", {}).get("responseJsonSchema", {})

    @property
    def texts(self) -> str:
        return json.dumps(self.body)


@dataclass
class Peer:
    """A server that plays a vendor, one script for all its requests."""

    faults_of: Callable[[Seen], list[str]]
    answer: Callable[[Seen], Act | None] = lambda seen: None
    script: list[Act] = field(default_factory=list)
    requests: list[Seen] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)
    address: str = ""

    def plays(self, *acts: Act) -> "Peer":
        self.script.extend(acts)
        return self

    def take(self, seen: Seen) -> Act:
        self.requests.append(seen)
        faults = self.faults_of(seen)
        self.faults += faults
        if faults:
            return Act(json.dumps({"error": {"message": "; ".join(faults)}}).encode(), 400)
        return self.answer(seen) or (self.script.pop(0) if self.script else Act(b"the script is over", 410))


@pytest.fixture
def serve() -> Iterator[Callable[[Peer], Peer]]:
    """Give a peer an address for the length of a test; every request of it must have been without a fault."""
    running: list[tuple[Peer, ThreadingHTTPServer]] = []

    def start(peer: Peer) -> Peer:
        server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(peer))
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        peer.address = f"http://127.0.0.1:{server.server_port}"
        running.append((peer, server))
        return peer

    yield start
    for peer, server in running:
        peer.over.set()
        server.shutdown()
        server.server_close()
    assert [fault for peer, _ in running for fault in peer.faults] == []


def _handler(peer: Peer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            act = peer.take(Seen(time.monotonic(), self.path, headers, json.loads(body)))
            with contextlib.suppress(OSError):  # the client has had enough
                _play(act, self.connection, peer.over)
            self.close_connection = True

        def log_message(self, *arguments: Any) -> None: ...

    return Handler


def _play(act: Act, connection: socket.socket, over: threading.Event) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if act.silent:
        over.wait(10)
        return
    head = [f"HTTP/1.1 {act.status} Said", "Connection: close", f"Content-Length: {len(act.body)}"]
    head += [f"{name}: {value}" for name, value in act.headers.items()]
    said = "\r\n".join(head).encode() + b"\r\n\r\n"
    if act.head_drips:
        _drip(said, act.pause, connection, over)
    elif act.cut != 0 or not act.reset:
        connection.sendall(said)
    if act.pause and b"data: " in act.body:
        for event in act.body[: act.cut].splitlines(keepends=True):
            connection.sendall(event)
            over.wait(act.pause)
    elif act.pause:
        _drip(act.body, act.pause, connection, over)
    else:
        connection.sendall(act.body[: act.cut])
    if act.reset:
        time.sleep(0.02)  # what was sent before must arrive before
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()


def _drip(content: bytes, pause: float, connection: socket.socket, over: threading.Event) -> None:
    for byte in content:
        connection.sendall(bytes([byte]))
        if over.wait(pause):
            return


_WHOLE = "whole"


class OpenAI:
    """GPT, as its peer: replies in its shapes, and what its API accepts."""

    model = "openai:gpt-4o"
    path = "/v1"
    length, safety = "length", "content_filter"

    def reply(self, text: str | None, end: str = _WHOLE, usage: Any = (90, 10), **message: Any) -> Json:
        said = {"role": "assistant", "content": text, "refusal": None, **message}
        choice = {"index": 0, "message": said, "finish_reason": "stop" if end == _WHOLE else end}
        counts = {"prompt_tokens": usage[0], "completion_tokens": usage[1], "total_tokens": usage[0] + usage[1]}
        head = {"id": "c1", "object": "chat.completion", "created": 1, "model": "gpt-4o"}
        return {**head, "choices": [choice], "usage": counts}

    def calls(self, *calls: tuple[str, str]) -> Json:
        made = [
            {"id": f"call{number}", "type": "function", "function": {"name": name, "arguments": arguments}}
            for number, (name, arguments) in enumerate(calls)
        ]
        return self.reply(None, "tool_calls", tool_calls=made)

    def refusal(self) -> Json:
        return self.reply(None, refusal="I cannot help with that.")

    def nothing(self) -> Json:
        return {**self.reply(""), "choices": []}

    def null(self) -> Json:
        return {**self.reply(""), "choices": None}

    def error(self, status: int, message: str = "No.") -> Json:
        return {"error": {"message": message, "type": "error", "param": None, "code": None}}

    def stream(self, *texts: str, end: str | None = "stop") -> bytes:
        head = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o"}
        deltas = [{"role": "assistant", "content": ""}, *({"content": text} for text in texts)]
        chunks: list[Json] = [{"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
        if end:
            chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": end}]})
            usage = {"prompt_tokens": 90, "completion_tokens": 10, "total_tokens": 100}
            chunks.append({"choices": [], "usage": usage})
        return b"".join(_event(head | chunk) for chunk in chunks) + (b"data: [DONE]\n\n" if end else b"")

    def faults(self, seen: Seen) -> list[str]:
        faults = _typed_faults(_typed(bool(seen.body.get("stream"))), seen.body)
        if seen.path != "/v1/chat/completions":
            faults.append(f"no such path: {seen.path}")
        if seen.headers.get("authorization") != f"Bearer {CANARY}":
            faults.append("not authorised")
        if seen.body["model"].startswith(("gpt-5", "o3")) and "temperature" in seen.body:
            faults.append("this model takes no temperature")
        for message in seen.body["messages"]:
            faults += _openai_message_faults(message)
        wanted = seen.body.get("response_format")
        if wanted:
            faults += strict_schema_faults(wanted["json_schema"]["schema"])
            faults += [] if wanted["json_schema"]["strict"] is True else ["not strict"]
        return faults

    def pictures(self, seen: Seen) -> list[bytes]:
        """The PNG files that a model was shown, in order."""
        parts = [part for message in seen.body["messages"] for part in _parts(message["content"])]
        urls = [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
        return [base64.b64decode(url.removeprefix("data:image/png;base64,"), validate=True) for url in urls]


@functools.cache
def _typed(streaming: bool) -> TypeAdapter[Any]:
    return TypeAdapter(CompletionCreateParamsStreaming if streaming else CompletionCreateParamsNonStreaming)


def _openai_message_faults(message: Json) -> list[str]:
    kinds = {part["type"] for part in _parts(message["content"])}
    allowed = {"text", "image_url"} if message["role"] == "user" else {"text"}
    return [f"a {message['role']} message holds {kind}" for kind in kinds - allowed]


def _parts(content: Any) -> list[Json]:
    return content if isinstance(content, list) else []


class Body(BaseModel):
    """What `generateContent` takes, of the SDK's own types."""

    model_config = ConfigDict(extra="forbid", alias_generator=to_camel)

    contents: list[types.Content]
    system_instruction: types.Content | None = None
    tools: list[types.Tool] | None = None
    tool_config: types.ToolConfig | None = None
    safety_settings: list[types.SafetySetting] | None = None
    generation_config: types.GenerationConfig


class Gemini:
    """Gemini, as its peer."""

    model = "google_genai:gemini-2.5-flash"
    path = ""
    length, safety = "MAX_TOKENS", "SAFETY"

    def reply(self, text: str | None, end: str = _WHOLE, usage: Any = (90, 10)) -> Json:
        parts = [] if text is None else [{"text": text}]
        return self._candidate(parts, "STOP" if end == _WHOLE else end, usage)

    def _candidate(self, parts: list[Json], end: str | None, usage: Any = (90, 10)) -> Json:
        candidate: Json = {"content": {"role": "model", "parts": parts}, "index": 0}
        counts = {"promptTokenCount": usage[0], "candidatesTokenCount": usage[1]}
        return {
            "candidates": [candidate | ({"finishReason": end} if end else {})],
            "usageMetadata": {**counts, "totalTokenCount": usage[0] + usage[1]},
            "modelVersion": "gemini-2.5-flash",
        }

    def calls(self, *calls: tuple[str, str]) -> Json:
        return self._candidate(
            [{"functionCall": {"name": name, "args": json.loads(arguments)}} for name, arguments in calls], "STOP"
        )

    def refusal(self) -> Json:
        return self.reply("I cannot help with that.")

    def nothing(self) -> Json:
        return {**self.reply(""), "candidates": []}

    def null(self) -> Json:
        return {**self.reply(""), "candidates": None}

    def blocked(self) -> Json:
        return {"promptFeedback": {"blockReason": "SAFETY"}, "modelVersion": "gemini-2.5-flash"}

    def error(self, status: int, message: str = "No.") -> Json:
        return {"error": {"code": status, "message": message, "status": "ERROR"}}

    def stream(self, *texts: str, end: str | None = "STOP") -> bytes:
        ends = [None] * (len(texts) - 1) + [end]
        return b"".join(_event(self._candidate([{"text": text}], last)) for text, last in zip(texts, ends, strict=True))

    def faults(self, seen: Seen) -> list[str]:
        faults = []
        try:
            Body.model_validate(seen.body, by_alias=True, by_name=False)
        except ValidationError as error:
            faults += [f"{_where(fault)}: {fault['msg']}" for fault in error.errors()]
        if not seen.path.startswith(f"/v1beta/models/{self.model.partition(':')[2]}:"):
            faults.append(f"no such path: {seen.path}")
        if seen.headers.get("x-goog-api-key") != CANARY:
            faults.append("not authorised")
        for content in seen.body["contents"]:
            pictures = [part for part in content["parts"] if "inlineData" in part]
            if pictures and content["role"] != "user":
                faults.append(f"a {content['role']} message holds a picture")
        settings = seen.body["generationConfig"]
        if "responseJsonSchema" in settings:
            faults += gemini_schema_faults(settings["responseJsonSchema"])
            faults += [] if settings.get("responseMimeType") == "application/json" else ["a schema without its kind"]
        return faults

    def pictures(self, seen: Seen) -> list[bytes]:
        parts = [part for content in seen.body["contents"] for part in content["parts"]]
        blobs = [part["inlineData"] for part in parts if "inlineData" in part]
        # Protobuf's JSON has both spellings of a name, and both alphabets; the SDK sends now one and now the other.
        assert {blob.get("mimeType", blob.get("mime_type")) for blob in blobs} <= {"image/png"}
        return [base64.b64decode(blob["data"].translate(_URL_SAFE), validate=True) for blob in blobs]


_URL_SAFE = str.maketrans("-_", "+/")


def _event(value: Json) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def _where(fault: Any) -> str:
    return ".".join(map(str, fault["loc"]))


def _typed_faults(adapter: TypeAdapter[Any], body: Json) -> list[str]:
    """Against typed dicts; what they do not know is dropped in validation, and so shows as a difference."""
    try:
        known = _settled(adapter.validate_python(body))
    except ValidationError as error:
        return [f"{_where(fault)}: {fault['msg']}" for fault in error.errors()]
    return (
        [] if known == body else [f"keys that the API does not know, or values of other types: {body} is not {known}"]
    )


def _settled(value: Any) -> Any:
    """Pydantic validates `Iterable` while it is read: read it."""
    if isinstance(value, Mapping):
        return {key: _settled(each) for key, each in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, str | bytes):
        return [_settled(each) for each in value]
    return value


_KEYWORDS = {
    *("type", "description", "title", "enum", "const", "anyOf", "$ref", "$defs", "properties", "required"),
    *("additionalProperties", "items", "minItems", "maxItems", "minimum", "maximum", "exclusiveMinimum"),
    *("exclusiveMaximum", "multipleOf", "pattern", "format"),
}
"""Of JSON Schema, by OpenAI's guide to structured outputs; `title` is let through without being listed there."""

_GEMINI_KEYWORDS = {
    *("$id", "$defs", "$ref", "$anchor", "type", "format", "title", "description", "enum", "items", "prefixItems"),
    *("minItems", "maxItems", "minimum", "maximum", "anyOf", "oneOf", "properties", "additionalProperties"),
    *("required", "propertyOrdering"),
}
"""Of JSON Schema, by Gemini's reference of `responseJsonSchema`."""


def strict_schema_faults(schema: Json) -> list[str]:
    """What OpenAI's strict structured output refuses in a schema."""
    jsonschema.Draft202012Validator.check_schema(schema)
    faults = [] if schema.get("type") == "object" else ["the root is no object"]
    count = 0
    for where, part in _schemas(schema, "$"):
        faults += [f"{where}: {keyword} is not permitted" for keyword in set(part) - _KEYWORDS]
        if "properties" in part or part.get("type") == "object":
            count += len(part.get("properties", {}))
            if part.get("additionalProperties") is not False:
                faults.append(f"{where}: additionalProperties must be false")
            if sorted(part.get("required", [])) != sorted(part.get("properties", {})):
                faults.append(f"{where}: required must name every property")
        if "$ref" in part and len(part) > 1:
            faults.append(f"{where}: $ref has neighbours")
        if where.count(".") > 20:
            faults.append(f"{where}: nested too deeply")
    return faults + (["more than 5000 properties"] if count > 5000 else [])


def gemini_schema_faults(schema: Json) -> list[str]:
    """What Gemini does not know in a schema."""
    jsonschema.Draft202012Validator.check_schema(schema)
    return [
        f"{where}: {keyword} is not supported"
        for where, part in _schemas(schema, "$")
        for keyword in set(part) - _GEMINI_KEYWORDS
    ]


def _schemas(schema: Json, where: str) -> Iterator[tuple[str, Json]]:
    """A schema and all in it."""
    yield where, schema
    named = {**schema.get("properties", {}), **schema.get("$defs", {})}
    listed = {f"anyOf{number}": each for number, each in enumerate(schema.get("anyOf", []))}
    items = {"items": schema["items"]} if "items" in schema else {}
    for name, part in {**named, **listed, **items}.items():
        yield from _schemas(part, f"{where}.{name}")


Vendor = OpenAI | Gemini


@pytest.fixture(autouse=True, scope="session")
def types_are_ready() -> None:
    """They take a second to be built, which no client of ours would wait for."""
    for streaming in (False, True):
        _typed(streaming)


_VENDORS: Mapping[str, type[Vendor]] = {"openai": OpenAI, "gemini": Gemini}


@pytest.fixture(params=_VENDORS)
def vendor(request: pytest.FixtureRequest) -> Vendor:
    return _VENDORS[request.param]()


@pytest.fixture
def peer(vendor: Vendor, serve: Callable[[Peer], Peer]) -> Peer:
    """A server that plays the vendor."""
    return serve(Peer(vendor.faults))


@pytest.fixture
def client(vendor: Vendor, peer: Peer) -> Callable[..., BaseChatModel]:
    """A maker of the vendor's real client, pointed at the peer."""
    return lambda options=PATIENT: chat_model(vendor.model, peer.address + vendor.path, options)


@pytest.fixture
def hurried() -> ModelOptions:
    """For peers that never come to an end."""
    return HURRIED


@pytest.fixture
def act() -> Callable[..., Act]:
    """A maker of what a peer does; a dict becomes JSON."""

    def make(body: Any = b"", status: int = 200, **options: Any) -> Act:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return Act(content, status, **options)

    return make


@pytest.fixture
def openai_peer(serve: Callable[[Peer], Peer]) -> Peer:
    return serve(Peer(OpenAI().faults))


@pytest.fixture
def openai_vendor() -> OpenAI:
    return OpenAI()


@pytest.fixture
def schema_faults() -> Mapping[str, Callable[[Json], list[str]]]:
    """What the vendors refuse in a schema."""
    return {"openai": strict_schema_faults, "gemini": gemini_schema_faults}


@pytest.fixture
def canary() -> str:
    return CANARY


@pytest.fixture(autouse=True)
def no_key_leaks(
    clean_environment: None,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> Iterator[None]:
    """A key stands in the environment, and in no log record or output when the test is over."""
    for name in ("OPENAI_API_KEY", "GOOGLE_API_KEY"):
        monkeypatch.setenv(name, CANARY)
    with caplog.at_level(logging.DEBUG):
        yield
    said = "".join(record.getMessage() + repr(record.args) for record in caplog.get_records("call"))
    assert CANARY not in said
    assert CANARY not in "".join(capfd.readouterr())
