"""The instrument for videos: learning, finding an event, refusing, and coming back from a file."""

import dataclasses

import numpy as np
import pytest

from knowledge import AssetError, FittedPartError, ToolFailure
from tools.decoding.videos import luma
from tools.fitted import Fitted, load_fitted, save_fitted
from tools.motion import Video, VideoLocalizer, fit_video, intervals_of
from tools.motion.video_localizer import provisional_threshold, stretches

RATE = 5


def video_of(frames: list[np.ndarray], rate: float = RATE) -> Video:
    stacked = np.stack(frames)
    grey = luma(stacked)
    count = len(frames)
    lags = np.full(count, 1 / rate)
    lags[0] = 0
    return Video(
        stacked,
        np.concatenate([grey[:1], grey[:-1]]),
        lags,
        np.arange(count) / rate,
        np.arange(count) * 6,
        stacked.shape[2] * 2,
        stacked.shape[1] * 2,
        (count - 1) / rate,
        count * 6,
        rate * 6.0,
    )


def scene(number: int, *, intruder: bool = False, seed: int = 0, height: int = 64) -> np.ndarray:
    """A bar that swings from side to side every two seconds, in front of a wall with a plate."""
    random = np.random.default_rng([seed, number])
    frame = np.full((height, 96, 3), 120.0)
    frame[10:26, 60:84] = (170, 150, 90)
    x = round(30 + 14 * np.sin(2 * np.pi * number / 10))
    frame[34:46, x : x + 20] = (70, 80, 150)
    if intruder:
        frame[4:30, 56:80] = (60, 25, 30)
    return np.clip(frame + random.normal(0, 2, frame.shape), 0, 255).astype(np.uint8)


def swinging(count: int = 30, *, intruder: range = range(0), seed: int = 0, height: int = 64) -> Video:
    return video_of([scene(n, intruder=n in intruder, seed=seed, height=height) for n in range(count)])


@pytest.fixture(scope="module")
def localizer() -> VideoLocalizer:
    return fit_video([lambda: swinging(40)])


def test_an_intruder_is_found_where_and_when_it_is(localizer) -> None:
    video = swinging(40, intruder=range(15, 24), seed=1)
    found = localizer.localize(video)
    assert found.score == found.values.max()
    assert found.values.dtype == np.float32
    assert found.values.shape[0] == 40
    assert found.blocks == 8
    assert found.unlike == ()
    threshold = localizer.threshold(0.05, found.blocks).value
    ((first, last),) = intervals_of(video, found.values, threshold)
    assert abs(first - 15) <= 1
    assert abs(last - 23) <= 1
    place, *_ = localizer.places(video, found.values, threshold)
    x0, y0, x1, y1 = place.native["box"]
    assert x0 <= 2 * 60 <= x1
    assert y0 <= 2 * 20 <= y1
    measured = {each.name: each.value for each in localizer.measure(video, found.values, place.members)}
    assert measured["start"] == pytest.approx(3.0, abs=0.21)
    assert measured["duration"] == pytest.approx(1.6, abs=0.41)
    assert measured["peak_motion"] > measured["normal_motion"]


def test_a_normal_video_stays_below(localizer) -> None:
    video = swinging(40, seed=2)
    found = localizer.localize(video)
    assert found.score < localizer.threshold(0.05, found.blocks).value


def test_a_brighter_and_slightly_displaced_one_too(localizer) -> None:
    video = swinging(40, seed=3)
    shifted = np.roll(np.clip(video.frames * 1.12, 0, 255).astype(np.uint8), 1, axis=2)
    found = localizer.localize(video_of(list(shifted)))
    assert found.score < localizer.threshold(0.05, found.blocks).value
    assert found.unlike == ()


def test_a_stop_is_found(localizer) -> None:
    numbers = [*range(15), *[15] * 15, *range(15, 25)]
    video = video_of([scene(n, seed=10 + k) for k, n in enumerate(numbers)])
    found = localizer.localize(video)
    spans = intervals_of(video, found.values, localizer.threshold(0.05, found.blocks).value)
    assert len(spans) == 1
    assert abs(spans[0].first - 16) <= 3
    assert abs(spans[0].last - 29) <= 3


def test_the_same_learned_twice_is_the_same(localizer) -> None:
    again = fit_video([lambda: swinging(40)])
    for name, tensor in localizer.tensors().items():
        np.testing.assert_array_equal(tensor, again.tensors()[name])
    assert again.about() == localizer.about()


