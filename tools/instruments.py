"""The instruments of one inspection, each asked by id: what to look at, and what has been shown so far.

An instrument never takes a path. It raises `ToolFailure` for what the world did, `ToolArgumentError` for an id that
makes no sense, and everything else is a bug.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, NotRequired, Protocol, TypedDict

from knowledge import Measurements, NormalityRule, RuleResult, ToolArgumentError, ToolFailure, check_rule, rules_for
from tools import prompts
from tools.artifacts import ArtifactStore
from tools.assessment import Assessment
from tools.assets import Asset, Limits
from tools.briefing import CONDITIONS, reasoner_briefing, reasoner_panels
from tools.evidence import (
    Assessed,
    EvidenceLog,
    Failed,
    Judged,
    KnowledgeFound,
    Localized,
    ModelCall,
    RegionMeasured,
    RuleChecked,
    RulesChecked,
    SimilarReference,
    ViewsShown,
)
from tools.learned import LearnedProduct, LearnedProducts
from tools.measuring import Measurement, as_values
from tools.native_instruments import NativeInstruments
from tools.native_outcomes import NativeOutcomes
from tools.outcomes import Learned, Outcome
from tools.panels import Panel
from tools.picture_instruments import PictureInstruments
from tools.reasoning import NoAnswer, Role, assess
from tools.views import Region, RenderedView


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


class ModalityInstruments(Protocol):
    """What looks at assets of one modality, or of several.

    What only shows asks for what was `learned` where it needs it: a product that cannot be used hides no picture.
    """

    def render(self, asset: Asset, learned: Learned) -> Outcome: ...

    def localize(
        self, asset: Asset, learned: LearnedProduct, views: Sequence[RenderedView], alpha: float
    ) -> Outcome: ...

    def retrieve(self, asset: Asset, learned: LearnedProduct, view: RenderedView) -> Outcome: ...

    def measure(
        self, asset: Asset, learned: LearnedProduct, log: EvidenceLog, region: Region
    ) -> tuple[Measurement, ...]: ...

    def told(self, measured: tuple[Measurement, ...]) -> str: ...

    def examine(self, asset: Asset, learned: Learned, log: EvidenceLog, region: Region) -> Outcome: ...

    def compare(
        self, asset: Asset, learned: Learned, log: EvidenceLog, region: Region, reference: SimilarReference
    ) -> Outcome: ...


class Answers(NamedTuple):
    """What became of asking all reasoners."""

    judged: tuple[Judged, ...]
    unanswered: tuple[str, ...]
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
        limits = limits or Limits()
        self._store = store
        self._products = products
        self._reasoners = tuple(reasoners)
        self._pictures = PictureInstruments(store, limits)
        self._natives = NativeOutcomes(native or NativeInstruments(store, limits))

    def render_asset(self, asset: str, state: InspectionState) -> Outcome:
        """Render an asset to 2-D views and judge whether its quality allows an inspection."""
        known = asset_of(asset, state)
        return self._for(known).render(known, lambda: self._learned(state))

    def localize_anomalies(self, asset: str, state: InspectionState) -> Outcome:
        """Find where a part is unlike its normal references, with a calibrated p-value."""
        learned = self._learned(state)
        views = EvidenceLog.read(state["evidence"]).views_of(asset)
        known = asset_of(asset, state)
        return self._for(known).localize(known, learned, views, share_of_alpha(state))

    def retrieve_knowledge(self, asset: str, state: InspectionState) -> Outcome:
        """Find the normal references most like a part, and the rules that apply to it."""
        learned = self._learned(state)
        view = EvidenceLog.read(state["evidence"]).views_of(asset)[0]
        known = asset_of(asset, state)
        return self._for(known).retrieve(known, learned, view)

    def measure_region(self, region: str, state: InspectionState) -> Outcome:
        """Measure a region on the asset's own data: its size, place, and how far it deviates."""
        log, learned = EvidenceLog.read(state["evidence"]), self._learned(state)
        known = log.region(region)
        measured = self._measure(learned, log, known, state)
        return {
            "summary": f"Region {region}: {self._for(_asset_with(known, log, state)).told(measured)}",
            "shown": RegionMeasured(region=region, measurements=measured),
        }

    def examine_region(self, region: str, state: InspectionState) -> Outcome:
        """Look closer at a region: an enlarged crop, and one with stretched local contrast."""
        log = EvidenceLog.read(state["evidence"])
        known = log.region(region)
        asset = _asset_with(known, log, state)
        return self._for(asset).examine(asset, lambda: self._learned(state), log, known)

    def compare_with_reference(self, region: str, state: InspectionState) -> Outcome:
        """Compare a region with the same place on the most similar normal reference."""
        log = EvidenceLog.read(state["evidence"])
        known = log.region(region)
        asset = _asset_with(known, log, state)
        views = {shown.id for shown in log.views_of(asset.id)}
        found = next((shown for _, shown in log.of(KnowledgeFound) if shown.view in views), None)
        if found is None or not found.references:
            raise ToolFailure(f"region {region} cannot be compared: no normal reference was retrieved")
        return self._for(asset).compare(asset, lambda: self._learned(state), log, known, found.references[0])

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
        answers = self._asked(briefing, panels)
        outcome = Outcome(calls=answers.calls, artifacts=tuple(panel.artifact for panel in panels))
        if not answers.judged:
            reason = "; ".join(answers.unanswered)
            return {**outcome, "summary": reason, "shown": Failed(reason=reason)}
        shown = Assessed(
            judged=answers.judged,
            unanswered=answers.unanswered,
            prompt_version=prompts.REASONER_PROMPT_VERSION,
            conditions=tuple(given),
        )
        return {**outcome, "summary": " ".join(_opinion(each) for each in answers.judged), "shown": shown}

    def _asked(self, briefing: Mapping[str, Any], panels: Sequence[Panel]) -> Answers:
        """Each reasoner in turn; one that does not answer takes no other's answer away."""
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
        return Answers(tuple(judged), tuple(unanswered), tuple(calls))

    def _for(self, asset: Asset) -> ModalityInstruments:
        return self._pictures if asset.modality == "image" else self._natives

    def _measure(
        self, learned: LearnedProduct, log: EvidenceLog, region: Region, state: InspectionState
    ) -> tuple[Measurement, ...]:
        """What is measured once is not measured again."""
        known = log.measurements(region.id)
        if known is not None:
            return known
        asset = _asset_with(region, log, state)
        return self._for(asset).measure(asset, learned, log, region)

    def _learned(self, state: InspectionState) -> LearnedProduct:
        learned = self._products.get(state["product"])
        if state.get("product_version", learned.version) != learned.version:
            raise ToolFailure(
                f"product {state['product']!r} was changed while the part was inspected; inspect it again"
            )
        return learned


