"""Numbers in a sentence, and whether they are those of another text: value, rounding, sign, unit, and what is measured."""

import itertools
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

_UNIT_WORDS = {
    "px": "px pixel pixels",
    "mm": "mm millimetre millimetres millimeter millimeters",
    "cm": "cm centimetre centimetres centimeter centimeters",
    "m": "m metre metres meter meters",
    "um": "um µm μm micron microns micrometre micrometres micrometer micrometers",
    "inch": "inch inches",
    "s": "s sec secs second seconds",
    "ms": "ms millisecond milliseconds",
    "min": "min minute minutes",
    "h": "h hour hours",
    "deg": "deg degree degrees °",
    "gray": "gray grey",
    "byte": "byte bytes",
    "kb": "kb kilobyte kilobytes",
    "mb": "mb megabyte megabytes",
    "$": "$ dollar dollars usd",
    "cent": "cent cents",
    "point": "point points",
    "sample": "sample samples",
    "frame": "frame frames",
    "hz": "hz hertz",
    "v": "v volt volts",
    "amp": "amp amps ampere amperes",
    "kg": "kg kilogram kilograms",
    "g": "g gram grams",
}
_UNITS = {word: unit for unit, words in _UNIT_WORDS.items() for word in words.split()}
_UNITS |= {f"{word}{power}": f"{unit}{power}" for word, unit in list(_UNITS.items()) for power in "23"}
_PERCENT = frozenset({"percent", "pct", "%"})

_SMALL = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_WORDS: dict[str, float] = {word: value for value, word in enumerate(_SMALL.split())}
_WORDS |= {word: 10 * value for value, word in enumerate(_TENS.split(), start=2)}
_WORDS |= {"half": 0.5, "quarter": 0.25, "twice": 2, "double": 2, "triple": 3, "thrice": 3, "dozen": 12, "dozens": 12}
_SCALES = {"hundred": 100, "hundreds": 100, "thousand": 1000, "thousands": 1000, "million": 1e6, "millions": 1e6}
_NO_COUNT = frozenset({"this", "that", "the", "no", "any", "each", "every", "which", "another", "only"})
"""Before `one` they say which, and not how many."""

_LABEL_WORDS = {
    "length": "length long",
    "width": "width wide",
    "height": "height high tall",
    "depth": "depth deep",
    "area": "area",
    "volume": "volume",
    "duration": "duration",
    "share": "share",
    "p-value": "p-value pvalue",
    "score": "score",
    "threshold": "threshold",
    "alpha": "alpha",
    "peak": "peak peaks peaking",
    "elongation": "elongation",
    "contrast": "contrast",
    "brightness": "brightness",
    "orientation": "orientation",
    "similarity": "similarity",
    "kept": "kept passed",
    "violated": "violated broken",
    "supported": "supported",
    "refuted": "refuted",
    "unverified": "unverified",
}
_LABELS = {word: label for label, words in _LABEL_WORDS.items() for word in words.split()}
_LATER = frozenset({"long", "wide", "high", "tall", "deep"})
_STATUSES = frozenset({"kept", "passed", "violated", "broken", "supported", "refuted", "unverified"})
_MEASURED = frozenset({"length", "width", "height", "depth", "area", "volume", "duration"})
_FILL_WORDS = "a about approximately around as at be equal equals is just measured of only roughly the to was which"
_FILL = frozenset(_FILL_WORDS.split())
_LESS_WORDS = (
    "absolute below beneath dark darker deeper fewer less lower magnitude minus negative shallower smaller under"
)
_LESS = frozenset(_LESS_WORDS.split())
_NAMED = {"inspection": "i", "finding": "f", "reference": "ref"}
_POWERS = frozenset({"square", "cubic"})
_JOINTS = frozenset({"x", "×", "by", "to", "and", "or"})