def test_from_a_file_and_back(localizer, tmp_path) -> None:
    save_fitted(tmp_path, "video", 1, localizer.tensors(), localizer.about())
    again = VideoLocalizer.of_fitted(load_fitted(tmp_path, "video", 1))
    video = swinging(12, intruder=range(4, 8))
    np.testing.assert_array_equal(again.localize(video).values, localizer.localize(video).values)
    assert again.calibration.scores.tolist() == localizer.calibration.scores.tolist()
    assert again.about() == localizer.about()


@pytest.mark.parametrize("name", ["cells", "typical", "matrix", "triples", "scale_deviation", "calibration", "floor"])
@pytest.mark.parametrize("damage", ["missing", "shape", "value"])
def test_learned_parts_that_do_not_fit_are_refused(localizer, name, damage) -> None:
    tensors = dict(localizer.tensors())
    if damage == "missing":
        del tensors[name]
    elif damage == "shape":
        tensors[name] = tensors[name][None, None]
    elif name != "typical":
        tensors[name] = np.full_like(tensors[name], np.nan)
    else:
        tensors[name] = tensors[name].astype(np.float32)
    with pytest.raises(FittedPartError, match="enroll the product again"):
        VideoLocalizer.of_fitted(Fitted(tensors, localizer.about(), ""))


@pytest.mark.parametrize(
    "change",
    [{"backbone": "other"}, {"weights_sha256": "0"}, {"calibrated_on": "days"}, {"taken": {}}, {"scheme": None}],
)
def test_what_is_said_of_learned_parts_is_checked(localizer, change) -> None:
    with pytest.raises(FittedPartError):
        VideoLocalizer.of_fitted(Fitted(localizer.tensors(), {**localizer.about(), **change}, ""))


def test_a_picture_of_another_shape_cannot_be_judged(localizer) -> None:
    with pytest.raises(ToolFailure, match="another shape"):
        localizer.localize(swinging(6, height=96))


def test_another_size_of_the_same_shape_is_brought_to_size(localizer) -> None:
    video = swinging(8, seed=4)
    larger = video_of(list(video.frames.repeat(2, axis=1).repeat(2, axis=2)))
    assert localizer.localize(larger).values.shape == localizer.localize(video).values.shape


def test_what_makes_a_video_unlike_the_references_is_said(localizer) -> None:
    video = swinging(12, seed=5)
    doubted = dataclasses.replace(video, doubts=("a part of the file is damaged",))
    assert "damaged" in localizer.localize(doubted).unlike[0]
    dark = localizer.localize(video_of(list((video.frames * 0.55).astype(np.uint8))))
    assert any("times as bright" in sentence for sentence in dark.unlike)
    hung = localizer.localize(video_of([video.frames[0]] * 12))
    assert any("same picture" in sentence for sentence in hung.unlike)
    moved = localizer.localize(
        video_of(list(np.random.default_rng(0).integers(0, 255, (12, 64, 96, 3)).astype(np.uint8)))
    )
    assert any("camera was moved" in sentence for sentence in moved.unlike)
    slow = localizer.localize(video_of(list(video.frames), rate=1.0))
    assert any("normal order was not judged" in sentence for sentence in slow.unlike)


def test_several_videos_are_left_out_in_turn_and_held_out_ones_calibrate_alone() -> None:
    parts = [lambda seed=seed: swinging(12, seed=seed) for seed in range(3)]
    cross = fit_video(parts)
    assert (cross.calibration.scheme, cross.calibration.count, cross.calibrated_on) == ("cross", 6, "stretches of 1 s")
    split = fit_video(parts[:2], parts[2:])
    assert (split.calibration.scheme, split.calibration.count) == ("split", 2)


def test_a_lone_short_video_calibrates_nothing_and_no_video_is_refused() -> None:
    lone = fit_video([lambda: swinging(6)])
    assert lone.calibration.count == 0
    assert lone.threshold(0.05).value == np.inf
    assert np.isfinite(lone.localize(swinging(6, seed=1)).values).all()
    with pytest.raises(AssetError, match="at least one"):
        fit_video([])


def test_a_prediction_limit_by_hand() -> None:
    scores = np.array([1.0, 2.0, 3.0])
    # mean 2, deviation 1, t of 2 degrees at 95 % = 2.92, times root 4/3
    assert provisional_threshold(scores, 0.05, 1, "stretches").value == pytest.approx(
        2 + 2.92 * (4 / 3) ** 0.5, abs=1e-3
    )
    assert provisional_threshold(scores, 0.05, 10, "stretches").value > 10
    assert provisional_threshold(scores[:2], 0.05, 1, "stretches").value == np.inf


def test_stretches_of_a_video() -> None:
    assert [stretches(swinging(count)) for count in (2, 6, 7, 8, 31)] == [1, 1, 1, 2, 6]
