"""Suites that ship: each is built into a folder as data, the same for the same seed."""

from collections.abc import Callable
from pathlib import Path

from evals.cases import Suite, write_suite
from evals.suites.chat import chat
from evals.suites.counterfactual import counterfactual
from evals.suites.grounding import grounding
from evals.suites.injection import injection
from evals.suites.smoke import smoke
from evals.suites.solar import solar

SUITES: dict[str, Callable[[Path, int], Suite]] = {
    "smoke": smoke,
    "solar": solar,
    "counterfactual": counterfactual,
    "injection": injection,
    "grounding": grounding,
    "chat": chat,
}


def build_suite(name: str, folder: Path, seed: int = 0) -> Suite:
    """Write a suite's assets, products and cases into a folder."""
    suite = SUITES[name](folder, seed)
    write_suite(suite, folder)
    return suite


__all__ = ["SUITES", "build_suite"]
