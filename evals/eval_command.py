"""`anomalyst eval`: a suite through the agent. Imports nothing heavy until it is run."""

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import typer

from knowledge import RequestError, write_atomically

if TYPE_CHECKING:
    from agent import Settings
    from evals.cases import Case, Suite
    from evals.comparing import Comparison
    from evals.inspect_task import Ran, Scores
    from evals.judge import Judge, JudgedRun
    from evals.running import Evaluation
    from tools import Progress

EXIT_GATE = 1


class Options(NamedTuple):
    """How a suite is run."""

    workers: int = 2
    seed: int = 0
    pages: Literal["all", "wrong", "none"] = "wrong"
    limit: int | None = None
    tags: str = ""
    compare: Path | None = None
    gate: Path | None = None
    retry_failed: bool = False
    judge: str | None = None
    judge_labels: Path | None = None


class Asked(NamedTuple):
    """What is evaluated, and where results go."""

    suite: "Suite"
    """With the cases that were chosen."""
    folder: Path
    out: Path
    settings: "Settings"
    options: Options = Options()
    judge: "Judge | None" = None


def evaluate(
    suite: Annotated[str, typer.Argument(metavar="SUITE", help="Name of a shipped suite, or a suite's folder.")],
    model: Annotated[str | None, typer.Option(help="embedded, openai:<model> or google_genai:<model>.")] = None,
    base_url: Annotated[str | None, typer.Option(help="Address of an OpenAI-compatible server.")] = None,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Cases at a time.")] = 2,
    limit: Annotated[int | None, typer.Option(min=1, help="Draw so many cases from all kinds of parts.")] = None,
    tags: Annotated[str, typer.Option(help="Only cases with one of these tags, with commas.")] = "",
    out: Annotated[
        Path | None, typer.Option(help="Folder for the results; what stands there already is not run again.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Draws the parts of shipped suites, cases, and intervals.")] = 0,
    compare: Annotated[Path | None, typer.Option(help="Folder of an earlier run to compare with.")] = None,
    gate: Annotated[Path | None, typer.Option(help="File of gates; exit code 1 where one is not passed.")] = None,
    pages: Annotated[
        Literal["all", "wrong", "none"],
        typer.Option(help="Cases whose reports are kept; wrong means wrong, review, and the first 50."),
    ] = "wrong",
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Run cases again that could not be run.")
    ] = False,
    judge: Annotated[
        str | None,
        typer.Option(
            help="Grades answers in words too: openai:<model>, openai:<model>@<address> or google_genai:<model>."
        ),
    ] = None,
    judge_labels: Annotated[
        Path | None, typer.Option(help="A judged.jsonl with person filled in: how far the judge agrees with people.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON only.")] = False,
) -> None:
    """Run a suite of cases through the agent and score what it found, said and did; a run that broke off goes on."""
    from agent import progress_bars
    from evals.inspect_task import require_inspect_ai

    require_inspect_ai()
    models = {name: value for name, value in (("model", model), ("base_url", base_url)) if value is not None}
    options = Options(workers, seed, pages, limit, tags, compare, gate, retry_failed, judge, judge_labels)
    asked = ask(suite, models, out, options)
    try:
        with progress_bars() as progress:
            summary, ran, comparison = run_evaluation(asked, progress)
    except KeyboardInterrupt:
        typer.echo(f"stopped; what is finished is kept in {asked.out}", err=True)
        raise typer.Abort from None
    gates = _gates(asked, summary, comparison)
    if as_json:
        typer.echo(json.dumps({**summary, **_compared(comparison), **({"gates": gates} if asked.options.gate else {})}))
    else:
        _show(asked, summary, ran, comparison, gates)
    if any(not found["ok"] for found in gates):
        raise typer.Exit(EXIT_GATE)


def run_evaluation(asked: Asked, progress: "Progress") -> "tuple[dict[str, Any], Ran, Comparison | None]":
    """Learn, run, score, judge, and write results, log and page; returns summary, what was run, and the comparison."""
    from evals.comparing import compare
    from evals.inspect_task import run_suite
    from evals.pages import write_page
    from evals.running import Evaluation
    from evals.scorers import score_case
    from evals.store import ResultStore

    begun = time.perf_counter()
    with ResultStore(asked.out) as store:
        evaluation = Evaluation(asked.suite, asked.folder, asked.out, asked.settings, asked.options.pages)
        evaluation.prepare(progress)
        ran = run_suite(
            asked.suite.cases,
            evaluation,
            store,
            lambda case, result, results: score_case(case, result, results, asked.folder),
            _head(asked, evaluation),
            workers=asked.options.workers,
            retry_failed=asked.options.retry_failed,
            progress=progress,
        )
        summary = summary_of(asked, ran, round(time.perf_counter() - begun, 3))
        judged = _judged(asked, ran, progress)
        if judged is not None:
            summary["judge"] = judged.summary
        store.finish(ran.results.values(), _all_scores(ran, judged), summary)
    comparison = compare(asked.options.compare, asked.out, asked.options.seed) if asked.options.compare else None
    write_page(asked.out, asked.suite, comparison)
    return summary, ran, comparison


def summary_of(asked: Asked, ran: "Ran", wall_seconds: float) -> dict[str, Any]:
    """The whole in plain values: what `summary.json` holds and `--json` prints."""
    from evals.running import INSPECTING, code_version
    from evals.summaries import baselines_of, figures_of, spent
    from evals.whole_suite import whole_suite

    return {
        "suite": asked.suite.name,
        "version": asked.suite.version,
        "model": asked.settings.model,
        "code": code_version(*INSPECTING),
        "seed": asked.options.seed,
        "cases": len(ran.results),
        **spent(ran.results.values()),
        "wall_seconds": wall_seconds,
        "taken_over": ran.taken_over,
        "scores": figures_of(ran.scores.values(), asked.options.seed),
        "whole": whole_suite(asked.suite.cases, ran.results),
        "baselines": baselines_of(asked.suite.cases, ran.results, asked.folder, asked.options.seed),
        "log": ran.log.relative_to(asked.out.absolute()).as_posix(),
    }


