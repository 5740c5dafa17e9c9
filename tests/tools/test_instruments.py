"""Every instrument on a part painted by hand, with a network of one weight, so that each number can be worked out."""

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from PIL import Image
from torch import Tensor

from knowledge import NormalityRule, Product, ReferenceImage, ReferenceIndex, ToolArgumentError, ToolFailure
from tools.artifacts import ArtifactStore
from tools.assets import Limits, load_image
from tools.evidence import Assessed, Evidence, Failed, Localized
from tools.instruments import Instruments
from tools.learned import LearnedProduct
from tools.localization import ConformalCalibration, Localizer, LocalizerSettings, Manifest
from tools.localization.anomaly_map import MapScale
from tools.localization.appearance import Appearance
from tools.localization.features import Features
from tools.localization.imaging import Imaging, ImagingRange
from tools.localization.manifest import FORMAT
from tools.localization.memory import PatchMemory
from tools.localization.normal import Normal
from tools.localization.projection import Projection
from tools.measuring import as_values
from tools.outcomes import Outcome
from tools.picture_instruments import MAX_REGIONS
from tools.reasoning import Member, Role

GRAY = 51
"""0.2 of full white: what a normal part looks like all over."""

ANY_IMAGING = ImagingRange(Imaging(*[-100.0] * 4), Imaging(*[100.0] * 4), None)
"""No picture is unlike these references."""

PLAIN = Appearance(kind="photograph", areas=(4096 * 4096,), components=None, whiten=False, reason="looked at by hand")


class Brightness:
    """A network of one weight: a patch is the mean brightness of eight by eight pixels."""

    name = "brightness"
    weights_sha256 = "0"
    multiple = 8
    memory_layers = (0,)
    neighbourhood = 1
    text = None
    notes: list[str] = []  # noqa: RUF012
    precision = "float32"

    def __init__(self) -> None:
        self.asked = 0

    def preprocess(self, pixels: np.ndarray, area: int) -> Tensor:
        return torch.from_numpy(pixels / 255).permute(2, 0, 1).float()

    def forward(self, images: Tensor) -> Features:
        self.asked += 1
        patches = F.avg_pool2d(images.mean(1, keepdim=True), 8)
        return Features((patches,), torch.ones(len(images), 1))


class Shelf:
    """One product, learned by hand: black and white are 0.2 and 0.8 away from the only patch in its memory."""

    def __init__(self, folder: Path, product: Product, calibration: list[float], imaging: ImagingRange) -> None:
        path = folder / "reference.png"
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((64, 64, 3), GRAY, np.uint8)).save(path)
        reference = ReferenceImage(path=path.name, sha256=load_image(path).asset.sha256)
        manifest = Manifest(
            format=FORMAT,
            settings=LocalizerSettings(),
            appearance=PLAIN,
            backbone_sha256="0",
            precision="float32",
            memory_parts=(reference.sha256,),
            calibration_parts=(),
            scheme="split",
            tensors_sha256="1",
        )
        self.backbone = Brightness()
        memory = PatchMemory(Projection(torch.zeros(1), torch.eye(1)), *[torch.tensor([[GRAY / 255]])] * 2)
        localizer = Localizer(
            self.backbone,
            Normal((memory,)),
            imaging,
            MapScale(0.0, 0.1),
            ConformalCalibration(calibration, "split"),
            np.ones((1, 1), np.float32),
            manifest,
        )
        index = ReferenceIndex([reference], localizer.embeddings)
        self.learned = LearnedProduct(product, "v", folder, localizer, index)

    def get(self, name: str) -> LearnedProduct:
        return self.learned


