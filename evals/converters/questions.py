"""Multiple-choice questions of MMAD's seven kinds (Jiang et al. 2025), by template from what is known of a case."""

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from evals.cases import Case, Place, Question, QuestionKind, Suite
from evals.converters.layout import NOTHING_KNOWN, says_nothing
from evals.converters.masks import picture_size
from evals.multiple_choice import SIDES, first_sentence, in_words
from knowledge import DefectType, Product
from tools import side_of

_MOST_OPTIONS = 4
_SEVERITIES = ("critical", "major", "minor")


class _About(NamedTuple):
    """A case, and what there is to draw wrong options from."""

    case: Case
    suite: Suite
    products: Mapping[str, Product]
    folder: Path

    @property
    def product(self) -> Product | None:
        return self.products.get(self.case.product)

    @property
    def type(self) -> DefectType | None:
        """The case's, where experts have described it."""
        types = self.product.defect_types if self.product else ()
        wanted = self.case.expected.defect_type
        return next((each for each in types if each.name == wanted and not says_nothing(each)), None)


class _Draft(NamedTuple):
    text: str
    right: str
    wrong: Sequence[str]


def with_questions(suite: Suite, products: Mapping[str, Product], folder: Path, seed: int) -> Suite:
    """The suite with questions for every case that has none; where the truth is missing, that kind is not asked.

    Args:
        suite: its masks are opened for the places.
        products: by name; what is known of them beyond the suite.
        folder: of the suite, which its paths are relative to.
        seed: draws wrong options and the order of all.
    """
    cases = tuple(
        case
        if case.questions
        else case.model_copy(update={"questions": _questions(_About(case, suite, products, folder), seed)})
        for case in suite.cases
    )
    return suite.model_copy(update={"cases": cases})


def _questions(about: _About, seed: int) -> tuple[Question, ...]:
    found = []
    for kind, template in _TEMPLATES.items():
        draft = template(about)
        # drawn for each question alone, so that one more case or kind changes no other question
        draw = random.Random(f"{seed}:{about.case.id}:{kind}")  # noqa: S311
        asked = None if draft is None else _asked(kind, draft, draw)
        if asked is not None:
            found.append(asked)
    return tuple(found)


def _asked(kind: QuestionKind, draft: _Draft, draw: random.Random) -> Question | None:
    wrong = [each for each in dict.fromkeys(draft.wrong) if each.casefold() != draft.right.casefold()]
    if not wrong:
        return None
    options = [draft.right, *draw.sample(wrong, min(len(wrong), _MOST_OPTIONS - 1))]
    draw.shuffle(options)
    return Question(id=kind, kind=kind, text=draft.text, options=tuple(options), answer=options.index(draft.right))


# -- templates -------------------------------------------------------------------------------------------------------


def _detection(about: _About) -> _Draft | None:
    verdict = about.case.expected.verdict
    if verdict not in ("normal", "anomalous"):
        return None
    right, wrong = ("Yes.", "No.") if verdict == "anomalous" else ("No.", "Yes.")
    return _Draft("Is there any defect in the object?", right, (wrong,))


def _classification(about: _About) -> _Draft | None:
    """Wrong types are the product's own, and of other products where it has no other."""
    right = about.case.expected.defect_type
    if right is None:
        return None
    own = {each.name for each in about.product.defect_types} if about.product else set()
    own |= _types(case for case in about.suite.cases if case.product == about.case.product)
    wrong = own - {right} or _types(about.suite.cases) - {right}
    return _Draft("There is a defect in the object. What is its type?", _option(right), _options(wrong))


def _types(cases: Iterable[Case]) -> set[str]:
    return {case.expected.defect_type for case in cases if case.expected.defect_type is not None}


def _localization(about: _About) -> _Draft | None:
    """By the middle of what is marked in pictures; not asked of defects in several places of the nine."""
    sides = {_side(place, about) for place in about.case.expected.places if place.centroid is None}
    if len(sides) != 1:
        return None
    right = sides.pop()
    if right is None:
        return None
    return _Draft("There is a defect in the object. Where is it?", _option(right), _options(set(SIDES) - {right}))


def _side(place: Place, about: _About) -> str | None:
    if place.mask is not None:
        with Image.open(about.folder / place.mask) as image:
            rows, columns = np.nonzero(np.asarray(image.convert("L")))
            width, height = image.size
        return side_of((columns.mean() + 0.5) / width, (rows.mean() + 0.5) / height) if len(rows) else None
    number = int(place.asset.removeprefix("a")) - 1 if place.asset[1:].isdecimal() else 0
    if place.box is None or not 0 <= number < len(about.case.assets):
        return None
    size = picture_size(about.folder / about.case.assets[number])
    x0, y0, x1, y1 = place.box
    return None if size is None else side_of((x0 + x1) / 2 / size.width, (y0 + y1) / 2 / size.height)


def _description(about: _About) -> _Draft | None:
    if about.type is None or about.product is None:
        return None
    others = [each.description for each in about.product.defect_types if not says_nothing(each)]
    return _Draft("There is a defect in the object. Which description fits it?", about.type.description, others)


def _analysis(about: _About) -> _Draft | None:
    """The rule that is violated, where it is one; else how severe experts call defects of the type."""
    rules = {rule.id: rule.text for rule in about.product.rules} if about.product else {}
    violated = [rules[each] for each in about.case.expected.rules_violated or () if each in rules]
    if len(violated) == 1 and len(rules) > 1:
        return _Draft("Which rule does the object violate?", violated[0], list(rules.values()))
    if about.type is None:
        return None
    severity = about.type.severity
    return _Draft("There is a defect in the object. How severe is it?", _option(severity), _options(_SEVERITIES))


def _object_classification(about: _About) -> _Draft | None:
    """Not asked of recordings and videos, which are told apart by where they come from and not by what they show."""
    names = {product.name for product in about.suite.products if _is_object(about.products.get(product.name))}
    if about.case.product not in names:
        return None
    return _Draft("What is the object?", _option(about.case.product), _options(names - {about.case.product}))


def _is_object(product: Product | None) -> bool:
    return product is None or not {"time_series", "video"} & set(product.modality)


def _object_analysis(about: _About) -> _Draft | None:
    """What experts say of this product, among what they say of others."""
    said = {name: statement for name, product in about.products.items() if (statement := _statement(product))}
    if about.case.product not in said:
        return None
    right = said[about.case.product]
    return _Draft("Which statement describes the object when it is normal?", right, list(said.values()))


def _statement(product: Product) -> str:
    """The first rule, or what the product is."""
    if product.rules:
        return product.rules[0].text
    return "" if product.description == NOTHING_KNOWN else first_sentence(product.description)


_TEMPLATES: dict[QuestionKind, Callable[[_About], _Draft | None]] = {
    "anomaly_detection": _detection,
    "defect_classification": _classification,
    "defect_localization": _localization,
    "defect_description": _description,
    "defect_analysis": _analysis,
    "object_classification": _object_classification,
    "object_analysis": _object_analysis,
}


def _option(name: str) -> str:
    words = in_words(name)
    return f"{words[:1].upper()}{words[1:]}."


def _options(names: Iterable[str]) -> list[str]:
    """In the order of their names, so that a set's order draws nothing."""
    return [_option(name) for name in sorted(names)]
