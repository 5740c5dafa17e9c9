"""The report as one HTML page: no script, no outside resource, every picture inside.

Toggles work by check boxes and CSS alone, so the page's own policy can forbid everything but styles and pictures.
"""

import base64
import functools
import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jinja2 import Environment, FileSystemLoader, select_autoescape
from numpy.typing import NDArray
from PIL import Image

from agent.exports.markdown import plainly
from agent.report import FindingInfo, InputInfo, InspectionReport
from tools import ArtifactStore

_TEMPLATES = Path(__file__).parent / "templates"
_MAX_SIDE = 1200
_THUMBNAIL_SIDE = 160
_NAME = 36
"""Letters of a view's title that are shown under its thumbnail."""

_SMALL_SIDE = 96
"""Of the thumbnails by which a view is chosen."""

_TITLES = {"part": "This part", "reference": "Same place, normal reference", "enhanced": "Contrast stretched"}
_NATIVE_TITLES = {
    "enlarged": "This part, closer",
    "reference": "Same place, normal reference",
    "section": "Cut through the place, over the reference",
}


class Picture(NamedTuple):
    title: str
    uri: str


class IndexRow(NamedTuple):
    """One inspection in an overview."""

    report: InspectionReport
    link: str
    truth: str = ""


def html_page(report: InspectionReport, store: ArtifactStore) -> str:
    """The page of one inspection."""
    return (
        _environment()
        .get_template("report.html")
        .render(
            report=report,
            parts=[_part(report, index, store) for index in range(len(report.inputs))],
            findings=[_shown_finding(report, finding, store) for finding in report.findings],
            other_claims=[claim for claim in report.claims if not any(claim.id in f.claims for f in report.findings)],
            references=[(reference, _stored(reference.image, store, 360)) for reference in report.references],
            panels=[_stored(artifact, store, 420) for artifact in _panels(report)],
            longest=max((record.seconds for record in report.evidence), default=0.0) or 1.0,
        )
    )


def _panels(report: InspectionReport) -> list[str]:
    """Artifact ids of what the reasoners were shown."""
    asked = [record.artifacts for record in report.evidence if record.tool == "reason_about_anomaly"]
    return list(dict.fromkeys(artifact for artifacts in asked for artifact in artifacts))


def index_page(rows: Sequence[IndexRow], store: ArtifactStore, title: str, note: str) -> str:
    """An overview of several inspections, each linked to its page."""
    thumbnails = [_thumbnail(row.report, store) for row in rows]
    return (
        _environment()
        .get_template("index.html")
        .render(rows=list(zip(rows, thumbnails, strict=True)), title=title, note=note)
    )


@functools.cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=select_autoescape(default=True),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = lambda value: "–" if value is None else f"{value:.4g}"
    environment.filters["plainly"] = plainly
    return environment


class ShownView(NamedTuple):
    """One view of an input with what is laid over it."""

    id: str
    title: str
    name: str
    """The beginning of its title, to choose it by."""
    picture: str
    thumbnail: str
    heat: str
    width: int
    height: int
    """In the units of the boxes."""
    boxes: list[FindingInfo]


class Part(NamedTuple):
    """One input: its views, of which the page shows one at a time."""

    input: InputInfo
    views: list[ShownView]
    first: str
    """Id of the view that is shown at first: one that has a finding."""
    zooms: bool
    """Long pictures that are drawn along time can be stretched and scrolled."""


def _part(report: InspectionReport, index: int, store: ArtifactStore) -> Part | None:
    shown = report.inputs[index]
    if not shown.views:
        return None
    views = [_view(report, shown, number, store) for number in range(len(shown.views))]
    first = next((view.id for view in views if view.boxes), views[0].id)
    return Part(shown, views, first, zooms=shown.modality == "time_series")


def _view(report: InspectionReport, shown: InputInfo, number: int, store: ArtifactStore) -> ShownView:
    view = shown.views[number]
    heat = report.maps.get(view.id)
    native = bool(view.inverse)
    return ShownView(
        id=f"{shown.id}v{number}",
        title=view.title or view.kind.replace("_", " "),
        name=_short(view.title or view.kind.replace("_", " ")),
        picture=_stored(view.image, store, _MAX_SIDE),
        thumbnail=_stored(view.image, store, _SMALL_SIDE) if len(shown.views) > 1 else "",
        heat=_stored(heat, store, _MAX_SIDE) if heat else "",
        width=view.width if native else shown.width,
        height=view.height if native else shown.height,
        boxes=[finding for finding in report.findings if finding.view == view.id],
    )


class ShownFinding(NamedTuple):
    """A finding with what belongs to it."""

    finding: FindingInfo
    pictures: list[Picture]
    claims: list[object]
    native: bool
    """Whether its asset is no picture, so that its box is of a view."""


def _shown_finding(report: InspectionReport, finding: FindingInfo, store: ArtifactStore) -> ShownFinding:
    native = any(shown.id == finding.asset and shown.modality != "image" for shown in report.inputs)
    return ShownFinding(finding, _pictures(finding, store, native=native), _claims(report, finding), native)


def _pictures(finding: FindingInfo, store: ArtifactStore, *, native: bool) -> list[Picture]:
    titles, side = (_NATIVE_TITLES, 900) if native else (_TITLES, 420)
    return [
        Picture(title, _stored(finding.images[key], store, side))
        for key, title in titles.items()
        if key in finding.images
    ]


def _claims(report: InspectionReport, finding: FindingInfo) -> list[object]:
    return [claim for claim in report.claims if claim.id in finding.claims]


def _thumbnail(report: InspectionReport, store: ArtifactStore) -> str:
    views = [view for shown in report.inputs for view in shown.views]
    return _stored(views[0].image, store, _THUMBNAIL_SIDE) if views else ""


def _stored(artifact: str, store: ArtifactStore, side: int) -> str:
    return _data_uri(store.get_image(artifact), side)


def _short(title: str) -> str:
    return title if len(title) <= _NAME else re.split("[,;:]", title)[0]


def _data_uri(pixels: NDArray[np.uint8], side: int) -> str:
    """JPEG for pictures, PNG where there is transparency; at most `side` pixels on the longer side."""
    image = Image.fromarray(pixels)
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    transparent = image.mode == "RGBA"
    buffer = io.BytesIO()
    image.save(buffer, "PNG" if transparent else "JPEG", **({} if transparent else {"quality": 90}))
    kind = "png" if transparent else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"
