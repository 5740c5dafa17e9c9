"""From an expert's sentence to a result: a measurable check, a question for a reasoner, a clause id for the report."""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from knowledge import expressions
from knowledge.errors import ToolFailure
from knowledge.schema import DefectType, Modality, NormalityRule, Product

RuleOutcome = Literal["passed", "violated", "not_checked"]
Measurements = Mapping[str, float]


class RuleResult(NamedTuple):
    """What code can say of one rule."""

    id: str
    text: str
    result: RuleOutcome
    reason: str
    failed: bool = False
    """True for a rule that has a check which could not be evaluated."""


def check_rule(rule: NormalityRule, part: Measurements, regions: Sequence[Measurements]) -> RuleResult:
    """Evaluate a rule's check over the measurements of the part and of its regions."""
    if rule.check is None:
        return RuleResult(rule.id, rule.text, "not_checked", "the rule has no measurable check")
    try:
        kept = expressions.holds(rule.check, {"part": dict(part), "regions": [dict(region) for region in regions]})
    except ToolFailure as failure:
        return RuleResult(rule.id, rule.text, "not_checked", str(failure), failed=True)
    return RuleResult(rule.id, rule.text, "passed" if kept else "violated", f"check: {rule.check}")


def rules_for(product: Product, modality: Modality) -> tuple[NormalityRule, ...]:
    """The rules that are about assets of one modality; those that name none are about the product's first."""
    return tuple(rule for rule in product.rules if (rule.modality or product.modality[0]) == modality)


def question_for(rule: NormalityRule) -> str:
    """The yes/no question that a reasoner is asked; "yes" means that the rule is kept."""
    return rule.question or f'Is this rule kept: "{rule.text}"?'


def with_questions(product: Product) -> Product:
    """The product with a question made for each rule that has none."""
    rules = tuple(rule.model_copy(update={"question": question_for(rule)}) for rule in product.rules)
    return product.model_copy(update={"rules": rules})


def name_defect(
    defect_types: Sequence[DefectType], region: Measurements, part: Measurements
) -> tuple[DefectType | None, str]:
    """First defect type whose signature fits the region, and a sentence saying why.

    A signature that cannot be decided is not known to fit, and the sentence says that too.
    """
    undecided = []
    for defect in defect_types:
        if defect.signature is None:
            continue
        try:
            if expressions.holds(defect.signature, {"region": dict(region), "part": dict(part)}):
                return defect, f"it fits the signature of {defect.name.replace('_', ' ')}"
        except ToolFailure:
            undecided.append(defect.name)
    doubt = f"; that of {', '.join(undecided)} could not be decided" if undecided else ""
    return None, f"it fits the signature of no known defect type{doubt}"
