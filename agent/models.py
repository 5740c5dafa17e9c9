"""Names -> chat models. The only file that knows vendors."""

import functools
import os
from typing import Any

from langchain_core.exceptions import ModelError, OutputParserException
from langchain_core.language_models import BaseChatModel
from langchain_core.outputs import ChatResult
from pydantic import SecretStr, ValidationError

from agent.embedded_model import EmbeddedModel
from knowledge import RequestError

TIMEOUT_SECONDS = 60.0
RETRIES = 2

_KEYS = {"openai": ("OPENAI_API_KEY",), "google_genai": ("GOOGLE_API_KEY", "GEMINI_API_KEY")}

_REPLIES_NOT_UNDERSTOOD = (AttributeError, TypeError, LookupError, ValueError, OSError)
"""What the clients raise, besides their own errors, when a server answers something that is not in its protocol."""


def _as_model_error(error: Exception) -> Exception:
    """Bad structured replies keep their kind, for they can be repaired; the rest becomes a `ModelError`."""
    if isinstance(error, ModelError | ValidationError | OutputParserException):
        return error
    return ModelError(f"{type(error).__name__}: {error}")


def is_remote(model: BaseChatModel) -> bool:
    """True for models that may be reached over the network; choosing one is the consent to send."""
    return not isinstance(model, EmbeddedModel)


def chat_model(name: str, base_url: str | None = None) -> BaseChatModel:
    """`embedded`, `openai:<model>` (any OpenAI-compatible server by `base_url`) or `google_genai:<model>`."""
    if name == "embedded":
        if base_url is not None:
            raise RequestError("the embedded model has no address; name a model with --model, or leave --base-url out")
        return EmbeddedModel()
    vendor, _, model = name.partition(":")
    if vendor not in _KEYS or not model:
        raise RequestError(f"there is no model {name!r}; expected embedded, openai:<model> or google_genai:<model>")
    if base_url is None and not any(os.environ.get(key) for key in _KEYS[vendor]):
        raise RequestError(f"{name} needs a key in {' or '.join(_KEYS[vendor])}; set it, or use --model embedded")
    return _openai(model, base_url) if vendor == "openai" else _google(model, base_url)


@functools.cache
def openai_class() -> type[BaseChatModel]:
    """LangChain's client of OpenAI's protocol; every failure of it comes out as a `ModelError`."""
    from langchain_openai import ChatOpenAI
    from openai import OpenAIError

    class GuardedChatOpenAI(ChatOpenAI):
        def _generate(self, *arguments: Any, **options: Any) -> ChatResult:
            try:
                return super()._generate(*arguments, **options)
            except (OpenAIError, *_REPLIES_NOT_UNDERSTOOD) as error:
                raise _as_model_error(error) from error

    return GuardedChatOpenAI


@functools.cache
def google_class() -> type[BaseChatModel]:
    """LangChain's client of Gemini; every failure of it comes out as a `ModelError`."""
    from langchain_google_genai import ChatGoogleGenerativeAI
    from langchain_google_genai.chat_models import ChatGoogleGenerativeAIError

    class GuardedChatGoogle(ChatGoogleGenerativeAI):
        def _generate(self, *arguments: Any, **options: Any) -> ChatResult:
            try:
                return super()._generate(*arguments, **options)
            except (ChatGoogleGenerativeAIError, *_REPLIES_NOT_UNDERSTOOD) as error:
                raise _as_model_error(error) from error

    return GuardedChatGoogle


def _openai(model: str, base_url: str | None) -> BaseChatModel:
    # A local server wants no key, the client insists on one.
    key = SecretStr(os.environ.get("OPENAI_API_KEY") or "none")
    return openai_class()(
        model=model,
        base_url=base_url,
        api_key=key,
        temperature=0,
        timeout=TIMEOUT_SECONDS,
        max_retries=RETRIES,
        use_responses_api=False,
        name=f"openai:{model}",
    )


def _google(model: str, base_url: str | None) -> BaseChatModel:
    key = os.environ.get("GOOGLE_API_KEY") or os.environ.get("GEMINI_API_KEY") or "none"
    return google_class()(
        model=model,
        base_url=base_url,
        api_key=SecretStr(key),
        temperature=0,
        timeout=TIMEOUT_SECONDS,
        max_retries=RETRIES + 1,
        name=f"google_genai:{model}",
    )
