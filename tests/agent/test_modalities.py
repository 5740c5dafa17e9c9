"""Whole inspections of parts with several assets, and of assets that are no pictures."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from agent import InspectionReport, Inspector, Settings
from agent.cli import main
from agent.exports import html_page, markdown_text
from agent.simulated.bench_runs import EVENT, write_run
from evals.simulated import write_plate, write_plates
from knowledge import AssetError, FittedPartError, NormalityRule, Product, ProductError

MOTOR = Product(
    name="motor",
    description="A motor's type plate, and a recording of its run (simulated).",
    modality=("image", "time_series"),
    alpha=0.1,
    rules=(
        NormalityRule(id="M-1", text="The plate is not dark.", check="part.brightness > 0.2"),
        NormalityRule(id="M-2", text="A run lasts 25 seconds.", check="part.duration >= 25.0", modality="time_series"),
    ),
)


@pytest.fixture(scope="module")
def motors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which motors were learned from 20 plates and 20 runs."""
    home = tmp_path_factory.mktemp("motors")
    runs = [write_run(home / "files" / f"{seed}.csv", seed) for seed in range(20)]
    Inspector(Settings(home=home)).enroll(MOTOR, [*write_plates(home / "files", 20), *runs])
    return home


@pytest.fixture
def inspect(motors: Path) -> Any:
    return Inspector(Settings(home=motors)).inspect


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("parts")
    return {
        "plate": write_plate(folder / "plate.png", 300),
        "scratched": write_plate(folder / "scratched.png", 301, "scratch"),
        "run": write_run(folder / "run.csv", 300),
        "spike": write_run(folder / "spike.csv", 301, "current spike"),
    }


@pytest.mark.slow
def test_a_normal_part_of_two_assets(inspect, files) -> None:
    report = inspect([files["plate"], files["run"]], "motor")
    assert report.verdict == "normal", report.decision.reasons
    assert [(shown.modality, shown.verdict) for shown in report.inputs] == [
        ("image", "normal"),
        ("time_series", "normal"),
    ]
    assert {rule.id: rule.result for rule in report.rules} == {"M-1": "passed", "M-2": "passed"}
    assert report.decision.alpha == 0.1
    assert report.decision.p_value == pytest.approx(min(1, 2 * min(shown.p_value for shown in report.inputs)), rel=1e-5)


def test_a_recording_that_contradicts_the_picture_decides_and_both_are_named(inspect, files) -> None:
    report = inspect([files["plate"], files["spike"]], "motor")
    assert report.verdict == "anomalous", report.decision.reasons
    assert report.decision.reasons[0].startswith("Time series a2: ")
    assert report.decision.reasons[1].startswith("Image a1: nothing unusual")
    finding = report.findings[0]
    assert finding.asset == "a2"
    assert "current_a" in finding.native["channels"]
    assert finding.native["first"] / 20 < EVENT[1]
    assert finding.native["last"] / 20 > EVENT[0]


def test_every_claim_of_the_embedded_reasoner_holds_on_the_samples(inspect, files) -> None:
    report = inspect(files["spike"], "motor")
    assert report.verdict == "anomalous"
    assert {claim.kind for claim in report.claims} >= {"presence", "time", "number", "count", "rule"}
    assert {claim.status for claim in report.claims} == {"supported"}


def test_times_are_those_of_samples_of_the_file(inspect, files) -> None:
    native = inspect(files["spike"], "motor").findings[0].native
    stamps = [line.partition(",")[0] for line in files["spike"].read_text().splitlines()[1:]]
    for index, stamp in ((native["first"], native["start"]), (native["last"], native["end"])):
        assert stamps[index].removesuffix("+00:00").rstrip("0") == stamp.removesuffix("+00:00").rstrip("0")


def test_a_missing_modality_is_said(inspect, files) -> None:
    report = inspect(files["run"], "motor")
    assert report.verdict == "review"
    assert report.decision.reasons == ("No image of the part was given, by which it is inspected too.",)
    assert "No image of the part was given: nothing is known of what it would show." in report.not_checked
    alone = inspect(files["spike"], "motor")
    assert alone.verdict == "anomalous"
    assert "No image of the part was given, by which it is inspected too." in alone.decision.reasons


@pytest.mark.parametrize(("off", "status"), [(0.0, "supported"), (0.05, "refuted"), (2.0, "refuted")])
def test_an_event_that_is_said_to_be_a_sample_later_is_refuted(motors, files, scripted, off, status) -> None:
    found = Inspector(Settings(home=motors)).inspect(files["spike"], "motor").findings[0].measurements
    seconds, lasting = (next(each.value for each in found if each.name == name) for name in ("start_s", "duration"))
    claim = {"kind": "time", "subject": "a1.r1", "text": "It begins.", "attribute": "start", "number": seconds + off}
    answer = {"opinion": "anomalous", "explanation": "seen", "claims": [{**claim, "evidence": ["e2"]}]}
    report = Inspector(Settings(home=motors), reasoner=scripted(answer)).inspect(files["spike"], "motor")
    assert [each.status for each in report.claims] == [status], report.claims
    # How late the event begins says nothing of how far off the time is: how long it lasts does.
    [kept] = report.claims
    assert (kept.stated, kept.measured, kept.scale) == pytest.approx((seconds + off, seconds, lasting), rel=1e-5)


def test_colours_of_a_drawing_say_nothing_and_places_are_checked_on_the_view(motors, files, scripted) -> None:
    claims = [
        {"kind": "colour", "subject": "a1.r1", "text": "It is darker.", "word": "darker", "evidence": ["e2"]},
        {"kind": "place", "subject": "a1.r1", "text": "At the far right.", "word": "right", "evidence": ["e2"]},
        {"kind": "count", "subject": "a1.v1", "text": "Nine.", "number": 9, "evidence": ["e2"]},
    ]
    answer = {"opinion": "anomalous", "explanation": "seen", "claims": claims}
    report = Inspector(Settings(home=motors), reasoner=scripted(answer)).inspect(files["spike"], "motor")
    assert [claim.status for claim in report.claims] == ["unverified", "refuted", "refuted"]


