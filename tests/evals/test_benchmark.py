"""The benchmark on small folders made here, and on a small piece of real data where it is present."""

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from agent.solar_cells import solar_cells, split_cells
from evals.benchmark import run_benchmark
from evals.detection import DETECTION
from evals.simulated import write_plate, write_plate_set, write_plates
from evals.tables import peer_table, protocol_line, template_table
from knowledge import ProductError, RequestError
from tools import LocalizerSettings


def silent(what: str, done: int, total: int) -> None:
    pass


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    plates = tmp_path_factory.mktemp("sets") / "plates"
    write_plate_set(plates, 24, 6, 6)
    return plates.parent


@pytest.mark.slow
def test_scratched_plates_are_told_from_good_ones(folder: Path) -> None:
    result = run_benchmark(str(folder), [], LocalizerSettings(), silent)
    plates = result["sets"][0]
    assert plates["name"] == "plates"
    assert plates["image_auroc"] == 1.0
    assert plates["pixel_auroc"] > 0.95
    assert plates["pixel_ap"] > 0.6
    assert plates["miss"] == 0
    assert plates["rates"][0]["false_alarm_interval"][1] < 0.7
    assert result["macro"]["image_auroc"] == 1.0
    json.dumps(result)


@pytest.mark.slow
def test_the_same_pictures_laid_out_as_visa_give_the_same_figures(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "plates", tmp_path / "plates")
    rows = ["object,split,label,image,mask"]
    for path in sorted((tmp_path / "plates").glob("t*/*/*.png")):
        split, kind = path.parts[-3:-1]
        mask = "" if kind == "good" else f"plates/ground_truth/{kind}/{path.stem}_mask.png"
        label = "anomaly" if mask else "normal"
        rows.append(f"plates,{split},{label},{path.relative_to(tmp_path).as_posix()},{mask}")
    (tmp_path / "split_csv").mkdir()
    (tmp_path / "split_csv" / "1cls.csv").write_text("\n".join(rows))
    settings = LocalizerSettings(areas=(96 * 128,))
    mvtec, visa = (run_benchmark(str(source), [], settings, silent)["sets"][0] for source in (folder, tmp_path))
    assert visa["pixel_ap"] > 0.5
    for figure in ("name", "train", "test", *DETECTION, "rates"):
        assert visa[figure] == mvtec[figure]


def test_templates_are_used_where_pictures_bring_their_own(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "plates", tmp_path / "plates")
    for seed in range(200, 203):
        write_plate(tmp_path / "plates" / "reference" / "scratch" / f"{seed}.png", seed)
    result = run_benchmark(str(tmp_path), [], LocalizerSettings(areas=(96 * 96,), aligned=False), silent)
    found = result["sets"][0]["with_templates"]
    assert found["pictures"] == 3
    # The template is the same plate without its scratch, so nothing else differs.
    assert found["pixel_ap"] > found["pixel_ap_without"] + 0.03
    assert template_table(result, markdown=True).row_count == 1
    assert "all not compared place by place" in protocol_line(result)


def test_a_set_without_templates_says_so_and_every_part_has_a_verdict(folder: Path) -> None:
    found = run_benchmark(str(folder), [], LocalizerSettings(areas=(96 * 96,)), silent)["sets"][0]
    assert found["with_templates"] is None
    strict, loose = (rate["verdicts"] for rate in found["rates"])
    for verdicts in (strict, loose):
        assert [sum(verdicts[truth].values()) for truth in ("normal", "anomalous")] == [6, 6]
    # None of these plates is unlike its references otherwise, so that only p-values decide.
    assert strict["anomalous"]["anomalous"] == round(6 * (1 - found["miss"])) > 0
    assert strict["normal"]["anomalous"] == round(6 * found["false_alarm"])


