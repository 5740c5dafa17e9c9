"""What decides is what is there: change one thing of a case, and see that the answer follows it and nothing else."""

import base64
import io
import itertools
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import imagecodecs
import numpy as np
import pytest
from langchain_core.messages import BaseMessage
from numpy.typing import NDArray
from PIL import Image
from pydantic import Field

from agent import InspectionReport, Inspector, Settings
from agent.simulated.bench_runs import CHANNELS, RATE, draw_run
from agent.simulated.brackets import draw_bracket
from agent.simulated.flanges import COUNT, DENT_AT, paint_flange
from evals.simulated import PLATE, paint_plate, write_plate
from evals.stand_in import Bound, StandIn, embedded_answer
from knowledge import AssetError, NormalityRule, Product
from tools import BRIEFING_TITLE
from tools.panels import labelled

Pixels = NDArray[np.uint8]

NORMAL, SCRATCHED = 1000, 1001


def _saved(path: Path, pixels: NDArray[Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(imagecodecs.png_encode(np.ascontiguousarray(pixels))))
    return path


@pytest.fixture(scope="session")
def plates(learned_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[Pixels], InspectionReport]:
    """The embedded inspection of a picture of a plate."""
    inspector, folder = Inspector(Settings(home=learned_home)), tmp_path_factory.mktemp("plates")
    return lambda pixels: inspector.inspect(_saved(folder / "plate.png", pixels), "plate")


# -- erasing what is cited -------------------------------------------------------------------------------------------

REFERENCE = paint_plate(3)
"""One of the plates that were learned."""


class _Box(NamedTuple):
    x0: int
    y0: int
    x1: int
    y1: int

    def over(self, part: NDArray[Any], by: NDArray[Any]) -> NDArray[Any]:
        """The part with what another shows inside the box."""
        changed = part.copy()
        changed[self.y0 : self.y1, self.x0 : self.x1] = by[self.y0 : self.y1, self.x0 : self.x1]
        return changed


def _opposite(box: _Box, part: Pixels) -> _Box:
    """A place of the same size at the other end of the part."""
    height, width = part.shape[:2]
    return _Box(width - box.x1, height - box.y1, width - box.x0, height - box.y0)


def _is_cleared(report: InspectionReport) -> None:
    assert report.verdict == "normal", report.decision.reasons
    assert report.findings == ()
    assert report.decision.score < report.decision.threshold
    assert report.decision.p_value > report.decision.alpha


def _still_stands(report: InspectionReport, before: InspectionReport) -> None:
    assert report.verdict == "anomalous"
    assert [finding.defect_type for finding in report.findings] == [finding.defect_type for finding in before.findings]
    assert np.abs(np.subtract(report.findings[0].box, before.findings[0].box)).max() <= 4
    assert report.decision.p_value == before.decision.p_value
    assert report.decision.score == pytest.approx(before.decision.score, rel=0.05)


@pytest.mark.parametrize("defect", ["scratch", "spot"])
@pytest.mark.parametrize("seed", [1001, 1002, 1003])
def test_a_defect_whose_place_is_painted_over_is_gone_and_one_beside_it_stays(plates, seed: int, defect: Any) -> None:
    part = paint_plate(seed, defect)
    before = plates(part)
    assert before.verdict == "anomalous"
    box = _Box(*before.findings[0].box)
    _is_cleared(plates(box.over(part, by=paint_plate(seed))))
    _is_cleared(plates(box.over(part, by=REFERENCE)))
    _still_stands(plates(_opposite(box, part).over(part, by=REFERENCE)), before)


@pytest.mark.parametrize("erased", ["scratch", "stain"])
def test_of_two_defects_only_the_one_that_is_painted_over_is_gone(plates, erased: str) -> None:
    part, spotted = paint_plate(SCRATCHED, "scratch"), paint_plate(SCRATCHED, "spot")
    part = np.where(spotted == 235, spotted, part)
    before = plates(part)
    boxes = {finding.defect_type: _Box(*finding.box) for finding in before.findings}
    assert set(boxes) == {"scratch", "stain"}
    after = plates(boxes[erased].over(part, by=paint_plate(SCRATCHED)))
    assert after.verdict == "anomalous"
    assert {finding.defect_type for finding in after.findings} == {"scratch", "stain"} - {erased}
    assert {rule.id: rule.result for rule in after.rules}["P-2"] == ("passed" if erased == "scratch" else "violated")


def _counts(heights: NDArray[np.float64]) -> NDArray[np.uint16]:
    return np.where(np.isfinite(heights), np.rint(np.nan_to_num(heights) / COUNT), 0).astype(np.uint16)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [300, 301])
