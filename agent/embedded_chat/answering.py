"""The facts that answer a question, word for word."""

import itertools
import re
from collections.abc import Mapping, Sequence
from typing import Any

from agent.embedded_chat.facets import Said, facets_of
from agent.embedded_chat.vocabulary import FILLER, KNOWN
from agent.embedded_chat.words import numbered_in, stem_of, words_of

Briefing = Mapping[str, Any]

_MOST = 7
"""Sentences of an answer."""

_ABOUT = re.compile(
    r"\b(?:the\s+)?(?:(?:first|second|third|fourth|fifth|previous|earlier|last)\s+(?:inspection|part|piece|one)"
    r"|inspection\s+\d+)\b"
)
"""Which inspection is meant, which is no question of its own."""

_BEYOND = (
    re.compile(
        r"\bwho(?:m|se)?\b(?!.*\b(?:judged?|decided?|says?|said|looked|checked|found|assessed|thinks?|agrees?)\b)"
    ),
    re.compile(r"\bwill (?:it|the|this|that|they)\b"),
    re.compile(r"\b(?:part|serial|batch|lot|order|article|item|phone|model) (?:number|no|id)\b(?!\s*\d)"),
    re.compile(r"(?=.*\b(?:price|cost|costs|expensive)\b)(?=.*\b(?:part|piece|new|repair)\b)(?!.*\binspect)"),
    re.compile(r"\bhow much (?:is|are)\b|\bwhat time is it\b|\bwhat (?:day|date|year)\b"),
    re.compile(r"\bwhere (?:is|was|are|were) (?:the|this|my|our) (?:part|piece)s?(?: now)?\s*\??\s*$"),
    re.compile(r"\b(?:tool|model|machine|person|step)s?\b.*\b(?:made|makes|cause|causes|caused|damaged)\b"),
)
"""What is asked with words that are known, of things that no inspection looks at."""

_PRODUCT_TOLD = re.compile(r"^The verdict on the part, as (.{1,80}), is \w+\.$")

_MEASURES: dict[str, frozenset[str]] = {
    word: frozenset(stems.split())
    for words, stems in (
        ("deep depth", "depth deep"),
        ("volume", "volume"),
        ("tall high height", "height high score peak value similarity"),
        ("colour color", "colour color darker brighter dark bright"),
    )
    for word in words.split()
}
"""Measures that only some parts have, with the words by which a fact tells of them."""

_MADE_WORDS = ("made", "make", "makes")
_NEVER_KNOWN = frozenset(_MADE_WORDS)
_OF_THREAD = re.compile(r"\b(?:inspections?|claims?|decision|judgement|judgment|plan)\b")
"""What is made here; where parts are made nothing is known of."""

_IDS_SPLIT = re.compile(r"[\s?!,;:\"'()\[\]]+")
_STATUS = re.compile(r"\b(supported|refuted|unverified|kept|violated)\b")


def answer(briefing: Briefing) -> dict[str, Any]:
    """Facts that answer a question, word for word; none where it asks for what no fact and no rule here knows."""
    text = str(briefing["text"]).lower()
    facts = _in_scope(briefing, text)
    fresh = [fact for fact in briefing["facts"] if fact["id"] in briefing["fresh"]]
    if briefing["action"] != "ask":
        return {"sentences": [_sentence(fact) for fact in fresh[:_MOST]], "unknown": []}
    unknown = _unknown(text, facts)
    if unknown:
        return {"sentences": [], "unknown": unknown}
    asked = _of_the_part(_ABOUT.sub(" ", text), facts)
    if any(phrase.search(asked) for phrase in _BEYOND):
        return {"sentences": [], "unknown": []}
    chosen = _named(asked, facts) or _by_facet(asked, facts) or _by_words(asked, facts)
    if not chosen and asked != text:
        chosen = _by_facet("why", facts)
    return {"sentences": [_sentence(fact) for fact in chosen[:_MOST]], "unknown": []}


def _of_the_part(text: str, facts: Sequence[Said]) -> str:
    """The question with the product's name as what it is: the part."""
    verdicts = [_PRODUCT_TOLD.search(fact["text"]) for fact in facts if fact["id"].endswith(".verdict")]
    for name in {match[1].lower() for match in verdicts if match}:
        for each in (name, name.replace("_", " ")):
            text = re.sub(rf"(?<![\w-]){re.escape(each)}(?![\w-])", "part", text)
    return text


