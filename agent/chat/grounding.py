"""Answers against facts: what no fact of the thread holds is not said.

A sentence stands when it cites facts that exist and speaks of what they speak of, when every number and every id in it
stands in a fact that it cites, for the same thing and in the same unit, and when it calls a part, a rule or a claim
nothing that the records do not call it.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from agent.chat.facts import Fact, one_line
from agent.chat.figures import figures, foreign, is_of_measures
from agent.chat.turn import Sentence
from agent.chat.verdicts import is_judgement, miscalled

NOT_KNOWN = "That is not in the evidence of this thread."

_WORD = re.compile(r"[^\W\d_]+")
_STEM = 5
"""Letters by which scratched is known as scratch."""
_LEAST_SHARED = 1 / 3
"""Of the words of a sentence that say something."""
_SILENT_WORDS = (
    "about above again also although and are because been before below being both but can could did does for found from "
    "had has have hence here inspection into its itself just like more most much not now off only other our out over part "
    "piece rather said same says seen she should since some such than that the their them then there therefore these they "
    "this those thus too under until upon very was were what when where which while who whose why will with within without "
    "would yes you your"
)
_SAYS_NOTHING = frozenset(_SILENT_WORDS.split())


class Grounded(NamedTuple):
    """What is left of an answer, and what had to go."""

    sentences: tuple[Sentence, ...]
    dropped: tuple[str, ...]
    """Sentences that no evidence holds, each with the reason."""


def ground(sentences: Iterable[Sentence], facts: Mapping[str, Fact]) -> Grounded:
    """Keep what the facts hold."""
    kept, dropped = [], []
    for given in sentences:
        sentence = given.model_copy(update={"text": one_line(given.text)})
        wrong = _wrong(sentence, facts)
        if wrong:
            dropped.append(f"{sentence.text} ({one_line(wrong)})")
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
    if any(sentence.text == one_line(fact.text) for fact in cited):
        return ""
    return (
        _foreign_number(sentence.text, cited, facts)
        or miscalled(sentence.text, cited, facts)
        or _beside_the_point(sentence.text, cited, facts)
    )


def _foreign_number(text: str, cited: Sequence[Fact], facts: Mapping[str, Fact]) -> str:
    pieces = {piece for fact in cited for piece in (fact.id, *fact.id.split("."), *fact.about)}
    told = [figures(fact.text) for fact in cited]
    found = foreign(figures(text, facts), told, frozenset(piece.lower() for piece in pieces))
    return f"{found} does not stand so in what it cites" if found else ""


def _beside_the_point(text: str, cited: Sequence[Fact], facts: Mapping[str, Fact]) -> str:
    """Words are not proof; but a sentence that shares few with what it cites is not held by it."""
    said = {_stem(word) for word in _telling(text) if not (is_of_measures(word) or is_judgement(word))}
    if not said:
        return "" if _is_checked(text) else "it says nothing that evidence could hold"
    roots = tuple(".".join(fact.id.split(".")[:2]) for fact in cited)
    near = [fact for fact in facts.values() if fact.id.startswith(roots)]
    told = {_stem(word) for fact in (*cited, *near) for word in _telling(f"{fact.text} {fact.topic}")}
    return "" if len(said & told) >= _LEAST_SHARED * len(said) else "what it cites speaks of something else"


def _telling(text: str) -> list[str]:
    words = _WORD.findall(unicodedata.normalize("NFKC", text).lower())
    return [word for word in words if len(word) > 2 and word not in _SAYS_NOTHING]


def _stem(word: str) -> str:
    return word.rstrip("s")[:_STEM]


def _is_checked(text: str) -> bool:
    """Whether there is anything in it that the other checks look at."""
    return any(is_of_measures(word) or is_judgement(word) for word in _WORD.findall(text.lower()))


def cited(sentences: Sequence[Sentence]) -> tuple[str, ...]:
    """Ids of facts in the order in which they are first cited."""
    return tuple(dict.fromkeys(id_ for sentence in sentences for id_ in sentence.evidence))
