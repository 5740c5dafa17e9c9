"""What people see in a terminal: progress on stderr, tables and reports on stdout."""

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markdown import Markdown
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from agent.exports.markdown import markdown_text
from agent.report import InspectionReport
from knowledge import AnomalystError
from tools import Progress as Tell

if TYPE_CHECKING:
    from agent.checkup import Check
    from agent.demo import Inspected
    from agent.session import InspectionSession

_COLOURS = {"normal": "green", "anomalous": "red", "review": "yellow"}


def results() -> Console:
    """Where results go; without a terminal as wide as its content needs."""
    console = Console()
    return console if console.is_terminal else Console(width=240)


@contextmanager
def progress_bars(*, quiet: bool = False) -> Iterator[Tell]:
    """A bar for each kind of work, on stderr, from the first that is told of; `quiet` shows none."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    progress = Progress(*columns, console=Console(stderr=True), disable=quiet)
    bars: dict[str, TaskID] = {}

    def tell(what: str, done: int, total: int) -> None:
        if what not in bars:
            bars[what] = progress.add_task(what, total=total)
            progress.start()
        progress.update(bars[what], completed=done, total=total)

    try:
        yield tell
    finally:
        if bars:
            progress.stop()


def print_report(report: InspectionReport, page: Path, *, brief: bool) -> None:
    """One line for one part of many; the whole report for a single one."""
    console = results()
    if brief:
        name = _harmless(report.inputs[0].name)
        finding = _harmless(report.findings[0].title) if report.findings else "no finding"
        p_value = "-" if report.decision.p_value is None else f"{report.decision.p_value:.4g}"
        console.print(f"{_verdict(report)}  {name}  p = {p_value}  {finding}  {page}", soft_wrap=True, highlight=False)
        return
    console.print(Markdown(markdown_text(report)))
    console.print(str(page), soft_wrap=True, highlight=False, markup=False)


def demo_table(inspected: "Sequence[Inspected]") -> Table:
    table = Table("part", "truth", "verdict", "p-value", "main finding")
    for item in inspected:
        finding = _harmless(item.report.findings[0].title) if item.report.findings else "-"
        p_value = "-" if item.report.decision.p_value is None else f"{item.report.decision.p_value:.4f}"
        table.add_row(item.name, item.truth, _verdict(item.report), p_value, finding)
    return table


def products_table(rows: Sequence[dict[str, Any]]) -> Table:
    table = Table("product", "version", "references", "calibrated on", "alpha", "rules", "state")
    for row in rows:
        facts = [str(row.get(key, "-")) for key in ("version", "references", "calibration", "alpha", "rules")]
        state = row["state"] if row["state"] != "ready" or row["promised"] else row["promise"]
        table.add_row(escape(row["product"]), *facts, escape(state))
    return table


def checkup_table(checks: "Sequence[Check]") -> Table:
    colours = {"fine": "green", "absent": "yellow", "broken": "red"}
    table = Table("what", "state", "found")
    for check in checks:
        table.add_row(check.what, f"[{colours[check.state]}]{check.state}[/]", escape(check.found))
    return table


def asked_lines() -> Iterator[str]:
    """Lines that a person types, or that come from a pipe, until they end."""
    console = Console(stderr=True)
    while True:
        try:
            yield console.input("[bold]> [/]") if sys.stdin.isatty() else _piped()
        except (EOFError, KeyboardInterrupt):
            return


def _piped() -> str:
    line = sys.stdin.readline()
    if not line:
        raise EOFError
    results().print(f"> {line.rstrip()}", markup=False, highlight=False)
    return line


def json_lines(session: "InspectionSession", lines: Iterable[str]) -> None:
    """Answer line by line, each answer one line of JSON on stdout."""
    from agent.chat.talk import typed

    for line in lines:
        said = typed(line)
        if said.command in ("/quit", "/exit"):
            return
        if not line.strip():
            continue
        try:
            print_line(session.say("help" if said.command == "/help" else said.words, said.files).model_dump_json())
        except AnomalystError as error:
            print_line(json.dumps({"error": str(error)}, ensure_ascii=False))


def print_line(text: str) -> None:
    """One line of output that scripts read, letter for letter."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _harmless(text: str) -> str:
    """Words from outside can neither steer a terminal nor colour it."""
    return escape("".join(letter if letter.isprintable() else " " for letter in text))


def _verdict(report: InspectionReport) -> str:
    return f"[{_COLOURS[report.verdict]}]{report.verdict}[/]"
