"""What a sentence calls a part, a rule or a claim, against what the records of inspections call it."""

import re
from collections.abc import Mapping, Sequence

from agent.chat.facts import Fact

_CALLED = {
    "normal": "normal fine ok okay good flawless acceptable accepted pass passed passes passing perfect perfectly sound "
    "intact undamaged healthy faultless spotless clean conforming conforms compliant usable safe harmless cleared ship "
    "shipped shippable approve approved approval unremarkable unharmed well",
    "anomalous": "anomalous defective bad rejected reject rejects fails faulty unacceptable scrap scrapped unusable",
    "review": "review undecided inconclusive",
}
_CLASS = {word: verdict for verdict, words in _CALLED.items() for word in words.split()}
_CLEARING = re.compile(
    r"\b(?:no|not any|without(?: any)?|free (?:of|from)|zero)\s+(?:\w+\s+)?"
    r"(?:anomal(?:y|ies)|defects?|damages?|findings?|faults?|flaws?|problems?|issues?|concerns?|deviations?|errors?)\b"
    r"|\bnothing\s+(?:is\s+|was\s+)?(?:wrong|unusual|amiss|odd|suspicious|to worry|found|bad|anomalous)\b"
    r"|\bin order\b|\b(?:in|within|to) (?:the )?(?:spec|specs|specification|tolerance|tolerances|limits)\b"
    r"|\bdefect-free\b|\bnon-?defective\b"
)
_DENIED = re.compile(r"\b(?:not|never|cannot|neither|nor|hardly|no longer|far from)\b|n't\b|n’t\b")
_ATTRIBUTING = (
    "reasoner reasoners model models opinion opinions says said thinks claims claim claimed finds answers answered "
    "according believes refuted unverified asked question rule quoted"
)
_ATTRIBUTED = frozenset(_ATTRIBUTING.split())
_PARTS_OF_SPEECH = re.compile(
    r"\b(?:accepted\s+)?false[- ]alarm\b|\baccepted\s+rate\b"
    r"|\b(?<!is a )(?<!is )(?<!as a )(?<!be a )(?<!was a )(?<!it a )(?<!like a )(?<!s a )(?:a |the |any |of |on )?normal\s+"
    r"(?:reference|references|parts|pictures|ones|parts)\b"
    r"|\b(?:that|probability|chance|how often|often)\s+a\s+normal\s+part\b"
    r"|\b(?:a|any) part that is normal\b"
    r"|\b(?:as )?well as\b|\bnormality rules?\b|\bgood reason\b"
)
"""Where a word of judgement judges no part: `the nearest normal reference`."""
_INSPECTION = re.compile(r"\binspection\s+(\d+)\b|\bi(\d+)\.")
_WORD = re.compile(r"[a-z]+")
_QUOTED = re.compile(r"“[^”]*”")
_RUN = 4
"""Words in a row that are somebody's own, and no coincidence."""

_STATUS_WORDS = {
    "kept": "kept passed passes met satisfied respected fulfilled obeyed",
    "violated": "violated broken breached failed fails violates breaks",
    "supported": "supported confirmed proven",
    "refuted": "refuted disproven disproved",
    "unverified": "unverified",
}
_STATUS = {word: status for status, words in _STATUS_WORDS.items() for word in words.split()}
_STATUS_TOLD = {
    " is kept": "kept",
    " is violated": "violated",
    "Code calls it supported": "supported",
    "Code calls it refuted": "refuted",
    "Code calls it unverified": "unverified",
}


def miscalled(text: str, cited: Sequence[Fact], facts: Mapping[str, Fact]) -> str:
    """What is wrong in what a sentence calls a part, a rule or a claim; an empty string where nothing is."""
    return _wrong_status(text, cited, facts) or _wrong_verdict(text, cited, facts)


def _wrong_verdict(text: str, cited: Sequence[Fact], facts: Mapping[str, Fact]) -> str:
    said = _PARTS_OF_SPEECH.sub(" ", text.lower())
    covered = _covered(said, cited)
    attributed = bool(set(_WORD.findall(said)) & _ATTRIBUTED)
    of_rules = _about_rules(text, cited)
    for place, word, called in _judgements(said):
        own = any(start <= place < end for start, end in covered)
        told = any(word in _words(fact.text) for fact in cited if fact.quoted or fact.topic in ("claim", "rule"))
        if own or (attributed and told) or (of_rules and word in _STATUS):
            continue
        denied = bool(_DENIED.search(said, max(0, place - 24), place)) and not _CLEARING.match(said, place)
        verdicts = _verdicts(said[:place], cited, facts)
        if not verdicts and word not in {each for fact in cited for each in _words(fact.text)}:
            return f"what it cites does not say “{word}”"
        if verdicts and _contradicts(called, denied, verdicts):
            return f"the verdict is not “{'not ' if denied else ''}{word}”"
    return ""


