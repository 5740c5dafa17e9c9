"""Regions measured by hand, then by property."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from knowledge import Product, ToolFailure
from tools.measuring import PixelSize, as_values, measure_part, measure_region, pixel_size_of, side_of

GRAY = np.full((40, 60, 3), 100, np.uint8)


def mask_of(*pixels: tuple[int, int], shape: tuple[int, int] = (40, 60)) -> np.ndarray:
    """True at each (row, column)."""
    mask = np.zeros(shape, bool)
    for row, column in pixels:
        mask[row, column] = True
    return mask


def test_a_square_worked_by_hand() -> None:
    mask = np.zeros((40, 60), bool)
    mask[10:20, 20:30] = True
    pixels = GRAY.copy()
    pixels[mask] = 200
    measured = measure_region(pixels, mask, PixelSize(0.5, "mm"))
    values = as_values(measured)
    assert values["area"] == 100
    assert values["area_share"] == pytest.approx(100 / 2400)
    assert (values["centroid_x"], values["centroid_y"]) == pytest.approx((25 / 60, 15 / 40))
    assert values["brightness"] == pytest.approx(200 / 255)
    assert values["contrast"] == pytest.approx(100 / 255)
    assert values["elongation"] == pytest.approx(1.0)
    assert values["touches_border"] == 0
    assert values["area_mm2"] == pytest.approx(25.0)
    assert values["length_mm"] == pytest.approx(values["length"] / 2)
    assert len(values) == len(measured)
    assert {m.name: m.unit for m in measured}["area_mm2"] == "mm2"


@pytest.mark.parametrize(
    ("pixels", "degrees"),
    [
        ([(20, 20 + i) for i in range(10)], 0),
        ([(30 - i, 20 + i) for i in range(10)], 45),
        ([(20 + i, 20) for i in range(10)], 90),
        ([(20 + i, 20 + i) for i in range(10)], 135),
    ],
)
def test_orientation_is_counter_clockwise_from_the_horizontal_as_seen(pixels, degrees) -> None:
    values = as_values(measure_region(GRAY, mask_of(*pixels)))
    assert values["orientation"] == pytest.approx(degrees)
    assert values["elongation"] > 5
    assert values["width"] == 1.0


def test_contrast_is_against_the_near_surroundings_only() -> None:
    pixels = np.full((60, 60, 3), 250, np.uint8)
    pixels[15:45, 15:45] = 50
    mask = np.zeros((60, 60), bool)
    mask[28:32, 28:32] = True
    pixels[mask] = 60
    assert as_values(measure_region(pixels, mask))["contrast"] == pytest.approx(10 / 255)


def test_brightness_weighs_colours_like_an_eye() -> None:
    for channel, weight in enumerate((0.299, 0.587, 0.114)):
        pixels = np.zeros((16, 16, 3), np.uint8)
        pixels[..., channel] = 255
        assert as_values(measure_part(pixels))["brightness"] == pytest.approx(weight)


def test_a_region_over_the_whole_view_has_nothing_around_it() -> None:
    values = as_values(measure_region(GRAY, np.ones((40, 60), bool)))
    assert values["contrast"] == 0.0
    assert values["area_share"] == 1.0
    assert values["touches_border"] == 1.0


@settings(max_examples=60, deadline=None)
@given(arrays(bool, (9, 13)).filter(lambda mask: mask.any()), st.integers(0, 255))
def test_every_mask_gives_finite_numbers_that_agree_with_counting(mask, level) -> None:
    pixels = np.full((9, 13, 3), level, np.uint8)
    values = as_values(measure_region(pixels, mask))
    rows, columns = np.nonzero(mask)
    assert np.isfinite(list(values.values())).all()
    assert values["area"] == mask.sum()
    assert values["centroid_x"] == pytest.approx((columns.mean() + 0.5) / 13)
    assert values["centroid_y"] == pytest.approx((rows.mean() + 0.5) / 9)
    assert values["contrast"] == pytest.approx(0.0, abs=1e-9)
    assert values["elongation"] >= 1.0
    assert 0 <= values["orientation"] < 180
    on_border = bool(mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any())
    assert bool(values["touches_border"]) is on_border


@settings(max_examples=30, deadline=None)
@given(arrays(np.uint8, (10, 12, 3)), arrays(bool, (10, 12)).filter(lambda mask: mask.any()))
def test_a_mirrored_part_measures_the_same_but_for_its_side(pixels, mask) -> None:
    here, there = (
        as_values(measure_region(p, m)) for p, m in ((pixels, mask), (pixels[:, ::-1].copy(), mask[:, ::-1].copy()))
    )
    for name in ("area", "length", "width", "brightness", "contrast", "centroid_y", "touches_border"):
        assert there[name] == pytest.approx(here[name], abs=1e-6)
    assert there["centroid_x"] == pytest.approx(1 - here["centroid_x"])


def test_a_part_worked_by_hand() -> None:
    pixels = np.zeros((16, 20, 3), np.uint8)
    pixels[:, 10:] = 255
    values = as_values(measure_part(pixels))
    assert values["brightness"] == pytest.approx(0.5)
    assert values["contrast"] == pytest.approx(0.5)
    # The Laplacian is 1 on the two columns beside the edge and 0 elsewhere.
    assert values["sharpness"] == pytest.approx(2 / 20)
    assert (values["width"], values["height"]) == (20, 16)


@pytest.mark.parametrize(
    ("x", "y", "side"),
    [
        (0, 0, "top left"),
        (0.5, 0.1, "top centre"),
        (0.99, 0, "top right"),
        (0.2, 0.5, "middle left"),
        (0.5, 0.5, "centre"),
        (1, 0.5, "middle right"),
        (0, 1, "bottom left"),
        (1, 1, "bottom right"),
    ],
)
def test_the_view_has_nine_places(x, y, side) -> None:
    assert side_of(x, y) == side


@pytest.mark.parametrize(("scale", "side"), [(1.0, 0.2), (4.0, 0.4), (0.25, 0.1)])
def test_a_view_pixel_covers_as_much_of_the_part_as_its_source_pixels(scale, side) -> None:
    product = Product(name="p", description="d", unit="mm", pixel_size=0.2)
    size = pixel_size_of(product, scale)
    assert size is not None
    assert size.side == pytest.approx(side)
    assert size.unit == "mm"


def test_without_a_known_pixel_size_nothing_is_said_in_lengths() -> None:
    assert pixel_size_of(Product(name="p", description="d"), 4.0) is None
    assert {m.unit for m in measure_region(GRAY, mask_of((1, 1)))} == {"px", "1", "deg", "gray"}


def test_an_empty_region_is_a_failure_of_the_instrument() -> None:
    with pytest.raises(ToolFailure, match="empty"):
        measure_region(GRAY, np.zeros((40, 60), bool))


def test_a_mask_of_another_size_is_our_mistake() -> None:
    with pytest.raises(ValueError, match=r"\(40, 60\), got \(3, 3\)"):
        measure_region(GRAY, np.ones((3, 3), bool))
