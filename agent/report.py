"""The inspection report: one JSON record, from which every other view is drawn."""

import datetime
import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from agent.policy import Verdict
from agent.verification import ClaimStatus
from knowledge import Modality, RuleOutcome, Severity

SCHEMA_VERSION = "1"


class Record(BaseModel):
    """Frozen and strict, so that the record says what its schema says."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ProductInfo(Record):
    name: str
    version: str


class ViewInfo(Record):
    id: str
    kind: str
    width: int
    height: int
    image: str
    """Artifact id."""
    to_source: tuple[float, float, float, float, float, float] = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
    """(a, b, c, d, e, f): x' = a x + b y + c, y' = d x + e y + f, from the view's pixel edges to the original's."""
    title: str = ""
    inverse: str = ""
    """Artifact id of an int32 (height, width) array: the point, sample or cell that each pixel shows; empty for pictures."""
    span: int = 1
    """A pixel shows so many elements in a row, from its index on."""


class InputInfo(Record):
    id: str
    modality: Modality | None
    """Null for a file that could not be read."""
    name: str
    sha256: str
    width: int = 0
    height: int = 0
    """Of the upright original image; 0 for other modalities."""
    facts: dict[str, Any] = Field(default_factory=dict)
    """Of other modalities: how many points, samples or frames, over what extent or time."""
    notes: tuple[str, ...] = ()
    """What was done to read the file, and what is odd about it."""
    views: tuple[ViewInfo, ...] = ()
    verdict: Verdict | None = None
    """Of this asset alone; null where it was not localised."""
    score: float | None = None
    p_value: float | None = None
    threshold: float | None = None
    promise: str = ""
    """What the calibration promises for this modality."""


class DecisionInfo(Record):
    score: float | None
    """Highest anomaly value, comparable over parts of a product: of pictures and scans in robust standard deviations of
    normal patches, points or pixels, of recordings on a scale that counts far deviations by their logarithm."""
    p_value: float | None
    """Conformal probability of such a score on a normal part; of several assets the lowest, times their number."""
    alpha: float | None
    threshold: float | None
    """Score at which the p-value falls to alpha; null when too few calibration parts promise nothing."""
    reasons: tuple[str, ...]


class MeasurementInfo(Record):
    name: str
    value: float
    unit: str


class FindingInfo(Record):
    id: str
    region: str = ""
    """Id of the region that it stands on, as evidence and claims name it."""
    title: str
    defect_type: str | None
    severity: Severity
    view: str
    box: tuple[int, int, int, int]
    """x0, y0, x1, y1 in pixels of the upright original image, or of the view of another modality; x1, y1 exclusive."""
    mask: str
    """Artifact id of a bool array, the view's size."""
    native: dict[str, Any]
    """The place in the asset's own terms: pixels, points and lengths, samples and times, frames and seconds."""
    asset: str = ""
    """Id of the input that shows it."""
    measurements: tuple[MeasurementInfo, ...]
    score: float
    explanation: str = ""
    """The reasoner's words."""
    claims: tuple[str, ...]
    """Ids."""
    images: dict[str, str] = Field(default_factory=dict)
    """Artifact ids: `part` and `reference` show the same place, `section` a cut through it; `enlarged` and `enhanced` a
    closer look."""


class ClaimInfo(Record):
    id: str
    text: str
    kind: str
    status: ClaimStatus
    subject: str = ""
    """Id of the region, view or rule that it is about."""
    evidence: tuple[str, ...]
    source: str
    checked: str = ""
    """What code found when it looked again."""
    stated: float | None = None
    """The number that it states, where code measured the same."""
    measured: float | None = None
    scale: float | None = None
    """What an error of the number is measured by."""


class AnswerInfo(Record):
    """What a reasoner answered to a rule's question."""

    by: str
    answer: Literal["yes", "no", "cannot_tell"]
    reason: str = ""


class RuleInfo(Record):
    id: str
    text: str
    result: RuleOutcome
    evidence: tuple[str, ...]
    reason: str = ""
    by: str = ""
    """Who found the result: `code` by measurement, or empty where nothing checked it."""
    question: str = ""
    """As reasoners were asked; yes means that the rule is kept."""
    answers: tuple[AnswerInfo, ...] = ()
    """Of reasoners: opinions, which check nothing."""


class ReferenceInfo(Record):
    id: str
    similarity: float
    why: str
    image: str = ""
    """Artifact id of a picture of it."""


class EvidenceInfo(Record):
    id: str
    tool: str
    summary: str
    artifacts: tuple[str, ...]
    seconds: float = 0.0


