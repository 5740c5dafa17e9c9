"""The instruments of one inspection, each asked by id: what to look at, and what has been shown so far.

An instrument never takes a path. It raises `ToolFailure` for what the world did, `ToolArgumentError` for an id that
makes no sense, and everything else is a bug.
"""

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any, NotRequired, TypedDict

import numpy as np
from numpy.typing import NDArray

from knowledge import Measurements, NormalityRule, RuleResult, ToolArgumentError, ToolFailure, check_rule, rules_for
from tools import prompts
from tools.artifacts import ArtifactStore
from tools.assessment import Assessment
from tools.assets import Asset, Limits, decode_image, load_image
from tools.briefing import CONDITIONS, reasoner_briefing, reasoner_panels
from tools.closer_look import resized
from tools.decoding import luma
from tools.evidence import (
    Assessed,
    Compared,
    EvidenceLog,
    Examined,
    Failed,
    Judged,
    KnowledgeFound,
    Localized,
    ModelCall,
    RegionMeasured,
    RuleChecked,
    RulesChecked,
    Shown,
    SimilarReference,
    ViewsShown,
)
from tools.intake import window_of
from tools.learned import LearnedProduct, LearnedProducts
from tools.localization import Blob, Localization, blobs, heat_overlay
from tools.measuring import Measurement, as_values, measure_part, measure_region, pixel_size_of, side_of
from tools.native_instruments import NativeInstruments
from tools.reasoning import NoAnswer, Role, assess
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

_LISTED = 6
"""Items of a list that are told; the record holds them all."""


class InspectionState(TypedDict):
    """What the instruments read of an inspection: plain values."""

    product: str
    product_version: str
    alpha: float
    inputs: list[dict[str, Any]]
    """Assets."""
    evidence: list[dict[str, Any]]
    conditions: NotRequired[list[str]]
    """Which of `CONDITIONS` a reasoner is told of; by default all."""


class Outcome(TypedDict, total=False):
    """What an instrument hands to the recorder."""

    summary: str
    shown: Shown
    artifacts: tuple[str, ...]
    calls: tuple[ModelCall, ...]


