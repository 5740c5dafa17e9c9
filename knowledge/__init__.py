"""Floor 0: what experts know. No torch, no LangChain."""

from knowledge.catalog import Catalog, read_product
from knowledge.errors import (
    AnomalystError,
    AssetError,
    FittedPartError,
    InputError,
    ProductError,
    RequestError,
    StoreError,
    ToolArgumentError,
    ToolFailure,
)
from knowledge.files import write_atomically
from knowledge.references import Match, ReferenceIndex
from knowledge.rules import RuleOutcome, RuleResult, check_rule, name_defect, question_for
from knowledge.schema import DefectType, Frozen, Modality, NormalityRule, Product, Provenance, ReferenceImage, Severity

__all__ = [
    "AnomalystError",
    "AssetError",
    "Catalog",
    "DefectType",
    "FittedPartError",
    "Frozen",
    "InputError",
    "Match",
    "Modality",
    "NormalityRule",
    "Product",
    "ProductError",
    "Provenance",
    "ReferenceImage",
    "ReferenceIndex",
    "RequestError",
    "RuleOutcome",
    "RuleResult",
    "Severity",
    "StoreError",
    "ToolArgumentError",
    "ToolFailure",
    "check_rule",
    "name_defect",
    "question_for",
    "read_product",
    "write_atomically",
]
