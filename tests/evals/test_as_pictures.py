"""Height maps, scans, recordings and videos as sets of pictures: what is labelled stays labelled, where it shows."""

import json
import shutil
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from agent import write_conveyor
from evals.as_pictures import write_pictures
from evals.datasets import LabelledImage, LabelledSet, read_sets
from knowledge import RequestError

BALL = 6000
CAP = 200
"""Points at the top of a ball that are anomalous."""


def png(path: Path, counts: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(imagecodecs.png_encode(counts))


def plates(folder: Path) -> None:
    """Steps of one, two and three units on no ground; the dented one is lower than all others at a corner."""
    for place, heights in (
        ("train/good/0", (256, 512)),
        ("train/good/1", (512, 768)),
        ("test/good/0", (256, 768)),
        ("test/dent/0", (512, 768)),
    ):
        counts = np.zeros((40, 32), np.uint16)
        counts[8:32, 6:16], counts[8:32, 16:26] = heights
        if "dent" in place:
            counts[8:12, 6:10] = 100
        png(folder / f"{place}.png", counts)
    png(folder / "ground_truth/dent/0_mask.png", np.pad(np.full((4, 4), 255, np.uint8), ((8, 28), (6, 22))))


def ball(path: Path, seed: int) -> np.ndarray:
    points = np.random.default_rng(seed).normal(size=(BALL, 3)).astype("<f4")
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    head = f"ply\nformat binary_little_endian 1.0\nelement vertex {BALL}\n"
    head += "".join(f"property float {axis}\n" for axis in "xyz") + "end_header\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(head.encode() + points.tobytes())
    return points


def balls(folder: Path) -> None:
    for number, place in enumerate(("train/good/0", "train/good/1", "test/good/0", "test/spot/0")):
        points = ball(folder / f"{place}.ply", number)
    truth = np.zeros(BALL, np.uint8)
    truth[np.argsort(points[:, 2])[-CAP:]] = 1
    (folder / "ground_truth/spot").mkdir(parents=True)
    np.save(folder / "ground_truth/spot/0.npy", truth)


def belt(folder: Path) -> None:
    """A video whose first 60 frames are learned, and of which frames 90 to 150 are labelled."""
    folder.mkdir(parents=True)
    write_conveyor(folder, "normal", 0).path.rename(folder / "belt.mp4")
    about = {"fps": 25.0, "train_frames": [0, 60], "intervals": [[90, 150]]}
    (folder / "labels.json").write_text(json.dumps({"files": {"belt.mp4": about}}))


def pump(folder: Path, learned: int = 256) -> None:
    """Three channels, learned up to a row; the first jumps from row 400 to row 590, the last never varies."""
    (folder / "train/good").mkdir(parents=True)
    values = np.random.default_rng(0).normal(0, 1, (max(640, learned), 3))
    values[400:591, 0] += 3
    values[:, 2] = 5
    for name in ("train/good/idle.csv", "run.csv"):
        np.savetxt(folder / name, values, "%.3f", ",", header="flow,level,door", comments="")
    about = {"n_rows": len(values), "intervals": [[400, 590]], "train_rows": [0, learned - 1]}
    (folder / "labels.json").write_text(json.dumps({"files": {"run.csv": about}}))


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, LabelledSet]:
    source, target = (tmp_path_factory.mktemp(name) for name in ("source", "target"))
    plates(source / "depth" / "plate")
    balls(source / "pointcloud" / "ball")
    pump(source / "timeseries" / "pump")
    belt(source / "video" / "belt")
    shutil.copytree(source / "timeseries" / "pump", source / "timeseries" / "pumps")
    shutil.copy(source / "timeseries/pump/run.csv", source / "timeseries/pumps/train/good")
    (source / "depth" / ".DS_Store").touch()
    assert write_pictures(source, target) == (("plate", "ball", "pump", "belt"), ("pumps",))
    assert sorted(path.name for path in target.iterdir()) == ["ball", "belt", "plate", "pump"]
    return {labelled.name: labelled for labelled in read_sets(str(target), [], 0)}


def bad(labelled: LabelledSet) -> list[LabelledImage]:
    return [image for image in labelled.test if image.anomalous]


def levels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path))


def test_heights_are_grey_on_one_scale_for_the_product(sets) -> None:
    low, high = (levels(path) for path in sets["plate"].train)
    assert (low[20, 10], low[20, 20]) == (1, 128)
    assert (high[20, 10], high[20, 20]) == (128, 255)
    assert low[0, 0] == 0  # No data is none of the heights.
    (dented,) = bad(sets["plate"])
    assert levels(dented.path)[9, 7] == 1  # Lower than all that was learned, and not without data.
    assert dented.truth(40, 32).sum() == 16


