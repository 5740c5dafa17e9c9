"""What a turn of a conversation took besides the inspections that were made in it."""

from collections.abc import Sequence

from agent.costs import cost_of_calls
from agent.report import UsageInfo
from tools import ModelCall


def usage_of(calls: Sequence[ModelCall], price: float | None) -> UsageInfo:
    """Of the questions that understanding and answering put to models; `price` is in US dollars a million tokens."""
    cost = cost_of_calls(calls, price)
    return UsageInfo(
        steps=0,
        model_calls=len(calls),
        tokens=sum(call.tokens for call in calls),
        cost=None if cost.unknown else cost.known,
        seconds=sum(call.seconds for call in calls),
    )
