"""Whole inspections through the door."""

from pathlib import Path

import pytest

from agent import Inspector


def test_a_normal_plate_is_normal(inspector: Inspector, plate, save, tmp_path: Path) -> None:
    report = inspector.inspect(save(tmp_path / "new.png", plate(1000)), "plate")
    assert report.verdict == "normal"
    assert report.decision.p_value > report.decision.alpha
    assert report.findings == ()


@pytest.mark.parametrize(("defect", "kind"), [("scratch", "scratch"), ("spot", "stain")])
def test_a_damaged_plate_is_anomalous_where_it_is_damaged(inspector, plate, save, tmp_path, defect, kind) -> None:
    report = inspector.inspect(save(tmp_path / "new.png", plate(1001, defect)), "plate")
    assert report.verdict == "anomalous"
    assert report.decision.p_value <= 0.05
    x0, y0, x1, y1 = report.findings[0].box
    inside = (80, 26) if defect == "scratch" else (20, 76)
    assert x0 <= inside[0] < x1
    assert y0 <= inside[1] < y1
    assert report.findings[0].defect_type == kind
    assert {claim.status for claim in report.claims} == {"supported"}