def test_a_dent_that_is_filled_in_is_gone_and_one_beside_the_filling_stays(flange_home, tmp_path, seed: int) -> None:
    inspector = Inspector(Settings(home=flange_home))
    whole, other = paint_flange(seed), paint_flange(0)
    rows, columns = np.mgrid[0 : whole.shape[0], 0 : whole.shape[1]] + 0.5
    near = (columns - DENT_AT[0]) ** 2 + (rows - DENT_AT[1]) ** 2
    dented = whole - 0.5 * np.exp(-near / (2 * 4.0**2))
    before = inspector.inspect(_saved(tmp_path / "part.png", _counts(dented)), "flange")
    assert before.verdict == "anomalous"
    box = _Box(*before.findings[0].box)
    assert box.x0 <= DENT_AT[0] <= box.x1
    assert box.y0 <= DENT_AT[1] <= box.y1
    wider = _Box(box.x0 - 8, box.y0 - 8, box.x1 + 8, box.y1 + 8)
    filled = inspector.inspect(_saved(tmp_path / "part.png", _counts(wider.over(dented, by=whole))), "flange")
    _is_cleared(filled)
    level = float(np.nanmedian(whole - other))
    elsewhere = _opposite(box, _counts(whole)).over(dented, by=other + level)
    after = inspector.inspect(_saved(tmp_path / "part.png", _counts(elsewhere)), "flange")
    assert after.verdict == "anomalous"
    assert after.findings[0].native["depth"] == pytest.approx(before.findings[0].native["depth"], rel=0.1)
    assert np.abs(np.subtract(after.findings[0].box, box)).max() <= 2


def _table(path: Path, values: NDArray[np.float64]) -> Path:
    """The samples of a run as a table with seconds."""
    rows = [",".join([f"{number / RATE:.3f}", *(f"{each:.5g}" for each in row)]) for number, row in enumerate(values)]
    path.write_text("\n".join([",".join(("seconds", *CHANNELS)), *rows, ""]))
    return path


@pytest.fixture(scope="session")
def timed_runs(tmp_path_factory: pytest.TempPathFactory) -> Callable[[NDArray[np.float64]], InspectionReport]:
    """The embedded inspection of a run."""
    home = tmp_path_factory.mktemp("timed")
    inspector = Inspector(Settings(home=home))
    run = Product(name="timed", description="A run of a motor (simulated).", modality="time_series", alpha=0.15)
    inspector.enroll(run, [_table(home / f"{seed}.csv", draw_run(seed)) for seed in range(10)])
    return lambda values: inspector.inspect(_table(home / "part.csv", values), "timed")


@pytest.mark.slow
@pytest.mark.parametrize("seed", [300, 301])
def test_an_event_whose_samples_are_replaced_is_gone_and_one_beside_it_stays(timed_runs, seed: int) -> None:
    normal, other = draw_run(seed), draw_run(0)
    channel = CHANNELS.index("current_a")
    odd = normal.copy()
    odd[280:320, channel] += 1.1
    before = timed_runs(odd)
    assert before.verdict == "anomalous"
    places = [(finding.native["first"], finding.native["last"]) for finding in before.findings]
    assert all("current_a" in finding.native["channels"] for finding in before.findings)
    first, last = min(place[0] for place in places), max(place[1] for place in places)
    assert first <= 320
    assert last >= 280
    margin = 20
    calm = odd.copy()
    calm[min(first, 280) - margin : max(last, 320) + margin] = normal[
        min(first, 280) - margin : max(last, 320) + margin
    ]
    _is_cleared(timed_runs(calm))
    elsewhere = odd.copy()
    elsewhere[180:220, channel] = other[180:220, channel]
    after = timed_runs(elsewhere)
    assert after.verdict == "anomalous"
    assert any(abs(finding.native["first"] - first) <= 3 for finding in after.findings)


