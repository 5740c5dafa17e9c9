"""The turn that a text asks for."""

import re
from collections.abc import Mapping
from typing import Any

from agent.embedded_chat.vocabulary import AGAIN, CLOSER, COMPARE, HELP, INSPECT, KNOWN
from agent.embedded_chat.words import ORDINALS, words_of

Briefing = Mapping[str, Any]

_REGION = re.compile(r"\ba\d+\.r\d+\b")
_FINDING = re.compile(r"\b(?:finding|region|defect|anomaly|crop)\s+(?:number\s+|no\.?\s*)?(\d{1,4})\b")
_EDGE = r"(-?\d{1,6}(?:\.\d{1,3})?)"
_BOX = re.compile(rf"(?<![\w.]){_EDGE}[\s,;]+{_EDGE}[\s,;]+(?:to[\s,;]+)?{_EDGE}[\s,;]+{_EDGE}(?![\w.]*\d)")
_BRACKET = re.compile(r"\[[^\]\n]{0,80}\d[^\]\n]{0,80}\]")
_ALPHA = re.compile(
    r"\b(?:alpha|false[- ]alarm rate|rate)\b[^\d.-]{0,20}(\d{0,3}\.?\d{1,12}(?:e-?\d{1,2})?(?!\w|\.\d)\s*(?:%|percent\b)?)"
)
_AS_PRODUCT = re.compile(r"\b(?:as|with product|product)\s+(?:an?\s+|the\s+|product\s+)?([a-z][\w-]{0,60})")
_NO_PRODUCT = frozenset(
    {"soon", "possible", "well", "before", "usual", "it", "is", "new", "normal", "again", "this", "that", "if", "with"}
)
_NEXT_PART = frozenset({"next", "another", "other", "new"})
_DENIED = re.compile(r"\b(?:do not|don't|never|stop)\b")
_WONDERS = re.compile(
    r"\s*(?:and |so |but |then )?(?:which|what|what's|why|how|who|when|where|was|were|is|are|did|does|has|have)\b"
)
"""Begins a question, which is no order even where it names one."""
_INSPECTION = re.compile(
    r"\binspections?\s+(?:number\s+|no\.?\s*)?(\d{1,4})\b(?!\.\d)|\b(?:part|piece)\s+(?:number\s+)?(\d{1,4})\b(?!\.\d)"
)
_REFERENCE = re.compile(r"\breference\s+(?:number\s+)?(\d)\b")
_SIDE = re.compile(r"\b(top|upper|bottom|lower|left|right|centre|center|middle)\b")


def understand(briefing: Briefing) -> dict[str, Any]:
    """The turn that a text asks for, in the schema that every model fills."""
    text = str(briefing["text"]).lower()
    words = set(words_of(text))
    turn: dict[str, Any] = {
        "action": _action(words, text, briefing),
        "target": _target(text),
        "inspection": _inspection(text, briefing),
        "reference": _reference(text),
    }
    box = (
        _BOX.search(text.replace("(", " ").replace(")", " ")) if turn["action"] in ("look_closer", "compare") else None
    )
    alpha = _ALPHA.search(text)
    product = _product(text, briefing) if turn["action"] == "inspect" else None
    if box:
        turn["box"] = [float(edge) for edge in box.groups()]
    if alpha:
        turn["alpha"] = _share(alpha[1])
    if product:
        turn["product"] = product
    return turn


def _product(text: str, briefing: Briefing) -> str | None:
    """A product that is known, or the word that stands where one is named."""
    names = sorted(briefing["products"], key=len, reverse=True)
    named = next((name for name in names if re.search(rf"(?<![\w-]){re.escape(name.lower())}(?![\w-])", text)), None)
    if named:
        return str(named)
    strange = _AS_PRODUCT.search(text)
    return strange[1] if strange and strange[1] not in _NO_PRODUCT else None


def _action(words: set[str], text: str, briefing: Briefing) -> str:
    if briefing["attached"]:
        return "inspect"
    if words & HELP or not words - {"hello", "hi", "hey"}:
        return "help"
    wonders = _WONDERS.match(text) is not None
    if not _DENIED.search(text) and not wonders and _wants_inspection(words, text):
        return "help" if words & _NEXT_PART and not words & AGAIN else "inspect"
    asks = _DENIED.search(text) or (wonders and not words & {"closer", "zoom"})
    return "ask" if asks or not briefing["inspections"] else _wanted_look(words, text)


def _wanted_look(words: set[str], text: str) -> str:
    if words & COMPARE and (words & {"reference", "references", "normal"} or _REGION.search(text)):
        return "compare"
    closer = words & (CLOSER - {"look", "close", "detail"}) or ("look" in words and words & {"closer", "at", "close"})
    return "look_closer" if closer else "ask"


def _wants_inspection(words: set[str], text: str) -> bool:
    if words & AGAIN and words & (INSPECT | {"alpha"}):
        return True
    return bool(words & INSPECT) and not text.rstrip().endswith("?")


def _target(text: str) -> str:
    region = _REGION.search(text)
    if region:
        return region[0]
    finding = _finding_named(text)
    if finding:
        return f"finding {finding}"
    asset = re.search(r"\ba\d{1,3}(?:\.v\d{1,3})?\b", text)
    sides = list(dict.fromkeys(_SIDE.findall(text)))
    bracket = _BRACKET.search(text)
    if bracket and not _BOX.search(text):
        return bracket[0][:120]
    strange = (
        [] if sides else [word for word in words_of(text) if word not in KNOWN and not any(map(str.isdigit, word))]
    )
    return " ".join([*sides, *strange, *([asset[0]] if asset else [])])[:120]


def _finding_named(text: str) -> int:
    """Number of the finding that is meant, or 0."""
    finding = _FINDING.search(text)
    if finding:
        return int(finding[1])
    return next(
        (number for word, number in ORDINALS.items() if re.search(rf"\b{word} (finding|region|defect)", text)), 0
    )


def _inspection(text: str, briefing: Briefing) -> int | None:
    """The inspection that is meant, whether there is one or not; 0 for one before the first."""
    numbers = [inspection["number"] for inspection in briefing["inspections"]]
    named = _INSPECTION.search(text)
    if named:
        return int(named[1] or named[2])
    for word, number in ORDINALS.items():
        if re.search(rf"\b{word} (inspection|part|piece|picture)\b", text):
            return number
        if number in numbers and re.search(rf"\b{word} (one|asset)\b", text):
            return number
    if numbers and re.search(r"\b(previous|earlier|last but one) (inspection|part|piece|one)\b|\bone before\b", text):
        return int(numbers[-1]) - 1
    return None


def _reference(text: str) -> int:
    named = _REFERENCE.search(text)
    if named and 1 <= int(named[1]) <= 8:
        return int(named[1])
    return next((number for word, number in ORDINALS.items() if f"{word} reference" in text), 1)


def _share(number: str) -> float | None:
    plain = number.replace("percent", "%").strip()
    value = float(plain.rstrip("% ")) / (100 if plain.endswith("%") else 1)
    return value if 0 < value < 1 else None
