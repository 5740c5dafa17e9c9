"""What experts know about a product, as frozen values."""

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from knowledge import expressions
from knowledge.part_names import PartName

Modality = Literal["image", "depth", "point_cloud", "time_series", "video"]
Severity = Literal["critical", "major", "minor"]
Slug = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
ClauseId = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_.-]{0,31}$")]
Text = Annotated[str, Field(min_length=1, max_length=4000)]
Expression = Annotated[str, Field(min_length=1, max_length=4000)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]

RULE_VARIABLES = frozenset({"regions", "part"})
"""Names a rule's check may use: the list of measured regions, and the measurements of the whole part."""

SIGNATURE_VARIABLES = frozenset({"region", "part"})
"""Names a defect type's signature may use: the one region in question, and the whole part."""


def _several(given: object) -> object:
    """One word stands for a list of one."""
    return (given,) if isinstance(given, str) else given


class Frozen(BaseModel):
    """Immutable, and strict about keys: a misspelt field is an error, not a silent default."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Provenance(Frozen):
    """Where a piece of knowledge comes from."""

    author: str = ""
    source: str = ""
    licence: str = ""
    date: str = ""


class NormalityRule(Frozen):
    """An expert's sentence saying what normal means."""

    id: ClauseId
    text: Text
    severity: Severity = "major"
    check: Expression | None = None
    """CEL expression over `RULE_VARIABLES`, true when the rule is kept; measurements are doubles, so write `3.0`."""
    question: Text | None = None
    """Yes/no question for a reasoner; "yes" means that the rule is kept."""
    modality: Modality | None = None
    """Of whose measurements the check speaks; by default the first of the product's."""
    provenance: Provenance | None = None

    @field_validator("check")
    @classmethod
    def _check_compiles(cls, check: str | None) -> str | None:
        if check is not None:
            expressions.parse(check, RULE_VARIABLES)
        return check


class DefectType(Frozen):
    """A kind of defect that experts have a name for."""

    name: Slug
    description: Text
    severity: Severity = "major"
    signature: Expression | None = None
    """CEL expression over `SIGNATURE_VARIABLES`, true when a region looks like this defect; the first match wins."""

    @field_validator("signature")
    @classmethod
    def _signature_compiles(cls, signature: str | None) -> str | None:
        if signature is not None:
            expressions.parse(signature, SIGNATURE_VARIABLES)
        return signature


class ReferenceImage(Frozen):
    """A view whose condition is known."""

    path: str
    """Relative to the product folder, with forward slashes."""
    sha256: str
    defect_type: Slug | None = None
    """`None` for a normal part, else the defect type that it is an example of."""


class Product(Frozen):
    """The kind of thing inspected (the papers' *object class*)."""

    name: Slug
    description: Text
    """Class context: what the thing is and how the picture was made."""
    task: Text = "Decide whether the part is normal or anomalous, and say where and why."
    modality: Annotated[tuple[Modality, ...], Field(min_length=1), BeforeValidator(_several)] = ("image",)
    """What a part is inspected by: one, or several where one inspection holds several assets of a part."""
    unit: Literal["mm", "um", "cm", "m", "in"] | None = None
    """Of lengths; that of the coordinates of a scan."""
    pixel_size: Positive | None = None
    """Side of one pixel of the original image or height map, in `unit`."""
    height_per_count: Positive | None = None
    """What one count of a height map is, in `unit`."""
    sample_rate: Positive | None = None
    """Samples a second of recordings that carry no times."""
    ignored_columns: tuple[str, ...] = ()
    """Columns of recordings that are no sensor's, such as labels."""
    window: tuple[Number, Number] | None = None
    """Counts of a 16-bit picture that become black and white on every picture of the product; by default each
    picture's own range."""
    on_plane: bool = False
    """Scans show the part lying on a plane, which is then left out of them."""
    aligned: bool | None = None
    """Parts lie in the same place on every picture, within a few pixels: they are then also compared place by place. Told
    from the references where nobody says."""
    part_name: PartName | None = None
    """Where several pictures show one part: what in the name of a normal part's file says which. By default each shows a
    part of its own."""
    alpha: Annotated[float, Field(gt=0, lt=1)] = 0.05
    """False-alarm rate that the user accepts on normal parts."""
    rules: tuple[NormalityRule, ...] = ()
    defect_types: tuple[DefectType, ...] = ()
    provenance: Provenance | None = None

    @model_validator(mode="after")
    def _consistent(self) -> "Product":
        _require_unique("rules", [rule.id for rule in self.rules])
        _require_unique("defect_types", [defect.name for defect in self.defect_types])
        _require_unique("modality", list(self.modality))
        for rule in self.rules:
            if rule.modality is not None and rule.modality not in self.modality:
                raise ValueError(f"rule {rule.id} speaks of {rule.modality}, by which the product is not inspected")
        if self.part_name is not None and self.modality != ("image",):
            raise ValueError("part_name is of pictures: it cannot be said of parts that are inspected otherwise too")
        for field in ("pixel_size", "height_per_count"):
            if getattr(self, field) is not None and self.unit is None:
                raise ValueError(f"{field} is a length: give its unit as well")
        if self.window is not None and self.window[0] >= self.window[1]:
            raise ValueError(f"window: expected low < high, got {self.window}")
        return self


def _require_unique(field: str, keys: list[str]) -> None:
    twice = sorted({key for key in keys if keys.count(key) > 1})
    if twice:
        raise ValueError(f"{field}: {twice[0]!r} stands there twice; every id must be unique")
