"""Whole inspections through the door."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from agent import Inspector
from agent.enrolment import enrol
from knowledge import InputError, RequestError
from tools import LocalizerSettings, load_backbone


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


def test_the_device_that_is_given_beats_that_of_the_environment(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("ANOMALYST_DEVICE", "gpu")
    Inspector(home=tmp_path)
    with pytest.raises(InputError, match="no device 'gpu'"):
        load_backbone()
    Inspector(home=tmp_path, device="cpu")
    assert load_backbone() is load_backbone(device="cpu")


def test_folders_of_pictures_are_videos_where_parts_are_inspected_by_video(tmp_path) -> None:
    rng = np.random.default_rng(0)
    for number in range(3):
        _write_frames(tmp_path / "good" / f"v{number}", rng)
    _write_frames(tmp_path / "part", rng)
    spec = tmp_path / "belt.yaml"
    spec.write_text("name: belt\ndescription: A belt.\nmodality: video\nsample_rate: 10\n")
    inspector = Inspector(home=tmp_path / "home")
    enrol(inspector, "belt", [tmp_path / "good"], [], spec, LocalizerSettings(), lambda what, done, total: None)
    report = inspector.inspect(tmp_path / "part", "belt", thread_id="one")
    assert report.inputs[0].modality == "video"
    assert report.inputs[0].facts["frames"] == 12
    assert inspector.inspect(tmp_path / "part", "belt", thread_id="one") == report
    (tmp_path / "part" / "frame_0000.png").write_bytes((tmp_path / "part" / "frame_0005.png").read_bytes())
    with pytest.raises(RequestError, match="another inspection"):
        inspector.inspect(tmp_path / "part", "belt", thread_id="one")


def _write_frames(folder, rng) -> None:
    folder.mkdir(parents=True)
    for number in range(12):
        pixels = rng.integers(115, 121, (48, 64, 3), dtype=np.uint8)
        pixels[16:32, 4 * number : 4 * number + 12] = 200
        Image.fromarray(pixels).save(folder / f"frame_{number:04d}.png")
