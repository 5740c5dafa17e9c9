"""Evidence -> verdict, as a table."""

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agent.policy import Decision, decide
from tools import (
    Assessed,
    Assessment,
    Evidence,
    EvidenceLog,
    Failed,
    FindingDraft,
    Judged,
    Localized,
    RenderedView,
    RuleAnswer,
    RulesChecked,
    ViewsShown,
)
from tools.evidence import RuleChecked


def views(asset: str = "a1", *unsuitable: str) -> ViewsShown:
    view = RenderedView(
        id=f"{asset}.v1", asset_id=asset, kind="image", width=9, height=9, image="i", source_width=9, source_height=9
    )
    return ViewsShown(views=(view,), part=(), unsuitable=unsuitable)


def localized(p_value: float, asset: str = "a1", threshold: float | None = 3.0) -> Localized:
    return Localized(
        view=f"{asset}.v1",
        score=5.0,
        p_value=p_value,
        alpha=0.05,
        threshold=threshold,
        promise="too few parts",
        map="m",
        heat="h",
        regions=(),
        region_count=0,
    )


def rules(*results: str) -> RulesChecked:
    checked: list[Any] = [
        {"id": f"P-{number}", "text": f"Rule {number}.", "result": result, "reason": "r"}
        for number, result in enumerate(results, start=1)
    ]
    return RulesChecked(results=tuple(RuleChecked(**values) for values in checked))


def assessed(opinion: Any, *answers: str, **more: Any) -> Assessed:
    said: list[Any] = [
        {"rule": f"P-{number}", "answer": answer, "reason": "seen"} for number, answer in enumerate(answers, start=1)
    ]
    assessment = Assessment(
        opinion=opinion, explanation="So I think.", rule_answers=tuple(RuleAnswer(**values) for values in said), **more
    )
    return Assessed(judged=(Judged(role="reasoner", model="m", assessment=assessment),), prompt_version="1")


def log_of(*shown: Any) -> EvidenceLog:
    return EvidenceLog(
        Evidence(id=f"e{number}", tool="t", summary="s", shown=content) for number, content in enumerate(shown, start=1)
    )


def verdict(*shown: Any, stopped: str = "", rules: tuple[str, ...] = ()) -> Decision:
    return decide(log_of(*shown), 0.05, stopped, rules)


DARKER = {"unlike": ("The picture is darker than every reference.",)}
LOOKS_NORMAL, LOOKS_ODD = localized(0.4), localized(0.02)
KEPT, BROKEN, UNKNOWN = rules("passed"), rules("violated"), rules("not_checked")
SAYS_NORMAL, SAYS_ODD, SAYS_UNSURE = assessed("normal"), assessed("anomalous"), assessed("unsure")


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        # everything speaks for the part
        ((views(), LOOKS_NORMAL, KEPT, SAYS_NORMAL), "normal"),
        ((views(), LOOKS_NORMAL, UNKNOWN, SAYS_NORMAL), "normal"),
        ((views(), localized(0.0501), KEPT, SAYS_NORMAL), "normal"),
        # the instrument speaks against it, whatever the reasoner says
        ((views(), LOOKS_ODD, KEPT, SAYS_NORMAL), "anomalous"),
        ((views(), LOOKS_ODD, KEPT, SAYS_UNSURE), "anomalous"),
        ((views(), LOOKS_ODD, KEPT, SAYS_ODD), "anomalous"),
        ((views(), localized(0.05), KEPT, SAYS_NORMAL), "anomalous"),
        # a violated rule speaks against it, whatever else
        ((views(), LOOKS_NORMAL, BROKEN, SAYS_NORMAL), "anomalous"),
        ((views(), LOOKS_ODD, BROKEN, SAYS_NORMAL), "anomalous"),
        ((views(), LOOKS_NORMAL, rules("passed", "not_checked", "violated"), SAYS_NORMAL), "anomalous"),
        # a reasoner's doubt
        ((views(), LOOKS_NORMAL, KEPT, SAYS_ODD), "review"),
        ((views(), LOOKS_NORMAL, KEPT, SAYS_UNSURE), "review"),
        ((views(), LOOKS_NORMAL, UNKNOWN, assessed("normal", "no")), "review"),
        ((views(), LOOKS_NORMAL, UNKNOWN, assessed("normal", "yes", "cannot_tell")), "normal"),
        ((views(), LOOKS_NORMAL, KEPT, SAYS_NORMAL, SAYS_ODD), "review"),
        ((views(), LOOKS_NORMAL, KEPT, SAYS_UNSURE, SAYS_NORMAL), "review"),
        # what could not be done, read or trusted
        ((), "review"),
        ((views(), KEPT, SAYS_NORMAL), "review"),
        ((views(), LOOKS_NORMAL, KEPT), "review"),
        ((views(), LOOKS_ODD, KEPT), "review"),
        ((views("a1", "It is black."), LOOKS_NORMAL, KEPT, SAYS_NORMAL), "review"),
        ((views("a1", "It is black."), LOOKS_ODD, BROKEN, SAYS_ODD), "review"),
        ((views(), LOOKS_NORMAL.model_copy(update=DARKER), KEPT, SAYS_NORMAL), "review"),
        ((views(), LOOKS_ODD.model_copy(update=DARKER), KEPT, SAYS_ODD), "review"),
        ((views(), LOOKS_NORMAL, KEPT, SAYS_NORMAL, Failed(reason="no answer")), "review"),
        ((views(), LOOKS_ODD, KEPT, SAYS_ODD, Failed(reason="no answer")), "review"),
        ((views(), localized(0.4, threshold=None), KEPT, SAYS_NORMAL), "review"),
        ((views(), localized(0.02, threshold=None), KEPT, SAYS_NORMAL), "review"),
    ],
)
def test_the_table(shown, expected) -> None:
    decision = verdict(*shown)
    assert decision.verdict == expected
    assert decision.reasons


