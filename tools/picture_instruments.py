"""The instruments for pictures: what is seen is what is judged, patch by patch."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from knowledge import rules_for
from tools.artifacts import ArtifactStore
from tools.assets import Asset, Limits, decode_image, load_image
from tools.closer_look import resized
from tools.decoding import luma
from tools.evidence import Compared, EvidenceLog, Examined, KnowledgeFound, Localized, SimilarReference, ViewsShown
from tools.intake import window_of
from tools.learned import LearnedProduct
from tools.localization import Blob, ConformalCalibration, Localization, blobs, heat_overlay
from tools.measuring import Measurement, as_values, measure_part, measure_region, pixel_size_of, side_of
from tools.outcomes import Learned, Outcome, beside_alpha, retrieved, unseen
from tools.remembered import Remembered
from tools.rendering import render_crop, render_image, view_pixels
from tools.retrieval import others, retrieve
from tools.views import Box, Region, RenderedView

MAX_REGIONS = 24
"""More are counted, and not reported one by one."""

_BLANK_CONTRAST = 0.012
"""Standard deviation of brightness, in shares of full white, below which a picture shows nothing (3 of 255 levels)."""

_CACHED_LOCALIZATIONS = 16

_SIMILAR = 3
"""References that are shown."""


class PictureInstruments:
    """Over one store; every method is of one asset."""

    def __init__(self, store: ArtifactStore, limits: Limits) -> None:
        self._store = store
        self._limits = limits
        self._localizations = Remembered(_CACHED_LOCALIZATIONS)

    def render(self, asset: Asset, learned: Learned) -> Outcome:
        """The view of a picture, and whether it shows anything."""
        content = self._store.get(f"{asset.sha256}.bin")
        pixels = decode_image(content, asset.name, self._limits, asset_id=asset.id, window=asset.window).pixels
        views = render_image(asset, pixels, self._store)
        part = measure_part(self._store.get_image(views[0].image))
        unsuitable = (*_unsuitable(as_values(part)), *unseen(asset))
        shown = f"{asset.width} x {asset.height} pixels, {asset.bits} bits"
        return {
            "summary": f"Asset {asset.id} rendered to {len(views)} view(s): {shown}. "
            + (" ".join(unsuitable) or "Usable."),
            "shown": ViewsShown(views=views, part=part, unsuitable=unsuitable),
            "artifacts": tuple(view.image for view in views),
        }

    def localize(self, asset: Asset, learned: LearnedProduct, views: Sequence[RenderedView], alpha: float) -> Outcome:
        """Where a picture is unlike its references."""
        view, localizer = views[0], learned.images
        result = self._localization(learned, view)
        calibration = localizer.calibration
        promise = calibration.promise(alpha)
        cut = calibration.threshold(alpha) if promise.kept else _where_to_look(calibration)
        heat = self._store.put_image(heat_overlay(result.map, cut if np.isfinite(cut) else float(result.map.max())))
        found = blobs(result.map, cut)
        regions = self._regions(view, found[:MAX_REGIONS])
        p_value = calibration.p_value(result.score)
        unlike = localizer.doubts(result, alpha)
        return {
            "summary": f"View {view.id}: anomaly score {result.score:.3f}, p-value {p_value:.4f} "
            f"({beside_alpha(p_value, alpha)}), {len(found)} region(s) over threshold"
            + "".join(f"; {region.id} at {region.source_box.as_list()}, peak {region.peak:.2f}" for region in regions)
            + f"; {localizer.manifest.appearance.reason}"
            + "".join(f"; {sentence}" for sentence in (*unlike, *localizer.backbone.notes)),
            "shown": Localized(
                view=view.id,
                score=result.score,
                p_value=p_value,
                alpha=alpha,
                threshold=cut if promise.kept else None,
                promise="; ".join(filter(None, (promise.sentence, localizer.reservation))),
                map=self._store.put_array(result.map),
                heat=heat,
                regions=regions,
                region_count=len(found),
                unlike=unlike,
            ),
            "artifacts": (heat, *(region.mask for region in regions)),
        }

    def retrieve(self, asset: Asset, learned: LearnedProduct, view: RenderedView) -> Outcome:
        """The references most like a picture."""
        found = retrieve(learned, self._localization(learned, view).embedding, asset.sha256, _SIMILAR + 1)
        references = [
            SimilarReference(
                id=similar.reference.sha256[:12],
                similarity=similar.similarity,
                why=similar.why,
                image=self._store.put_image(self._reference_pixels(learned, similar.reference.path)),
            )
            for similar in found.references
        ]
        rules = tuple(rule.id for rule in rules_for(learned.product, asset.modality))
        return retrieved(KnowledgeFound(view=view.id, references=others(references, view, _SIMILAR), rules=rules))

    def measure(
        self, asset: Asset, learned: LearnedProduct, log: EvidenceLog, region: Region
    ) -> tuple[Measurement, ...]:
        """A region in numbers, from the pixels of its view."""
        view = log.view(region.view_id)
        size = pixel_size_of(learned.product, view.source_pixels_per_pixel)
        return measure_region(self._store.get_image(view.image), self._store.get_array(region.mask), size)

    def told(self, measured: tuple[Measurement, ...]) -> str:
        """Those numbers in a sentence."""
        values = as_values(measured)
        return (
            f"{values['area']:.0f} px ({values['area_share']:.2%} of the view) in the "
            f"{side_of(values['centroid_x'], values['centroid_y'])}, elongation {values['elongation']:.1f}, "
            f"contrast {values['contrast']:+.3f}"
        )

    def examine(self, asset: Asset, learned: Learned, log: EvidenceLog, region: Region) -> Outcome:
        """An enlarged crop of a region, and one with stretched local contrast."""
        view = log.view(region.view_id)
        box = _with_surroundings(region.box, view)
        crop = render_crop(view, box, f"{region.id}.crop", self._store)
        enhanced = render_crop(view, box, f"{region.id}.enhanced", self._store, enhance=True)
        return {
            "summary": f"Region {region.id} enlarged to {crop.width} x {crop.height} pixels, also with stretched contrast",
            "shown": Examined(region=region.id, crop=crop, enhanced=enhanced),
            "artifacts": (crop.image, enhanced.image),
        }

    def compare(
        self, asset: Asset, learned: Learned, log: EvidenceLog, region: Region, reference: SimilarReference
    ) -> Outcome:
        """A region beside the same place on a reference."""
        view = log.view(region.view_id)
        pixels = self._store.get_image(view.image)
        normal = resized(self._store.get_image(reference.image), view.width, view.height)
        mask = self._store.get_array(region.mask)
        difference = float(luma(pixels)[mask].mean() - luma(normal)[mask].mean()) / 255
        box = _with_surroundings(region.box, view)
        crop, reference_crop = (self._store.put_image(image[box.slices]) for image in (pixels, normal))
        return {
            "summary": f"Region {region.id} is {abs(difference):.3f} {'brighter' if difference > 0 else 'darker'} "
            f"than the same place on reference {reference.id}",
            "shown": Compared(
                region=region.id,
                reference=reference.id,
                difference=difference,
                crop=crop,
                reference_crop=reference_crop,
            ),
            "artifacts": (crop, reference_crop),
        }

    def _localization(self, learned: LearnedProduct, view: RenderedView) -> Localization:
        """Computed once for a view's content and a product's fitted parts, whoever asks first."""
        key = (learned.product.name, learned.images.manifest.tensors_sha256, view.image)
        return self._localizations.get(key, lambda: learned.images.localize(self._store.get_image(view.image)))

    def _regions(self, view: RenderedView, found: Sequence[Blob]) -> tuple[Region, ...]:
        return tuple(
            Region(
                id=f"{view.asset_id}.r{number}",
                view_id=view.id,
                box=blob.box,
                source_box=view.box_to_source(blob.box),
                mask=self._store.put_array(blob.mask(view.height, view.width)),
                peak=blob.peak,
            )
            for number, blob in enumerate(found, start=1)
        )

    def _reference_pixels(self, learned: LearnedProduct, path: str) -> NDArray[np.uint8]:
        pixels = load_image(learned.folder / path, self._limits, window=window_of(learned.product)).pixels
        return view_pixels(pixels)


def _where_to_look(calibration: ConformalCalibration) -> float:
    """Without a promised threshold the highest normal score seen; the verdict is review."""
    return float(calibration.scores[-1]) if calibration.count else float("inf")


def _unsuitable(part: dict[str, float]) -> tuple[str, ...]:
    if part["contrast"] >= _BLANK_CONTRAST:
        return ()
    tone = "black" if part["brightness"] < 0.02 else "white" if part["brightness"] > 0.98 else "one even gray"
    return (f"The picture shows nothing: it is {tone} all over; check the camera, the light and the file.",)


def _with_surroundings(box: Box, view: RenderedView) -> Box:
    return box.grown(max(16, max(box.width, box.height) // 3), view.width, view.height)
