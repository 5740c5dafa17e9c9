"""Prices and costs; the list itself is checked for shape, and at a few places for its figures."""

import datetime
import subprocess
import sys

import pytest
from pydantic import ValidationError

from agent import prices
from agent.prices import Price, PriceList, cost_of, price_list, price_of


def test_a_cost_worked_by_hand() -> None:
    # gpt-4o: 2.50 and 10.00 dollars a million
    assert cost_of("openai:gpt-4o", 1_000_000, 0) == 2.5
    assert cost_of("openai:gpt-4o", 0, 1_000_000) == 10.0
    assert cost_of("openai:gpt-4o", 2_000, 300) == pytest.approx(0.005 + 0.003)
    assert cost_of("google_genai:gemini-2.5-flash", 10_000, 1_000) == pytest.approx(0.003 + 0.0025)


def test_the_embedded_model_costs_nothing_and_a_strange_one_nobody_knows_what() -> None:
    assert cost_of("embedded", 10**9, 10**9) == 0.0
    assert cost_of("openai:my-own", 1, 1) is None
    assert cost_of("openai:my-own", 0, 0) is None


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("openai:gpt-4o-2024-11-20", "openai:gpt-4o"),
        ("openai:gpt-4o-mini-2024-07-18", "openai:gpt-4o-mini"),
        ("openai:gpt-5-mini-2025-08-07", "openai:gpt-5-mini"),
        ("openai:gpt-4.1-2025-04-14", "openai:gpt-4.1"),
        ("google_genai:gemini-2.5-flash-preview-09-2025", "google_genai:gemini-2.5-flash"),
        ("google_genai:gemini-2.5-flash-lite-001", "google_genai:gemini-2.5-flash-lite"),
        ("google_genai:gemini-3.1-flash-lite-preview", "google_genai:gemini-3.1-flash-lite"),
    ],
)
def test_a_snapshot_costs_what_its_family_costs(name, family) -> None:
    assert name not in price_list().prices
    assert price_of(name) == price_list().prices[family]


def test_a_snapshot_with_a_price_of_its_own_keeps_it() -> None:
    assert price_of("openai:gpt-4o-2024-05-13") == Price(input=5, output=15)


@pytest.mark.parametrize(
    "name",
    [
        "openai:gpt-5-pro",
        "openai:gpt-5.4-pro-2026-03-05",
        "openai:gpt-4o-audio-preview",
        "openai:gpt-4",
        "openai:gpt-4.1x",
        "openai:gpt-5.99",
        "google_genai:gemini-2.5-flash-image",
        "google_genai:gpt-4o",
        "gpt-4o",
        "openai:",
        "",
        "-",
        "openai:gpt-4o-2024-11-20-tuned",
    ],
)
def test_a_relation_by_name_alone_is_another_model(name) -> None:
    assert price_of(name) is None


def test_the_list_says_of_which_day_it_is_and_whence() -> None:
    assert datetime.date.fromisoformat(prices.PRICES_DATE) == price_list().date
    assert datetime.date(2026, 1, 1) <= price_list().date <= datetime.datetime.now(datetime.UTC).date()
    assert "https://" in price_list().source


def test_the_list_holds_the_models_of_both_vendors_at_prices_that_can_be() -> None:
    listed = price_list().prices
    assert len([name for name in listed if name.startswith("openai:")]) >= 12
    assert len([name for name in listed if name.startswith("google_genai:")]) >= 8
    for name, price in listed.items():
        assert 0.01 <= price.input < price.output <= 100, name


@pytest.mark.parametrize(
    "wrong",
    [
        {"date": "soon"},
        {"source": ""},
        {"prices": {"openai:x": {"input": -1, "output": 1}}},
        {"prices": {"openai:x": {"input": float("nan"), "output": 1}}},
        {"prices": {"openai:x": {"input": 1}}},
        {"prices": {"gpt": {"input": 1, "output": 1}}},
        {"more": 1},
    ],
)
def test_a_list_that_is_no_list_is_refused(wrong) -> None:
    good = {"date": "2026-01-01", "source": "x", "prices": {"openai:x": {"input": 1, "output": 2}}}
    assert PriceList.model_validate(good).prices["openai:x"].output == 2
    with pytest.raises(ValidationError):
        PriceList.model_validate({**good, **wrong})


def test_nothing_is_read_before_it_is_asked_for() -> None:
    code = """
import agent.prices as prices
assert prices.price_list.cache_info().misses == 0
assert prices.PRICES_DATE
assert prices.price_list.cache_info().misses == 1
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_another_attribute_is_an_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'PRICE'"):
        _ = prices.PRICE