_SPLIT = re.compile(r"[\s\[\](){},;!?\"“”„‘’<>=|*`~…]+|(?<!\d):|:(?!\d)|/")
_PLAIN = re.compile(
    r"(?P<sign>[-+]?)(?P<digits>\d+(?:\.\d+)?|\.\d+)(?P<exponent>e[-+]?\d+)?(?P<unit>[^\W\d_]*[23]?|%|°)"
)
_RANGE = re.compile(r"(\d+(?:\.\d+)?)-(\d+(?:\.\d+)?%?)")
_STAMP = re.compile(r"[\d.:+-]+")
_GROUPED = re.compile(r"(?<=\d),(?=\d{3}(?:,\d{3})*(?!\d))")
_MANY_DIGITS = 40
"""More stand in no measurement, and are not made a number of."""


class Number(NamedTuple):
    text: str
    value: float
    """Of percents as a share."""
    slack: float
    """Half a unit of the last digit."""
    whole: bool
    """Written without decimals, percent or exponent."""
    signed: bool
    percent: bool
    units: frozenset[str] = frozenset()
    label: str = ""
    """What it measures, as far as the words beside it say so."""


class Figures(NamedTuple):
    """A text, taken apart."""

    words: tuple[str, ...]
    """In lower case; `#` for what holds a digit, or is a number in words."""
    numbers: tuple[Number | str, ...]
    """For each `#` in turn: a number, or as it stands what is none: an id, a date. `finding 2` is the id `f2`."""


def figures(text: str, ids: Iterable[str] = ()) -> Figures:
    """Take a text apart; `ids` are citations, and no part of it."""
    known = {each.lower() for each in ids}
    words, numbers = _read([word for word in _split(text) if word not in known])
    general = frozenset(_UNITS[unit] for word, unit in itertools.pairwise(words) if word == "in" and unit in _UNITS)
    placed = [place for place, word in enumerate(words) if word == "#"]
    units = {place: number.units for place, number in zip(placed, numbers, strict=True) if isinstance(number, Number)}
    full = [_placed(number, words, place, units, general) for place, number in zip(placed, numbers, strict=True)]
    return Figures(tuple(words), tuple(full))


def _placed(
    number: Number | str,
    words: Sequence[str],
    place: int,
    units: Mapping[int, frozenset[str]],
    general: frozenset[str],
) -> Number | str:
    """A number with what the words around it say of it."""
    if isinstance(number, str):
        return number
    if place and words[place - 1] in _NAMED and number.whole:
        return f"{_NAMED[words[place - 1]]}{number.value:g}"
    found = number.units or (frozenset() if number.percent else _units_at(words, place, units) | general)
    return number._replace(units=found, label=_label(words, place))


def foreign(said: Figures, told: Sequence[Figures], pieces: frozenset[str]) -> str:
    """The first number or id in what is said that none of what was told holds; an empty string where all are held.

    Args:
        said: a sentence.
        told: the facts that it cites.
        pieces: ids that those facts bear themselves, such as `f1`, `a1.r1`, `p-2`, in lower case.
    """
    passages = [passage for each in told for passage in _passages(said.words, each)]
    if passages and said.numbers:
        return min((_first_other(said.numbers, passage) for passage in passages), key=len)
    listed = _foreign_list(said, told)
    if listed:
        return listed
    lower = any(word in _LESS for word in said.words)
    return next((_text(number) for number in said.numbers if not _held(number, told, pieces, lower)), "")


def _foreign_list(said: Figures, told: Sequence[Figures]) -> str:
    """Four numbers in a row, as of a box, in an order in which nothing gives them."""
    known = {_values(each.numbers[at : at + 4]) for each in told for at in _rows_of_four(each.words)}
    rows = (said.numbers[at : at + 4] for at in _rows_of_four(said.words))
    return next((str([_text(number) for number in row]) for row in rows if _values(row) not in known), "")


def _rows_of_four(words: Sequence[str]) -> list[int]:
    """Which numbers are followed by three more right away."""
    return [words[:place].count("#") for place in range(len(words) - 3) if list(words[place : place + 4]) == ["#"] * 4]


def _values(numbers: Sequence[Number | str]) -> tuple[float | str, ...]:
    return tuple(number if isinstance(number, str) else number.value for number in numbers)


def _first_other(said: Sequence[Number | str], told: Sequence[Number | str]) -> str:
    """In the same words the numbers stand in the same order."""
    return next((_text(first) for first, second in zip(said, told, strict=True) if not _same(first, second)), "")


