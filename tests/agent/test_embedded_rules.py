"""The rules by which the embedded model plans and judges, on briefings written by hand."""

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.embedded_rules import LOOKED_AT, assess, propose_steps
from agent.plan import InspectionPlan, PlannedStep, next_steps, validate_plan, with_status
from tools import REGION_TOOLS, STAGES, Assessment


def plan_briefing(
    done: tuple[tuple[str, str], ...] = (), regions: tuple[str, ...] = (), assets: int = 1
) -> dict[str, Any]:
    return {
        "question": "plan",
        "assets": [{"id": f"a{number}", "modality": "image"} for number in range(1, assets + 1)],
        "done": [{"tool": tool, "target": target, "status": "done", "note": ""} for tool, target in done],
        "regions": [{"id": region, "asset": region.partition(".")[0], "peak": 5.0} for region in regions],
        "budget": {"steps_left": 40},
    }


def region(number: int = 1, **values: float) -> dict[str, Any]:
    measured = {
        "area_share": 0.0123,
        "contrast": -0.2,
        "elongation": 3.4567,
        "centroid_x": 0.9,
        "centroid_y": 0.1,
        **values,
    }
    return {
        "id": f"a1.r{number}",
        "evidence": ["e2", "e4"],
        "peak": 7.0,
        "box": [0, 0, 9, 9],
        "measurements": measured,
        "side": "top right",
    }


def case(**changes: Any) -> dict[str, Any]:
    briefing: dict[str, Any] = {
        "question": "assess",
        "rules": [{"id": f"P-{number}", "text": "t", "severity": "major", "question": "q"} for number in (1, 2, 3)],
        "defect_types": [
            {"name": "deep_scratch", "description": "d", "severity": "critical", "signature": "region.contrast < -0.1"}
        ],
        "view": {"id": "a1.v1", "width": 90, "height": 60},
        "part": {"evidence": "e1", "measurements": {"brightness": 0.5}, "unsuitable": []},
        "localization": {
            "count": 1,
            "evidence": "e2",
            "score": 7.0,
            "p_value": 0.02,
            "alpha": 0.05,
            "calibrated": True,
            "promise": "p",
            "unlike": [],
        },
        "regions": [region()],
        "rule_checks": [
            {"evidence": "e5", "rule": "P-1", "result": "passed", "reason": "r"},
            {"evidence": "e5", "rule": "P-2", "result": "violated", "reason": "r"},
            {"evidence": "e5", "rule": "P-3", "result": "not_checked", "reason": "r"},
        ],
        "failures": [],
    }
    return {**briefing, **changes}


def test_the_first_look_then_the_second_then_nothing() -> None:
    first = propose_steps(plan_briefing())
    assert [(step["tool"], step["target"]) for step in first] == [
        ("render_asset", "a1"),
        ("localize_anomalies", "a1"),
        ("retrieve_knowledge", "a1"),
    ]
    seen = tuple((step["tool"], step["target"]) for step in first)
    second = propose_steps(plan_briefing(seen, ("a1.r1", "a1.r2", "a1.r3", "a1.r4")))
    by_tool = {tool: [step["target"] for step in second if step["tool"] == tool] for tool in STAGES}
    assert by_tool["check_rules"] == by_tool["reason_about_anomaly"] == ["a1"]
    assert all(by_tool[tool] == ["a1.r1", "a1.r2", "a1.r3"] for tool in REGION_TOOLS)
    done = seen + tuple((step["tool"], step["target"]) for step in second)
    assert propose_steps(plan_briefing(done, ("a1.r1",))) == []


def test_each_asset_gets_its_own_look() -> None:
    steps = propose_steps(plan_briefing((("render_asset", "a1"),), ("a1.r1", "a2.r1"), assets=2))
    assert {step["target"] for step in steps} == {"a1", "a1.r1", "a2"}


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 3), st.integers(0, 6), st.randoms(use_true_random=False))
def test_planning_ends_and_every_step_can_be_run(assets, regions, random) -> None:
    """Whatever becomes of a step, it is not proposed again."""
    ids = [f"a{asset}.r{number}" for asset in range(1, assets + 1) for number in range(1, regions + 1)]
    known: list[PlannedStep] = []
    for _ in range(4):
        found = ids if any(step.tool == "localize_anomalies" for step in known) else []
        briefing = plan_briefing(tuple((s.tool, next(iter(s.arguments.values()))) for s in known), tuple(found), assets)
        proposed = InspectionPlan.model_validate({"steps": propose_steps(briefing)})
        steps, complaints = validate_plan(proposed, known, [f"a{number}" for number in range(1, assets + 1)], found)
        assert complaints == ()
        assert len(steps) == len(proposed.steps)
        if not steps:
            break
        statuses = {step.id: (random.choice(["done", "failed", "refused", "skipped"]), "") for step in steps}
        known = [PlannedStep.model_validate(value) for value in with_status([*known, *steps], statuses)]
        assert next_steps(known) == ()
    else:
        pytest.fail("the planner does not come to an end")
    assert len(known) == assets * (5 + 3 * min(regions, LOOKED_AT))