def test_a_scan_is_seen_from_nine_sides(sets) -> None:
    assert len(sets["ball"].train) == 18
    assert len([image for image in sets["ball"].test if not image.anomalous]) == 9


def test_a_view_is_anomalous_where_it_shows_the_defect(sets) -> None:
    # From above; the other four look from below.
    assert [image.path.stem for image in bad(sets["ball"])] == [
        f"test-spot-0_view{number}" for number in (0, 1, 3, 5, 7)
    ]
    above = bad(sets["ball"])[0].truth(448, 448)
    rows, columns = np.nonzero(above)
    assert abs(rows.mean() - 224) < 8
    assert abs(columns.mean() - 224) < 8
    assert 0 < above.mean() < 0.1


def numbers_of(paths: list[Path]) -> list[int]:
    return [int(path.stem[-3:]) for path in paths]


def test_windows_of_recordings_are_plots(sets) -> None:
    pump = sets["pump"]
    assert numbers_of(list(pump.train)) == [0, 32, 64, 96, 128, 160, 192]
    assert numbers_of([image.path for image in pump.test if not image.anomalous]) == [256, 320]
    # Of the first 48 samples are of the event, of the last 15, which is too few for either kind.
    assert numbers_of([image.path for image in bad(pump)]) == [384, 448, 512]
    normal, jumped = (levels(image.path)[..., 0] for image in (pump.test[-1], bad(pump)[1]))
    assert normal.shape == (256, 256)  # Two bands, since the third channel never varies.
    height_of_flow = [np.nonzero(plot[:128] < 128)[0].mean() for plot in (normal, jumped)]
    assert height_of_flow[1] < height_of_flow[0] - 20


def test_at_most_a_hundred_windows_are_learned_from_evenly_over_all(tmp_path: Path) -> None:
    pump(tmp_path / "source/timeseries/pump", learned=64 * 80)
    write_pictures(tmp_path / "source", tmp_path / "target")
    starts = sorted(int(path.stem[-5:]) for path in (tmp_path / "target/pump/train/good").iterdir())
    assert len(starts) == 80  # Every second one of 159.
    assert set(np.diff(starts)) == {64}


def test_frames_belong_to_what_was_learned_to_events_or_to_neither(sets) -> None:
    numbers = {
        kind: numbers_of(list(paths))
        for kind, paths in (
            ("train", sets["belt"].train),
            ("good", [image.path for image in sets["belt"].test if not image.anomalous]),
            ("bad", [image.path for image in bad(sets["belt"])]),
        )
    }
    assert max(numbers["train"]) <= 60 < min(numbers["good"])
    assert (min(numbers["bad"]) >= 95, max(numbers["bad"]) <= 145) == (True, True)
    assert not [number for number in numbers["good"] if 85 <= number <= 155]
    assert all(image.truth(180, 320) is None for image in bad(sets["belt"]))