def test_the_verdicts_are_review_where_nothing_is_promised_or_a_part_looks_otherwise(folder: Path, tmp_path) -> None:
    shutil.copytree(folder / "plates", tmp_path / "plates")
    for path in sorted((tmp_path / "plates" / "train" / "good").glob("*"))[10:]:
        path.unlink()
    for path in (tmp_path / "plates" / "test" / "good").glob("*"):
        Image.open(path).point(lambda value: value // 4).save(path)
    found = run_benchmark(str(tmp_path), [], LocalizerSettings(areas=(96 * 96,)), silent)["sets"][0]
    strict, loose = (rate["verdicts"] for rate in found["rates"])
    assert strict == {truth: {"normal": 0, "review": 6, "anomalous": 0} for truth in ("normal", "anomalous")}
    assert loose["normal"]["review"] == 6


@pytest.mark.slow
def test_a_set_without_masks_has_no_pixel_figures(folder: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    write_plates(bare / "train" / "good", 4)
    write_plates(bare / "test" / "good", 2, first_seed=100)
    write_plate(bare / "test" / "scratch" / "a.png", 200, "scratch")
    plates = run_benchmark(str(bare), [], LocalizerSettings(), silent)["sets"][0]
    assert plates["pixel_ap"] is None
    assert plates["image_auroc"] == 1.0
    assert plates["false_alarm"] is None
    assert "at least 19" in plates["rates"][0]["promise"]


def test_solar_cells_are_split_without_overlap_and_by_seed() -> None:
    assert len(solar_cells("mono")) == 1074
    split = split_cells("mono", 0)
    parts = [*split.learn, *split.calibrate, *split.functional, *split.defective]
    assert len({cell.path for cell in parts}) == len(parts)
    assert [len(split.learn), len(split.calibrate), len(split.functional)] == [100, 100, 200]
    assert {cell.defect_probability for cell in split.defective} == {1.0}
    assert split == split_cells("mono", 0)
    assert split != split_cells("mono", 1)


@pytest.mark.slow
def test_real_paper_with_impurities(shared_data: Path) -> None:
    result = run_benchmark(str(shared_data / "image"), ["piped_pa_bdp01_tl"], LocalizerSettings(), silent)
    assert result["sets"][0]["image_auroc"] > 0.99
    assert result["sets"][0]["pixel_ap"] > 0.4


@pytest.mark.slow
def test_solar_cells_reach_the_promised_auroc() -> None:
    mono = run_benchmark("solar_cells", ["mono"], LocalizerSettings(), silent)["sets"][0]
    assert mono["image_auroc"] >= 0.93


class Darkness:
    """A peer that finds a picture the more anomalous the darker it is at its darkest."""

    name = "darkness"

    def __init__(self) -> None:
        self.learned = 0

    def fit(self, pictures: Sequence[Callable[[], np.ndarray]]) -> None:
        self.learned = len([picture() for picture in pictures])

    def judge(self, pixels: np.ndarray) -> tuple[float, np.ndarray]:
        darkness = 255 - pixels.mean(axis=2, dtype=np.float32)
        return float(darkness.max()), darkness


@pytest.mark.slow
def test_a_peer_judges_the_same_parts_beside_us(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    peer = Darkness()
    monkeypatch.setattr("evals.detection.load_peer", lambda name, area, seed: peer)
    result = run_benchmark(str(folder), [], LocalizerSettings(), silent, ["darkness"])
    ours, theirs = result["sets"][0], result["peers"]["darkness"]["sets"][0]
    assert peer.learned == theirs["train"] == ours["train"] == 24
    assert theirs["test"] == ours["test"]
    assert 0 <= theirs["pixel_ap"] < ours["pixel_ap"]
    assert theirs["false_alarm"] is None
    assert theirs["seconds_per_image"] > 0
    table = peer_table(result, markdown=True)
    assert [column.header for column in table.columns] == ["set", "anomalyst", "darkness"]
    assert table.row_count == 2
    json.dumps(result)


def test_peers_beside_another_backbone_are_refused_since_they_would_not_have_it(folder: Path) -> None:
    with pytest.raises(RequestError, match="efficientnet_lite0 alone"):
        run_benchmark(str(folder), [], LocalizerSettings(backbone="ViT-B-16"), silent, ["patchcore"])


@pytest.fixture
def named(tmp_path: Path) -> Path:
    """Two pictures each of four parts to learn from, and pictures of others to test on."""
    plates = tmp_path / "named" / "plates"
    for seed in range(8):
        write_plate(plates / "train" / "good" / f"p{seed // 2}_{seed % 2}.png", seed)
    write_plate(plates / "test" / "good" / "p8_0.png", 100)
    write_plate(plates / "test" / "scratch" / "defective.png", 200, "scratch")
    return plates


def test_parts_are_told_by_the_names_of_files_and_both_are_counted(named: Path) -> None:
    settings = LocalizerSettings(areas=(64 * 64,), memory_size=30, part_name="p{part}_*")
    result = run_benchmark(str(named.parent), [], settings, silent)
    [plates] = result["sets"]
    assert (plates["train"], plates["calibration_parts"], plates["calibration_pictures"]) == (8, 4, 8)
    assert "there are 4, in 8 pictures" in plates["rates"][0]["promise"]
    assert "file names like p{part}_*" in protocol_line(result)
    plain = run_benchmark(str(named.parent), [], settings.model_copy(update={"part_name": None}), silent)
    assert plain["sets"][0]["calibration_parts"] == 8
    assert "file names" not in protocol_line(plain)
    assert "place by place" not in protocol_line(plain)


@pytest.mark.parametrize(
    ("name", "error", "sentence"),
    [
        ("aa", ProductError, "'aa' does not say which part"),
        ("p3_9", RequestError, "part '3' is learned from and tested"),
    ],
)
def test_names_are_looked_at_before_anything_is_learned(named: Path, monkeypatch, name, error, sentence) -> None:
    write_plate(named.parent / "zinc" / "train" / "good" / "p3_0.png", 0)
    write_plate(named.parent / "zinc" / "test" / "good" / f"{name}.png", 1)
    monkeypatch.setattr("evals.benchmark.enrol", lambda *given: pytest.fail("learned"))
    with pytest.raises(error, match=sentence):
        run_benchmark(str(named.parent), [], LocalizerSettings(part_name="p{part}_*"), silent)