def is_judgement(word: str) -> bool:
    """Whether a word calls a part, a rule or a claim something."""
    return word in _CLASS or word in _STATUS


def _judgements(said: str) -> list[tuple[int, str, str]]:
    """Place, words and verdict of everything that judges."""
    words = [(match.start(), match[0], _CLASS[match[0]]) for match in _WORD.finditer(said) if match[0] in _CLASS]
    return words + [(match.start(), match[0], "normal") for match in _CLEARING.finditer(said)]


def _contradicts(called: str, denied: bool, verdicts: frozenset[str]) -> bool:
    if denied:
        return called in verdicts or (called == "anomalous" and "review" in verdicts)
    return called not in verdicts


def _verdicts(before: str, cited: Sequence[Fact], facts: Mapping[str, Fact]) -> frozenset[str]:
    """Of the inspection that was named last, or else of all that are cited."""
    named = [first or second for first, second in _INSPECTION.findall(before)]
    ids = [f"inspection {fact.id.replace('thread.i', 'i')}." for fact in cited]
    numbers = named[-1:] or [each for id_ in ids for pair in _INSPECTION.findall(id_[11:]) for each in pair if each]
    texts = [facts[f"i{number}.verdict"].text for number in numbers if f"i{number}.verdict" in facts]
    return frozenset(text.rpartition(" is ")[2].rstrip(".") for text in texts)


def _covered(said: str, cited: Sequence[Fact]) -> list[tuple[int, int]]:
    """Passages that are a fact's own words, where they are code's and not somebody's."""
    told = [_WORD.findall(_QUOTED.sub(" . ", fact.text.lower())) for fact in cited if _is_codes(fact)]
    runs = {tuple(words[at : at + _RUN]) for words in told for at in range(len(words) - _RUN + 1)}
    found = list(_WORD.finditer(said))
    return [
        (found[at].start(), found[at + _RUN - 1].end())
        for at in range(len(found) - _RUN + 1)
        if tuple(match[0] for match in found[at : at + _RUN]) in runs
    ]


def _is_codes(fact: Fact) -> bool:
    return not fact.quoted and fact.topic not in ("claim", "rule")


def _about_rules(text: str, cited: Sequence[Fact]) -> bool:
    ids = {each.lower() for fact in cited if fact.topic == "rule" for each in fact.about}
    said = text.lower()
    return "rule" in said or any(each in said for each in ids)


def _wrong_status(text: str, cited: Sequence[Fact], facts: Mapping[str, Fact]) -> str:
    """A rule that was violated is not kept, and a claim that was refuted is not supported."""
    said = text.lower()
    if any(fact.id.endswith((".rules", ".claims")) for fact in cited) and not _statuses(said, cited, facts, named=True):
        return ""
    for match in _WORD.finditer(said):
        status = _STATUS.get(match[0])
        known = _statuses(said[: match.start()], cited, facts, named=True) or _statuses(said, cited, facts, named=False)
        kinds = {"kept", "violated"} if status in ("kept", "violated") else {"supported", "refuted", "unverified"}
        if status is None or not known & (kinds | {"not checked"}):
            continue
        denied = bool(_DENIED.search(said, max(0, match.start() - 12), match.start()))
        if (status in known) == denied:
            return f"what it cites is not “{'not ' if denied else ''}{match[0]}”"
    return ""


def _statuses(said: str, cited: Sequence[Fact], facts: Mapping[str, Fact], *, named: bool) -> frozenset[str]:
    """Of the rule or the claim that is named last; or else of all that are cited."""
    prefixes = {fact.id.partition(".")[0] for fact in cited}
    of_thread = [fact for fact in facts.values() if fact.id.partition(".")[0] in prefixes]
    if not named:
        return frozenset(filter(None, map(_status_of, cited)))
    places = {fact.id: said.rfind(name.lower()) for fact in of_thread if (name := _name_of(fact))}
    last = max(places, key=lambda id_: places[id_], default="")
    return frozenset({_status_of(facts[last])} - {""}) if last and places[last] >= 0 else frozenset()


def _name_of(fact: Fact) -> str:
    if fact.topic == "rule" and ".rule." in fact.id:
        return fact.about[0]
    return fact.id.partition(".")[2] if fact.topic == "claim" and not fact.id.endswith(".claims") else ""


def _status_of(fact: Fact) -> str:
    if not _name_of(fact):
        return ""
    plain = _QUOTED.sub(" ", fact.text)
    found = next((status for words, status in _STATUS_TOLD.items() if words in plain.replace(" , ", " ")), "")
    return found or ("not checked" if "was not checked" in plain else "")


def _words(text: str) -> set[str]:
    return set(_WORD.findall(text.lower()))