@pytest.mark.parametrize("looks", [LOOKS_NORMAL, LOOKS_ODD])
def test_a_stopped_inspection_is_for_a_person(looks) -> None:
    decision = verdict(views(), looks, KEPT, SAYS_NORMAL, stopped="the budget of 2 steps is spent")
    assert decision.verdict == "review"
    assert decision.reasons[0] == "The inspection did not finish: the budget of 2 steps is spent."


SHOWN = st.sampled_from(
    [
        views(),
        views("a1", "It is black."),
        *(LOOKS_NORMAL, LOOKS_ODD, localized(0.4, threshold=None), localized(0.02, threshold=None)),
        *(KEPT, BROKEN, UNKNOWN, Failed(reason="it broke")),
    ]
)
SAID = st.lists(
    st.builds(
        assessed, st.sampled_from(["normal", "anomalous", "unsure"]), st.sampled_from(["yes", "no", "cannot_tell"])
    ),
    max_size=3,
)


@settings(max_examples=120, deadline=None)
@given(st.lists(SHOWN, max_size=6), SAID, st.sampled_from(["", "the budget is spent"]))
@example([views(), LOOKS_NORMAL], [assessed("normal", "yes")], "").via("a normal part, which chance rarely makes")
def test_no_reasoner_ever_makes_a_bad_part_normal(shown, said, stopped) -> None:
    decision = verdict(*shown, *said, stopped=stopped)
    if decision.verdict == "normal":
        first = next(content for content in shown if isinstance(content, Localized))
        assert first.threshold is not None
        assert first.p_value > 0.05
        assert BROKEN not in shown
        assert not any(isinstance(content, Failed) for content in shown)
        assert not any(content.unsuitable for content in shown if isinstance(content, ViewsShown))
        assert said
        assert all(judged.assessment.opinion == "normal" for content in said for judged in content.judged)
        assert not stopped
    if decision.verdict == "anomalous":
        assert BROKEN in shown or any(isinstance(content, Localized) and content.p_value <= 0.05 for content in shown)


def test_a_review_says_both_the_doubt_and_what_speaks_against_the_part() -> None:
    reasons = verdict(views(), LOOKS_ODD, BROKEN, Failed(reason="no answer")).reasons
    assert any("no answer" in reason for reason in reasons)
    assert any("0.02" in reason for reason in reasons)
    assert any("P-1" in reason for reason in reasons)
    assert any("No reasoner" in reason for reason in reasons)


