"""Names of models, with and without keys; no model is asked anything."""

import pytest

from agent.embedded_model import EmbeddedModel
from agent.models import chat_model, is_remote
from knowledge import RequestError


def test_the_embedded_model_needs_nothing_and_stays_here() -> None:
    assert isinstance(chat_model("embedded"), EmbeddedModel)
    assert chat_model("embedded").get_name() == "embedded"
    assert not is_remote(chat_model("embedded"))


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("openai:gpt-4.1", "OPENAI_API_KEY"),
        ("google_genai:gemini-3-pro", "GOOGLE_API_KEY"),
        ("google_genai:gemini-3-pro", "GEMINI_API_KEY"),
    ],
)
def test_a_cloud_model_is_made_with_its_key_and_bounded(name, key, monkeypatch) -> None:
    monkeypatch.setenv(key, "SECRET")
    model = chat_model(name)
    assert model.get_name() == name
    assert model.temperature == 0
    assert (getattr(model, "request_timeout", None) or model.timeout) == 60
    assert model.max_retries <= 3
    assert is_remote(model)
    assert "SECRET" not in repr(model)


@pytest.mark.parametrize("name", ["openai:gpt-4.1", "google_genai:gemini-3-pro"])
def test_a_cloud_model_without_a_key_is_refused_with_the_way_out(name) -> None:
    with pytest.raises(RequestError, match=r"needs a key in .*_API_KEY.*--model embedded"):
        chat_model(name)


def test_the_key_of_another_vendor_is_no_key(monkeypatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "SECRET")
    with pytest.raises(RequestError, match="GOOGLE_API_KEY or GEMINI_API_KEY") as caught:
        chat_model("google_genai:gemini-3-pro")
    assert "SECRET" not in str(caught.value)


def test_a_local_server_needs_no_key() -> None:
    model = chat_model("openai:qwen/vl:7b", "http://127.0.0.1:8000/v1")
    assert model.model_name == "qwen/vl:7b"
    assert model.openai_api_base == "http://127.0.0.1:8000/v1"
    assert model.get_name() == "openai:qwen/vl:7b"


@pytest.mark.parametrize(
    "name", ["", "openai", "openai:", ":gpt", "gpt-5", "anthropic:x", "Embedded", "embedded:1", "OPENAI:gpt"]
)
def test_an_unknown_name_is_refused_with_the_known_ones(name) -> None:
    with pytest.raises(RequestError, match="expected embedded, openai:<model> or google_genai:<model>"):
        chat_model(name, "http://127.0.0.1:8000/v1")
