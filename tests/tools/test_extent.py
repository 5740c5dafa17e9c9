"""How much of a picture a part takes is read from its outline on an even ground, and from nothing else."""

import numpy as np
import pytest
import skimage.data

from tools import load_image
from tools.localization.appearance import look_at
from tools.localization.extent import extent


def texture(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(40, 216, (height, width, 3), dtype=np.uint8)


def on_ground(
    part: np.ndarray, side: int, level: tuple[int, int, int] = (235, 235, 235), noise: float = 0
) -> np.ndarray:
    """In the middle of a square picture."""
    ground = np.tile(np.array(level, float), (side, side, 1)) + np.random.default_rng(1).normal(
        0, noise, (side, side, 1)
    )
    top, left = (side - part.shape[0]) // 2, (side - part.shape[1]) // 2
    picture = np.clip(ground, 0, 255).astype(np.uint8)
    picture[top : top + part.shape[0], left : left + part.shape[1]] = part
    return picture


@pytest.mark.parametrize("noise", [0, 2])
@pytest.mark.parametrize(("height", "width"), [(120, 120), (60, 120), (30, 30)])
def test_box_around_the_part(height, width, noise) -> None:
    assert extent(on_ground(texture(height, width), 240, noise=noise)) == pytest.approx(
        height * width / 240**2, rel=0.1
    )


def test_a_part_of_the_grounds_brightness_is_told_by_its_colour() -> None:
    ground, part = (200, 100, 100), np.tile(np.array([100, 200, 100], np.uint8), (60, 60, 1))
    assert extent(on_ground(part, 120, ground)) == pytest.approx(0.25, rel=0.1)


def test_holes_belong_to_the_part() -> None:
    ring = texture(100, 100)
    ring[10:90, 10:90] = 235
    assert extent(on_ground(ring, 200)) == extent(on_ground(texture(100, 100), 200))


@pytest.mark.parametrize("size", [(1, 1), (1, 400), (400, 1), (3000, 20)])
def test_odd_sizes(size) -> None:
    assert 0 < extent(texture(*size)) <= 1


def test_without_an_even_ground_or_a_part_all_counts() -> None:
    even = np.full((96, 96, 3), 180, np.uint8)
    shaded = np.repeat(np.tile(np.linspace(100, 200, 96), (96, 1)).astype(np.uint8)[..., None], 3, axis=2)
    cut_off = even.copy()
    cut_off[:, 40:60] = texture(96, 20)
    for picture in (even, shaded, cut_off, texture(96, 96)):
        assert extent(picture) == 1.0


@pytest.mark.parametrize("picture", ["brick", "grass", "gravel", "camera"])
def test_pictures_full_of_texture(picture) -> None:
    grey = np.asarray(getattr(skimage.data, picture)())
    assert extent(np.repeat(grey[..., None], 3, axis=2)) == 1.0


def test_looks_see_a_far_part_as_they_see_a_near_one() -> None:
    near = texture(120, 120)
    usual, far = look_at([near]), look_at([on_ground(near, 180)])
    for before, after in zip(usual.areas, far.areas, strict=True):
        assert after == pytest.approx(before * (180 / 120) ** 2, rel=0.1)
    assert "of an even ground" in far.reason
    assert "even ground" not in usual.reason


def test_a_look_grows_fourfold_at_most_and_never_where_areas_are_given() -> None:
    tiny = on_ground(texture(10, 10), 240)
    assert look_at([tiny]).areas == tuple(4 * area for area in look_at([texture(64, 64)]).areas)
    assert look_at([tiny], areas=(64 * 64,)).areas == (64 * 64,)


def test_one_reference_with_a_speck_on_the_ground_decides_nothing() -> None:
    far = on_ground(texture(100, 100), 200)
    specked = far.copy()
    specked[2:8, 2:8] = specked[-8:-2, -8:-2] = 0
    assert extent(specked) > 0.9
    assert look_at([far, specked, far]).areas == look_at([far]).areas


@pytest.mark.parametrize(
    ("name", "lies_on_ground"),
    [("aws_aliens", True), ("kolektorsdd", False), ("magnetic_tile", False), ("piped_pa_fvn02_rl", False)],
)
def test_real_products(shared_data, name, lies_on_ground) -> None:
    pictures = sorted((shared_data / "image" / name / "train" / "good").iterdir())[:5]
    found = [extent(load_image(path).pixels) for path in pictures]
    assert all(0.5 < share < 0.95 for share in found) if lies_on_ground else all(share == 1 for share in found)
