"""The README is kept by tests: its code runs, its graph is the code's, its commands and settings exist."""

import io
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from agent import Inspector, Settings
from agent.cli import main
from agent.graph import build_graph
from evals.simulated import PLATE, write_plate, write_plates
from knowledge import read_product

README = (Path(__file__).parents[1] / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def blocks(language: str) -> list[str]:
    return [text for kind, text in BLOCKS if kind == language]


@pytest.fixture
def parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that README's examples assume: `good/`, `test/` and `part.png`."""
    write_plates(tmp_path / "good", 24)
    write_plates(tmp_path / "test" / "good", 2, first_seed=300)
    write_plate(tmp_path / "test" / "scratch" / "1.png", 400, "scratch")
    write_plate(tmp_path / "part.png", 1001, "scratch")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_block_is_of_a_kind_that_a_test_runs() -> None:
    assert {kind for kind, _ in BLOCKS} <= {"bash", "python", "mermaid", "yaml"}


def test_the_graph_is_drawn_from_the_code(learned_home: Path) -> None:
    inspector = Inspector(Settings(home=learned_home))
    drawn = build_graph(inspector.workshop, inspector.instruments).get_graph().draw_mermaid()
    assert blocks("mermaid") == [drawn]


def test_the_python_example_runs(parts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for code in blocks("python"):
        exec(compile(code, "README.md", "exec"), {})  # noqa: S102
    assert capsys.readouterr().out.startswith("anomalous 0.04 ")
    assert (parts / "report" / "report.html").is_file()


def test_the_commands_run(parts: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [line for text in blocks("bash") for line in text.splitlines() if line.startswith("anomalyst ")]
    assert len(lines) >= 5
    for line in lines:
        if "bench" in line or "anomalyst eval" in line:
            continue  # minutes; run by the slow tests and by make smoke
        monkeypatch.setattr("sys.argv", shlex.split(line, comments=True))
        monkeypatch.setattr("sys.stdin", io.StringIO("inspect part.png\nwhy?\n"))
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == (1 if "inspect" in line else 0), f"{line}: {capsys.readouterr().err}"


def test_the_product_file_is_one(tmp_path: Path) -> None:
    for number, text in enumerate(blocks("yaml")):
        path = tmp_path / f"{number}.yaml"
        path.write_text(text)
        assert read_product(path).modality


def test_the_make_targets_exist() -> None:
    lines = [line for text in blocks("bash") for line in text.splitlines() if line.startswith("make ")]
    for line in lines:
        subprocess.run(
            [*shlex.split(line, comments=True), "-n"], check=True, capture_output=True, cwd=Path(__file__).parents[1]
        )
    assert {"make demo", "make test"} <= set(lines)


def test_every_command_is_named(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["anomalyst", "--help"])
    with pytest.raises(SystemExit):
        main()
    commands = re.findall(r"^  (\w+)  ", capsys.readouterr().out.partition("Commands:")[2], re.MULTILINE)
    assert len(commands) >= 7
    assert [name for name in commands if f"anomalyst {name}" not in README] == []


def test_every_setting_is_named() -> None:
    missing = [name for name in Settings.model_fields if f"ANOMALYST_{name.upper()}" not in README]
    assert missing == []


def test_the_simulated_plate_is_called_simulated() -> None:
    assert "simulated" in PLATE.description
    assert "simulated plate" in README
