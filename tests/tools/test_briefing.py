"""What a reasoner is told and shown, from a log written by hand."""

import json
from typing import Any

import numpy as np
import pytest

from knowledge import DefectType, NormalityRule, Product
from tools.assets import Asset
from tools.briefing import CONDITIONS, _rounded, reasoner_briefing, reasoner_panels
from tools.evidence import (
    Compared,
    Evidence,
    EvidenceLog,
    Examined,
    Failed,
    KnowledgeFound,
    Localized,
    RegionMeasured,
    RuleChecked,
    RulesChecked,
    SimilarReference,
    ViewsShown,
)
from tools.measuring import Measurement
from tools.panels import Panel
from tools.reasoning import briefing_text
from tools.views import Box, Region, RenderedView

PRODUCT = Product(
    name="part",
    description="A part seen from above.",
    task="Look for scratches.",
    rules=(
        NormalityRule(id="P-1", text="It is clean.", severity="critical"),
        NormalityRule(id="P-2", text="It is round.", question="Is it round?"),
    ),
    defect_types=(DefectType(name="scratch", description="A groove."),),
)


ASSET = Asset(id="a1", modality="image", name="secret.png", sha256="0")


def view(id_: str = "a1.v1", image: str = "query.png") -> RenderedView:
    return RenderedView(
        id=id_, asset_id="a1", kind="image", width=100, height=50, image=image, source_width=200, source_height=100
    )


REGION = Region(
    id="a1.r1",
    view_id="a1.v1",
    box=Box(x0=10, y0=5, x1=20, y1=15),
    source_box=Box(x0=20, y0=10, x1=40, y1=30),
    mask="m.npy",
    peak=7.654321,
)


def localized(**changes: Any) -> Localized:
    values: dict[str, Any] = {
        "view": "a1.v1",
        "score": 7.654321,
        "p_value": 0.0123456,
        "alpha": 0.05,
        "threshold": 3.0,
        "promise": "kept",
        "map": "map.npy",
        "heat": "heat.png",
        "regions": (REGION,),
        "region_count": 1,
    }
    return Localized(**{**values, **changes})


def measured() -> RegionMeasured:
    values = {"centroid_x": 0.9, "centroid_y": 0.1, "area": 12.3456789}
    return RegionMeasured(
        region="a1.r1",
        measurements=tuple(Measurement(name=name, value=value, unit="1") for name, value in values.items()),
    )


def references(count: int) -> KnowledgeFound:
    similar = [SimilarReference(id=f"{n}", similarity=0.9, why="w", image=f"ref{n}.png") for n in range(count)]
    return KnowledgeFound(view="a1.v1", references=tuple(similar), rules=("P-1", "P-2"))


def examined(number: int) -> Examined:
    crop = view(f"a1.r{number}.crop", f"crop{number}.png")
    return Examined(region=f"a1.r{number}", crop=crop, enhanced=crop)


def log_of(*shown: Any) -> EvidenceLog:
    first = ViewsShown(views=(view(),), part=(Measurement(name="brightness", value=0.123456, unit="gray"),))
    return EvidenceLog(
        Evidence(id=f"e{number}", tool="t", summary="s", shown=content)
        for number, content in enumerate((first, *shown), start=1)
    )


class Pictures:
    """A store that makes up the pictures it is asked for, one gray level a name, and keeps those it is given."""

    def __init__(self) -> None:
        self.kept: dict[str, np.ndarray] = {}

    def get_image(self, name: str) -> np.ndarray:
        if name == "heat.png":
            return np.full((50, 100, 4), (175, 0, 30, 125), np.uint8)
        return self.kept.get(name, np.full((50, 100, 3), sum(name.encode()) % 200, np.uint8))

    def put_image(self, pixels: np.ndarray) -> str:
        name = f"made{len(self.kept)}.png"
        self.kept[name] = pixels
        return name


def panels_of(log: EvidenceLog, given: Any = CONDITIONS) -> tuple[Pictures, tuple[Panel, ...]]:
    store: Any = Pictures()
    return store, reasoner_panels(log, view(), store, given)


def briefing_of(log: EvidenceLog, given: Any = CONDITIONS) -> dict[str, Any]:
    briefing = reasoner_briefing(PRODUCT, log, view(), panels_of(log, given)[1], ASSET, given=given)
    return dict(json.loads(briefing_text(briefing).partition("\n")[2]))


