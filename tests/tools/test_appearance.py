"""How a product is looked at is decided by its references alone."""

import numpy as np
import pytest
import skimage.data

from tools import load_image
from tools.localization.appearance import look_at, two_levels


def drawing(low: int = 0, high: int = 255, noise: float = 0.0) -> np.ndarray:
    """Dark bars on a light ground."""
    grey = np.full((64, 96), float(high))
    grey[10:20, 5:90] = grey[30:60, 40:50] = low
    grey += np.random.default_rng(0).normal(0, noise, grey.shape)
    return np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def photograph(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (64, 96, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("picture", "kind"), [(drawing(), "drawing"), (drawing(20, 230, 4), "drawing"), (photograph(), "photograph")]
)
def test_two_flat_levels_make_a_drawing(picture, kind) -> None:
    found = look_at([picture] * 3)
    assert found.kind == kind
    assert kind in found.reason
    assert found.whiten == (kind == "drawing")


def test_flat_or_faint_pictures_are_no_drawings() -> None:
    assert two_levels(np.full((8, 8, 3), 200, np.uint8)) == 0.0
    assert two_levels(drawing(100, 180)) == 0.0


def test_one_photograph_among_drawings_makes_them_photographs() -> None:
    assert look_at([drawing()] * 3 + [photograph()]).kind == "photograph"


def test_areas_that_were_asked_for_stay() -> None:
    assert look_at([drawing()], areas=(64 * 64,)).areas == (64 * 64,)


@pytest.mark.parametrize("picture", [drawing(), photograph()])
def test_a_second_look_is_closer(picture) -> None:
    coarse, fine = look_at([picture]).areas
    assert fine > coarse


def test_drawings_are_looked_at_closer_than_photographs() -> None:
    assert look_at([drawing()]).areas > look_at([photograph()]).areas


@pytest.mark.parametrize(
    ("name", "kind"), [("deeppcb_group13000", "drawing"), ("kolektorsdd", "photograph"), ("aws_aliens", "photograph")]
)
def test_real_products(shared_data, name, kind) -> None:
    pictures = sorted((shared_data / "image" / name / "train" / "good").iterdir())[:3]
    assert look_at([load_image(path).pixels for path in pictures]).kind == kind


@pytest.mark.parametrize(
    ("picture", "kind"),
    [
        *(
            (name, "photograph")
            for name in ("coins", "brick", "grass", "gravel", "moon", "cell", "clock", "page", "camera")
        ),
        *((name, "drawing") for name in ("horse", "binary_blobs")),
    ],
)
def test_pictures_that_had_no_part_in_the_choice_of_the_threshold(picture, kind) -> None:
    pixels = np.asarray(getattr(skimage.data, picture)())
    grey = (pixels * 255).astype(np.uint8) if pixels.dtype == bool else pixels
    assert look_at([np.repeat(grey[..., None], 3, axis=2) if grey.ndim == 2 else grey]).kind == kind
