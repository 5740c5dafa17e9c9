"""Kinds of question: the words by which each is known, and the facts that answer it."""

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from agent.embedded_chat.words import words_of

Said = Mapping[str, Any]


class Facet(NamedTuple):
    """A kind of question: the words by which it is known, and the facts that answer it, in the order of telling."""

    words: frozenset[str]
    fits: tuple[Callable[[Said], bool], ...]


def _facet(words: str, *fits: Callable[[Said], bool]) -> Facet:
    return Facet(frozenset(words.split()), fits)


def _topic(*names: str) -> Callable[[Said], bool]:
    return lambda fact: fact["topic"] in names


def _ends(*ends: str) -> Callable[[Said], bool]:
    return lambda fact: fact["id"].endswith(ends)


def _telling(topic: str, *words: str) -> Callable[[Said], bool]:
    return lambda fact: fact["topic"] == topic and any(word in fact["text"] for word in words)


def _whole_finding(fact: Said) -> bool:
    """The finding itself, and not its size or what is said of it."""
    return fact["topic"] == "finding" and "." not in fact["id"].partition(".")[2]


def _violated(fact: Said) -> bool:
    return fact["topic"] == "rule" and " is violated" in fact["text"]


FACETS: dict[str, Facet] = {
    "why": _facet(
        "why verdict reason reasons decision decide decided conclude conclusion normal anomalous review judge judged"
        " judgement judgment result results outcome pass passed fail failed defective reject rejected accept accepted fine"
        " bad ok okay good",
        _ends(".verdict"),
        lambda fact: fact["topic"] == "verdict" and not fact["id"].endswith(".score"),
        _violated,
        _whole_finding,
    ),
    "sure": _facet(
        "sure certain certainty confident confidence probability p p-value pvalue value threshold score alpha calibrated"
        " calibration significance likely promise false false-alarm alarm alarms rate",
        _ends(".score"),
    ),
    "where": _facet(
        "where place places location located position side sides coordinates box region regions finding findings defect"
        " defects anomaly anomalies kind type severe severity critical major minor wrong damage damaged found spot spots"
        " heat map",
        _whole_finding,
    ),
    "size": _facet(
        "size sizes big large larger small area share wide width long length deep depth volume high height extent measure"
        " measured measurement measurements number numbers elongation contrast count points pixels mm",
        _ends(".size"),
        lambda fact: fact["topic"] == "finding",
    ),
    "when": _facet(
        "when time times begin begins began start starts started end ends ended duration seconds second moment interval"
        " channel channels frame frames sample samples",
        _telling("finding", "start", "seconds", "frames"),
        _telling("input", "start", "seconds", "frames"),
    ),
    "colour": _facet(
        "colour color dark darker bright brighter tone",
        _telling("claim", "darker", "brighter"),
    ),
    "rule": _facet(
        "rule rules norm norms requirement requirements specification clause kept violated break broken breaks question"
        " questions expert experts",
        _ends(".rules"),
        _violated,
        _topic("rule"),
    ),
    "claim": _facet(
        "claim claims claimed supported refuted unverified verified verify checked proof prove true lie lies",
        _ends(".claims"),
        _topic("claim"),
    ),
    "reference": _facet("reference references similar similarity nearest compared retrieved", _topic("reference")),
    "opinion": _facet(
        "opinion opinions reasoner reasoners agree agrees disagree thinks believe believes", _topic("opinion")
    ),
    "model": _facet(
        "model models llm gpt gemini embedded version versions prompt localizer localiser", _topic("model")
    ),
    "cost": _facet("cost costs price money dollars token tokens expensive calls took take spent usage", _topic("cost")),
    "sent": _facet(
        "sent send leave left cloud network outside upload uploaded transmitted shared privacy machine", _topic("sent")
    ),
    "plan": _facet(
        "plan planned plans step steps tool tools instrument instruments", _topic("plan"), _topic("evidence")
    ),
    "evidence": _facet("evidence proof record records", _topic("evidence")),
    "unchecked": _facet(
        "unchecked missing missed unknown limits limitation limitations skipped not-checked incomplete",
        _topic("unchecked"),
    ),
    "input": _facet(
        "file files asset assets picture pictures image images scan scans recording recordings video videos view views"
        " resolution modality frames",
        _topic("input"),
    ),
    "look": _facet("closer zoom enlarged crop look looked", _topic("look")),
    "history": _facet(
        "inspection inspections inspected earlier previous previously history thread conversation session parts pieces"
        " far both compare",
        _topic("history"),
    ),
}

_ASKED_AT_ALL = ("why", "sure", "history")
"""Facets whose words are used in passing; any other that is named comes before them."""

_PHRASES = (
    (re.compile(r"\bwhy\b|\breasons?\b|\babout (?:the|this|that) (?:part|piece)\b"), ("why",)),
    (re.compile(r"\bhow long (did|does|has|was|were)\b|\bhow (expensive|many tokens)\b"), ("cost",)),
    (re.compile(r"\bnot (been )?(checked|looked)|\bunchecked\b"), ("unchecked",)),
    (re.compile(r"\b(which|what) (steps|tools|instruments)\b|\bwhat did you do\b"), ("plan",)),
    (re.compile(r"\bwho\b.*\b(judged?|decided?|says?|said|looked|checked|found|assessed)\b"), ("opinion", "model")),
    (re.compile(r"\bhow (sure|certain|confident|likely)\b"), ("sure",)),
    (re.compile(r"\b(both|all|compare|each)\b.*\binspections\b"), ("history",)),
)
"""What is plain from a few words together."""

_OF_PART = re.compile(
    r"\bhow (?:big|large|long|wide|tall|high)\b.*\b(?:part|piece|image|picture|asset|view)s?\b"
    r"(?!.*\b(?:finding|region|defect|anomaly)\b)|\bsize of the (?:part|piece|image|picture|asset|view)\b"
)
"""A question for the part's own size, and not for that of a finding."""


def facets_of(text: str) -> list[Facet]:
    """What a question in lower case asks for."""
    if _OF_PART.search(text):
        return [FACETS["input"]]
    plain = dict.fromkeys(name for phrase, names in _PHRASES if phrase.search(text) for name in names)
    if plain:
        return [FACETS[name] for name in plain]
    words = set(words_of(text))
    named = [name for name, facet in FACETS.items() if words & facet.words]
    telling = [name for name in named if name not in _ASKED_AT_ALL]
    return [FACETS[name] for name in telling or named]