def asset_of(asset: str, state: InspectionState) -> Asset:
    """An asset by its id; raises `ToolArgumentError` for one that is not there."""
    values = next((value for value in state["inputs"] if value["id"] == asset), None)
    if values is None:
        raise ToolArgumentError(f"there is no asset {asset!r}; known are {[v['id'] for v in state['inputs']]}")
    return Asset.model_validate(values)


def _asset_with(region: Region, log: EvidenceLog, state: InspectionState) -> Asset:
    return asset_of(log.view(region.view_id).asset_id, state)


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


def _opinion(judged: Judged) -> str:
    assessment = judged.assessment
    return (
        f"The {judged.role} ({judged.model}) finds the part {assessment.opinion}, with {len(assessment.findings)} "
        f"finding(s) and {len(assessment.claims)} claim(s)."
    )


def _checked(rule: NormalityRule, part: Measurements, regions: Sequence[Measurements], uncounted: int) -> RuleResult:
    """A rule over regions is not known to be kept while some regions are not measured."""
    result = check_rule(rule, part, regions)
    if uncounted and result.result == "passed" and "regions" in (rule.check or ""):
        reason = f"{uncounted} more region(s) are over threshold and were not measured"
        return RuleResult(rule.id, rule.text, "not_checked", reason, failed=True)
    return result