class Instruments:
    """All instruments, over one store and one set of learned products, with reasoners that are handed in."""

    def __init__(
        self,
        store: ArtifactStore,
        products: LearnedProducts,
        reasoners: Sequence[Role],
        *,
        limits: Limits | None = None,
        native: NativeInstruments | None = None,
    ) -> None:
        """`reasoners` are asked one after the other, each for a judgement of its own."""
        self._limits = limits or Limits()
        self._store = store
        self._products = products
        self._reasoners = tuple(reasoners)
        self.native = native or NativeInstruments(store, self._limits)
        self._localizations: OrderedDict[tuple[str, str, str], Localization] = OrderedDict()
        self._lock = threading.Lock()

    def render_asset(self, asset: str, state: InspectionState) -> Outcome:
        """Render an asset to 2-D views and judge whether its quality allows an inspection."""
        known = asset_of(asset, state)
        if known.modality != "image":
            return self._render_native(known, state)
        content = self._store.get(f"{known.sha256}.bin")
        pixels = decode_image(content, known.name, self._limits, asset_id=asset, window=known.window).pixels
        views = render_image(known, pixels, self._store)
        part = measure_part(self._store.get_image(views[0].image))
        unsuitable = (*_unsuitable(as_values(part)), *_unseen(known))
        shown = f"{known.width} x {known.height} pixels, {known.bits} bits"
        return {
            "summary": f"Asset {asset} rendered to {len(views)} view(s): {shown}. "
            + (" ".join(unsuitable) or "Usable."),
            "shown": ViewsShown(views=views, part=part, unsuitable=unsuitable),
            "artifacts": tuple(view.image for view in views),
        }

    def localize_anomalies(self, asset: str, state: InspectionState) -> Outcome:
        """Find where a part is unlike its normal references, with a calibrated p-value."""
        learned, alpha = self._learned(state), share_of_alpha(state)
        views = EvidenceLog.read(state["evidence"]).views_of(asset)
        known, view = asset_of(asset, state), views[0]
        if known.modality != "image":
            return _localized(known, self.native.localize(known, learned, views, alpha))
        localizer = learned.images
        result = self._localization(learned, view)
        calibration = localizer.calibration
        promise, threshold = calibration.promise(alpha), calibration.threshold(alpha)
        # Without a promised threshold the highest normal score seen still shows where to look; the verdict is review.
        cut = threshold if promise.kept else (float(calibration.scores[-1]) if calibration.count else float("inf"))
        heat = self._store.put_image(heat_overlay(result.map, cut if np.isfinite(cut) else float(result.map.max())))
        found = blobs(result.map, cut)
        regions = self._regions(view, found[:MAX_REGIONS])
        p_value = calibration.p_value(result.score)
        unlike = _unlike(result, anomalous=p_value <= alpha)
        return {
            "summary": f"View {view.id}: anomaly score {result.score:.3f}, p-value {p_value:.4f} "
            f"({'at or below' if p_value <= alpha else 'above'} alpha {alpha:g}), "
            f"{len(found)} region(s) over threshold"
            + "".join(f"; {region.id} at {region.source_box.as_list()}, peak {region.peak:.2f}" for region in regions)
            + f"; {localizer.manifest.appearance.reason}"
            + "".join(f"; {sentence}" for sentence in (*unlike, *localizer.backbone.notes)),
            "shown": Localized(
                view=view.id,
                score=result.score,
                p_value=p_value,
                alpha=alpha,
                threshold=threshold if promise.kept else None,
                promise=promise.sentence,
                map=self._store.put_array(result.map),
                heat=heat,
                regions=regions,
                region_count=len(found),
                unlike=unlike,
            ),
            "artifacts": (heat, *(region.mask for region in regions)),
        }

    def retrieve_knowledge(self, asset: str, state: InspectionState) -> Outcome:
        """Find the normal references most like a part, and the rules that apply to it."""
        learned = self._learned(state)
        view = EvidenceLog.read(state["evidence"]).views_of(asset)[0]
        known = asset_of(asset, state)
        if known.modality != "image":
            return _retrieved(self.native.retrieve(known, learned, view))
        found = retrieve(learned, self._localization(learned, view).embedding, known.sha256, _SIMILAR + 1)
        references = [
            SimilarReference(
                id=similar.reference.sha256[:12],
                similarity=similar.similarity,
                why=similar.why,
                image=self._store.put_image(self._reference_pixels(learned, similar.reference.path)),
            )
            for similar in found.references
        ]
        rules = tuple(rule.id for rule in rules_for(learned.product, known.modality))
        return _retrieved(KnowledgeFound(view=view.id, references=others(references, view, _SIMILAR), rules=rules))

    def measure_region(self, region: str, state: InspectionState) -> Outcome:
        """Measure a region on the asset's own data: its size, place, and how far it deviates."""
        log = EvidenceLog.read(state["evidence"])
        measured = self._measure(self._learned(state), log, log.region(region), state)
        values = as_values(measured)
        if log.region(region).members:
            numbers = ", ".join(f"{each.name} {each.value:.4g} {each.unit}".strip() for each in measured)
            return {
                "summary": f"Region {region}: {numbers}",
                "shown": RegionMeasured(region=region, measurements=measured),
            }
        return {
            "summary": f"Region {region}: {values['area']:.0f} px ({values['area_share']:.2%} of the view) in the "
            f"{side_of(values['centroid_x'], values['centroid_y'])}, elongation {values['elongation']:.1f}, "
            f"contrast {values['contrast']:+.3f}",
            "shown": RegionMeasured(region=region, measurements=measured),
        }

    def examine_region(self, region: str, state: InspectionState) -> Outcome:
        """Look closer at a region: an enlarged crop, and one with stretched local contrast."""
        log = EvidenceLog.read(state["evidence"])
        known = log.region(region)
        view = log.view(known.view_id)
        if known.members:
            closer = self.native.examine(asset_of(view.asset_id, state), self._learned(state), log, known)
            return {
                "summary": f"Region {region} drawn closer, with its scale",
                "shown": closer,
                "artifacts": (closer.crop.image,),
            }
        box = _with_surroundings(known.box, view)
        crop = render_crop(view, box, f"{region}.crop", self._store)
        enhanced = render_crop(view, box, f"{region}.enhanced", self._store, enhance=True)
        return {
            "summary": f"Region {region} enlarged to {crop.width} x {crop.height} pixels, also with stretched contrast",
            "shown": Examined(region=region, crop=crop, enhanced=enhanced),
            "artifacts": (crop.image, enhanced.image),
        }

    def compare_with_reference(self, region: str, state: InspectionState) -> Outcome:
        """Compare a region with the same place on the most similar normal reference."""
        log = EvidenceLog.read(state["evidence"])
        known = log.region(region)
        view = log.view(known.view_id)
        views = {shown.id for shown in log.views_of(view.asset_id)}
        found = next((shown for _, shown in log.of(KnowledgeFound) if shown.view in views), None)
        if found is None or not found.references:
            raise ToolFailure(f"region {region} cannot be compared: no normal reference was retrieved")
        nearest = found.references[0]
        if known.members:
            asset, learned = asset_of(view.asset_id, state), self._learned(state)
            compared = self.native.compare(asset, learned, log, known, nearest.id)
            return {
                "summary": f"Region {region} beside the same place on reference {nearest.id}: its anomaly value "
                f"peaks at {compared.difference:.1f}",
                "shown": compared,
                "artifacts": (compared.crop, compared.reference_crop),
            }
        pixels = self._store.get_image(view.image)
        reference = resized(self._store.get_image(nearest.image), view.width, view.height)
        mask = self._store.get_array(known.mask)
        difference = float(luma(pixels)[mask].mean() - luma(reference)[mask].mean()) / 255
        box = _with_surroundings(known.box, view)
        crop, reference_crop = (self._store.put_image(image[box.slices]) for image in (pixels, reference))
        return {
            "summary": f"Region {region} is {abs(difference):.3f} {'brighter' if difference > 0 else 'darker'} "
            f"than the same place on reference {nearest.id}",
            "shown": Compared(
                region=region, reference=nearest.id, difference=difference, crop=crop, reference_crop=reference_crop
            ),
            "artifacts": (crop, reference_crop),
        }

    def check_rules(self, asset: str, state: InspectionState) -> Outcome:
        """Check every normality rule that can be measured."""
        learned = self._learned(state)
        log = EvidenceLog.read(state["evidence"])
        view = log.views_of(asset)[0]
        localized = log.localization(view.id)
        if localized is None:
            raise ToolFailure("the rules cannot be checked: the part was not localised")
        part = next(as_values(shown.part) for _, shown in log.of(ViewsShown) if view in shown.views)
        regions = [as_values(self._measure(learned, log, region, state)) for region in localized.regions]
        uncounted = localized.region_count - len(regions)
        rules = rules_for(learned.product, asset_of(asset, state).modality)
        results = [_checked(rule, part, regions, uncounted) for rule in rules]
        counts = {
            outcome: sum(r.result == outcome for r in results) for outcome in ("passed", "violated", "not_checked")
        }
        return {
            "summary": "Rules: "
            + ", ".join(f"{count} {outcome}" for outcome, count in counts.items())
            + "".join(f"; {result.id} violated" for result in results if result.result == "violated"),
            "shown": RulesChecked(results=tuple(RuleChecked(**result._asdict()) for result in results)),
        }

    def reason_about_anomaly(self, asset: str, state: InspectionState) -> Outcome:
        """Ask the reasoners for their judgement of the part, in typed claims that code can check."""
        learned = self._learned(state)
        whole = EvidenceLog.read(state["evidence"])
        known, log = asset_of(asset, state), whole.about(asset)
        view = log.views_of(asset)[0]
        given = state.get("conditions", CONDITIONS)
        # The rule-based model looks at no picture: without another, none is drawn.
        seen = any(member.remote for role in self._reasoners for member in role.members)
        panels = reasoner_panels(log, view, self._store, given) if seen else ()
        briefing = reasoner_briefing(learned.product, log, view, panels, known, _others(whole, state, asset), given)
        judged: list[Judged] = []
        unanswered: list[str] = []
        calls: list[ModelCall] = []
        for role in self._reasoners:
            try:
                reply = assess(role, briefing, panels, self._store)
            except NoAnswer as failure:
                unanswered.append(f"the {role.name}: {failure}")
                calls += failure.calls
                continue
            calls += reply.calls
            assessment = Assessment.model_validate(reply.value)
            judged.append(
                Judged(role=role.name, model=reply.model, assessment=assessment, passed_over=reply.passed_over)
            )
        outcome = Outcome(calls=tuple(calls), artifacts=tuple(panel.artifact for panel in panels))
        if not judged:
            reason = "; ".join(unanswered)
            return {**outcome, "summary": reason, "shown": Failed(reason=reason)}
        shown = Assessed(
            judged=tuple(judged),
            unanswered=tuple(unanswered),
            prompt_version=prompts.REASONER_PROMPT_VERSION,
            conditions=tuple(given),
        )
        return {**outcome, "summary": " ".join(_opinion(each) for each in judged), "shown": shown}

    def _render_native(self, asset: Asset, state: InspectionState) -> Outcome:
        shown, unseen = self.native.render(asset, self._learned(state)), _unseen(asset)
        facts = ", ".join(f"{name} {_short(value)}" for name, value in asset.facts.items())
        return {
            "summary": f"Asset {asset.id} ({asset.modality}) rendered to {len(shown.views)} view(s): {facts}. "
            + " ".join(unseen),
            "shown": shown.model_copy(update={"unsuitable": unseen}),
            "artifacts": tuple(view.image for view in shown.views),
        }

    def _learned(self, state: InspectionState) -> LearnedProduct:
        learned = self._products.get(state["product"])
        if state.get("product_version", learned.version) != learned.version:
            raise ToolFailure(
                f"product {state['product']!r} was changed while the part was inspected; inspect it again"
            )
        return learned

    def _localization(self, learned: LearnedProduct, view: RenderedView) -> Localization:
        """Computed once for a view's content and a product's fitted parts, whoever asks first."""
        key = (learned.product.name, learned.images.manifest.tensors_sha256, view.image)
        with self._lock:
            if key not in self._localizations:
                self._localizations[key] = learned.images.localize(self._store.get_image(view.image))
                while len(self._localizations) > _CACHED_LOCALIZATIONS:
                    self._localizations.popitem(last=False)
            return self._localizations[key]

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

    def _measure(
        self, learned: LearnedProduct, log: EvidenceLog, region: Region, state: InspectionState
    ) -> tuple[Measurement, ...]:
        known = log.measurements(region.id)
        if known is not None:
            return known
        view = log.view(region.view_id)
        if region.members:
            return self.native.measure(asset_of(view.asset_id, state), learned, log, region)
        size = pixel_size_of(learned.product, view.source_pixels_per_pixel)
        return measure_region(self._store.get_image(view.image), self._store.get_array(region.mask), size)

    def _reference_pixels(self, learned: LearnedProduct, path: str) -> NDArray[np.uint8]:
        pixels = load_image(learned.folder / path, self._limits, window=window_of(learned.product)).pixels
        return view_pixels(pixels)


