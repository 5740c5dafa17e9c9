"""Names -> chat models."""

import os
import re
from typing import Any

import httpx
from langchain_core.language_models import BaseChatModel
from pydantic import SecretStr

from agent.embedded_model import EmbeddedModel
from agent.model_options import ModelOptions
from agent.models.clients import google_class, openai_class
from agent.models.wire import Wire, tls
from knowledge import RequestError

_KEYS = {"openai": ("OPENAI_API_KEY",), "google_genai": ("GOOGLE_API_KEY", "GEMINI_API_KEY")}

# Always given, or the clients would take other addresses from variables that the report knows nothing of.
_OPENAI = "https://api.openai.com/v1"
_GOOGLE = "https://generativelanguage.googleapis.com/"

_OTHER_SERVICES = ("GOOGLE_GENAI_USE_VERTEXAI", "GOOGLE_GENAI_USE_ENTERPRISE")
"""Variables that the client obeys even against its arguments."""

_NO_KEY = "none"
"""A server of one's own wants no key, the clients insist on one."""

_THOUGHT_TOKENS = 16384
"""Room for what a model thinks before it replies: vendors count it to the reply."""

_OPENAI_THINKS = re.compile(r"(?:.*/)?(?:o\d|gpt-(?:[5-9]|\d{2,}))")
"""Models that think; they refuse any temperature."""

_GEMINI_TAKES_TEMPERATURE = re.compile(r"(?:models/)?gemini-[12]\.")
"""Gemini 3 and later want their own, and some refuse another."""


def is_remote(model: BaseChatModel) -> bool:
    """True for models that may be reached over the network; choosing one is the consent to send."""
    return not isinstance(model, EmbeddedModel)


def chat_model(
    name: str,
    base_url: str | None = None,
    options: ModelOptions = ModelOptions(),  # noqa: B008 - immutable
) -> BaseChatModel:
    """`embedded`, `openai:<model>` (any OpenAI-compatible server by `base_url`) or `google_genai:<model>`."""
    if name == "embedded":
        if base_url is not None:
            raise RequestError("the embedded model has no address; name a model with --model, or leave --base-url out")
        return EmbeddedModel()
    vendor, _, model = name.partition(":")
    if vendor not in _KEYS or not model:
        raise RequestError(f"there is no model {name!r}; expected embedded, openai:<model> or google_genai:<model>")
    _require_address(base_url)
    key = _key(name, _KEYS[vendor], needed=base_url is None)
    return (_openai if vendor == "openai" else _google)(model, base_url, key, options)


def _require_address(base_url: str | None) -> None:
    if base_url is None:
        return
    try:
        address = httpx.URL(base_url)
    except httpx.InvalidURL:
        address = httpx.URL()
    if address.scheme not in ("http", "https") or not address.host:
        raise RequestError("the address of a model's server must be like http://127.0.0.1:8000/v1; check --base-url")


def _key(name: str, variables: tuple[str, ...], *, needed: bool) -> SecretStr:
    for variable in variables:
        key = os.environ.get(variable, "").strip()
        if key and not (key.isascii() and key.isprintable() and " " not in key):
            # The HTTP library would refuse such a header, and quote it.
            raise RequestError(f"{variable} holds a letter that no key has; set it again")
        if key:
            return SecretStr(key)
    if needed:
        raise RequestError(f"{name} needs a key in {' or '.join(variables)}; set it, or use --model embedded")
    return SecretStr(_NO_KEY)


def _openai(model: str, base_url: str | None, key: SecretStr, options: ModelOptions) -> BaseChatModel:
    wire = Wire(options)
    thinks = bool(_OPENAI_THINKS.match(model))
    return openai_class()(
        model=model,
        base_url=base_url or _OPENAI,
        api_key=key,
        temperature=None if thinks else options.temperature,
        seed=options.seed,
        max_tokens=options.reply_tokens + (_THOUGHT_TOKENS if thinks else 0),
        timeout=options.timeout,
        max_retries=0,
        http_client=httpx.Client(transport=wire),
        http_async_client=httpx.AsyncClient(transport=wire),
        stream_usage=True,
        use_responses_api=False,
        name=f"openai:{model}",
    )


def _google(model: str, base_url: str | None, key: SecretStr, options: ModelOptions) -> BaseChatModel:
    for variable in _OTHER_SERVICES:
        if os.environ.get(variable, "").lower() in ("true", "1"):
            raise RequestError(f"{variable} asks for another service than google_genai:{model} names; unset it")
    transport: dict[str, Any] = {"transport": Wire(options), "follow_redirects": False, "verify": tls()}
    return google_class()(
        model=model,
        base_url=base_url or _GOOGLE,
        api_key=key,
        temperature=options.temperature if _GEMINI_TAKES_TEMPERATURE.match(model) else None,
        seed=options.seed,
        max_output_tokens=options.reply_tokens + _THOUGHT_TOKENS,
        timeout=options.timeout,
        max_retries=1,
        client_args=transport,
        name=f"google_genai:{model}",
    )