# -- other references ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def turned_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which plates were learned that have their holes elsewhere and are dark where others are bright."""
    home = tmp_path_factory.mktemp("turned")
    turned = [255 - np.roll(paint_plate(seed), 32, axis=1) for seed in range(20)]
    files = [_saved(home / "pictures" / f"{seed}.png", pixels) for seed, pixels in enumerate(turned)]
    Inspector(Settings(home=home)).enroll(PLATE, files)
    return home


@pytest.mark.slow
def test_a_part_that_is_normal_among_its_own_is_none_among_others(plates, turned_home, tmp_path) -> None:
    part = paint_plate(NORMAL)
    assert plates(part).verdict == "normal"
    report = Inspector(Settings(home=turned_home)).inspect(_saved(tmp_path / "part.png", part), "plate")
    assert report.verdict != "normal"
    assert report.decision.p_value <= report.decision.alpha


def test_an_enrolled_part_is_not_shown_among_its_own_references(learned_home) -> None:
    inspector = Inspector(Settings(home=learned_home))
    report = inspector.inspect(learned_home / "pictures" / "plate0000.png", "plate")
    assert len(report.references) == 3
    assert report.inputs[0].sha256[:12] not in {reference.id for reference in report.references}
    assert report.inputs[0].views[0].image not in {reference.image for reference in report.references}


def test_an_enrolled_part_in_another_file_is_not_shown_among_its_own_references(learned_home, tmp_path) -> None:
    again = tmp_path / "again.png"
    Image.fromarray(paint_plate(0)).save(again, compress_level=0)
    report = Inspector(Settings(home=learned_home)).inspect(again, "plate")
    assert report.inputs[0].views[0].image not in {reference.image for reference in report.references}


@pytest.mark.slow
def test_a_recording_that_was_enrolled_is_not_shown_among_its_own_references(run_home) -> None:
    report = Inspector(Settings(home=run_home)).inspect(run_home / "files" / "0.csv", "run")
    assert report.inputs[0].sha256[:12] not in {reference.id for reference in report.references}


class Shown(NamedTuple):
    """A picture with the words before it."""

    said: str
    picture: Pixels


def _shown(messages: Sequence[BaseMessage]) -> list[Shown]:
    blocks = [block for message in messages if isinstance(message.content, list) for block in message.content]
    found = []
    for text, block in itertools.pairwise(blocks):
        if "base64" in block:
            picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(block["base64"]))).convert("RGB"))
            found.append(Shown(text["text"].removeprefix("Panel ").partition(":")[0], picture))
    return found


def _read_bar(picture: Pixels) -> str:
    """The label that is drawn above a picture, told by drawing each anew."""
    names = ("query", "heat map", "reference A", "reference B", "crop 1", "crop 2")
    body = picture[26:]
    bars = {name: labelled(body, name)[:26] for name in names}
    matching = [
        name
        for name, bar in bars.items()
        if bar.shape[1] <= picture.shape[1] and np.array_equal(bar, picture[:26, : bar.shape[1]])
    ]
    assert len(matching) == 1
    return matching[0]


def test_the_label_in_each_picture_is_the_one_in_words_and_a_swap_is_seen(learned_home, tmp_path, scripted) -> None:
    model = scripted({"opinion": "unsure", "explanation": "?"})
    part = write_plate(tmp_path / "part.png", SCRATCHED, "scratch")
    Inspector(Settings(home=learned_home), reasoner=model).inspect(part, "plate")
    panels = _shown(model.history[0])
    assert [panel.said for panel in panels] == ["reference A", "reference B", "query", "heat map", "crop 1"]
    assert [_read_bar(panel.picture) for panel in panels] == [panel.said for panel in panels]
    swapped = [Shown(panels[0].said, panels[2].picture), Shown(panels[2].said, panels[0].picture)]
    assert [(panel.said, _read_bar(panel.picture)) for panel in swapped] == [
        ("reference A", "query"),
        ("query", "reference A"),
    ]


