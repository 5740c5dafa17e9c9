"""A text as words: what is shortened made whole, plural and singular one, what is named by a number by its id."""

import re

_TOKEN = re.compile(r"[a-z]+\d+(?:\.[a-z]+\d+)*|[a-z]+(?:[-_'][a-z0-9]+)*|\d+(?:\.\d+)?")
_NEGATED = re.compile(r"\b([a-z]+)n't\b")
_WHOLE = {"ca": "can", "wo": "will", "sha": "shall", "ai": "is"}
_SHORTENED = re.compile(r"(?:n't|'(?:s|re|ve|ll|d|m|t))$")
"""The end of what's, isn't, you've."""

ORDINALS = {"first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5}

_IDS = {"finding": "f", "region": "f", "defect": "f", "anomaly": "f", "claim": "c", "evidence": "e", "reference": "ref"}
_IDS |= {"asset": "a", "rule": "-"}
_NUMBERED = re.compile(rf"\b({'|'.join(_IDS)})\s+(?:number\s+|no\.?\s*)?(\d{{1,4}})\b(?!\.\d)")
_ORDINAL = re.compile(rf"\b({'|'.join(ORDINALS)})\s+({'|'.join(_IDS)})\b")


def words_of(text: str) -> list[str]:
    """Words of a text in lower case, ids and numbers among them."""
    plain = _NEGATED.sub(lambda match: _WHOLE.get(match[1], match[1]), text.replace("’", "'"))
    return [word for word in (_SHORTENED.sub("", word) for word in _TOKEN.findall(plain)) if word]


def stem_of(word: str) -> str:
    """Plural and singular are one word."""
    if word.endswith(("ches", "shes", "sses", "xes")):
        return word[:-2]
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


def numbered_in(text: str) -> list[tuple[str, str]]:
    """What is named by its number, as it is named and by the id that it would have."""
    found = [(match[0], f"{_IDS[match[1]]}{match[2]}") for match in _NUMBERED.finditer(text)]
    ordinals = [(match[0], f"{_IDS[match[2]]}{ORDINALS[match[1]]}") for match in _ORDINAL.finditer(text)]
    return [*found, *ordinals]
