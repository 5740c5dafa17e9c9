"""What an inspection has cost."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.request import Budget
from agent.state import Usage, add_usage

COSTS = st.dictionaries(st.sampled_from(["steps", "tokens", "seconds"]), st.integers(0, 1000))


def test_usage_is_summed_name_by_name() -> None:
    assert add_usage({"steps": 2, "seconds": 0.5}, {"steps": 3, "tokens": 7}) == {
        "steps": 5,
        "seconds": 0.5,
        "tokens": 7,
    }


@settings(max_examples=40, deadline=None)
@given(COSTS, COSTS, COSTS)
def test_the_order_in_which_costs_come_in_does_not_matter(one, two, three) -> None:
    assert add_usage(add_usage(one, two), three) == add_usage(add_usage({}, three), add_usage(two, one))


def test_adding_changes_neither() -> None:
    total, more = {"steps": 1}, {"steps": 2}
    add_usage(total, more)
    assert (total, more) == ({"steps": 1}, {"steps": 2})


@pytest.mark.parametrize(
    ("used", "words"),
    [
        ({}, ""),
        ({"model_calls": 11, "tokens": 199_999, "seconds": 299.9, "cost": 0.99, "steps": 999}, ""),
        ({"model_calls": 12}, "the budget of 12 model calls is spent"),
        ({"tokens": 200_001}, "the budget of 200000 tokens is spent"),
        ({"cost": 1.5}, "the budget of 1 cost is spent"),
        ({"seconds": 300.0}, "the budget of 300 seconds is spent"),
    ],
)
def test_the_part_of_the_budget_that_is_spent_is_named(used, words) -> None:
    assert Usage.model_validate(used).spent(Budget()) == words


def test_a_budget_without_money_lets_free_models_work_and_stops_others() -> None:
    assert Usage(model_calls=1).spent(Budget(cost=0)) == ""
    assert "cost" in Usage(model_calls=1, cost=0.0001).spent(Budget(cost=0))


def test_a_large_budget_is_named_in_plain_digits() -> None:
    assert "1234567 tokens" in Usage(tokens=2_000_000).spent(Budget(tokens=1_234_567))
