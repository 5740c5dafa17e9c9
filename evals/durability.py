"""Kill inspections at random moments, go on with them, and see whether the reports are the same.

Run as `python -m evals.durability`. Each inspection of a simulated plate runs in a process of its own, which is killed
by SIGKILL at a random moment, up to three times, and then left to finish on the same thread.
"""

import argparse
import json
import multiprocessing
import os
import random
import signal
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from agent import InspectionReport, Inspector, Settings, canonical
from evals.simulated import PLATE, write_plate, write_plates
from tools import load_backbone

KILLS_PER_INSPECTION = 3

# A forked child starts with modules and weights loaded; with one thread there is no pool that a fork could break.
_PROCESSES = multiprocessing.get_context("fork")


def measure(inspections: int, seed: int) -> dict[str, Any]:
    """Counts of kills, of inspections, and of reports that equal the undisturbed one."""
    draw = random.Random(seed)  # noqa: S311 - moments of death, not secrets
    torch.set_num_threads(1)
    load_backbone()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        part = write_plate(Path(folder) / "part.png", 1001, "scratch")
        _in_child(lambda: _enroll(home, write_plates(Path(folder) / "good", 30)))
        start = time.monotonic()
        _in_child(lambda: _inspect(home, part, "undisturbed"))
        duration = time.monotonic() - start
        kills = sum(_kill_and_finish(home, part, f"t{number}", duration, draw) for number in range(inspections))
        expected = _report(home, "undisturbed")
        same = sum(_report(home, f"t{number}") == expected for number in range(inspections))
        with sqlite3.connect(home / "threads.sqlite") as threads:
            intact = threads.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    return {
        "inspections": inspections,
        "kills": kills,
        "same_report": same,
        "database_intact": intact,
        "seconds_undisturbed": round(duration, 2),
        "seed": seed,
    }


def _kill_and_finish(home: Path, part: Path, thread: str, duration: float, draw: random.Random) -> int:
    """Kill an inspection a few times, then let it finish; returns how often the kill came before its end."""
    kills = 0
    for _ in range(KILLS_PER_INSPECTION):
        child = _PROCESSES.Process(target=_inspect, args=(home, part, thread))
        child.start()
        child.join(draw.uniform(0, duration))
        if child.is_alive() and child.pid is not None:
            os.kill(child.pid, signal.SIGKILL)
            kills += 1
        child.join()
    _in_child(lambda: _inspect(home, part, thread))
    return kills


def _in_child(work: Callable[[], None]) -> None:
    child = _PROCESSES.Process(target=work)
    child.start()
    child.join()
    if child.exitcode != 0:
        raise RuntimeError(f"a child ended with exit code {child.exitcode}")


def _enroll(home: Path, plates: list[Path]) -> None:
    Inspector(Settings(home=home)).enroll(PLATE, plates)


def _inspect(home: Path, part: Path, thread: str) -> None:
    inspector = Inspector(Settings(home=home))
    report = inspector.inspect(part, PLATE.name, thread_id=thread)
    inspector.write(report, home / "reports" / thread)


def _report(home: Path, thread: str) -> bytes:
    return canonical(InspectionReport.model_validate_json((home / "reports" / thread / "report.json").read_bytes()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inspections", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    result = measure(arguments.inspections, arguments.seed)
    print(json.dumps({"durability": result}))  # noqa: T201
    sys.exit(0 if result["same_report"] == result["inspections"] and result["database_intact"] else 1)


if __name__ == "__main__":
    main()
