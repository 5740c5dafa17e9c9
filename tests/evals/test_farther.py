"""Pictures on a ground of twice their sides show the same parts, and defects where they were."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from evals.benchmark import run_benchmark
from evals.datasets import read_sets
from evals.farther import write_farther
from knowledge import RequestError
from tools import LocalizerSettings
from tools.localization.ground import without_ground


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path))


def place_of(part: np.ndarray, picture: np.ndarray) -> tuple[int, int]:
    """Where a part lies on a picture, as it is; raises where it does not."""
    height, width = part.shape[:2]
    for top in range(picture.shape[0] - height + 1):
        for left in range(picture.shape[1] - width + 1):
            if np.array_equal(picture[top : top + height, left : left + width], part):
                return top, left
    raise AssertionError("the part is not on the picture")


@pytest.fixture
def near(tmp_path: Path) -> Path:
    """Three normal pictures, one of them twice and once among the test pictures, and a bad one with a mask."""
    random = np.random.default_rng(0)
    folder = tmp_path / "near" / "paper"
    for name in ("train/good/0", "train/good/1", "test/good/0", "test/hole/0"):
        path = folder / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(40, 200, (31, 24, 3), dtype=np.uint8)).save(path)
    (folder / "train/good/copy.png").write_bytes((folder / "test/good/0.png").read_bytes())
    mask = np.zeros((31, 24), np.uint8)
    mask[3:9, 5:7] = 255
    (folder / "ground_truth/hole").mkdir(parents=True)
    Image.fromarray(mask).save(folder / "ground_truth/hole/0_mask.png")
    return folder.parent


def test_the_mask_lies_where_the_part_does(near: Path, tmp_path: Path) -> None:
    assert write_farther(near, tmp_path / "far", []) == ["paper"]
    [labelled] = read_sets(str(tmp_path / "far"), [], 0)
    assert [path.name for path in labelled.train] == ["0.png", "1.png"]  # The copy of a test picture stayed behind.
    bad = next(image for image in labelled.test if image.anomalous)
    top, left = place_of(pixels(near / "paper/test/hole/0.png"), pixels(bad.path))
    truth = bad.truth(62, 48)
    assert np.flatnonzero(truth.any(1)).tolist() == list(range(top + 3, top + 9))
    assert np.flatnonzero(truth.any(0)).tolist() == list(range(left + 5, left + 7))


def test_the_ground_is_even_and_the_part_a_little_off_its_centre(near: Path, tmp_path: Path) -> None:
    write_farther(near, tmp_path / "far", [])
    found = [pixels(path) for path in sorted((tmp_path / "far").rglob("train/good/*"))]
    for picture in found:
        assert without_ground(picture).size == pytest.approx(picture.size / 4, rel=0.1)
        assert 0 < picture[:5].std() < 3
    places = {place_of(pixels(near / f"paper/train/good/{number}.png"), found[number]) for number in (0, 1)}
    assert len(places) == 2


def test_sets_lie_on_grounds_of_their_own(near: Path, tmp_path: Path) -> None:
    shutil.copytree(near / "paper", near / "paper two")
    write_farther(near, tmp_path / "far", [])
    dark, grey = (pixels(tmp_path / "far" / name / "train/good/0.png")[0].mean() for name in ("paper", "paper two"))
    assert grey > dark + 50


def test_the_same_names_give_the_same_pictures(near: Path, tmp_path: Path) -> None:
    for target in ("once", "again"):
        write_farther(near, tmp_path / target, ["paper"])
    for path in (tmp_path / "once").rglob("*.png"):
        assert np.array_equal(pixels(path), pixels(tmp_path / "again" / path.relative_to(tmp_path / "once")))


def no_mask(folder: Path) -> None:
    (folder / "ground_truth/hole/0_mask.png").unlink()


def smaller_mask(folder: Path) -> None:
    Image.new("L", (12, 15)).save(folder / "ground_truth/hole/0_mask.png")


def no_picture_as_mask(folder: Path) -> None:
    (folder / "ground_truth/hole/0_mask.png").write_text("none")


def truncated_mask(folder: Path) -> None:
    mask = folder / "ground_truth/hole/0_mask.png"
    mask.write_bytes(mask.read_bytes()[:50])


def there_already(folder: Path) -> None:
    (folder.parent.parent / "far" / folder.name).mkdir(parents=True)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (no_mask, "only masks can be moved"),
        (smaller_mask, "another size"),
        (there_already, "is there already"),
        (no_picture_as_mask, "cannot be read"),
        (truncated_mask, "cannot be read"),
    ],
)
def test_what_cannot_be_copied_is_refused_before_anything_is_written(near, tmp_path, change, sentence) -> None:
    change(near / "paper")
    with pytest.raises(RequestError, match=sentence):
        write_farther(near, tmp_path / "far", [])
    assert not list((tmp_path / "far").rglob("*.png"))


def test_of_two_pictures_of_one_name_neither_takes_the_others_place(near: Path, tmp_path: Path) -> None:
    Image.new("RGB", (24, 31)).save(near / "paper/train/good/0.jpg")
    with pytest.raises(RequestError, match="rename one"):
        write_farther(near, tmp_path / "far", [])


def test_a_set_that_is_not_there_is_refused(near: Path, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="silk"):
        write_farther(near, tmp_path / "far", ["silk"])


@pytest.mark.slow
def test_real_paper_is_judged_better_from_afar_than_with_the_usual_looks(shared_data: Path, tmp_path: Path) -> None:
    source, name = shared_data / "image", "piped_pa_bdp01_tl"
    write_farther(source, tmp_path, [name])

    def pixel_ap(folder: Path, areas: tuple[int, ...] | None = None) -> float:
        settings = LocalizerSettings(areas=areas)
        return run_benchmark(str(folder), [name], settings, lambda *_: None)["sets"][0]["pixel_ap"]

    near, far, usual = pixel_ap(source), pixel_ap(tmp_path), pixel_ap(tmp_path, (224 * 224, 480 * 480))
    assert near > far > usual + 0.05