def asset_of(asset: str, state: InspectionState) -> Asset:
    """An asset by its id; raises `ToolArgumentError` for one that is not there."""
    values = next((value for value in state["inputs"] if value["id"] == asset), None)
    if values is None:
        raise ToolArgumentError(f"there is no asset {asset!r}; known are {[v['id'] for v in state['inputs']]}")
    return Asset.model_validate(values)


def _others(log: EvidenceLog, state: InspectionState, asset: str) -> list[dict[str, Any]]:
    """What has been found on the other assets of the part."""
    others = [Asset.model_validate(value) for value in state["inputs"] if value["id"] != asset]
    return [
        {
            "id": other.id,
            "modality": other.modality,
            "localized": [
                {"evidence": id_, "p_value": shown.p_value} for id_, shown in log.about(other.id).of(Localized)
            ],
        }
        for other in others
    ]


def share_of_alpha(state: InspectionState) -> float:
    """What each asset of a part may spend of the accepted false-alarm rate: equal shares (Bonferroni)."""
    return state["alpha"] / len(state["inputs"])


def _localized(asset: Asset, shown: Localized) -> Outcome:
    places = "".join(f"; {region.id} {_said(region.native)}, peak {region.peak:.2f}" for region in shown.regions)
    return {
        "summary": f"Asset {asset.id} ({asset.modality}): anomaly score {shown.score:.3f}, p-value {shown.p_value:.4f} "
        f"({'at or below' if shown.p_value <= shown.alpha else 'above'} alpha {shown.alpha:g}), "
        f"{shown.region_count} region(s) over threshold{places}" + "".join(f"; {each}" for each in shown.unlike),
        "shown": shown,
        "artifacts": (*shown.heats.values(), *(region.mask for region in shown.regions)),
    }


