"""What instruments showed: one record a tool call, typed by what it tells, and the log that is searched by id.

Records are kept as plain JSON values and validated when they are read; pixels stay in the artifact store.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field

from knowledge import Frozen, RuleOutcome, ToolArgumentError
from tools.assessment import Assessment
from tools.measuring import Measurement
from tools.views import Region, RenderedView


class ViewsShown(Frozen):
    """An asset was rendered to views and its quality judged."""

    kind: Literal["views"] = "views"
    views: tuple[RenderedView, ...]
    part: tuple[Measurement, ...]
    unsuitable: tuple[str, ...] = ()
    """Why the picture cannot be judged; empty when it can."""


class SimilarReference(Frozen):
    """A normal reference that was retrieved."""

    id: str
    """First twelve digits of the file's sha256."""
    similarity: float
    why: str
    image: str
    """Artifact id of a picture of it."""


class KnowledgeFound(Frozen):
    """What experts know that applies to a view."""

    kind: Literal["knowledge"] = "knowledge"
    view: str
    references: tuple[SimilarReference, ...]
    rules: tuple[str, ...]
    """Ids."""


class Localized(Frozen):
    """The calibrated localiser's answer for one view."""

    kind: Literal["localization"] = "localization"
    view: str
    score: float
    p_value: float
    alpha: float
    threshold: float | None
    """`None` when too few held-out normals promise nothing."""
    promise: str
    map: str
    """Artifact id of the anomaly map, float32 (H, W); of other modalities one value for each element, in their shape."""
    heat: str
    """Artifact id of its picture, RGBA, to be laid over the view."""
    regions: tuple[Region, ...]
    """The highest peaks first; at most as many as are worth reporting."""
    region_count: int
    """All regions over threshold."""
    unlike: tuple[str, ...] = ()
    """What else speaks against its p-value, such as in what way the view is unlike the references otherwise."""
    heats: dict[str, str] = Field(default_factory=dict)
    """View id -> artifact id of the same picture for every view of the asset, where there are several."""
    blocks: int = 1
    """How many of what was calibrated the asset holds."""


class RegionMeasured(Frozen):
    kind: Literal["measurement"] = "measurement"
    region: str
    measurements: tuple[Measurement, ...]


class Compared(Frozen):
    """A region beside the same place on the most similar reference."""

    kind: Literal["comparison"] = "comparison"
    region: str
    reference: str
    difference: float
    """Mean brightness of the region minus that of the same place on the reference, in shares of full white; of other
    modalities the peak of the deviation from the references, in `unit`."""
    unit: str = "gray"
    crop: str
    reference_crop: str
    section: str = ""
    """Of scans: a cut through the place, laid over the reference."""


class Examined(Frozen):
    """A closer look at a region."""

    kind: Literal["examination"] = "examination"
    region: str
    crop: RenderedView
    enhanced: RenderedView | None = None
    """With stretched contrast; of pictures alone."""


class RuleChecked(Frozen):
    id: str
    text: str
    result: RuleOutcome
    reason: str
    failed: bool = False
    """True for a rule that has a check which could not be evaluated."""


class RulesChecked(Frozen):
    kind: Literal["rules"] = "rules"
    results: tuple[RuleChecked, ...]


class Judged(Frozen):
    """One reasoner's answer, not yet verified."""

    role: str
    model: str
    """Who answered."""
    assessment: Assessment
    passed_over: tuple[str, ...] = ()
    """Why those who were to answer before it gave none."""

    @property
    def source(self) -> str:
        """Whose words these are, told apart where one model has two roles."""
        return self.model if self.role == "reasoner" else f"{self.model} ({self.role})"


class Assessed(Frozen):
    """What the reasoners answered."""

    kind: Literal["assessment"] = "assessment"
    judged: tuple[Judged, ...]
    unanswered: tuple[str, ...] = ()
    """Why a role gave no answer at all."""
    prompt_version: str
    conditions: tuple[str, ...] = ()
    """What they were told and shown of what experts know."""


