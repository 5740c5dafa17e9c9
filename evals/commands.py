"""Commands of this floor; `agent.cli` finds them by entry point. Imports nothing heavy until one is run."""

import json
from typing import Annotated

import typer

from knowledge import RequestError


def bench(
    source: Annotated[
        str,
        typer.Argument(
            metavar="DIR", help="Folder of MVTec AD, of VisA, or like either; or `solar_cells` for the demo package's."
        ),
    ] = "solar_cells",
    sets: Annotated[str, typer.Option(help="Names of sets, with commas; by default all.")] = "",
    backbone: Annotated[str, typer.Option(help="Name of the backbone.")] = "efficientnet_lite0",
    weights: Annotated[str | None, typer.Option(help="Checkpoint file of the backbone.")] = None,
    prompts: Annotated[str, typer.Option(help="shipped, none, or a file of prompts.")] = "shipped",
    looks: Annotated[
        str, typer.Option(help="Sides of the inputs, coarse first, with commas; chosen where empty.")
    ] = "",
    seed: Annotated[int, typer.Option(min=0, help="Draws splits and memories.")] = 0,
    peers: Annotated[
        str, typer.Option(help="Peers to run as well, with commas: patchcore, padim (see `make peers`).")
    ] = "",
    shots: Annotated[
        str, typer.Option(help="Learn from so few references instead, such as 1,2,4; no false alarms then.")
    ] = "",
    draws: Annotated[int, typer.Option(help="With --shots: how often the references are drawn.")] = 3,
    ablate: Annotated[
        bool, typer.Option("--ablate", help="What each part of the localiser is worth instead; many minutes.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON only.")] = False,
) -> None:
    """Measure detection, localisation, false alarms and speed on folders of labelled parts."""
    from agent import progress_bars, results
    from evals.ablation import run_ablation
    from evals.benchmark import run_benchmark
    from evals.few_shot import parse_shots, run_few_shot
    from evals.tables import protocol_line, tables_of
    from tools import LocalizerSettings, parse_looks

    wanted, rivals = ([name for name in given.split(",") if name] for given in (sets, peers))
    settings = LocalizerSettings(
        backbone=backbone, weights=weights, prompts=prompts, areas=parse_looks(looks), seed=seed
    )
    with progress_bars() as progress:
        if ablate and (shots or rivals or prompts != "shipped"):
            raise RequestError("--ablate goes without --shots, --peers and --prompts; it brings its own prompts")
        if ablate:
            result = run_ablation(source, wanted, settings, progress)
        elif shots:
            result = run_few_shot(source, wanted, settings, progress, parse_shots(shots), draws, rivals)
        else:
            result = run_benchmark(source, wanted, settings, progress, rivals)
    if as_json:
        typer.echo(json.dumps(result))
        return
    console = results()
    for table in tables_of(result, markdown=not console.is_terminal):
        console.print(table)
    typer.echo(protocol_line(result))
