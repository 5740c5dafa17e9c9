"""The instruments for every modality besides pictures: an asset's own data is judged, its views show where."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from knowledge import Modality, Product, StoreError, ToolFailure, rules_for
from tools.artifacts import ArtifactStore
from tools.assets import Asset, Limits
from tools.evidence import Compared, EvidenceLog, Examined, KnowledgeFound, Localized, SimilarReference, ViewsShown
from tools.intake import LoadedAsset, load_asset
from tools.learned import LearnedProduct
from tools.learned_native import LearnedNative, embedding_of
from tools.localization import heat_overlay
from tools.measuring import Measurement
from tools.modalities import kit_of
from tools.native import NativeLocalization, NativeLocalizer, Place, Rendering, shown_members, shown_values
from tools.remembered import Remembered
from tools.retrieval import others
from tools.views import Box, Region, RenderedView

MAX_PLACES = 24
"""More are counted, and not reported one by one."""

_CACHED = 4
_CACHED_VIEWS = 32
_SIMILAR = 3


class NativeInstruments:
    """Over one store; every method is of one asset, and what it computes is kept for the next."""

    def __init__(self, store: ArtifactStore, limits: Limits | None = None) -> None:
        self._store = store
        self._limits = limits or Limits()
        self._natives = Remembered(_CACHED)
        self._references = Remembered(_CACHED)
        self._localizations = Remembered(_CACHED)
        self._reference_views = Remembered(_CACHED_VIEWS)

    def render(self, asset: Asset, learned: LearnedProduct) -> ViewsShown:
        """All views of an asset, turned as its references are."""
        known = learned.native(asset.modality)
        native = self.native(asset, learned.product)
        views = tuple(
            self._view(f"{asset.id}.v{number}", asset, rendering)
            for number, rendering in enumerate(known.kit.render(native, known.localizer), start=1)
        )
        return ViewsShown(views=views, part=known.kit.measure_part(native))

    def localize(self, asset: Asset, learned: LearnedProduct, views: Sequence[RenderedView], alpha: float) -> Localized:
        """The calibrated answer for an asset, and its places over threshold on the views that show them best."""
        known = learned.native(asset.modality)
        native = self.native(asset, learned.product)
        result = self._localization(asset, known, native)
        calibration, blocks = known.localizer.calibration, result.blocks
        promise = calibration.promise(alpha, blocks, known.calibrated_on)
        threshold = calibration.threshold(alpha, blocks)
        # Without a promise the highest normal score, or a limit worked out from a few, still shows where to look.
        cut = threshold if promise.kept else _where_to_look(known.localizer, alpha, blocks)
        found = known.localizer.places(native, result.values, cut) if np.isfinite(cut) else ()
        heat_cut = cut if np.isfinite(cut) else float(result.values.max())
        heats = {view.id: self._heat(view, result.values, heat_cut) for view in views}
        return Localized(
            view=views[0].id,
            score=result.score,
            p_value=calibration.p_value(result.score, blocks),
            alpha=alpha,
            threshold=threshold if promise.kept else None,
            promise="; ".join(filter(None, (promise.sentence, getattr(known.localizer, "reservation", "")))),
            map=self._store.put_array(result.values),
            heat=heats[views[0].id],
            heats=heats,
            regions=self._regions(asset, views, found[:MAX_PLACES], result.values.size),
            region_count=len(found),
            unlike=result.unlike,
            blocks=blocks,
        )

    def retrieve(self, asset: Asset, learned: LearnedProduct, view: RenderedView) -> KnowledgeFound:
        """The references whose main view is most like that of the asset."""
        index = learned.native_references[asset.modality]
        embedding = embedding_of(self._store.get_image(view.image))
        matches = index.search(embedding, _SIMILAR + 1, keep=lambda item: item.sha256 != asset.sha256)
        references = [
            SimilarReference(
                id=match.item.sha256[:12],
                similarity=match.similarity,
                why=f"number {rank} of {len(index)} by likeness of its main view",
                image=self._store.put_image(self._main_view(learned, asset.modality, match.item.path)),
            )
            for rank, match in enumerate(matches, start=1)
        ]
        rules = tuple(rule.id for rule in rules_for(learned.product, asset.modality))
        return KnowledgeFound(view=view.id, references=others(references, view, _SIMILAR), rules=rules)

    def measure(
        self, asset: Asset, learned: LearnedProduct, log: EvidenceLog, region: Region
    ) -> tuple[Measurement, ...]:
        """A region in numbers, from the asset's own data."""
        known = learned.native(asset.modality)
        values, members = self._region(log, region)
        return known.localizer.measure(self.native(asset, learned.product), values, members)

    def count(self, asset: Asset, learned: LearnedProduct, values: NDArray[np.float32], threshold: float) -> int:
        """Places over threshold, counted again."""
        known = learned.native(asset.modality)
        return len(known.localizer.places(self.native(asset, learned.product), values, threshold))

    def examine(self, asset: Asset, learned: LearnedProduct, log: EvidenceLog, region: Region) -> Examined:
        """A closer look at a region, with its scale."""
        closer = self._closer(asset, learned, log, region, None)
        view = self._view(f"{region.id}.enlarged", asset, _of_kind(closer, "enlarged"))
        return Examined(region=region.id, crop=view)

    def compare(
        self, asset: Asset, learned: LearnedProduct, log: EvidenceLog, region: Region, reference: str
    ) -> Compared:
        """A region beside the same place on a reference, whose id is given."""
        path = next(
            item.path for item in learned.native_references[asset.modality].items if item.sha256.startswith(reference)
        )
        closer = self._closer(asset, learned, log, region, self._reference(learned, asset.modality, path))
        return Compared(
            region=region.id,
            reference=reference,
            difference=region.peak,
            unit="anomaly value",
            crop=self._store.put_image(_of_kind(closer, "enlarged").pixels),
            reference_crop=self._store.put_image(_of_kind(closer, "reference").pixels),
            section=next((self._store.put_image(each.pixels) for each in closer if each.kind == "section"), ""),
        )

    def native(self, asset: Asset, product: Product) -> Any:
        """An asset's own data, read again from what was stored of the file."""
        kit = kit_of(asset.modality)

        def read() -> Any:
            return kit.read(self._store.get(f"{asset.sha256}.bin"), asset.name, product, self._limits)

        return self._natives.get((asset.sha256, asset.modality, product), read)

    def remember(self, loaded: LoadedAsset, product: Product) -> None:
        """Keep what has just been read, so that it is not read again."""
        asset = loaded.asset
        if asset.modality != "image":
            self._natives.get((asset.sha256, asset.modality, product), lambda: loaded.native)

    def _localization(self, asset: Asset, known: LearnedNative, native: Any) -> NativeLocalization:
        return self._localizations.get(
            (asset.sha256, asset.modality, known.tensors_sha256), lambda: _checked(known.localizer.localize(native))
        )

    def _view(self, id_: str, asset: Asset, rendering: Rendering) -> RenderedView:
        height, width = rendering.index.shape
        return RenderedView(
            id=id_,
            asset_id=asset.id,
            kind=rendering.kind,
            title=rendering.title,
            width=width,
            height=height,
            image=self._store.put_image(rendering.pixels),
            source_width=width,
            source_height=height,
            inverse=self._store.put_array(rendering.index),
            span=rendering.span,
        )

    def _heat(self, view: RenderedView, values: NDArray[np.float32], cut: float) -> str:
        index = self._store.get_array(view.inverse)
        return self._store.put_image(heat_overlay(shown_values(index, view.span, values), cut))

    def _regions(
        self, asset: Asset, views: Sequence[RenderedView], places: Sequence[Place], elements: int
    ) -> tuple[Region, ...]:
        shown = [(view, self._store.get_array(view.inverse)) for view in views]
        return tuple(
            self._region_of(f"{asset.id}.r{number}", place, shown, elements)
            for number, place in enumerate(places, start=1)
        )

    def _region_of(
        self, id_: str, place: Place, shown: Sequence[tuple[RenderedView, NDArray[np.int32]]], elements: int
    ) -> Region:
        """On the first view that shows at least half as much of it as any."""
        masks = [shown_members(index, view.span, place.members, elements) for view, index in shown]
        sizes = np.array([mask.sum() for mask in masks])
        best = int(np.argmax(sizes >= sizes.max() / 2))
        view, mask = shown[best][0], masks[best]
        box = _box_of(mask)
        return Region(
            id=id_,
            view_id=view.id,
            box=box,
            source_box=box,
            mask=self._store.put_array(mask),
            peak=place.peak,
            members=self._store.put_array(place.members),
            native=place.native,
        )

    def _region(self, log: EvidenceLog, region: Region) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Values of the region's asset, and the region's elements, as they were stored."""
        localized = next((shown for _, shown in log.of(Localized) if region in shown.regions), None)
        if localized is None:
            raise ToolFailure(f"region {region.id} belongs to nothing that was localised")
        values, members = self._store.get_array(localized.map), self._store.get_array(region.members)
        if members.size == 0 or members.min() < 0 or members.max() >= values.size:
            raise StoreError(f"artifact {region.members} does not belong to {localized.map}; inspect the part again")
        return values, members

    def _closer(
        self, asset: Asset, learned: LearnedProduct, log: EvidenceLog, region: Region, reference: Any
    ) -> tuple[Rendering, ...]:
        known = learned.native(asset.modality)
        values, members = self._region(log, region)
        native = self.native(asset, learned.product)
        return known.kit.render_closer(native, values, members, reference, known.localizer)

    def _reference(self, learned: LearnedProduct, modality: Modality, path: str) -> Any:
        product = learned.product.model_copy(update={"modality": (modality,)})
        file = learned.folder / path
        return self._references.get(
            (str(file), modality, product), lambda: load_asset(file, product, self._limits).native
        )

    def _main_view(self, learned: LearnedProduct, modality: Modality, path: str) -> NDArray[np.uint8]:
        known = learned.native(modality)

        def draw() -> NDArray[np.uint8]:
            return known.kit.render(self._reference(learned, modality, path), known.localizer)[0].pixels

        return self._reference_views.get((path, known.tensors_sha256), draw)


class NativeRecheck:
    """Looks again at the assets of one inspection, for whoever checks what was said of them."""

    def __init__(
        self, instruments: NativeInstruments, learned: LearnedProduct, assets: Sequence[Asset], log: EvidenceLog
    ) -> None:
        self._instruments = instruments
        self._learned = learned
        self._assets = {asset.id: asset for asset in assets}
        self._log = log

    def measure(self, region: Region) -> tuple[Measurement, ...]:
        return self._instruments.measure(self._of(region.view_id), self._learned, self._log, region)

    def measure_part(self, view_id: str) -> tuple[Measurement, ...]:
        """The whole asset that a view shows."""
        asset = self._of(view_id)
        return kit_of(asset.modality).measure_part(self._instruments.native(asset, self._learned.product))

    def count(self, view_id: str, values: NDArray[np.float32], threshold: float) -> int:
        return self._instruments.count(self._of(view_id), self._learned, values, threshold)

    def instant(self, region: Region) -> float:
        """Seconds between two samples or frames of a region's asset; 0 where there is no time."""
        asset = self._of(region.view_id)
        native = self._instruments.native(asset, self._learned.product)
        return kit_of(asset.modality).instant(native)

    def _of(self, view_id: str) -> Asset:
        return self._assets[self._log.view(view_id).asset_id]


def _where_to_look(localizer: NativeLocalizer, alpha: float, blocks: int) -> float:
    """A cut that promises nothing; the verdict is review."""
    if hasattr(localizer, "threshold"):
        return float(localizer.threshold(alpha, blocks).value)
    scores = localizer.calibration.scores
    return float(scores[-1]) if len(scores) else float("inf")


def _checked(result: NativeLocalization) -> NativeLocalization:
    if not np.isfinite(result.values).all():
        raise ToolFailure("the localiser came to values that are not finite numbers; the asset cannot be judged")
    return result


def _of_kind(renderings: Sequence[Rendering], kind: str) -> Rendering:
    found = next((rendering for rendering in renderings if rendering.kind == kind), None)
    if found is None:
        raise ToolFailure(f"this place has no closer look of the kind {kind}")
    return found


def _box_of(mask: NDArray[np.bool_]) -> Box:
    """Smallest box around a mask; the whole view where no view shows the place, as with what is hidden."""
    if not mask.any():
        return Box(x0=0, y0=0, x1=mask.shape[1], y1=mask.shape[0])
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return Box(x0=int(columns[0]), y0=int(rows[0]), x1=int(columns[-1]) + 1, y1=int(rows[-1]) + 1)