class ModelCall(Frozen):
    """One question put to a model, and what became of it."""

    model: str
    address: str = ""
    """Of a server that the user named; empty where the vendor's own is meant."""
    remote: bool
    """Reached over a network: what it was told and shown has left this program."""
    bytes: int
    """Of text and pictures."""
    panels: tuple[str, ...] = ()
    """Labels of the pictures that it was shown."""
    artifacts: tuple[str, ...] = ()
    """Those pictures, in the same order."""
    input_tokens: int = 0
    """As the vendor counts them."""
    output_tokens: int = 0
    seconds: float = 0.0
    outcome: str = "answered"
    """Or why the answer could not be used."""

    @property
    def tokens(self) -> int:
        return self.input_tokens + self.output_tokens


class Failed(Frozen):
    """An instrument could not do its work; never hidden, always a reason for review."""

    kind: Literal["failure"] = "failure"
    reason: str


Shown = Annotated[
    ViewsShown | KnowledgeFound | Localized | RegionMeasured | Compared | Examined | RulesChecked | Assessed | Failed,
    Field(discriminator="kind"),
]
_Kind = TypeVar(
    "_Kind", ViewsShown, KnowledgeFound, Localized, RegionMeasured, Compared, Examined, RulesChecked, Assessed, Failed
)


class Evidence(Frozen):
    """One tool call's outcome."""

    id: str = ""
    """Given when the record enters the log."""
    tool: str
    arguments: dict[str, str] = Field(default_factory=dict)
    summary: str
    artifacts: tuple[str, ...] = ()
    shown: Shown
    seconds: float = 0.0
    calls: tuple[ModelCall, ...] = ()
    """Questions that were put to models for it."""


_Item = TypeVar("_Item")


class EvidenceLog:
    """Evidence of one inspection, in the order in which it came, with the questions that tools ask of it."""

    def __init__(self, records: Iterable[Evidence]) -> None:
        self.records: Sequence[Evidence] = tuple(records)

    @classmethod
    def read(cls, values: Iterable[Mapping[str, Any]]) -> "EvidenceLog":
        """From plain values, as they lie in graph state."""
        return cls(Evidence.model_validate(value) for value in values)

    def about(self, asset_id: str) -> "EvidenceLog":
        """The records of calls that were pointed at an asset or at one of its regions, and those of no target at all."""
        targets = [(record, next(iter(record.arguments.values()), asset_id)) for record in self.records]
        return EvidenceLog(record for record, target in targets if target.partition(".")[0] == asset_id)

    def of(self, kind: type[_Kind]) -> tuple[tuple[str, _Kind], ...]:
        """Pairs of evidence id and content, for one kind of content."""
        return tuple((record.id, record.shown) for record in self.records if isinstance(record.shown, kind))

    def judged(self) -> tuple[tuple[Evidence, Judged], ...]:
        """Every reasoner's answer with the record that holds it."""
        return tuple(
            (record, judged)
            for record in self.records
            if isinstance(record.shown, Assessed)
            for judged in record.shown.judged
        )

    def views(self) -> dict[str, RenderedView]:
        return {view.id: view for _, shown in self.of(ViewsShown) for view in shown.views}

    def view(self, view_id: str) -> RenderedView:
        return _known("view", view_id, self.views())

    def views_of(self, asset_id: str) -> tuple[RenderedView, ...]:
        """Views of an asset; raises `ToolArgumentError` when it has not been rendered."""
        views = tuple(view for view in self.views().values() if view.asset_id == asset_id)
        if not views:
            raise ToolArgumentError(f"asset {asset_id!r} has no views yet; render it first")
        return views

    def regions(self) -> dict[str, Region]:
        return {region.id: region for _, shown in self.of(Localized) for region in shown.regions}

    def region(self, region_id: str) -> Region:
        return _known("region", region_id, self.regions())

    def localization(self, view_id: str) -> Localized | None:
        return next((shown for _, shown in self.of(Localized) if shown.view == view_id), None)

    def measurements(self, region_id: str) -> tuple[Measurement, ...] | None:
        return next((shown.measurements for _, shown in self.of(RegionMeasured) if shown.region == region_id), None)


def _known(what: str, key: str, table: Mapping[str, _Item]) -> _Item:
    if key not in table:
        raise ToolArgumentError(f"there is no {what} {key!r}; known are {', '.join(table) or 'none'}")
    return table[key]
