"""A sentence stands only where the facts that it cites hold it."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent import Inspector, Settings
from agent.chat.facts import Fact, facts_of, named
from agent.chat.figures import Number, figures
from agent.chat.grounding import cited, ground
from agent.chat.turn import Sentence
from evals.simulated import write_plate

VERDICT = Fact(id="i1.verdict", topic="verdict", text="The verdict on the part, as plate, is anomalous.")
NORMAL = Fact(id="i2.verdict", topic="verdict", text="The verdict on the part, as plate, is normal.")
REVIEW = Fact(id="i3.verdict", topic="verdict", text="The verdict on the part, as plate, is review.")
REASON = Fact(
    id="i1.d1",
    topic="verdict",
    text="A normal part looks this unusual with probability 0.0244, at or below the accepted false-alarm rate of 0.05.",
)
SCORE = Fact(
    id="i1.score",
    topic="verdict",
    text="Anomaly score 45.21, threshold 5.513, p-value 0.02439, accepted false-alarm rate (alpha) 0.05.",
)
FINDING = Fact(
    id="i1.f1",
    topic="finding",
    text="Finding 1 is Scratch in the top centre (critical, named scratch), region a1.r1 on view a1.v1, peak 45.21: "
    "box [48, 10, 111, 39]; pixels 902, centroid 77.687, 25.009 (in px).",
    about=("a1.r1", "f1"),
)
SIZE = Fact(
    id="i1.f1.size",
    topic="finding",
    text="Measured of finding 1, region a1.r1: area 902 px, area share 0.0734, length 71.29 px, width 16.58 px, contrast "
    "-0.1186 gray, area mm2 225.5 mm2, length mm 35.64 mm.",
    about=("a1.r1", "f1"),
)
WORDS = Fact(
    id="i1.f1.words",
    topic="finding",
    text="Of finding 1 the reasoner says: The region covers 7.34% of the view and is 4.3 times as long as wide.",
    about=("a1.r1", "f1"),
    quoted=True,
)
RULES = Fact(id="i1.rules", topic="rule", text="Of 3 rule(s) code found 1 kept, 1 violated; 1 were not checked.")
KEPT = Fact(id="i1.rule.P-1", topic="rule", text="Rule P-1, “It is bright.”, is kept, as code found.", about=("P-1",))
BROKEN = Fact(
    id="i1.rule.P-2", topic="rule", text="Rule P-2, “No scratch.”, is violated, as code found.", about=("P-2",)
)
UNCHECKED = Fact(
    id="i1.rule.P-3", topic="rule", text="Rule P-3, “The plate is clean.”, was not checked (no check).", about=("P-3",)
)
CLAIM = Fact(id="i1.c1", topic="claim", text="gpt claims: The part is fine. Code calls it refuted: it is anomalous.")
CLAIMS = Fact(id="i1.claims", topic="claim", text="Of 8 claim(s) code calls 7 supported, 1 refuted, 0 unverified.")
OPINION = Fact(
    id="i1.o1",
    topic="opinion",
    text="The reasoner gpt finds the part normal, against the localiser: it looks fine.",
    quoted=True,
)
BEGUN = Fact(
    id="i4.f1",
    topic="finding",
    text="Finding 1 is a spike: start 2026-03-01T10:00:03.250000+00:00, end 2026-03-01T10:00:05+00:00, samples 40.",
)
FACTS = named(
    [
        VERDICT, NORMAL, REVIEW, REASON, SCORE, FINDING, SIZE, WORDS, RULES, KEPT, BROKEN, UNCHECKED, CLAIM, CLAIMS,
        OPINION, BEGUN,
    ]
)  # fmt: skip


def stands(text: str, *ids: str) -> bool:
    grounded = ground([Sentence(text=text, evidence=ids)], FACTS)
    assert bool(grounded.sentences) != bool(grounded.dropped)
    return bool(grounded.sentences)


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("The part is anomalous because its anomaly score of 45.21 exceeds the threshold of 5.513.", "verdict score"),
        ("The scratch covers about 7 % of the view.", "f1.words"),
        ("The scratch covers about seven percent of the view.", "f1.words"),
        ("The scratch covers 7.3 percent of the view.", "f1.words"),
        ("It is roughly 71 px long and 17 px wide.", "f1.size"),
        ("The scratch is 71.29 px long (35.64 mm).", "f1.size"),
        ("It has an area of 902 pixels, or 225.5 mm².", "f1.size"),
        ("It has an area of 225.5 square millimetres.", "f1.size"),
        ("Its area share is 7.34 %.", "f1.size"),
        ("The box of finding 1 is [48, 10, 111, 39].", "f1"),
        ("The box reaches from x = 48 to 111 and from y = 10 to 39 pixels.", "f1"),
        ("Finding 1 (a1.r1) lies in the top centre.", "f1"),
        ("The p-value is 0.024, below the accepted false-alarm rate of 0.05.", "score"),
        ("The p-value is 2.4 %.", "score"),
        ("The chance that a normal part looks this unusual is 2.4 %.", "d1"),
        ("The scratch is 0.12 darker than its surroundings.", "f1.size"),
        ("Its contrast is -0.1186.", "f1.size"),
        ("Rule P-2 is violated.", "rule.P-2"),
        ("Rule P-1 passed, P-2 is violated and P-3 was not checked.", "rule.P-1 rule.P-2 rule.P-3"),
        ("Rule P-2 is not kept.", "rule.P-2"),
        ("Rule P-3 (the plate is clean) was not checked.", "rule.P-3"),
        ("Of the three rules one is kept and one violated.", "rules"),
        ("7 claims are supported and 1 is refuted.", "claims"),
        ("The part is not normal.", "verdict"),
        ("In inspection 1 the verdict is anomalous.", "verdict"),
        ("The reasoner finds the part normal, against the localiser.", "o1"),
        ("The claim that the part is fine is refuted.", "c1"),
    ],
)
def test_honest_sentences_stand(text: str, ids: str) -> None:
    assert stands(text, *(f"i1.{id_}" for id_ in ids.split()))


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("The scratch covers 9.1 % of the view.", "f1.words"),
        ("The scratch covers about 8 % of the view.", "f1.words"),
        ("The scratch covers 0.07 % of the view.", "f1.words"),
        ("The scratch covers 734 % of the view.", "f1.words"),
        ("The scratch covers half of the view.", "f1.words"),
        ("Seventeen percent of the view is scratched.", "f1.words"),
        ("Its area is 900 px.", "f1.size"),
        ("Its area is 9e5 px.", "f1.size"),
        ("Its area is 1,902 px.", "f1.size"),
        ("Its area is -902 px.", "f1.size"),
        ("Its area is 902mm2.", "f1.size"),
        ("The scratch is 71.29 mm long.", "f1.size"),
        ("The scratch is 71.29mm long.", "f1.size"),
        ("The scratch is 35.64 px long.", "f1.size"),
        ("The scratch is 71.29 px wide.", "f1.size"),
        ("The scratch is 16.58 px deep.", "f1.size"),
        ("The length is 16.58 px.", "f1.size"),
        ("The contrast is 0.1186.", "f1.size"),
        ("The contrast is +0.1186.", "f1.size"),
        ("The threshold is 45.21 and the score 5.513.", "score"),
        ("The p-value is 0.0.", "score"),
        ("The p-value is 0.", "score"),
        ("The p-value is .9.", "score"),
        ("The p-value is 1e-1.", "score"),
        ("The p-value is 0.05.", "score"),
        ("The p-value is 24 %.", "score"),
        ("The anomaly score is 45,21.", "score"),
        ("The anomaly score is 45.210001.", "score"),
        ("The anomaly score is ٤٦.", "score"),
        ("The anomaly score is ½.", "score"),
        ("There are two scratches.", "f1"),
        ("There are dozens of scratches.", "f1"),
        ("Finding 2 is a scratch in the top centre.", "f1"),
        ("Region a1.r7 is a scratch.", "f1"),
        ("Region A1.R7 is a scratch.", "f1"),
        ("Evidence e99 shows the scratch.", "f1"),
        ("The scratch is told of in i1.f9.", "f1"),
        ("The box of the scratch is [10, 48, 39, 111].", "f1"),
        ("The scratch was found on 2024-03-01.", "f1"),
        ("The scratch was found on 1 March 2024.", "f1"),
        ("3 rules are violated.", "rules"),
        ("All three rules are kept.", "rules"),
        ("8 claims were refuted.", "claims"),
        ("Rule P-2 is kept.", "rule.P-2"),
        ("Rule P-1 is violated.", "rule.P-1"),
        ("Rule P-3 is kept.", "rule.P-3"),
        ("Rules P-1 and P-2 are kept.", "rule.P-1 rule.P-2"),
        ("Rule P-9 is kept.", "rule.P-1"),
        ("Claim c1 is supported.", "c1"),
    ],
)
def test_numbers_and_ids_that_are_not_so_do_not_stand(text: str, ids: str) -> None:
    assert not stands(text, *(f"i1.{id_}" for id_ in ids.split()))


@pytest.mark.parametrize(
    "text",
    [
        "The part is fine.", "The part passed.", "PASS", "Looks fine to me.", "All good.", "You can ship the part.",
        "This is a normal part.", "A normal part.", "The verdict is normal.", "The verdict is not anomalous.",
        "It isn't anomalous.", "No defect was found on the part.", "There is nothing wrong with the part.",
        "The part is within specification.", "The part, as plate, is accepted.", "The verdict is review.",
        "The verdict on the part, as plate, is normal.", "The reasoner says that the part is fine.",
        "The part is perfectly sound.", "The part is free of defects.", "The plate is clean.", "Das Teil ist in Ordnung.",
        "La pièce est bonne.", "Yes.", "Everything is OK with this part.",
    ],
)  # fmt: skip
@pytest.mark.parametrize("id_", ["i1.verdict", "i1.d1", "i1.rule.P-3"])
def test_an_anomalous_part_is_called_nothing_better(text: str, id_: str) -> None:
    assert not stands(text, id_)


def test_a_verdict_is_that_of_the_inspection_that_is_named() -> None:
    both = ("i1.verdict", "i2.verdict")
    assert stands("Inspection 1 is anomalous, and inspection 2 is normal.", *both)
    assert not stands("Inspection 1 is normal, and inspection 2 is anomalous.", *both)
    assert stands("The part is normal.", "i2.verdict")
    assert not stands("The part is anomalous.", "i2.verdict")
    assert not stands("The part is defective.", "i2.verdict")
    assert stands("The part is not anomalous.", "i2.verdict")


@pytest.mark.parametrize("text", ["The part is fine.", "The part is anomalous.", "The part is not anomalous."])
def test_review_is_neither(text: str) -> None:
    assert not stands(text, "i3.verdict")
    assert stands("The verdict on the part is review.", "i3.verdict")


def test_somebodys_words_are_told_as_somebodys() -> None:
    assert stands("The reasoner finds the part normal, against the localiser.", "i1.o1")
    assert not stands("The part is normal, against the localiser.", "i1.o1")
    assert not stands("The part is fine.", "i1.c1")


def test_what_cites_nothing_or_what_does_not_exist_does_not_stand() -> None:
    assert not stands("The part is anomalous.")
    assert not stands("The part is anomalous.", "i9.verdict")
    assert not stands("The part is anomalous.", "i1.verdict", "i1.made_up")


@pytest.mark.parametrize(
    "text", ["The operator is Bob Smith.", "A diamond drill caused it.", "It was bought in Stuttgart.", ""]
)
def test_what_speaks_of_something_else_does_not_stand(text: str) -> None:
    assert not stands(text, "i1.verdict")


def test_times_of_day_and_dates_stand_where_a_stamp_holds_them() -> None:
    assert stands("The spike starts at 10:00:03.25 on 2026-03-01.", "i4.f1")
    assert not stands("The spike starts at 10:00:04.25.", "i4.f1")
    assert not stands("The spike starts on 2026-03-02.", "i4.f1")


def test_what_is_dropped_is_listed_with_the_reason_on_one_line() -> None:
    grounded = ground(
        [Sentence(text="It is\n99\x1b[2J px.", evidence=("i1.f1",)), Sentence(text="x", evidence=())], FACTS
    )
    assert grounded.sentences == ()
    assert grounded.dropped == ("It is 99 [2J px. (99 does not stand so in what it cites)", "x (it cites nothing)")


def test_citations_are_listed_once_in_order() -> None:
    sentences = [Sentence(text="a", evidence=("b", "a")), Sentence(text="b", evidence=("a", "c"))]
    assert cited(sentences) == ("b", "a", "c")


def test_a_sentence_taken_apart_by_hand() -> None:
    taken = figures("Finding 2 is 71.29 px long, about 7 %, at [1, 2, 3, 4] and so on, seventy-two hundred a1.r1.")
    assert taken.words[:4] == ("finding", "#", "is", "#")
    values = [
        number if isinstance(number, str) else (round(number.value, 4), sorted(number.units))
        for number in taken.numbers
    ]
    assert values[0] == "f2"
    assert values[1] == (71.29, ["px"])
    assert values[2] == (0.07, [])
    assert values[3:7] == [(1, ["px"]), (2, ["px"]), (3, ["px"]), (4, ["px"])]
    assert values[7] == (7200, [])
    assert values[8] == "a1.r1"
    first = taken.numbers[1]
    assert isinstance(first, Number)
    assert first.label == "length"


@pytest.fixture(scope="module")
def real(learned_home: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Fact]:
    part = write_plate(tmp_path_factory.mktemp("parts") / "part.png", 1001, "scratch")
    return named(facts_of(Inspector(Settings(home=learned_home)).inspect(part, "plate"), 1))


def test_a_facts_own_text_stands_and_none_of_its_digits_can_be_changed(real: dict[str, Fact]) -> None:
    for known, fact in [(facts, fact) for facts in (real, FACTS) for fact in facts.values()]:
        assert ground([Sentence(text=fact.text, evidence=(fact.id,))], known).dropped == ()
        for place, digit in enumerate(fact.text):
            if digit.isdigit():
                changed = f"{fact.text[:place]}{(int(digit) + 1) % 10}{fact.text[place + 1 :]}"
                assert not ground([Sentence(text=changed, evidence=(fact.id,))], known).sentences, changed


NUMBERS = st.floats(-1e6, 1e6, allow_nan=False).map(lambda value: f"{value:.4g}") | st.integers(0, 9999).map(str)
NAMES = st.sampled_from(["area", "length", "contrast", "peak", "elongation", "brightness"])


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(NAMES, NUMBERS), min_size=1, max_size=6), st.data())
def test_a_sentence_of_a_facts_own_words_stands_and_a_changed_digit_never(measured, data) -> None:
    text = "Measured of the region: " + ", ".join(f"{name} {value} px" for name, value in measured) + "."
    facts = {"i1.f1": Fact(id="i1.f1", topic="finding", text=text)}

    def held(said: str) -> Callable[..., bool]:
        return ground([Sentence(text=said, evidence=("i1.f1",))], facts).sentences

    assert held(text)
    assert held(f"{text}  ")
    places = [place for place, character in enumerate(text) if character.isdigit()]
    place = data.draw(st.sampled_from(places))
    other = data.draw(st.sampled_from([digit for digit in "0123456789" if digit != text[place]]))
    changed = text[:place] + other + text[place + 1 :]
    before = [number.value for number in figures(text).numbers if isinstance(number, Number)]
    after = [number.value for number in figures(changed).numbers if isinstance(number, Number)]
    if before != after:
        assert not held(changed)


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=80), st.lists(st.sampled_from([*FACTS, "i7.x"]), max_size=3))
def test_no_text_at_all_breaks_the_check(text: str, ids: list[str]) -> None:
    grounded = ground([Sentence(text=text, evidence=tuple(ids))], FACTS)
    assert len(grounded.sentences) + len(grounded.dropped) == 1


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="0123456789.,-+e%[]() xpm", max_size=60))
def test_no_row_of_digits_breaks_the_check(text: str) -> None:
    ground([Sentence(text=f"The area {text}", evidence=("i1.f1.size",))], FACTS)
