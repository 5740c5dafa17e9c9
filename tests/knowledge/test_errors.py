"""The tree of errors is the one that is drawn."""

import inspect
import re

import pytest

from knowledge import AnomalystError, errors

BASES = {
    "InputError": AnomalystError,
    "AssetError": errors.InputError,
    "ProductError": errors.InputError,
    "RequestError": errors.InputError,
    "StoreError": AnomalystError,
    "FittedPartError": AnomalystError,
    "ToolArgumentError": AnomalystError,
    "ToolFailure": AnomalystError,
}


@pytest.mark.parametrize(("name", "base"), BASES.items())
def test_every_error_stands_under_its_fate(name, base) -> None:
    assert getattr(errors, name).__bases__ == (base,)


def test_the_drawn_tree_is_the_real_one() -> None:
    """Four columns a floor: `├── Name   what it means`."""
    path: list[str] = []
    drawn = {}
    for line in inspect.cleandoc(errors.__doc__ or "").splitlines():
        found = re.match(r"^(\s*[│├└─ ]*)(\w+(?:Error|Failure))\b", line)
        if found:
            depth = (len(found[1]) - 4) // 4
            path = [*path[:depth], found[2]]
            drawn[found[2]] = path[-2] if depth else "Exception"
    real = {name: kind.__base__.__name__ for name, kind in vars(errors).items() if isinstance(kind, type)}
    assert drawn == real


def test_every_error_says_in_its_docstring_when_it_is_raised() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    assert len(kinds) == len(BASES) + 1
    assert all(kind.__doc__ and kind.__doc__.endswith(".") for kind in kinds)