class Bench:
    """Instruments over one picture, with the evidence that they have given so far."""

    def __init__(self, home: Path, pixels: np.ndarray, reasoner: Any = None, **options: Any) -> None:
        rules = options.get("rules", (NormalityRule(id="P-1", text="One region.", check="size(regions) == 1"),))
        product = Product(name="part", description="d", unit="mm", pixel_size=0.5, rules=rules)
        calibration = options.get("calibration", [number / 39 for number in range(39)])
        self.store = ArtifactStore(home / "artifacts")
        self.shelf = Shelf(home / "part", product, calibration, options.get("imaging", ANY_IMAGING))
        shelf: Any = self.shelf
        reasoners = [Role("reasoner", (Member(reasoner, options.get("remote", False)),))] if reasoner else []
        self.instruments = Instruments(self.store, shelf, reasoners, limits=options.get("limits"))
        path = home / "SECRET name.png"
        Image.fromarray(pixels).save(path)
        loaded = load_image(path, options.get("limits"))
        self.store.put(loaded.content, "bin")
        self.state: Any = {
            "product": "part",
            "alpha": 0.05,
            "inputs": [loaded.asset.model_dump(mode="json")],
            "evidence": [],
        }

    def do(self, tool: str, target: str = "a1") -> Outcome:
        outcome: Outcome = getattr(self.instruments, tool)(target, self.state)
        id_ = f"e{len(self.state['evidence']) + 1}"
        record = Evidence(id=id_, tool=tool, summary=outcome["summary"], shown=outcome["shown"])
        self.state["evidence"].append(record.model_dump(mode="json"))
        return outcome

    def look(self) -> Localized:
        self.do("render_asset")
        shown = self.do("localize_anomalies")["shown"]
        assert isinstance(shown, Localized)
        return shown


def normal_part(height: int = 96, width: int = 128) -> np.ndarray:
    return np.full((height, width, 3), GRAY, np.uint8)


def marked_part(*corners: tuple[int, int], size: int = 24, **sides: int) -> np.ndarray:
    """A normal part with white squares, given by the row and column of their top left corners."""
    pixels = normal_part(**sides)
    for row, column in corners:
        pixels[row : row + size, column : column + size] = 255
    return pixels


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path, marked_part((48, 80)))


def test_a_white_square_is_found_measured_and_compared(bench) -> None:
    shown = bench.look()
    # 0.8 from the memory in units of 0.1 is 8 at the centre of the middle patch, which lies between four pixels.
    assert 7.5 < shown.score < 8.0
    assert shown.p_value == 1 / 40
    assert shown.threshold == pytest.approx(37 / 39)
    [region] = shown.regions
    assert region.peak == shown.score
    for found, painted in zip(region.box.as_list(), (80, 48, 104, 72), strict=True):
        assert abs(found - painted) <= 8
    mask = bench.store.get_array(region.mask)
    assert mask.dtype == bool
    assert mask.shape == bench.store.get_array(shown.map).shape == (96, 128)
    assert (mask == (bench.store.get_array(shown.map) >= region.peak / 2)).all()

    bench.do("retrieve_knowledge")
    values = as_values(bench.do("measure_region", region.id)["shown"].measurements)
    assert values["area"] == mask.sum()
    assert values["area_mm2"] == pytest.approx(mask.sum() / 4)
    assert values["contrast"] > 0.3
    compared = bench.do("compare_with_reference", region.id)["shown"]
    inside = marked_part((48, 80))[mask].mean()
    assert compared.difference == pytest.approx((inside - GRAY) / 255, abs=1e-6)
    assert bench.do("check_rules")["shown"].results[0].result == "passed"


def test_a_part_like_the_reference_has_no_region(tmp_path) -> None:
    shown = Bench(tmp_path, normal_part()).look()
    assert shown.score == pytest.approx(0.0, abs=1e-2)
    assert shown.regions == ()
    assert shown.p_value > shown.alpha


@pytest.mark.parametrize(
    ("calibration", "regions"), [([0.5, 0.6], 1), ([9.0], 0), ([], 0)], ids=["two", "one stranger", "none"]
)
def test_too_few_calibration_parts_give_no_threshold_and_still_show_where_to_look(
    tmp_path, calibration, regions
) -> None:
    shown = Bench(tmp_path, marked_part((48, 80)), calibration=calibration).look()
    assert shown.threshold is None
    assert "no threshold can be promised" in shown.promise
    assert len(shown.regions) == regions


def test_a_large_picture_is_viewed_smaller_and_found_in_its_own_pixels(tmp_path) -> None:
    bench = Bench(tmp_path, marked_part((1200, 1600), size=160, height=1800, width=2400))
    [region] = bench.look().regions
    assert region.source_box != region.box
    for found, painted in zip(region.source_box.as_list(), (1600, 1200, 1760, 1360), strict=True):
        assert abs(found - painted) <= 20


