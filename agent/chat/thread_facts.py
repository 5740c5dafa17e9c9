"""Everything that is known of a thread: its history, its records, its closer looks, and what was sent for it."""

from collections.abc import Mapping, Sequence
from typing import Any

from agent.chat.facts import Fact, facts_of
from agent.chat.state import Inspection
from agent.report import InspectionReport

_MOST_FACTS = 400


def facts_of_thread(
    records: Sequence[tuple[Inspection, InspectionReport]],
    looks: Sequence[Mapping[str, Any]],
    calls: Sequence[Mapping[str, Any]],
) -> list[Fact]:
    """Facts of all inspections with their records, of looks and of calls to models, each kind in order."""
    facts = [Fact(id="thread.count", topic="history", text=f"{len(records)} inspection(s) were made in this thread.")]
    for inspection, report in records:
        facts.append(_history(inspection, report))
        facts += facts_of(report, inspection["number"])
    facts += [Fact.model_validate(look["fact"]) for look in looks]
    return facts + _sent_facts(calls)


def is_news(fact: Fact) -> bool:
    """What is told of an inspection that has just been made."""
    return fact.topic == "verdict" or (fact.topic == "finding" and not fact.quoted)


def _history(inspection: Inspection, report: InspectionReport) -> Fact:
    p_value = "no p-value" if report.decision.p_value is None else f"p-value {report.decision.p_value:.4g}"
    alpha = "" if report.decision.alpha is None else f", alpha {report.decision.alpha:g}"
    return Fact(
        id=f"thread.i{inspection['number']}",
        topic="history",
        text=f"Inspection {inspection['number']} of this thread, {len(report.inputs)} asset(s) as "
        f"{inspection['product']}{alpha}: {report.verdict}, {p_value}, {len(report.findings)} finding(s).",
    )


def _sent_facts(calls: Sequence[Mapping[str, Any]]) -> list[Fact]:
    return [
        Fact(
            id=f"thread.sent{number}",
            topic="sent",
            text=f"For this conversation text was sent to {call['model']}"
            f"{' at ' + call['address'] if call['address'] else ''}: {call['bytes']} bytes.",
        )
        for number, call in enumerate(calls, start=1)
    ]


def limited(facts: Sequence[Fact], about: int | None, fresh: Sequence[str]) -> list[Fact]:
    """All of the inspection that is meant; of the others the first, up to what a model can be told."""
    first = (f"i{about}.", "thread.")
    ranked = sorted(facts, key=lambda fact: not (fact.id.startswith(first) or fact.id in fresh))
    return ranked[:_MOST_FACTS]
