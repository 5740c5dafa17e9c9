"""A conversation in a terminal, and from a pipe."""

import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from agent import InspectionSession, Inspector, Settings
from agent.chat.talk import COMMANDS, Talk, typed
from agent.cli import main
from agent.session import ChatMessage
from evals.simulated import write_plate

STEERING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where one works, with some files."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("part.png", "my part.png", "it's.png", "named"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "runs").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("line", "command", "words", "files"),
    [
        ("inspect part.png", "", "inspect", ["part.png"]),
        ("inspect part.png, please", "", "inspect please", ["part.png"]),
        ("inspect part.png.", "", "inspect", ["part.png"]),
        ('inspect "my part.png"', "", "inspect", ["my part.png"]),
        ("inspect 'my part.png' now", "", "inspect now", ["my part.png"]),
        (r"inspect my\ part.png", "", "inspect", ["my part.png"]),
        ("""inspect "my part.png", it's bad""", "", "inspect , it's bad", ["my part.png"]),
        ('inspect "it\'s.png"', "", "inspect", ["it's.png"]),
        ("inspect ~/part.png", "", "inspect", ["~/part.png"]),
        ("inspect ./part.png './my part.png'", "", "inspect", ["part.png", "my part.png"]),
        ("/attach part.png", "/attach", "", ["part.png"]),
        ("/attach named runs", "/attach", "", ["named", "runs"]),
        ("/attach absent.png", "/attach", "absent.png", []),
        ("what is named here?", "", "what is named here?", []),
        ("is this / that .. or . fine?", "", "is this / that .. or . fine?", []),
        ('What does "P-2" say?', "", 'What does "P-2" say?', []),
        ("what's wrong, isn't it?", "", "what's wrong, isn't it?", []),
        ("/product plate", "/product", "plate", []),
        ("  /quit  ", "/quit", "", []),
        ("/nowhere/absent.png", "", "/nowhere/absent.png", []),
        ("~nobody/x.png", "", "~nobody/x.png", []),
        ("x\x00.png", "", "x\x00.png", []),
    ],
)
def test_a_line_is_taken_apart(folder: Path, line: str, command: str, words: str, files: list[str]) -> None:
    found = typed(line)
    assert (found.command, found.words) == (command, words)
    assert found.files == tuple(Path(file).expanduser() for file in files)


def test_an_absolute_path_is_a_file_and_no_command(folder: Path) -> None:
    assert typed(str(folder / "part.png")).files == (folder / "part.png",)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=120))
def test_no_line_breaks_it(line: str) -> None:
    typed(line)


