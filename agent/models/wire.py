"""How a question travels: attempts, waits and the deadline, the same under every vendor's client.

The clients' own retries are switched off. OpenAI's obeys a server that asks for another attempt after a 400; Google's
ignores Retry-After and gives up after a 409; neither knows of a deadline, sees a reply that drips in, or asks again
when a reply breaks off half-way.
"""

import asyncio
import datetime
import email.utils
import functools
import math
import os
import random
import ssl
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import AsyncExitStack
from typing import Any, NamedTuple, TypeVar

import httpx
from langchain_core.exceptions import (
    ModelAPIError,
    ModelAuthenticationError,
    ModelConnectionError,
    ModelError,
    ModelInvalidRequestError,
    ModelNotFoundError,
    ModelPermissionDeniedError,
    ModelRateLimitError,
    ModelTimeoutError,
)
from pydantic_core import from_json

from agent.model_options import ModelOptions

Result = TypeVar("Result")

MAX_REPLY_BYTES = 8_000_000
"""Of one reply; a hundred times what any model writes in our limits."""

_KINDS: dict[int, type[ModelError]] = {
    401: ModelAuthenticationError,
    403: ModelPermissionDeniedError,
    404: ModelNotFoundError,
    408: ModelTimeoutError,
    429: ModelRateLimitError,
}

_NOT_WORTH_ANOTHER_ATTEMPT = (httpx.LocalProtocolError, httpx.UnsupportedProtocol)

_SHORTEST_SECRET = 8
"""Of a key; what is shorter is a placeholder for servers that want none."""


class Setback(NamedTuple):
    """An attempt that brought no reply."""

    error: ModelError
    passing: bool = False
    """Another attempt may fare better."""
    wait: float | None = None
    """Seconds that the server asks for."""


