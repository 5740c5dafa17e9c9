"""Options that several commands share, and the settings that follow from them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from agent.inspection import Inspector
    from agent.settings import Settings

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON only.")]
ProductName = Annotated[
    str, typer.Option("--product", "-p", envvar="ANOMALYST_PRODUCT", help="Name of a learned product.")
]
Alpha = Annotated[
    float | None, typer.Option(envvar="ANOMALYST_ALPHA", help="Accepted false-alarm rate; by default the product's.")
]
Backbone = Annotated[str, typer.Option(help="Name of the backbone.")]
Weights = Annotated[str | None, typer.Option(help="Checkpoint file of the backbone.")]
Prompts = Annotated[str, typer.Option(help="shipped (or this home's own, once adapted), none, or a file.")]
PartName = Annotated[
    str,
    typer.Option(
        help="Where several pictures show one part: what in a file's name, without its suffix, says which, such as "
        "'exp*_num_{part}'; the same name is the same part in every folder. By default each shows a part of its own."
    ),
]
Looks = Annotated[
    str,
    typer.Option(
        help="Sides of the inputs, coarse first, such as 224,480,960 where defects are tiny on large pictures; "
        "by default as the references suggest."
    ),
]
ReportFolder = Annotated[
    Path | None, typer.Option(envvar="ANOMALYST_OUT", help="Folder for the reports; by default under ANOMALYST_HOME.")
]


def load_settings(**given: Any) -> "Settings":
    """Settings from the options that were given, then the environment, then the defaults."""
    from agent.settings import read_settings

    return read_settings(**{name: value for name, value in given.items() if value is not None})


def load_inspector(**given: Any) -> "Inspector":
    """An inspector with the settings that `load_settings` gives."""
    from agent.inspection import Inspector

    return Inspector(load_settings(**given))