def test_a_whole_case() -> None:
    compared = Compared(region="a1.r1", reference="0", difference=-0.123456, crop="c.png", reference_crop="d.png")
    rules = RulesChecked(results=(RuleChecked(id="P-1", text="It is clean.", result="violated", reason="dirt"),))
    log = log_of(localized(), references(1), measured(), compared, rules, Failed(reason="no light"))
    briefing = briefing_of(log)
    assert briefing["question"] == "assess"
    assert briefing["task"] == "Look for scratches."
    assert briefing["context"] == "A part seen from above."
    assert briefing["rules"] == [
        {"id": "P-1", "text": "It is clean.", "severity": "critical", "question": 'Is this rule kept: "It is clean."?'},
        {"id": "P-2", "text": "It is round.", "severity": "major", "question": "Is it round?"},
    ]
    assert briefing["defect_types"][0]["name"] == "scratch"
    assert briefing["view"] == {"id": "a1.v1", "width": 100, "height": 50}
    assert briefing["part"] == {"evidence": "e1", "measurements": {"brightness": 0.1235}, "unsuitable": []}
    assert briefing["localization"]["evidence"] == "e2"
    assert briefing["localization"]["calibrated"] is True
    assert briefing["localization"]["score"] == pytest.approx(7.654321, rel=1e-3)
    assert briefing["regions"] == [
        {
            "id": "a1.r1",
            "evidence": ["e2", "e4", "e5"],
            "peak": 7.6543,
            "box": [20, 10, 40, 30],
            "native": {},
            "measurements": {"centroid_x": 0.9, "centroid_y": 0.1, "area": 12.3457},
            "side": "top right",
            "compared": {"reference": "0", "difference": -0.1235, "unit": "gray"},
        }
    ]
    assert briefing["rule_checks"] == [{"evidence": "e6", "rule": "P-1", "result": "violated", "reason": "dirt"}]
    assert briefing["failures"] == [{"evidence": "e7", "reason": "no light"}]


def test_panels_carry_the_labels_that_the_text_uses() -> None:
    log = log_of(localized(), references(3), *[examined(number) for number in range(1, 6)])
    store, panels = panels_of(log)
    assert [panel.label for panel in panels] == [
        "reference A",
        "reference B",
        "query",
        "heat map",
        "crop 1",
        "crop 2",
        "crop 3",
    ]
    assert "a1.r2" in panels[5].caption
    levels = [store.kept[panel.artifact][-1, -1] for panel in panels]
    shown = [store.get_image(name)[0, 0] for name in ("ref0.png", "ref1.png", "query.png")]
    assert np.array_equal(levels[:3], shown)
    assert not np.array_equal(levels[3], shown[2])  # the heat map is laid over the query
    assert briefing_of(log)["panels"] == [{"label": panel.label, "caption": panel.caption} for panel in panels]


def test_a_condition_that_is_left_out_is_neither_told_nor_shown() -> None:
    rules = RulesChecked(results=(RuleChecked(id="P-1", text="It is clean.", result="violated", reason="dirt"),))
    log = log_of(localized(), references(3), rules)
    for condition, words in [
        ("task", "scratches"),
        ("context", "from above"),
        ("rules", "clean"),
        ("references", "ref"),
    ]:
        whole = json.dumps(briefing_of(log))
        without = briefing_of(log, [name for name in CONDITIONS if name != condition])
        assert words in whole
        assert words not in json.dumps({**without, "conditions": {}})
        assert condition not in without["conditions"]["given"]
        assert without["localization"] == briefing_of(log)["localization"]


def test_a_part_of_which_little_is_known_can_be_told_of() -> None:
    briefing = briefing_of(log_of())
    assert briefing["localization"] is None
    assert briefing["regions"] == briefing["rule_checks"] == briefing["failures"] == []
    assert [panel["label"] for panel in briefing["panels"]] == ["query"]


def test_a_region_that_was_not_looked_into_has_no_measurements_and_no_side() -> None:
    [region] = briefing_of(log_of(localized()))["regions"]
    assert region["evidence"] == ["e2"]
    assert not {"measurements", "side", "compared"} & set(region)


def test_without_a_promised_threshold_nothing_is_called_calibrated() -> None:
    localization = briefing_of(log_of(localized(threshold=None, promise="alpha needs more parts")))["localization"]
    assert localization["calibrated"] is False
    assert localization["promise"] == "alpha needs more parts"


@pytest.mark.parametrize(("p_value", "alpha"), [(51 / 1019, 0.05), (1 / 21, 0.04755), (2e-5, 1e-5)])
def test_rounding_does_not_turn_a_normal_p_value_into_an_anomalous_one(p_value, alpha) -> None:
    assert p_value > alpha
    localization = briefing_of(log_of(localized(p_value=p_value, alpha=alpha)))["localization"]
    assert localization["p_value"] > localization["alpha"]


@pytest.mark.parametrize(
    ("value", "told"), [(0.123456, 0.1235), (-12.34567, -12.3457), (0.0, 0.0), (2.34e-5, 2.3e-5), (-4.96e-5, -5e-5)]
)
def test_a_measurement_is_told_in_four_decimals_and_a_small_one_in_two_digits(value, told) -> None:
    assert _rounded({"area_share": value}) == {"area_share": told}
