"""Plans: what code lets through, in which order it runs."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from agent.plan import InspectionPlan, PlannedStep, ProposedStep, next_steps, validate_plan, with_status
from tools import REGION_TOOLS, STAGES

ASSETS, REGIONS = ("a1", "a2"), ("a1.r1", "a1.r2")


def plan(*steps: tuple[str, str]) -> InspectionPlan:
    return InspectionPlan(steps=tuple(ProposedStep(tool=tool, target=target, purpose="p") for tool, target in steps))


def test_a_good_plan_passes_in_its_order() -> None:
    steps, complaints = validate_plan(plan(("measure_region", "a1.r1"), ("render_asset", "a1")), (), ASSETS, REGIONS)
    assert complaints == ()
    assert [(step.id, step.tool, step.arguments, step.status) for step in steps] == [
        ("s1", "measure_region", {"region": "a1.r1"}, "planned"),
        ("s2", "render_asset", {"asset": "a1"}, "planned"),
    ]


@pytest.mark.parametrize(
    ("step", "complaint"),
    [
        (("drop_table", "a1"), "there is no tool 'drop_table'; known are render_asset"),
        (("", "a1"), "there is no tool ''"),
        (("render_asset", "a3"), "there is no asset 'a3'; known are a1, a2"),
        (("render_asset", "a1.r1"), "there is no asset 'a1.r1'"),
        (("measure_region", "a1"), "there is no region 'a1'; known are a1.r1, a1.r2"),
        (("examine_region", "/etc/passwd"), "there is no region '/etc/passwd'"),
    ],
)
def test_each_wrong_step_is_complained_of_and_the_others_pass(step, complaint) -> None:
    steps, complaints = validate_plan(plan(step, ("render_asset", "a1"), step), (), ASSETS, REGIONS)
    assert [found.tool for found in steps] == ["render_asset"]
    assert len(complaints) == 2
    assert all(complaint in said for said in complaints)


def test_before_anything_is_known_the_complaint_says_so() -> None:
    assert "known are none yet" in validate_plan(plan(("measure_region", "r")), (), ASSETS, ())[1][0]


def test_a_step_runs_once_however_often_it_is_planned() -> None:
    first, _ = validate_plan(plan(("render_asset", "a1"), ("render_asset", "a1")), (), ASSETS, REGIONS)
    again, complaints = validate_plan(plan(("render_asset", "a1"), ("render_asset", "a2")), first, ASSETS, REGIONS)
    assert len(first) == 1
    assert complaints == ()
    assert [(step.id, step.arguments) for step in again] == [("s2", {"asset": "a2"})]


ANYTHING = st.tuples(st.sampled_from([*STAGES, "nonsense"]), st.sampled_from([*ASSETS, *REGIONS, "nobody", ""]))


@settings(max_examples=60, deadline=None)
@given(st.lists(ANYTHING, max_size=12), st.lists(ANYTHING, max_size=12))
def test_whatever_is_proposed_only_sound_steps_pass_each_once_under_its_own_id(first, second) -> None:
    known, _ = validate_plan(plan(*first), (), ASSETS, REGIONS)
    more, _ = validate_plan(plan(*second), known, ASSETS, REGIONS)
    both = (*known, *more)
    assert [step.id for step in both] == [f"s{number}" for number in range(1, len(both) + 1)]
    calls = [(step.tool, *step.arguments.values()) for step in both]
    assert len(set(calls)) == len(calls)
    for tool, target in calls:
        assert target in (REGIONS if tool in REGION_TOOLS else ASSETS)
    sound = {step for step in (*first, *second) if step[1] in (REGIONS if step[0] in REGION_TOOLS else ASSETS)}
    assert set(calls) == {step for step in sound if step[0] in STAGES}


def steps_of(*tools: str) -> list[PlannedStep]:
    return [
        PlannedStep(id=f"s{number}", tool=tool, arguments={}, purpose="") for number, tool in enumerate(tools, start=1)
    ]


def test_steps_of_the_earliest_stage_run_together() -> None:
    waiting = steps_of("check_rules", "localize_anomalies", "measure_region", "retrieve_knowledge")
    assert [step.id for step in next_steps(waiting)] == ["s2", "s4"]


def test_what_is_done_or_skipped_does_not_run_again() -> None:
    waiting = steps_of("render_asset", "check_rules", "reason_about_anomaly")
    changed = with_status(waiting, {"s1": ("done", ""), "s2": ("skipped", "spent")})
    left = [PlannedStep.model_validate(value) for value in changed]
    assert [step.id for step in next_steps(left)] == ["s3"]
    assert [(step.status, step.note) for step in left] == [("done", ""), ("skipped", "spent"), ("planned", "")]
    assert waiting[0].status == "planned"


def test_nothing_planned_is_nothing_to_run() -> None:
    assert next_steps([]) == ()
    assert with_status([], {"s1": ("done", "")}) == []


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"steps": [{"tool": "render_asset"}]},
        {"steps": [{"tool": "render_asset", "target": "a1", "purpose": "p", "path": "/"}]},
        {"steps": [{"tool": "render_asset", "target": ["a1"], "purpose": "p"}]},
        {"steps": [{"tool": "render_asset", "target": "a1", "purpose": "p" * 301}]},
        {"steps": [], "verdict": "normal"},
    ],
)
def test_an_answer_of_another_shape_is_no_plan(answer) -> None:
    with pytest.raises(ValidationError):
        InspectionPlan.model_validate(answer)
