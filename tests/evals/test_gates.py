"""Gates of a run."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evals.comparing import Change, Comparison, Side
from evals.gates import GateResult, check_gates, read_gates
from knowledge import RequestError

SUMMARY: dict[str, Any] = {
    "scores": {
        "verdict.correct": {"mean": 0.92, "low": 0.85, "high": 0.97, "n": 100, "unscored": 3},
        "verdict.miss": {"mean": 0.02, "low": 0.0, "high": 0.06, "n": 50, "unscored": 0},
        "grounding.place": {"mean": None, "low": None, "high": None, "n": 0, "unscored": 100},
    }
}
SIDE = Side("f", "s", "m", 100, 0, 1.0, 0.0)


@pytest.fixture
def checked(tmp_path: Path) -> Callable[..., list[GateResult]]:
    def check(text: str, comparison: Comparison | None = None) -> list[GateResult]:
        (tmp_path / "gates.yaml").write_text(text)
        return check_gates(tmp_path / "gates.yaml", SUMMARY, comparison)

    return check


def compared(name: str, difference: float | None, *, lower: bool = False) -> Comparison:
    change = Change(name, 0.5, 0.5, difference, difference, difference, 40, 10, lower, "not clear")
    return Comparison(SIDE, SIDE, 40, (change,), (), (), (), ())


@pytest.mark.parametrize(
    ("gate", "state"),
    [
        ("score: verdict.correct, at_least: 0.9", "passed"),
        ("score: verdict.correct, at_least: 0.92", "passed"),
        ("score: verdict.correct, at_least: 0.93", "failed"),
        ("score: verdict.correct, at_least: 0.9, low: true", "failed"),
        ("score: verdict.correct, at_least: 0.85, low: true", "passed"),
        ("score: verdict.miss, at_most: 0.02", "passed"),
        ("score: verdict.miss, at_most: 0.01", "failed"),
        ("score: verdict.miss, at_most: 0.05, high: true", "failed"),
        ("score: verdict.miss, at_most: 0.06, high: true", "passed"),
        ("score: grounding.place, at_least: 0", "unscored"),
        ("score: no.such, at_least: 0", "unscored"),
        ("compare: verdict.correct, drop_at_most: 0.01", "skipped"),
    ],
)
def test_a_gate_by_its_limit(checked, gate, state) -> None:
    (result,) = checked(f"gates: [{{{gate}}}]")
    assert result.state == state
    assert result.ok == (state in ("passed", "skipped"))
    assert result.sentence.endswith(".")


@pytest.mark.parametrize(
    ("name", "difference", "lower", "state", "told"),
    [
        ("verdict.correct", -0.01, False, "passed", "worse by 0.01"),
        ("verdict.correct", -0.02, False, "failed", "worse by 0.02"),
        ("verdict.correct", 0.5, False, "passed", "better by 0.5"),
        ("verdict.correct", 0.0, False, "passed", "is the same"),
        ("verdict.miss", 0.02, True, "failed", "worse by 0.02"),
        ("verdict.miss", -0.5, True, "passed", "better by 0.5"),
        ("verdict.correct", None, False, "unscored", "in no case of both runs"),
    ],
)
def test_worse_is_worse_whichever_direction_a_score_has(checked, name, difference, lower, state, told) -> None:
    (result,) = checked(f"gates: [{{compare: {name}, drop_at_most: 0.01}}]", compared(name, difference, lower=lower))
    assert result.state == state
    assert told in result.sentence


def test_a_score_that_the_comparison_does_not_have_fails(checked) -> None:
    (result,) = checked("gates: [{compare: other, drop_at_most: 0.01}]", compared("verdict.correct", 0.0))
    assert (result.state, result.ok) == ("unscored", False)


def test_each_gate_says_one_sentence_in_the_order_of_the_file(checked) -> None:
    found = checked(
        "gates:\n - {score: verdict.miss, at_most: 0.05}\n - {score: verdict.correct, at_least: 0.9, low: true}\n"
    )
    assert [result.gate for result in found] == [
        "verdict.miss at most 0.05",
        "lower end of verdict.correct at least 0.9",
    ]
    assert found[0].sentence == "The mean of verdict.miss is 0.02 over 50 cases; asked is at most 0.05."
    assert found[1].sentence == (
        "The lower end of verdict.correct is 0.85 over 100 cases, 3 more unscored; asked is at least 0.9."
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("gates: []", "gates is empty"),
        ("", "expected a mapping with gates"),
        ("gates: {}", "expected a mapping with gates"),
        ("gates: [1]\nmore: 2", "nothing else"),
        ("gates: [1]", "gate 1: expected a mapping with either score or compare"),
        ("gates: [{score: a, at_least: 1}, {score: a}]", "gate 2: expected either at_least or at_most"),
        ("gates: [{score: a, at_least: 1, at_most: 2}]", "gate 1: expected either at_least or at_most"),
        ("gates: [{score: a, at_least: much}]", "gate 1, at_least: "),
        ("gates: [{score: a, at_least: .nan}]", "gate 1, at_least: "),
        ("gates: [{score: a, atleast: 1}]", "gate 1, atleast: "),
        ("gates: [{score: a, at_most: 1, low: true}]", "the careful end is high"),
        ("gates: [{score: a, at_least: 1, high: true}]", "the careful end is low"),
        ("gates: [{compare: a}]", "gate 1, drop_at_most: "),
        ("gates: [{compare: a, drop_at_most: -1}]", "gate 1, drop_at_most: "),
        ("gates: [{compare: a, score: a}]", "either score or compare"),
        ("gates: [", "cannot be read"),
    ],
)
def test_a_file_that_is_wrong_is_named_with_what_was_expected(checked, tmp_path, text, sentence) -> None:
    with pytest.raises(RequestError) as refused:
        checked(text)
    assert str(tmp_path / "gates.yaml") in str(refused.value)
    assert sentence in str(refused.value)


JUDGED = "{score: judged.right, at_least: 0.9}"


@pytest.mark.parametrize(
    "gates",
    [
        JUDGED,
        "{compare: judged.right, drop_at_most: 0.1}",
        f"{JUDGED}, {{compare: verdict.correct, drop_at_most: 0.1}}",
        f"{JUDGED}, {{score: judged.undecided, at_most: 0.1}}",
    ],
)
def test_a_models_opinion_is_never_the_only_gate(checked, tmp_path, gates) -> None:
    with pytest.raises(
        RequestError, match=r"gates\.yaml: .*never the only gate; add a gate on a score that code gives"
    ):
        checked(f"gates: [{gates}]")


@pytest.mark.parametrize(("mean", "state"), [(0.95, "passed"), (0.85, "failed"), (None, "unscored")])
def test_a_judged_gate_beside_one_of_code(tmp_path, mean, state) -> None:
    (tmp_path / "gates.yaml").write_text(f"gates: [{JUDGED}, {{score: verdict.correct, at_least: 0.9}}]")
    judge = {"scores": {"judged.right": {"mean": mean, "low": 0.8, "high": 1.0, "n": 5, "unscored": 0}}}
    found = check_gates(tmp_path / "gates.yaml", {**SUMMARY, "judge": judge})
    assert [result.state for result in found] == [state, "passed"]


def test_a_judged_gate_of_a_run_without_a_judge_says_what_it_needs(checked) -> None:
    found = checked(f"gates: [{JUDGED}, {{score: verdict.correct, at_least: 0.9}}]")
    assert (found[0].state, found[0].ok) == ("unscored", False)
    assert "needs --judge" in found[0].sentence


def test_a_file_that_is_not_there(tmp_path) -> None:
    with pytest.raises(RequestError, match=r"none\.yaml: cannot be read"):
        read_gates(tmp_path / "none.yaml")