def _held(number: Number | str, told: Sequence[Figures], pieces: frozenset[str], lower: bool) -> bool:
    known = [each for figures in told for each in figures.numbers]
    plain = [each for each in known if isinstance(each, Number)]
    if isinstance(number, str):
        return number in pieces or number in known or _stamped(number, known) or _ranged(number, plain, lower)
    labelled = [each for each in plain if number.label and each.label == number.label]
    if not labelled and number.label in _MEASURED and not _speaks_of(number.label, told):
        return False
    return any(_agrees(number, each, lower) for each in labelled or plain)


def _speaks_of(label: str, told: Sequence[Figures]) -> bool:
    return any(_LABELS.get(word) == label for figures in told for word in figures.words)


def _agrees(said: Number, told: Number, lower: bool) -> bool:
    """Who rounds is not wrong, as long as the digits that are said are those of what was told."""
    if not said.units <= told.units:
        return False
    if said.percent and not told.percent and (told.units or abs(told.value) > 1):
        return False
    if said.signed and (said.value < 0) != (told.value < 0):
        return False
    if not said.signed and told.value < 0 and not lower:
        return False
    difference = abs(abs(said.value) - abs(told.value))
    exact = said.whole and told.value == int(told.value)
    slack = 1e-9 if exact else min(said.slack * (1 + 1e-9), abs(told.value) / 3 + 1e-12)
    return difference <= slack


def _same(said: Number | str, told: Number | str) -> bool:
    if isinstance(said, str) or isinstance(told, str):
        return said == told
    return (said.value < 0) == (told.value < 0) and said.percent == told.percent and _agrees(said, told, True)


def _passages(words: tuple[str, ...], told: Figures) -> list[tuple[Number | str, ...]]:
    """The numbers of each passage that says the same but for its numbers."""
    if sum(word != "#" for word in words) < 2:
        return []
    count, found = len(words), []
    for start in range(len(told.words) - count + 1):
        if told.words[start : start + count] == words:
            before = told.words[:start].count("#")
            found.append(told.numbers[before : before + words.count("#")])
    return found


def _stamped(text: str, known: Sequence[Number | str]) -> bool:
    """A date or a time of day, out of a longer stamp."""
    if not _STAMP.fullmatch(text) or len(text) < 5:
        return False
    whole = re.compile(rf"(?<!\d){re.escape(text)}0*(?!\d)")
    return any(isinstance(each, str) and whole.search(each) for each in known)


def _ranged(text: str, known: Sequence[Number], lower: bool) -> bool:
    """Both ends of `3.4-5.2`."""
    match = _RANGE.fullmatch(text)
    ends = [_plain(end) for end in match.groups()] if match else [None]
    return all(end is not None and any(_agrees(end, each, lower) for each in known) for end in ends)


def is_of_measures(word: str) -> bool:
    """Whether a word is the name of something measured, a unit, or says how exact a number is."""
    return any(word in words for words in (_LABELS, _UNITS, _PERCENT, _FILL, _LESS, _POWERS))


def _text(number: Number | str) -> str:
    return number if isinstance(number, str) else number.text


def _split(text: str) -> list[str]:
    plain = unicodedata.normalize("NFKC", text).lower().replace("−", "-").replace("⁄", "/").replace("(s)", "s")
    plain = re.sub(r"\[[^\]]*\]", lambda match: match[0].replace(",", ", "), plain)
    plain = _GROUPED.sub("", re.sub(r"(?<=\d)\s*[–—]\s*(?=\d)", " to ", plain)).replace("$", " $ ")
    plain = re.sub(r"[–—]", " ", plain).replace("per cent", "percent").replace("square ", "square_")
    plain = re.sub(r"(?<=\d)\s+%", "%", plain)
    split = [word.strip(".'&^#") if not re.match(r"\.\d", word) else word.rstrip(".'") for word in _SPLIT.split(plain)]
    return [re.sub(r"^square_(\S+)$", r"\g<1>2", word) for word in split if word and word.strip(".-'&")]


