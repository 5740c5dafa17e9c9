"""Figures of a whole run, worked by hand."""

import pytest

from evals.cases import Case, Expected, Variant
from evals.results import CaseResult
from evals.whole_suite import WORDS, whole_suite


def case(id_: str, verdict) -> Case:
    return Case(id=id_, product="p", assets=("a.png",), expected=Expected(verdict=verdict))


def result(id_: str, verdict, p_value: float | None, error: str = "") -> CaseResult:
    return CaseResult(case=id_, fingerprint="f", verdict=verdict, p_value=p_value, alpha=0.05, error=error)


CASES = [case("n1", "normal"), case("n2", "normal"), case("a1", "anomalous"), case("a2", "anomalous"), case("x", None)]
RESULTS = {
    "n1": result("n1", "normal", 0.8),
    "n2": result("n2", "anomalous", 0.04),
    "a1": result("a1", "anomalous", 0.01),
    "a2": result("a2", "review", 0.2),
    "x": result("x", "normal", 0.9),
}


def test_by_hand() -> None:
    found = whole_suite(CASES, RESULTS)
    assert set(found) == set(WORDS)
    assert found["balanced_accuracy"] == 0.5  # one of two, one of two
    assert found["auroc"] == 0.75  # of four pairs only n2 against a2 stands the wrong way round
    assert found["brier"] == pytest.approx((0.2**2 + 0.96**2 + 0.01**2 + 0.2**2) / 4)
    # decided, the surest first: n1 (ln 16, right), a1 (ln 5, right), n2 (ln 1.25, wrong): risks 0, 0, 1/3
    assert found["risk_coverage"] == pytest.approx(1 / 9)


def test_a_wrong_verdict_lowers_what_is_of_verdicts_and_leaves_what_is_of_p_values() -> None:
    planted = {**RESULTS, "n1": result("n1", "anomalous", 0.8)}
    before, after = whole_suite(CASES, RESULTS), whole_suite(CASES, planted)
    assert after["balanced_accuracy"] < before["balanced_accuracy"]
    assert after["risk_coverage"] > before["risk_coverage"]
    assert [after[name] for name in ("auroc", "brier", "calibration_error")] == [
        before[name] for name in ("auroc", "brier", "calibration_error")
    ]


def test_a_case_that_failed_is_a_wrong_verdict() -> None:
    failed = {**RESULTS, "a1": result("a1", None, None, "it broke")}
    assert whole_suite(CASES, failed)["balanced_accuracy"] == 0.25


def test_verdicts_that_stayed_are_told_by_kind_of_change_and_count_as_no_parts() -> None:
    def variant(id_: str, of: str, kind: Variant) -> Case:
        return Case(id=id_, product="p", assets=("a.png",), group=of, variant=kind)

    parts = [case_.model_copy(update={"group": case_.id}) for case_ in CASES]
    varied = [variant(f"{id_}/jpeg", id_, "jpeg") for id_ in ("n1", "n2", "a1", "a2")] + [variant("v", "n1", "seed")]
    varied.append(variant("f", "x", "shifted"))
    results = {
        **RESULTS,
        "n1/jpeg": result("n1/jpeg", "normal", 0.7),
        "n2/jpeg": result("n2/jpeg", "normal", 0.7),
        "a1/jpeg": result("a1/jpeg", None, None, "it broke"),
        "a2/jpeg": result("a2/jpeg", "review", 0.3),
        "v": result("v", "normal", 0.9),
        "x": result("x", None, None, "it broke"),
        "f": result("f", None, None, "it broke"),
    }
    found = whole_suite([*parts, *varied], results)
    # n1 and a2 stayed, n2 changed, a1 failed.
    assert (found["agreement_jpeg"], found["agreement_seed"], found["agreement_mirrored"]) == (0.5, 1.0, None)
    # What broke twice did not stay as it was.
    assert found["agreement_shifted"] == 0.0
    before = whole_suite(CASES, RESULTS)
    assert all(found[name] == value for name, value in before.items() if value is not None)


def test_nothing_known_gives_nothing() -> None:
    assert set(whole_suite(CASES[-1:], RESULTS).values()) == {None}
