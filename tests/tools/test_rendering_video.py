"""Views of videos, and the way back from each pixel."""

import dataclasses

import numpy as np
import pytest

from tools.motion import Video
from tools.rendering.video import grid_of, key_frames, render_closer, render_video


def video_of(count: int = 30, height: int = 48, width: int = 64) -> Video:
    """Frame n is grey n, so that a pixel tells its frame."""
    frames = np.broadcast_to(np.arange(count, dtype=np.uint8)[:, None, None, None], (count, height, width, 3)).copy()
    return Video(
        frames,
        frames[..., 0],
        np.full(count, 0.2),
        np.arange(count) / 10,
        3 * np.arange(count),
        2 * width,
        2 * height,
        (count - 1) / 10,
        3 * count,
        30.0,
    )


def test_every_pixel_of_the_contact_sheet_leads_to_its_frame_and_cell() -> None:
    video = video_of()
    main, motion, time_slice = render_video(video)
    assert [each.kind for each in (main, motion, time_slice)] == ["contact_sheet", "motion", "time_slice"]
    height, width = grid_of(video)
    assert (height, width) == (6, 8)
    shown = main.index >= 0
    frames = main.index[shown] // (height * width)
    np.testing.assert_array_equal(main.pixels[shown][:, 0], frames)
    np.testing.assert_array_equal(motion.index, main.index)
    # the first frame's top left pixel, the one right of its first cell, and the one below it
    assert main.index[0, 0] == 0
    assert main.index[0, 8] == 1
    assert main.index[8, 0] == 8


def test_the_slice_shows_time_from_left_to_right() -> None:
    time_slice = render_video(video_of())[2]
    row = time_slice.index[0]
    frames = row // 48
    assert frames[0] == 0
    assert frames[-1] == 29
    assert (np.diff(frames) >= 0).all()
    shown = time_slice.index >= 0
    np.testing.assert_array_equal(time_slice.pixels[shown][:, 0], time_slice.index[shown] // 48)


def test_a_view_is_inverted_into_any_grid_of_values() -> None:
    main = render_video(video_of(4), (4, 4))[0]
    assert set(np.unique(main.index)) == {-1, *range(4 * 16)}


def test_key_frames_show_the_ends_and_more_of_what_changes() -> None:
    video = video_of(100)
    frames = np.zeros_like(video.frames)
    frames[50:60] = np.random.default_rng(0).integers(0, 255, frames[50:60].shape)
    chosen = key_frames(dataclasses.replace(video, frames=frames), 12)
    assert chosen[0] == 0
    assert chosen[-1] == 99
    assert sum(48 <= number <= 60 for number in chosen) >= 4
    assert key_frames(video_of(5), 12) == [0, 1, 2, 3, 4]


def test_a_filmstrip_begins_before_the_place_and_ends_after_it() -> None:
    video = video_of()
    values = np.zeros((30, 6, 8), np.float32)
    values[10:20, 2:4, 3:5] = 9
    enlarged, reference = render_closer(video, values, np.flatnonzero(values), video_of(6))
    frames = np.unique(enlarged.index[enlarged.index >= 0] // 48)
    assert len(frames) == 7
    assert frames[0] == 5
    assert frames[-1] == 24
    assert set(frames[1:-1]) <= set(range(10, 20))
    assert (enlarged.kind, reference.kind) == ("enlarged", "reference")
    assert "1.00 to 1.90 s" in enlarged.title
    assert "x 48 to 80, y 32 to 64 px" in enlarged.title
    assert (reference.index == -1).all()
    assert len(render_closer(video, values, np.flatnonzero(values))) == 1


@pytest.mark.parametrize("cell", [(0, 0, 0), (29, 5, 7)])
def test_a_place_in_a_corner_can_be_looked_at(cell) -> None:
    values = np.zeros((30, 6, 8), np.float32)
    values[cell] = 9
    (enlarged,) = render_closer(video_of(), values, np.flatnonzero(values))
    assert np.flatnonzero(values)[0] in enlarged.index
