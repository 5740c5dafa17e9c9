"""The rules by which the embedded model follows a conversation: what is wanted, and which facts answer it.

It knows words, not language. A question with a word that neither it nor any fact knows is not answered: guessing what was
meant would be worse than saying so.
"""

import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

Briefing = Mapping[str, Any]
Said = Mapping[str, Any]

MOST = 7
"""Sentences of an answer."""

_TOKEN = re.compile(r"[a-z]+\d+(?:\.[a-z]+\d+)*|[a-z]+(?:[-_'][a-z0-9]+)*|\d+(?:\.\d+)?")
_NEGATED = re.compile(r"\b([a-z]+)n't\b")
_WHOLE = {"ca": "can", "wo": "will", "sha": "shall", "ai": "is"}
_SHORTENED = re.compile(r"(?:n't|'(?:s|re|ve|ll|d|m|t))$")
"""The end of what's, isn't, you've."""
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
_ABOUT = re.compile(
    r"\b(?:the\s+)?(?:(?:first|second|third|fourth|fifth|previous|earlier|last)\s+(?:inspection|part|piece|one)"
    r"|inspection\s+\d+)\b"
)
"""Which inspection is meant, which is no question of its own."""
_REFERENCE = re.compile(r"\breference\s+(?:number\s+)?(\d)\b")
_SIDE = re.compile(r"\b(top|upper|bottom|lower|left|right|centre|center|middle)\b")

