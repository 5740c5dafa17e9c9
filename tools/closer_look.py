"""A closer look at any place of a view, asked for by a person: enlarged, and beside the same place on a normal part."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from knowledge import Frozen, ToolFailure
from tools.artifacts import ArtifactStore
from tools.decoding import luma
from tools.evidence import EvidenceLog, KnowledgeFound, Localized
from tools.native import shown_values
from tools.rendering import render_crop
from tools.views import Box, RenderedView

_LEAST = 8
"""Pixels of a place's side: what is smaller is shown with its surroundings."""


class PlaceSeen(Frozen):
    """What a place shows."""

    view: str
    box: Box
    """In pixels of the view."""
    source_box: Box
    """In pixels of the original picture; of other modalities the same."""
    crop: str
    """Artifact id of the place, enlarged."""
    peak: float | None = None
    """Highest value of the anomaly map inside; `None` where the asset was not localised."""
    threshold: float | None = None
    regions: tuple[str, ...] = ()
    """Ids of the regions that reach into it."""
    reference: str = ""
    """Id of the reference that it was compared with."""
    reference_crop: str = ""
    difference: float | None = None
    """Mean brightness of the place minus that of the same place on the reference, in shares of full white."""


def see_place(store: ArtifactStore, log: EvidenceLog, view: RenderedView, box: Box, name: str) -> PlaceSeen:
    """Enlarge a box of a view, and read the anomaly map inside; nothing is found anew."""
    wide = box.grown(max(0, _LEAST - min(box.width, box.height)), view.width, view.height)
    views = {shown.id for shown in log.views_of(view.asset_id)}
    localized = next((shown for _, shown in log.of(Localized) if shown.view in views), None)
    values = _shown_map(store, view, localized)
    reaching = (
        ()
        if localized is None
        else tuple(
            region.id for region in localized.regions if region.view_id == view.id and _overlap(region.box, wide)
        )
    )
    return PlaceSeen(
        view=view.id,
        box=wide,
        source_box=view.box_to_source(wide),
        crop=render_crop(view, wide, name, store).image,
        peak=None if values is None else float(values[wide.slices].max()),
        threshold=None if localized is None else localized.threshold,
        regions=reaching,
    )


def compare_place(
    store: ArtifactStore, log: EvidenceLog, view: RenderedView, box: Box, name: str, rank: int = 1
) -> PlaceSeen:
    """`see_place` beside the same place on the reference of that rank; raises `ToolFailure` where there is none."""
    if view.inverse:
        raise ToolFailure("only a picture can be compared place by place; name a region of a scan or a recording")
    found = next((shown.references for _, shown in log.of(KnowledgeFound) if shown.view == view.id), ())
    if not 1 <= rank <= len(found):
        raise ToolFailure(f"there is no reference number {rank}: {len(found)} were retrieved")
    reference = found[rank - 1]
    seen = see_place(store, log, view, box, name)
    pixels = store.get_image(view.image)
    other = resized(store.get_image(reference.image), view.width, view.height)
    beside = render_crop(
        view.model_copy(update={"image": store.put_image(other)}), seen.box, f"{name}.reference", store
    )
    difference = float(luma(pixels[seen.box.slices]).mean() - luma(other[seen.box.slices]).mean()) / 255
    return seen.model_copy(update={"reference": reference.id, "reference_crop": beside.image, "difference": difference})


def _shown_map(store: ArtifactStore, view: RenderedView, localized: Localized | None) -> NDArray[np.float32] | None:
    """The anomaly map as the view shows it, (H, W)."""
    if localized is None:
        return None
    values: NDArray[np.float32] = store.get_array(localized.map)
    if view.inverse:
        return shown_values(store.get_array(view.inverse), view.span, values)
    return values


def _overlap(first: Box, second: Box) -> bool:
    return first.x0 < second.x1 and second.x0 < first.x1 and first.y0 < second.y1 and second.y0 < first.y1


def resized(pixels: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """A picture in another size; the same where it has that size."""
    if pixels.shape[:2] == (height, width):
        return pixels
    return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC))
