"""From the state of a finished inspection to its record."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from agent.costs import cost_of_calls
from agent.policy import Decision
from agent.report import (
    AnswerInfo,
    ClaimInfo,
    DecisionInfo,
    EvidenceInfo,
    FindingInfo,
    InputInfo,
    InspectionReport,
    MeasurementInfo,
    ModelInfo,
    OpinionInfo,
    ProductInfo,
    ReferenceInfo,
    RuleInfo,
    SentInfo,
    StepInfo,
    UsageInfo,
    ViewInfo,
    round_numbers,
)
from agent.state import Usage
from agent.verification import Verified
from knowledge import DefectType, NormalityRule, Product, Severity, name_defect, question_for
from tools import (
    Assessed,
    Compared,
    EvidenceLog,
    Examined,
    FindingDraft,
    Judged,
    KnowledgeFound,
    Localized,
    ModelCall,
    Region,
    RenderedView,
    RuleChecked,
    RulesChecked,
    ViewsShown,
    as_values,
)

_NOT_REACHED = "the inspection did not get there"


def build_report(state: Mapping[str, Any], product: Product) -> InspectionReport:
    """The record of an inspection, from its state and nothing else."""
    log = EvidenceLog.read(state["evidence"])
    request = state["request"]
    decision = Decision.model_validate(state["decision"])
    claims = [Verified.model_validate(value) for value in state["claims"]]
    rules = _rules(log, product, {value["modality"] for value in state["inputs"]})
    report = InspectionReport(
        inspection_id=request["inspection_id"],
        created_at=request["created_at"],
        request=dict(request),
        product=ProductInfo(name=product.name, version=state["product_version"]),
        inputs=tuple(_input(value, log) for value in state["inputs"]),
        verdict=decision.verdict,
        decision=DecisionInfo(**decision.model_dump(exclude={"verdict"})),
        findings=_findings(log, product, claims),
        claims=tuple(ClaimInfo(**claim.model_dump()) for claim in claims),
        rules=rules,
        references=tuple(
            ReferenceInfo(**reference.model_dump())
            for _, shown in log.of(KnowledgeFound)
            for reference in shown.references
        ),
        evidence=tuple(
            EvidenceInfo(
                id=record.id,
                tool=record.tool,
                summary=record.summary,
                artifacts=record.artifacts,
                seconds=record.seconds,
            )
            for record in log.records
        ),
        plan=tuple(StepInfo(**{key: step[key] for key in StepInfo.model_fields}) for step in state["plan"]),
        models=tuple(ModelInfo.model_validate(value) for value in state["models"]),
        usage=_usage(state, log),
        not_checked=_not_checked(state, log, rules, product),
        sent_to=tuple(_sent(purpose, call) for purpose, call in _calls(state, log) if call.remote),
        opinions=_opinions(log),
        reasoners_agree=_reasoners_agree(log),
        maps={
            view: heat
            for _, shown in log.of(Localized)
            for view, heat in (shown.heats or {shown.view: shown.heat}).items()
        },
    )
    return InspectionReport.model_validate(round_numbers(report.model_dump(mode="json")))


def _calls(state: Mapping[str, Any], log: EvidenceLog) -> list[tuple[str, ModelCall]]:
    """Every question that was put to a model, with what for."""
    planned = [("plan", ModelCall.model_validate(value)) for value in state.get("calls", ())]
    return planned + [(record.tool, call) for record in log.records for call in record.calls]


def _sent(purpose: str, call: ModelCall) -> SentInfo:
    return SentInfo(
        to=call.model + (f" at {call.address}" if call.address else ""),
        purpose=purpose,
        **call.model_dump(include=set(SentInfo.model_fields) - {"to", "purpose"}),
    )


def _usage(state: Mapping[str, Any], log: EvidenceLog) -> UsageInfo:
    """What was spent; tokens without a price have a cost that is not known, which is not the same as nothing."""
    usage = Usage.model_validate(state["usage"])
    cost = cost_of_calls([call for _, call in _calls(state, log)], state["request"].get("price"))
    return UsageInfo(**{**usage.model_dump(), "cost": None if cost.unknown else usage.cost})


def _opinions(log: EvidenceLog) -> tuple[OpinionInfo, ...]:
    assessed = dict(log.of(Assessed))
    return tuple(
        OpinionInfo(
            role=judged.role,
            model=judged.model,
            asset=record.arguments.get("asset", ""),
            opinion=judged.assessment.opinion,
            explanation=judged.assessment.explanation,
            prompt_version=assessed[record.id].prompt_version,
            conditions=assessed[record.id].conditions,
            agrees=_agrees(judged, log.about(record.arguments.get("asset", ""))),
            passed_over=judged.passed_over,
        )
        for record, judged in log.judged()
    )


def _agrees(judged: Judged, log: EvidenceLog) -> bool | None:
    """Whether a reasoner says of an asset what the calibrated localiser says of it."""
    localized = next((shown for _, shown in log.of(Localized)), None)
    if localized is None or localized.threshold is None or judged.assessment.opinion == "unsure":
        return None
    return (judged.assessment.opinion == "anomalous") == (localized.p_value <= localized.alpha)


def _reasoners_agree(log: EvidenceLog) -> bool | None:
    pairs = [
        {judged.assessment.opinion for judged in shown.judged} for _, shown in log.of(Assessed) if len(shown.judged) > 1
    ]
    return all(len(opinions) == 1 for opinions in pairs) if pairs else None


def _input(asset: Mapping[str, Any], log: EvidenceLog) -> InputInfo:
    views = [view for _, shown in log.of(ViewsShown) for view in shown.views if view.asset_id == asset["id"]]
    return InputInfo(
        id=asset["id"],
        modality=asset["modality"],
        name=asset["name"],
        sha256=asset["sha256"],
        notes=tuple(asset.get("notes", ())),
        width=asset["width"],
        height=asset["height"],
        facts=asset.get("facts", {}),
        **_verdict_of(views, log),
        views=tuple(
            ViewInfo(
                id=view.id,
                kind=view.kind,
                width=view.width,
                height=view.height,
                image=view.image,
                to_source=view.to_source,
                title=view.title,
                inverse=view.inverse,
                span=view.span,
            )
            for view in views
        ),
    )


def _verdict_of(views: Sequence[RenderedView], log: EvidenceLog) -> dict[str, Any]:
    """What the instrument says of one asset alone."""
    ids = {view.id for view in views}
    shown = next((shown for _, shown in log.of(Localized) if shown.view in ids), None)
    if shown is None:
        return {}
    anomalous = shown.p_value <= shown.alpha
    doubtful = shown.threshold is None or bool(shown.unlike)
    return {
        "verdict": "review" if doubtful else "anomalous" if anomalous else "normal",
        "score": shown.score,
        "p_value": shown.p_value,
        "threshold": shown.threshold,
        "promise": shown.promise,
    }


def _findings(log: EvidenceLog, product: Product, claims: Sequence[Verified]) -> tuple[FindingInfo, ...]:
    """One finding a region: the instrument proposes them, the reasoner's words are used where it has some."""
    drafts = {draft.region: draft for draft in _drafts(log)}
    return tuple(
        _finding(f"f{number}", region, drafts.get(region.id), log, product, claims)
        for number, region in enumerate(log.regions().values(), start=1)
    )