@pytest.fixture(scope="module")
def part(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_plate(tmp_path_factory.mktemp("parts") / "scratched plate.png", 1001, "scratch")


@pytest.fixture
def talk(learned_home: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Callable[..., str]:
    """Says lines, and gives back what was printed."""

    def say(*lines: str, **models: Any) -> str:
        printed = io.StringIO()
        session = InspectionSession(Inspector(Settings(home=learned_home), **models), f"talk-{request.node.name}")
        Talk(session, Console(file=printed, width=100), tmp_path / "out").lines(lines)
        return printed.getvalue()

    return say


def test_a_part_is_inspected_asked_about_shown_and_reported(talk, part: Path, tmp_path: Path) -> None:
    printed = talk(f'inspect "{part}"', "Where is it?", "/facts", "look closer at a1.r1", "/report", "/quit", "Why?")
    assert "… localize_anomalies a1" in printed
    assert "= anomalous" in printed
    assert "Finding 1 is Scratch in the top centre" in printed
    assert "\n  i1.f1 Finding 1 is Scratch" in printed
    crop = re.search(r"i1\.x1: closer: (\S+\.png)", printed)
    assert crop is not None
    assert Path(crop[1]).read_bytes().startswith(b"\x89PNG")
    page = re.search(r"(\S+report\.html)", printed)
    assert page is not None
    assert Path(page[1]).is_relative_to(tmp_path / "out")
    assert "i1.rule.P-2" not in printed.partition("report.html")[2]


def test_without_a_terminal_one_sentence_is_one_line(talk, part: Path) -> None:
    printed = talk(f'inspect "{part}"')
    line = next(line for line in printed.splitlines() if "Measured of finding 1" in line)
    assert line.endswith("[i1.f1.size]")
    assert len(line) > 200


def test_commands_are_explained_and_strange_ones_are_not_said(talk) -> None:
    printed = talk("/what", "/help", "/facts", "/report", "/attach", "/attach absent.png")
    assert all(name in printed for name in COMMANDS)
    assert "Attach a picture" in printed
    assert "Nothing has been inspected yet." in printed
    assert "Nothing was attached: name a file that exists." in printed
    assert "Nothing was attached: there is no file absent.png." in printed


def test_the_product_of_the_next_parts_is_one_that_is_known(talk, part: Path) -> None:
    printed = talk("/product gearbox", "/product", "/product plate", f'inspect "{part}"')
    assert printed.count("Name a product that is known: plate.") == 2
    assert "The next parts are inspected as plate." in printed
    assert "as plate, is anomalous" in printed


def test_a_part_that_cannot_be_inspected_ends_no_conversation(talk, tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"nothing")
    printed = talk(f"inspect {broken}", "Why?", "help")
    assert "The part could not be inspected" in printed
    assert "That is not in the evidence of this thread." in printed
    assert "Attach a picture" in printed


def test_letters_that_steer_a_terminal_do_not_reach_it(talk, tmp_path: Path, scripted, part: Path) -> None:
    evil = tmp_path / "evil\x1b[2J\u202e.png"
    evil.write_bytes(part.read_bytes())
    broken = tmp_path / "broken\x1b]0;x\x07.png"
    broken.write_bytes(b"x")
    assessment = {"opinion": "anomalous", "explanation": "\x1b[2J gone\u202e", "claims": []}
    answers = [
        {"sentences": [{"text": "It is\x1b[2J fine\u202e.", "evidence": ["i1.verdict"]}], "unknown": ["\x1b[2Jx"]}
    ] * 8
    printed = talk(
        f"/attach '{evil}'", f"/attach '{broken}'", "\x1b[2Jx", "What does the reasoner say?", "/product \x1b[2J", "/facts",
        "/attach \x1b[2J", "/report", reasoner=scripted(assessment, *answers),
    )  # fmt: skip
    assert "left out" in printed
    assert not STEERING.search(printed)


def test_markup_and_emoji_codes_of_a_text_are_shown_as_they_are(learned_home: Path, tmp_path: Path) -> None:
    printed = io.StringIO()
    talk = Talk(InspectionSession(Inspector(Settings(home=learned_home))), Console(file=printed), tmp_path)
    talk.show(ChatMessage(who="anomalyst", text="[bold]x[/bold] :warning: [i1.f1]", evidence={"i1.f1": "[red]y :bug:"}))
    talk.line("/facts")
    assert "[bold]x[/bold] :warning: [i1.f1]" in printed.getvalue()
    assert "i1.f1 [red]y :bug:" in printed.getvalue()


def chat(monkeypatch: Any, home: Path, text: str, *options: str) -> Any:
    monkeypatch.setenv("ANOMALYST_HOME", str(home))
    monkeypatch.setattr("sys.argv", ["anomalyst", "chat", *options])
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code


def test_lines_come_from_a_pipe_and_a_thread_goes_on(monkeypatch, capsys, learned_home, part) -> None:
    assert chat(monkeypatch, learned_home, f'inspect "{part}"\n\nWhy?\n', "--thread", "piped", "-p", "plate") == 0
    first = capsys.readouterr()
    assert "> Why?" in first.out
    assert "is anomalous. [i1.verdict]" in first.out
    assert chat(monkeypatch, learned_home, "Where is it?", "--thread", "piped") == 0
    second = capsys.readouterr().out
    assert "is anomalous. [i1.verdict]" in second.partition("> Where is it?")[0]
    assert "[i1.f1]" in second.partition("> Where is it?")[2]


def test_answers_as_json_are_one_a_line(monkeypatch, capsys, learned_home, part) -> None:
    lines = f'inspect "{part}"\nWhere is it?\nWhat is the colour of :warning: signs?\n'
    assert chat(monkeypatch, learned_home, lines, "--json") == 0
    answers = [ChatMessage.model_validate_json(line) for line in capsys.readouterr().out.splitlines()]
    assert len(answers) == 3
    assert list(answers[1].evidence) == ["i1.f1"]
    assert json.loads(answers[1].model_dump_json())["who"] == "anomalyst"


def test_a_home_that_cannot_be_used_is_an_input_error(monkeypatch, capsys, tmp_path) -> None:
    (tmp_path / "file").write_text("x")
    assert chat(monkeypatch, tmp_path / "file", "Why?\n") == 3
    assert capsys.readouterr().err.startswith("anomalyst: ")


def test_an_interrupted_program_says_so_and_the_turn_is_finished_later(monkeypatch, learned_home, part) -> None:
    def stop(talk: Talk, event: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Talk, "_step", stop)
        assert chat(monkeypatch, learned_home, f'inspect "{part}"\n', "--thread", "interrupted") == 130
    finished = InspectionSession(Inspector(Settings(home=learned_home)), "interrupted").resume()
    assert finished is not None
    assert "is anomalous" in finished.text