class Wire(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """Carries a question and its reply; raises a `ModelError` for whatever is no reply.

    Connections live on a loop of their own, so that one deadline bounds everything, names and handshakes too, and the
    same way for programs that block and programs that do not. A question has its own connection: beside the seconds
    that a model thinks, a handshake is nothing, and no pool is left open.
    """

    def __init__(self, options: ModelOptions) -> None:
        self._options = options

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.read()
        return _result(self._carry(request))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        return await asyncio.wrap_future(_started(self._carry(request)))

    async def _carry(self, request: httpx.Request) -> httpx.Response:
        options = self._options
        clock = asyncio.get_running_loop().time
        end = clock() + options.deadline
        attempt = 0
        while True:
            attempt += 1
            outcome = await _attempt(request, min(options.timeout, end - clock()), end, options)
            if isinstance(outcome, httpx.Response):
                return outcome
            if not outcome.passing or attempt == options.attempts:
                raise outcome.error
            wait = _backoff(attempt, options.deadline) if outcome.wait is None else outcome.wait
            if wait >= end - clock():
                more = f"; another attempt in {wait:.3g} s would be after the {options.deadline:g} s of a question"
                raise type(outcome.error)(f"{outcome.error}{more}")
            await asyncio.sleep(wait)


class _Live(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A reply that is read while the model writes it, within the deadline of its question."""

    def __init__(self, response: httpx.Response, close: AsyncExitStack, end: float, options: ModelOptions) -> None:
        self._chunks = response.aiter_raw()
        self._close = close
        self._end = end
        self._options = options
        self._read = 0

    def __iter__(self) -> Iterator[bytes]:
        try:
            while chunk := _result(self._next()):
                yield chunk
        finally:
            self.close()  # Google's client leaves that to nobody when a listener goes

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            while chunk := await asyncio.wrap_future(_started(self._next())):
                yield chunk
        finally:
            self.close()

    def close(self) -> None:
        _started(self._close.aclose())  # not waited for: garbage is collected in any thread, that of the loop too

    async def aclose(self) -> None:
        self.close()

    async def _next(self) -> bytes:
        """The next bytes; none at the end."""
        left = min(self._options.timeout, self._end - asyncio.get_running_loop().time())
        failure: ModelError
        try:
            async with asyncio.timeout(left):
                chunk = await anext(self._chunks, b"")
        except TimeoutError:
            failure = ModelTimeoutError("the reply stopped coming, or took longer than a question may take")
        except httpx.TransportError as error:
            failure = _broken(error)
        else:
            self._read += len(chunk)
            if self._read <= MAX_REPLY_BYTES:
                return chunk
            failure = _too_long()
        raise failure


async def _attempt(
    request: httpx.Request, seconds: float, end: float, options: ModelOptions
) -> httpx.Response | Setback:
    """One try, of at most `seconds`; a reply that streams goes on until `end`."""
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(
            httpx.AsyncClient(verify=tls(), timeout=seconds, follow_redirects=False)
        )
        try:
            async with asyncio.timeout(seconds):
                response = await client.send(_copy(request), stream=True)
                stack.push_async_callback(response.aclose)
                if response.status_code == 200 and _kind_of(response) == "text/event-stream":
                    live = _Live(response, stack.pop_all(), end, options)
                    return httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=live)
                body = await _body(response)
        except TimeoutError:
            return Setback(ModelTimeoutError(f"no reply came within {seconds:.3g} s"), passing=True)
        except httpx.TransportError as error:
            return Setback(_broken(error), passing=not isinstance(error, _NOT_WORTH_ANOTHER_ATTEMPT))
    if body is None:
        return Setback(_too_long())
    return _understood(response, _without_secrets(body, request))


async def _body(response: httpx.Response) -> bytes | None:
    """All of it, or `None` where it is longer than any reply."""
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > MAX_REPLY_BYTES:
            return None
    return bytes(body)


def _understood(response: httpx.Response, body: bytes) -> httpx.Response | Setback:
    """A reply is a JSON object with status 200; it is handed on as such, whatever its headers say."""
    status = response.status_code
    try:
        value = from_json(body)  # unlike `json`, it knows how deep is too deep before the stack does
    except ValueError:
        value = None
    if status != 200:
        return _refused(response, value)
    if not isinstance(value, dict):
        kind = _printable(_kind_of(response)) or "something"
        return Setback(ModelError(f"the server answered {kind} that is no JSON object"))
    return httpx.Response(200, headers={"content-type": "application/json"}, content=body)


def _refused(response: httpx.Response, value: object) -> Setback:
    status = response.status_code
    said = _said(value)
    words = f"the server answered {status}" + (f": {said}" if said else "")
    if 300 <= status < 400:
        return Setback(ModelError(f"{words}, a redirect, which is not followed"))
    kind = ModelAPIError if status >= 500 else _KINDS.get(status, ModelInvalidRequestError)
    return Setback(kind(words), passing=status in (408, 409, 429) or status >= 500, wait=_asked_wait(response, value))


def _said(value: object) -> str:
    """The message in a vendor's error; OpenAI and Google both put it at `error.message`."""
    error = value.get("error") if isinstance(value, dict) else None
    message = error.get("message") if isinstance(error, dict) else error
    return _printable(message)[:300] if isinstance(message, str) else ""


def _asked_wait(response: httpx.Response, value: object) -> float | None:
    """Seconds to wait, by OpenAI's header, the standard one, or Google's `RetryInfo`."""
    milliseconds = _number(response.headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    header = response.headers.get("retry-after", "")
    for seconds in (_number(header), _until(header), *map(_number, _retry_delays(value))):
        if seconds is not None:
            return seconds
    return None


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if 0 <= number < math.inf else None


def _until(date: str) -> float | None:
    try:
        then = email.utils.parsedate_to_datetime(date)
    except ValueError:
        return None
    if then.tzinfo is None:
        return None
    return max((then - datetime.datetime.now(datetime.UTC)).total_seconds(), 0.0)


def _retry_delays(value: object) -> list[str]:
    error = value.get("error") if isinstance(value, dict) else None
    details = error.get("details") if isinstance(error, dict) else None
    found = [detail.get("retryDelay") for detail in details or () if isinstance(detail, dict)]
    return [delay.removesuffix("s") for delay in found if isinstance(delay, str)]


def _backoff(attempt: int, deadline: float) -> float:
    """Seconds: about a hundredth of the deadline, then twice that and so on, never the same for two programs."""
    return deadline / 100 * 2.0 ** (attempt - 1) * random.uniform(0.5, 1.0)  # noqa: S311 - no secret


def _broken(error: httpx.TransportError) -> ModelError:
    if isinstance(error, httpx.UnsupportedProtocol):
        return ModelError("the address of the server begins with neither http:// nor https://")
    if isinstance(error, httpx.TimeoutException):
        return ModelTimeoutError("no reply came in time")
    made = "could not be made" if isinstance(error, httpx.ConnectError) else "broke off"
    return ModelConnectionError(f"the connection to the server {made} ({type(error).__name__})")


def _too_long() -> ModelError:
    return ModelError(f"the server answered with more than {MAX_REPLY_BYTES} bytes")


def _copy(request: httpx.Request) -> httpx.Request:
    """The same request; the reply must not be compressed, so that its size is seen before it is unpacked."""
    headers = httpx.Headers(request.headers)
    headers["accept-encoding"] = "identity"
    return httpx.Request(request.method, request.url, headers=headers, content=request.content)


def _without_secrets(body: bytes, request: httpx.Request) -> bytes:
    """Servers echo keys in their complaints, and replies end up in reports."""
    for header in ("authorization", "x-goog-api-key"):
        secret = request.headers.get(header, "").removeprefix("Bearer ").encode()
        if len(secret) >= _SHORTEST_SECRET:
            body = body.replace(secret, b"[key]")
    return body


def _kind_of(response: httpx.Response) -> str:
    return str(response.headers.get("content-type", "")).partition(";")[0].strip().lower()


def _printable(text: str) -> str:
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


@functools.cache
def tls() -> ssl.SSLContext:
    """One for all: it takes longer to make than a connection."""
    return httpx.create_ssl_context()


@functools.cache
def _loop(process: int) -> asyncio.AbstractEventLoop:
    """The loop of this process; by its id, for threads do not live on in a fork."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name=f"models of {process}", daemon=True).start()
    return loop


def _started(work: Coroutine[Any, Any, Result]) -> "Future[Result]":
    return asyncio.run_coroutine_threadsafe(work, _loop(os.getpid()))


def _result(work: Coroutine[Any, Any, Result]) -> Result:
    future = _started(work)
    try:
        return future.result()
    except BaseException:
        future.cancel()  # an interrupt ends the wait: end the work too
        raise
