"""Whole inspections by the real client of GPT, against a peer that answers well, badly or not at all."""

import json
from pathlib import Path
from typing import Any

import pytest

from agent import Inspector, Settings
from agent.report import InspectionReport

STEPS = [
    {"tool": tool, "target": "a1", "purpose": "as always"}
    for tool in (
        "render_asset",
        "retrieve_knowledge",
        "localize_anomalies",
        "check_rules",
        "reason_about_anomaly",
    )
]
SCRATCH = {
    "opinion": "anomalous",
    "explanation": "A bright line crosses the plate.",
    "findings": [],
    "claims": [],
    "rule_answers": [],
}
FINE = {**SCRATCH, "opinion": "normal", "explanation": "An even plate."}


@pytest.fixture
def inspect(learned_home, openai_peer, openai_vendor, act, plate, save, tmp_path, canary):
    """Inspect a plate by a peer; `judged` answers the reasoner's questions, plans are good unless `planned` says more."""

    def run(defect: str | None, judged: Any, planned: Any = None) -> InspectionReport:
        waiting = [STEPS, []]

        def answer(seen: Any) -> Any:
            if "steps" not in seen.asked_for["properties"]:
                return judged
            steps = waiting.pop(0) if waiting else []
            return planned or act(openai_vendor.reply(json.dumps({"steps": steps})))

        openai_peer.answer = answer
        part = save(tmp_path / "part.png", plate(1001, defect) if defect else plate(1000))
        client = {"timeout": 2.0, "deadline": 3.0}
        settings = Settings(home=learned_home, model="openai:x", base_url=f"{openai_peer.address}/v1", client=client)
        inspector = Inspector(settings)
        report = inspector.inspect(part, "plate", thread_id=tmp_path.name)
        inspector.write(report, tmp_path / "out")
        _require_no_key(canary, report, tmp_path / "out", learned_home)
        assert InspectionReport.model_validate_json(report.model_dump_json()) == report
        return report

    return run


def _require_no_key(canary: str, report: InspectionReport, written: Path, home: Path) -> None:
    assert canary not in report.model_dump_json()
    files = [path for folder in (written, home) for path in folder.rglob("*") if path.is_file()]
    assert any(path.name == "trajectory.jsonl" for path in files)
    assert any(path.name.startswith("threads.sqlite") for path in files)
    assert [path for path in files if canary.encode() in path.read_bytes()] == []


def test_a_good_reasoner_agrees_with_the_instrument(inspect, act, openai_vendor, openai_peer) -> None:
    report = inspect("scratch", act(openai_vendor.reply(json.dumps(SCRATCH))))
    assert report.verdict == "anomalous"
    assert len(report.sent_to) == len(openai_peer.requests) == report.usage.model_calls == 3
    assert report.usage.tokens == 3 * 100
    assert all(openai_peer.address in sent.to for sent in report.sent_to)
    shown = [request for request in openai_peer.requests if openai_vendor.pictures(request)]
    assert len(shown) == 1
    assert len(openai_vendor.pictures(shown[0])) == max(len(sent.artifacts) for sent in report.sent_to)


def test_a_good_reasoner_passes_a_clean_part(inspect, act, openai_vendor) -> None:
    assert inspect(None, act(openai_vendor.reply(json.dumps(FINE)))).verdict == "normal"


def test_a_reasoner_cannot_clear_what_the_instrument_found(inspect, act, openai_vendor) -> None:
    assert inspect("scratch", act(openai_vendor.reply(json.dumps(FINE)))).verdict == "anomalous"


@pytest.mark.parametrize(
    ("bad", "asked"),
    [
        ({"status": 401}, 1),
        ({"status": 503}, 1),
        ({"cut": 40, "reset": True}, 1),
        ({"body": b"<html>"}, 1),
        ({"body": b'{"choices": null}'}, 1),
        ({"text": "It is fine."}, 2),
        ({"text": json.dumps(FINE), "end": "length"}, 2),
        ({"text": json.dumps(FINE), "end": "content_filter"}, 2),
        ({"text": json.dumps(FINE), "refusal": "I would rather not."}, 2),
        ({"text": json.dumps({**FINE, "opinion": "pass"})}, 2),
    ],
    ids=lambda bad: str(bad)[:40],
)
def test_a_reasoner_that_gives_no_answer_leaves_a_clean_part_for_review(
    inspect, act, openai_vendor, bad, asked
) -> None:
    bad = dict(bad)
    reply = {name: bad.pop(name) for name in ("text", "end", "refusal") if name in bad}
    body = bad.pop("body", None) or openai_vendor.reply(reply.pop("text", "Fine."), **reply)
    report = inspect(None, act(body, **bad))
    assert report.verdict == "review"
    assert any("gave no usable answer, so embedded judged in its place" in reason for reason in report.decision.reasons)
    assert len(report.sent_to) == 2 + asked


def test_a_part_with_a_defect_stays_anomalous_whatever_the_reasoner_does(inspect, act) -> None:
    assert inspect("scratch", act(b"", 500)).verdict == "anomalous"


def test_a_planner_that_fails_is_replaced_and_named(inspect, act, openai_vendor) -> None:
    judged = act(openai_vendor.reply(json.dumps(SCRATCH)))
    report = inspect("scratch", judged, planned=act(openai_vendor.error(403, "Not you."), 403))
    assert report.verdict == "anomalous"
    assert "embedded" in [model.id for model in report.models if model.role == "planner"]
