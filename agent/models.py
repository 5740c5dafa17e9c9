"""Names -> chat models. The only file that knows vendors."""

import os

from langchain_core.language_models import BaseChatModel

from agent.embedded_model import EmbeddedModel
from knowledge import RequestError

TIMEOUT_SECONDS = 60.0
RETRIES = 2

_KEYS = {"openai": ("OPENAI_API_KEY",), "google_genai": ("GOOGLE_API_KEY", "GEMINI_API_KEY")}


def is_remote(name: str) -> bool:
    """True for models that are reached over the network; choosing one is the consent to send."""
    return name != "embedded"


def chat_model(name: str, base_url: str | None = None) -> BaseChatModel:
    """`embedded`, `openai:<model>` (any OpenAI-compatible server by `base_url`) or `google_genai:<model>`."""
    if name == "embedded":
        return EmbeddedModel()
    vendor, _, model = name.partition(":")
    if vendor not in _KEYS or not model:
        raise RequestError(f"there is no model {name!r}; expected embedded, openai:<model> or google_genai:<model>")
    if base_url is None and not any(os.environ.get(key) for key in _KEYS[vendor]):
        raise RequestError(f"{name} needs a key in {' or '.join(_KEYS[vendor])}; set it, or use --model embedded")
    return _openai(model, base_url) if vendor == "openai" else _google(model, base_url)


def _openai(model: str, base_url: str | None) -> BaseChatModel:
    from langchain_openai import ChatOpenAI
    from pydantic import SecretStr

    # A local server wants no key, the client insists on one.
    key = SecretStr(os.environ.get("OPENAI_API_KEY") or "none")
    return ChatOpenAI(
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
    from langchain_google_genai import ChatGoogleGenerativeAI
    from pydantic import SecretStr

    key = os.environ.get("GOOGLE_API_KEY") or os.environ.get("GEMINI_API_KEY") or "none"
    return ChatGoogleGenerativeAI(
        model=model,
        base_url=base_url,
        api_key=SecretStr(key),
        temperature=0,
        timeout=TIMEOUT_SECONDS,
        max_retries=RETRIES + 1,
        name=f"google_genai:{model}",
    )
