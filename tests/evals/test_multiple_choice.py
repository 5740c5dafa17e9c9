"""What a result answers: by its verdict, findings, rules and supported claims; and nothing where it holds nothing."""

from typing import Any

import pytest

from evals.cases import Question
from evals.multiple_choice import SIDES, choose, first_sentence, side_in, verdict_of
from evals.results import CaseResult, Claimed, Found
from knowledge import DefectType, NormalityRule, Product
from tools import side_of

BOTTLE = Product(
    name="bottle",
    description="A bottle seen from above. It is of glass.",
    rules=(NormalityRule(id="B-1", text="The rim is whole."), NormalityRule(id="B-2", text="Nothing lies inside.")),
    defect_types=(
        DefectType(name="broken_large", description="A large piece of the rim is missing.", severity="critical"),
        DefectType(name="contamination", description="Something lies in the bottle.", severity="minor"),
    ),
)
NUT = Product(
    name="metal_nut", description="A nut of metal.", rules=(NormalityRule(id="N-1", text="It has four wings."),)
)
BOTH = {"bottle": BOTTLE, "metal_nut": NUT}


def question(kind: Any, *options: str, text: str = "Which?") -> Question:
    return Question(id="q", kind=kind, text=text, options=options)


def found(**values: Any) -> Found:
    known = {"title": "Unlike the normal references", "defect_type": None, "severity": "major", "asset": "a1"}
    return Found(**{**known, "box": (0, 0, 10, 10), "native": {"unit": "px"}, "score": 5.0, **values})


def result(*findings: Found, **values: Any) -> CaseResult:
    return CaseResult(case="c", fingerprint="", findings=findings, **values)


def claim(text: str, status: str = "supported", kind: str = "place") -> Claimed:
    return Claimed(kind=kind, text=text, status=status, evidence=("e1",), source="code")


# -- detection -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "options", "anomalous"),
    [
        ("Is there any defect in the object?", ("Yes.", "No."), 0),
        ("Is there any defect in the object?", ("No.", "Yes."), 1),
        ("Is the object free of defects?", ("Yes.", "No."), 1),
        ("Is this part normal?", ("Yes.", "No."), 1),
        ("Is the object defective compared to the normal one?", ("Yes.", "No."), 0),
        ("Compared with the normal sample, is there any anomaly?", ("Yes.", "No."), 0),
        ("What is its state?", ("Normal.", "Defective."), 1),
        ("What is its state?", ("No visible defect", "Damaged"), 1),
        ("What is its state?", ("abnormal", "intact"), 0),
        ("Which holds?", ("Yes, there is a scratch.", "No, it is whole."), 0),
    ],
)
def test_detection_is_the_verdict_however_it_is_asked(text: str, options: tuple[str, ...], anomalous: int) -> None:
    asked = question("anomaly_detection", *options, text=text)
    assert choose(asked, result(verdict="anomalous")) == anomalous
    assert choose(asked, result(verdict="normal")) == 1 - anomalous
    assert choose(asked, result(verdict="review")) is None
    assert choose(asked, result()) is None


def test_an_option_may_stand_for_no_verdict() -> None:
    assert verdict_of(question("anomaly_detection", "Perhaps", "Blue"), 0) is None
    assert choose(question("anomaly_detection", "Yes.", "Yes!"), result(verdict="anomalous")) is None


# -- defects ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("Contamination.", "Broken large."), 1),
        (("large break", "BROKEN-LARGE"), 1),
        (("Broken, large and deep", "Hole"), 0),
        (("Broken.", "Hole."), 0),
        (("Broken.", "Large."), None),
        (("Hole.", "Scratch."), None),
        (("Broken large.", "Broken large."), None),
    ],
)
def test_classification_is_the_type_of_the_top_finding(options: tuple[str, ...], expected: int | None) -> None:
    top = found(defect_type="broken_large", score=9.0)
    asked = question("defect_classification", *options)
    assert choose(asked, result(found(defect_type="contamination"), top)) == expected


def test_a_title_names_a_type_that_the_product_does_not_know() -> None:
    asked = question("defect_classification", "Scratches", "Hole")
    assert choose(asked, result(found(title="A scratch on the rim"))) == 0
    assert choose(asked, result(found())) is None
    assert choose(asked, result()) is None


@pytest.mark.parametrize("side", SIDES)
def test_localization_by_the_place_of_the_top_finding(side: str) -> None:
    column, row = ("left", "centre", "right"), ("top", "middle", "bottom")
    words = side.split() if " " in side else ["middle", "centre"]
    x, y = 100 * column.index(words[1]) + 50, 50 * row.index(words[0]) + 25
    assert side_of(x / 300, y / 150) == side
    asked = question("defect_localization", *(f"{each.capitalize()}." for each in SIDES))
    boxed = found(box=(x - 5, y - 5, x + 5, y + 5))
    middle = found(box=(0, 0, 300, 150), native={"centroid": [float(x), float(y)]})
    scan = found(box=(x - 5, y - 5, x + 5, y + 5), native={"centroid": [1.0, 2.0, 3.0]})
    for top in (boxed, middle, scan):
        assert choose(asked, result(top), sizes={"a1": (300, 150)}) == SIDES.index(side)
        assert choose(asked, result(top)) is None