def test_the_same_doubt_is_said_once() -> None:
    reasons = verdict(views(), LOOKS_NORMAL, SAYS_UNSURE, SAYS_UNSURE).reasons
    assert len(reasons) == 1
    assert "unsure: So I think." in reasons[0]


def test_numbers_of_the_localiser_stand_in_the_decision() -> None:
    decision = verdict(views(), LOOKS_ODD, KEPT, SAYS_NORMAL)
    assert (decision.score, decision.p_value, decision.alpha, decision.threshold) == (5.0, 0.02, 0.05, 3.0)
    nothing = verdict(views())
    assert (nothing.score, nothing.p_value, nothing.alpha, nothing.threshold) == (None, None, 0.05, None)


def test_a_no_to_a_rule_that_code_measured_as_kept_carries_nothing() -> None:
    assert verdict(views(), LOOKS_NORMAL, KEPT, assessed("normal", "no")).verdict == "normal"


def test_a_no_to_a_rule_that_nothing_measured_is_a_doubt() -> None:
    assert verdict(views(), LOOKS_NORMAL, UNKNOWN, assessed("normal", "no")).verdict == "review"


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        ((localized(0.02, "a2"),), "anomalous"),
        ((localized(0.4, "a2", threshold=None),), "review"),
        ((), "review"),
    ],
    ids=["second is odd", "second promises nothing", "second was not localised"],
)
def test_every_view_of_the_part_counts(second, expected) -> None:
    decision = verdict(views("a1"), views("a2"), localized(0.4, "a1"), *second, KEPT, SAYS_NORMAL)
    assert decision.verdict == expected


def test_known_rules_that_were_never_checked_are_a_reason_for_review() -> None:
    assert verdict(views(), LOOKS_NORMAL, SAYS_NORMAL, rules=("P-1",)).verdict == "review"


def test_a_reasoner_that_says_normal_and_names_a_defect_contradicts_itself() -> None:
    finding = FindingDraft(region="a1.r1", title="Crack", severity="critical", explanation="A crack.")
    assert verdict(views(), LOOKS_NORMAL, KEPT, assessed("normal", findings=(finding,))).verdict == "review"


# --- several assets of one part

BOTH = {"a1": "image", "a2": "point_cloud"}


def together(*shown: Any) -> Decision:
    return decide(log_of(views("a1"), views("a2"), *shown, SAYS_NORMAL, SAYS_NORMAL), 0.1, "", (), BOTH)


def test_assets_of_one_part_share_the_false_alarm_rate() -> None:
    decision = together(localized(0.4, "a1"), localized(0.2, "a2"))
    assert decision.verdict == "normal"
    assert decision.p_value == pytest.approx(0.4), "the lowest of two, times two"
    assert [reason.partition(":")[0] for reason in decision.reasons] == ["Image a1", "Point cloud a2"]


def test_one_odd_asset_is_enough_and_the_one_that_contradicts_is_named() -> None:
    decision = together(localized(0.9, "a1"), localized(0.02, "a2"))
    assert decision.verdict == "anomalous"
    assert decision.reasons[0].startswith("Point cloud a2: A normal part looks this unusual with probability 0.02")
    assert decision.reasons[1] == "Image a1: nothing unusual (p = 0.9), which does not clear what the others show."


def test_an_asset_that_was_not_localised_or_not_judged_is_never_passed() -> None:
    assert together(localized(0.9, "a1")).verdict == "review"
    evidence = log_of(views("a1"), views("a2"), localized(0.9, "a1"), localized(0.9, "a2"), SAYS_NORMAL)
    decision = decide(evidence, 0.1, "", (), BOTH)
    assert decision.verdict == "review"
    assert "No reasoner judged all of the part." in decision.reasons


def test_what_is_odd_about_one_asset_otherwise_names_it() -> None:
    scan = localized(0.9, "a2").model_copy(update={"unlike": ("The scan is 1000 times larger than the references.",)})
    assert (
        "Point cloud a2: The scan is 1000 times larger than the references."
        in together(localized(0.9, "a1"), scan).reasons
    )
