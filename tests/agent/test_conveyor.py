"""The simulated conveyor: what is in its frames, and when."""

import numpy as np
import pytest

from agent.simulated.conveyor import CONVEYOR_KINDS, RATE, WIDTH, encode, write_conveyor
from tools.motion import Video, read_video


def conveyor(folder, kind: str, seconds: float = 20.0) -> tuple[Video, tuple[tuple[float, float], ...]]:
    written = write_conveyor(folder, kind, 3, seconds=seconds)
    return read_video(written.path.read_bytes(), written.path.name), written.events


def coloured(frames: np.ndarray) -> np.ndarray:
    """(F, H, W): the red parts."""
    return (frames[..., 0].astype(int) - frames[..., 1]) > 60


def test_the_same_arguments_give_the_same_video(tmp_path) -> None:
    one, two = (write_conveyor(tmp_path / name, "missing", 1, seconds=2.0) for name in ("a", "b"))
    assert one.path.read_bytes() == two.path.read_bytes()
    assert one.events == two.events
    assert write_conveyor(tmp_path, "missing", 2, seconds=2.0).path.read_bytes() != one.path.read_bytes()


@pytest.mark.parametrize("kind", CONVEYOR_KINDS)
def test_events_lie_inside_the_video(tmp_path, kind) -> None:
    written = write_conveyor(tmp_path, kind, 0, seconds=11.5)
    assert len(written.events) == (kind != "normal")
    for begin, end in written.events:
        assert 0 < begin < end < 12


def test_the_belt_stands_still_while_it_is_stopped(tmp_path) -> None:
    video, ((begin, end),) = conveyor(tmp_path, "stopped", 12.0)
    change = np.abs(np.diff(video.frames[:, 40:100].astype(int), axis=0)).mean((1, 2, 3))
    during = (video.times[:-1] > begin) & (video.times[1:] < end)
    assert np.median(change[during]) < 0.3 * np.median(change[~during])


def test_parts_move_to_the_right_at_their_speed(tmp_path) -> None:
    video, _ = conveyor(tmp_path, "normal", 3.0)
    assert (video.width, round(video.rate)) == (WIDTH, RATE)
    red = coloured(video.frames).sum(1).argmax(1)
    steps = np.diff(red)[np.diff(red) > 0]
    assert len(steps) > 0


def test_encode_keeps_size_and_count(tmp_path) -> None:
    path = encode(tmp_path / "clip.mkv", [np.zeros((32, 48, 3), np.uint8)] * 4, 8)
    video = read_video(path.read_bytes(), path.name)
    assert (video.total, video.width, video.height) == (4, 48, 32)