class StepInfo(Record):
    tool: str
    arguments: dict[str, str]
    purpose: str
    status: str
    note: str = ""


class OpinionInfo(Record):
    """What a reasoner thinks of one asset of the part."""

    role: str = "reasoner"
    model: str
    asset: str = ""
    opinion: Literal["normal", "anomalous", "unsure"]
    explanation: str
    prompt_version: str
    conditions: tuple[str, ...] = ()
    """Of what experts know, what it was told and shown."""
    agrees: bool | None = None
    """With the localiser; null where one of them does not commit itself."""
    passed_over: tuple[str, ...] = ()
    """Why the models that were to answer before it gave no answer."""


class ModelInfo(Record):
    role: Literal["planner", "reasoner", "second reasoner", "localizer"]
    id: str
    version: str


class UsageInfo(Record):
    steps: int
    model_calls: int
    tokens: int
    cost: float | None
    """US dollars; null where tokens were used whose price is not known."""
    seconds: float


class SentInfo(Record):
    """One call that left this machine, or at least this program."""

    to: str
    """The model, and the address of its server where the user named one."""
    purpose: str = ""
    """The tool that asked, or `plan`."""
    panels: tuple[str, ...] = ()
    """Labels of the pictures that it was shown."""
    artifacts: tuple[str, ...] = ()
    """Those pictures, in the same order."""
    bytes: int
    input_tokens: int = 0
    output_tokens: int = 0
    seconds: float = 0.0
    outcome: str = "answered"


class InspectionReport(Record):
    """What was inspected, what was found, on what evidence, and what was not checked."""

    schema_version: str = SCHEMA_VERSION
    inspection_id: str
    created_at: str
    request: dict[str, Any]
    product: ProductInfo
    inputs: tuple[InputInfo, ...]
    verdict: Verdict
    decision: DecisionInfo
    findings: tuple[FindingInfo, ...] = ()
    claims: tuple[ClaimInfo, ...] = ()
    rules: tuple[RuleInfo, ...] = ()
    references: tuple[ReferenceInfo, ...] = ()
    evidence: tuple[EvidenceInfo, ...] = ()
    plan: tuple[StepInfo, ...] = ()
    models: tuple[ModelInfo, ...] = ()
    opinions: tuple[OpinionInfo, ...] = ()
    reasoners_agree: bool | None = None
    """Of two reasoners on every asset; null where fewer than two answered."""
    usage: UsageInfo
    not_checked: tuple[str, ...] = ()
    sent_to: tuple[SentInfo, ...] = ()
    maps: dict[str, str] = Field(default_factory=dict)
    """View id -> artifact id of the heat map, RGBA, the view's size."""


def report_schema() -> dict[str, Any]:
    """JSON Schema of the record."""
    return InspectionReport.model_json_schema()


def canonical(report: InspectionReport) -> bytes:
    """The part of a record that two inspections of the same part must share, byte for byte.

    Left out are ids, times, and where the file happened to lie.
    """
    values = report.model_dump(mode="json", exclude={"inspection_id", "created_at"})
    for key in ("inspection_id", "thread_id", "created_at", "inputs"):
        values["request"].pop(key, None)
    for record in (values["usage"], *values["evidence"], *values["sent_to"]):
        record.pop("seconds")
    return json.dumps(values, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()


def rejected_report(request: Mapping[str, Any], names: Sequence[str], reason: str) -> InspectionReport:
    """The record of a part that could not be inspected at all: not knowing is a verdict, never a gap in a count."""
    return InspectionReport(
        inspection_id=request["inspection_id"],
        created_at=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        request=dict(request),
        product=ProductInfo(name=request["product"], version=""),
        inputs=tuple(
            InputInfo(id=f"a{number}", modality=None, name=name, sha256="")
            for number, name in enumerate(names, start=1)
        ),
        verdict="review",
        decision=DecisionInfo(score=None, p_value=None, alpha=request.get("alpha"), threshold=None, reasons=(reason,)),
        usage=UsageInfo(steps=0, model_calls=0, tokens=0, cost=0.0, seconds=0.0),
        not_checked=("everything: the part was not inspected",),
    )


def round_numbers(values: Any) -> Any:
    """Floats to six significant digits, so that the last bits of a matrix product do not make two records differ."""
    if isinstance(values, float):
        return float(f"{values:.6g}")
    if isinstance(values, Mapping):
        return {key: round_numbers(value) for key, value in values.items()}
    if isinstance(values, Sequence) and not isinstance(values, str | bytes):
        return [round_numbers(value) for value in values]
    return values
