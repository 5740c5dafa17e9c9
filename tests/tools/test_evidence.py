"""The log of what was shown: a small one by hand, then every kind there and back."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from knowledge import ToolArgumentError
from tools import Assessment
from tools.evidence import (
    Assessed,
    Compared,
    Evidence,
    EvidenceLog,
    Examined,
    Failed,
    Judged,
    KnowledgeFound,
    Localized,
    ModelCall,
    RegionMeasured,
    RuleChecked,
    RulesChecked,
    SimilarReference,
    ViewsShown,
)
from tools.measuring import Measurement
from tools.views import Box, Region, RenderedView


def view(asset: str) -> RenderedView:
    return RenderedView(
        id=f"{asset}.v1",
        asset_id=asset,
        kind="image",
        width=20,
        height=10,
        image="i.png",
        source_width=20,
        source_height=10,
    )


def region(asset: str, number: int) -> Region:
    box = Box(x0=1, y0=2, x1=3, y1=4)
    return Region(id=f"{asset}.r{number}", view_id=f"{asset}.v1", box=box, source_box=box, mask="m.npy", peak=4.5)


def localized(asset: str, *regions: Region) -> Localized:
    return Localized(
        view=f"{asset}.v1",
        score=4.5,
        p_value=0.05,
        alpha=0.05,
        threshold=3.0,
        promise="p",
        map="m.npy",
        heat="h.png",
        regions=regions,
        region_count=len(regions),
    )


AREA = Measurement(name="area", value=4.0, unit="px")
SHOWN = [
    ViewsShown(views=(view("a1"), view("a2")), part=(AREA,), unsuitable=("It is dark.",)),
    KnowledgeFound(
        view="a1.v1",
        references=(SimilarReference(id="0" * 12, similarity=0.9, why="w", image="r.png"),),
        rules=("P-1",),
    ),
    localized("a1", region("a1", 1), region("a1", 2)),
    localized("a2").model_copy(update={"threshold": None}),
    RegionMeasured(region="a1.r1", measurements=(AREA,)),
    Compared(region="a1.r1", reference="0" * 12, difference=-0.1, crop="c.png", reference_crop="d.png"),
    Examined(region="a1.r1", crop=view("a1"), enhanced=view("a1")),
    RulesChecked(results=(RuleChecked(id="P-1", text="t", result="violated", reason="r"),)),
    Assessed(
        judged=(Judged(role="reasoner", model="m", assessment=Assessment(opinion="unsure", explanation="e")),),
        prompt_version="1",
    ),
    Failed(reason="r"),
]


CALL = ModelCall(model="m", remote=True, bytes=3, panels=("query",), artifacts=("p.png",), input_tokens=1)


def records() -> list[dict[str, Any]]:
    return [
        Evidence(id=f"e{number}", tool="t", summary="s", shown=shown).model_dump(mode="json")
        for number, shown in enumerate(SHOWN, start=1)
    ]


def test_a_log_answers_by_id() -> None:
    log = EvidenceLog.read(records())
    assert [id_ for id_, _ in log.of(Localized)] == ["e3", "e4"]
    assert log.view("a2.v1").asset_id == "a2"
    assert [found.id for found in log.views_of("a1")] == ["a1.v1"]
    assert list(log.regions()) == ["a1.r1", "a1.r2"]
    assert log.region("a1.r2").peak == 4.5
    assert log.localization("a2.v1") == SHOWN[3]
    assert log.localization("a9.v1") is None
    assert log.measurements("a1.r1") == (AREA,)
    assert log.measurements("a1.r2") is None


@pytest.mark.parametrize("shown", SHOWN, ids=lambda shown: shown.kind)
def test_every_kind_survives_the_way_through_json(shown) -> None:
    record = Evidence(
        id="e1", tool="t", arguments={"asset": "a1"}, summary="s", artifacts=("x",), shown=shown, calls=(CALL,)
    )
    value = json.loads(json.dumps(record.model_dump(mode="json"), allow_nan=False))
    log = EvidenceLog.read([value])
    assert log.records == (record,)
    assert log.of(type(shown)) == (("e1", shown),)


def test_a_log_does_not_change_with_the_list_it_was_read_from() -> None:
    values = [Evidence(id="e1", tool="t", summary="s", shown=Failed(reason="r"))]
    log = EvidenceLog(values)
    values.clear()
    assert len(log.records) == 1


def test_an_empty_log_knows_nothing() -> None:
    log = EvidenceLog([])
    assert log.views() == log.regions() == {}
    assert log.of(Failed) == ()


@pytest.mark.parametrize(
    ("ask", "sentence"),
    [
        (lambda log: log.region("a1.r9"), "no region 'a1.r9'; known are a1.r1, a1.r2"),
        (lambda log: log.view("a1"), "no view 'a1'; known are a1.v1, a2.v1"),
        (lambda log: log.views_of("a3"), "render it first"),
    ],
)
def test_an_id_that_is_not_there_is_the_mistake_of_who_asks(ask, sentence) -> None:
    with pytest.raises(ToolArgumentError, match=sentence):
        ask(EvidenceLog.read(records()))


def test_the_sentence_of_an_empty_log_says_that_none_is_known() -> None:
    with pytest.raises(ToolArgumentError, match="known are none"):
        EvidenceLog([]).region("r")


@pytest.mark.parametrize(
    "change", [{"kind": "verdict"}, {"kind": None}, {"score": "high"}, {"mood": "good"}, {"regions": [{"id": "r"}]}]
)
def test_a_record_that_is_not_what_it_says_is_refused(change) -> None:
    value = records()[2]
    value["shown"] |= change
    with pytest.raises(ValidationError):
        EvidenceLog.read([value])