def test_whoever_asks_first_the_view_goes_through_the_network_once(bench) -> None:
    bench.do("render_asset")
    with ThreadPoolExecutor(4) as threads:
        tools = [bench.instruments.localize_anomalies, bench.instruments.retrieve_knowledge] * 4
        answers = list(threads.map(lambda tool: tool("a1", bench.state), tools))
    assert bench.shelf.backbone.asked == 1
    assert all(answer == answers[0] for answer in answers[::2])
    assert all(answer == answers[1] for answer in answers[1::2])


def test_regions_that_were_left_out_are_told_of(tmp_path) -> None:
    corners = [(row, column) for row in range(16, 400, 64) for column in range(16, 464, 64)]
    bench = Bench(tmp_path, marked_part(*corners, height=456, width=520))
    bench.do("render_asset")
    summary = bench.do("localize_anomalies")["summary"]
    assert len(corners) > MAX_REGIONS
    assert f"{len(corners)} region(s)" in summary


def test_a_rule_that_counts_regions_does_not_pass_because_some_were_left_out(tmp_path) -> None:
    rules = (NormalityRule(id="P-1", text="At most ten pores.", check="size(regions) <= 10"),)
    corners = [(row, column) for row in range(16, 400, 64) for column in range(16, 464, 64)]
    bench = Bench(tmp_path, marked_part(*corners, height=456, width=520), rules=rules)
    bench.look()
    assert bench.do("check_rules")["shown"].results[0].result != "passed"


def test_a_closer_look_holds_the_region_and_leads_back_to_it(tmp_path) -> None:
    bench = Bench(tmp_path, marked_part((0, 104)))
    [region] = bench.look().regions
    shown = bench.do("examine_region", region.id)["shown"]
    assert max(shown.crop.width, shown.crop.height) >= 256
    assert shown.enhanced.to_source == shown.crop.to_source
    pixels = bench.store.get_image(shown.crop.image)
    assert pixels.shape == (shown.crop.height, shown.crop.width, 3)
    assert pixels[shown.crop.box_from_source(region.source_box).slices].mean() > pixels.mean()


def test_a_picture_shown_as_it_is_has_its_regions_where_the_view_has_them(bench) -> None:
    [region] = bench.look().regions
    assert region.source_box == region.box
    crop = bench.do("examine_region", region.id)["shown"].crop
    assert crop.box_to_source(crop.box_from_source(region.source_box)) == region.source_box


@pytest.mark.parametrize(
    ("level", "tone"), [(0, "black"), (255, "white"), (120, "one even gray")], ids=["black", "white", "gray"]
)
def test_a_picture_that_shows_nothing_is_said_to(tmp_path, level, tone) -> None:
    shown = Bench(tmp_path, np.full((96, 128, 3), level, np.uint8)).do("render_asset")
    assert tone in shown["shown"].unsuitable[0]
    assert tone in shown["summary"]


def test_a_picture_that_shows_something_is_usable(bench) -> None:
    outcome = bench.do("render_asset")
    assert outcome["shown"].unsuitable == ()
    assert "128 x 96 pixels, 8 bits" in outcome["summary"]


def test_a_picture_that_intake_let_in_is_rendered(tmp_path) -> None:
    tiny = np.arange(12 * 12 * 3, dtype=np.uint8).reshape(12, 12, 3)
    bench = Bench(tmp_path, tiny, limits=Limits(min_side=8))
    assert bench.do("render_asset")["shown"].unsuitable == ()


def test_every_artifact_that_is_named_can_be_had(bench) -> None:
    [region] = bench.look().regions
    bench.do("retrieve_knowledge")
    for tool in ("measure_region", "examine_region", "compare_with_reference"):
        bench.do(tool, region.id)
    named = re.findall(r"\b[0-9a-f]{64}\.\w+\b", str(bench.state["evidence"]))
    assert len(set(named)) >= 9
    for artifact in named:
        assert bench.store.get(artifact)


def test_state_holds_no_pixels(bench) -> None:
    bench.look()
    assert len(str(bench.state)) < 8000


ANSWER = {"opinion": "normal", "explanation": "It looks like the others."}


