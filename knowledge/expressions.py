"""Expressions that experts write, in CEL (Common Expression Language): no loops, no calls out, no `eval`."""

import re
from collections.abc import Mapping

import cel

from knowledge.errors import ToolFailure

_BOUND_NAME = re.compile(r"\.\s*(?:all|exists|exists_one|existsOne|filter|map)\s*\(\s*([A-Za-z_]\w*)\s*,")
"""A name that a CEL macro binds, as `r` in `regions.exists(r, ...)`; the compiler lists it among the free ones."""

MAX_LENGTH = 4000
"""Far beyond what a person writes; the compiler itself breaks at 65535."""

_FUNCTIONS = frozenset(
    {"size", "int", "uint", "double", "string", "type", "contains", "startsWith", "endsWith", "matches"}
)
"""What an expression may call, besides operators and the macros above."""

_OPERATOR = re.compile(r"\W|_")
"""The compiler lists operators among the functions, as in `_&&_`, `!_` and `@in`."""


def parse(source: str, variables: frozenset[str]) -> cel.Program:
    """Compile `source`; raises `ValueError` with one readable sentence when it is not valid CEL or names a stranger."""
    if len(source) > MAX_LENGTH:
        raise ValueError(f"not a valid CEL expression: longer than {MAX_LENGTH} characters")
    try:
        program = cel.compile(source)
    except ValueError as error:
        raise ValueError(f"not a valid CEL expression: {_first_line(error)}") from None
    strangers = sorted(set(program.variables()) - variables - set(_BOUND_NAME.findall(source)))
    if strangers:
        raise ValueError(f"unknown name {strangers[0]!r}; known are {', '.join(sorted(variables))}")
    functions = sorted(name for name in set(program.functions()) - _FUNCTIONS if not _OPERATOR.match(name))
    if functions:
        raise ValueError(f"unknown function {functions[0]!r}; known are {', '.join(sorted(_FUNCTIONS))}")
    return program


def holds(source: str, values: Mapping[str, object]) -> bool:
    """Truth of `source` over `values`; raises `ToolFailure` when it cannot be decided."""
    try:
        result = cel.evaluate(source, dict(values))
    except (ValueError, RuntimeError, TypeError, LookupError, ArithmeticError) as error:
        raise ToolFailure(f"the expression {source!r} could not be evaluated: {_first_line(error)}") from error
    if not isinstance(result, bool):
        raise ToolFailure(f"the expression {source!r} gave {result!r}, not true or false")
    return result


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
