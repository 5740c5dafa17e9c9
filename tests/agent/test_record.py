"""From a state written by hand to the record of it."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from agent.record import build_report
from agent.report import InspectionReport, report_schema
from knowledge import DefectType, NormalityRule, Product
from tools import (
    ArtifactStore,
    Assessed,
    Assessment,
    Box,
    Compared,
    Evidence,
    Examined,
    Failed,
    FindingDraft,
    Judged,
    KnowledgeFound,
    Localized,
    Measurement,
    ModelCall,
    Region,
    RegionMeasured,
    RenderedView,
    RulesChecked,
    SimilarReference,
    ViewsShown,
)
from tools.evidence import RuleChecked

PRODUCT = Product(
    name="part",
    description="d",
    rules=(
        NormalityRule(id="P-1", text="It is round."),
        NormalityRule(id="P-2", text="It is clean.", question="Is it clean?"),
    ),
    defect_types=(
        DefectType(name="hole", description="d", severity="critical", signature="region.contrast < -0.1"),
        DefectType(name="stain", description="d", severity="minor"),
    ),
)
VIEW = RenderedView(
    id="a1.v1",
    asset_id="a1",
    kind="image",
    width=100,
    height=50,
    image="query",
    to_source=(2.0, 0.0, 0.0, 0.0, 2.0, 0.0),
    source_width=200,
    source_height=100,
)


def region(number: int) -> Region:
    box = Box(x0=10 * number, y0=5, x1=10 * number + 10, y1=15)
    source = Box(x0=20 * number, y0=10, x1=20 * number + 20, y1=30)
    return Region(id=f"a1.r{number}", view_id="a1.v1", box=box, source_box=source, mask=f"mask{number}", peak=7.6543217)


def measured(number: int, contrast: float = -0.2) -> RegionMeasured:
    values = {"area": 100.0, "contrast": contrast, "centroid_x": 0.25, "centroid_y": 0.4}
    return RegionMeasured(
        region=f"a1.r{number}",
        measurements=tuple(Measurement(name=name, value=value, unit="1") for name, value in values.items()),
    )


def localized(*numbers: int) -> Localized:
    return Localized(
        view="a1.v1",
        score=7.6543217,
        p_value=1 / 21,
        alpha=0.05,
        threshold=3.0,
        promise="p",
        map="map",
        heat="heat",
        regions=tuple(region(number) for number in numbers),
        region_count=len(numbers),
    )


def draft(number: int, **said: Any) -> FindingDraft:
    values: dict[str, Any] = {"title": "A mark", "defect_type": "stain", "severity": "minor", "explanation": "e"}
    return FindingDraft(region=f"a1.r{number}", **{**values, **said})


def assessed(*findings: FindingDraft) -> Assessed:
    assessment = Assessment(opinion="anomalous", explanation="e", findings=findings)
    return Assessed(judged=(Judged(role="reasoner", model="m", assessment=assessment),), prompt_version="1")


SEEN = ViewsShown(views=(VIEW,), part=(Measurement(name="brightness", value=0.5, unit="gray"),))
CHECKED = RulesChecked(results=(RuleChecked(id="P-1", text="It is round.", result="passed", reason="check: x"),))


def record(store: ArtifactStore, *shown: Any, **changes: Any) -> InspectionReport:
    evidence = [
        content
        if isinstance(content, Evidence)
        else Evidence(id=f"e{number}", tool="t", summary="s", shown=content, seconds=0.123456789)
        for number, content in enumerate(shown, start=1)
    ]
    state: dict[str, Any] = {
        "request": {"inspection_id": "1", "created_at": "now", "product": "part", "inputs": ["/x/part.png"]},
        "product_version": "v1",
        "inputs": [
            {"id": "a1", "modality": "image", "name": "part.png", "sha256": "0", "width": 200, "height": 100, "bits": 8}
        ],
        "evidence": [value.model_dump(mode="json") for value in evidence],
        "plan": [],
        "claims": [],
        "models": [{"role": "reasoner", "id": "m", "version": "1"}],
        "usage": {"steps": 2, "seconds": 1.23456789},
        "decision": {
            "verdict": "anomalous",
            "score": 7.6543217,
            "p_value": 1 / 21,
            "alpha": 0.05,
            "threshold": 3.0,
            "reasons": ["r"],
        },
    }
    return build_report({**state, **changes}, changes.pop("known", PRODUCT))


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path)


def claim(subject: str, number: int) -> dict[str, Any]:
    return {
        "id": f"c{number}",
        "text": "t",
        "kind": "size",
        "subject": subject,
        "status": "supported",
        "evidence": ["e1"],
        "source": "m",
        "checked": "found",
    }


def test_a_whole_record(store) -> None:
    found = KnowledgeFound(
        view="a1.v1",
        references=(SimilarReference(id="abc", similarity=0.987654321, why="w", image="r"),),
        rules=("P-1",),
    )
    crop = VIEW.model_copy(update={"id": "a1.r1.crop", "kind": "crop", "image": "close"})
    enhanced = crop.model_copy(update={"image": "clear"})
    report = record(
        store,
        SEEN,
        localized(1),
        found,
        measured(1),
        Compared(region="a1.r1", reference="abc", difference=-0.1, crop="here", reference_crop="there"),
        Examined(region="a1.r1", crop=crop, enhanced=enhanced),
        CHECKED,
        assessed(draft(1)),
        claims=[claim("a1.r1", 1), claim("a1.v1", 2)],
        plan=[
            {"id": "s1", "tool": "t", "arguments": {"asset": "a1"}, "purpose": "p", "status": "done", "note": ""},
        ],
    )
    [finding] = report.findings
    assert finding.title == "A mark"
    assert (finding.defect_type, finding.severity) == ("stain", "minor")
    assert finding.box == (20, 10, 40, 30)
    assert finding.native == {"unit": "px", "pixels": 400, "centroid": [50.0, 40.0]}
    assert finding.claims == ("c1",)
    assert finding.images == {"part": "here", "reference": "there", "enlarged": "close", "enhanced": "clear"}
    assert finding.score == 7.65432
    assert [(rule.id, rule.result, rule.evidence) for rule in report.rules] == [
        ("P-1", "passed", ("e7",)),
        ("P-2", "not_checked", ()),
    ]
    assert report.references[0].similarity == 0.987654
    assert report.inputs[0].views[0].image == "query"
    assert (report.inputs[0].width, report.inputs[0].height) == (200, 100)
    assert report.decision.p_value == 0.047619
    assert report.maps == {"a1.v1": "heat"}
    assert report.usage.steps == 2
    assert report.usage.tokens == 0
    assert len(report.evidence) == 8
    assert [step.tool for step in report.plan] == ["t"]
    assert report.not_checked == ("Rule P-2: the inspection did not get there.",)
    assert report.sent_to == ()
    jsonschema.validate(json.loads(report.model_dump_json()), report_schema())


def test_the_same_state_gives_the_same_record(store) -> None:
    assert record(store, SEEN, localized(1), measured(1)) == record(store, SEEN, localized(1), measured(1))


@pytest.mark.parametrize(
    ("contrast", "named", "severity"), [(-0.2, "hole", "critical"), (0.2, None, "major")], ids=["fits", "fits none"]
)
def test_a_region_of_which_no_reasoner_spoke_is_still_a_finding(store, contrast, named, severity) -> None:
    [finding] = record(store, SEEN, localized(1), measured(1, contrast), assessed()).findings
    assert finding.title == "Unlike the normal references"
    assert (finding.defect_type, finding.severity) == (named, severity)


def test_every_region_is_a_finding_also_one_that_was_not_looked_into(store) -> None:
    report = record(store, SEEN, localized(1, 2, 3), measured(2), assessed(draft(2)))
    assert [finding.box[0] for finding in report.findings] == [20, 40, 60]
    assert [finding.title for finding in report.findings][1] == "A mark"
    assert report.findings[0].measurements == ()
    assert report.findings[0].native == {"unit": "px"}
    untouched = [sentence for sentence in report.not_checked if "was not looked into" in sentence]
    assert len(untouched) == 2
    assert "a1.r1" in untouched[0]


def test_a_defect_type_that_the_product_does_not_know_is_not_taken_over(store) -> None:
    [finding] = record(store, SEEN, localized(1), measured(1, 0.2), assessed(draft(1, defect_type="sabotage"))).findings
    assert finding.defect_type is None
    assert finding.title == "A mark"


def test_a_defect_that_a_reasoner_saw_where_there_is_no_region_makes_no_finding(store) -> None:
    assert record(store, SEEN, localized(), assessed(draft(9))).findings == ()


def test_steps_that_did_not_run_are_told_of(store) -> None:
    steps = [
        {
            "id": f"s{n}",
            "tool": "check_rules",
            "arguments": {"asset": "a1"},
            "purpose": "p",
            "status": status,
            "note": "spent",
        }
        for n, status in enumerate(("done", "skipped", "refused", "failed"), start=1)
    ]
    report = record(store, SEEN, localized(), CHECKED, plan=steps)
    told = [sentence for sentence in report.not_checked if sentence.startswith("Step")]
    assert told == [f"Step check_rules a1 was {status}: spent." for status in ("skipped", "refused", "failed")]


def test_without_rules_it_says_that_likeness_alone_was_judged(store) -> None:
    report = record(store, SEEN, localized(), known=PRODUCT.model_copy(update={"rules": ()}))
    assert report.rules == ()
    assert any("No normality rule is known" in sentence for sentence in report.not_checked)


def test_what_left_the_machine_is_listed_with_its_size(store) -> None:
    pictures = tuple(store.put_image(np.full((4, 4, 3), level, np.uint8)) for level in (0, 255))
    asked = Evidence(
        id="e3",
        tool="reason_about_anomaly",
        summary="s",
        shown=Failed(reason="r"),
        calls=(
            ModelCall(model="openai:x", remote=True, bytes=1234, panels=("query", "crop 1"), artifacts=pictures),
            ModelCall(model="embedded", remote=False, bytes=1000),
        ),
    )
    planner = ModelCall(model="openai:y", address="http://127.0.0.1:9/v1", remote=True, bytes=99, outcome="gone")
    told, sent = record(store, SEEN, localized(), asked, calls=[planner.model_dump(mode="json")]).sent_to
    assert (sent.to, sent.purpose, sent.artifacts, sent.bytes) == (
        "openai:x",
        "reason_about_anomaly",
        pictures,
        1234,
    )
    assert sent.panels == ("query", "crop 1")
    assert (told.to, told.purpose, told.artifacts, told.bytes, told.outcome) == (
        "openai:y at http://127.0.0.1:9/v1",
        "plan",
        (),
        99,
        "gone",
    )


def test_an_inspection_that_got_nowhere_has_a_record(store) -> None:
    decision = {"verdict": "review", "score": None, "p_value": None, "alpha": 0.05, "threshold": None, "reasons": ["r"]}
    report = record(store, decision=decision)
    assert report.verdict == "review"
    assert report.findings == report.evidence == ()
    assert report.inputs[0].views == ()
    assert len(report.not_checked) == 2
