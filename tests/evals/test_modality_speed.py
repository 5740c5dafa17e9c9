"""The command that measures large assets, with small ones: what it says, and that it measured something."""

import json
import math
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from evals import modality_speed
from evals.modality_speed import SMALL, Line, measure, speed_table

has_proc = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory by /proc")


@pytest.fixture(scope="module")
def result() -> dict[str, Any]:
    return measure(SMALL)


@pytest.mark.slow
def test_every_figure_is_positive_and_stands_beside_its_goal(result: dict[str, Any]) -> None:
    lines = result["lines"]
    assert all(math.isfinite(line["seen"]) and line["seen"] > 0 for line in lines)
    assert [line["goal"] for line in lines if line["unit"] == "s" and line["goal"]][:2] == [1.0, 20.0]
    pictures = [line for line in lines if line["what"].startswith("picture")]
    assert len(pictures) == 2
    assert {line["goal"] for line in lines if line["unit"] == "MB"} == {None, 1000.0}
    assert all((line["ratio"] is None) == (line["goal"] is None) for line in lines)
    assert "9 views, and 2 more" in lines[0]["what"]
    assert result["doubts"] == []
    assert result["cores"] == os.cpu_count()
    assert json.loads(json.dumps(result)) == result


@pytest.mark.slow
@has_proc
def test_memory_of_both_processes_is_seen(result: dict[str, Any]) -> None:
    seen = {line["what"].rpartition(": ")[2]: line["seen"] for line in result["lines"] if line["goal"] == 1000}
    assert set(seen) == {"peak beyond start", "peak of the decoding process"}
    # what an interpreter with PyAV takes, and no multiple of it, whatever started it
    assert 20 < seen["peak of the decoding process"] < 300


@has_proc
def test_memory_is_that_at_most_and_not_that_of_who_started_it() -> None:
    before = modality_speed._memory_mb("VmHWM")
    taken = bytearray(b"x") * 100_000_000
    assert modality_speed._memory_mb("VmRSS") >= len(taken) / 1e6
    del taken
    assert modality_speed._memory_mb("VmHWM") >= before
    assert modality_speed._alone(modality_speed._memory_mb, "VmHWM") < modality_speed._memory_mb("VmHWM") + 100


def test_the_table_has_a_line_a_figure_and_says_how_far_a_goal_is() -> None:
    lines = [Line("cloud", "s", 0.5, 1.0).about(), Line("video", "MB", 62.664).about()]
    columns = [list(column.cells) for column in speed_table({"lines": lines}).columns]
    assert columns == [["cloud", "video"], ["1 s", "-"], ["0.5 s", "62.66 MB"], ["0.50", "-"]]


def test_the_command_prints_json(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    given = []
    monkeypatch.setattr(modality_speed, "measure", lambda sizes: given.append(sizes) or {"lines": []})
    monkeypatch.setattr(sys, "argv", ["modality_speed", "--json", "--small"])
    modality_speed.main()
    assert json.loads(capsys.readouterr().out) == {"modality_speed": {"lines": []}}
    assert given == [SMALL]
