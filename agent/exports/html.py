"""The report as one HTML page: no script, no outside resource, every picture inside.

Toggles work by check boxes and CSS alone, so the page's own policy can forbid everything but styles and pictures.
"""

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jinja2 import Environment, FileSystemLoader, select_autoescape
from numpy.typing import NDArray
from PIL import Image

from agent.report import FindingInfo, InspectionReport
from tools import ArtifactStore

_TEMPLATES = Path(__file__).parent / "templates"
_MAX_SIDE = 1200
_THUMBNAIL_SIDE = 160

_TITLES = {"part": "This part", "reference": "Same place, normal reference", "enhanced": "Contrast stretched"}


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
            findings=[(finding, _pictures(finding, store), _claims(report, finding)) for finding in report.findings],
            other_claims=[claim for claim in report.claims if not any(claim.id in f.claims for f in report.findings)],
            references=[(reference, _stored(reference.image, store, 360)) for reference in report.references],
            longest=max((record.seconds for record in report.evidence), default=0.0) or 1.0,
        )
    )


def index_page(rows: Sequence[IndexRow], store: ArtifactStore, title: str, note: str) -> str:
    """An overview of several inspections, each linked to its page."""
    thumbnails = [_thumbnail(row.report, store) for row in rows]
    return (
        _environment()
        .get_template("index.html")
        .render(rows=list(zip(rows, thumbnails, strict=True)), title=title, note=note)
    )


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=select_autoescape(default=True),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = lambda value: "–" if value is None else f"{value:.4g}"
    return environment


class Part(NamedTuple):
    """One input with what is laid over its picture."""

    picture: str
    heat: str
    width: int
    height: int
    boxes: list[FindingInfo]


def _part(report: InspectionReport, index: int, store: ArtifactStore) -> Part | None:
    shown = report.inputs[index]
    if not shown.views:
        return None
    view = shown.views[0]
    heat = report.maps.get(view.id)
    return Part(
        picture=_stored(view.image, store, _MAX_SIDE),
        heat=_stored(heat, store, _MAX_SIDE) if heat else "",
        width=shown.width,
        height=shown.height,
        boxes=[finding for finding in report.findings if finding.view == view.id],
    )


def _pictures(finding: FindingInfo, store: ArtifactStore) -> list[Picture]:
    return [
        Picture(title, _stored(finding.images[key], store, 420))
        for key, title in _TITLES.items()
        if key in finding.images
    ]


def _claims(report: InspectionReport, finding: FindingInfo) -> list[object]:
    return [claim for claim in report.claims if claim.id in finding.claims]


def _thumbnail(report: InspectionReport, store: ArtifactStore) -> str:
    views = [view for shown in report.inputs for view in shown.views]
    return _stored(views[0].image, store, _THUMBNAIL_SIDE) if views else ""


def _stored(artifact: str, store: ArtifactStore, side: int) -> str:
    return _data_uri(store.get_image(artifact), side)


def _data_uri(pixels: NDArray[np.uint8], side: int) -> str:
    """JPEG for pictures, PNG where there is transparency; at most `side` pixels on the longer side."""
    image = Image.fromarray(pixels)
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    transparent = image.mode == "RGBA"
    buffer = io.BytesIO()
    image.save(buffer, "PNG" if transparent else "JPEG", **({} if transparent else {"quality": 90}))
    kind = "png" if transparent else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"
