"""Suites as tasks of inspect_ai, with a runner that needs no agent."""

import gc
import json
import os
import signal
import subprocess
import sys
import threading
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("inspect_ai")

from inspect_ai.log import read_eval_log

from evals.cases import Case, Expected, Pair, Question
from evals.inspect_task import Head, Ran, run_suite
from evals.results import Answered, CaseResult, Score
from evals.store import ResultStore

# inspect_ai leaves streams to the garbage collector, which warns of them.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")

HEAD = Head("fake", "cases that need no agent", "1", {"model": "embedded"})


def drawn(text: str) -> float:
    """Between 0 and 1, the same for the same text."""
    return zlib.crc32(text.encode()) / 2**32


@pytest.fixture(autouse=True, scope="module")
def collected() -> Iterator[None]:
    """What is left open is warned of here, and in no other module."""
    yield
    gc.collect()


class FakeRunner:
    """Verdicts by formula, after a moment that is another one for every case."""

    def __init__(self, seconds: float = 0.0, broken: str = "") -> None:
        self.ran: Counter[str] = Counter()
        self.at_once = self.most_at_once = 0
        self._seconds = seconds
        self._broken = broken
        self._lock = threading.Lock()

    def fingerprint(self, case: Case) -> str:
        return f"fingerprint of {case.id}"

    def run(self, case: Case, fingerprint: str) -> CaseResult:
        with self._lock:
            self.ran[case.id] += 1
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        time.sleep(self._seconds * drawn(case.id))
        with self._lock:
            self.at_once -= 1
        if case.id == self._broken:
            raise ZeroDivisionError("a bug of ours")
        if "fails" in case.id:
            return CaseResult(case=case.id, fingerprint=fingerprint, error="the file cannot be read")
        value = drawn(case.id)
        answers = tuple(Answered(question=question.id, text="It is sound.") for question in case.questions)
        verdict = "anomalous" if value < 0.3 else "normal"
        return CaseResult(case=case.id, fingerprint=fingerprint, verdict=verdict, p_value=value, answers=answers)

    def messages(self, case: Case, result: CaseResult) -> list[dict[str, Any]]:
        call = {"id": "c1", "type": "function", "function": {"name": "localize", "arguments": '{"asset": "a1"}'}}
        return [
            {"role": "assistant", "content": "", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c1", "name": "localize", "content": "p = 0.4"},
        ]


def score(case: Case, result: CaseResult, results: Any) -> dict[str, Score]:
    if result.error:
        return {"verdict.correct": Score(0.0, result.error), "group": Score(None, "failed")}
    correct = Score(float(result.verdict == case.expected.verdict))
    if not case.group:
        return {"verdict.correct": correct, "group": Score(None, "of no group")}
    known = [each for each in results.values() if each.verdict == "normal"]
    return {"verdict.correct": correct, "group": Score(len(known) / len(results))}


def many(count: int) -> tuple[Case, ...]:
    return tuple(
        Case(
            id=f"image/part {number}",
            product="plate",
            assets=(f"{number}.png",),
            expected=Expected(verdict="normal"),
            group=f"g{number // 3}" if number % 2 else "",
        )
        for number in range(count)
    )


def run(cases: Any, out: Path, runner: Any = None, workers: int = 2, **more: Any) -> Ran:
    with ResultStore(out) as store:
        return run_suite(cases, runner or FakeRunner(), store, more.pop("score", score), HEAD, workers=workers, **more)


def test_a_log_holds_a_sample_a_case_with_its_scores_and_its_trace(tmp_path) -> None:
    question = Question(id="q", text="Is it sound?")
    cases = (*many(3), Case(id="fails", product="plate", assets=("x",), questions=(question,)))
    asked = Case(id="asked: ../?", product="plate", assets=("x", "y"), questions=(question,))
    ran = run((*cases, asked), tmp_path)
    log = read_eval_log(str(ran.log))
    samples = {sample.id: sample for sample in log.samples}
    assert ran.log.parent == tmp_path / "logs"
    assert (log.status, set(samples)) == ("success", {case.id for case in (*cases, asked)})
    assert samples["image/part 0"].scores["verdict.correct"].value in (0.0, 1.0)
    unscored = samples["image/part 0"].scores["group"]
    assert (unscored.value != unscored.value, unscored.explanation) == (True, "of no group")
    first, call, tool, *_ = samples["asked: ../?"].messages
    assert first.text == "Inspect x, y as plate."
    assert (call.tool_calls[0].function, call.tool_calls[0].arguments) == ("localize", {"asset": "a1"})
    assert (tool.role, tool.function, tool.text) == ("tool", "localize", "p = 0.4")
    said = [message.text for message in samples["asked: ../?"].messages[3:]]
    assert said[:2] == ["Is it sound?", "It is sound."]
    assert samples["fails"].messages[-1].text == "failed: the file cannot be read"
    assert samples["fails"].scores["verdict.correct"].value == 0.0
    assert samples["fails"].error is None
    assert log.eval.tags == ["embedded"]
    assert {each.name: each.scored_samples for each in log.results.scores}["verdict.correct"] == 5


def test_scores_do_not_depend_on_order_or_workers(tmp_path) -> None:
    cases = (
        *many(12),
        Case(id="changed", product="plate", assets=("x",), pair=Pair(of="image/part 0", change="falls")),
    )
    shuffled = sorted(cases, key=lambda case: drawn(case.id))
    seen: list[set[str]] = []

    def watched(case: Case, result: CaseResult, results: Any) -> dict[str, Score]:
        if case.id in ("image/part 0", "changed"):
            seen.append(set(results))
        return score(case, result, results)

    runner = FakeRunner(seconds=0.05)
    one = run(cases, tmp_path / "one", workers=1, score=watched)
    four = run(shuffled, tmp_path / "four", runner, workers=4)
    assert one.scores == four.scores
    assert list(four.scores) == [case.id for case in shuffled]
    assert seen == [{"image/part 0", "changed"}] * 2
    assert 1 < runner.most_at_once <= 4
    assert set(runner.ran.values()) == {1}


def test_what_is_finished_is_taken_over(tmp_path) -> None:
    told: list[tuple[str, int, int]] = []
    run(many(4), tmp_path)
    runner = FakeRunner()
    ran = run(many(6), tmp_path, runner, progress=lambda *what: told.append(what))
    assert set(runner.ran) == {"image/part 4", "image/part 5"}
    assert (ran.taken_over, len(ran.results)) == (4, 6)
    assert told[-1] == ("cases", 6, 6)


def test_what_failed_is_taken_over_too_unless_it_is_to_be_tried_again(tmp_path) -> None:
    cases = (*many(3), Case(id="fails", product="plate", assets=("x",)))
    assert run(cases, tmp_path).results["fails"].error
    again = FakeRunner()
    assert run(cases, tmp_path, again).taken_over == 4
    assert not again.ran

    class Mended(FakeRunner):
        def run(self, case: Case, fingerprint: str) -> CaseResult:
            self.ran[case.id] += 1
            return CaseResult(case=case.id, fingerprint=fingerprint, verdict="normal")

    mended = Mended()
    ran = run(cases, tmp_path, mended, retry_failed=True)
    assert (set(mended.ran), ran.taken_over, ran.results["fails"].error) == ({"fails"}, 3, "")
    assert run(cases, tmp_path).results["fails"].verdict == "normal"


def test_a_bug_of_ours_stops_the_run_and_what_is_finished_is_kept(tmp_path) -> None:
    cases = many(40)
    with pytest.raises(ZeroDivisionError, match="a bug of ours") as raised:
        run(cases, tmp_path, FakeRunner(seconds=0.01, broken="image/part 10"))
    assert raised.traceback[-1].name == "run"
    runner = FakeRunner()
    ran = run(cases, tmp_path, runner)
    assert 0 < ran.taken_over < 40
    assert len(runner.ran) == 40 - ran.taken_over
    assert len(ran.results) == 40


def test_a_bug_of_a_scorer_stops_the_run_too(tmp_path) -> None:
    def broken(case: Case, result: CaseResult, results: Any) -> dict[str, Score]:
        raise KeyError("a bug of a scorer")

    with pytest.raises(KeyError, match="a bug of a scorer"):
        run(many(3), tmp_path, score=broken)


def test_nothing_of_inspect_ai_is_left_behind(tmp_path, monkeypatch) -> None:
    import logging

    (tmp_path / ".env").write_text("OPENAI_API_KEY=secret\nINSPECT_LOG_DIR=elsewhere\n")
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("INSPECT_EVAL_LIMIT", "1")
    before = dict(os.environ), sys.excepthook, list(logging.getLogger().handlers), logging.getLogger().level
    seen: list[str | None] = []

    class Looking(FakeRunner):
        def fingerprint(self, case: Case) -> str:
            seen.append(os.environ.get("OPENAI_API_KEY"))
            return super().fingerprint(case)

    ran = run(many(2), tmp_path / "out", Looking())
    after = dict(os.environ), sys.excepthook, list(logging.getLogger().handlers), logging.getLogger().level
    assert after == before
    assert seen == [None, None]
    assert len(ran.results) == 2
    assert list((tmp_path / "data").iterdir()) == []
    assert {path.name for path in tmp_path.iterdir()} == {".env", "data", "out"}


def test_it_says_nothing(tmp_path, capfd) -> None:
    run(many(2), tmp_path)
    assert capfd.readouterr() == ("", "")


# A thousand cases: counted, in flat memory, the same twice. Starting inspect_ai alone takes seconds.

_MANY = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import test_inspect_task as t

class Logged(t.FakeRunner):
    def run(self, case, fingerprint):
        with open(sys.argv[3], "a") as file:
            file.write(case.id + "\\n")
        return super().run(case, fingerprint)

def rss():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

marks = {}
def tell(what, done, total):
    marks[done] = rss()

ran = t.run(t.many(int(sys.argv[4])), Path(sys.argv[2]), Logged(float(sys.argv[5])), workers=4, progress=tell)
print(t.json.dumps([ran.taken_over, len(ran.results), marks.get(1000, 0) - marks.get(200, 0), ran.scores]))
"""


def started(out: Path, count: int, seconds: float = 0.0) -> subprocess.Popen[str]:
    here = Path(__file__).parent
    arguments = [str(here), str(out), str(out.parent / "ran.txt"), str(count), str(seconds)]
    return subprocess.Popen(
        [sys.executable, "-c", _MANY, *arguments],
        cwd=here.parents[1],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(process: subprocess.Popen[str]) -> list[Any]:
    told, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    return list(json.loads(told))


@pytest.mark.slow
def test_after_a_kill_each_case_is_counted_once_and_finished_ones_are_not_run_again(tmp_path) -> None:
    out, results = tmp_path / "out", tmp_path / "out" / "results.jsonl"
    for least in (20, 60):
        process = started(out, 120, 0.1)
        until = time.monotonic() + 120
        while time.monotonic() < until and process.poll() is None:
            if results.is_file() and results.read_bytes().count(b"\n") >= least:
                break
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL
    kept = results.read_bytes().count(b"\n")
    taken_over, count, _, _ = finished(started(out, 120))
    ran = Counter((tmp_path / "ran.txt").read_text().splitlines())
    assert 60 <= kept <= taken_over + 1
    assert (count, len(ran)) == (120, 120)
    # Only what was running when the kill came, four at a time, was run twice.
    assert sum(ran.values()) <= 120 + 2 * 4


@pytest.mark.slow
def test_a_thousand_cases_are_counted_in_flat_memory_and_scored_the_same_twice(tmp_path) -> None:
    _, count, growth, scores = finished(started(tmp_path / "one" / "out", 1000))
    assert count == 1000
    assert growth < 30 * 2**20
    assert finished(started(tmp_path / "two" / "out", 1000))[3] == scores
    assert set(Counter((tmp_path / "one" / "ran.txt").read_text().splitlines()).values()) == {1}
