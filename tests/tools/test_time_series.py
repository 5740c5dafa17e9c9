"""Plots of recordings, and the way back from their pixels."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tools.native import shown_members, shown_values
from tools.rendering.time_series import Range, columns_of, draw_band, render_closer, render_recording
from tools.signals import Recording


def made(samples: int, channels: int = 3) -> Recording:
    rng = np.random.default_rng(samples)
    values = rng.normal(size=(samples, channels)).cumsum(axis=0)
    return Recording(
        values, np.arange(samples) / 10, tuple(f"c{i} [V]" for i in range(channels)), "2024-01-01T00:00:00+00:00"
    )


def test_a_band_by_hand() -> None:
    band = draw_band(np.array([0.0, 4.0, np.nan, 4.0]), columns_of(0, 3, 4), 9, Range(0, 4), (1, 2, 3))
    drawn = (band == (1, 2, 3)).all(axis=2)
    assert np.flatnonzero(drawn[:, 0]).tolist() == [6]
    assert np.flatnonzero(drawn[:, 1]).tolist() == [2, 3, 4, 5, 6]
    assert not drawn[:, 2].any()
    assert (band[:, 2] == 235).all()
    assert np.flatnonzero(drawn[:, 3]).tolist() == [2]


@given(st.integers(0, 500), st.integers(1, 5000), st.integers(2, 600))
def test_every_sample_stands_behind_a_column(first: int, samples: int, width: int) -> None:
    columns = columns_of(first, first + samples - 1, width)
    behind = columns.first[:, None] + np.arange(columns.span)
    assert len(columns.first) == width
    assert set(behind.ravel()) == set(range(first, first + samples))
    assert (np.diff(columns.first) >= 0).all()


@settings(max_examples=15, deadline=None)
@given(st.integers(2, 4000), st.integers(1, 5), st.data())
def test_a_value_is_shown_on_its_channel_and_at_its_time(samples: int, channels: int, data: st.DataObject) -> None:
    recording = made(samples, channels)
    member = data.draw(st.integers(0, samples * channels - 1))
    values = np.zeros((channels, samples), np.float32)
    values.flat[member] = 7
    for view in render_recording(recording):
        shown = shown_values(view.index, view.span, values) == 7
        assert shown.any()
        assert np.array_equal(shown, shown_members(view.index, view.span, np.array([member]), values.size))
        rows = np.flatnonzero(shown.any(axis=1))
        height = view.index.shape[0] // channels
        assert set(rows // height) == {member // samples}
        assert view.index.shape == view.pixels.shape[:2]
        assert view.pixels.dtype == np.uint8


def test_no_spike_is_lost() -> None:
    recording = made(100_000, 1)
    values = np.zeros((100_000, 1))
    values[54_321] = 1
    view = render_recording(recording._replace(values=values))[0]
    column = view.pixels[:, np.flatnonzero((view.index[0] <= 54_321) & (view.index[0] + view.span > 54_321))[0]]
    assert ((column != 255).any(axis=1)).sum() > 100


def test_many_channels_take_several_pages() -> None:
    views = render_recording(made(300, 52))
    assert [view.kind for view in views] == ["plot", "plot", "plot"]
    shown = set(np.concatenate([np.unique(view.index // 300) for view in views]))
    assert shown == set(range(52))
    assert [view.kind for view in render_recording(made(1000))] == ["plot", "spectrogram"]


def test_a_closer_look_marks_the_place_and_leads_back() -> None:
    recording, normal = made(1000), made(400)
    values = np.zeros((3, 1000), np.float32)
    values[1, 500:540] = 9
    members = np.flatnonzero(values)
    enlarged, reference = render_closer(recording, values, members, normal)
    assert (enlarged.kind, reference.kind) == ("enlarged", "reference")
    assert set(np.unique(enlarged.index[enlarged.index >= 0]) // 1000) == {1}
    marked = (enlarged.pixels == (255, 226, 214)).all(axis=2)
    inside = shown_members(enlarged.index, enlarged.span, members, 3000)
    assert marked.any()
    assert not (marked & ~inside).any()
    assert (reference.index == -1).all()
    assert reference.pixels.shape == enlarged.pixels.shape
    assert [view.kind for view in render_closer(recording, values, members)] == ["enlarged"]
    other = normal._replace(channels=("a", "b", "c"))
    assert [view.kind for view in render_closer(recording, values, members, other)] == ["enlarged"]


@pytest.mark.parametrize("fill", [0.0, 1e300, np.nan])
def test_flat_and_empty_channels_are_drawn(fill: float) -> None:
    recording = made(50)._replace(values=np.full((50, 3), fill))
    assert render_recording(recording)[0].pixels.shape[2] == 3