def _drafts(log: EvidenceLog) -> list[FindingDraft]:
    """The first reasoner's words stand before the second's."""
    return [draft for _, judged in reversed(log.judged()) for draft in judged.assessment.findings]


def _finding(
    id_: str,
    region: Region,
    draft: FindingDraft | None,
    log: EvidenceLog,
    product: Product,
    claims: Sequence[Verified],
) -> FindingInfo:
    measurements = log.measurements(region.id) or ()
    values = as_values(measurements)
    view = log.view(region.view_id)
    part = next((as_values(shown.part) for _, shown in log.of(ViewsShown) if view in shown.views), {})
    known = {defect.name: defect for defect in product.defect_types}
    named = known.get((draft and draft.defect_type) or "") or _named_by_signature(product, values, part)
    scale = view.source_pixels_per_pixel
    native: dict[str, Any] = dict(region.native) or {"unit": "px"}
    if values and not region.members:
        x, y = view.point_to_source(values["centroid_x"] * view.width, values["centroid_y"] * view.height)
        native |= {"pixels": round(values["area"] * scale), "centroid": [x, y]}
    return FindingInfo(
        id=id_,
        region=region.id,
        title=draft.title if draft else "Unlike the normal references",
        defect_type=named.name if named else None,
        severity=_severest(draft.severity if draft else None, named.severity if named else None),
        view=region.view_id,
        box=(region.source_box.x0, region.source_box.y0, region.source_box.x1, region.source_box.y1),
        mask=region.mask,
        native=native,
        asset=view.asset_id,
        measurements=tuple(MeasurementInfo(**measurement.model_dump()) for measurement in measurements),
        score=region.peak,
        explanation=draft.explanation if draft else "",
        claims=tuple(claim.id for claim in claims if claim.subject == region.id),
        images=_images(region, log),
    )


def _severest(*severities: Severity | None) -> Severity:
    """The reasoner may find a defect worse than the experts' word for it, never milder."""
    order: tuple[Severity, ...] = ("critical", "major", "minor")
    return next((severity for severity in order if severity in severities), "major")