def _read(raw: Sequence[str]) -> tuple[list[str], list[Number | str]]:
    words: list[str] = []
    numbers: list[Number | str] = []
    for place, word in enumerate(raw):
        if word not in _UNITS and any(character.isdigit() for character in word):
            words.append("#")
            before, _, after = word.partition("-")
            number = _plain(word) or (_plain(before) if after.isalpha() else None)
            numbers.append(number if number is not None else word)
            if number is not None and number.text != word:
                words.append(after)
            continue
        spelled = _spelled(word, raw[place - 1] if place else "")
        if spelled is None:
            words.append(word)
        elif word in _SCALES and words and words[-1] == "#" and isinstance(numbers[-1], Number):
            numbers[-1] = numbers[-1]._replace(value=numbers[-1].value * _SCALES[word])
        else:
            words.append("#")
            numbers.append(Number(word, spelled, 0.5, True, False, False))
    return _with_percents(words, numbers)


def _with_percents(words: list[str], numbers: list[Number | str]) -> tuple[list[str], list[Number | str]]:
    """Seven percent is 7 %."""
    kept: list[str] = []
    seen = 0
    for word in words:
        last = numbers[seen - 1] if seen else None
        if word in _PERCENT and kept and kept[-1] == "#" and isinstance(last, Number):
            value, slack = last.value / 100, last.slack / 100
            numbers[seen - 1] = last._replace(value=value, slack=slack, percent=True, whole=False)
            continue
        seen += word == "#"
        kept.append(word)
    return kept, numbers


def _spelled(word: str, before: str) -> float | None:
    """A number in words."""
    if word == "one" and before in _NO_COUNT:
        return None
    tens, hyphen, ones = word.partition("-")
    if hyphen and tens in _WORDS and ones in _WORDS:
        return _WORDS[tens] + _WORDS[ones]
    return _WORDS.get(word, _SCALES.get(word))


def _plain(word: str) -> Number | None:
    match = _PLAIN.fullmatch(word)
    if match is None or len(word) > _MANY_DIGITS:
        return None
    unit = match["unit"]
    if unit and unit != "%" and unit not in _UNITS:
        return None
    exponent = match["exponent"] or ""
    decimals = len(match["digits"].partition(".")[2])
    power = int(exponent[1:]) if exponent else 0
    if abs(power) > 300:
        return None
    share = 0.01 if unit == "%" else 1.0
    return Number(
        text=word,
        value=float(f"{match['sign']}{match['digits']}{exponent}") * share,
        slack=0.5 * 10.0 ** (power - decimals) * share,
        whole=not (decimals or exponent or unit == "%"),
        signed=bool(match["sign"]),
        percent=unit == "%",
        units=frozenset({_UNITS[unit]} if unit in _UNITS else ()),
    )


def _units_at(words: Sequence[str], place: int, units: Mapping[int, frozenset[str]]) -> frozenset[str]:
    """The unit after a number or after those that are listed with it, or right before it; edges of boxes are pixels."""
    before = words[place - 1] if place else ""
    found = {_UNITS[before]} if before in _UNITS else set()
    after = place + 1
    while words[after : after + 1] == ["#"] or (
        words[after : after + 1] and words[after] in _JOINTS and words[after + 1 : after + 2] == ["#"]
    ):
        if units.get(after):
            return frozenset(found | units[after])
        after += 1
    if after < len(words) and words[after] in _UNITS:
        found.add(_UNITS[words[after]])
    return frozenset(found | ({"px"} if _in_box(words, place) else set()))


def _in_box(words: Sequence[str], place: int) -> bool:
    """Among four numbers in a row."""
    return any(words[start : start + 4] == ["#"] * 4 for start in range(max(0, place - 3), place + 1))


def _label(words: Sequence[str], place: int) -> str:
    """What stands before a number, or how it is called after it: `length of 7 mm`, `7 mm long`, `3 rules kept`."""
    before = place - 1
    while before >= 0 and (words[before] in _FILL or words[before] in _UNITS):
        before -= 1
    if before >= 0 and words[before] in _LABELS and words[before] not in _STATUSES:
        return _LABELS[words[before]]
    near = [word for word in words[place + 1 : place + 3] if word not in _UNITS]
    if near and near[0] in _LATER:
        return _LABELS[near[0]]
    following = list(words[place + 1 : place + 5])
    upto = following[: following.index("#")] if "#" in following else following
    return next((_LABELS[word] for word in upto if word in _STATUSES), "")
