"""What model calls cost, by a list that is shipped with the package and says of which day it is."""

import datetime
import functools
import re
from importlib.resources import files
from typing import Annotated

import yaml
from pydantic import Field

from knowledge import Frozen

EMBEDDED = "embedded"

Dollars = Annotated[float, Field(ge=0, allow_inf_nan=False)]
"""US, per million tokens."""

_SNAPSHOT = re.compile(r"(-preview)?(-\d+)*")
"""What may follow a family's name in the name of one of its snapshots; `-pro` or `-image` is another model."""


class Price(Frozen):
    """Of one model, as its vendor sells it."""

    input: Dollars
    output: Dollars


class PriceList(Frozen):
    """The shipped list."""

    date: datetime.date
    source: Annotated[str, Field(min_length=1)]
    prices: dict[Annotated[str, Field(pattern=r"^(openai|google_genai):[a-z0-9.-]+$")], Price]


def __getattr__(name: str) -> str:
    """`PRICES_DATE`, the day of the list; read with it, not with this module."""
    if name == "PRICES_DATE":
        return price_list().date.isoformat()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


@functools.cache
def price_list() -> PriceList:
    """The shipped list."""
    return PriceList.model_validate(yaml.safe_load(files("agent").joinpath("prices.yaml").read_text("utf-8")))


def price_of(name: str) -> Price | None:
    """The price of `openai:<model>` or `google_genai:<model>`; of its family for a dated snapshot; `None` if unknown."""
    prices = price_list().prices
    family = name
    while family not in prices:
        family, dash, _ = family.rpartition("-")
        if not dash:
            return None
    return prices[family] if _SNAPSHOT.fullmatch(name.removeprefix(family)) else None


def cost_of(name: str, input_tokens: int, output_tokens: int) -> float | None:
    """US dollars, at the vendor's own prices; nothing for the embedded model, and `None` where no price is known."""
    if name == EMBEDDED:
        return 0.0
    price = price_of(name)
    return None if price is None else (price.input * input_tokens + price.output * output_tokens) / 1e6