@pytest.mark.slow
@pytest.mark.parametrize("subject", ["reference A", "reference", "REFERENCE B", "query", "heat map", "crop 1"])
@pytest.mark.parametrize("kind", ["presence", "place", "colour", "size"])
def test_a_claim_about_a_panel_as_if_it_were_a_region_is_refuted(judged, subject: str, kind: str) -> None:
    lie = {"kind": kind, "subject": subject, "text": "There.", "word": "darker", "number": 0.1, "evidence": ["e2"]}
    report = judged({"opinion": "anomalous", "explanation": "See there.", "claims": [lie]})
    assert [claim.status for claim in report.claims] == ["refuted"]
    assert report.verdict == "normal"


def test_a_finding_on_a_reference_is_no_finding_of_the_part(judged) -> None:
    finding = {"region": "reference A", "title": "A scratch", "severity": "major", "explanation": "there"}
    report = judged({"opinion": "anomalous", "explanation": "See there.", "findings": [finding]})
    assert report.findings == ()
    assert report.verdict == "review"
    assert any("'reference A', which is no region of this part" in item for item in report.not_checked)


# -- other rules -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def own_home(learned_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home of its own, whose product may be written anew."""
    home = tmp_path_factory.mktemp("own") / "home"
    for folder in ("catalog", "models"):
        shutil.copytree(learned_home / folder, home / folder)
    return home


@pytest.fixture
def ruled(own_home: Path, tmp_path: Path) -> Callable[..., InspectionReport]:
    """The inspection of a plate under other rules."""

    def inspect(rules: Sequence[NormalityRule], defect: Any = "") -> InspectionReport:
        inspector = Inspector(Settings(home=own_home))
        inspector.products.catalog.write(PLATE.model_copy(update={"rules": tuple(rules)}))
        return inspector.inspect(write_plate(tmp_path / "part.png", SCRATCHED if defect else NORMAL, defect), "plate")

    return inspect


DARK = PLATE.rules[0].model_copy(update={"text": "The plate is dark.", "check": "!(part.brightness > 0.2)"})


def test_a_rule_that_is_turned_round_decides_alone_and_is_named(ruled) -> None:
    assert ruled(PLATE.rules).verdict == "normal"
    report = ruled([DARK, *PLATE.rules[1:]])
    assert report.verdict == "anomalous"
    assert report.decision.p_value > report.decision.alpha
    assert report.decision.reasons[0] == "Rule P-1 is violated: The plate is dark."


def test_a_rule_that_is_left_out_decides_no_more_and_is_not_told(ruled) -> None:
    assert ruled([DARK]).verdict == "anomalous"
    report = ruled(PLATE.rules[1:])
    assert report.verdict == "normal"
    assert "P-1" not in report.model_dump_json()


@pytest.mark.parametrize("left_out", ["P-1", "P-2", "P-3"])
def test_a_defect_is_found_under_any_rules(ruled, left_out: str) -> None:
    report = ruled([rule for rule in PLATE.rules if rule.id != left_out], "scratch")
    assert report.verdict == "anomalous"
    assert left_out not in {rule.id for rule in report.rules}
    assert not any(left_out in reason for reason in report.decision.reasons)


@pytest.mark.slow
@pytest.mark.parametrize("defect", ["", "scratch"], ids=["normal part", "defective part"])
def test_conditions_that_are_left_out_one_after_the_other_change_no_verdict(
    learned_home, tmp_path, scripted, defect: Any
) -> None:
    part = write_plate(tmp_path / "part.png", SCRATCHED if defect else NORMAL, defect)
    conditions = ("task", "context", "rules", "references")
    found = []
    for kept in range(len(conditions), -1, -1):
        settings = Settings(home=learned_home, conditions=conditions[:kept])
        reasoner = scripted({"opinion": "anomalous" if defect else "normal", "explanation": "As it seems."})
        report = Inspector(settings, reasoner=reasoner).inspect(part, "plate")
        found.append((report.verdict, report.decision.p_value, [(rule.id, rule.result) for rule in report.rules]))
        embedded = Inspector(settings).inspect(part, "plate")
        assert (embedded.verdict, embedded.decision.p_value) == found[0][:2]
    assert found == [found[0]] * len(found)
    assert found[0][0] == ("anomalous" if defect else "normal")