def ask(name: str, models: dict[str, Any], out: Path | None, options: Options) -> Asked:
    """Everything that can be wrong with what is asked is found before anything is learned or run."""
    from agent import Inspector
    from evals.cases import read_suite
    from evals.comparing import read_run
    from evals.gates import read_gates
    from evals.judge import read_judgements

    settings = Inspector(**models).settings
    judge = _judge(options, settings)
    if options.gate is not None:
        read_gates(options.gate)
    if options.compare is not None:
        read_run(options.compare)
    folder = suite_folder(name, settings.home, options.seed)
    suite = read_suite(folder)
    suite = suite.model_copy(update={"cases": _chosen(suite.cases, options)})
    where = (out or settings.home / "evals" / suite.name).absolute()
    if judge is not None:
        read_judgements(where)
    return Asked(suite, folder, where, settings, options, judge)


def suite_folder(name: str, home: Path, seed: int) -> Path:
    """A suite's folder; a shipped one is built where it is missing or the program that draws it has changed."""
    from evals.running import code_version
    from evals.suites import SUITES, build_suite

    if name not in SUITES:
        if not Path(name).is_dir():
            raise RequestError(f"{name}: there is no such folder, and no such suite; shipped are {', '.join(SUITES)}")
        return Path(name).absolute()
    folder = home / "evals" / "suites" / f"{name}-{seed}"
    marker, code = folder / ".built", code_version("evals", "agent", "knowledge").encode()
    if not marker.is_file() or marker.read_bytes() != code:
        build_suite(name, folder, seed)
        write_atomically(marker, code)
    return folder


def _chosen(cases: "tuple[Case, ...]", options: Options) -> "tuple[Case, ...]":
    from evals.choosing import drawn

    wanted = {tag.strip() for tag in options.tags.split(",") if tag.strip()}
    known = {tag for case in cases for tag in case.tags}
    if strangers := wanted - known:
        raise RequestError(f"there is no tag {min(strangers)!r} here; known are {', '.join(sorted(known)) or 'none'}")
    found = tuple(case for case in cases if not wanted or wanted & set(case.tags))
    if not found:
        raise RequestError("the suite holds no cases")
    return drawn(found, options.limit or len(found), options.seed)


def _judge(options: Options, settings: "Settings") -> "Judge | None":
    if options.judge is None:
        if options.judge_labels is not None:
            raise RequestError("--judge-labels tells how far a judge agrees with people; name one with --judge")
        return None
    from evals.judge import Judge, read_labels

    if options.judge_labels is not None:
        read_labels(options.judge_labels)
    return Judge(options.judge, settings)


def _judged(asked: Asked, ran: "Ran", progress: "Progress") -> "JudgedRun | None":
    from evals.judge import judge_run, read_labels

    if asked.judge is None:
        return None
    options = asked.options
    return judge_run(
        asked.judge,
        asked.suite.cases,
        ran.results,
        asked.out,
        read_labels(options.judge_labels) if options.judge_labels else (),
        workers=options.workers,
        seed=options.seed,
        progress=progress,
    )


def _all_scores(ran: "Ran", judged: "JudgedRun | None") -> "dict[str, Scores]":
    """Of each case, those of code and, marked by their name, those of the judge."""
    return {case: {**of_case, **(judged.scores[case] if judged else {})} for case, of_case in ran.scores.items()}


def _head(asked: Asked, evaluation: "Evaluation") -> Any:
    from evals.inspect_task import Head

    told = evaluation.settings
    names = {"model": told.model, "planner": told.planner, "reasoner": told.reasoner, "second": told.second_reasoner}
    models = {role: name for role, name in names.items() if name}
    return Head(asked.suite.name, asked.suite.description, asked.suite.version, models)


def _compared(comparison: "Comparison | None") -> dict[str, Any]:
    from evals.comparing import comparison_json

    return {"comparison": comparison_json(comparison)} if comparison else {}


def _gates(asked: Asked, summary: dict[str, Any], comparison: "Comparison | None") -> list[dict[str, Any]]:
    from evals.gates import check_gates

    if asked.options.gate is None:
        return []
    return [{**found._asdict(), "ok": found.ok} for found in check_gates(asked.options.gate, summary, comparison)]


def _show(
    asked: Asked, summary: dict[str, Any], ran: "Ran", comparison: "Comparison | None", gates: list[dict[str, Any]]
) -> None:
    from agent import results
    from evals.comparing import comparison_tables
    from evals.judge import judge_lines, judge_table
    from evals.pages import PAGE_FILE
    from evals.summaries import spent_line, summary_table, whole_line

    console = results()
    console.print(summary_table(summary))
    if asked.judge is not None:
        console.print(judge_table(summary["judge"]))
    if comparison is not None:
        for table in comparison_tables(comparison):
            console.print(table)
        for warning in comparison.warnings:
            typer.echo(warning, err=True)
    for found in gates:
        typer.echo(f"{'' if found['ok'] else 'NOT '}passed: {found['gate']}: {found['sentence']}")
    typer.echo(whole_line(summary))
    typer.echo(spent_line(summary))
    for line in judge_lines(summary["judge"], asked.out) if asked.judge is not None else ():
        typer.echo(line)
    typer.echo(f"{asked.out / PAGE_FILE}")
    typer.echo(f"{ran.log}")
    typer.echo(f"inspect view --log-dir {ran.log.parent}", err=True)
