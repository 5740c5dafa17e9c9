"""Commands of this floor; `agent.cli` finds them by entry point. Imports nothing heavy until one is run."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from knowledge import RequestError

if TYPE_CHECKING:
    from evals.modality_folders import Wanted


def bench(
    source: Annotated[
        str,
        typer.Argument(
            metavar="DIR",
            help="Folder of MVTec AD, of VisA, or like either; folders named depth, pointcloud, timeseries or video, or one "
            "that holds such; or `solar_cells` for the demo package's.",
        ),
    ] = "solar_cells",
    sets: Annotated[str, typer.Option(help="Names of sets, with commas; by default all.")] = "",
    backbone: Annotated[str, typer.Option(help="Name of the backbone.")] = "efficientnet_lite0",
    weights: Annotated[str | None, typer.Option(help="Checkpoint file of the backbone.")] = None,
    prompts: Annotated[str, typer.Option(help="shipped, none, or a file of prompts.")] = "shipped",
    looks: Annotated[
        str, typer.Option(help="Sides of the inputs, coarse first, with commas; chosen where empty.")
    ] = "",
    aligned: Annotated[
        bool | None,
        typer.Option(
            "--aligned/--not-aligned",
            help="Compare pictures with the references place by place, or not; chosen by default.",
            show_default=False,
        ),
    ] = None,
    part_name: Annotated[
        str,
        typer.Option(help="What in a file's name says which part it shows, such as '*_ND_{part}_*'; as by `enroll`."),
    ] = "",
    seed: Annotated[int, typer.Option(min=0, help="Draws splits and memories.")] = 0,
    peers: Annotated[
        str,
        typer.Option(
            help="Peers to run as well, with commas: patchcore, padim for pictures; fpfh for geometry; iforest, "
            "matrix_profile for recordings; background, mog2 for videos (see `make peers`)."
        ),
    ] = "",
    shots: Annotated[
        str,
        typer.Option(help="Learn from so few references instead, such as 1,2,4, or 0 for none; no false alarms then."),
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
    from evals.modality_folders import benchmarks_of
    from evals.tables import protocol_line, tables_of
    from knowledge import parse_part_name
    from tools import DEFAULT_BACKBONE, LocalizerSettings, parse_looks

    wanted, rivals = ([name for name in given.split(",") if name] for given in (sets, peers))
    if others := benchmarks_of(source, wanted):
        given = (shots, ablate, weights, looks, aligned is not None, part_name)
        if any(given) or prompts != "shipped" or backbone != DEFAULT_BACKBONE:
            raise RequestError(
                "--shots, --ablate, --backbone, --weights, --looks, --aligned, --part-name and --prompts are for pictures"
            )
        _bench_others(others, rivals, seed, as_json=as_json)
        return
    settings = LocalizerSettings(
        backbone=backbone,
        weights=weights,
        prompts=prompts,
        areas=parse_looks(looks),
        aligned=aligned,
        seed=seed,
        part_name=parse_part_name(part_name),
    )
    with progress_bars() as progress:
        if part_name and (ablate or shots):
            raise RequestError("--part-name goes without --ablate and --shots, which calibrate nothing")
        if ablate and (shots or rivals or prompts != "shipped"):
            raise RequestError("--ablate goes without --shots, --peers and --prompts; it brings its own prompts")
        if ablate and aligned is not None:
            raise RequestError("--ablate goes without --aligned; it compares both")
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


def _bench_others(wanted: "Sequence[Wanted]", peers: list[str], seed: int, *, as_json: bool) -> None:
    """Benchmarks of other modalities than pictures, one after the other."""
    from agent import progress_bars, results
    from evals.geometry import geometry_table, run_geometry
    from evals.modality_folders import PEERS
    from evals.recordings import recordings_table, run_recordings
    from evals.videos import run_videos, videos_table

    runs: dict[str, Any] = {"geometry": run_geometry, "recordings": run_recordings, "videos": run_videos}
    tables: dict[str, Any] = {"geometry": geometry_table, "recordings": recordings_table, "videos": videos_table}
    known = {peer for each in wanted for peer in PEERS[each.benchmark]}
    if strangers := [peer for peer in peers if peer not in known]:
        raise RequestError(f"there is no peer {strangers[0]!r} here; known are {', '.join(sorted(known))}")
    found = {}
    for each in wanted:
        rivals = [peer for peer in peers if peer in PEERS[each.benchmark]]
        with progress_bars() as progress:
            result = runs[each.benchmark](each.root, list(each.sets), seed, progress, rivals)
        found[each.benchmark] = result
        if not as_json:
            console = results()
            console.print(tables[each.benchmark](result, markdown=not console.is_terminal))
            typer.echo("Protocol: " + "; ".join(f"{key} {value}" for key, value in result["protocol"].items()) + ".")
    if as_json:
        typer.echo(json.dumps(found if len(found) > 1 else next(iter(found.values()))))
