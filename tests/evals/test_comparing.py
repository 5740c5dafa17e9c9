"""Comparing two folders of results."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from agent import Verdict
from agent.terminal import results
from evals.comparing import CORRECT, compare, comparison_json, comparison_tables, read_run
from evals.results import CaseResult
from knowledge import RequestError

Scores = Mapping[str, Mapping[str, float | None]]


def write_run(
    folder: Path,
    scores: Scores,
    verdicts: Mapping[str, Verdict] | None = None,
    **summary: object,
) -> Path:
    folder.mkdir()
    lines = [
        CaseResult(case=case, fingerprint="f", verdict=(verdicts or {}).get(case, "normal")).model_dump_json()
        for case in scores
    ]
    (folder / "results.jsonl").write_text("\n".join(lines) + "\n")
    rows = [
        {"case": case, "name": name, "value": value, "why": "" if value is not None else "not known"}
        for case, found in scores.items()
        for name, value in found.items()
    ]
    (folder / "scores.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    told = {
        "suite": "s",
        "model": "embedded",
        "seed": 0,
        "cases": len(scores),
        "failed": 0,
        "seconds": 1.0,
        "cost": 0.0,
    }
    (folder / "summary.json").write_text(json.dumps({**told, "scores": {}, "baselines": {}, **summary}))
    return folder


def of(name: str, values: list[float | None]) -> Scores:
    return {f"c{i}": {name: value} for i, value in enumerate(values)}


@pytest.fixture
def pair(tmp_path: Path) -> Callable[[Scores, Scores], tuple[Path, Path]]:
    return lambda first, second: (write_run(tmp_path / "a", first), write_run(tmp_path / "b", second))


def test_a_difference_by_hand(pair) -> None:
    a, b = pair(of("x.y", [0.0, 0.5, 1.0, None]), of("x.y", [1.0, 0.5, 1.0, 1.0]))
    change = compare(a, b).changes[0]
    assert (change.first, change.second) == (0.5, pytest.approx(2.5 / 3))
    assert change.difference == pytest.approx(1 / 3)
    assert (change.n, change.differ) == (3, 1)
    assert change.word == "not clear"


@pytest.mark.parametrize(
    ("name", "first", "second", "word"),
    [
        (CORRECT, 0.0, 1.0, "better"),
        (CORRECT, 1.0, 0.0, "worse"),
        ("verdict.miss", 0.0, 1.0, "worse"),
        ("verdict.miss", 1.0, 0.0, "better"),
        ("grounding.contradiction", 1.0, 0.0, "better"),
        (CORRECT, 1.0, 1.0, "same"),
    ],
)
def test_better_is_always_called_better(pair, name, first, second, word) -> None:
    a, b = pair(of(name, [first] * 10), of(name, [second] * 10))
    assert compare(a, b).changes[0].word == word


@pytest.mark.parametrize(("differ", "word"), [(5, "not clear"), (6, "better")])
def test_fewer_than_six_cases_that_differ_show_nothing(pair, differ, word) -> None:
    a, b = pair(of(CORRECT, [0.0] * differ), of(CORRECT, [1.0] * differ))
    change = compare(a, b).changes[0]
    assert (change.low, change.high, change.word) == (1, 1, word)


def test_cases_that_flipped_are_named_with_both_verdicts(tmp_path) -> None:
    first = write_run(
        tmp_path / "a",
        {"lost": {CORRECT: 1.0}, "won": {CORRECT: 0.0}, "same": {CORRECT: 1.0}, "unknown": {CORRECT: None}, "old": {}},
        {"lost": "anomalous", "won": "review", "old": "normal"},
    )
    second = write_run(
        tmp_path / "b",
        {"won": {CORRECT: 1.0}, "lost": {CORRECT: 0.0}, "same": {CORRECT: 1.0}, "unknown": {CORRECT: 1.0}, "new": {}},
        {"lost": "normal", "won": "anomalous"},
    )
    found = compare(first, second)
    assert found.right_to_wrong == (("lost", "anomalous", "normal"),)
    assert found.wrong_to_right == (("won", "review", "anomalous"),)
    assert (found.only_first, found.only_second, found.shared) == (("old",), ("new",), 4)
    turned = compare(second, first)
    assert turned.right_to_wrong == (("won", "anomalous", "review"),)


def test_a_run_against_itself_shows_no_difference(pair) -> None:
    scores = {f"c{i}": {CORRECT: float(i % 2), "x.y": i / 10, "none": None} for i in range(10)}
    found = compare(*pair(scores, scores))
    assert {change.word for change in found.changes} == {"same", "unscored"}
    assert (found.right_to_wrong, found.wrong_to_right, found.warnings) == ((), (), ())


def test_what_a_reader_must_know_is_said(tmp_path) -> None:
    a = write_run(tmp_path / "a", {"x": {}}, suite="one")
    b = write_run(tmp_path / "b", {"y": {}}, suite="two")
    warnings = compare(a, b).warnings
    assert any("suites differ: one and two" in warning for warning in warnings)
    assert any("share no case" in warning for warning in warnings)
    many = {f"c{i}": {f"s.{k}": float(i % 2 if k < 39 else 0) for k in range(40)} for i in range(20)}
    other = {case: {name: value + (name == "s.39") for name, value in found.items()} for case, found in many.items()}
    found = compare(write_run(tmp_path / "c", many), write_run(tmp_path / "d", other))
    assert found.warnings == ("Of 40 scores about 2 would look changed by chance; 1 do.",)


def test_judged_scores_are_paired_and_a_run_without_a_judge_has_none(tmp_path) -> None:
    def judged(folder: str, right: float, judge: str) -> Path:
        scores = {f"c{i}": {"judged.right": right, "judged.undecided": 1 - right} for i in range(6)}
        return write_run(tmp_path / folder, scores, judge={"model": judge, "prompt": "1"})

    plain = write_run(tmp_path / "plain", {f"c{i}": {CORRECT: 1.0} for i in range(6)})
    good, bad = judged("good", 1.0, "openai:a"), judged("bad", 0.0, "openai:a")
    found = compare(good, bad)
    assert {change.name: change.word for change in found.changes} == {
        "judged.right": "worse",
        "judged.undecided": "worse",
    }
    assert found.warnings == ()
    assert [each.word for each in compare(plain, good).changes] == ["unscored"] * 3
    (warning,) = compare(good, judged("other", 1.0, "openai:b")).warnings
    assert "judges differ" in warning


def test_tables_and_json_hold_what_was_found(tmp_path, capsys) -> None:
    a = write_run(tmp_path / "a", {"[red]x": {CORRECT: 1.0}, "y": {"verdict.miss": None}}, cost=None)
    b = write_run(
        tmp_path / "b", {"[red]x": {CORRECT: 0.0}, "y": {"verdict.miss": 1.0}}, {"[red]x": "review"}, cost=0.25
    )
    found = compare(a, b)
    for table in comparison_tables(found):
        results().print(table)
    shown = capsys.readouterr().out
    for words in ("[red]x", "right -> wrong", "lower is better", "$0.25", "unscored", "-1.000"):
        assert words in shown
    values = json.loads(json.dumps(comparison_json(found)))
    assert values["right_to_wrong"] == [{"case": "[red]x", "first": "normal", "second": "review"}]
    assert values["changes"][0]["difference"] == -1
    assert values["second"]["cost"] == 0.25


def test_of_two_lines_of_a_case_the_last_counts(tmp_path) -> None:
    folder = write_run(tmp_path / "a", {"x": {CORRECT: 1.0}})
    with (folder / "results.jsonl").open("a") as file:
        file.write(CaseResult(case="x", fingerprint="g", error="broke: \u2028 here").model_dump_json() + "\n")
    run = read_run(folder)
    assert (len(run.results), run.results["x"].fingerprint) == (1, "g")


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("results.jsonl", '{"case": "x"}\n', "results.jsonl, line 1: fingerprint"),
        ("scores.jsonl", '{"case": "x", "name": "n", "value": 1}\nnothing\n', "scores.jsonl, line 2: not a record"),
        ("scores.jsonl", '{"case": "x", "name": "n", "value": NaN}\n', "scores.jsonl, line 1: value"),
        ("summary.json", "[]", "summary.json: expected a mapping"),
        ("summary.json", "{", "summary.json: cannot be read"),
        ("summary.json", None, "summary.json: cannot be read"),
    ],
)
def test_what_is_no_folder_of_results_is_named_by_file_and_line(tmp_path, name, content, sentence) -> None:
    folder = write_run(tmp_path / "a", {})
    if content is None:
        (folder / name).unlink()
    else:
        (folder / name).write_text(content)
    with pytest.raises(RequestError, match=sentence):
        read_run(folder)
