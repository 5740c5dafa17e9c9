"""`anomalyst eval` on painted plates."""

import gc
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from evals import inspect_task
from evals.cases import Case, Expected, ProductSource, Suite, write_suite
from evals.eval_command import evaluate
from evals.simulated import write_plate, write_plates
from knowledge import RequestError

pytest.importorskip("inspect_ai")

# inspect_ai leaves streams to the garbage collector, which warns of them.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")

SUMMARY = {"suite", "model", "cases", "failed", "scores", "baselines"}


@pytest.fixture(autouse=True, scope="module")
def collected() -> Iterator[None]:
    """What is left open is warned of here, and in no other module."""
    yield
    gc.collect()


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("suite")
    write_plates(folder / "good", 9)
    write_plate(
        folder / "sound.png", 504
    )  # At alpha 0.2 one sound plate of five is anomalous, such as 500; this one is not.
    write_plate(folder / "scratch.png", 501, "scratch")
    cases = [
        Case(
            id=name, product="plate", assets=(f"{name}.png",), alpha=0.2, expected=Expected(verdict=truth), tags=(tag,)
        )
        for name, truth, tag in (
            ("sound", "normal", "plain"),
            ("scratch", "anomalous", "plain"),
            ("absent", "normal", "odd"),
        )
    ]
    source = ProductSource(name="plate", good=("good",))
    write_suite(Suite(name="plates", products=(source,), cases=tuple(cases)), folder)
    return folder


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shared, so that the product is learned once."""
    return tmp_path_factory.mktemp("results")


def run(*arguments: object) -> Result:
    app = typer.Typer()
    app.command()(evaluate)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.mark.slow
def test_json_is_all_that_is_printed_and_holds_scores_and_baselines(suite, out) -> None:
    done = run(suite, "--out", out, "--json")
    assert done.exit_code == 0, done.output
    summary = json.loads(done.stdout)
    assert set(summary) >= SUMMARY
    assert (summary["suite"], summary["model"], summary["cases"], summary["failed"]) == ("plates", "embedded", 3, 1)
    correct = summary["scores"]["verdict.correct"]
    assert set(correct) == {"mean", "low", "high", "n", "unscored"}
    assert (round(correct["mean"] * 3), correct["n"], correct["unscored"]) == (2, 3, 0)
    assert correct["low"] < correct["mean"] < correct["high"]
    means = {name: of["verdict.correct"]["mean"] for name, of in summary["baselines"].items()}
    assert {name: round(3 * mean) for name, mean in means.items()} == {
        "always_normal": 2,
        "always_anomalous": 1,
        "localizer_alone": 2,
    }
    assert json.loads((out / "summary.json").read_text()) == summary


def test_a_person_gets_a_table_and_where_page_and_log_lie(suite, out) -> None:
    done = run(suite, "--out", out)
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert any("verdict.miss (lower is better)" in line for line in lines)
    assert any("always anomalous" in line for line in lines)
    [spent] = [line for line in lines if "taken over" in line]
    assert spent.startswith("1 failed"), (out / "results.jsonl").read_text()
    assert (out / "index.html").is_file()
    assert str(out / "index.html") in lines
    assert Path(lines[-1]).suffix == ".eval"
    assert Path(lines[-1]).is_file()


def test_cases_are_chosen_runs_compared_and_gates_checked(suite, out, tmp_path) -> None:
    gates = tmp_path / "gates.yaml"
    gates.write_text("gates:\n- score: verdict.correct\n  at_least: 0.5\n")
    options = ("--tags", "plain, odd", "--limit", 1, "--compare", out, "--gate", gates, "--json")
    assert run(suite, "--out", out, "--json").exit_code == 0
    done = run(suite, "--out", out, *options)
    assert done.exit_code == 0, done.output
    summary = json.loads(done.stdout)
    assert summary["cases"] == 1
    assert summary["comparison"]["shared"] == 1
    assert [gate["state"] for gate in summary["gates"]] == ["passed"]


def test_a_gate_that_is_not_passed_is_an_exit_code(suite, out, tmp_path) -> None:
    gates = tmp_path / "gates.yaml"
    gates.write_text("gates:\n- score: verdict.correct\n  at_least: 0.9\n")
    done = run(suite, "--out", out, "--gate", gates)
    assert done.exit_code == 1, done.output
    assert "NOT passed: verdict.correct at least 0.9" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["no such suite"], r"no such suite; shipped are smoke"),
        (["SUITE", "--tags", "typo"], r"there is no tag 'typo' here; known are odd, plain"),
        (["SUITE", "--gate", "nothing.yaml"], r"nothing.yaml: cannot be read"),
        (["SUITE", "--compare", "nothing"], r"nothing.*cannot be read"),
        (["SUITE", "--model", "nobody:x"], r"nobody"),
        (["SUITE", "--judge", "embedded"], r"embedded model works by rules and cannot judge a text"),
        (["SUITE", "--judge", "openai:gpt-4o"], r"openai:gpt-4o needs a key in OPENAI_API_KEY"),
        (["SUITE", "--judge", "openai:x@http://me:secret@here/v1"], r"holds a name, a password or a query"),
        (["SUITE", "--judge-labels", "nothing"], r"name one with --judge"),
        (
            ["SUITE", "--judge", "openai:x@http://here/v1", "--judge-labels", "none.jsonl"],
            r"none.jsonl: cannot be read",
        ),
    ],
)
def test_what_makes_no_sense_is_refused_before_any_work(suite, arguments, sentence, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = run(*(suite if each == "SUITE" else each for each in arguments), "--out", tmp_path / "out")
    with pytest.raises(RequestError, match=sentence):
        raise done.exception
    assert not (tmp_path / "out").exists()


def test_without_the_extra_it_says_what_to_install(suite, monkeypatch) -> None:
    monkeypatch.setattr(inspect_task, "find_spec", lambda name: None)
    done = run(suite)
    with pytest.raises(RequestError, match=r"pip install 'anomalyst\[evals\]'"):
        raise done.exception


def test_an_interrupted_run_says_where_its_results_are(suite, out, monkeypatch) -> None:
    def interrupted(*given: object, **more: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(inspect_task, "run_suite", interrupted)
    done = run(suite, "--out", out)
    assert done.exit_code != 0
    assert f"what is finished is kept in {out}" in done.stderr
