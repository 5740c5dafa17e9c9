"""Closer looks at a place that was inspected: alone, or beside a normal reference."""

from collections.abc import Mapping
from typing import Any

from agent.chat.facts import Fact, one_line
from agent.chat.places import Place, place_of
from agent.chat.turn import Turn
from agent.inspection import Inspector
from agent.report import InspectionReport
from knowledge import ToolFailure
from tools import Asset, EvidenceLog, KnowledgeFound, PlaceSeen, Region, compare_place, see_place


def closer_look(
    inspector: Inspector, turn: Turn, values: Mapping[str, Any], report: InspectionReport, name: str
) -> dict[str, Any]:
    """The fact of a look, whose id is `name`, and its pictures.

    Args:
        inspector: who made the inspection.
        turn: the place that is wanted, and whether it is compared.
        values: the last state of the inspection.
        report: its record.
        name: how the look is cited.

    Raises:
        RequestError: there is no such place.
        ToolFailure: it cannot be shown, or not be compared.
    """
    log = EvidenceLog.read(values["evidence"])
    called = {finding.region: f"{finding.title} {finding.defect_type or ''}" for finding in report.findings}
    place = place_of(turn, log, called)
    if turn.action == "compare" and place.region is not None and place.region.members:
        return _compared(inspector, place.region, turn.reference, values, log, name)
    if turn.action == "compare":
        seen = compare_place(inspector.store, log, place.view, place.box, name, turn.reference)
    else:
        seen = see_place(inspector.store, log, place.view, place.box, name)
    fact = Fact(id=name, topic="look", text=one_line(_seen(seen, place)), about=(seen.view, *seen.regions))
    return _shown(fact, seen.crop, seen.reference_crop, seen.reference)


def _compared(
    inspector: Inspector, region: Region, rank: int, values: Mapping[str, Any], log: EvidenceLog, name: str
) -> dict[str, Any]:
    """A region of a scan or a recording beside the same place on a reference."""
    asset_id = log.view(region.view_id).asset_id
    asset = next(Asset.model_validate(value) for value in values["inputs"] if value["id"] == asset_id)
    views = {view.id for view in log.views_of(asset_id)}
    found = next((shown.references for _, shown in log.of(KnowledgeFound) if shown.view in views), ())
    if len(found) < rank:
        raise ToolFailure(f"there is no reference number {rank}: {len(found)} were retrieved")
    learned = inspector.products.get(values["product"])
    compared = inspector.workshop.native.compare(asset, learned, log, region, found[rank - 1].id)
    text = (
        f"Region {region.id} beside the same place on reference {compared.reference}: its anomaly value peaks at "
        f"{compared.difference:.4g}."
    )
    fact = Fact(id=name, topic="look", text=text, about=(region.id,))
    return _shown(fact, compared.crop, compared.reference_crop, compared.reference)


def _shown(fact: Fact, crop: str, reference_crop: str, reference: str) -> dict[str, Any]:
    pictures = [{"title": f"{fact.id}: closer", "artifact": crop}]
    if reference_crop:
        pictures.append({"title": f"{fact.id}: the same place on reference {reference}", "artifact": reference_crop})
    return {"fact": fact.model_dump(mode="json"), "pictures": pictures}


def _seen(seen: PlaceSeen, place: Place) -> str:
    around = f", around region {place.region.id}" if place.region else ""
    where = f"box {seen.source_box.as_list()} of view {seen.view}"
    words = f"Closer look at {where}{around}: {_peak(seen)}"
    if seen.regions:
        words += f" Regions that reach into it: {', '.join(seen.regions)}."
    if seen.difference is not None:
        tone = "brighter" if seen.difference > 0 else "darker"
        words += (
            f" It is {abs(seen.difference):.4f} of full white {tone} than the same place on reference {seen.reference}."
        )
    return words


def _peak(seen: PlaceSeen) -> str:
    if seen.peak is None:
        return "it was not localised."
    if seen.threshold is None:
        return f"the anomaly map peaks at {seen.peak:.4g} inside, and no threshold can be promised."
    side = "above" if seen.peak > seen.threshold else "not above"
    return f"the anomaly map peaks at {seen.peak:.4g} inside, {side} the threshold of {seen.threshold:.4g}."
