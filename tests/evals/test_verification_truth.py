"""Verification measured on planted truth, in small; and that the measurement can fail."""

from typing import Any

import numpy as np
import pytest

from agent.verification import ClaimVerifier, Verified
from evals.claims import CLEAN, Said, false_claims, true_claims
from evals.planted import plant
from evals.truth import Facts, RegionFacts
from evals.verification import GOAL, Checked, examine, measure, scored, table_of
from tools import ALL_MODALITIES, ClaimDraft

RATES = ("supported_precision", "supported_recall", "refuted_precision", "refuted_recall")


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[Checked]:
    return examine("time_series", tmp_path_factory.mktemp("truth"), parts=2)


def test_true_claims_are_supported_and_false_ones_refuted(found) -> None:
    result = scored(found)
    assert {rate: result["all"][rate] >= GOAL for rate in RATES} == dict.fromkeys(RATES, True), result["wrong"]
    assert result["all"]["true"]["n"] > 30
    assert result["all"]["false"]["n"] > 60
    kinds = {line["kind"] for line in result["lines"]}
    assert kinds == {"presence", "count", "place", "size", "comparison", "number", "time", "rule", CLEAN}


def test_every_line_of_the_table_is_a_kind_and_a_modality(found) -> None:
    result = scored(found)
    table = table_of(result)
    assert table.row_count == len(result["lines"]) + 1
    assert sum(line["true"]["n"] + line["false"]["n"] for line in result["lines"]) == len(found)


def test_a_verifier_that_supports_everything_scores_badly(tmp_path, monkeypatch) -> None:
    def verify(self: ClaimVerifier, draft: ClaimDraft, id_: str, source: str) -> Verified:
        said = draft.model_dump(include={"text", "kind", "subject", "evidence"})
        return Verified(id=id_, status="supported", source=source, checked="not looked at", **said)

    monkeypatch.setattr(ClaimVerifier, "verify", verify)
    rates = scored(examine("time_series", tmp_path, parts=1))["all"]
    assert rates["supported_recall"] == 1.0
    assert rates["supported_precision"] < 0.7
    assert rates["refuted_recall"] == 0.0


@pytest.mark.parametrize(
    ("status", "bad"),
    [("refuted", ("refuted_precision", "supported_recall")), ("unverified", ("supported_recall", "refuted_recall"))],
)
def test_other_verifiers_that_always_say_the_same_score_badly(found, status, bad) -> None:
    rates = scored(each._replace(status=status) for each in found)["all"]
    assert all(rates[rate] < 0.8 for rate in bad)


def region(id_: str, **known: Any) -> RegionFacts:
    values: dict[str, Any] = {
        "x": 0.1,
        "y": 0.1,
        "share": 0.02,
        "size": 100.0,
        "peak": 9.0,
        "numbers": {"area": 100.0, "width": 8.0},
        "times": {"start": 1.0},
        "instant": 0.05,
        "level": 0.1,
        "darker": True,
        "planted": True,
        "compared": True,
    }
    return RegionFacts(id=id_, **{**values, **known})


FACTS = Facts(
    view="a1.v1",
    regions=(region("a1.r1"), region("a1.r2", x=0.5, y=0.9, size=50.0, peak=5.0, level=0.9, darker=False)),
    so_many=2,
    one_each=True,
    rules={"R-1": True, "R-2": False},
    present=((0.0, 0.0, 0.2, 0.2),),
    absent=((0.8, 0.0, 0.9, 0.1),),
)


def said(claims: Any, kind: str) -> list[dict[str, Any]]:
    return [claim.draft for claim in claims if claim.kind == kind and "evidence" not in claim.draft]


def test_claims_follow_from_what_is_known_and_their_falsehoods_are_false() -> None:
    random = np.random.default_rng(0)
    true, false = list(true_claims(FACTS, random)), list(false_claims(FACTS, random))
    assert all(claim.true for claim in true)
    assert not any(claim.true for claim in false)
    assert {draft["word"] for draft in said(true, "colour") if draft["subject"] == "a1.r1"} == {"darker"}
    assert {draft["word"] for draft in said(false, "colour") if draft["subject"] == "a1.r1"} == {"brighter"}
    orders = {(draft["subject"], draft["other"], draft["word"]) for draft in said(true, "comparison")}
    assert orders == {
        *(("a1.r1", "a1.r2", word) for word in ("larger", "stronger", "darker")),
        *(("a1.r2", "a1.r1", word) for word in ("smaller", "weaker", "brighter")),
        *(("a1.r1", "reference", "darker"), ("a1.r2", "reference", "brighter")),
    }
    assert not orders & {(draft["subject"], draft["other"], draft["word"]) for draft in said(false, "comparison")}
    assert 2 not in {draft["number"] for draft in said(false, "count")}
    assert all(abs(draft["number"] - 1.0) >= 0.05 for draft in said(false, "time"))
    assert all(abs(draft["number"] - 0.02) >= 0.005 for draft in said(false, "size"))
    assert {draft["word"] for draft in said(true, "rule")} == {"kept", "violated"}
    strangers = [claim for claim in false if "evidence" in claim.draft]
    assert all(claim.why == "cites what does not exist" for claim in strangers)


def test_counts_and_rates_by_hand() -> None:
    def checked(kind: str, true: bool, status: Any) -> Checked:
        return Checked("image", Said(kind, true, {}, ""), status, "")

    result = scored(
        [
            *(checked("size", True, status) for status in ("supported", "supported", "unverified", "refuted")),
            *(checked("size", False, status) for status in ("refuted", "refuted", "supported")),
            checked(CLEAN, False, "unverified"),
        ]
    )
    assert {rate: result["all"][rate] for rate in RATES} == {
        "supported_precision": 0.6667,
        "supported_recall": 0.5,
        "refuted_precision": 0.6667,
        "refuted_recall": 0.6667,
    }
    assert result["all"]["refuted_recall_of_all"] == 0.5
    assert len(result["wrong"]) == 3


@pytest.mark.parametrize("modality", [name for name in ALL_MODALITIES if name != "video"])
def test_a_planted_part_is_the_same_every_time_and_has_defects(tmp_path, modality) -> None:
    parts = [plant(modality, tmp_path / name).make(tmp_path / name / "bad", 3) for name in ("one", "two")]
    assert parts[0].path.read_bytes() == parts[1].path.read_bytes()
    assert parts[0].defects
    assert all(defect.covers.any() for defect in parts[0].defects)


@pytest.mark.slow
def test_the_goal_is_reached_over_every_modality() -> None:
    result = measure(seed=1, parts=3)
    assert {rate: result["all"][rate] >= GOAL for rate in RATES} == dict.fromkeys(RATES, True), result["wrong"]
