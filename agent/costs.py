"""What the calls of an inspection cost, as far as prices are known."""

from collections.abc import Sequence
from typing import NamedTuple

from agent.prices import cost_of
from tools import ModelCall


class Cost(NamedTuple):
    """US dollars."""

    known: float
    unknown: tuple[str, ...]
    """Models whose tokens nobody has put a price on."""


def cost_of_calls(calls: Sequence[ModelCall], price: float | None) -> Cost:
    """By `price`, US dollars a million tokens, or by the price list.

    A model that is not in the list has no known cost, and neither has one at an address of its own.
    """
    if price is not None:
        return Cost(sum(call.tokens for call in calls) * price / 1e6, ())
    priced = [(call, _listed(call)) for call in calls]
    known = sum(cost for _, cost in priced if cost is not None)
    unknown = dict.fromkeys(call.model for call, cost in priced if cost is None and call.tokens)
    return Cost(known, tuple(unknown))


def _listed(call: ModelCall) -> float | None:
    return None if call.address else cost_of(call.model, call.input_tokens, call.output_tokens)