def test_a_place_that_code_supported_says_where_without_the_pictures_size() -> None:
    asked = question("defect_localization", "Top.", "Lower-right corner", "Center", "Left side")
    top = found()
    assert choose(asked, result(top, claims=(claim("Region r1 lies in the bottom right."),))) == 1
    assert choose(asked, result(top, claims=(claim("Region r1 lies in the bottom right.", "refuted"),))) is None
    assert choose(asked, result(top, claims=(claim("r1 lies top left."), claim("r2 lies top right.")))) is None
    assert choose(asked, result(claims=(claim("Region r1 lies in the centre."),))) is None


@pytest.mark.parametrize(
    ("text", "side"),
    [
        ("Upper left.", "top left"),
        ("in the middle-right of it", "middle right"),
        ("Top", "top centre"),
        ("Left.", "middle left"),
        ("center", "centre"),
        ("from the top left to the bottom", None),
        ("Everywhere", None),
    ],
)
def test_sides_in_words(text: str, side: str | None) -> None:
    assert side_in(text) == side


def test_description_of_the_type_or_by_the_words_that_are_shared() -> None:
    asked = question("defect_description", *(each.description for each in BOTTLE.defect_types))
    assert choose(asked, result(found(defect_type="contamination")), {"bottle": BOTTLE}) == 1
    assert choose(asked, result(found(defect_type="contamination"))) is None
    free = question("defect_description", "A dark scratch crosses the surface.", "The rim has lost a piece of glass.")
    titled = found(title="Dark scratches")
    assert choose(free, result(titled)) == 0
    told = (claim("A piece of the rim is gone.", kind="presence"), claim("A dark scratch.", "refuted"))
    assert choose(free, result(found(title="Odd"), claims=told)) == 1
    assert choose(free, result(found(title="Odd"))) is None
    assert choose(free, result()) is None


def test_analysis_is_the_violated_rule_or_the_severity() -> None:
    rules = question("defect_analysis", "Nothing lies inside.", "The rim is whole.")
    violated = {"B-1": "violated", "B-2": "passed"}
    assert choose(rules, result(rules=violated), BOTH) == 1
    assert choose(rules, result(rules=dict.fromkeys(violated, "violated")), BOTH) is None
    assert choose(rules, result(rules=violated)) is None
    severe = question("defect_analysis", "Minor.", "Critical.", "Major.")
    assert choose(severe, result(found(severity="critical"))) == 1
    assert choose(severe, result()) is None


# -- products --------------------------------------------------------------------------------------------------------


def test_the_product_is_the_one_given_or_the_one_whose_rules_were_checked() -> None:
    asked = question("object_classification", "Metal nut.", "Bottle.")
    checked = {"B-1": "passed", "B-2": "not_checked"}
    assert choose(asked, result(), {"bottle": BOTTLE}) == 1
    assert choose(asked, result(rules=checked), BOTH) == 1
    assert choose(asked, result(), BOTH) is None
    assert choose(asked, result(rules=checked)) is None
    twins = {"bottle": BOTTLE, "flask": BOTTLE.model_copy(update={"name": "flask"})}
    assert choose(asked, result(rules=checked), twins) is None


def test_what_experts_say_of_the_product() -> None:
    asked = question("object_analysis", "It has four wings.", "The rim is whole.")
    assert choose(asked, result(), {"bottle": BOTTLE}) == 1
    assert choose(asked, result(), {"nut": NUT}) == 0
    assert choose(asked, result()) is None
    described = question("object_analysis", "A nut of metal.", "A bottle seen from above.")
    assert choose(described, result(), {"bottle": BOTTLE}) == 1
    assert first_sentence("One.\n Two.") == "One."


# -- neither luck nor position ---------------------------------------------------------------------------------------


def test_a_conversation_and_a_question_without_options_have_no_option() -> None:
    assert choose(Question(id="q", text="Why?"), result(found(), verdict="anomalous")) is None
    assert choose(question("anomaly_detection"), result(verdict="anomalous")) is None
    assert choose(question("chat", "Yes.", "No."), result(verdict="anomalous")) is None


@pytest.mark.parametrize(
    "kind",
    [
        *("anomaly_detection", "defect_classification", "defect_localization", "defect_description"),
        *("defect_analysis", "object_classification", "object_analysis"),
    ],
)
def test_a_result_that_holds_nothing_answers_nothing(kind: str) -> None:
    for options in (("Yes.", "No."), ("Top left.", "Centre."), ("Critical.", "Minor."), ("Bottle.", "Nut.")):
        assert choose(question(kind, *options), result(error="it failed"), BOTH) is None


def test_the_order_of_options_changes_no_answer() -> None:
    inspected = result(
        found(defect_type="contamination"), verdict="anomalous", rules={"B-1": "passed", "B-2": "violated"}
    )
    for kind, options in (
        ("anomaly_detection", ("Yes.", "No.")),
        ("defect_classification", ("Crack.", "Contamination.", "Hole.")),
        ("defect_analysis", ("The rim is whole.", "Nothing lies inside.")),
        ("object_classification", ("Bottle.", "Metal nut.")),
    ):
        one = choose(question(kind, *options), inspected, BOTH)
        other = choose(question(kind, *options[::-1]), inspected, BOTH)
        assert one is not None
        assert other is not None
        assert options[one] == options[::-1][other]
