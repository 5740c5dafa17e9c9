"""What became of a case: slim enough to keep by the thousand, whole enough to score again without running anything."""

from typing import Any, NamedTuple

from pydantic import Field

from agent import InspectionReport, Verdict
from evals.cases import Case
from knowledge import Frozen


class Found(Frozen):
    """A finding."""

    title: str
    defect_type: str | None
    severity: str
    asset: str
    box: tuple[int, int, int, int]
    native: dict[str, Any]
    score: float


class Claimed(Frozen):
    """A claim with what code found of it."""

    kind: str
    text: str
    status: str
    evidence: tuple[str, ...]
    source: str
    subject: str = ""
    """Id of the region, view or rule that it is about."""
    checked: str = ""
    """What code found."""
    stated: float | None = None
    """The number that it states, where code measured the same."""
    measured: float | None = None
    scale: float | None = None
    """What an error of the number is measured by."""


class StepTaken(Frozen):
    tool: str
    arguments: dict[str, str]
    status: str


class Answered(Frozen):
    """An answer to a question of a case."""

    question: str
    text: str
    option: int | None = None
    """Index of the option that it comes to; null where it comes to none."""
    evidence: tuple[str, ...] = ()
    known: bool = True
    """False where the answer is that the evidence does not hold one."""


class CaseResult(Frozen):
    """One case, run once."""

    case: str
    fingerprint: str
    """Of the case, the model and the settings; a result of another fingerprint is not taken over."""
    group: str = ""
    """Of the case."""
    error: str = ""
    """Why it could not be run, which counts against the system."""
    verdict: Verdict | None = None
    score: float | None = None
    p_value: float | None = None
    alpha: float | None = None
    threshold: float | None = None
    sizes: dict[str, tuple[int, int]] = Field(default_factory=dict)
    """Asset -> width and height of its picture in pixels; of other assets nothing."""
    findings: tuple[Found, ...] = ()
    claims: tuple[Claimed, ...] = ()
    rules: dict[str, str] = Field(default_factory=dict)
    evidence: dict[str, str] = Field(default_factory=dict)
    """Id -> the tool that gave it."""
    steps: tuple[StepTaken, ...] = ()
    """As they were planned and run, in order."""
    opinions: tuple[str, ...] = ()
    answers: tuple[Answered, ...] = ()
    model_calls: int = 0
    tokens: int = 0
    cost: float | None = 0.0
    seconds: float = 0.0
    page: str = ""
    """The report's page, relative to the folder of results."""


class Score(NamedTuple):
    """A value in 0 .. 1 unless its name says another unit, or the reason why there is none."""

    value: float | None
    why: str = ""


def result_of(report: InspectionReport, case: Case, fingerprint: str, page: str, seconds: float) -> CaseResult:
    """The part of a report that scorers need."""
    decision = report.decision
    return CaseResult(
        case=case.id,
        fingerprint=fingerprint,
        group=case.group,
        verdict=report.verdict,
        score=decision.score,
        p_value=decision.p_value,
        alpha=decision.alpha,
        threshold=decision.threshold,
        sizes={each.id: (each.width, each.height) for each in report.inputs if each.width},
        findings=tuple(
            Found(**each.model_dump(include={"title", "defect_type", "severity", "asset", "box", "native", "score"}))
            for each in report.findings
        ),
        claims=tuple(Claimed(**each.model_dump(include=set(Claimed.model_fields))) for each in report.claims),
        rules={rule.id: rule.result for rule in report.rules},
        evidence={record.id: record.tool for record in report.evidence},
        steps=tuple(StepTaken(tool=step.tool, arguments=step.arguments, status=step.status) for step in report.plan),
        opinions=tuple(opinion.opinion for opinion in report.opinions),
        model_calls=report.usage.model_calls,
        tokens=report.usage.tokens,
        cost=report.usage.cost,
        seconds=seconds,
        page=page,
    )
