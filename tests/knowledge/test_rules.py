"""From a rule and measurements to a result."""

import pytest

from knowledge import (
    DefectType,
    NormalityRule,
    Product,
    RuleResult,
    check_rule,
    name_defect,
    question_for,
    with_questions,
)

PART = {"brightness": 0.5, "area": 100.0}
REGIONS = [{"area": 2.0, "contrast": -0.2}, {"area": 5.0, "contrast": 0.1}]


def rule(check: str | None, question: str | None = None) -> NormalityRule:
    return NormalityRule(id="P-1", text="No dark spot.", check=check, question=question)


# --- by hand


def test_a_rule_that_is_kept_and_one_that_is_broken() -> None:
    kept = check_rule(rule("part.brightness > 0.4"), PART, REGIONS)
    assert kept == RuleResult("P-1", "No dark spot.", "passed", "check: part.brightness > 0.4")
    broken = check_rule(rule("!regions.exists(r, r.contrast < -0.1)"), PART, REGIONS)
    assert broken.result == "violated"
    assert broken.reason == "check: !regions.exists(r, r.contrast < -0.1)"


def test_a_rule_without_regions_holds_for_every_region() -> None:
    assert check_rule(rule("regions.all(r, r.area < 1.0)"), PART, []).result == "passed"
    assert check_rule(rule("regions.exists(r, r.area > 0.0)"), PART, []).result == "violated"


def test_a_rule_without_a_check_is_not_checked_and_says_so() -> None:
    result = check_rule(rule(None), PART, REGIONS)
    assert (result.result, result.reason) == ("not_checked", "the rule has no measurable check")
    assert not result.failed


@pytest.mark.parametrize(
    "check",
    [
        "part.missing > 1.0",
        "part.brightness",
        "part.brightness > 'bright'",
        *(check for check in ("regions[0].area < 3.0", "100 / size(regions) > 50", "int(part.area * 1e300) > 1")),
    ],
)
def test_a_check_that_cannot_be_decided_is_not_checked_with_the_reason(check) -> None:
    """Not knowing is a value: on a part without regions, none of these can be answered."""
    result = check_rule(rule(check), PART, [])
    assert (result.result, result.failed) == ("not_checked", True)
    assert check in result.reason


@pytest.mark.parametrize("check", ["part.brightness > 0.4", "!(part.brightness > 0.4)", "part.brightness < 0.4"])
def test_a_measurement_that_is_no_number_neither_keeps_nor_breaks_a_rule(check) -> None:
    assert check_rule(rule(check), {"brightness": float("nan")}, []).result == "not_checked"


# --- questions


def test_the_expert_s_question_is_asked_or_one_is_made_of_the_text() -> None:
    assert question_for(rule(None, "Is it clean?")) == "Is it clean?"
    assert question_for(rule(None)) == 'Is this rule kept: "No dark spot."?'


# --- defect types

SCRATCH = DefectType(name="scratch", description="x", signature="region.contrast < -0.1 && part.area > 50.0")
STAIN = DefectType(name="stain", description="x", signature="region.contrast < 0.0")
NAMELESS = DefectType(name="odd", description="x")
LOST = DefectType(name="lost", description="x", signature="region.missing > 1.0")


def test_the_first_signature_that_fits_names_the_defect() -> None:
    found, why = name_defect([NAMELESS, LOST, SCRATCH, STAIN], REGIONS[0], PART)
    assert found == SCRATCH
    assert why == "it fits the signature of scratch"
    assert name_defect([STAIN, SCRATCH], REGIONS[0], PART)[0] == STAIN


@pytest.mark.parametrize("types", [[], [NAMELESS], [SCRATCH, STAIN]])
def test_a_region_that_fits_nothing_gets_no_name(types) -> None:
    assert name_defect(types, REGIONS[1], PART) == (None, "it fits the signature of no known defect type")


def test_a_signature_that_cannot_be_decided_is_mentioned() -> None:
    found, why = name_defect([LOST], REGIONS[1], PART)
    assert found is None
    assert "lost" in why


def test_a_signature_that_divides_by_nothing_fits_nothing() -> None:
    broken = DefectType(name="broken", description="x", signature="1 / int(part.zero) > 0")
    assert name_defect([broken, STAIN], REGIONS[0], {"zero": 0.0})[0] == STAIN


def test_a_rule_without_a_question_gets_one_made_and_keeps_its_own_where_it_has_one() -> None:
    own = NormalityRule(id="A-1", text="It is round.", question="Is it round?")
    bare = NormalityRule(id="A-2", text="It is clean.", check="part.area > 1.0")
    asked = with_questions(Product(name="p", description="d", rules=(own, bare)))
    assert [rule.question for rule in asked.rules] == ["Is it round?", 'Is this rule kept: "It is clean."?']
    assert with_questions(asked) == asked
    assert asked.rules[1].check == bare.check
