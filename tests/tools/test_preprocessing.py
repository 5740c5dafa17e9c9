"""From a picture to the input of a network."""

import numpy as np
import pytest
import torch
from PIL import Image

from tools.localization.preprocessing import reduced, to_input

MEAN, DEVIATION = (0.4, 0.5, 0.6), (0.2, 0.3, 0.4)


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def restored(images: torch.Tensor) -> np.ndarray:
    """(3, h, w) as a network sees it -> (h, w, 3), 0 .. 255."""
    channels = images * torch.tensor(DEVIATION)[:, None, None] + torch.tensor(MEAN)[:, None, None]
    return 255 * channels.permute(1, 2, 0).numpy()


@pytest.mark.parametrize(("height", "width"), [(300, 200), (64, 48), (31, 500)])
def test_a_picture_is_resized_as_pillow_does_it_and_standardised(height, width) -> None:
    picture = noise(height, width)
    found = restored(to_input(picture, 96 * 96, 16, MEAN, DEVIATION))
    expected = Image.fromarray(picture).resize((found.shape[1], found.shape[0]), Image.Resampling.BICUBIC)
    assert np.abs(found - np.asarray(expected, np.float64)).max() < 2.5


def test_a_picture_of_just_the_size_is_left_as_it_is() -> None:
    picture = noise(96, 96)
    np.testing.assert_allclose(restored(to_input(picture, 96 * 96, 16, MEAN, DEVIATION)), picture, atol=1e-3)


def test_only_a_picture_of_more_pixels_is_reduced_and_then_it_is_the_networks_input() -> None:
    small, large = noise(60, 90), noise(400, 300)
    assert reduced(small, 96 * 96, 16) is small
    narrow = noise(1, 10_000)
    assert reduced(narrow, 96 * 96, 16) is narrow, "which is never enlarged"
    found = reduced(large, 96 * 96, 16)
    assert found.flags.c_contiguous
    assert torch.equal(to_input(found, 96 * 96, 16, MEAN, DEVIATION), to_input(large, 96 * 96, 16, MEAN, DEVIATION))


def test_channels_lie_last_as_convolutions_want_them() -> None:
    found = to_input(noise(60, 90), 96 * 96, 16, MEAN, DEVIATION)[None]
    assert found.is_contiguous(memory_format=torch.channels_last)