def _in_scope(briefing: Briefing, text: str) -> list[Said]:
    """Facts of the inspection that is meant, and of the thread; of all where they are compared."""
    facts: list[Said] = list(briefing["facts"])
    if set(words_of(text)) & {"both", "inspections", "each"} or not briefing["inspection"]:
        return facts
    return [fact for fact in facts if fact["id"].startswith((f"i{briefing['inspection']}.", "thread."))]


def _unknown(text: str, facts: Sequence[Said]) -> list[str]:
    vocabulary = {stem for fact in facts for stem in map(stem_of, words_of(f"{fact['text']} {_own_id(fact)}".lower()))}
    about = {each.lower() for fact in facts for each in fact["about"]}
    known = (vocabulary | about | {stem_of(word) for word in KNOWN}) - _NEVER_KNOWN
    known |= {stem_of(word) for word in _MADE_WORDS if _OF_THREAD.search(text)}
    found = [
        word for word in words_of(text) if stem_of(word) not in known and word not in about and not word[0].isdigit()
    ]
    found += [word for word, stems in _MEASURES.items() if word in words_of(text) and not vocabulary & stems]
    absent = [word for word, id_ in numbered_in(text) if not _bears(facts, id_)]
    return list(dict.fromkeys([*found, *absent]))


def _own_id(fact: Said) -> str:
    """`c3` of `i1.c3`."""
    return f"{fact['id']} {fact['id'].partition('.')[2]}"


def _bears(facts: Sequence[Said], id_: str) -> bool:
    return any(_is_named(fact, {id_}) for fact in facts)


def _is_named(fact: Said, ids: set[str]) -> bool:
    """By its own id or that of something it is about; a rule by the end of its id, for experts choose how it begins."""
    own = {fact["id"].partition(".")[2].lower(), fact["id"].lower(), *(each.lower() for each in fact["about"])}
    ends = tuple(id_ for id_ in ids if id_.startswith("-"))
    return bool(own & ids) or (fact["topic"] == "rule" and any(each.endswith(ends) for each in own if ends))


def _named(text: str, facts: Sequence[Said]) -> list[Said]:
    """Facts about a rule, a region, a finding or a piece of evidence that is named by its id."""
    words = {word for word in (*words_of(text), *_IDS_SPLIT.split(text)) if any(map(str.isdigit, word))}
    ids = {id_ for _, id_ in numbered_in(text)}
    by_id = [fact for fact in facts if _is_named(fact, words | ids)]
    facets = facets_of(text)
    narrowed = [fact for facet in facets for fact in by_id if any(fits(fact) for fits in facet.fits)]
    return list({fact["id"]: fact for fact in narrowed or by_id}.values())


def _by_facet(text: str, facts: Sequence[Said]) -> list[Said]:
    """Of each kind that is asked for, what says most, in turn."""
    found = [
        list({fact["id"]: fact for fits in facet.fits for fact in facts if fits(fact)}.values())
        for facet in facets_of(text)
    ]
    chosen = [fact for rank in itertools.zip_longest(*found) for fact in rank if fact is not None]
    status = _STATUS.search(text)
    if status:
        chosen = [fact for fact in chosen if fact["topic"] not in ("claim", "rule") or _is(status[1], fact)]
    return list({fact["id"]: fact for fact in chosen}.values())


def _is(status: str, fact: Said) -> bool:
    summary = fact["id"].endswith((".claims", ".rules"))
    return summary or f"Code calls it {status}" in fact["text"] or f" is {status}" in fact["text"]


def _by_words(text: str, facts: Sequence[Said]) -> list[Said]:
    """Facts that hold every word of the question that says something."""
    asked = {stem_of(word) for word in words_of(text) if word not in FILLER}
    return [fact for fact in facts if asked and asked <= {stem_of(word) for word in words_of(fact["text"].lower())}]


def _sentence(fact: Said) -> dict[str, Any]:
    return {"text": fact["text"], "evidence": [fact["id"]]}