@pytest.mark.parametrize("remote", [False, True])
def test_what_a_reasoner_was_shown_is_recorded_where_it_left_the_machine(tmp_path, scripted, remote) -> None:
    bench = Bench(tmp_path, marked_part((48, 80)), scripted(ANSWER), remote=remote)
    [region] = bench.look().regions
    bench.do("retrieve_knowledge")
    bench.do("examine_region", region.id)
    outcome = bench.do("reason_about_anomaly")
    assert isinstance(outcome["shown"], Assessed)
    [call] = outcome["calls"]
    assert (call.model, call.remote, call.outcome) == ("scripted", remote, "answered")
    # A model in this program looks at nothing, so nothing is drawn for it.
    assert call.panels == (("reference A", "query", "heat map", "crop 1") if remote else ())
    assert all(bench.store.get(artifact) for artifact in call.artifacts)
    assert len(call.artifacts) == len(call.panels)


def test_a_reasoner_never_learns_the_name_of_the_file(tmp_path, scripted) -> None:
    model = scripted(ANSWER)
    bench = Bench(tmp_path, marked_part((48, 80)), model)
    bench.look()
    bench.do("reason_about_anomaly")
    assert "SECRET" not in str(model.history)


@pytest.mark.parametrize("remote", [False, True])
def test_a_reasoner_without_an_answer_is_a_failure_that_cost_something(tmp_path, scripted, remote) -> None:
    bench = Bench(tmp_path, marked_part((48, 80)), scripted("I refuse.", "I refuse again."), remote=remote)
    bench.look()
    outcome = bench.do("reason_about_anomaly")
    assert isinstance(outcome["shown"], Failed)
    assert [(call.model, call.remote) for call in outcome["calls"]] == [("scripted", remote)] * 2
    assert all("no structured answer" in call.outcome or "gave" in call.outcome for call in outcome["calls"])


@pytest.mark.parametrize(
    ("tool", "target", "sentence"),
    [
        ("render_asset", "a2", "no asset 'a2'"),
        ("localize_anomalies", "a1", "render it first"),
        ("retrieve_knowledge", "a1", "render it first"),
        ("check_rules", "a1", "render it first"),
        ("reason_about_anomaly", "a1", "render it first"),
        ("measure_region", "a1.r1", "no region 'a1.r1'; known are none"),
        ("examine_region", "../../etc/passwd", "no region"),
        ("compare_with_reference", "", "no region"),
    ],
)
def test_an_id_that_makes_no_sense_goes_back_to_who_asked(bench, tool, target, sentence) -> None:
    with pytest.raises(ToolArgumentError, match=sentence):
        bench.do(tool, target)


def test_rules_cannot_be_checked_on_a_part_that_was_not_localised(bench) -> None:
    bench.do("render_asset")
    with pytest.raises(ToolFailure, match="not localised"):
        bench.do("check_rules")


def test_nothing_can_be_compared_without_a_reference(bench) -> None:
    [region] = bench.look().regions
    with pytest.raises(ToolFailure, match="no normal reference"):
        bench.do("compare_with_reference", region.id)


def test_a_picture_that_was_taken_otherwise_is_told_of(tmp_path) -> None:
    bright = ImagingRange(Imaging(0.5, -100, -100, -100), Imaging(0.6, 100, 100, 100), None)
    outcome = Bench(tmp_path, normal_part(), imaging=bright)
    [sentence] = outcome.look().unlike
    assert "darker than every reference" in sentence
    assert sentence in outcome.state["evidence"][-1]["summary"]


@pytest.mark.parametrize(("part", "told"), [(normal_part(), 1), (marked_part((48, 80)), 0)])
def test_a_picture_of_something_else_is_told_of_where_no_anomaly_explains_it(tmp_path, part, told) -> None:
    bench = Bench(tmp_path, part, imaging=ANY_IMAGING._replace(farthest=0.1))
    bench.shelf.learned.localizer.embeddings *= -1
    assert len(bench.look().unlike) == told


def test_what_became_of_the_work_where_memory_ran_out_is_told(bench) -> None:
    bench.shelf.backbone.notes = ["The GPU's memory ran out: the CPU was used."]
    bench.look()
    assert "the CPU was used" in bench.state["evidence"][-1]["summary"]