# -- nothing to be seen ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0], ids=["black", "gray", "white"])
def test_a_blank_picture_ends_in_review(learned_home, tmp_path, scripted, share: float, bits: int) -> None:
    blank = np.full((96, 128), round(share * (2**bits - 1)), np.uint8 if bits == 8 else np.uint16)
    path = _saved(tmp_path / "blank.png", blank)
    pleased = scripted({"opinion": "normal", "explanation": "Spotless."})
    for options in ({}, {"reasoner": pleased}):
        report = Inspector(Settings(home=learned_home), **options).inspect(path, "plate")
        assert report.verdict == "review"
        assert any("shows nothing" in reason for reason in report.decision.reasons)


@pytest.mark.parametrize("level", [0.0, 1.0])
def test_a_recording_that_never_moves_is_not_normal(timed_runs, level: float) -> None:
    report = timed_runs(np.broadcast_to(draw_run(300).mean(axis=0) * level, (600, 4)))
    assert report.verdict in ("anomalous", "review"), report.decision.reasons


def test_a_height_map_that_is_nearly_empty_is_not_normal(flange_home, tmp_path) -> None:
    counts = np.zeros((160, 160), np.uint16)
    counts[70:80, 70:80] = 5000
    path = _saved(tmp_path / "empty.png", counts)
    assert _verdict_or_refusal(Inspector(Settings(home=flange_home)), path, "flange") in ("review", "refused")


def _verdict_or_refusal(inspector: Inspector, path: Path, product: str) -> str:
    try:
        return inspector.inspect(path, product).verdict
    except AssetError:
        return "refused"


def _cloud(path: Path, points: NDArray[np.float64]) -> Path:
    path.write_text("\n".join(" ".join(f"{each:.4f}" for each in point) for point in points))
    return path


@pytest.fixture(scope="module")
def brackets(tmp_path_factory: pytest.TempPathFactory) -> Callable[[NDArray[np.float64]], str | InspectionReport]:
    """The embedded inspection of a cloud of points, or `refused`."""
    home = tmp_path_factory.mktemp("brackets")
    inspector = Inspector(Settings(home=home))
    bracket = Product(name="bracket", description="A bracket.", modality="point_cloud", unit="mm", alpha=0.1)
    inspector.enroll(bracket, [_cloud(home / f"{seed}.xyz", draw_bracket(seed)) for seed in range(9)])

    def inspect(points: NDArray[np.float64]) -> str | InspectionReport:
        try:
            return inspector.inspect(_cloud(home / "part.xyz", points), "bracket")
        except AssetError:
            return "refused"

    return inspect


@pytest.mark.slow
def test_a_bump_that_is_taken_off_is_gone_and_one_beside_it_stays(brackets) -> None:
    whole = draw_bracket(300)
    lowest = whole[whole[:, 2] < 9]  # on the plate, not on its boss
    anchor = lowest[np.argmin(np.abs(lowest - (-18, 6, 6)).sum(axis=1))]
    near = np.linalg.norm(whole - anchor, axis=1)
    bumped = whole.copy()
    bumped[:, 2] += np.where((near < 8) & (whole[:, 2] > anchor[2] - 2), 1.4 * np.exp(-(near**2) / (2 * 2.5**2)), 0)
    before = brackets(bumped)
    assert before.verdict == "anomalous"
    assert np.linalg.norm(np.array(before.findings[0].native["centroid"]) - anchor) < 4
    taken_off = np.where((near < 10)[:, None], whole, bumped)
    _is_cleared(brackets(taken_off))
    far = np.linalg.norm(whole - (anchor + np.array([36, 0, 0])), axis=1) < 8
    noise = np.random.default_rng(0).normal(0, 0.03, bumped.shape)
    after = brackets(bumped + far[:, None] * noise)
    assert after.verdict == "anomalous"
    assert np.linalg.norm(np.array(after.findings[0].native["centroid"]) - anchor) < 4


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 3, 20, 100])
def test_a_cloud_that_is_nearly_empty_is_not_normal(brackets, count: int) -> None:
    found = brackets(np.random.default_rng(0).uniform(-20, 20, (count, 3)))
    assert found == "refused" or found.verdict in ("anomalous", "review")


