"""What a reasoner is told and shown: the four conditions, the evidence with its ids, and labelled panels.

Task description, class context, normality rules and normal references (arXiv 2403.11083). Names of files and their
metadata are never among it.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from knowledge import Product, question_for, rules_for
from tools.artifacts import ArtifactStore
from tools.assets import Asset
from tools.evidence import Compared, EvidenceLog, Examined, Failed, KnowledgeFound, Localized, RulesChecked, ViewsShown
from tools.measuring import as_values, side_of
from tools.panels import Panel, labelled, marked
from tools.views import RenderedView

CONDITIONS = ("task", "context", "rules", "references")
"""What steers a reasoner; each can be left out, to see what it is worth."""

CONDITIONS_VERSION = "1"

_SHOWN_REFERENCES = 2
_SHOWN_CROPS = 3
_OTHER_VIEWS = 2


def reasoner_panels(
    log: EvidenceLog, view: RenderedView, store: ArtifactStore, given: Collection[str] = CONDITIONS
) -> tuple[Panel, ...]:
    """References, the part, its heat map and crops of its regions, each under a label that its text names too."""
    references = [reference for _, shown in log.of(KnowledgeFound) for reference in shown.references]
    panels = [
        Panel(f"reference {letter}", "a normal part of this product", reference.image)
        for letter, reference in zip("ABCDEFGH", references[:_SHOWN_REFERENCES], strict=False)
        if "references" in given
    ]
    panels.append(
        Panel("query", f"the part to judge, view {view.id}" + (f", {view.title}" if view.title else ""), view.image)
    )
    panels += _heat_panels(log, view, store)
    crops = [shown for _, shown in log.of(Examined)][:_SHOWN_CROPS]
    panels += [
        Panel(f"crop {number}", f"region {examined.region} of the query, enlarged", examined.crop.image)
        for number, examined in enumerate(crops, start=1)
    ]
    return tuple(
        panel._replace(artifact=store.put_image(labelled(store.get_image(panel.artifact), panel.label)))
        for panel in panels
    )


def _heat_panels(log: EvidenceLog, view: RenderedView, store: ArtifactStore) -> list[Panel]:
    """The query under its heat map, and the other views on which regions lie."""
    localized = next((shown for _, shown in log.of(Localized) if shown.view == view.id), None)
    if localized is None:
        return []
    heats = localized.heats or {localized.view: localized.heat}
    elsewhere = dict.fromkeys(region.view_id for region in localized.regions if region.view_id != view.id)
    shown = [view, *(log.view(id_) for id_ in list(elsewhere)[:_OTHER_VIEWS])]
    panels = []
    for number, each in enumerate(shown, start=1):
        regions = [region for region in localized.regions if region.view_id == each.id]
        heat = store.get_image(heats[each.id]) if each.id in heats else None
        name = f"view {each.id}" + (f", {each.title}" if each.title else "")
        caption = f"the part to judge, {name}: yellow at the threshold, red far above it, regions with their ids"
        label = "heat map" if number == 1 else f"heat map {number}"
        panels.append(Panel(label, caption, store.put_image(marked(store.get_image(each.image), heat, regions))))
    return panels


def reasoner_briefing(
    product: Product,
    log: EvidenceLog,
    view: RenderedView,
    panels: Sequence[Panel],
    asset: Asset,
    others: Sequence[Mapping[str, Any]] = (),
    given: Collection[str] = CONDITIONS,
) -> dict[str, Any]:
    """The case in plain values; the same for every kind of reasoner.

    `log` is what was found on the asset alone; `others` are the other assets of the same part; `given` are the
    conditions, of which those left out are empty.
    """
    rules = rules_for(product, asset.modality) if "rules" in given else ()
    return {
        "question": "assess",
        "asset": {"id": asset.id, "modality": asset.modality, "facts": asset.facts},
        "other_assets": list(others),
        "conditions": {"version": CONDITIONS_VERSION, "given": [name for name in CONDITIONS if name in given]},
        "task": product.task if "task" in given else "",
        "context": product.description if "context" in given else "",
        "rules": [
            {"id": rule.id, "text": rule.text, "severity": rule.severity, "question": question_for(rule)}
            for rule in rules
        ],
        "defect_types": [defect.model_dump(mode="json") for defect in product.defect_types if "context" in given],
        "panels": [{"label": panel.label, "caption": panel.caption} for panel in panels],
        "view": {"id": view.id, "width": view.width, "height": view.height},
        "part": _part(log, view),
        "localization": _localization(log, view),
        "regions": _regions(log),
        "rule_checks": _rule_checks(log) if "rules" in given else [],
        "failures": [{"evidence": id_, "reason": shown.reason} for id_, shown in log.of(Failed)],
    }


def _part(log: EvidenceLog, view: RenderedView) -> dict[str, Any]:
    for id_, shown in log.of(ViewsShown):
        if view in shown.views:
            return {"evidence": id_, "measurements": _rounded(as_values(shown.part)), "unsuitable": shown.unsuitable}
    return {}


def _localization(log: EvidenceLog, view: RenderedView) -> dict[str, Any] | None:
    for id_, shown in log.of(Localized):
        if shown.view == view.id:
            calibrated = shown.threshold is not None
            numbers = {"score": shown.score, "p_value": shown.p_value, "alpha": shown.alpha}
            # Unrounded: whether p is at or below alpha must not hang on the last digit shown.
            return {
                "evidence": id_,
                **numbers,
                "calibrated": calibrated,
                "promise": shown.promise,
                "count": shown.region_count,
                "unlike": shown.unlike,
            }
    return None


def _regions(log: EvidenceLog) -> list[dict[str, Any]]:
    located = {region.id: id_ for id_, shown in log.of(Localized) for region in shown.regions}
    compared = {shown.region: (id_, shown) for id_, shown in log.of(Compared)}
    measured = {record.shown.region: record.id for record in log.records if record.shown.kind == "measurement"}
    described = []
    for region in log.regions().values():
        entry: dict[str, Any] = {
            "id": region.id,
            "evidence": [located[region.id]],
            "peak": round(region.peak, 4),
            "box": region.source_box.as_list(),
            "native": region.native,
        }
        measurements = log.measurements(region.id)
        if measurements is not None:
            values = as_values(measurements)
            entry["evidence"].append(measured[region.id])
            entry["measurements"] = _rounded(values)
            if not region.members:
                entry["side"] = side_of(values["centroid_x"], values["centroid_y"])
        if region.id in compared:
            id_, comparison = compared[region.id]
            entry["evidence"].append(id_)
            entry["compared"] = {
                "reference": comparison.reference,
                "difference": round(comparison.difference, 4),
                "unit": comparison.unit,
            }
        described.append(entry)
    return described


def _rule_checks(log: EvidenceLog) -> list[dict[str, Any]]:
    return [
        {"evidence": id_, "rule": result.id, "result": result.result, "reason": result.reason}
        for id_, shown in log.of(RulesChecked)
        for result in shown.results
    ]


def _rounded(values: dict[str, float]) -> dict[str, float]:
    # Four decimals, but two digits of what is smaller: the share of a region of a few pixels is not 0.
    return {name: round(value, 4) if abs(value) >= 1e-3 else float(f"{value:.2g}") for name, value in values.items()}