_ORDINALS = {"first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5}

_CLOSER = {"closer", "close", "zoom", "enlarge", "enlarged", "magnify", "magnified", "detail", "crop", "look"}
_COMPARE = {"compare", "compared", "comparison", "beside", "versus", "vs"}
_INSPECT = {"inspect", "reinspect", "re-inspect", "recheck", "analyse", "analyze", "rerun", "redo"}
_AGAIN = {"again", "anew", "repeat"}
_HELP = {"help", "commands", "usage"}

_FILLER_WORDS = """
a about according actually all also although am an and any anything are as asked at be because been before between
but by call called can come could did difference do does doing done each else ever every exactly explain few find
for found from further gave get give given go good got had has have he hello here hey hi his how however i if in
into is it its itself just kind know known last latest least let like list many may me mean means might mind more
most much my name need new next no not now of off ok okay on once one only onto or other our out over please quite
rather really right said say saying says see seen shall she should show shown since so some somebody someone
something still such sure take tell thank thanks that the their them then there these they thing things think this
those though three to too two under until up upon us very want wanted was we well went were what whatever when where
whether which while who whole whom whose why will with within without would yes yet you your
"""
_FILLER = frozenset(_FILLER_WORDS.split()) | {
    "main",
    "biggest",
    "largest",
    "worst",
    "overall",
    "isn",
    "don",
    "doesn",
    "use",
    "used",
    "taken",
    "wasn",
}


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


def _violated(fact: Said) -> bool:
    return fact["topic"] == "rule" and " is violated" in fact["text"]


_FACETS: dict[str, Facet] = {
    "why": _facet(
        "why verdict reason reasons decision decide decided conclude conclusion normal anomalous review judge judged"
        " judgement judgment result results outcome pass passed fail failed defective reject rejected accept accepted fine"
        " bad ok okay good",
        _ends(".verdict"),
        lambda fact: fact["topic"] == "verdict" and not fact["id"].endswith(".score"),
        _violated,
        lambda fact: fact["topic"] == "finding" and "." not in fact["id"].partition(".")[2],
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
        lambda fact: fact["topic"] == "finding" and "." not in fact["id"].partition(".")[2],
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
        lambda fact: (
            fact["topic"] == "finding" and any(word in fact["text"] for word in ("start", "seconds", "frames"))
        ),
        lambda fact: fact["topic"] == "input" and any(word in fact["text"] for word in ("start", "seconds", "frames")),
    ),
    "colour": _facet(
        "colour color dark darker bright brighter tone",
        lambda fact: fact["topic"] == "claim" and any(word in fact["text"] for word in ("darker", "brighter")),
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

_KNOWN = (
    frozenset(word for facet in _FACETS.values() for word in facet.words)
    | _FILLER
    | _CLOSER
    | _COMPARE
    | _INSPECT
    | _AGAIN
    | _HELP
    | frozenset(_ORDINALS)
    | frozenset({"top", "upper", "bottom", "lower", "left", "right", "centre", "center", "middle", "percent"})
)

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

_OF_PART = re.compile(
    r"\bhow (?:big|large|long|wide|tall|high)\b.*\b(?:part|piece|image|picture|asset|view)s?\b"
    r"(?!.*\b(?:finding|region|defect|anomaly)\b)|\bsize of the (?:part|piece|image|picture|asset|view)\b"
)
"""A question for the part's own size, and not for that of a finding."""

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
_NEVER_KNOWN = frozenset(_MADE_WORDS) | {"make"}
_OF_THREAD = re.compile(r"\b(?:inspections?|claims?|decision|judgement|judgment|plan)\b")
"""What is made here; where parts are made nothing is known of."""

_IDS = {"finding": "f", "region": "f", "defect": "f", "anomaly": "f", "claim": "c", "evidence": "e", "reference": "ref"}
_IDS |= {"asset": "a", "rule": "-"}
_NUMBERED = re.compile(rf"\b({'|'.join(_IDS)})\s+(?:number\s+|no\.?\s*)?(\d{{1,4}})\b(?!\.\d)")
_ORDINAL = re.compile(rf"\b({'|'.join(_ORDINALS)})\s+({'|'.join(_IDS)})\b")
_IDS_SPLIT = re.compile(r"[\s?!,;:\"'()\[\]]+")

_STATUS = re.compile(r"\b(supported|refuted|unverified|kept|violated)\b")


def understand(briefing: Briefing) -> dict[str, Any]:
    """The turn that a text asks for, in the schema that every model fills."""
    text = str(briefing["text"]).lower()
    words = set(_words(text))
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
    if words & _HELP or not words - {"hello", "hi", "hey"}:
        return "help"
    wonders = _WONDERS.match(text) is not None
    if not _DENIED.search(text) and not wonders and _wants_inspection(words, text):
        return "help" if words & _NEXT_PART and not words & _AGAIN else "inspect"
    asks = _DENIED.search(text) or (wonders and not words & {"closer", "zoom"})
    return "ask" if asks or not briefing["inspections"] else _wanted_look(words, text)


def _wanted_look(words: set[str], text: str) -> str:
    if words & _COMPARE and (words & {"reference", "references", "normal"} or _REGION.search(text)):
        return "compare"
    closer = words & (_CLOSER - {"look", "close", "detail"}) or ("look" in words and words & {"closer", "at", "close"})
    return "look_closer" if closer else "ask"


def _wants_inspection(words: set[str], text: str) -> bool:
    if words & _AGAIN and words & (_INSPECT | {"alpha"}):
        return True
    return bool(words & _INSPECT) and not text.rstrip().endswith("?")


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
    strange = [] if sides else [word for word in _words(text) if word not in _KNOWN and not any(map(str.isdigit, word))]
    return " ".join([*sides, *strange, *([asset[0]] if asset else [])])[:120]


def _finding_named(text: str) -> int:
    """Number of the finding that is meant, or 0."""
    finding = _FINDING.search(text)
    if finding:
        return int(finding[1])
    return next(
        (number for word, number in _ORDINALS.items() if re.search(rf"\b{word} (finding|region|defect)", text)), 0
    )


def _inspection(text: str, briefing: Briefing) -> int | None:
    """The inspection that is meant, whether there is one or not; 0 for one before the first."""
    numbers = [inspection["number"] for inspection in briefing["inspections"]]
    named = _INSPECTION.search(text)
    if named:
        return int(named[1] or named[2])
    for word, number in _ORDINALS.items():
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
    return next((number for word, number in _ORDINALS.items() if f"{word} reference" in text), 1)


def _share(number: str) -> float | None:
    plain = number.replace("percent", "%").strip()
    value = float(plain.rstrip("% ")) / (100 if plain.endswith("%") else 1)
    return value if 0 < value < 1 else None


def answer(briefing: Briefing) -> dict[str, Any]:
    """Facts that answer a question, word for word; none where it asks for what no fact and no rule here knows."""
    text = str(briefing["text"]).lower()
    facts = _in_scope(briefing, text)
    fresh = [fact for fact in briefing["facts"] if fact["id"] in briefing["fresh"]]
    if briefing["action"] != "ask":
        return {"sentences": [_sentence(fact) for fact in fresh[:MOST]], "unknown": []}
    unknown = _unknown(text, facts)
    if unknown:
        return {"sentences": [], "unknown": unknown}
    asked = _of_the_part(_ABOUT.sub(" ", text), facts)
    if any(phrase.search(asked) for phrase in _BEYOND):
        return {"sentences": [], "unknown": []}
    chosen = _named(asked, facts) or _by_facet(asked, facts) or _by_words(asked, facts)
    if not chosen and asked != text:
        chosen = _by_facet("why", facts)
    return {"sentences": [_sentence(fact) for fact in chosen[:MOST]], "unknown": []}


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
    if set(_words(text)) & {"both", "inspections", "each"} or not briefing["inspection"]:
        return facts
    return [fact for fact in facts if fact["id"].startswith((f"i{briefing['inspection']}.", "thread."))]


def _unknown(text: str, facts: Sequence[Said]) -> list[str]:
    vocabulary = {stem for fact in facts for stem in map(_stem, _words(f"{fact['text']} {_own_id(fact)}".lower()))}
    about = {each.lower() for fact in facts for each in fact["about"]}
    known = (vocabulary | about | {_stem(word) for word in _KNOWN}) - _NEVER_KNOWN
    known |= {_stem(word) for word in _MADE_WORDS if _OF_THREAD.search(text)}
    found = [word for word in _words(text) if _stem(word) not in known and word not in about and not word[0].isdigit()]
    found += [word for word, stems in _MEASURES.items() if word in _words(text) and not vocabulary & stems]
    absent = [word for word, id_ in _numbered(text) if not _bears(facts, id_)]
    return list(dict.fromkeys([*found, *absent]))


def _own_id(fact: Said) -> str:
    """`c3` of `i1.c3`."""
    return f"{fact['id']} {fact['id'].partition('.')[2]}"


def _numbered(text: str) -> list[tuple[str, str]]:
    """What is named by its number, as it is named and by the id that it would have."""
    found = [(match[0], f"{_IDS[match[1]]}{match[2]}") for match in _NUMBERED.finditer(text)]
    ordinals = [(match[0], f"{_IDS[match[2]]}{_ORDINALS[match[1]]}") for match in _ORDINAL.finditer(text)]
    return [*found, *ordinals]


def _bears(facts: Sequence[Said], id_: str) -> bool:
    return any(_is_named(fact, {id_}) for fact in facts)


def _is_named(fact: Said, ids: set[str]) -> bool:
    """By its own id or that of something it is about; a rule by the end of its id, for experts choose how it begins."""
    own = {fact["id"].partition(".")[2].lower(), fact["id"].lower(), *(each.lower() for each in fact["about"])}
    ends = tuple(id_ for id_ in ids if id_.startswith("-"))
    return bool(own & ids) or (fact["topic"] == "rule" and any(each.endswith(ends) for each in own if ends))


def _named(text: str, facts: Sequence[Said]) -> list[Said]:
    """Facts about a rule, a region, a finding or a piece of evidence that is named by its id."""
    words = {word for word in (*_words(text), *_IDS_SPLIT.split(text)) if any(map(str.isdigit, word))}
    ids = {id_ for _, id_ in _numbered(text)}
    by_id = [fact for fact in facts if _is_named(fact, words | ids)]
    facets = _facets(text)
    narrowed = [fact for facet in facets for fact in by_id if any(fits(fact) for fits in facet.fits)]
    return list({fact["id"]: fact for fact in narrowed or by_id}.values())


def _facets(text: str) -> list[Facet]:
    if _OF_PART.search(text):
        return [_FACETS["input"]]
    plain = dict.fromkeys(name for phrase, names in _PHRASES if phrase.search(text) for name in names)
    if plain:
        return [_FACETS[name] for name in plain]
    words = set(_words(text))
    named = [name for name, facet in _FACETS.items() if words & facet.words]
    telling = [name for name in named if name not in _ASKED_AT_ALL]
    return [_FACETS[name] for name in telling or named]


def _by_facet(text: str, facts: Sequence[Said]) -> list[Said]:
    """Of each kind that is asked for, what says most, in turn."""
    found = [
        list({fact["id"]: fact for fits in facet.fits for fact in facts if fits(fact)}.values())
        for facet in _facets(text)
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
    asked = {_stem(word) for word in _words(text) if word not in _FILLER}
    return [fact for fact in facts if asked and asked <= {_stem(word) for word in _words(fact["text"].lower())}]


def _sentence(fact: Said) -> dict[str, Any]:
    return {"text": fact["text"], "evidence": [fact["id"]]}


def _words(text: str) -> list[str]:
    plain = _NEGATED.sub(lambda match: _WHOLE.get(match[1], match[1]), text.replace("’", "'"))
    return [word for word in (_SHORTENED.sub("", word) for word in _TOKEN.findall(plain)) if word]


def _stem(word: str) -> str:
    """Plural and singular are one word."""
    if word.endswith(("ches", "shes", "sses", "xes")):
        return word[:-2]
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word
