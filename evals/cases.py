"""Cases and suites as data: what is inspected, and what is known of it that the agent is not told.

A suite is a folder: `suite.yaml` (name, description, products) and `cases.jsonl`, one case a line; paths are relative to it.
"""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import Field, ValidationError, model_validator

from agent import Verdict
from knowledge import Frozen, InputError, write_atomically

SUITE_FILE = "suite.yaml"
CASES_FILE = "cases.jsonl"
CASES_VERSION = "1"

Change = Literal["falls", "stays", "review", "same"]
Variant = Literal["mirrored", "flipped", "brighter", "jpeg", "shifted", "seed", "painted", "reasoner"]
"""What was changed about a part, or about who judges it, that must not change its verdict: left and right changed round,
top and bottom, a little more light, compression, a pixel or two aside, the seed of learning, another normal surface away
from its defects, a reasoner that contradicts."""
QuestionKind = Literal[
    "anomaly_detection",
    "defect_classification",
    "defect_localization",
    "defect_description",
    "defect_analysis",
    "object_classification",
    "object_analysis",
    "chat",
]
"""MMAD's seven kinds (Jiang et al. 2025), and questions of a conversation."""


class SuiteError(InputError):
    """A suite that cannot be read; the sentence says which file, which line and why."""


class Place(Frozen):
    """Where a defect truly is, in the terms of its asset; at least one of them."""

    asset: str = "a1"
    box: tuple[float, float, float, float] | None = None
    """x0, y0, x1, y1 in pixels of the original picture, x1 and y1 exclusive."""
    mask: str | None = None
    """File with a mask, the size of the picture, nonzero where the defect is."""
    seconds: tuple[float, float] | None = None
    """Of recordings and videos, from their beginning."""
    centroid: tuple[float, float, float] | None = None
    """Of scans, in their own unit."""
    extent: float | None = None
    """The part's diagonal, by which distances of centroids are judged."""


class Steps(Frozen):
    """What the trajectory must look like; names of tools."""

    reference: tuple[str, ...] = ()
    """A trajectory that is right, in order."""
    must: tuple[str, ...] = ()
    must_not: tuple[str, ...] = ()
    order: tuple[tuple[str, str], ...] = ()
    """Pairs: the first before the second, wherever both occur."""
    most: int | None = None
    """Steps at most."""


class Expected(Frozen):
    """What is known of a part; `None` or empty where it is not known, which is unscored and never right."""

    verdict: Verdict | None = None
    defect_type: str | None = None
    places: tuple[Place, ...] = ()
    rules_violated: tuple[str, ...] | None = None
    """Ids; an empty list says that all are kept."""
    steps: Steps = Steps()
    evidence: tuple[str, ...] = ()
    """Tools whose evidence must be cited by a claim."""


class Question(Frozen):
    """Something asked of an inspected part."""

    id: str
    kind: QuestionKind = "chat"
    text: str
    options: tuple[str, ...] = ()
    answer: int | None = None
    """Index of the right option."""
    holds: tuple[str, ...] = ()
    """Words that a right answer in a conversation holds."""
    unanswerable: bool = False
    """Nothing in the evidence holds an answer: saying so is right."""


class Pair(Frozen):
    """A change made to another case's part, and what must follow."""

    of: str
    change: Change


class Case(Frozen):
    """One part, with what is known of it."""

    id: Annotated[str, Field(min_length=1, max_length=200)]
    product: str
    assets: Annotated[tuple[str, ...], Field(min_length=1, max_length=16)]
    expected: Expected = Expected()
    questions: tuple[Question, ...] = ()
    pair: Pair | None = None
    group: str = ""
    """Cases of one group show the same part and must be judged alike."""
    variant: Variant | None = None
    """What was changed about the part of its group. A variant is no other part: nothing is expected of it by itself, and
    it is scored for what follows its change alone, while the part is scored for how its variants are judged."""
    alpha: Annotated[float, Field(gt=0, lt=1)] | None = None
    reasoner: str = ""
    """A scripted reasoner of `evals.scripted` in the model's place, such as one that obeys what is written on the part."""
    tags: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _varies_a_part(self) -> Self:
        if self.variant and (not self.group or self.expected != Expected()):
            raise ValueError("a variant has a group, and nothing is expected of it by itself")
        return self


class ProductSource(Frozen):
    """What a product is learned from before its cases run."""

    name: str
    spec: str | None = None
    """Its product.yaml."""
    good: tuple[str, ...]
    """Folders."""
    held_out: tuple[str, ...] = ()
    seed: Annotated[int, Field(ge=0)] = 0
    """Of learning; a product learned with another seed has a name, and a spec, of its own."""


class Suite(Frozen):
    """Cases with the products that they are of."""

    name: str
    description: str = ""
    version: str = CASES_VERSION
    seed: int = 0
    products: tuple[ProductSource, ...]
    cases: tuple[Case, ...] = ()


def write_suite(suite: Suite, folder: Path) -> None:
    """Write `suite.yaml` and `cases.jsonl`; the assets are there already."""
    head = suite.model_dump(mode="json", exclude={"cases"})
    write_atomically(folder / SUITE_FILE, yaml.safe_dump(head, sort_keys=False, allow_unicode=True).encode())
    lines = "".join(case.model_dump_json(exclude_defaults=True) + "\n" for case in suite.cases)
    write_atomically(folder / CASES_FILE, lines.encode())


def read_suite(folder: Path) -> Suite:
    """Read a suite; raises `SuiteError` naming file and line."""
    head = _head(folder / SUITE_FILE)
    cases = tuple(
        _case(line, number, folder) for number, line in enumerate(_lines(folder / CASES_FILE), start=1) if line.strip()
    )
    suite = _validated(Suite, {**head, "cases": cases}, str(folder / SUITE_FILE))
    seen: set[str] = set()
    for case in suite.cases:
        if case.id in seen:
            raise SuiteError(f"{folder / CASES_FILE}: case {case.id!r} stands there twice; every id must be unique")
        seen.add(case.id)
    known = {product.name for product in suite.products}
    strangers = {case.product for case in suite.cases} - known
    if strangers:
        raise SuiteError(f"{folder / SUITE_FILE}: product {min(strangers)!r} of a case is not among products")
    return suite


def _head(path: Path) -> dict[str, Any]:
    try:
        head = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SuiteError(f"{path}: cannot be read ({' '.join(str(error).split())[:200]})") from error
    if not isinstance(head, dict):
        raise SuiteError(f"{path}: expected a mapping with name and products")
    return head


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SuiteError(f"{path}: cannot be read ({error})") from error


def _case(line: str, number: int, folder: Path) -> Case:
    try:
        return Case.model_validate_json(line)
    except ValidationError as error:
        raise SuiteError(f"{folder / CASES_FILE}, line {number}: {_first(error)}") from error


def _validated(schema: type[Suite], values: dict[str, Any], where: str) -> Suite:
    try:
        return schema.model_validate(values)
    except ValidationError as error:
        raise SuiteError(f"{where}: {_first(error)}") from error


def _first(error: ValidationError) -> str:
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