def _retrieved(shown: KnowledgeFound) -> Outcome:
    return {
        "summary": f"{len(shown.references)} most similar normal references"
        + "".join(f"; {reference.id}, similarity {reference.similarity:.3f}" for reference in shown.references)
        + f". {len(shown.rules)} normality rules apply: {', '.join(shown.rules) or 'none'}.",
        "shown": shown,
        "artifacts": tuple(reference.image for reference in shown.references),
    }


def _said(native: Mapping[str, Any]) -> str:
    """An asset's own terms in one line."""
    return ", ".join(f"{name} {_short(value)}" for name, value in native.items() if value is not None)


def _opinion(judged: Judged) -> str:
    assessment = judged.assessment
    return (
        f"The {judged.role} ({judged.model}) finds the part {assessment.opinion}, with {len(assessment.findings)} "
        f"finding(s) and {len(assessment.claims)} claim(s)."
    )


def _short(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        more = f" and {len(value) - _LISTED} more" if len(value) > _LISTED else ""
        return "[" + ", ".join(_short(each) for each in value[:_LISTED]) + more + "]"
    return str(value)


def _checked(rule: NormalityRule, part: Measurements, regions: Sequence[Measurements], uncounted: int) -> RuleResult:
    """A rule over regions is not known to be kept while some regions are not measured."""
    result = check_rule(rule, part, regions)
    if uncounted and result.result == "passed" and "regions" in (rule.check or ""):
        reason = f"{uncounted} more region(s) are over threshold and were not measured"
        return RuleResult(rule.id, rule.text, "not_checked", reason, failed=True)
    return result


def _unsuitable(part: dict[str, float]) -> tuple[str, ...]:
    if part["contrast"] >= _BLANK_CONTRAST:
        return ()
    tone = "black" if part["brightness"] < 0.02 else "white" if part["brightness"] > 0.98 else "one even gray"
    return (f"The picture shows nothing: it is {tone} all over; check the camera, the light and the file.",)


def _unlike(result: Localization, *, anomalous: bool) -> tuple[str, ...]:
    """What speaks against trusting a p-value. An anomaly that was found is reason enough for a view to look strange."""
    if anomalous or not result.unfamiliar:
        return result.unlike
    strange = "The picture as a whole resembles none of the references: check that it shows this product."
    return (*result.unlike, strange)


def _unseen(asset: Asset) -> tuple[str, ...]:
    """Frames that nobody looks at could hold the defect."""
    return tuple(f"Only the {note} of the file was looked at." for note in asset.notes if note.startswith("first of "))


def _with_surroundings(box: Box, view: RenderedView) -> Box:
    return box.grown(max(16, max(box.width, box.height) // 3), view.width, view.height)