def _images(region: Region, log: EvidenceLog) -> dict[str, str]:
    images: dict[str, str] = {}
    for _, compared in log.of(Compared):
        if compared.region == region.id:
            images |= {"part": compared.crop, "reference": compared.reference_crop}
            images |= {"section": compared.section} if compared.section else {}
    for _, examined in log.of(Examined):
        if examined.region == region.id:
            images |= {"enlarged": examined.crop.image}
            images |= {"enhanced": examined.enhanced.image} if examined.enhanced else {}
    return images


def _named_by_signature(product: Product, values: dict[str, float], part: dict[str, float]) -> DefectType | None:
    return name_defect(product.defect_types, values, part)[0] if values else None


def _rules(log: EvidenceLog, product: Product, given: Collection[str]) -> tuple[RuleInfo, ...]:
    checked = _worst_of_each(log)
    found = []
    for rule in product.rules:
        result = checked[rule.id][1] if rule.id in checked else None
        measured = result is not None and result.result != "not_checked"
        found.append(
            RuleInfo(
                id=rule.id,
                text=rule.text,
                result=result.result if result else "not_checked",
                evidence=tuple(
                    id_ for id_, shown in log.of(RulesChecked) if any(each.id == rule.id for each in shown.results)
                ),
                reason=result.reason if result else _unreached(rule, product, given),
                by="code" if measured else "",
                question=question_for(rule),
                answers=_answers(rule.id, log),
            )
        )
    return tuple(found)


def _worst_of_each(log: EvidenceLog) -> dict[str, tuple[str, RuleChecked]]:
    """Rule id -> evidence and result: of several assets that it was checked on, the worst."""
    order = ("violated", "not_checked", "passed")
    found = [(id_, result) for id_, shown in log.of(RulesChecked) for result in shown.results]
    return {result.id: (id_, result) for id_, result in sorted(found, key=lambda each: -order.index(each[1].result))}


def _unreached(rule: NormalityRule, product: Product, given: Collection[str]) -> str:
    modality = rule.modality or product.modality[0]
    if modality not in given:
        return f"no {modality.replace('_', ' ')} of the part was given"
    return _NOT_REACHED


def _opinions_on(rule: RuleInfo) -> str:
    """An opinion is told beside what was not measured, and stands for no check."""
    told = [f"{answer.by} answers {answer.answer.replace('_', ' ')}" for answer in rule.answers]
    return f" ({', '.join(told)})" if told else ""


def _answers(rule: str, log: EvidenceLog) -> tuple[AnswerInfo, ...]:
    """What reasoners answered to a rule's question."""
    return tuple(
        AnswerInfo(by=judged.source, answer=answer.answer, reason=answer.reason)
        for _, judged in log.judged()
        for answer in judged.assessment.rule_answers
        if answer.rule == rule
    )


def _not_checked(
    state: Mapping[str, Any], log: EvidenceLog, rules: Sequence[RuleInfo], product: Product
) -> tuple[str, ...]:
    missing = [f"Rule {rule.id}: {rule.reason}{_opinions_on(rule)}." for rule in rules if rule.result == "not_checked"]
    missing += [
        f"{shown.region_count - len(shown.regions)} more region(s) of view {shown.view} are over threshold."
        for _, shown in log.of(Localized)
        if shown.region_count > len(shown.regions)
    ]
    missing += [
        f"The reasoner named a finding on {draft.region!r}, which is no region of this part: {draft.title}."
        for draft in _drafts(log)
        if draft.region not in log.regions() and not (draft.box and draft.region in log.views())
    ]
    missing += [
        f"The reasoner saw something on view {draft.region} where no region is over threshold: {draft.title}."
        for draft in _drafts(log)
        if draft.box and draft.region in log.views()
    ]
    unpriced = cost_of_calls([call for _, call in _calls(state, log)], state["request"].get("price")).unknown
    missing += [f"The cost of {model}: no price is known, so the budget of money did not bind." for model in unpriced]
    missing += [
        f"Region {region} is over threshold and was not looked into."
        for region in log.regions()
        if log.measurements(region) is None
    ]
    missing += [
        f"Step {step['tool']} {' '.join(step['arguments'].values())} was {step['status']}: {step['note']}."
        for step in state["plan"]
        if step["status"] in ("skipped", "refused", "failed")
    ]
    given = {value["modality"] for value in state["inputs"]}
    missing += [
        f"No {modality.replace('_', ' ')} of the part was given: nothing is known of what it would show."
        for modality in product.modality
        if modality not in given
    ]
    if not rules:
        missing.append("No normality rule is known for this product; only likeness to the references was judged.")
    return tuple(missing)
