"""Conversations that outlive their program: history, kills, leases, size."""

import asyncio
import gc
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from agent import InspectionSession, Inspector, Settings
from agent.chat.turn import Turn
from evals.simulated import write_plate
from knowledge import RequestError

SAY = """
import json, os, signal, sys
from pathlib import Path
from agent import InspectionSession, Inspector, Settings
home, thread, words, kill_at, *files = sys.argv[1:]
seen = []
def listen(event):
    seen.append(event["kind"])
    if kill_at and event["kind"] + str(seen.count(event["kind"])) == kill_at:
        os.kill(os.getpid(), signal.SIGKILL)
    if kill_at == "wait":
        print("working", flush=True)
        sys.stdin.readline()
session = InspectionSession(Inspector(Settings(home=Path(home))), thread)
answer = session.say(words, files, listen=listen) if words else session.resume()
print(json.dumps({"text": answer.text if answer else None, "reports": [r.verdict for r in session.reports()]}))
"""


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("parts")
    return {
        "bad": write_plate(folder / "scratched.png", 1001, "scratch"),
        "good": write_plate(folder / "clean.png", 1000),
    }


@pytest.fixture
def home(learned_home: Path, tmp_path: Path) -> Path:
    """A home of one's own with what was learned."""
    shutil.copytree(learned_home, tmp_path / "own", ignore=shutil.ignore_patterns("artifacts", "threads*", "leases"))
    return tmp_path / "own"


@pytest.fixture
def session(inspector: Inspector, request: pytest.FixtureRequest) -> InspectionSession:
    return InspectionSession(inspector, f"session-{request.node.name}")


def run(home: Path, thread: str, words: str, kill_at: str, *files: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", SAY, str(home), thread, words, kill_at, *map(str, files)],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=False,
    )


def facts_of(session: InspectionSession) -> Any:
    """What a report says, without ids, times and costs."""
    report = session.reports()[0].model_dump()
    for name in ("inspection_id", "created_at", "request", "usage", "evidence", "sent_to"):
        del report[name]
    return report


def test_a_thread_goes_on_in_another_session(session: InspectionSession, inspector: Inspector, parts) -> None:
    session.say("", [parts["bad"]])
    other = InspectionSession(Inspector(inspector.settings), session.thread)
    assert [message.who for message in other.history()] == ["person", "anomalyst"]
    assert other.history()[0].text == "Inspect this."
    assert [report.verdict for report in other.reports()] == ["anomalous"]
    said = other.say("Why?")
    assert next(iter(said.evidence)) == "i1.verdict"
    assert said.evidence["i1.verdict"] in said.text
    assert len(session.history()) == 4


def test_a_new_session_has_a_thread_of_its_own_and_no_history(inspector: Inspector) -> None:
    first, second = InspectionSession(inspector), InspectionSession(inspector)
    assert first.thread != second.thread
    assert first.history() == ()
    assert first.reports() == ()
    assert first.resume() is None


def test_nothing_said_is_refused(session: InspectionSession) -> None:
    with pytest.raises(RequestError, match="say something, or attach a file"):
        session.say("  ")
    assert session.history() == ()


def test_a_program_says_what_is_wanted_without_words_being_understood(session: InspectionSession, parts) -> None:
    session.say("", [parts["bad"]])
    look = session.say("please", turn=Turn(action="look_closer", box=(0, 0, 20, 20)))
    assert "Closer look at box [0, 0, 20, 20]" in look.text
    assert [picture.title for picture in look.pictures] == ["i1.x1: closer"]


def test_several_files_are_one_part(session: InspectionSession, parts) -> None:
    session.say("", [parts["bad"], parts["good"]])
    assert [shown.id for shown in session.reports()[0].inputs] == ["a1", "a2"]


def test_steps_are_heard_as_they_are_taken(session: InspectionSession, parts) -> None:
    heard: list[str] = []
    session.say("", [parts["good"]], listen=lambda event: heard.append(event["kind"]))
    assert heard[0] == "intake"
    assert heard[-2:] == ["verdict", "report"]
    assert heard.count("tool_call") == heard.count("tool_result") > 2


def test_the_product_of_a_session_is_that_of_parts_of_which_nothing_else_is_said(inspector, parts) -> None:
    assert "as plate" in InspectionSession(inspector, product="plate").say("", [parts["good"]]).text
    strange = InspectionSession(inspector, product="gearbox").say("", [parts["good"]])
    assert strange.text == "'gearbox' is not a product that is known. Known are: plate."


def test_it_runs_where_a_loop_runs_already(inspector: Inspector) -> None:
    session = InspectionSession(inspector)

    async def both() -> tuple[str, str]:
        return (await session.asay("help")).text, session.say("help").text

    first, second = asyncio.run(both())
    assert first == second


