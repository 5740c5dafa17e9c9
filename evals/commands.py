"""Commands of this floor; `agent.cli` finds them by entry point. Imports nothing heavy until one is run."""

import json
from typing import Annotated

import typer


def bench(
    source: Annotated[
        str,
        typer.Argument(
            metavar="DIR", help="Folder of MVTec-style sets, or `solar_cells` for the demo package's cells."
        ),
    ] = "solar_cells",
    sets: Annotated[str, typer.Option(help="Names of sets, with commas; by default all.")] = "",
    backbone: Annotated[str, typer.Option(help="Name of the backbone.")] = "efficientnet_lite0",
    weights: Annotated[str | None, typer.Option(help="Checkpoint file of the backbone.")] = None,
    seed: Annotated[int, typer.Option(help="Draws splits and memories.")] = 0,
    peers: Annotated[
        str, typer.Option(help="Peers to run as well, with commas: patchcore, padim (see `make peers`).")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON only.")] = False,
) -> None:
    """Measure detection, localisation, false alarms and speed on folders of labelled parts."""
    from agent import progress_bars, results
    from evals.benchmark import run_benchmark
    from evals.tables import benchmark_table, false_alarm_table, peer_table, protocol_line
    from tools import LocalizerSettings

    wanted, rivals = ([name for name in given.split(",") if name] for given in (sets, peers))
    settings = LocalizerSettings(backbone=backbone, weights=weights, seed=seed)
    with progress_bars() as progress:
        result = run_benchmark(source, wanted, settings, progress, rivals)
    if as_json:
        typer.echo(json.dumps(result))
        return
    console = results()
    tables = (benchmark_table, false_alarm_table, *([peer_table] if rivals else []))
    for table in tables:
        console.print(table(result, markdown=not console.is_terminal))
    typer.echo(protocol_line(result))
