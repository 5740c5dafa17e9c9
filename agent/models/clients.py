"""LangChain's clients, guarded: a reply comes out whole, an answer by its schema, and every failure as a `ModelError`."""

import functools
from collections.abc import AsyncIterator, Iterator
from typing import Any, ClassVar

from langchain_core.exceptions import ModelError, OutputParserException
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable, RunnableLambda
from pydantic import BaseModel

from agent.models.answers import bad_reply, honest_usage, read_answer, what_is_wrong, with_raw

_REPLIES_NOT_UNDERSTOOD = (AttributeError, TypeError, LookupError, ValueError, OSError, RecursionError)
"""What the clients raise, besides their own errors, when a server answers something that is not in its protocol."""


class Guarded(BaseChatModel):
    """Stands before a vendor's client, in programs that block and in those that do not, streaming or not."""

    failures: ClassVar[tuple[type[Exception], ...]] = (ModelError, *_REPLIES_NOT_UNDERSTOOD)
    always: ClassVar[dict[str, Any]] = {}
    """Options of every call."""

    def _asking_for(self, schema: type[BaseModel]) -> dict[str, Any]:
        """Options of a call that ask for the vendor's own structured output."""
        raise NotImplementedError

    def _is_structured(self, options: dict[str, Any]) -> bool:
        """True for calls made with `_asking_for`."""
        raise NotImplementedError

    def with_structured_output(  # type: ignore[override]
        self, schema: type[BaseModel], *, include_raw: bool = False
    ) -> Runnable[Any, Any]:
        """A reply that was refused, cut, blocked or left empty is a parsing error, never an answer; it keeps its usage."""
        read = with_raw if include_raw else read_answer
        return self.bind(**self._asking_for(schema)) | RunnableLambda(functools.partial(read, schema=schema))

    def _generate(self, *arguments: Any, **options: Any) -> ChatResult:
        options = {**self.always, **options}
        try:
            return self._checked(super()._generate(*arguments, **options), options)  # type: ignore[safe-super]
        except self.failures as error:
            failure = as_model_error(error)
        raise failure

    async def _agenerate(self, *arguments: Any, **options: Any) -> ChatResult:
        options = {**self.always, **options}
        try:
            return self._checked(await super()._agenerate(*arguments, **options), options)
        except self.failures as error:
            failure = as_model_error(error)
        raise failure

    def _stream(self, *arguments: Any, **options: Any) -> Iterator[ChatGenerationChunk]:
        options = {**self.always, **options}
        whole: ChatGenerationChunk | None = None
        try:
            for chunk in super()._stream(*arguments, **options):
                whole = _joined(whole, chunk)
                yield chunk
            _require_whole(whole)
        except self.failures as error:
            failure = as_model_error(error)
        else:
            return
        raise failure

    async def _astream(self, *arguments: Any, **options: Any) -> AsyncIterator[ChatGenerationChunk]:
        options = {**self.always, **options}
        whole: ChatGenerationChunk | None = None
        try:
            async for chunk in super()._astream(*arguments, **options):
                whole = _joined(whole, chunk)
                yield chunk
            _require_whole(whole)
        except self.failures as error:
            failure = as_model_error(error)
        else:
            return
        raise failure

    def _checked(self, result: ChatResult, options: dict[str, Any]) -> ChatResult:
        """The result, if it can be used; what is wrong with a structured reply is for its reader to say."""
        blocked = ((result.llm_output or {}).get("prompt_feedback") or {}).get("block_reason")
        if blocked:
            raise ModelError(f"the vendor blocked the question ({getattr(blocked, 'value', blocked)})")
        if not result.generations:
            raise ModelError("the server answered with no reply")
        for generation in result.generations:
            message = generation.message
            if not isinstance(message, AIMessage):
                raise ModelError("the server answered with a message that is not the model's")
            message.usage_metadata = honest_usage(message.usage_metadata)
            if not self._is_structured(options):
                _require_usable(message, (generation.generation_info or {}).get("finish_reason"))
        return result


def as_model_error(error: Exception) -> Exception:
    """The failure in one sentence, without the errors that led to it: they hold the request, and with it the key."""
    if isinstance(error, OutputParserException):
        return error
    link: BaseException | None = error
    first = error
    while link is not None:
        first = link if isinstance(link, ModelError) else first
        link = link.__cause__ or link.__context__
    kind = type(first) if type(first).__module__ == ModelError.__module__ else ModelError
    words = " ".join(str(first).split())[:400]
    return kind(words if isinstance(first, ModelError) else f"the server's answer was not understood ({words})")


def _require_usable(message: AIMessage, ended: str | None) -> None:
    wrong = what_is_wrong(message, ended)
    if wrong:
        raise ModelError(wrong)
    if message.invalid_tool_calls:
        call = message.invalid_tool_calls[0]
        raise bad_reply(f"the arguments of {call['name']} are not JSON: {str(call['args'])[:100]}")


def _joined(whole: ChatGenerationChunk | None, chunk: ChatGenerationChunk) -> ChatGenerationChunk:
    if isinstance(chunk.message, AIMessage):
        chunk.message.usage_metadata = honest_usage(chunk.message.usage_metadata)
    return chunk if whole is None else whole + chunk


def _require_whole(whole: ChatGenerationChunk | None) -> None:
    """Raises where a stream broke off before the model had ended."""
    if whole is None or not isinstance(whole.message, AIMessage):
        raise ModelError("the server answered with no reply")
    _require_usable(whole.message, (whole.generation_info or {}).get("finish_reason"))


@functools.cache
def openai_class() -> type[BaseChatModel]:
    """LangChain's client of OpenAI's protocol, guarded."""
    import openai
    from langchain_openai import ChatOpenAI

    class GuardedChatOpenAI(Guarded, ChatOpenAI):  # type: ignore[misc] # fewer options, none of them ours
        failures: ClassVar[tuple[type[Exception], ...]] = (*Guarded.failures, openai.OpenAIError)

        def _asking_for(self, schema: type[BaseModel]) -> dict[str, Any]:
            function = openai.pydantic_function_tool(schema)["function"]
            asked = {"name": function["name"], "schema": function["parameters"], "strict": True}
            # By `extra_body`, for what is given as `response_format` is parsed by the SDK, which throws a reply that was
            # cut or does not fit away, and with it what it cost.
            return {"extra_body": {"response_format": {"type": "json_schema", "json_schema": asked}}}

        def _is_structured(self, options: dict[str, Any]) -> bool:
            return "response_format" in (options.get("extra_body") or {})

    return GuardedChatOpenAI


@functools.cache
def google_class() -> type[BaseChatModel]:
    """LangChain's client of Gemini, guarded."""
    import openai
    from google.genai.errors import APIError
    from langchain_google_genai import ChatGoogleGenerativeAI

    class GuardedChatGoogle(Guarded, ChatGoogleGenerativeAI):  # type: ignore[misc] # fewer options, none of them ours
        failures: ClassVar[tuple[type[Exception], ...]] = (*Guarded.failures, APIError)
        always: ClassVar[dict[str, Any]] = {"automatic_continuation": False}  # or a server could ask for more for ever

        def _asking_for(self, schema: type[BaseModel]) -> dict[str, Any]:
            # The strict form of a schema, with every field required, is plain JSON Schema that Gemini knows too.
            asked = openai.pydantic_function_tool(schema)["function"]["parameters"]
            return {"response_mime_type": "application/json", "response_json_schema": asked}

        def _is_structured(self, options: dict[str, Any]) -> bool:
            return "response_json_schema" in options

    return GuardedChatGoogle
