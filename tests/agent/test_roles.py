"""Who is asked for what, and who stands in."""

import pytest

from agent import Settings
from agent.roles import Chosen, roles_of, split_address
from knowledge import RequestError

SERVER = "http://127.0.0.1:9/v1"


@pytest.fixture(autouse=True)
def keys(monkeypatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "SECRET")
    monkeypatch.setenv("GOOGLE_API_KEY", "SECRET")


def names(role) -> list[str]:
    return [member.name for member in role.members]


def test_without_a_choice_the_embedded_model_does_it_all_alone() -> None:
    roles = roles_of(Settings())
    assert names(roles.planner) == names(roles.reasoner) == ["embedded"]
    assert roles.second is None
    assert not roles.reasoner.members[0].remote


def test_every_role_may_have_a_model_of_its_own_and_the_order_ends_in_the_embedded_one() -> None:
    settings = Settings(
        model="openai:a", reasoner="google_genai:b", second_reasoner="openai:c", fallback=("openai:d", "openai:a")
    )
    roles = roles_of(settings)
    assert names(roles.planner) == ["openai:a", "openai:d", "embedded"]
    assert names(roles.reasoner) == ["google_genai:b", "openai:d", "openai:a", "embedded"]
    assert roles.second is not None
    assert names(roles.second) == ["openai:c"]
    assert [role.name for role in roles.reasoners] == ["reasoner", "second reasoner"]


def test_nobody_stands_in_for_a_model_that_always_answers() -> None:
    assert names(roles_of(Settings(fallback=("openai:a",))).reasoner) == ["embedded"]


def test_the_address_is_that_of_planner_and_reasoner_alone() -> None:
    settings = Settings(model="openai:a", base_url=SERVER, second_reasoner="openai:c", fallback=("openai:d",))
    roles = roles_of(settings)
    assert roles.second is not None
    assert [member.address for member in roles.reasoner.members] == [SERVER, "", ""]
    assert [member.address for member in roles.second.members] == [""]
    own = roles_of(Settings(reasoner="openai:a", base_url=SERVER)).reasoner.members[0]
    assert (own.name, own.address) == ("openai:a", SERVER)


def test_a_model_may_bring_its_address_with_it() -> None:
    roles = roles_of(Settings(model="openai:a", second_reasoner=f"openai:qwen/vl:7b@{SERVER}"))
    assert roles.second is not None
    [member] = roles.second.members
    assert (member.name, member.address) == ("openai:qwen/vl:7b", SERVER)
    assert member.model.openai_api_base == SERVER
    assert split_address("openai:model@2026") == ("openai:model@2026", None)


def test_a_program_hands_its_own_models_over(scripted) -> None:
    roles = roles_of(Settings(), Chosen(reasoner=scripted(), second=scripted()))
    assert names(roles.planner) == ["embedded"]
    assert names(roles.reasoner) == ["scripted", "embedded"]
    assert roles.reasoner.members[0].remote
    assert roles.second is not None


@pytest.mark.parametrize("address", ["http://me:pass@127.0.0.1:9/v1", "http://127.0.0.1:9/v1?key=SECRET"])
def test_an_address_that_would_carry_a_secret_into_the_report_is_refused(address) -> None:
    with pytest.raises(RequestError, match="OPENAI_API_KEY") as caught:
        roles_of(Settings(model="openai:a", base_url=address))
    assert "pass" not in str(caught.value).replace("password", "")
    assert "SECRET" not in str(caught.value)


def test_nor_does_it_travel_as_a_part_of_the_models_name() -> None:
    with pytest.raises(RequestError, match="holds a name, a password or a query"):
        roles_of(Settings(second_reasoner="openai:a@http://me:pass@127.0.0.1:9/v1"))


def test_an_address_without_a_model_that_could_use_it_is_refused() -> None:
    with pytest.raises(RequestError, match="the embedded model has no address"):
        roles_of(Settings(base_url=SERVER))
