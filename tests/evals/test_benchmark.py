"""The benchmark on small folders made here, and on a small piece of real data where it is present."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from agent.solar_cells import solar_cells, split_cells
from evals.benchmark import run_benchmark
from evals.datasets import read_sets
from evals.simulated import write_plate, write_plates
from evals.tables import peer_table
from knowledge import RequestError
from tools import LocalizerSettings


def silent(what: str, done: int, total: int) -> None:
    pass


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Plates laid out as MVTec AD, with a mask for each scratch."""
    plates = tmp_path_factory.mktemp("sets") / "plates"
    write_plates(plates / "train" / "good", 24)
    write_plates(plates / "test" / "good", 6, first_seed=100)
    for seed in range(200, 206):
        write_plate(plates / "test" / "scratch" / f"{seed}.png", seed, "scratch")
        mask = np.zeros((96, 128), np.uint8)
        mask[17:37, 51:110] = 255
        truth = plates / "ground_truth" / "scratch" / f"{seed}_mask.png"
        truth.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(mask).save(truth)
    return plates.parent


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


def test_boxes_become_masks(tmp_path: Path) -> None:
    write_plates(tmp_path / "s" / "train" / "good", 2)
    part = write_plate(tmp_path / "s" / "test" / "mixed" / "a.png", 200, "scratch")
    truth = tmp_path / "s" / "ground_truth" / "mixed" / "boxes_coco.json"
    truth.parent.mkdir(parents=True)
    boxes = {"images": [{"id": 7, "file_name": part.name}], "annotations": [{"image_id": 7, "bbox": [2, 3, 4, 5]}]}
    truth.write_text(json.dumps(boxes))
    image = read_sets(str(tmp_path), [], 0)[0].test[0]
    mask = image.truth(96, 128)
    assert mask is not None
    assert mask.sum() == 20
    assert mask[3:8, 2:6].all()


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="holds no set"):
        read_sets(str(tmp_path), [], 0)
    with pytest.raises(RequestError, match="no set 'nothing'"):
        read_sets("solar_cells", ["nothing"], 0)


def test_solar_cells_are_split_without_overlap_and_by_seed() -> None:
    assert len(solar_cells("mono")) == 1074
    split = split_cells("mono", 0)
    parts = [*split.learn, *split.calibrate, *split.functional, *split.defective]
    assert len({cell.path for cell in parts}) == len(parts)
    assert [len(split.learn), len(split.calibrate), len(split.functional)] == [100, 100, 200]
    assert {cell.defect_probability for cell in split.defective} == {1.0}
    assert split == split_cells("mono", 0)
    assert split != split_cells("mono", 1)


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


def test_a_peer_judges_the_same_parts_beside_us(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    peer = Darkness()
    monkeypatch.setattr("evals.benchmark.load_peer", lambda name, area, seed: peer)
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