def test_the_page_shows_each_asset_and_each_view_without_a_script(motors, files) -> None:
    inspector = Inspector(Settings(home=motors))
    page = html_page(inspector.inspect([files["scratched"], files["spike"]], "motor"), inspector.store)
    assert "<script" not in page
    assert page.count('class="card stage"') == 2
    assert 'name="views-a2"' in page
    assert 'class="zoom4"' in page
    assert "spike.csv" in page


def test_a_modality_that_was_not_learned_is_refused_by_name(motors, files, tmp_path) -> None:
    plates = Product(name="plates", description="Plates alone.")
    inspector = Inspector(Settings(home=tmp_path / "home"))
    inspector.enroll(plates, write_plates(tmp_path / "plates", 3))
    with pytest.raises(Exception, match=r"run\.csv: is of modality time_series, and the product is inspected by image"):
        inspector.inspect(files["run"], "plates")
    both = plates.model_copy(update={"modality": ("image", "time_series")})
    inspector.products.catalog.write(both)
    with pytest.raises(FittedPartError, match="learned without any time_series"):
        inspector.inspect(files["run"], "plates")


def test_the_command_line_takes_the_assets_of_a_part_together(motors, files, monkeypatch, capsys) -> None:
    monkeypatch.setenv("ANOMALYST_HOME", str(motors))
    paths = [str(files["plate"]), str(files["spike"])]
    monkeypatch.setattr("sys.argv", ["anomalyst", "inspect", *paths, "--product", "motor", "--together", "--json"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    report = InspectionReport.model_validate(json.loads(capsys.readouterr().out))
    assert [shown.name for shown in report.inputs] == ["plate.png", "spike.csv"]


def test_values_that_no_sensor_gives_end_in_review(motors, files, tmp_path) -> None:
    lines = files["run"].read_text().splitlines()
    absurd = tmp_path / "absurd.csv"
    absurd.write_text("\n".join([lines[0], *(f"{line.split(',')[0]},1e308,-1e308,1e308,1e308" for line in lines[1:])]))
    inspector = Inspector(Settings(home=motors))
    with pytest.raises(AssetError, match=r"^absurd\.csv: .*no number in any column") as refused:
        inspector.inspect(absurd, "motor")
    assert "\n" not in str(refused.value)
    some = tmp_path / "some.csv"
    some.write_text("\n".join(line.replace(",1", ",1e308", 1) if n % 3 == 0 else line for n, line in enumerate(lines)))
    assert inspector.inspect(some, "motor").verdict == "review"


def test_a_run_that_was_cut_off_ends_in_review(motors, files, tmp_path) -> None:
    cut = tmp_path / "cut.csv"
    cut.write_text("\n".join(files["run"].read_text().splitlines()[:420]))
    report = Inspector(Settings(home=motors)).inspect([files["plate"], cut], "motor")
    assert report.verdict == "review"
    assert any("it was cut off, or is another kind of run" in reason for reason in report.decision.reasons)


def test_learning_says_what_an_inspection_of_such_parts_can_keep(tmp_path) -> None:
    from agent.enrolment import summary

    inspector = Inspector(Settings(home=tmp_path / "home"))
    runs = Product(name="runs", description="Runs.", modality="time_series")
    few = summary(inspector.enroll(runs, [write_run(tmp_path / f"{seed}.csv", seed) for seed in range(3)]))
    assert not few["promised"]
    assert "no threshold can be promised" in few["promise"]
    with pytest.raises(ProductError, match="inspected by depth too"):
        inspector.enroll(
            runs.model_copy(update={"modality": ("time_series", "depth")}), [write_run(tmp_path / "one.csv", 1)]
        )


def test_the_text_of_a_report_speaks_in_the_terms_of_the_asset(motors, files) -> None:
    text = markdown_text(Inspector(Settings(home=motors)).inspect([files["scratched"], files["spike"]], "motor"))
    assert "Pixels " in text
    assert "Time series a2: first " in text
    assert "channels current" in text


def test_a_planner_that_leaves_a_rule_unchecked_on_one_asset_gets_no_normal(motors, files, scripted) -> None:
    tools = ["render_asset", "localize_anomalies", "retrieve_knowledge", "reason_about_anomaly"]
    steps = [{"tool": tool, "target": asset, "purpose": "p"} for tool in tools for asset in ("a1", "a2")]
    steps.append({"tool": "check_rules", "target": "a1", "purpose": "p"})
    planner = scripted({"steps": steps}, {"steps": []})
    report = Inspector(Settings(home=motors), planner=planner).inspect([files["plate"], files["run"]], "motor")
    assert report.verdict == "review"
    assert "Rule M-2 was not checked on asset a2." in report.decision.reasons


def test_of_two_assets_of_one_modality_the_worst_result_stands_and_claims_are_checked_on_their_own(
    motors, tmp_path
) -> None:
    bright = write_plate(tmp_path / "bright.png", 310)
    dark = tmp_path / "dark.png"
    Image.fromarray((np.asarray(Image.open(bright)) // 6).astype(np.uint8)).save(dark)
    report = Inspector(Settings(home=motors)).inspect([dark, bright], "motor")
    assert {rule.id: rule.result for rule in report.rules}["M-1"] == "violated"
    said = {(claim.text, claim.status) for claim in report.claims if claim.kind == "rule"}
    assert said == {("Rule M-1 is violated.", "supported"), ("Rule M-1 is kept.", "supported")}