def test_threads_run_side_by_side(inspector: Inspector, parts) -> None:
    said: dict[int, Any] = {}

    def talk(number: int) -> None:
        session = InspectionSession(Inspector(inspector.settings), f"side-{number}")
        session.say("", [parts["bad" if number % 2 else "good"]])
        said[number] = session.say("Why?").text

    threads = [threading.Thread(target=talk, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    verdicts = {number: "is anomalous" in text for number, text in said.items()}
    assert verdicts == {0: False, 1: True, 2: False, 3: True}


def test_a_thread_that_is_worked_on_is_refused(session: InspectionSession, inspector, parts) -> None:
    refused: list[str] = []

    def listen(event: Any) -> None:
        if not refused:
            with pytest.raises(RequestError) as error:
                InspectionSession(Inspector(inspector.settings), session.thread).say("Why?")
            refused.append(str(error.value))

    session.say("", [parts["good"]], listen=listen)
    assert refused[0].endswith("is being worked on; wait until that is done")
    assert session.say("Why?").evidence


def test_a_file_that_goes_away_before_a_broken_turn_is_finished_is_told(session, tmp_path) -> None:
    part = write_plate(tmp_path / "gone.png", 1000)

    class Stop(Exception):
        pass

    def stop(event: Any) -> None:
        raise Stop

    with pytest.raises(Stop):
        session.say("", [part], listen=stop)
    part.unlink()
    finished = session.resume()
    assert finished is not None
    assert session.say("help").text.startswith("Attach a picture")


@pytest.mark.slow
@pytest.mark.parametrize("kill_at", ["intake1", "tool_call1", "tool_result3", "verdict1"])
def test_a_turn_that_was_killed_is_finished_as_if_nothing_had_been(home: Path, parts, kill_at: str) -> None:
    killed = run(home, "killed", "Inspect this.", kill_at, parts["bad"])
    assert killed.returncode == -signal.SIGKILL
    undisturbed = InspectionSession(Inspector(Settings(home=home)), "undisturbed")
    undisturbed.say("Inspect this.", [parts["bad"]])
    resumed = json.loads(run(home, "killed", "", "").stdout)
    assert resumed["text"] == undisturbed.history()[-1].text
    session = InspectionSession(Inspector(Settings(home=home)), "killed")
    assert facts_of(session) == facts_of(undisturbed)
    assert [message.who for message in session.history()] == ["person", "anomalyst"]
    assert session.resume() is None


@pytest.mark.slow
def test_what_is_said_after_a_kill_finishes_the_broken_turn_first(home: Path, parts) -> None:
    run(home, "killed", "Inspect this.", "tool_result2", parts["bad"])
    session = InspectionSession(Inspector(Settings(home=home)), "killed")
    assert next(iter(session.say("Why?").evidence)) == "i1.verdict"
    assert [message.who for message in session.history()] == ["person", "anomalyst", "person", "anomalyst"]


@pytest.mark.slow
def test_a_second_process_is_refused_until_the_first_is_gone(home: Path, parts) -> None:
    command = [sys.executable, "-c", SAY, str(home), "leased", "Inspect this.", "wait", str(parts["bad"])]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "working\n"
        session = InspectionSession(Inspector(Settings(home=home)), "leased")
        with pytest.raises(RequestError, match="is being worked on"):
            session.say("Why?")
        with pytest.raises(RequestError, match="is being worked on"):
            session.resume()
        first.kill()
    finished = session.resume()
    assert finished is not None
    assert "is anomalous" in finished.text


@pytest.mark.slow
def test_fifty_turns_stay_small(home: Path, parts) -> None:
    session = InspectionSession(Inspector(Settings(home=home)), "long")
    session.say("", [parts["bad"]])
    questions = [
        "Why?",
        "Where is it?",
        "How large is it?",
        "look closer at the top left",
        "Which rules were violated?",
    ]

    def turns(count: int) -> None:
        for number in range(count):
            session.say(questions[number % len(questions)])

    turns(5)
    steps, before = _steps(home), _size(home)
    tracemalloc.start()
    turns(20)
    gc.collect()
    held, _ = tracemalloc.get_traced_memory()
    turns(24)
    gc.collect()
    held_later, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (_size(home) - before) / (_steps(home) - steps) < 64_000
    assert held_later - held < 2_000_000
    start = time.perf_counter()
    session.say("Why?")
    assert time.perf_counter() - start < 5


def _size(home: Path) -> int:
    return sum(path.stat().st_size for path in home.glob("threads.sqlite*"))


def _steps(home: Path) -> int:
    with sqlite3.connect(home / "threads.sqlite") as connection:
        return int(connection.execute("select count(*) from checkpoints").fetchone()[0])


def test_what_a_person_said_is_told_back_without_letters_that_steer(session: InspectionSession) -> None:
    session.say("help\x1b[2J\u202e me\nplease")
    assert session.history()[0].text == "help [2J me\nplease"


def test_a_listener_that_fails_leaves_the_turn_to_be_finished(session, parts) -> None:
    def fail(event: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        session.say("", [parts["good"]], listen=fail)
    finished = session.resume()
    assert finished is not None
    assert "is normal" in finished.text
