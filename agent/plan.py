"""InspectionPlan: ordered steps, each a tool, its arguments and its purpose; and what code lets through."""

from collections.abc import Collection, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from knowledge import Frozen
from tools import REGION_TOOLS, STAGES, Answer

StepStatus = Literal["planned", "running", "done", "failed", "refused", "skipped"]


class ProposedStep(Answer):
    """One tool call that the planner wants."""

    tool: str
    target: str
    """Id of the asset or region that the tool is pointed at."""
    purpose: Annotated[str, Field(max_length=300)]


class InspectionPlan(Answer):
    """The next steps of an inspection, in any order; an empty list says that enough is known."""

    steps: tuple[ProposedStep, ...]


class PlannedStep(Frozen):
    """A step that was let through, and what became of it."""

    id: str
    tool: str
    arguments: dict[str, str]
    purpose: str
    status: StepStatus = "planned"
    note: str = ""

    @property
    def stage(self) -> int:
        return STAGES[self.tool]


def validate_plan(
    plan: InspectionPlan, known: Sequence[PlannedStep], assets: Collection[str], regions: Collection[str]
) -> tuple[tuple[PlannedStep, ...], tuple[str, ...]]:
    """The steps that can be run, and one complaint for each that cannot; a step that was planned before is dropped."""
    taken = {(step.tool, tuple(step.arguments.items())) for step in known}
    steps: list[PlannedStep] = []
    complaints: list[str] = []
    for proposed in plan.steps:
        complaint = _complaint(proposed, assets, regions)
        if complaint:
            complaints.append(complaint)
            continue
        arguments = {"region" if proposed.tool in REGION_TOOLS else "asset": proposed.target}
        call = (proposed.tool, tuple(arguments.items()))
        if call not in taken:
            taken.add(call)
            number = len(known) + len(steps) + 1
            steps.append(
                PlannedStep(id=f"s{number}", tool=proposed.tool, arguments=arguments, purpose=proposed.purpose)
            )
    return tuple(steps), tuple(complaints)


def next_steps(plan: Sequence[PlannedStep]) -> tuple[PlannedStep, ...]:
    """The planned steps of the earliest stage: they do not need each other and run together."""
    waiting = [step for step in plan if step.status == "planned"]
    first = min((step.stage for step in waiting), default=0)
    return tuple(step for step in waiting if step.stage == first)


def with_status(plan: Sequence[PlannedStep], changes: dict[str, tuple[StepStatus, str]]) -> list[dict[str, Any]]:
    """The plan as plain values, with new statuses and notes for some step ids."""
    changed = [
        step.model_copy(update=dict(zip(("status", "note"), changes[step.id], strict=True)))
        if step.id in changes
        else step
        for step in plan
    ]
    return [step.model_dump(mode="json") for step in changed]


def _complaint(step: ProposedStep, assets: Collection[str], regions: Collection[str]) -> str:
    if step.tool not in STAGES:
        return f"there is no tool {step.tool!r}; known are {', '.join(STAGES)}"
    what, known = ("region", regions) if step.tool in REGION_TOOLS else ("asset", assets)
    if step.target not in known:
        return f"{step.tool}: there is no {what} {step.target!r}; known are {', '.join(sorted(known)) or 'none yet'}"
    return ""
