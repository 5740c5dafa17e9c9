"""Trajectory matches against those of agentevals, and by hand."""

import json
from pathlib import Path

import numpy as np
import pytest

from evals.cases import Case, Expected, Steps
from evals.results import CaseResult, StepTaken
from evals.scorers import SCORERS

MODES = ("strict", "unordered", "subset", "superset")
TOOLS = ("render", "localize", "measure", "reason")


def ours(ran: tuple[str, ...], reference: tuple[str, ...]) -> dict[str, float | None]:
    case = Case(id="c", product="p", assets=("a",), expected=Expected(steps=Steps(reference=reference)))
    steps = tuple(StepTaken(tool=tool, arguments={"n": str(n)}, status="done") for n, tool in enumerate(ran))
    result = CaseResult(case="c", fingerprint="f", verdict="normal", steps=steps)
    scores = SCORERS["trajectory"](case, result, {}, Path())
    return {mode: scores[mode].value for mode in MODES}


@pytest.mark.parametrize(
    ("ran", "values"),
    [
        (("render", "localize"), (1, 1, 1, 1)),
        (("localize", "render"), (0, 1, 1, 1)),
        (("render",), (0, 0, 1, 0)),
        ((), (0, 0, 1, 0)),
        (("render", "localize", "localize"), (0, 0, 0, 1)),
        (("render", "reason"), (0, 0, 0, 0)),
    ],
)
def test_matches_by_hand(ran, values) -> None:
    assert tuple(ours(ran, ("render", "localize")).values()) == values


def pairs(count: int) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Half of them alike but for a shuffle, a step more or a step less, so that no mode is always the same."""
    chance, made = np.random.default_rng(0), []
    for number in range(count):
        reference = chance.choice(TOOLS, chance.integers(1, 6)).tolist()
        ran = list(reference) if number % 2 else chance.choice(TOOLS, chance.integers(0, 6)).tolist()
        if number % 4 == 1:
            chance.shuffle(ran)
        if number % 8 == 3:
            ran.insert(int(chance.integers(len(ran) + 1)), str(chance.choice(TOOLS)))
        if number % 8 == 5:
            ran.pop()
        made.append((tuple(ran), tuple(reference)))
    return made


def messages(tools: tuple[str, ...], seed: int) -> list[dict]:
    """One call a message, with arguments that differ from trajectory to trajectory."""
    return [
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [
                {
                    "id": f"t{number}",
                    "type": "function",
                    "function": {"name": tool, "arguments": json.dumps({"seed": seed, "number": number})},
                }
            ],
        }
        for number, tool in enumerate(tools)
    ]


def test_equal_to_agentevals_on_two_hundred_pairs(monkeypatch) -> None:
    match = pytest.importorskip("agentevals.trajectory.match")
    monkeypatch.setenv("LANGSMITH_TRACING", "false")
    seen = {mode: set() for mode in MODES}
    for mode in MODES:
        evaluator = match.create_trajectory_match_evaluator(trajectory_match_mode=mode, tool_args_match_mode="ignore")
        for ran, reference in pairs(200):
            theirs = evaluator(outputs=messages(ran, 1), reference_outputs=messages(reference, 2))["score"]
            assert ours(ran, reference)[mode] == float(theirs), (mode, ran, reference)
            seen[mode].add(theirs)
    assert all(values == {True, False} for values in seen.values())
