"""Decoding of videos: which frames are kept, and what damaged files say."""

import io
import time
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from agent.simulated.conveyor import encode
from knowledge import AssetError
from tools.decoding.videos import container_of, decode_video, luma, probe_video, shown_size


def numbered(count: int, height: int = 48, width: int = 64) -> list[np.ndarray]:
    """Frames whose brightness is their number, times two."""
    return [np.full((height, width, 3), 2 * number + 10, np.uint8) for number in range(count)]


def clip(tmp_path: Path, count: int, rate: int, suffix: str = ".mp4") -> bytes:
    return encode(tmp_path / f"clip{suffix}", numbered(count), rate).read_bytes()


def decoded(content: bytes, most: int = 600, rate: float = 10.0):
    return decode_video(content, most_frames=most, rate=rate, patience=20.0)


def test_every_frame_of_a_slow_clip_is_kept_with_its_time_and_number(tmp_path) -> None:
    found = decoded(clip(tmp_path, 10, 5))
    np.testing.assert_allclose(found.arrays["times"], np.arange(10) / 5, atol=1e-3)
    np.testing.assert_array_equal(found.arrays["numbers"], np.arange(10))
    np.testing.assert_allclose(found.arrays["frames"].mean((1, 2, 3)), 2 * np.arange(10) + 10, atol=2)
    # a fifth of a second before is the frame before
    np.testing.assert_allclose(found.arrays["lags"][1:], 0.2, atol=1e-3)
    np.testing.assert_allclose(found.arrays["earlier"][1:].mean((1, 2)), 2 * np.arange(9) + 10, atol=2)
    assert found.arrays["lags"][0] == 0
    assert found.about["ended"] == "end"


def test_of_a_fast_clip_ten_a_second_are_kept(tmp_path) -> None:
    found = decoded(clip(tmp_path, 60, 30))
    np.testing.assert_array_equal(found.arrays["numbers"], np.arange(0, 60, 3))


def test_no_more_frames_than_wanted_evenly_over_the_whole_clip_with_motion_over_the_same_lag(tmp_path) -> None:
    found = decoded(clip(tmp_path, 100, 10), most=12)
    times = found.arrays["times"]
    assert 10 <= len(times) <= 12
    assert times[-1] > 8.9
    assert np.diff(times).max() <= 1.01
    np.testing.assert_allclose(found.arrays["lags"][1:], 0.2, atol=0.01)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov", ".avi"])
def test_containers_are_known_by_their_first_bytes(tmp_path, suffix) -> None:
    content = clip(tmp_path, 6, 10, suffix)
    kind = {".mp4": "mov", ".mkv": "matroska", ".mov": "mov", ".avi": "avi"}[suffix]
    assert container_of(content) == kind
    assert len(decoded(content).arrays["times"]) == 6


def test_a_gif_has_the_times_that_its_delays_say() -> None:
    pictures = [Image.fromarray(frame) for frame in numbered(4)]
    file = io.BytesIO()
    pictures[0].save(file, "GIF", save_all=True, append_images=pictures[1:], duration=[100, 500, 200, 100])
    found = decoded(file.getvalue())
    np.testing.assert_allclose(found.arrays["times"], [0, 0.1, 0.6, 0.8], atol=1e-6)


@given(width=st.integers(16, 8000), height=st.integers(16, 8000))
@settings(max_examples=100, deadline=None)
def test_a_shown_frame_is_never_larger_than_allowed(width, height) -> None:
    shown_width, shown_height = shown_size(width, height)
    assert shown_width <= 320
    assert shown_height <= 320
    assert shown_width * shown_height <= 320 * 180 * 1.05 + 700
    assert shown_width % 2 == shown_height % 2 == 0


def test_luma_is_that_of_bt_601() -> None:
    colours = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]], np.uint8)
    np.testing.assert_array_equal(luma(colours), [77, 149, 29, 255])


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no video",
        b"\x89PNG\r\n\x1a\n" + bytes(40),
        b"\x00\x00\x00\x18ftypheic" + bytes(40),
        b"#EXTM3U\nhttp://x/",
    ],
)
def test_what_is_no_video_is_refused_without_looking_further(content) -> None:
    assert container_of(content) is None
    with pytest.raises(AssetError, match="not a video"):
        probe_video(content)


def test_a_cut_file_without_an_index_says_so(tmp_path) -> None:
    content = clip(tmp_path, 30, 10)
    with pytest.raises(AssetError, match="index"):
        probe_video(content[: len(content) // 2])


def test_sound_alone_is_no_video(tmp_path) -> None:
    path = tmp_path / "sound.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        sound.sample_rate = 8000
        container.mux(stream.encode(sound))
    with pytest.raises(AssetError, match="only sound"):
        probe_video(path.read_bytes())


def test_frames_before_a_broken_part_are_given(tmp_path) -> None:
    random = np.random.default_rng(0)
    frames = [random.integers(0, 255, (48, 64, 3)).astype(np.uint8) for _ in range(40)]
    content = bytearray(encode(tmp_path / "noise.avi", frames, 10).read_bytes())
    content[len(content) // 2 :] = bytes(len(content) - len(content) // 2)
    found = decoded(bytes(content))
    assert 10 < len(found.arrays["times"]) < 40


@pytest.fixture(scope="module")
def small_clip(tmp_path_factory) -> bytes:
    return clip(tmp_path_factory.mktemp("clip"), 8, 10)


@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_damaged_bytes_give_frames_or_an_asset_error_soon(small_clip, data) -> None:
    content = bytearray(small_clip)
    for _ in range(data.draw(st.integers(1, 30))):
        content[data.draw(st.integers(8, len(content) - 1))] = data.draw(st.integers(0, 255))
    began = time.monotonic()
    try:
        probe_video(bytes(content))
        found = decoded(bytes(content))
        assert (np.diff(found.arrays["times"]) > 0).all()
    except (AssetError, av.FFmpegError):
        pass
    assert time.monotonic() - began < 10
