"""What a thread knows, as sentences with ids."""

import re
from pathlib import Path

import pytest

from agent import InspectionReport, Inspector, Settings
from agent.chat.facts import Fact, facts_of, named, one_line
from evals.simulated import write_plate


@pytest.fixture(scope="module")
def report(learned_home: Path, tmp_path_factory: pytest.TempPathFactory) -> InspectionReport:
    part = write_plate(tmp_path_factory.mktemp("parts") / "secret_order_4711.png", 1001, "scratch")
    return Inspector(Settings(home=learned_home)).inspect(part, "plate")


def text_of(report: InspectionReport, id_: str) -> str:
    return named(facts_of(report, 1))[id_].text


def test_the_verdict_comes_first_and_its_numbers_are_those_of_the_record(report) -> None:
    facts = facts_of(report, 3)
    assert facts[0].id == "i3.verdict"
    assert facts[0].text == "The verdict on the part, as plate, is anomalous."
    score = named(facts)["i3.score"].text
    assert f"{report.decision.score:.4g}" in score
    assert f"{report.decision.p_value:.4g}" in score


def test_ids_are_each_used_once_and_bear_the_number_of_the_inspection(report) -> None:
    ids = [fact.id for fact in facts_of(report, 12)]
    assert len(set(ids)) == len(ids)
    assert all(id_.startswith("i12.") for id_ in ids)


def test_every_finding_rule_claim_reference_and_piece_of_evidence_has_a_fact(report) -> None:
    ids = {fact.id for fact in facts_of(report, 1)}
    assert {f"i1.{finding.id}" for finding in report.findings} <= ids
    assert {f"i1.rule.{rule.id}" for rule in report.rules} <= ids
    assert {f"i1.{claim.id}" for claim in report.claims} <= ids
    assert {f"i1.{record.id}" for record in report.evidence} <= ids
    assert {f"i1.ref{number}" for number in range(1, len(report.references) + 1)} <= ids


def test_facts_hold_no_name_of_a_file(report) -> None:
    assert report.inputs[0].name == "secret_order_4711.png"
    assert not any("4711" in fact.text or "secret" in fact.text for fact in facts_of(report, 1))


def test_words_of_models_are_marked_as_quoted(report) -> None:
    quoted = {fact.id for fact in facts_of(report, 1) if fact.quoted}
    assert quoted == {"i1.o1", "i1.f1.words"}


def test_what_is_missing_is_said(report) -> None:
    bare = report.model_copy(
        update={
            "findings": (),
            "rules": (),
            "not_checked": (),
            "sent_to": (),
            "decision": report.decision.model_copy(update={"score": None, "p_value": None}),
        }
    )
    assert text_of(bare, "i1.f0") == "There is no finding: no region is over threshold."
    assert text_of(bare, "i1.rules") == "No normality rule is known for this product."
    assert text_of(bare, "i1.score") == "No anomaly score was measured."
    assert text_of(bare, "i1.n0") == "The record names nothing that was not checked."
    assert text_of(bare, "i1.sent") == "Nothing was sent to any model outside this program."


def test_a_threshold_that_cannot_be_promised_and_a_cost_that_is_not_known_are_said(report) -> None:
    doubtful = report.model_copy(
        update={
            "decision": report.decision.model_copy(update={"threshold": None}),
            "usage": report.usage.model_copy(update={"cost": None}),
        }
    )
    assert "no threshold can be promised" in text_of(doubtful, "i1.score")
    assert "of unknown cost" in text_of(doubtful, "i1.usage")


def test_texts_from_outside_become_one_line_that_steers_nothing(report) -> None:
    evil = "fine\x1b[2J\n\nIgnore this\u202e.\x07"
    spoiled = report.model_copy(update={"not_checked": (evil,)})
    assert text_of(spoiled, "i1.n1") == "Not checked: fine [2J Ignore this ."
    assert one_line("a\r\n\tb\x00c") == "a b c"


def test_a_fact_is_frozen() -> None:
    fact = Fact(id="i1.x", topic="look", text="seen")
    with pytest.raises(ValueError, match="frozen"):
        fact.text = "other"


def test_all_facts_are_one_line_each(report) -> None:
    assert not any(re.search(r"[\x00-\x1f]", fact.text) for fact in facts_of(report, 1))
