"""What a part takes of a picture is read from its outline on an even ground, and from nothing else."""

import numpy as np
import pytest
import skimage.data

from tools import load_image
from tools.localization.appearance import look_at
from tools.localization.ground import without_ground

USUAL = (224 * 224, 480 * 480)


def share(picture: np.ndarray) -> float:
    return without_ground(picture).size / picture.size


def texture(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(40, 216, (height, width, 3), dtype=np.uint8)


def ground(side: int, level: tuple[int, int, int] = (235, 235, 235), noise: float = 0) -> np.ndarray:
    grain = np.random.default_rng(1).normal(0, noise, (side, side, 1))
    return np.clip(np.array(level, float) + grain, 0, 255).astype(np.uint8)


def on_ground(
    part: np.ndarray, side: int, level: tuple[int, int, int] = (235, 235, 235), noise: float = 0
) -> np.ndarray:
    """In the middle of a square picture."""
    top, left = (side - part.shape[0]) // 2, (side - part.shape[1]) // 2
    picture = ground(side, level, noise)
    picture[top : top + part.shape[0], left : left + part.shape[1]] = part
    return picture


@pytest.mark.parametrize("noise", [0, 2])
@pytest.mark.parametrize(("height", "width"), [(160, 160), (80, 160), (80, 80)])
def test_the_box_around_the_part(height, width, noise) -> None:
    part = texture(height, width)
    found = without_ground(on_ground(part, 320, noise=noise))
    assert found.size / part.size == pytest.approx(1, rel=0.15)
    rows, columns = ((found.shape[axis] - part.shape[axis]) for axis in (0, 1))
    assert rows >= 0
    assert columns >= 0
    windows = np.lib.stride_tricks.sliding_window_view(found, part.shape)[:, :, 0]
    assert any(np.array_equal(window, part) for window in windows.reshape(-1, *part.shape))


@pytest.mark.parametrize("channel", [0, 1, 2])
def test_a_part_that_differs_from_the_ground_in_one_channel_alone(channel) -> None:
    colour = [100, 100, 100]
    colour[channel] += 12
    part = np.tile(np.array(colour, np.uint8), (60, 60, 1))
    assert share(on_ground(part, 120, (100, 100, 100))) == pytest.approx(0.25, rel=0.1)


def test_holes_belong_to_the_part() -> None:
    ring = texture(100, 100)
    ring[10:90, 10:90] = 235
    assert share(on_ground(ring, 200)) == share(on_ground(texture(100, 100), 200))


def test_a_part_that_reaches_the_border_a_little_lies_on_ground_and_one_that_is_cut_off_does_not() -> None:
    rod, sheet = ground(200), ground(200)
    rod[:, 60:66] = 20
    rod[50:150, 40:160] = texture(100, 120)
    sheet[:, 40:160] = texture(200, 120)
    assert share(rod) == pytest.approx(0.6, rel=0.1)
    assert share(sheet) == 1


@pytest.mark.parametrize("size", [(1, 1), (1, 2), (2, 2), (1, 400), (400, 1), (3000, 20)])
def test_odd_sizes(size) -> None:
    assert 0 < share(texture(*size)) <= 1
    assert share(np.full((*size, 3), 9, np.uint8)) == 1


def test_without_an_even_ground_or_a_part_it_is_all_of_the_picture() -> None:
    even = np.full((96, 96, 3), 180, np.uint8)
    shaded = np.repeat(np.tile(np.linspace(100, 200, 96), (96, 1)).astype(np.uint8)[..., None], 3, axis=2)
    for picture in (even, shaded, texture(96, 96)):
        assert share(picture) == 1


def test_a_hole_or_a_print_on_an_even_part_makes_no_ground_of_it() -> None:
    panel = ground(400, (170, 170, 170), 2)
    panel[180:220, 180:260] = 90
    assert share(panel) == 1
    assert look_at([panel] * 8).areas == USUAL


def test_grain_that_averages_out_is_no_even_ground() -> None:
    assert share(on_ground(texture(500, 500), 1000, (128, 128, 128), noise=30)) == 1
    assert share(on_ground(texture(500, 500), 1000, (128, 128, 128), noise=5)) == pytest.approx(0.25, rel=0.1)


@pytest.mark.parametrize("picture", ["brick", "grass", "gravel", "camera"])
def test_pictures_full_of_texture(picture) -> None:
    grey = np.asarray(getattr(skimage.data, picture)())
    assert share(np.repeat(grey[..., None], 3, axis=2)) == 1


def test_looks_see_a_part_that_is_a_little_farther_away_as_they_see_a_near_one() -> None:
    near = texture(120, 120)
    usual, far = look_at([near]), look_at([on_ground(near, 150)])
    for before, after in zip(usual.areas, far.areas, strict=True):
        assert after == pytest.approx(before * (150 / 120) ** 2, rel=0.1)
    assert "lie on an even ground and take 6" in far.reason
    assert "even ground" not in usual.reason


def test_a_look_doubles_at_most_and_stays_where_areas_are_given_or_little_is_ground() -> None:
    far = on_ground(texture(100, 100), 240)
    assert look_at([far]).areas == tuple(2 * area for area in USUAL)
    assert look_at([far], areas=(64 * 64,)).areas == (64 * 64,)
    assert look_at([on_ground(texture(196, 196), 200)]).areas == USUAL


def test_most_references_decide() -> None:
    far, near = on_ground(texture(100, 100), 150), texture(100, 100)
    specked = far.copy()
    specked[2:8, 2:8] = specked[-8:-2, -8:-2] = 0
    assert share(specked) > 0.9
    closer = look_at([far]).areas
    assert look_at([specked, far, far]).areas == closer
    assert look_at([near, near, far, far]).areas == USUAL
    assert look_at([far, near, near]).areas == USUAL


@pytest.mark.parametrize("level", [(12, 12, 12), (235, 235, 235)])
def test_ground_alone_makes_no_drawing_of_a_photograph(level) -> None:
    part = np.random.default_rng(0).integers(60, 190, (60, 60, 3), dtype=np.uint8)
    assert look_at([on_ground(part, 260, level)] * 3).kind == "photograph"


def test_a_drawing_on_an_even_ground_is_looked_at_as_any_drawing() -> None:
    bars = np.repeat(np.tile(np.array([20] * 8 + [235] * 8, np.uint8), (120, 7))[..., None], 3, axis=2)
    near, far = look_at([bars]), look_at([on_ground(bars, 200)])
    assert (near.kind, far.kind) == ("drawing", "drawing")
    assert far.areas == near.areas


@pytest.mark.parametrize(
    ("name", "lies_on_ground"),
    [("aws_aliens", True), ("kolektorsdd", False), ("magnetic_tile", False), ("piped_pa_fvn02_rl", False)],
)
def test_real_products(shared_data, name, lies_on_ground) -> None:
    pictures = sorted((shared_data / "image" / name / "train" / "good").iterdir())[:5]
    found = [share(load_image(path).pixels) for path in pictures]
    assert all(0.5 < of_picture < 0.95 for of_picture in found) if lies_on_ground else found == [1] * 5
