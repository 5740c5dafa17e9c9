"""Commands that learn: a product from its normal parts, prompts from all products, and the weights that both may need.

Imports nothing heavy until one is run.
"""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from agent.command_options import AsJson, Backbone, Looks, PartName, Prompts, Weights, load_inspector


def enroll(
    name: Annotated[str, typer.Argument(help="Name of the product.")],
    good: Annotated[
        list[Path] | None,
        typer.Option(
            "--good", help="Folder with pictures, scans, recordings or videos of normal parts; may be repeated."
        ),
    ] = None,
    held_out: Annotated[
        list[Path] | None, typer.Option(help="Folder with other normal parts, to calibrate on; may be repeated.")
    ] = None,
    spec: Annotated[Path | None, typer.Option(help="product.yaml with what experts know.")] = None,
    zero_shot: Annotated[
        bool, typer.Option("--zero-shot", help="Without any normal part, by a backbone that reads, such as ViT-B-16.")
    ] = False,
    backbone: Backbone = "efficientnet_lite0",
    weights: Weights = None,
    prompts: Prompts = "shipped",
    looks: Looks = "",
    part_name: PartName = "",
    as_json: AsJson = False,
) -> None:
    """Learn a product from pictures, scans, recordings or videos of normal parts."""
    from agent.enrolment import enrol, enrol_unseen, summary
    from agent.terminal import progress_bars
    from knowledge import parse_part_name
    from tools import LocalizerSettings, parse_looks

    if zero_shot == bool(good or held_out):
        raise typer.BadParameter("give folders of normal parts with --good, or --zero-shot to do without any")
    if zero_shot and part_name:
        raise typer.BadParameter("--part-name is of pictures to learn from, and --zero-shot does without any")
    inspector = load_inspector()
    settings = LocalizerSettings(
        backbone=backbone,
        weights=weights,
        prompts=prompts,
        areas=parse_looks(looks),
        part_name=parse_part_name(part_name),
    )
    with progress_bars() as progress:
        learned = (
            enrol_unseen(inspector, name, spec, settings)
            if zero_shot
            else enrol(inspector, name, good or [], held_out or [], spec, settings, progress)
        )
    facts = summary(learned, [*(good or []), *(held_out or [])])
    if as_json:
        typer.echo(json.dumps(facts))
    else:
        _tell(facts)


def adapt(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[PRODUCT]...", help="Known products; all by default.")
    ] = None,
    backbone: Backbone = "efficientnet_lite0",
    weights: Weights = None,
    pictures: Annotated[
        int, typer.Option(min=5, max=10_000, help="Pictures with a synthetic anomaly, of each product.")
    ] = 40,
    steps: Annotated[int, typer.Option(min=1, help="Steps of learning.")] = 600,
    seed: Annotated[int, typer.Option(min=0, help="Draws parts, anomalies and first values.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Learn from synthetic anomalies on all products what an anomaly looks like; used when a product is enrolled next."""
    from agent.enrolment import adaptation_summary
    from agent.terminal import progress_bars
    from tools import AdaptationSettings, LocalizerSettings

    inspector = load_inspector()
    localizer = LocalizerSettings(backbone=backbone, weights=weights)
    with progress_bars() as progress:
        adapted, path = inspector.products.adapt(
            names or [], localizer, AdaptationSettings(pictures, steps, seed), progress
        )
    facts = adaptation_summary(adapted, path)
    if as_json:
        typer.echo(json.dumps(facts))
        return
    if facts["left_out"]:
        typer.echo(f"left out, since they have too few normal parts: {', '.join(facts['left_out'])}", err=True)
    kinds = ", ".join(f"{kind} {auroc:.3f}" for kind, auroc in facts["held_out_auroc"].items())
    typer.echo(f"learned on {', '.join(facts['products'])}; changed patches against others, AUROC: {kinds}")
    typer.echo(f"{path}; enroll products again to use it", err=True)


def fetch(name: Annotated[str, typer.Argument(help="Name of a backbone, such as ViT-B-16.")]) -> None:
    """Download a backbone's published weights, so that it can be used without a network."""
    from tools import fetch_weights

    typer.echo(fetch_weights(name))


def _tell(facts: dict[str, Any]) -> None:
    """What was learned of a product, for people."""
    for modality, known in facts["modalities"].items():
        how = f"; {facts['appearance']}" if modality == "image" else ""
        kind = "" if modality == "image" else f" ({modality})"
        typer.echo(f"learned {facts['product']}{kind}: {known['references']} references{how}; {known['promise']}")
    if odd := facts["odd_references"]:
        typer.echo(
            f"look at {', '.join(odd)}: at least twice as far from normal as all other normal parts; "
            "if there is a defect after all, enroll the others again without it",
            err=True,
        )
    if not facts["promised"]:
        typer.echo("inspections of this product end in review until it is enrolled with more normal parts", err=True)
