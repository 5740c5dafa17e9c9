"""Plots of windows, and what a network for pictures says of them."""

import numpy as np
import pytest

from tools.signals.plotted_windows import Eye, PlottedWindows, draw_window

WAVE = np.stack([np.sin(np.arange(600) / 4), np.cos(np.arange(600) / 4)]) + 0.05 * np.random.default_rng(0).normal(
    size=(2, 600)
)


@pytest.fixture(scope="module")
def detector() -> PlottedWindows:
    return PlottedWindows.fit([WAVE[:, :250]], 64, 0, Eye(100))


def test_a_window_is_drawn_by_hand() -> None:
    pixels = draw_window(np.zeros((2, 100)), 100)
    assert pixels.shape == (128, 128)
    assert np.flatnonzero(pixels[:, 0] < 255).tolist() == [31, 95]
    high = np.flatnonzero(draw_window(np.full((1, 100), 99.0), 100)[:, 5] < 255)
    assert high.tolist() == [1]


def test_no_sample_between_two_columns_is_lost() -> None:
    spike = np.zeros((1, 1000))
    spike[0, 503] = 6.0
    column = draw_window(spike, 1000)[:, 503 * 128 // 1000]
    assert (column[1:64] < 255).all()


def test_a_short_window_is_mirrored() -> None:
    ramp = np.linspace(-5, 5, 50)[None]
    pixels = draw_window(ramp, 99)
    lines = [int(np.flatnonzero(pixels[:, column] < 255).mean()) for column in (0, 63, 127)]
    assert lines[0] > 100
    assert lines[1] < 25
    assert lines[2] > 100


def test_plots_notice_a_level(detector: PlottedWindows) -> None:
    odd = WAVE[:, :250].copy()
    odd[1, 160:230] += 4
    said = detector.contributions(odd).of_channels
    assert said.shape == odd.shape
    assert said[1, 170:220].mean() > 2 * said[1, :120].mean()
    assert detector.contributions(WAVE[:, :250]).of_channels.mean() < said[1, 170:220].mean() / 2


@pytest.mark.parametrize("samples", [5, 64, 65, 150])
def test_every_sample_is_judged_however_long_the_piece(detector: PlottedWindows, samples: int) -> None:
    said = detector.contributions(WAVE[:, :samples]).of_channels
    assert said.shape == (2, samples)
    assert np.isfinite(said).all()


def test_what_was_learned_comes_back_from_its_tensors(detector: PlottedWindows) -> None:
    again = PlottedWindows.of_tensors(detector.tensors(), 2)
    said = detector.contributions(WAVE[:, 250:400]).of_channels
    assert np.array_equal(again.contributions(WAVE[:, 250:400]).of_channels, said)
    twin = PlottedWindows.fit([WAVE[:, :250]], 64, 0, Eye())
    assert np.array_equal(twin.contributions(WAVE[:, 250:400]).of_channels, said)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("weights", np.zeros(32, np.uint8)),
        ("length", np.array([1])),
        ("patches", np.zeros((0, 64), np.float32)),
        ("patches", np.zeros((9, 63), np.float32)),
        ("mean", np.full(152, np.nan, np.float32)),
        ("sources", np.zeros((3, 3), np.float32)),
        ("matrix", np.zeros((152, 64), np.float64)),
    ],
)
def test_damaged_tensors_are_refused(detector: PlottedWindows, name: str, value: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"expected|weights"):
        PlottedWindows.of_tensors({**detector.tensors(), name: value}, 2)


def test_an_eye_keeps_the_last_few_and_forgets_when_told() -> None:
    eye = Eye(2)
    plots = [draw_window(np.full((1, 64), level), 64) for level in (0.0, 1.0, 2.0)]
    first = eye.see(plots[0])
    assert eye.see(plots[0]) is first
    eye.see(plots[1])
    eye.see(plots[2])
    assert eye.see(plots[0]) is not first
    kept = eye.see(plots[2])
    eye.forget()
    assert eye.see(plots[2]) is not kept
    assert np.array_equal(eye.see(plots[2]), kept)
