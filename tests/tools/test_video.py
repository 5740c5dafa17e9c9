"""Video: reading, what its notes say, and numbers of the whole."""

from pathlib import Path

import numpy as np
import pytest

from agent.simulated.conveyor import encode
from knowledge import AssetError
from tools.motion import Video, looks_like_video, measure_part, read_video


def square_at(x: int) -> np.ndarray:
    frame = np.full((48, 64, 3), 60, np.uint8)
    frame[16:32, x : x + 16] = 220
    return frame


def moving(tmp_path: Path, seconds: float = 2.0, rate: int = 10) -> bytes:
    frames = [square_at(2 * number % 48) for number in range(round(seconds * rate))]
    return encode(tmp_path / "moving.mp4", frames, rate).read_bytes()


def test_a_clip_is_read_with_what_the_file_says(tmp_path) -> None:
    content = moving(tmp_path)
    video = read_video(content, "moving.mp4")
    assert looks_like_video(content, "any name")
    assert video.frames.shape == (20, 48, 64, 3)
    assert (video.width, video.height, video.total) == (64, 48, 20)
    assert video.duration == pytest.approx(1.9, abs=0.01)
    assert video.rate == pytest.approx(10, abs=0.1)
    assert video.doubts == ()
    assert video.facts()["sampled_frames"] == 20


def test_a_stretch_is_named_by_frame_numbers_of_the_file(tmp_path) -> None:
    video = read_video(moving(tmp_path, rate=20), "moving.mp4")
    stretch = video.between(10, 30)
    assert stretch.numbers[0] >= 10
    assert stretch.numbers[-1] <= 30
    assert stretch.times[0] == pytest.approx(0.5, abs=0.01)
    with pytest.raises(AssetError, match="fewer than two"):
        video.between(100, 200)


def test_a_single_frame_is_no_video(tmp_path) -> None:
    content = encode(tmp_path / "one.avi", [square_at(0)], 10).read_bytes()
    with pytest.raises(AssetError, match="single picture"):
        read_video(content, "one.avi")


def test_a_file_that_ends_too_early_is_doubted(tmp_path) -> None:
    random = np.random.default_rng(0)
    frames = [random.integers(0, 255, (48, 64, 3)).astype(np.uint8) for _ in range(60)]
    content = encode(tmp_path / "cut.avi", frames, 10).read_bytes()
    video = read_video(content[: len(content) // 2], "cut.avi")
    assert 10 < len(video.frames) < 50
    assert video.doubts


def test_the_message_names_the_file() -> None:
    with pytest.raises(AssetError, match=r"^notes\.mp4: is not a video"):
        read_video(b"plain text", "notes.mp4")


def test_a_whole_video_in_numbers() -> None:
    frames = np.full((5, 4, 4, 3), 51, np.uint8)
    earlier = frames[..., 0].copy()
    earlier[3] = 51 + 51
    video = Video(frames, earlier, np.array([0, 0.2, 0.2, 0.2, 0.2]), np.arange(5) / 5, np.arange(5), 4, 4, 0.8, 5, 5.0)
    found = {each.name: each.value for each in measure_part(video)}
    assert found["brightness"] == pytest.approx(0.2)
    assert found["peak_motion"] == pytest.approx(0.2)
    assert found["motion"] == pytest.approx(0.05)
    assert found["still_share"] == pytest.approx(0.75)
    assert found["duration"] == 0.8
    assert found["longest_gap"] == pytest.approx(0.2)


def test_the_real_clip(shared_data) -> None:
    path = shared_data / "video" / "bottle_station" / "bottle-detection.mp4"
    if not path.is_file():
        pytest.skip("the bottle station's video is not there")
    video = read_video(path.read_bytes(), path.name, rate=1)
    assert (video.total, video.width, video.height) == (1189, 640, 360)
    assert video.frames.shape == (40, 180, 320, 3)
    assert video.notes[0] == "40 of 1189 frames were looked at, evenly in time"