def test_sets_that_are_there_or_called_alike_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    plates(tmp_path / "source" / "depth" / "plate")
    (tmp_path / "target" / "plate").mkdir(parents=True)
    with pytest.raises(RequestError, match="is there already"):
        write_pictures(tmp_path / "source", tmp_path / "target")
    balls(tmp_path / "source" / "pointcloud" / "plate")
    with pytest.raises(RequestError, match="two sets called plate"):
        write_pictures(tmp_path / "source", tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_points_that_are_no_numbers_take_their_labels_along(tmp_path: Path) -> None:
    folder = tmp_path / "source/pointcloud/ball"
    balls(folder)
    points = np.random.default_rng(9).normal(size=(BALL, 3))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    truth = points[:, 2] > np.sort(points[:, 2])[-CAP]
    points[np.arange(0, BALL, 7)] = np.nan
    (folder / "test/spot/0.ply").unlink()
    np.save(folder / "test/spot/0.npy", points.astype(np.float32))
    np.save(folder / "ground_truth/spot/0.npy", truth.astype(np.uint8))
    write_pictures(tmp_path / "source", tmp_path / "target")
    rows, columns = np.nonzero(levels(tmp_path / "target/ball/ground_truth/spot/test-spot-0_view0_mask.png"))
    assert np.hypot(rows - 224, columns - 224).max() < 90


@pytest.mark.parametrize(
    ("truth", "said"),
    [
        (None, "no label says what"),
        (np.zeros(BALL, np.uint8), "no view shows any"),
        (np.ones(BALL - 1, np.uint8), "cannot be read as labels of 0.ply"),
    ],
)
def test_a_defect_that_cannot_be_seen_is_not_left_out_in_silence(tmp_path: Path, truth, said: str) -> None:
    folder = tmp_path / "source/pointcloud/ball"
    balls(folder)
    label = folder / "ground_truth/spot/0.npy"
    label.unlink() if truth is None else np.save(label, truth)
    with pytest.raises(RequestError, match=said):
        write_pictures(tmp_path / "source", tmp_path / "target")
    assert not list((tmp_path / "target").iterdir()), "a set is there as a whole or not at all"


def test_a_mask_of_another_size_is_refused_and_so_is_a_dent_without_one(tmp_path: Path) -> None:
    folder = tmp_path / "source/depth/plate"
    plates(folder)
    mask = folder / "ground_truth/dent/0_mask.png"
    png(mask, np.zeros((9, 9), np.uint8))
    with pytest.raises(RequestError, match=r"labels of shape \(9, 9\)"):
        write_pictures(tmp_path / "source", tmp_path / "target")
    mask.unlink()
    with pytest.raises(RequestError, match="no label says what"):
        write_pictures(tmp_path / "source", tmp_path / "target")


def test_views_are_told_by_the_part_that_they_show(sets, tmp_path: Path) -> None:
    """So that `bench --part-name '{part}_view*'` finds no part both learned from and tested."""
    learned, tested = (
        {path.stem.partition("_view")[0] for path in paths}
        for paths in (sets["ball"].train, [image.path for image in sets["ball"].test])
    )
    assert learned == {"train-good-0", "train-good-1"}
    assert not learned & tested


@pytest.mark.parametrize(
    ("modality", "said"), [("timeseries", "gone.csv, which cannot be read"), ("video", "gone.csv needs train_frames")]
)
def test_labels_of_what_is_not_there_or_not_enough_are_refused(tmp_path: Path, modality: str, said: str) -> None:
    folder = tmp_path / "source" / modality / "pump"
    pump(folder)
    (folder / "labels.json").write_text('{"files": {"gone.csv": {"intervals": []}}}')
    with pytest.raises(RequestError, match=said):
        write_pictures(tmp_path / "source", tmp_path / "target")
    (folder / "labels.json").write_text("{")
    with pytest.raises(RequestError, match="cannot be read as labels"):
        write_pictures(tmp_path / "source", tmp_path / "target")


def test_a_file_that_several_recordings_learn_from_is_learned_once_and_channels_must_be_the_same(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "source/timeseries/pump"
    pump(folder)
    shutil.copy(folder / "run.csv", folder / "walk.csv")
    about = {"intervals": [[400, 590]], "train_file": "train/good/idle.csv"}
    (folder / "labels.json").write_text(json.dumps({"files": {"run.csv": about, "walk.csv": about}}))
    write_pictures(tmp_path / "source", tmp_path / "target")
    assert len(list((tmp_path / "target/pump/train/good").iterdir())) == 19
    np.savetxt(folder / "walk.csv", np.zeros((640, 2)), "%.3f", ",", header="flow,level", comments="")
    with pytest.raises(RequestError, match="2 to 3 channels"):
        write_pictures(tmp_path / "source", tmp_path / "other")


def test_recordings_of_one_name_in_two_folders_stay_apart(tmp_path: Path) -> None:
    folder = tmp_path / "source/timeseries/pump"
    pump(folder)
    for place in "ab":
        (folder / place).mkdir()
        shutil.copy(folder / "run.csv", folder / place)
    (about,) = json.loads((folder / "labels.json").read_text())["files"].values()
    (folder / "labels.json").write_text(json.dumps({"files": {"a/run.csv": about, "b/run.csv": about}}))
    write_pictures(tmp_path / "source", tmp_path / "target")
    names = {path.stem.partition("_")[0] for path in (tmp_path / "target/pump/test/good").iterdir()}
    assert names == {"a-run", "b-run"}


def test_two_parts_are_never_written_to_one_file(tmp_path: Path) -> None:
    folder = tmp_path / "source/depth/plate"
    plates(folder)
    np.save(folder / "test/good/0.npy", np.random.default_rng(0).uniform(size=(40, 32)))
    with pytest.raises(RequestError, match="two parts would both be"):
        write_pictures(tmp_path / "source", tmp_path / "target")


def test_a_recording_too_short_to_learn_from_is_refused(tmp_path: Path) -> None:
    pump(tmp_path / "source/timeseries/pump", learned=40)
    with pytest.raises(RequestError, match="no 64 samples in a row"):
        write_pictures(tmp_path / "source", tmp_path / "target")


def test_a_folder_without_sets_is_refused_and_one_kind_is_enough(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="has no sets"):
        write_pictures(tmp_path, tmp_path / "target")
    pump(tmp_path / "timeseries/pump")
    assert write_pictures(tmp_path, tmp_path / "target").sets == ("pump",)
