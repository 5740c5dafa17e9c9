"""The command that makes suites of published sets. Imports nothing heavy until it is run."""

from pathlib import Path
from typing import Annotated

import typer


def convert(
    layout: Annotated[
        str,
        typer.Argument(
            metavar="FORMAT",
            help="mvtec, loco, visa, mvtec3d (by picture and scan; mvtec3d_rgb or mvtec3d_xyz by one of them), "
            "folders (by modality) or mmad.",
        ),
    ],
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="Folder of the set as it was published.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder of the suite that is made.")],
    limit: Annotated[int | None, typer.Option(min=1, help="Cases at most, drawn evenly over kinds.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Draws cases and the order of options.")] = 0,
    questions: Annotated[
        bool, typer.Option("--questions", help="Make multiple-choice questions from the truth.")
    ] = False,
    copy: Annotated[bool, typer.Option("--copy", help="Copy the files into OUT; by default they stay.")] = False,
) -> None:
    """Make a suite of labelled parts as they were published: verdicts, types and places of defects, questions."""
    from evals.converters import convert_layout

    made = convert_layout(layout, source, out, limit=limit, seed=seed, questions=questions, copy=copy)
    for note in made.notes:
        typer.echo(f"note: {note}", err=True)
    asked = sum(len(case.questions) for case in made.suite.cases)
    typer.echo(f"{out}: {len(made.suite.cases)} cases of {len(made.suite.products)} products, {asked} questions")
