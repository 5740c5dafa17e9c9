"""What the agent costs beside its instruments, and what starting costs. Run as `python -m evals.overhead`."""

import json
import os
import resource
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from agent import InspectionReport, Inspector, Settings, canonical
from evals.simulated import PLATE, write_plate, write_plates
from tools import STAGES

INSPECTIONS = 12

_IMPORTS = {
    "import agent": "import agent",
    "from agent import Inspector": "from agent import Inspector",
    "import torch": "import torch",
    "open3d": "from tools import import_open3d; import_open3d()",
    "backbone with weights": "from tools import load_backbone; load_backbone()",
}


def agent_overhead() -> dict[str, Any]:
    """An inspection minus its tools, by the step; and what its state weighs."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        inspector = Inspector(Settings(home=home))
        inspector.enroll(PLATE, write_plates(Path(folder) / "good", 30))
        warm = write_plate(Path(folder) / "warm.png", 2000, "scratch")
        repeats = {canonical(inspector.inspect(warm, PLATE.name)) for _ in range(3)}
        beside, whole = [], []
        for number in range(INSPECTIONS):
            part = write_plate(Path(folder) / f"part{number}.png", 3000 + number, "scratch" if number % 2 else "")
            start = time.perf_counter()
            report = inspector.inspect(part, PLATE.name)
            seconds = time.perf_counter() - start
            whole.append(seconds)
            beside.append((seconds - _seconds_of_tools(report)) / report.usage.steps)
        largest = _largest_checkpoint(home / "threads.sqlite")
    return {
        "inspections": INSPECTIONS,
        "seconds_per_inspection": round(statistics.median(whole), 4),
        "overhead_ms_per_step": round(1000 * statistics.median(beside), 1),
        "repeats_byte_identical": len(repeats) == 1,
        "largest_checkpoint_kb": round(largest / 1024, 1),
    }


def _seconds_of_tools(report: InspectionReport) -> float:
    """Of each stage the longest step: they run together, and wait for what one of them works out for all."""
    stages: dict[int, float] = {}
    for record in report.evidence:
        stage = STAGES[record.tool]
        stages[stage] = max(stages.get(stage, 0.0), record.seconds)
    return sum(stages.values())


def start_costs() -> dict[str, float]:
    """CPU seconds of importing, each in a fresh interpreter, less those of the bare interpreter; median of three."""
    bare = _cpu_seconds([sys.executable, "-c", "pass"])
    costs = {name: round(_cpu_seconds([sys.executable, "-c", code]) - bare, 2) for name, code in _IMPORTS.items()}
    script = Path(sys.executable).parent / "anomalyst"
    return {**costs, "anomalyst --help": round(_cpu_seconds([str(script), "--help"]), 2)}


def _cpu_seconds(command: list[str]) -> float:
    spent = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - our own interpreter
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return statistics.median(spent)


def _largest_checkpoint(path: Path) -> int:
    with sqlite3.connect(path) as threads:
        return int(threads.execute("SELECT max(length(checkpoint)) FROM checkpoints").fetchone()[0])


def main() -> None:
    result = {"overhead": agent_overhead(), "cpu_seconds": start_costs(), "cores": os.cpu_count()}
    print(json.dumps(result))  # noqa: T201


if __name__ == "__main__":
    main()
