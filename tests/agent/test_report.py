"""The record: rounding by hand, what two records share, and the schema."""

import json
import math
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from agent.report import InspectionReport, canonical, rejected_report, report_schema, round_numbers

REQUEST: dict[str, Any] = {
    "inspection_id": "1",
    "thread_id": "",
    "created_at": "2026-01-01T00:00:00+00:00",
    "inputs": ["/somewhere/part.png"],
    "product": "part",
    "alpha": 0.05,
    "model": "embedded",
}


def report(**changes: Any) -> InspectionReport:
    values: dict[str, Any] = {
        "inspection_id": "1",
        "created_at": "2026-01-01T00:00:00+00:00",
        "request": dict(REQUEST),
        "product": {"name": "part", "version": "v"},
        "inputs": [{"id": "a1", "modality": "image", "name": "part.png", "sha256": "0", "width": 9, "height": 9}],
        "verdict": "anomalous",
        "decision": {"score": 5.0, "p_value": 0.02, "alpha": 0.05, "threshold": 3.0, "reasons": ["It is odd."]},
        "evidence": [{"id": "e1", "tool": "t", "summary": "s", "artifacts": [], "seconds": 0.25}],
        "usage": {"steps": 1, "model_calls": 1, "tokens": 0, "cost": 0.0, "seconds": 1.5},
    }
    return InspectionReport.model_validate({**values, **changes})


@pytest.mark.parametrize(
    ("given_", "kept"),
    [
        (0.1234567, 0.123457),
        (1234567.8, 1234570.0),
        (-1.23456789e-9, -1.23457e-9),
        (0.1 + 0.2, 0.3),
        (5, 5),
        (1234567, 1234567),
        (True, True),
        (None, None),
        ("0.1234567", "0.1234567"),
        ({"a": [0.1234567, {"b": (1.0000001, "x")}]}, {"a": [0.123457, {"b": [1.0, "x"]}]}),
    ],
)
def test_numbers_keep_six_digits_and_everything_else_is_left(given_, kept) -> None:
    rounded = round_numbers(given_)
    assert rounded == kept
    assert type(rounded) is type(kept)


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=10,
)


@settings(max_examples=60, deadline=None)
@given(PLAIN)
def test_rounding_twice_changes_nothing_more(values) -> None:
    once = round_numbers(values)
    assert round_numbers(once) == once
    assert json.loads(json.dumps(once)) == once


@settings(max_examples=60, deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e300, max_value=1e300))
def test_rounding_moves_a_number_by_less_than_its_sixth_digit(number) -> None:
    assert math.isclose(round_numbers(number), number, rel_tol=5.1e-6, abs_tol=1e-307)


def test_two_inspections_of_a_part_share_the_canonical_part_byte_for_byte() -> None:
    elsewhere = {**REQUEST, "inspection_id": "2", "thread_id": "t", "inputs": ["/else/part.png"], "created_at": "later"}
    evidence = [{"id": "e1", "tool": "t", "summary": "s", "artifacts": [], "seconds": 99.0}]
    usage = {"steps": 1, "model_calls": 1, "tokens": 0, "cost": 0.0, "seconds": 99.0}
    other = report(inspection_id="2", created_at="later", request=elsewhere, evidence=evidence, usage=usage)
    assert canonical(other) == canonical(report())
    assert other != report()


@pytest.mark.parametrize(
    "change",
    [
        {"verdict": "review"},
        {"request": {**REQUEST, "alpha": 0.01}},
        {"request": {**REQUEST, "model": "openai:x"}},
        {"inputs": [{"id": "a1", "modality": "image", "name": "part.png", "sha256": "1"}]},
        {"decision": {"score": 5.0, "p_value": 0.02, "alpha": 0.05, "threshold": 3.0, "reasons": []}},
        {"evidence": []},
        {"usage": {"steps": 2, "model_calls": 1, "tokens": 0, "cost": 0.0, "seconds": 1.5}},
    ],
)
def test_whatever_else_differs_shows_in_the_canonical_part(change) -> None:
    assert canonical(report(**change)) != canonical(report())


def test_taking_the_canonical_part_leaves_the_report_whole() -> None:
    whole = report()
    canonical(whole)
    assert whole == report()
    assert whole.request["inspection_id"] == "1"


def test_a_part_that_could_not_be_inspected_is_for_review_and_says_why() -> None:
    rejected = rejected_report(REQUEST, ["part.png"], "part.png: is empty (0 bytes)")
    assert rejected.verdict == "review"
    assert rejected.decision.reasons == ("part.png: is empty (0 bytes)",)
    assert (rejected.decision.score, rejected.decision.p_value, rejected.decision.alpha) == (None, None, 0.05)
    assert rejected.not_checked
    assert rejected.inputs[0].name == "part.png"
    jsonschema.validate(json.loads(rejected.model_dump_json()), report_schema())


def test_a_report_keeps_to_its_schema_and_comes_back_from_json() -> None:
    text = report().model_dump_json()
    jsonschema.validate(json.loads(text), report_schema())
    assert InspectionReport.model_validate_json(text) == report()


@pytest.mark.parametrize(
    "change",
    [
        {"verdict": "perhaps"},
        {"mood": "good"},
        {"inputs": [{"id": "a1", "modality": "smell", "name": "n", "sha256": "0"}]},
        {"claims": [{"id": "c1", "text": "t", "kind": "size", "status": "true", "evidence": [], "source": "m"}]},
        {"models": [{"role": "oracle", "id": "m", "version": ""}]},
        {"usage": {"steps": 1}},
    ],
)
def test_what_the_schema_does_not_know_is_refused_by_both(change) -> None:
    with pytest.raises(ValidationError):
        report(**change)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**json.loads(report().model_dump_json()), **change}, report_schema())


def test_the_schema_is_a_sound_one_and_names_what_readers_rely_on() -> None:
    schema = report_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    promised = (
        "schema_version inspection_id created_at request product inputs verdict decision findings claims rules "
        "references evidence plan models usage not_checked sent_to"
    )
    assert set(promised.split()) <= set(schema["properties"])
