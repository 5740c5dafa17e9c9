"""`anomalyst qualify`: the agent as an appraiser. Imports nothing heavy until it is run."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.table import Table


def qualify(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder with good/ and a folder for each kind of defective parts.")
    ],
    product: Annotated[
        str, typer.Option("--product", "-p", envvar="ANOMALYST_PRODUCT", help="Name of a learned product.")
    ],
    repeats: Annotated[int, typer.Option(min=1, max=100, help="How often each part is inspected.")] = 3,
    parts: Annotated[
        int | None, typer.Option(min=2, help="Draw so many parts, good and defective alike; by default all.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="embedded, openai:<model> or google_genai:<model>.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Draws and shuffles parts; models draw by it and those after.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON only.")] = False,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the results; a study that was broken off goes on in it.")
    ] = None,
) -> None:
    """Qualify the agent as an appraiser: an attribute agreement study, as measurement systems analysis asks for."""
    from agent import Inspector, progress_bars, results
    from evals.appraising import Asked, read_parts, run_qualification
    from evals.pages import write_qualification_page

    given: dict[str, Any] = {"model": model} if model else {}
    settings = Inspector(**given).settings
    asked = Asked(
        parts=read_parts(folder, parts, seed),
        product=product,
        repeats=repeats,
        seed=seed,
        out=out or settings.home / "qualification" / product,
    )
    with progress_bars() as progress:
        result = run_qualification(asked, settings, progress)
    page = write_qualification_page(asked.out, result)
    if as_json:
        typer.echo(json.dumps(result))
        return
    results().print(qualification_table(result))
    typer.echo(result["sentence"])
    typer.echo(promises_line(result), err=True)
    typer.echo(f"{page}")


def qualification_table(result: dict[str, Any]) -> "Table":
    """The study's figures for a terminal."""
    from rich.markup import escape
    from rich.table import Table

    study = result["study"]
    title = (
        f"{result['product']}: {study['good']} good and {study['defective']} defective parts, {study['repeats']} times"
    )
    table = Table("figure", "value", "95 % interval", "counted", "limits", "so it is", title=escape(title))
    for name, label, limits in FIGURES:
        figure = study[name]
        table.add_row(
            label,
            _percent(figure["value"]),
            _interval(figure),
            _counted(figure),
            limits,
            _said(figure) if limits else "",
        )
    for name, label in AGREEMENTS:
        found = study[name]
        counted = f"{found['same']} of {found['of']} parts"
        kappa = "-" if found["kappa"] is None else f"kappa {found['kappa']:.3f}"
        table.add_row(label, _percent(found["share"]), _interval(found), counted, "", kappa)
    return table


FIGURES = (
    ("effectiveness", "effectiveness: right every time", ">= 90 %, 80 %"),
    ("miss", "misses", "<= 2 %, 5 %"),
    ("false_alarm", "false alarms", "<= 5 %, 10 %"),
    ("reviews", "left to a person", ""),
)
"""Name in the study, label, and its limits: acceptable, marginal."""

AGREEMENTS = (("within", "agrees with itself"), ("against", "agrees with the reference"))


def promises_line(result: dict[str, Any]) -> str:
    """What it takes to promise a rate."""
    promises = ", ".join(f"{100 * float(rate):g} % {parts:,}" for rate, parts in result["promises"].items())
    return f"Parts without a failure that show, at 95 %, a rate of at most: {promises}."


def _said(figure: dict[str, Any]) -> str:
    if figure["grade"] == "not known":
        return "not known"
    if figure["shown"]:
        return f"{figure['grade']}, shown"
    return f"{figure['grade']}, not shown with so few parts"


def _counted(figure: dict[str, Any]) -> str:
    return f"{figure['hits']} of {figure['of']} {figure['unit']}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"


def _interval(found: dict[str, Any]) -> str:
    return "-" if found["low"] is None else f"{100 * found['low']:.1f} .. {100 * found['high']:.1f} %"