# -- opinions against measurements -----------------------------------------------------------------------------------


@pytest.fixture
def judged(learned_home: Path, tmp_path: Path, scripted: Any) -> Callable[..., InspectionReport]:
    """The inspection of a plate, normal unless a defect is named, with an answer of a reasoner's."""

    def inspect(answer: Any, defect: Any = "") -> InspectionReport:
        part = write_plate(tmp_path / "part.png", SCRATCHED if defect else NORMAL, defect)
        return Inspector(Settings(home=learned_home), reasoner=scripted(answer, answer)).inspect(part, "plate")

    return inspect


ANSWERS: dict[str, tuple[Any, str]] = {
    "normal": ({"opinion": "normal", "explanation": "Fine."}, "normal"),
    "anomalous": ({"opinion": "anomalous", "explanation": "A hair."}, "review"),
    "unsure": ({"opinion": "unsure", "explanation": "Blurred."}, "review"),
    "a finding": (
        {
            "opinion": "normal",
            "explanation": "Fine.",
            "findings": [
                {"region": "a1.v1", "box": [0, 0, 1, 1], "title": "Dust", "severity": "minor", "explanation": "there"}
            ],
        },
        "review",
    ),
    "a rule that no measurement checks": (
        {
            "opinion": "normal",
            "explanation": "Fine.",
            "rule_answers": [{"rule": "P-3", "answer": "no", "reason": "Dust."}],
        },
        "review",
    ),
    "a rule that a measurement checks": (
        {
            "opinion": "normal",
            "explanation": "Fine.",
            "rule_answers": [{"rule": "P-1", "answer": "no", "reason": "Too dark."}],
        },
        "normal",
    ),
    "a claim that a rule is violated": (
        {
            "opinion": "normal",
            "explanation": "Fine.",
            "claims": [
                {"kind": "rule", "subject": "P-3", "text": "It is dirty.", "word": "violated", "evidence": ["e2"]}
            ],
        },
        "review",
    ),
    "prose": ("I would rather not say.", "review"),
}


@pytest.mark.parametrize("answer", ANSWERS)
def test_a_reasoner_may_doubt_a_normal_part_and_never_decides(judged, answer: str) -> None:
    said, verdict = ANSWERS[answer]
    assert judged(said).verdict == verdict


@pytest.mark.parametrize("answer", ANSWERS)
def test_a_reasoner_clears_no_calibrated_anomaly(judged, answer: str) -> None:
    report = judged(ANSWERS[answer][0], "scratch")
    assert report.verdict == "anomalous"
    assert report.decision.p_value <= report.decision.alpha


def _claim(kind: str, subject: str, **said: Any) -> dict[str, Any]:
    return {"kind": kind, "subject": subject, "text": f"A lie about {kind}.", "evidence": ["e2"], **said}


LIES: dict[str, dict[str, Any]] = {
    "side": _claim("place", "a1.r1", word="bottom left"),
    "other side": _claim("place", "a1.r1", word="bottom right"),
    "count": _claim("count", "a1.v1", number=7.0),
    "no regions": _claim("count", "a1.v1", number=0.0),
    "size": _claim("size", "a1.r1", number=0.9),
    "size beyond everything": _claim("size", "a1.r1", number=12.0),
    "colour": _claim("colour", "a1.r1", word="brighter"),
    "brighter than normal": _claim("comparison", "a1.r1", other="reference", word="brighter"),
    "larger than itself": _claim("comparison", "a1.r1", other="a1.r1", word="larger"),
    "larger than none": _claim("comparison", "a1.r1", other="a1.r9", word="larger"),
    "number": _claim("number", "a1.r1", attribute="elongation", number=40.0),
    "rule kept": _claim("rule", "P-2", word="kept"),
    "rule violated": _claim("rule", "P-1", word="violated"),
    "rule that is none": _claim("rule", "P-77", word="violated"),
    "evidence that is none": {**_claim("presence", "a1.r1"), "evidence": ["e99"]},
    "evidence among others that is none": {**_claim("presence", "a1.r1"), "evidence": ["e2", "e99"]},
    "region that is none": _claim("presence", "a1.r9"),
    "region of another asset": _claim("presence", "a2.r1"),
    "view that is none": _claim("count", "a1.v9", number=1.0),
    "box inside out": _claim("presence", "a1.v1", box=[0.9, 0.9, 0.1, 0.1]),
}


