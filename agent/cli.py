"""The command line. Results go to stdout, progress and messages to stderr; every command imports only what it runs.

Exit codes: 0 normal (or done), 1 anomalous, 2 review, 3 input or usage error, 4 a bug of ours.
"""

import functools
import json
import os
import sys
import traceback
import uuid
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from agent.command_options import Alpha, AsJson, ProductName, ReportFolder, load_inspector, load_settings
from agent.learning_commands import adapt, enroll, fetch
from knowledge import AnomalystError

if TYPE_CHECKING:
    from agent.inspection import Inspector
    from agent.report import InspectionReport

EXIT_CODES = {"normal": 0, "anomalous": 1, "review": 2}
EXIT_INPUT = 3
EXIT_BUG = 4

app = typer.Typer(
    name="anomalyst",
    help="Inspect parts: calibrated anomaly localisation, claims checked by code, a report an engineer can sign.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.command()
def demo(
    modality: Annotated[
        Literal["image", "depth", "point_cloud", "time_series", "video", "all"],
        typer.Option(help="Pictures are real solar cells; the others are simulated."),
    ] = "image",
    out: Annotated[Path | None, typer.Option(help="Folder for the reports.")] = None,
    as_json: AsJson = False,
) -> None:
    """Learn parts, inspect some never seen, and show the reports."""
    from agent.demo import demos_of, run_demo
    from agent.terminal import demo_table, progress_bars, results

    settings = load_settings()
    folder = out or settings.home / "demo" / "reports"
    shown = []
    for kind in demos_of(modality):
        with progress_bars() as progress:
            result = run_demo(settings, kind, folder / kind if modality == "all" else folder, progress)
        rows = [{"part": i.name, "truth": i.truth, **_summary(i.report, i.page)} for i in result.inspected]
        shown.append({"modality": kind, "parts": rows, "index": str(result.overview)})
        if not as_json:
            results().print(demo_table(result.inspected))
            typer.echo(result.note, err=True)
            typer.echo(f"{result.overview}")
    if as_json:
        typer.echo(json.dumps(shown if modality == "all" else shown[0]))


app.command()(enroll)
app.command()(adapt)


@app.command()
def inspect(
    paths: Annotated[list[Path], typer.Argument(help="Pictures, scans, recordings or videos of parts.")],
    product: ProductName,
    model: Annotated[str | None, typer.Option(help="embedded, openai:<model> or google_genai:<model>.")] = None,
    base_url: Annotated[str | None, typer.Option(help="Address of an OpenAI-compatible server.")] = None,
    second: Annotated[
        str | None, typer.Option(help="A second reasoner; openai:<model>@<address> has its own server.")
    ] = None,
    fallback: Annotated[
        list[str] | None, typer.Option(help="Who is asked where the model gives no answer; may be repeated.")
    ] = None,
    without: Annotated[
        list[str] | None, typer.Option(help="Leave out of what reasoners are told: task, context, rules or references.")
    ] = None,
    alpha: Alpha = None,
    out: ReportFolder = None,
    thread: Annotated[str, typer.Option(help="Go on with this inspection where it was broken off.")] = "",
    together: Annotated[
        bool, typer.Option("--together", help="All paths show one part: one verdict for them.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Inspect parts; the exit code is the worst verdict: 0 normal, 1 anomalous, 2 review, 3 input error."""
    from agent.terminal import print_report, progress_bars

    parts = [paths] if together else [[path] for path in paths]
    if thread and len(parts) > 1:
        raise typer.BadParameter("one thread holds one inspection; give one path with --thread, or --together")
    inspector = load_inspector(
        model=model, base_url=base_url, second_reasoner=second, fallback=fallback, conditions=_without(without)
    )
    folder = out or inspector.settings.home / "reports"
    worst = 0
    with progress_bars(quiet=len(parts) == 1) as progress:
        for done, part in enumerate(parts):
            progress("inspecting", done, len(parts))
            options = {"alpha": alpha, "thread_id": thread or uuid.uuid4().hex}
            if len(parts) == 1 and sys.stderr.isatty():
                typer.echo(f"if this is broken off, go on with: --thread {options['thread_id']}", err=True)
            report, page, code = _inspect_one(inspector, part, product, folder, options)
            worst = max(worst, code)
            if as_json:
                typer.echo(report.model_dump_json())
            elif code != EXIT_INPUT:
                print_report(report, page, brief=len(parts) > 1)
        progress("inspecting", len(parts), len(parts))
    raise typer.Exit(worst)


@app.command()
def chat(
    product: Annotated[
        str,
        typer.Option(
            "--product", "-p", envvar="ANOMALYST_PRODUCT", help="What the parts are, unless words say otherwise."
        ),
    ] = "",
    thread: Annotated[str, typer.Option(help="Go on with this conversation.")] = "",
    model: Annotated[str | None, typer.Option(help="embedded, openai:<model> or google_genai:<model>.")] = None,
    base_url: Annotated[str | None, typer.Option(help="Address of an OpenAI-compatible server.")] = None,
    second: Annotated[str | None, typer.Option(help="A second reasoner for inspections.")] = None,
    out: ReportFolder = None,
    as_json: AsJson = False,
) -> None:
    """Talk about parts: attach files, ask, look closer. Lines come from the terminal, or from a pipe."""
    from agent.chat.talk import Talk
    from agent.session import InspectionSession
    from agent.terminal import asked_lines, json_lines, print_line, results

    inspector = load_inspector(model=model, base_url=base_url, second_reasoner=second)
    session = InspectionSession(inspector, thread, product)
    folder = (out or inspector.settings.home / "reports") / session.thread
    unfinished = session.resume()
    if as_json:
        if unfinished:
            print_line(unfinished.model_dump_json())
        json_lines(session, sys.stdin)
        return
    talk = Talk(session, results(), folder)
    for earlier in session.history() if thread else ():
        typer.echo(f"> {earlier.text}" if earlier.who == "person" else earlier.text)
    if not thread or unfinished:
        typer.echo(f"thread {session.thread}; /help says what can be asked, /quit leaves", err=True)
    talk.lines(asked_lines())


@app.command()
def products(as_json: AsJson = False) -> None:
    """List the products that are known, and what has been learned of them."""
    from agent.enrolment import known_products
    from agent.terminal import products_table, results

    rows = known_products(load_settings())
    if as_json:
        typer.echo(json.dumps(rows))
    else:
        results().print(products_table(rows))


@app.command()
def schema(of: Annotated[Literal["report", "product"], typer.Argument(help="Which record.")] = "report") -> None:
    """Print the JSON Schema of the report, or of product.yaml."""
    from agent.report import report_schema
    from knowledge import Product

    typer.echo(json.dumps(report_schema() if of == "report" else Product.model_json_schema(), indent=1))


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Check this machine: packages, weights, home, keys."""
    from agent.checkup import checkup
    from agent.terminal import checkup_table, results

    checks = checkup(load_settings())
    if as_json:
        typer.echo(json.dumps([check._asdict() for check in checks]))
    else:
        results().print(checkup_table(checks))
    raise typer.Exit(EXIT_INPUT if any(check.state == "broken" for check in checks) else 0)


app.command()(fetch)


def main() -> None:
    """Run the command line; the one place where errors become exit codes."""
    # torch reads this once. Without huge pages, what each picture takes often goes back to the system after it, and is
    # taken anew for the next one page by page: the network then took half as long again.
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    _add_commands_of_other_floors()
    try:
        code = app(standalone_mode=False)
    except typer.TyperException as error:
        typer.echo(f"anomalyst: {error.format_message()}", err=True)
        sys.exit(EXIT_INPUT)
    except AnomalystError as error:
        typer.echo(f"anomalyst: {error}", err=True)
        sys.exit(EXIT_INPUT)
    except typer.Abort:
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(EXIT_INPUT)
    except Exception:  # a bug of ours: loud, with its trace, under a code of its own
        traceback.print_exc()
        sys.exit(EXIT_BUG)
    sys.exit(code if isinstance(code, int) else 0)


def _inspect_one(
    inspector: "Inspector", part: list[Path], product: str, folder: Path, options: dict[str, Any]
) -> "tuple[InspectionReport, Path, int]":
    """The report of one part, its page, and its exit code; a part that cannot be inspected gets a record too."""
    from agent.report import rejected_report
    from tools import clean_name

    try:
        report = inspector.inspect(part, product, **options)
    except AnomalystError as error:
        typer.echo(f"anomalyst: {error}", err=True)
        request = {
            "inspection_id": options["thread_id"],
            "product": product,
            "model": inspector.settings.model,
            **options,
        }
        names = [clean_name(path.name) for path in part]
        return rejected_report(request, names, str(error)), folder, EXIT_INPUT
    try:
        return report, inspector.write(report, folder / report.inspection_id), EXIT_CODES[report.verdict]
    except AnomalystError as error:
        typer.echo(f"anomalyst: {error}; the inspection is kept in thread {options['thread_id']}", err=True)
        return report, folder, EXIT_INPUT


def _summary(report: "InspectionReport", page: Path) -> dict[str, Any]:
    finding = report.findings[0].title if report.findings else None
    return {"verdict": report.verdict, "p_value": report.decision.p_value, "finding": finding, "page": str(page)}


def _without(left_out: list[str] | None) -> tuple[str, ...] | None:
    from agent.request import CONDITIONS

    strangers = set(left_out or ()) - set(CONDITIONS)
    if strangers:
        raise typer.BadParameter(f"there is no condition {min(strangers)!r}; expected {', '.join(CONDITIONS)}")
    return tuple(name for name in CONDITIONS if name not in left_out) if left_out else None


def _add_commands_of_other_floors() -> None:
    """Floors above this one bring their commands by entry point, so that nothing here imports upwards."""
    for entry in entry_points(group="anomalyst.commands"):
        app.command(entry.name)(_on_device(entry.load()))


def _on_device(command: Callable[..., None]) -> Callable[..., None]:
    """A command that may load networks without an inspector, which brings the device of the settings elsewhere.

    A device that cannot be used is refused before anything long begins.
    """

    @functools.wraps(command)
    def run(*given: Any, **options: Any) -> None:
        from tools import choose_device, usable_device

        device = load_settings().device
        choose_device(device)
        usable_device(device)
        command(*given, **options)

    return run