def test_an_assessment_worked_by_hand() -> None:
    assessment = Assessment.model_validate(assess(case()))
    assert assessment.opinion == "anomalous"
    assert "a1.r1 in the top right" in assessment.explanation
    [finding] = assessment.findings
    assert (finding.region, finding.defect_type, finding.severity) == ("a1.r1", "deep_scratch", "critical")
    assert finding.title == "Deep scratch in the top right"
    assert [(c.kind, c.subject, c.word, c.number, c.evidence) for c in assessment.claims] == [
        ("presence", "a1.r1", "", None, ("e2",)),
        ("place", "a1.r1", "top right", None, ("e4",)),
        ("size", "a1.r1", "", 0.0123, ("e4",)),
        ("colour", "a1.r1", "darker", None, ("e4",)),
        ("number", "a1.r1", "", 3.4567, ("e4",)),
        ("count", "a1.v1", "", 1.0, ("e2",)),
        ("rule", "P-1", "kept", None, ("e5",)),
        ("rule", "P-2", "violated", None, ("e5",)),
    ]
    assert [(answer.rule, answer.answer) for answer in assessment.rule_answers] == [
        ("P-1", "yes"),
        ("P-2", "no"),
        ("P-3", "cannot_tell"),
    ]


PASSED = [{"evidence": "e5", "rule": "P-1", "result": "passed", "reason": "r"}]
VIOLATED = [{"evidence": "e5", "rule": "P-1", "result": "violated", "reason": "r"}]


def looks(p_value: float, *, calibrated: bool = True) -> dict[str, Any]:
    return {**case()["localization"], "p_value": p_value, "calibrated": calibrated}


@pytest.mark.parametrize(
    ("changes", "opinion"),
    [
        ({"localization": looks(0.4), "rule_checks": PASSED}, "normal"),
        ({"localization": looks(0.4), "rule_checks": []}, "normal"),
        ({"localization": looks(0.05), "rule_checks": PASSED}, "anomalous"),
        ({"localization": looks(0.4), "rule_checks": VIOLATED}, "anomalous"),
        ({"localization": None, "rule_checks": VIOLATED}, "unsure"),
        ({"localization": looks(0.01, calibrated=False)}, "unsure"),
        ({"localization": {**looks(0.01), "unlike": ["The picture is darker."]}}, "unsure"),
        ({"localization": looks(0.4), "failures": [{"evidence": "e3", "reason": "r"}]}, "unsure"),
        ({"part": {**case()["part"], "unsuitable": ["It is black."]}}, "unsure"),
    ],
)
def test_opinions(changes, opinion) -> None:
    assert assess(case(**changes))["opinion"] == opinion


def test_what_was_not_looked_into_is_not_claimed() -> None:
    bare = {key: value for key, value in region(2).items() if key not in ("measurements", "side")}
    counted = {**case()["localization"], "count": 2}
    assessment = Assessment.model_validate(assess(case(regions=[region(), bare], localization=counted)))
    assert {claim.subject for claim in assessment.claims if claim.subject.startswith("a1.r")} == {"a1.r1"}
    assert [finding.region for finding in assessment.findings] == ["a1.r1"]
    assert next(claim.number for claim in assessment.claims if claim.kind == "count") == 2


def test_without_calibration_nothing_is_said_to_be_over_a_threshold() -> None:
    claims = assess(case(localization=looks(0.01, calibrated=False), regions=[]))["claims"]
    assert not [claim for claim in claims if claim["kind"] == "count"]


@pytest.mark.parametrize(("contrast", "words"), [(-0.2, ["darker"]), (0.2, ["brighter"]), (0.005, []), (-0.005, [])])
def test_a_colour_is_claimed_only_where_there_is_one(contrast, words) -> None:
    claims = assess(case(regions=[region(contrast=contrast)]))["claims"]
    assert [claim["word"] for claim in claims if claim["kind"] == "colour"] == words


def test_a_region_that_fits_no_defect_type_is_named_for_what_it_is() -> None:
    [finding] = assess(case(regions=[region(contrast=0.2)]))["findings"]
    assert finding["title"] == "Unlike the normal references in the top right"
    assert finding["defect_type"] is None
    assert finding["severity"] == "major"


def test_the_briefing_is_read_and_not_changed_and_the_answer_is_plain() -> None:
    briefing = case()
    before = copy.deepcopy(briefing)
    answer = assess(briefing)
    assert briefing == before
    assert answer == json.loads(json.dumps(answer)) == assess(briefing)


def test_a_long_signature_leaves_the_answer_valid() -> None:
    signature = " || ".join(f"region.contrast < -0.{number}" for number in range(10, 60))
    kind = {"name": "scratch", "description": "d", "severity": "minor", "signature": signature}
    assert Assessment.model_validate(assess(case(defect_types=[kind]))).findings[0].defect_type == "scratch"


def test_a_region_of_a_few_pixels_does_not_cover_nothing() -> None:
    [size] = [claim for claim in assess(case(regions=[region(area_share=2.3e-5)]))["claims"] if claim["kind"] == "size"]
    assert (size["number"], size["text"]) == (2.3e-5, "The region covers 0.0023% of the view.")
