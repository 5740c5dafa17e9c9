"""Answers against facts: what no fact of the thread holds is not said.

A sentence stands when it cites facts that exist, when every number and every id in it stands in a fact that it cites, and
when it calls a part by no verdict that those facts do not call it by.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from agent.chat.facts import Fact
from agent.chat.turn import Sentence

NOT_KNOWN = "That is not in the evidence of this thread."

_NUMBER = re.compile(r"(?<![\w.])[-+−]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?(?![\w])\s*%?")
_ID = re.compile(r"\b(?:i\d+\.)?[a-z]\d+\.[rv]\d+\b")
_VERDICTS = {
    "normal": (
        "normal",
        "fine",
        "ok",
        "okay",
        "good",
        "flawless",
        "acceptable",
        "accepted",
        "pass",
        "passed",
        "passes",
    ),
    "anomalous": ("anomalous", "defective", "bad", "rejected", "reject", "fails"),
    "review": ("review",),
}
_WORD = re.compile(r"[a-z]+")
_SAYS = re.compile(
    r"\b(?:part|piece|it|cell|product|asset|verdict|this|everything)\b(?:\s+\S+){0,4}?\s+"
    r"(?:is|was|are|looks|seems|be|as)\s+(?P<not>not\s+)?(?:\w+\s+)?(?P<word>[a-z]+)\b"
)
"""A sentence that calls the part something."""


class Grounded(NamedTuple):
    """What is left of an answer, and what had to go."""

    sentences: tuple[Sentence, ...]
    dropped: tuple[str, ...]
    """Sentences that no evidence holds, each with the reason."""


def ground(sentences: Iterable[Sentence], facts: Mapping[str, Fact]) -> Grounded:
    """Keep what the facts hold."""
    kept, dropped = [], []
    for sentence in sentences:
        wrong = _wrong(sentence, facts)
        if wrong:
            dropped.append(f"{sentence.text} ({wrong})")
        else:
            kept.append(sentence)
    return Grounded(tuple(kept), tuple(dropped))


def _wrong(sentence: Sentence, facts: Mapping[str, Fact]) -> str:
    strangers = [id_ for id_ in sentence.evidence if id_ not in facts]
    if strangers:
        return f"it cites {', '.join(strangers)}, which does not exist"
    if not sentence.evidence:
        return "it cites nothing"
    cited = [facts[id_] for id_ in sentence.evidence]
    told = " ".join(fact.text for fact in cited)
    text = _without_ids(sentence.text, facts)
    missing = _missing_numbers(text, told)
    if missing:
        return f"the number {missing} does not stand in what it cites"
    ids = [id_ for id_ in _ID.findall(text) if id_ not in told and not any(id_ in fact.about for fact in cited)]
    if ids:
        return f"{ids[0]} does not stand in what it cites"
    word = _foreign_verdict(text, cited)
    return f"what it cites does not say “{word}”" if word else _contradiction(text, cited, facts)


def _without_ids(text: str, facts: Mapping[str, Fact]) -> str:
    """Ids of facts are citations, and no numbers."""
    for id_ in sorted(facts, key=len, reverse=True):
        text = text.replace(id_, " ")
    return text


def _missing_numbers(text: str, told: str) -> str:
    known = [_value(each) for each in _NUMBER.findall(told)]
    for found in _NUMBER.findall(text):
        said, slack = _value(found), _slack(found)
        if not any(abs(abs(said) - abs(number)) <= slack for number in known):
            return str(found).strip()
    return ""


def _value(number: str) -> float:
    plain = number.replace("−", "-").strip()
    return float(plain.rstrip("% ")) / (100 if plain.endswith("%") else 1)


def _slack(number: str) -> float:
    """Half a unit of the last digit: who rounds is not wrong."""
    plain = number.replace("−", "-").strip()
    mantissa, _, exponent = plain.rstrip("% ").lower().partition("e")
    decimals = len(mantissa.partition(".")[2])
    unit = 10.0 ** (int(exponent or 0) - decimals) / (100 if plain.endswith("%") else 1)
    return 0.5 * unit * (1 + 1e-9) if decimals or exponent else 1e-9


def _contradiction(text: str, cited: Sequence[Fact], facts: Mapping[str, Fact]) -> str:
    """What the part is called, against the verdicts of the inspections that are cited; opinions may be told of."""
    for match in _SAYS.finditer(text.lower()):
        called = next((verdict for verdict, words in _VERDICTS.items() if match["word"] in words), "")
        if not called or any(fact.quoted and match["word"] in fact.text.lower() for fact in cited):
            continue
        numbers = {fact.id.partition(".")[0] for fact in cited}
        verdicts = [facts[f"{number}.verdict"].text for number in numbers if f"{number}.verdict" in facts]
        agrees = any(text.endswith(f"is {called}.") for text in verdicts)
        if verdicts and agrees == bool(match["not"]):
            return f"the verdict is not “{match['not'] or ''}{match['word']}”"
    return ""


def _foreign_verdict(text: str, cited: Sequence[Fact]) -> str:
    told = " ".join(fact.text for fact in cited)
    words, known = set(_WORD.findall(text.lower())), set(_WORD.findall(told.lower()))
    for verdict, synonyms in _VERDICTS.items():
        said = words & set(synonyms)
        if said and not known & {verdict, *synonyms}:
            return str(min(said))
    return ""


def cited(sentences: Sequence[Sentence]) -> tuple[str, ...]:
    """Ids of facts in the order in which they are first cited."""
    return tuple(dict.fromkeys(id_ for sentence in sentences for id_ in sentence.evidence))