@pytest.fixture(scope="module")
def lies_about_a_scratch(learned_home: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What became of each lie about a scratched plate, and the verdict under `verdict`."""
    answer = {"opinion": "normal", "explanation": "All is well.", "claims": list(LIES.values())}
    part = write_plate(tmp_path_factory.mktemp("lies") / "part.png", SCRATCHED, "scratch")
    report = Inspector(Settings(home=learned_home), reasoner=Answering(answers={"a1": answer})).inspect(part, "plate")
    statuses = [claim.status for claim in report.claims]
    return {**dict(zip(LIES, statuses, strict=True)), "verdict": report.verdict}


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_is_refuted(lies_about_a_scratch, lie: str) -> None:
    assert lies_about_a_scratch[lie] == "refuted"
    assert lies_about_a_scratch["verdict"] == "anomalous"


@pytest.mark.parametrize(
    "lie", ["count", "rule violated", "rule that is none", "evidence that is none", "view that is none"]
)
def test_lies_alone_make_no_anomaly_and_no_review(judged, lie: str) -> None:
    report = judged({"opinion": "anomalous", "explanation": "Broken.", "claims": [LIES[lie]]})
    assert [claim.status for claim in report.claims] == ["refuted"]
    assert report.verdict == "normal"
    assert any("code refuted every one" in reason for reason in report.decision.reasons)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("attribute", "off"), [("start", -4.0), ("start", 0.5), ("end", 3.0), ("duration", 10.0), ("duration", -0.5)]
)
def test_a_lie_about_a_time_is_refuted(run_home, tmp_path, scripted, attribute: str, off: float) -> None:
    part = tmp_path / "run.csv"
    values = draw_run(300, "current spike")
    part.write_text(_table(part, values).read_text().replace("seconds,", "time [s],", 1))
    honest = Inspector(Settings(home=run_home)).inspect(part, "run")
    name = {"start": "start_s", "end": "end_s", "duration": "duration"}[attribute]
    true = next(each.value for each in honest.findings[0].measurements if each.name == name)
    lie = _claim("time", "a1.r1", attribute=attribute, number=true + off)
    answer = {"opinion": "normal", "explanation": "x", "claims": [lie]}
    report = Inspector(Settings(home=run_home), reasoner=scripted(answer)).inspect(part, "run")
    assert [claim.status for claim in report.claims] == ["refuted"]
    assert report.verdict == honest.verdict


# -- two reasoners, two assets ---------------------------------------------------------------------------------------


class Answering(StandIn):
    """Answers for each asset what it was given for it; as the embedded model does, and keeps it, where it has nothing."""

    name: str | None = "answering"
    answers: dict[str, dict[str, Any]] = Field(default_factory=dict)

    def answer(self, messages: list[BaseMessage], bound: Bound) -> dict[str, Any]:
        text = messages[-1].content[0]["text"]  # type: ignore[index]
        asset = json.loads(text.partition(BRIEFING_TITLE)[2])["asset"]["id"]
        if asset not in self.answers:
            self.answers[asset] = embedded_answer(messages, bound).tool_calls[0]["args"]
        return self.answers[asset]


@pytest.mark.parametrize(("defect", "verdict"), [("", "review"), ("scratch", "anomalous")])
def test_a_second_reasoner_that_disagrees_is_recorded(
    learned_home, tmp_path, scripted, defect: Any, verdict: str
) -> None:
    part = write_plate(tmp_path / "part.png", SCRATCHED if defect else NORMAL, defect)
    opinions = ("anomalous", "normal") if defect else ("normal", "anomalous")
    models = [scripted({"opinion": opinion, "explanation": f"It is {opinion}."}) for opinion in opinions]
    inspector = Inspector(Settings(home=learned_home), reasoner=models[0], second_reasoner=models[1])
    report = inspector.inspect(part, "plate")
    assert report.verdict == verdict
    assert report.reasoners_agree is False
    assert [(opinion.opinion, opinion.agrees) for opinion in report.opinions] == [
        (opinions[0], True),
        (opinions[1], False),
    ]
    assert any(f"It is {opinions[1]}." in reason for reason in report.decision.reasons)


@pytest.fixture(scope="module")
def pair(learned_home: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A scratched plate and a stained one, as two assets of one part."""
    folder = tmp_path_factory.mktemp("pair")
    return [
        write_plate(folder / "one.png", SCRATCHED, "scratch"),
        write_plate(folder / "two.png", SCRATCHED + 1, "spot"),
    ]


@pytest.fixture(scope="module")
def honest(learned_home: Path, pair: list[Path]) -> Answering:
    """What may be said of each, all of which holds."""
    model = Answering()
    report = Inspector(Settings(home=learned_home), reasoner=model).inspect(pair, "plate")
    assert report.verdict == "anomalous"
    assert {claim.status for claim in report.claims} == {"supported"}
    return model


def _as_of(answer: dict[str, Any], one: str, other: str) -> dict[str, Any]:
    """An answer with every id of an asset turned into the same of the other."""
    renamed: dict[str, Any] = json.loads(json.dumps(answer).replace(f'"{one}.', f'"{other}.'))
    return renamed


def _evidence_of(answer: dict[str, Any]) -> list[str]:
    return list(dict.fromkeys(id_ for claim in answer["claims"] for id_ in claim["evidence"]))


def test_what_is_said_of_one_asset_is_refuted_of_another(learned_home, pair, honest) -> None:
    one, two = honest.answers["a1"], honest.answers["a2"]
    swapped = Answering(answers={"a1": _as_of(two, "a2", "a1"), "a2": _as_of(one, "a1", "a2")})
    for asset, other in (("a1", two), ("a2", one)):
        mine = _evidence_of(honest.answers[asset])
        for claim, said in zip(swapped.answers[asset]["claims"], other["claims"], strict=True):
            claim["evidence"] = mine  # it cites what was found on the asset that it speaks of
            assert claim["kind"] == said["kind"]
    report = Inspector(Settings(home=learned_home), reasoner=swapped).inspect(pair, "plate")
    statuses = {(claim.kind, claim.status) for claim in report.claims if claim.kind in ("place", "colour", "number")}
    assert {status for _, status in statuses} == {"refuted"}
    assert {kind for kind, _ in statuses} >= {"place", "number"}
    assert report.verdict == "anomalous"


def test_a_claim_that_cites_what_was_found_on_another_asset_alone_is_refuted(learned_home, pair, honest) -> None:
    answers = json.loads(json.dumps(honest.answers))
    for asset, other in (("a1", "a2"), ("a2", "a1")):
        for claim in answers[asset]["claims"]:
            claim["evidence"] = _evidence_of(honest.answers[other])
    report = Inspector(Settings(home=learned_home), reasoner=Answering(answers=answers)).inspect(pair, "plate")
    about_regions = [claim for claim in report.claims if claim.kind != "rule"]
    assert about_regions
    assert {claim.status for claim in about_regions} == {"refuted"}
    assert report.verdict == "anomalous"


def test_opinions_that_are_swapped_between_a_normal_and_a_defective_asset_clear_nothing(
    learned_home, tmp_path, pair
) -> None:
    clean = write_plate(tmp_path / "clean.png", NORMAL)
    lies = Answering(
        answers={
            "a1": {"opinion": "normal", "explanation": "Fine.", "claims": [_claim("count", "a1.v1", number=0.0)]},
            "a2": {"opinion": "anomalous", "explanation": "A scratch.", "claims": [_claim("presence", "a2.r1")]},
        }
    )
    report = Inspector(Settings(home=learned_home), reasoner=lies).inspect([pair[0], clean], "plate")
    assert {claim.status for claim in report.claims} == {"refuted"}
    assert report.verdict == "anomalous"
    assert [opinion.agrees for opinion in report.opinions] == [False, False]
    assert [finding.asset for finding in report.findings] == ["a1"]
