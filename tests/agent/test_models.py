"""Names of models, with and without keys; no model is asked anything."""

import pytest
from pydantic import ValidationError

from agent.embedded_model import EmbeddedModel
from agent.models import ModelOptions, chat_model, is_remote
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
    assert (getattr(model, "request_timeout", None) or model.timeout) == 60
    assert model.max_retries <= 1  # attempts are counted on the wire, not by the clients
    assert is_remote(model)
    assert "SECRET" not in repr(model) + str(model.model_dump())


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


@pytest.mark.parametrize("address", ["", "localhost:8000", "ftp://host/v1", "http://", "http://host:port/v1", "/v1"])
@pytest.mark.parametrize("name", ["openai:x", "google_genai:x"])
def test_an_address_that_is_none_is_refused_at_once(name, address) -> None:
    with pytest.raises(RequestError, match=r"must be like http://127\.0\.0\.1:8000/v1"):
        chat_model(name, address)


@pytest.mark.parametrize("letter", ["\n", "\r\n", "\u201c", " ", "\x00", "é"])
def test_a_key_with_a_letter_that_no_key_has_is_refused_and_not_quoted(letter, monkeypatch) -> None:
    monkeypatch.setattr("os.environ", {"OPENAI_API_KEY": f"SECRET{letter}SECRET"})
    with pytest.raises(RequestError, match="OPENAI_API_KEY holds a letter that no key has") as caught:
        chat_model("openai:gpt-4.1")
    assert "SECRET" not in str(caught.value)


def test_white_space_around_a_key_is_not_part_of_it(monkeypatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", " SECRET\n")
    assert chat_model("openai:gpt-4.1").openai_api_key.get_secret_value() == "SECRET"


def test_a_key_of_white_space_is_none(monkeypatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", " \n")
    with pytest.raises(RequestError, match="needs a key"):
        chat_model("openai:gpt-4.1")


@pytest.mark.parametrize(
    ("name", "takes"),
    [
        ("openai:gpt-4o", True),
        ("openai:gpt-4.1-mini-2025-04-14", True),
        ("openai:qwen/vl:7b", True),
        ("openai:gpt-oss-120b", True),
        ("openai:o1", False),
        ("openai:o4-mini", False),
        ("openai:gpt-5-nano", False),
        ("openai:gpt-5.5", False),
        ("openai:gpt-6-sol", False),
        ("openai:openai/gpt-5", False),
        ("google_genai:gemini-2.5-pro", True),
        ("google_genai:models/gemini-2.0-flash", True),
        ("google_genai:gemini-3.1-pro-preview", False),
        ("google_genai:gemini-3.6-flash", False),
        ("google_genai:gemini-4-argon", False),
    ],
)
def test_a_temperature_goes_only_to_models_that_take_one(name, takes) -> None:
    model = chat_model(name, "http://127.0.0.1:8000", ModelOptions(temperature=0.25))
    assert model.temperature == (0.25 if takes else None)


def test_variables_that_send_questions_elsewhere_are_not_obeyed(monkeypatch) -> None:
    for name in ("OPENAI_API_KEY", "GOOGLE_API_KEY"):
        monkeypatch.setenv(name, "SECRET")
    for name in ("OPENAI_BASE_URL", "OPENAI_API_BASE", "GOOGLE_GEMINI_BASE_URL", "LANGSMITH_GATEWAY"):
        monkeypatch.setenv(name, "http://elsewhere.example/v1")
    assert chat_model("openai:gpt-4.1").root_client.base_url == "https://api.openai.com/v1/"
    google = chat_model("google_genai:gemini-2.5-pro").client._api_client
    assert google._http_options.base_url == "https://generativelanguage.googleapis.com/"


@pytest.mark.parametrize("variable", ["GOOGLE_GENAI_USE_VERTEXAI", "GOOGLE_GENAI_USE_ENTERPRISE"])
def test_a_variable_that_asks_for_another_service_is_not_passed_over(variable, monkeypatch) -> None:
    monkeypatch.setenv("GOOGLE_API_KEY", "SECRET")
    monkeypatch.setenv(variable, "true")
    with pytest.raises(RequestError, match=f"{variable} asks for another service"):
        chat_model("google_genai:gemini-2.5-pro")


@pytest.mark.parametrize(
    "wrong",
    [
        {"temperature": -1},
        {"temperature": 3},
        {"timeout": 0},
        {"deadline": 0},
        {"attempts": 0},
        {"reply_tokens": 0},
        {"retries": 1},
    ],
)
def test_options_that_cannot_be_are_refused(wrong) -> None:
    with pytest.raises(ValidationError):
        ModelOptions(**wrong)
