"""What an inspection's result answers to questions with options, by code: the same result always answers the same.

Where a result holds no answer there is none, so that nobody is right by the position of an option or by luck.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

from evals.cases import Question
from evals.results import CaseResult, Found
from knowledge import NormalityRule, Product
from tools import side_of

Size = tuple[int, int]
"""Width and height of the upright picture, in pixels."""

SIDES = (
    *("top left", "top centre", "top right"),
    *("middle left", "centre", "middle right"),
    *("bottom left", "bottom centre", "bottom right"),
)
"""The nine places of a question, as `tools.side_of` names them."""

_ROWS = {"top": "top", "upper": "top", "bottom": "bottom", "lower": "bottom"}
_COLUMNS = {"left": "left", "right": "right"}
_MIDDLES = frozenset(("centre", "center", "central", "middle"))

_DEFECTIVE = re.compile(r"\b(?:abnormal|anomal\w*|damage\w*|defect\w*|faulty|flaw(?:s|ed)?|ng)\b")
_NORMAL = re.compile(
    r"\b(?:normal|intact|flawless|acceptable|good|ok|defect-?free|free (?:of|from)|without|no (?:\w+ )?"
    r"(?:anomal\w*|damage\w*|defects?|flaws?))\b"
)
_ASKS_IF_NORMAL = re.compile(r"\s*(?:is|are) (?:the|this|these)\b")

_SAYING_LITTLE = re.compile(
    r"\b(?:an?|and|any|are|as|at|be|by|defects?|for|from|has|have|in|into|is|its?|object|of|on|or|part|picture|product|"
    r"region|that|the|there|this|to|was|which|with)\b"
)
_LEAST_SHARED = 2
"""Words that a description must share with what was found."""


class _Asked(NamedTuple):
    question: Question
    result: CaseResult
    products: Mapping[str, Product]
    sizes: Mapping[str, Size]

    @property
    def top(self) -> Found | None:
        """The finding of the highest score; of equal ones the first."""
        return max(self.result.findings, key=lambda found: found.score, default=None)

    @property
    def product(self) -> Product | None:
        """The only one given, or the only one whose rules the result speaks of."""
        given = list(self.products.values())
        if len(given) == 1:
            return given[0]
        spoken = set(self.result.rules)
        fitting = [each for each in given if spoken and spoken == {rule.id for rule in each.rules}]
        return fitting[0] if len(fitting) == 1 else None


def choose(
    question: Question,
    result: CaseResult,
    products: Mapping[str, Product] | None = None,
    *,
    sizes: Mapping[str, Size] | None = None,
) -> int | None:
    """Index of the option that the result comes to; `None` where it comes to none, or to several.

    Args:
        question: with its options.
        result: of the inspection that is asked about.
        products: of which the part may be; with the one that the inspection was told of, and with no other, all
            questions of the product can be answered, which is being told and not seeing.
        sizes: asset -> size of its picture, without which a place is known by claims alone.
    """
    read = _READINGS.get(question.kind)
    if read is None or not question.options:
        return None
    return read(_Asked(question, result, products or {}, sizes or {}))


def verdict_of(question: Question, option: int) -> Literal["normal", "anomalous"] | None:
    """The verdict that an option of a question for anomalies stands for."""
    said = question.options[option].casefold().strip()
    yes = re.match(r"(yes|no)\b(?! \w*(?:anomal|damage|defect|flaw))", said)
    if yes is None:
        return "normal" if _NORMAL.search(said) else "anomalous" if _DEFECTIVE.search(said) else None
    return "normal" if (yes[1] == "yes") == _asks_if_normal(question.text.casefold()) else "anomalous"


def _asks_if_normal(text: str) -> bool:
    """`Is the part free of defects?`, but not `Is the part defective beside the normal one?`."""
    normal, defective = _NORMAL.search(text), _DEFECTIVE.search(text)
    first = normal is not None and (defective is None or normal.start() <= defective.start())
    return first and _ASKS_IF_NORMAL.match(text) is not None


# -- readings, by kind -----------------------------------------------------------------------------------------------


def _detection(asked: _Asked) -> int | None:
    options = range(len(asked.question.options))
    return _only(index for index in options if verdict_of(asked.question, index) == asked.result.verdict)


def _classification(asked: _Asked) -> int | None:
    top = asked.top
    return None if top is None else _naming(asked.question.options, top.defect_type or top.title)


def _localization(asked: _Asked) -> int | None:
    side = _side(asked)
    if side is None:
        return None
    return _only(index for index, option in enumerate(asked.question.options) if side_in(option) == side)


def _side(asked: _Asked) -> str | None:
    """Of the top finding: by its place, or by the one that supported claims agree on."""
    top = asked.top
    if top is None:
        return None
    size = asked.sizes.get(top.asset)
    if size is not None:
        x, y = _middle(top)
        return side_of(x / size[0], y / size[1])
    claims = [claim for claim in asked.result.claims if claim.kind == "place" and claim.status == "supported"]
    sides = {side for claim in claims if (side := side_in(claim.text)) is not None}
    return sides.pop() if len(sides) == 1 else None


def _middle(found: Found) -> tuple[float, float]:
    """In pixels of the original picture."""
    centroid = found.native.get("centroid")
    if isinstance(centroid, list | tuple) and len(centroid) == 2:
        return float(centroid[0]), float(centroid[1])
    x0, y0, x1, y1 = found.box
    return (x0 + x1) / 2, (y0 + y1) / 2


def side_in(text: str) -> str | None:
    """The one of the nine places that a text names; `None` for none, or for several."""
    words = _words(text)
    rows = {_ROWS[word] for word in words if word in _ROWS}
    columns = {_COLUMNS[word] for word in words if word in _COLUMNS}
    if len(rows) > 1 or len(columns) > 1 or not (rows or columns or _MIDDLES & set(words)):
        return None
    row, column = (rows or {"middle"}).pop(), (columns or {"centre"}).pop()
    return "centre" if (row, column) == ("middle", "centre") else f"{row} {column}"


def _description(asked: _Asked) -> int | None:
    """The description of the type that was found; else the only one that shares most words with what was."""
    top, options = asked.top, asked.question.options
    if top is None:
        return None
    types = asked.product.defect_types if asked.product else ()
    described = next((each.description for each in types if each.name == top.defect_type), "")
    same = _only(index for index, option in enumerate(options) if described and _same(option, described))
    if same is not None:
        return same
    claims = (claim.text for claim in asked.result.claims if claim.status == "supported")
    return _closest(options, " ".join((in_words(top.defect_type or ""), top.title, described, *claims)))


def _analysis(asked: _Asked) -> int | None:
    """The rule that the inspection found violated, or how severe the top finding is; whichever is offered."""
    options, top = asked.question.options, asked.top
    violated = [rule for rule in _rules(asked) if asked.result.rules.get(rule.id) == "violated"]
    by_rule = _only(index for index, option in enumerate(options) if any(_same(option, rule.text) for rule in violated))
    if by_rule is not None or top is None:
        return by_rule
    return _only(index for index, option in enumerate(options) if _same(option, top.severity))


def _rules(asked: _Asked) -> Sequence[NormalityRule]:
    return asked.product.rules if asked.product else ()


def _object_classification(asked: _Asked) -> int | None:
    return None if asked.product is None else _naming(asked.question.options, asked.product.name)


def _object_analysis(asked: _Asked) -> int | None:
    """What the experts say of the product, which is knowledge and not sight."""
    product = asked.product
    if product is None:
        return None
    known = (first_sentence(product.description), *(rule.text for rule in product.rules))
    options = asked.question.options
    return _only(index for index, option in enumerate(options) if any(_same(option, each) for each in known))


_READINGS: dict[str, Callable[[_Asked], int | None]] = {
    "anomaly_detection": _detection,
    "defect_classification": _classification,
    "defect_localization": _localization,
    "defect_description": _description,
    "defect_analysis": _analysis,
    "object_classification": _object_classification,
    "object_analysis": _object_analysis,
}


# -- words -----------------------------------------------------------------------------------------------------------


def in_words(name: str) -> str:
    """A product's or a type's name as people say it."""
    return " ".join(re.split(r"[\s_-]+", name)).strip()


def first_sentence(text: str) -> str:
    """Up to the first full stop that ends one."""
    return re.split(r"(?<=[.!?])\s", " ".join(text.split()), maxsplit=1)[0]


def _only(indices: Iterable[int]) -> int | None:
    found = list(indices)
    return found[0] if len(found) == 1 else None


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9]+", text.casefold())


def _stems(text: str) -> frozenset[str]:
    """Words without the endings in which a name and an option differ."""
    words = _words(_SAYING_LITTLE.sub(" ", text.casefold()))
    return frozenset(re.sub(r"(?:es|s)$", "", word) or word for word in words)


def _same(one: str, other: str) -> bool:
    return _words(one) == _words(other)


def _naming(options: Sequence[str], name: str) -> int | None:
    """The option that is the name; else the only one that holds it or is held by it."""
    wanted = _stems(name)
    stems = [_stems(option) for option in options]
    exact = _only(index for index, found in enumerate(stems) if found and found == wanted)
    if exact is not None or not wanted:
        return exact
    return _only(index for index, found in enumerate(stems) if found and (found <= wanted or wanted <= found))


def _closest(options: Sequence[str], text: str) -> int | None:
    said = _stems(text)
    shared = [len(_stems(option) & said) for option in options]
    most = max(shared)
    return shared.index(most) if most >= _LEAST_SHARED and shared.count(most) == 1 else None
