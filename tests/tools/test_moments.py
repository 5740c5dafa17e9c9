"""Moments: what is seen of frames, and what is left of a nuisance."""

import numpy as np
import pytest
import torch

from tools.decoding.videos import luma
from tools.localization import load_backbone
from tools.motion import Video
from tools.motion.moments import COMPONENTS, SKETCH, Eye, Nuisance


def frames_of(count: int = 6) -> np.ndarray:
    random = np.random.default_rng(0)
    wall = random.integers(60, 180, (6, 8, 3)).repeat(8, axis=0).repeat(8, axis=1)
    frames = np.clip(wall + random.normal(0, 1, (count, 48, 64, 3)), 0, 255).astype(np.uint8)
    frames[3:, 16:32, 40:56] = 230
    return frames


def video_of(frames: np.ndarray) -> Video:
    grey, count = luma(frames), len(frames)
    lags = np.array([0.0, *[0.2] * (count - 1)])
    return Video(
        frames,
        np.concatenate([grey[:1], grey[:-1]]),
        lags,
        np.arange(count) / 5,
        np.arange(count),
        64,
        48,
        (count - 1) / 5,
        count,
        5.0,
    )


@pytest.fixture(scope="module")
def eye() -> Eye:
    frames = frames_of()
    return Eye.fit(load_backbone(), np.median(frames, axis=0).astype(np.uint8), frames, 0)


def test_shapes(eye) -> None:
    moments = eye.see(video_of(frames_of()))
    height, width = eye.grid
    assert (height, width) == (6, 8)
    assert moments.cells.shape == (6, height, width, COMPONENTS)
    assert moments.sketches.shape == (6, SKETCH)
    assert moments.energy.shape == (6, height, width)
    assert torch.isfinite(moments.sketches).all()


def test_motion_is_seen_where_and_when_something_appears_and_not_in_the_first_frame(eye) -> None:
    energy = eye.energy(video_of(frames_of()))
    assert np.unravel_index(energy.argmax(), energy.shape)[0] == 3
    row, column = np.unravel_index(energy[3].argmax(), energy[3].shape)
    assert 2 <= row <= 4
    assert 5 <= column <= 7
    assert energy[[0, 1, 2, 4, 5]].max() < 3
    np.testing.assert_array_equal(energy[0], energy[1])


def test_sketches_are_as_far_from_each_other_as_frames(eye) -> None:
    moments = eye.see(video_of(frames_of()))
    cells = moments.cells.float().flatten(1)
    exact = (cells[0] - cells[5]).square().mean().mul(COMPONENTS).sqrt()
    sketched = (moments.sketches[0] - moments.sketches[5]).norm()
    assert float(sketched) == pytest.approx(float(exact), rel=0.3)


def test_exposure_is_taken_out_and_a_displacement_is_not(eye) -> None:
    video = video_of(frames_of())
    plain, brighter, displaced = (
        eye.see(video, nuisance) for nuisance in (Nuisance(), Nuisance(gain=1.1), Nuisance(dx=8, dy=0))
    )
    np.testing.assert_allclose(brighter.gains.mean() / plain.gains.mean(), 1.1, atol=0.03)
    small = (brighter.sketches - plain.sketches).norm(dim=1).mean()
    large = (displaced.sketches - plain.sketches).norm(dim=1).mean()
    assert float(small) < 0.5 * float(large)
