"""Who is asked for what: the planner, the reasoner and the second reasoner, each with those that stand in for it."""

import functools
import re
from typing import NamedTuple
from urllib.parse import urlsplit

from langchain_core.language_models import BaseChatModel

from agent.model_options import EMBEDDED
from agent.models import chat_model, is_remote
from agent.settings import Settings
from knowledge import RequestError
from tools import Member, Role

_AT_ADDRESS = re.compile("@(?=https?://)")
"""An address may hold another @, before which stands what no address may hold."""


class Roles(NamedTuple):
    planner: Role
    reasoner: Role
    second: Role | None
    """Asked for an opinion of its own; nobody stands in for it, for then it would be no second one."""

    @property
    def reasoners(self) -> tuple[Role, ...]:
        return (self.reasoner,) if self.second is None else (self.reasoner, self.second)


class Chosen(NamedTuple):
    """Chat models that a program hands over instead of names."""

    planner: BaseChatModel | None = None
    reasoner: BaseChatModel | None = None
    second: BaseChatModel | None = None


def roles_of(settings: Settings, chosen: Chosen = Chosen()) -> Roles:  # noqa: B008 - immutable
    """The roles by their names in the settings; raises `RequestError` for a name or a key that is missing."""
    make = functools.cache(lambda name, base_url: member_of(name, base_url, settings))

    def first(model: BaseChatModel | None, name: str | None) -> Member:
        if model is not None:
            return Member(model, is_remote(model))
        named = name or settings.model
        alone = all(each in (None, EMBEDDED) for each in (settings.model, settings.planner, settings.reasoner))
        return make(named, settings.base_url if named != EMBEDDED or alone else None)

    stand_ins = [make(name, None) for name in (*settings.fallback, EMBEDDED)]
    second = Member(chosen.second, is_remote(chosen.second)) if chosen.second is not None else None
    if second is None and settings.second_reasoner:
        second = make(settings.second_reasoner, None)
    return Roles(
        _role("planner", first(chosen.planner, settings.planner), stand_ins),
        _role("reasoner", first(chosen.reasoner, settings.reasoner), stand_ins),
        Role("second reasoner", (second,)) if second else None,
    )


def split_address(name: str) -> tuple[str, str | None]:
    """`openai:qwen@http://127.0.0.1:8000/v1` -> the model and the address of its server; `None` where it has none."""
    found = _AT_ADDRESS.search(name)
    return (name[: found.start()], name[found.end() :]) if found else (name, None)


def member_of(name: str, base_url: str | None, settings: Settings) -> Member:
    """One model by its name and, where it names none itself, at this address; raises `RequestError` as `roles_of` does."""
    own, address = split_address(name)
    where = _without_secrets(address or base_url)
    model = chat_model(own, where, settings.client)
    return Member(model, is_remote(model), where or "")


def _without_secrets(address: str | None) -> str | None:
    """Addresses stand in reports, so no key may be part of one."""
    parts = urlsplit(address or "")
    if parts.username or parts.password or parts.query:
        raise RequestError(
            "the address of a model's server holds a name, a password or a query; put the key into OPENAI_API_KEY "
            "and give scheme, host, port and path alone"
        )
    return address


def _role(name: str, first: Member, stand_ins: list[Member]) -> Role:
    members = {member.name: member for member in (first, *stand_ins)}
    members[first.name] = first
    order = list(members)
    cut = order.index(EMBEDDED) + 1  # nobody stands in for a model that always answers
    return Role(name, tuple(members[each] for each in order[:cut]))
